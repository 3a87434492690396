"""Likeness: which layers say the same, by linear CKA: of one model, of two.

CKA does not see a rotation (Kornblith et al. 2019), and is led by the directions of most variance: a few frames far
from all others can raise it or lower it by much (Davari et al. 2022). Neighbours are alike in any network with residual
connections, an untrained one too.
"""

import numpy as np
import pandas as pd

from unispeech_lab.views.panel import Axis, Heatmap, Knob, Lines, Panel
from unispeech_lab.views.tables import called, choice, labels, layer_axis

scope = "analysis"
watches = ()


def knobs(analysis) -> dict[str, Knob]:
    found = named(analysis)
    return {"layer": choice(found, found[-1] if found else None, "layer")}


def panels(analysis, layer: str, beside=None, across: pd.DataFrame | None = None) -> list[Panel]:
    """Layers by layers, and one row of that as a curve; ``beside`` is another model's analysis, ``across`` has this
    model's layers as rows, those of another as columns. A click on a row opens it."""
    found = named(analysis)
    if not found:
        return [square("likeness", "Layers by layers", np.zeros((0, 0)), [], [], "No layers were compared.")]
    inside = values(analysis.similarity)
    at, others = found.index(layer), {"this model": inside[found.index(layer)]}
    shown = [square("likeness", "Layers of this model", inside, found, found, told(inside, found))]
    if beside is not None:
        theirs, names = values(beside.similarity), named(beside)
        shown.append(square("likeness_beside", "Layers of the other", theirs, names, names, told(theirs, names)))
        if len(theirs) == len(inside):
            others["the other model"] = theirs[at]
    if across is not None:
        between = values(across)
        names = [label(analysis, column) for column in across.columns]
        shown.append(square("likeness_across", "This by the other", between, found, names, met(between, found, names)))
        if between.shape == inside.shape:
            others["this by the other"] = between[at]
    return [*shown, row(others, layer, found)]


def named(analysis) -> list[str]:
    return [label(analysis, layer) for layer in analysis.similarity.index]


def label(analysis, layer) -> str:
    """A layer's name in other views, whether the table has its number or its module's name."""
    known = labels(analysis.layers)
    return known[int(layer)] if not isinstance(layer, str) and int(layer) in known else called(layer, layer)


def values(table: pd.DataFrame) -> np.ndarray:
    return table.to_numpy(float)


def square(name: str, title: str, found: np.ndarray, rows: list[str], columns: list[str], words: str) -> Panel:
    """CKA (row, column), the sound at the lower left; its rows turn the knob."""
    width, height = (float(max(len(side), 1)) for side in (columns, rows))
    picture = Heatmap(
        found,
        (0.0, width),
        (0.0, height),
        0.0,
        1.0,
        quantity="CKA",
        rows=tuple(rows),
        columns=tuple(columns),
        sets=("", ("layer", tuple(rows))),
    )
    ticks = [tuple((k + 0.5, side.removeprefix("layer ")) for k, side in enumerate(names)) for names in (columns, rows)]
    axes = Axis("layer", "", 0.0, width, ticks[0]), Axis("layer", "", 0.0, height, ticks[1])
    return Panel(name, title, (picture,) if found.size else (), *axes, words, weight=3.2, share=0.5)


def told(inside: np.ndarray, found: list[str]) -> str:
    """How alike neighbours are, and where the sharpest turn is."""
    if len(inside) < 2:
        return f"One layer, {found[0]}, is like itself." if found else "No layers were compared."
    steps = np.diagonal(inside, 1)
    if not np.isfinite(steps).any():
        return "No two neighbours could be compared."
    turn = int(np.nanargmin(steps))
    return (
        f"Neighbours have a CKA of {np.nanmean(steps):.2f} on average; least alike are {found[turn]} and "
        f"{found[turn + 1]}, {steps[turn]:.2f}; {found[0]} and {found[-1]}: {inside[0, -1]:.2f}."
    )


def met(between: np.ndarray, rows: list[str], columns: list[str]) -> str:
    """Which layer of the other is likest to each of this model's ends."""
    if not np.isfinite(between).all():
        return "Some layers could not be compared."
    likest = between.argmax(1)
    same = int((likest == np.arange(len(likest))).sum())
    return (
        f"Likest to {rows[0]} is the other's {columns[likest[0]]}, {between[0, likest[0]]:.2f}; to {rows[-1]} its "
        f"{columns[likest[-1]]}, {between[-1, likest[-1]]:.2f}. For {same} of {len(rows)} layers it is the same layer."
    )


def row(curves: dict[str, np.ndarray], layer: str, found: list[str]) -> Panel:
    """One layer against all."""
    y = np.stack(list(curves.values()))
    none = np.full(y.shape, np.nan)
    lines = Lines(np.arange(len(found), dtype=float), y, tuple(curves), low=none, high=none)
    rest = [k for k in range(len(found)) if found[k] != layer and np.isfinite(y[0, k])]
    name = layer.capitalize()
    words = f"{name} has nothing beside it."
    if rest:
        near, far = max(rest, key=lambda k: y[0, k]), min(rest, key=lambda k: y[0, k])
        words = f"{name} is likest to {found[near]}, {y[0, near]:.2f}, least to {found[far]}, {y[0, far]:.2f}."
    axes = layer_axis(dict(enumerate(found))), Axis("CKA", "", 0.0, 1.05)
    return Panel("likeness_row", f"{name} against every layer", (lines,), *axes, words, 3.2, share=0.5)
