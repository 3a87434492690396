"""Judging: what all conditions share, how a log is weighed, how it is quoted.

Nothing but NaN is judged in the first ``START`` steps: there the weights are random and the learning rate rises. "Late"
is the last quarter of the lines, as a median: one odd batch decides nothing.

Where the thresholds come from: healthy and sick runs of the small model (``data/runs``), wav2vec 2.0's own logs and the
threads on collapsed ones (fairseq #3109, #3391, #3687, #3735; transformers #14387).
"""

import math
from dataclasses import dataclass

import pandas as pd

from .log import Log

START = 100  # steps; by then every healthy run here had 4 times as many codewords in use as a collapsed one
PLATEAU = 1000  # steps; healthy runs here told codewords apart after 200 to 400 steps, said phones after 350 to 600
BLANK = 0.99  # of the frames
CHANCE = 0.97  # of ln(1 + negatives), what guessing costs: healthy plateaus lie at 0.995 to 1.005 of it


@dataclass(frozen=True)
class Finding:
    """Something wrong: ``severity`` is "ill" (stop and change it) or "watch"; ``lines`` quote the log."""

    name: str
    severity: str
    title: str
    cause: str
    cure: str
    lines: tuple[str, ...] = ()
    steps: tuple[int, int] = (0, 0)  # from where to where it shows
    also: tuple[str, ...] = ()  # names of findings that come of this one


def late(series: pd.Series) -> pd.Series:
    """The last quarter of the lines, three at least."""
    return series.iloc[-max(3, len(series) // 4) :]


def quote(log: Log, steps, *names: str) -> tuple[str, ...]:
    """Lines of the log at these steps: the step, then the values asked for."""
    columns = {name: log.series(name, finite=False) for name in names}
    said = []
    for step in dict.fromkeys(int(step) for step in steps):
        values = [f"{name} {column[step]:.4g}" for name, column in columns.items() if step in column.index]
        said.append(f"step {step}: {', '.join(values)}")
    return tuple(said)


def ends(series: pd.Series) -> list[int]:
    """Where a stretch begins, its middle, where it ends."""
    index = series.index
    return [index[0], index[len(index) // 2], index[-1]]


def judged(log: Log, series: pd.Series, after: int = START) -> bool:
    """Whether there is enough of it to judge: three lines, the last beyond ``after``."""
    return len(series) >= 3 and series.index[-1] >= after


def size(log: Log) -> tuple[int, int]:
    """(groups, codewords) of the codebook; where nobody says, wav2vec 2.0's own 2 x 320."""
    return int(log.facts.get("groups", 2)), int(log.facts.get("num_codewords", 640))


def chance(log: Log) -> float:
    """What the contrastive loss is when all candidates are equally near."""
    return math.log(1 + log.facts.get("num_negatives", 100))


def setting(log: Log, name: str) -> str:
    """``name`` with its value, where the run says it."""
    value = log.weights.get("diversity") if name == "diversity_loss_weight" else log.facts.get(name)
    return f"{name} (now {value:.3g})" if isinstance(value, int | float) and not isinstance(value, bool) else name
