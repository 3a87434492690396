"""Race: variants compared before your eyes, a curve each on one picture, stopped or gone on with by a button.

racing = race(["unispeech", Mine()], corpus, "runs/mine", Settings(steps=300))
racing                       # in a cell: the curves, while the notebook answers to other cells
compared = racing.wait()     # a Comparison: its table, its curves

They run one after the other, each on the whole machine. It is ``compare`` otherwise: what is finished is kept.
"""

import time
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from . import variants
from .compare import Comparison, compare
from .live import PAUSE, LiveCurves, Training, how_far, kept_lines
from .run import Run
from .settings import Settings
from .views import curves


class RaceCurves(LiveCurves):
    """A ``watch`` of ``compare``: each measure once, a curve a variant, the mean over the seeds so far."""

    def __call__(self, row: dict) -> None:
        self.rows.append(row)
        if time.monotonic() - self.drawn >= PAUSE:
            self.draw(self.state)

    @property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Variant -> its metrics, a row a step."""
        rows = pd.DataFrame(self.rows, columns=None if self.rows else ["variant", "seed", "step"])
        each = rows.groupby(["variant", "seed", "step"], sort=False).last().groupby(["variant", "step"]).mean()
        return {name: each.loc[name] for name in rows["variant"].unique()}

    def panels(self) -> list:
        """Validation, where there is one. Not the loss: objectives that differ cannot be held beside each other."""
        return [panel for panel in curves.compare(self.tables, self.steps) if panel.name != "loss"]

    def note(self) -> str:
        """Who is at which step, its speed, its time left."""
        if not self.rows:
            return f"step 0 of {self.steps}"
        name, seed = self.rows[-1]["variant"], self.rows[-1]["seed"]
        rows = pd.DataFrame(self.rows)
        mine = rows[(rows["variant"] == name) & (rows["seed"] == seed)].groupby("step").last()
        return f"{name}, seed {seed}: {how_far(mine, self.steps)}"


class Race(Training):
    """A comparison in a thread of its own: ``stop``, ``resume``, ``wait``. Written in a cell, it shows its curves."""

    curves_of = RaceCurves

    def known(self) -> list[dict]:
        return [
            {"variant": name, "seed": seed, **row}
            for (name, seed), run in self.run.runs.items()
            for row in kept_lines(run)
        ]


def race(
    names: Sequence[str | variants.Variant],
    corpus,
    out: str | PathLike,
    settings: Settings | None = None,
    seeds: Sequence[int] = (0,),
    **how,
) -> Race:
    """Begin to compare in the background, or go on where it was stopped; arguments are those of ``compare``.

    Raises what ``compare`` does, where one waits for it.
    """
    settings, out = settings or Settings(), Path(out)
    called = [name if isinstance(name, str) else name.name for name in names]
    before = Comparison(out, {(name, seed): Run(out / name / str(seed)) for seed in seeds for name in called})
    how = {"progress": False, **how}
    return Race(settings.steps, lambda **more: compare(names, corpus, out, settings, seeds, **how, **more), before)
