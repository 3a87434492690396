"""Figure: a table of error rates as a picture, beside the paper's."""

import numpy as np
import pandas as pd

from experiments.cross_lingual.tables import targets_of
from unispeech_lab.views.panel import Axis, Lines, Panel, Points


def panels(found: pd.DataFrame, each: pd.DataFrame | None = None) -> list[Panel]:
    """A row a method, error rates to the right: the average with its interval, every cell below it; beside, the paper.

    Args:
        found: a ``table``.
        each: what is shown below an average, ``by_seed``'s columns; each target's mean if None.
    """
    names, targets = tuple(found.index), targets_of(found)
    mine, half = 100 * found["average"].to_numpy(float), 100 * found["half"].to_numpy(float)
    each = 100 * (found[targets] if each is None else each.loc[list(names)])
    kinds = [targets.index(column.partition(", ")[0]) for column in each]
    heights = len(names) - 0.3 - np.arange(len(names))
    dots = Points(
        each.to_numpy(float).ravel(),
        (heights[:, None] - 0.2 - 0.16 * np.array(kinds)).ravel(),
        tuple(f"{name}, {column}" for name in names for column in each),
        np.tile(np.array(kinds) + 1, len(names)),
        (("", ""), *(("", target) for target in targets)),
    )
    known = np.isfinite(half)
    means = Points(
        mine, heights, names, legend=(("", f"average{', 95 % interval over seeds' if known.any() else ''}"),)
    )
    ends = zip(*(np.array([mine - half, mine + half, heights])[:, known]), strict=True)
    strokes = [Lines(np.array([low, high]), np.full((1, 2), y), ("interval",)) for low, high, y in ends]
    alike = found["average"][found["seeds"] == found["seeds"].max()].dropna().sort_values()  # else chance compares
    words = f"Of {int(found['seeds'].max())} seeds: " + ", ".join(f"{n} {100 * v:.1f} %" for n, v in alike[:2].items())
    theirs = found["paper"].to_numpy(float)
    counted = [f"{name} ({count})" for name, count in zip(names, found["seeds"].astype(int), strict=True)]
    y = Axis("method (seeds)", "", 0.0, float(len(names)), tuple(zip(heights, counted, strict=True)))
    shape = {"weight": 0.6 + 0.42 * len(names), "share": 0.62 if np.isfinite(theirs).any() else 1.0}
    x = spread("phone error rate", np.concatenate([each.to_numpy(float).ravel(), mine]))
    made = [Panel("methods", "Unseen speakers, here", (*strokes, means, dots), x, y, words, **shape)]
    if np.isfinite(theirs).any():
        words = f"Eight languages of Common Voice. Lowest: {found['paper'].idxmin()}, {found['paper'].min():.1f} %."
        rows = Axis("", "", 0.0, float(len(names)), tuple((at, "") for at in heights))
        marks = (Points(theirs, heights, names),)
        x = spread("phone error rate", theirs)
        made.append(Panel("paper", "In the paper", marks, x, rows, words, **shape | {"share": 0.38}))
    return made


def spread(label: str, values: np.ndarray) -> Axis:
    """An axis in % around the values, with some room; what a wide interval says beyond it is cut."""
    least, most = np.nanmin(values), np.nanmax(values)
    room = 0.06 * (most - least) + 0.5
    return Axis(label, "%", max(least - room, 0.0), most + room)
