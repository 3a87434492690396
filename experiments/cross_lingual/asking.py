"""Asking: what a reader does with the committed results, from a notebook.

>>> begun()                                     # how each method learned the source: a table of metrics a method
>>> drawn(begun())                              # as panels, each method in one colour all through
>>> again("scratch", "es", 0, folder)           # a cell of the laptop's table, run anew
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.cross_lingual import plan, results, sizes, synthetic
from experiments.cross_lingual.methods import METHODS, TABLE, load
from experiments.cross_lingual.run import Experiment
from experiments.cross_lingual.sizes import laptop
from unispeech_lab.views import curves
from unispeech_lab.views.panel import Panel


def begun(size: str = "laptop", seed: int = 0) -> dict[str, pd.DataFrame]:
    """Method of the table -> the metrics of its one-to-one stage 1, a row a step, as they were committed."""
    table = pd.read_csv(results.COMMITTED / size / "curves.csv")
    source = sizes.load(size).sources[0]
    found = {}
    for run, rows in table.groupby("run", sort=False):
        stage, spoken, method, number = (run.split("/") + [""] * 4)[:4]
        if (stage, spoken, number) == ("stage1", source, str(seed)) and METHODS[method] in TABLE:
            found[method] = rows.set_index("step").drop(columns="run").dropna(axis=1, how="all")
    return {name: found[name] for name in METHODS if name in found}


def drawn(begun: dict[str, pd.DataFrame]) -> list[Panel]:
    """A panel a measure, a curve a method; one that was not logged is an empty curve, so that no colour changes."""
    panels = curves.compare(begun, max(int(rows.index.max()) for rows in begun.values()))
    return [replace(panel, marks=tuple(every(mark, begun) for mark in panel.marks)) for panel in panels]


def every(mark, names):
    """The curves of all these names, in their order."""
    known = dict(zip(mark.names, mark.y, strict=True))
    y = np.array([known.get(name, np.full(len(mark.x), np.nan)) for name in names])
    return replace(mark, y=y, names=tuple(name if name in known else f"{name} (has none)" for name in names))


def again(
    method: str, target: str, seed: int, folder: Path, share: float = 1.0, say: Callable[[str], None] = print
) -> dict:
    """The row of a one-to-one cell of the laptop's table, its speech made and its stages run here.

    ``share`` of the steps and of the speech, to see whether all of it runs. ``scratch`` has a stage 3 alone, and takes
    a minute or two; a stage 1 takes several. Raises EspeakError without espeak-ng (the extra ``speech``).
    """

    def speech(place: Path, part: str, language: str):
        return synthetic.speech(place, part, language, share * laptop.HOURS[part], laptop.SEEDS[part])

    size = replace(laptop.SIZE, targets=(target,), speech=speech)
    for name in ("stage1", "stage2", "stage3"):
        settings = getattr(size, name)
        size = replace(size, **{name: replace(settings, steps=max(round(share * settings.steps), 1))})
    (cell,) = plan.cells(size, ["one-to-one"], load([method]), [seed])
    return Experiment(size, Path(folder) / "speech", Path(folder) / "runs", say, progress=False).cell(cell)
