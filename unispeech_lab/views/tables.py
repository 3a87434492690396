"""Tables: rows of an analysis as curves with bands, its layers by their names.

An analysis is tables that were measured before: one row a number, with ``low`` and ``high``, its 95 % interval. What
the views over one have in common is here.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from unispeech_lab.analysis import depth
from unispeech_lab.views.panel import Axis, Knob, Lines

INTERVAL = ("value", "low", "high")
NOTHING = "–"  # what a knob stands at where nothing was measured


def choice(values: Sequence, wanted, label: str) -> Knob:
    """A knob over what was measured; it begins at what is wanted, if that was."""
    values = tuple(dict.fromkeys(values)) or (NOTHING,)
    return Knob(values, wanted if wanted in values else values[0], label)


def called(layer, name: str = "") -> str:
    """What a layer is called, as in all views: by its module's name, else by its number."""
    known = depth.layers([name]) if isinstance(name, str) else []
    return known[0].label if known else str(layer)


def labels(layers: pd.DataFrame) -> dict[int, str]:
    """Layer -> what it is called, from the sound up."""
    found = layers.drop_duplicates("layer").sort_values("layer")
    return {int(row.layer): called(row.layer, row.name) for row in found[["layer", "name"]].itertuples(index=False)}


def layer_axis(found: Mapping[int, str]) -> Axis:
    """Layers side by side, those of the encoder by the numbers of their names: layer 0 is the first."""
    ticks = [(k, label.removeprefix("layer ")) for k, label in enumerate(found.values())]
    return Axis("layer", "", -0.4, max(len(ticks), 1) - 0.6, tuple(ticks))


def banded(curves: Mapping[str, pd.DataFrame], along: str, places: Sequence, x: np.ndarray | None = None) -> Lines:
    """A curve a table: its numbers in their intervals where the column ``along`` has each of the places."""
    ends = []
    for column in INTERVAL:
        each = [rows.drop_duplicates(along).set_index(along)[column].reindex(places) for rows in curves.values()]
        ends.append(np.array(each, float).reshape(len(curves), len(places)))
    value, low, high = ends
    x = np.arange(len(places), dtype=float) if x is None else x
    return Lines(x, value, tuple(curves), low=low, high=high)


def upright(lines: Sequence[Lines], label: str, low: float = 0.0, high: float = 0.0) -> Axis:
    """An axis that holds all bands, and from ``low`` to ``high`` at least."""
    found = [end[np.isfinite(end)] for line in lines for end in (line.y, line.low, line.high) if end is not None]
    known = np.concatenate([[low, high], *found])
    room = 0.06 * max(float(np.ptp(known)), 1e-3)
    return Axis(label, "", float(known.min()) - (room if known.min() < 0 else 0.0), float(known.max()) + room)


def interval(row) -> str:
    """A number with its interval, where it has one: ``0.71 [0.68, 0.74]``."""
    digits = decimals(row["value"])
    known = np.isfinite([row["low"], row["high"]]).all()
    return f"{row['value']:.{digits}f}" + (f" [{row['low']:.{digits}f}, {row['high']:.{digits}f}]" if known else "")


def decimals(value: float) -> int:
    """How many a number is told with: two, of small ones as many as show two digits of it."""
    return max(2, 1 - int(np.floor(np.log10(abs(value))))) if 0 < abs(value) < np.inf else 2


def apart(row, other) -> bool:
    """Whether the intervals of two numbers do not touch."""
    return bool(row["low"] > other["high"] or other["low"] > row["high"])


def listed(items: Sequence[str]) -> str:
    """``a, b and c``."""
    *before, last = items
    return f"{', '.join(before)} and {last}" if before else last
