"""Result: the tables that an analysis leaves, each a CSV file that any program reads."""

import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import pandas as pd

from unispeech_lab.analyse.heard import where

LAYERS = ["layer", "name", "measure", "target", "value", "low", "high", "n", "seed"]
CODEBOOK = ["measure", "position", "value", "low", "high", "n", "seed"]
SEGMENTS = ["method", "tolerance", "precision", "recall", "f1", "r_value", "over", "setting", "n", "seed"]


@dataclass(frozen=True, eq=False, repr=False)
class Analysis:
    """Tables of a model on a corpus; ``low`` and ``high`` are always the ends of a 95 % interval.

    ``layers``      a row a number: ``layer`` (-1: features of the convolutions, 0: their projection into the encoder,
                    1 ... L: its layers), ``name`` (the module), ``measure``, ``target``, ``value``, ``low``, ``high``,
                    ``n`` (rows it was measured on), ``seed``, ``where`` (what pictures, tables and text call the layer:
                    features, projection, layer 0 ... L - 1, so that ``layer`` 6 is ``encoder.layers.5`` and "layer 5")
    ``baseline``    the same measures of MFCC: what there is without a model; ``layer`` is empty
    ``similarity``  layers by layers, by their numbers: linear CKA
    ``codebook``    ``measure`` at a ``position`` in the phone; empty if the model has no codebook
    ``segments``    borders from ``codes``, ``jumps`` of states, ``ctc``, within a ``tolerance`` in seconds
    ``about``       the model, where its weights come from, the corpus, what was left out and why
    """

    layers: pd.DataFrame
    similarity: pd.DataFrame
    codebook: pd.DataFrame
    segments: pd.DataFrame
    about: dict
    baseline: pd.DataFrame

    @classmethod
    def open(cls, folder: str | PathLike) -> "Analysis":
        """Read what ``analyse`` wrote.

        Raises:
            FileNotFoundError: there is no analysis.
            ValueError: its about.json is broken.
        """
        folder = Path(folder)
        if not (folder / "about.json").is_file():
            raise FileNotFoundError(
                f"expected an analysis in {folder}, found no about.json: "
                f"unispeech-lab analyse tiny bundled -o {folder} makes one"
            )
        similarity = table(folder / "similarity.csv", ["layer"]).set_index("layer")
        similarity.columns = similarity.columns.astype(int)
        return cls(
            table(folder / "layers.csv", LAYERS),
            similarity,
            table(folder / "codebook.csv", CODEBOOK),
            table(folder / "segments.csv", SEGMENTS),
            about_of(folder),
            table(folder / "baseline.csv", LAYERS),
        )

    def of(self, measure: str, target: str | None = None) -> pd.DataFrame:
        """The layers' rows of one measure, and of one target."""
        kept = self.layers["measure"] == measure
        return self.layers[kept if target is None else kept & (self.layers["target"] == target)]

    def wide(self) -> pd.DataFrame:
        """To read: a row a measure and target, a column a layer by its name, and MFCC, as without a model."""
        rows = ["measure", "target"]
        found = self.layers.pivot_table("value", rows, "layer", sort=False).sort_index(axis=1).rename(columns=where)
        return found.join(self.baseline.set_index(rows)["value"].astype(float).rename("MFCC"))

    def __repr__(self) -> str:
        what = f"{self.about['model']} on {self.about['utterances']} utterances of {self.about['corpus']}"
        return f"Analysis of {what}: {len(self.layers)} numbers of {self.layers['layer'].nunique()} layers"

    def _repr_html_(self) -> str:
        return f"<p>{self!r}</p>{self.wide().to_html(float_format='{:.3f}'.format, na_rep='')}"


def about_of(folder: Path) -> dict:
    """What is analysed in a folder. Raises ValueError where about.json is not whole."""
    file = folder / "about.json"
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file}: expected JSON, found {error}: remove {folder}, and analyse again") from None


def table(file: Path, columns: list[str]) -> pd.DataFrame:
    """A CSV file, every number as it was to the last bit; with these columns and no rows where there is none."""
    if not file.is_file():
        return pd.DataFrame(columns=columns)
    return pd.read_csv(file, engine="python")  # whose floats are Python's own, exact
