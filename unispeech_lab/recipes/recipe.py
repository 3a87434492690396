"""Recipe: a JSON file of interventions, read strictly, run on a model over a corpus.

    {
      "format": "unispeech-lab recipe",
      "version": 1,
      "about": "Every head silenced, one at a time.",
      "measures": ["kl", "moved", "reading", "errors", "states"],
      "interventions": [{"kind": "heads", "at": ["*.*"], "edit": "silent"}]
    }

The file is data alone: nothing in it is run, unknown keys are refused. ``measures`` may be left out: then all that the
model has an output for are taken.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path

import pandas as pd

from unispeech_lab.analysis.causal import MEASURES
from unispeech_lab.recipes.bench import Bench
from unispeech_lab.recipes.interventions import KINDS, Intervention

FORMAT, VERSION = "unispeech-lab recipe", 1
KEYS = ("format", "version", "about", "seed", "measures", "interventions")


@dataclass(frozen=True)
class Recipe:
    """Interventions and what is measured; ``seed`` decides which phones are paired, and the bootstrap's draws.

    Raises:
        ValueError: no intervention, something that is none, a measure that there is not.
    """

    interventions: tuple[Intervention, ...]
    about: str = ""
    measures: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self):
        for name in ("interventions", "measures"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.interventions or not all(isinstance(each, Intervention) for each in self.interventions):
            raise ValueError(f"expected at least one intervention, found {self.interventions!r}")
        if wrong := [name for name in self.measures if name not in MEASURES]:
            raise ValueError(f"expected measures out of {', '.join(MEASURES)}, found {', '.join(map(str, wrong))}")
        if not isinstance(self.about, str):
            raise ValueError(f"expected words for about, found {self.about!r}")
        if type(self.seed) is not int or self.seed < 0:
            raise ValueError(f"expected a whole number from 0 on for seed, found {self.seed!r}")

    @classmethod
    def load(cls, path: str | PathLike) -> "Recipe":
        """Read a file.

        Raises:
            FileNotFoundError: there is none.   ValueError: it is no recipe; the message says what was expected.
        """
        file = Path(path)
        if not file.is_file():
            raise FileNotFoundError(f"expected a recipe, a .json file, at {file}, found none")
        try:
            return cls.read(json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{file}: {error}") from error

    @classmethod
    def read(cls, given) -> "Recipe":
        """Out of what the file holds. Raises ValueError as ``load`` does."""
        if not isinstance(given, dict) or given.get("format") != FORMAT:
            raise ValueError(f'expected a recipe, {{"format": "{FORMAT}", ...}}, found {str(given)[:60]}')
        if type(given.get("version")) is not int or given["version"] != VERSION:  # true and 1.0 equal 1
            raise ValueError(f"expected version {VERSION}, found {given.get('version')!r}: use the lab that wrote it")
        refuse_others(given, KEYS, "a recipe")
        rows = given.get("interventions")
        if not isinstance(rows, list) or not isinstance(given.get("measures", []), list):
            raise ValueError("expected lists of interventions and of measures")
        steps = [intervention(row) for row in rows]
        return cls(steps, given.get("about", ""), given.get("measures", []), given.get("seed", 0))

    def save(self, path: str | PathLike) -> None:
        """Write a file that ``load`` reads."""
        said = {"format": FORMAT, "version": VERSION, "about": self.about, "seed": self.seed}
        said |= {"measures": list(self.measures)} if self.measures else {}
        said["interventions"] = [each.written() for each in self.interventions]
        Path(path).write_text(json.dumps(said, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    def run(self, model, corpus: Iterable, progress: bool = False) -> pd.DataFrame:
        """A row an intervention: what it was, then every measure, each with ``_low`` and ``_high`` (95 %).

        ``kl`` nats a frame, ``moved`` share of the belief, ``reading`` share of frames whose best class is another,
        ``errors`` phone error rate after less before (``errors_before``, ``errors_after``), ``states`` 1 - cosine of
        the last layer's states. Of phones also, as shares of the ``pairs``: ``was`` and ``stays``, read as the phone
        before and after; ``becomes``, read as the other; ``donor``, the other itself read rightly where it came from;
        ``belief``, how much of what is said the other has.

        Raises:
            ValueError: no utterance; something that this model does not have: a layer, head, codeword, phone, output.
        """
        return Bench(model, tuple(corpus), self.measures, self.seed, progress).run(self.interventions)


def intervention(row) -> Intervention:
    """One of a file's. Raises ValueError for an unknown kind or key, or one that is missing."""
    found = row.get("kind") if isinstance(row, dict) else row
    if not isinstance(row, dict) or not isinstance(found, str) or found not in KINDS:
        raise ValueError(f"expected an intervention of a kind out of {', '.join(KINDS)}, found {found!r}")
    kind, given = KINDS[row["kind"]], {name: value for name, value in row.items() if name != "kind"}
    refuse_others(given, [each.name for each in fields(kind)], row["kind"])
    try:
        return kind(**given)
    except TypeError as error:
        needed = ", ".join(each.name for each in fields(kind))
        raise ValueError(f"expected {needed} of {row['kind']}, found {', '.join(given)}") from error


def refuse_others(given: dict, known: Iterable[str], what: str) -> None:
    if strange := [str(name) for name in given if name not in known]:
        raise ValueError(f"expected the keys {', '.join(known)} of {what}, found {', '.join(strange)}")
