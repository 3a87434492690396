"""Log: what a training run wrote down, as columns by our names, with what they betray of its settings."""

import json
import math
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from .formats import is_event, of_text, ours

# what conditions reckon with -> the least that makes sense
LEAST = {"groups": 1, "num_codewords": 2, "num_negatives": 1, "steps": 1}
LEAST |= dict.fromkeys(("clip", "learning_rate", "diversity_loss_weight", "alpha"), 0)


@dataclass
class Log:
    """Rows of numbers by our names, in the order of their steps; events; facts about the run."""

    rows: list[dict[str, float]]
    events: list[dict] = field(default_factory=list)
    facts: dict = field(default_factory=dict)
    source: str = ""
    skipped: int = 0

    def __post_init__(self):
        latest: dict[tuple, dict] = {}
        for row in self.rows:  # a run that went back to a checkpoint wrote some steps twice: the last holds
            kind = any(name.startswith("valid_") for name in row)
            latest[row["step"], kind] = latest.pop((row["step"], kind), {}) | row if kind else row
        self.rows = [latest[key] for key in sorted(latest)]
        self._columns: dict[str, pd.Series] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def series(self, name: str, finite: bool = True) -> pd.Series:
        """A column, indexed by step, of the rows that have it."""
        if name not in self._columns:
            found = [(row["step"], row[name]) for row in self.rows if name in row]
            steps, values = zip(*found, strict=True) if found else ((), ())
            self._columns[name] = pd.Series(values, index=pd.Index(steps, name="step"), name=name, dtype=float)
        column = self._columns[name]
        return column[np.isfinite(column)] if finite else column

    @property
    def last_step(self) -> int:
        return int(max((row["step"] for row in self.rows), default=0))

    @property
    def finished(self) -> bool:
        """Whether the run took every step it was to take; False where nobody says how many these are."""
        steps = self.facts.get("steps")
        return bool(steps) and self.last_step >= steps

    @cached_property
    def weights(self) -> dict[str, float]:
        """``alpha`` and the diversity's weight: as the run says, else solved for from its terms; {} if they do not fit.

        loss - contrastive = alpha (ctc - contrastive) + (1 - alpha) weight diversity
        """
        if "diversity_loss_weight" in self.facts:
            return {"alpha": self.facts.get("alpha"), "diversity": self.facts["diversity_loss_weight"]}
        weighted, used = self.series("weighted_diversity"), self.series("perplexity")
        spare = 1 - used / self.facts.get("num_codewords", math.nan)
        told = (weighted / spare)[spare > 0.05]  # fairseq writes its term with the weight in it
        if len(told) and np.isfinite(told).all():
            return {"diversity": float(told.median())}
        names = ("loss", "contrastive", "diversity")
        table = pd.DataFrame([row for row in self.rows if all(name in row for name in names)])
        if len(table) < 4:
            return {}
        columns = [table["diversity"]]
        if "ctc" in table:
            columns.insert(0, table["ctc"] - table["contrastive"])
        table = np.column_stack([*columns, table["loss"] - table["contrastive"]])
        table = table[np.isfinite(table).all(1)]
        if len(table) < 4:
            return {}
        found, *_ = np.linalg.lstsq(table[:, :-1], table[:, -1], rcond=None)
        off = np.abs(table[:, :-1] @ found - table[:, -1]).max()
        alpha = found[0] if len(found) == 2 else 0.0
        if off > 1e-2 * max(np.abs(table[:, -1]).max(), 1e-9) or not -1e-6 <= alpha < 1:
            return {}
        return {"alpha": max(float(alpha), 0.0), "diversity": float(found[-1] / (1 - alpha))}


def read(source, **facts) -> Log:
    """A ``Log`` of a ``Run``, a folder, a file, a table (``pandas.DataFrame``) or a list of rows.

    Args:
        source: a folder holds ``metrics.jsonl`` or ``trainer_state.json``.
        facts: what the log does not say: ``groups``, ``num_codewords``, ``num_negatives``, ``steps``, ``clip``, ...

    Raises:
        FileNotFoundError: no such file, or a folder that holds neither.
        ValueError: nothing in it is a line of a log; a fact that is no number, or too small a one.
    """
    for name, value in facts.items():
        if not makes_sense(name, value):
            raise ValueError(f"expected {name} as a number from {LEAST[name]} on, found {value!r}")
    if isinstance(source, Log):
        return Log(source.rows, source.events, {**source.facts, **facts}, source.source, source.skipped)
    if isinstance(source, pd.DataFrame):
        rows = source.reset_index().to_dict("records") if source.index.name == "step" else source.to_dict("records")
        source = [{k: v for k, v in row.items() if not missing(v, row)} for row in rows]
    if isinstance(source, list):
        rows = [row for row in map(ours, source) if row]
        events = [row for row in source if is_event(row)]
        return Log(rows, events, facts, "a table", len(source) - len(rows) - len(events))
    path = Path(getattr(source, "folder", source)) if not isinstance(source, str | PathLike) else Path(source)
    file = find(path)
    written = of_text(file.read_text(encoding="utf-8", errors="replace"))
    name = file.parent.name if file.name == "metrics.jsonl" else file.name
    log = Log(written.rows, written.events, written.facts, name, written.skipped)
    beside = file.with_name("settings.json")
    if file.name == "metrics.jsonl" and beside.is_file():
        said = settings_of(beside)
        log.facts |= {name: value for name, value in said.items() if makes_sense(name, value)}
    log.facts |= facts
    if not log.rows and not log.events:
        raise ValueError(
            f"{file}: expected lines of a training log (metrics.jsonl, trainer_state.json, Hugging Face's or fairseq's "
            "output), found none: give the file that the training wrote"
        )
    return log


def settings_of(file: Path) -> dict:
    """What ``settings.json`` says; nothing where it is damaged."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def makes_sense(name: str, value) -> bool:
    """Whether a fact is a number that can be reckoned with, or one that nobody reckons with."""
    if name not in LEAST:
        return True
    return isinstance(value, int | float) and math.isfinite(value) and value >= LEAST[name]


def find(path: Path) -> Path:
    """The log in a folder, or the file itself."""
    if path.is_file():
        return path
    states = sorted(path.glob("checkpoint-*/trainer_state.json"), key=lambda p: int("0" + p.parent.name[11:]))
    for file in (path / "metrics.jsonl", path / "trainer_state.json", *states[::-1], *sorted(path.glob("*.log"))):
        if file.is_file():
            return file
    raise FileNotFoundError(
        f"expected a run's folder with metrics.jsonl or trainer_state.json, or a log file, found none at {path}"
    )


def missing(value, row: dict) -> bool:
    """Whether a table's NaN is a cell without a value: a training row's loss that is NaN is a NaN."""
    if isinstance(value, str | dict | list) or not pd.isna(value):
        return False
    return not any(not pd.isna(row.get(name, math.nan)) for name in ("lr", "grad_norm", "temperature"))
