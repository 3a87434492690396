"""Layerwise: which layer knows what, every number within its interval, beside what it has to be compared with.

A number alone says little. A probe stands beside its control task, the same probe of labels that mean nothing (Hewitt
and Liang 2019), an ABX error beside one half, a model beside MFCC, and beside one that has learned nothing: give that
one's analysis as ``beside``.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from unispeech_lab.views.panel import Knob, Lines, Panel
from unispeech_lab.views.tables import apart, banded, choice, decimals, interval, labels, layer_axis, listed, upright

scope = "analysis"
watches = ()

MEASURES = {
    "probe": "share read right",
    "selectivity": "probe less its control",
    "pwcca": "PWCCA",
    "cca": "mean CCA",
    "svcca": "SVCCA",
    "cka": "CKA",
    "information": "information",
    "abx": "ABX error",
}
CONTROL = {"probe": "control"}  # measured besides
CHANCE = {"abx": 0.5}  # known beforehand
LESS = ("abx",)  # the lower, the better
THIS, TASK, OTHER, MFCC = "this model", "control task", "the other model", "MFCC"


def knobs(analysis) -> dict[str, Knob]:
    there = set(analysis.layers["measure"])
    measures = [name for name in MEASURES if name in there] + sorted(there - {*MEASURES, *CONTROL.values()})
    targets = analysis.layers.loc[analysis.layers["measure"].isin(measures), "target"]
    return {"measure": choice(measures, "probe", "measure"), "target": choice(targets, "phone", "of")}


def panels(analysis, measure: str, target: str, beside=None) -> list[Panel]:
    """One measure of everything it was taken of; of one target beside its control and another model's."""
    found = labels(analysis.layers)
    rows = of(analysis.layers, measure)
    curves = {name: rows[rows["target"] == name] for name in rows["target"].unique()}
    lines = banded(curves, "layer", list(found))
    told = [f"{name} {best(each, measure, found)}" for name, each in curves.items() if each["value"].notna().any()]
    how = "Least" if measure in LESS else "Most"
    words = f"{how}, with 95% intervals: {'; '.join(told)}." if told else "Nothing was measured."
    quantity = MEASURES.get(measure, measure)
    every = Panel(
        "layerwise",
        f"Which layer knows what: {quantity}",
        (lines,),
        layer_axis(found),
        upright([lines], quantity),
        words + far(measure, [lines]),
        weight=2.6,
        share=0.5,
    )
    return [every, one(analysis, measure, target, beside, found)]


def one(analysis, measure: str, target: str, beside, found: dict[int, str]) -> Panel:
    """A measure of one target, with all that it has to be compared with."""
    quantity = MEASURES.get(measure, measure)
    curves = {THIS: of(analysis.layers, measure, target)}
    if measure in CONTROL:
        curves[TASK] = of(analysis.layers, CONTROL[measure], target)
    if beside is not None:
        curves[OTHER] = of(beside.layers, measure, target)
    level = of(analysis.baseline, measure, target).head(1)  # one number, whatever the layer
    curves[MFCC] = pd.concat([level.assign(layer=layer) for layer in found]) if found else level
    curves = {name: rows for name, rows in curves.items() if rows["value"].notna().any()}
    beyond = far(measure, [banded(curves, "layer", list(found))] if curves else [])
    if measure in CHANCE and curves and not beyond:
        level = pd.DataFrame({"layer": list(found), "value": CHANCE[measure], "low": np.nan, "high": np.nan})
        curves["chance"] = level
    marks = [banded(curves, "layer", list(found))] if curves else []
    return Panel(
        "layerwise_one",
        f"{MFCC if target == 'mfcc' else target.capitalize()}, beside what it has to beat",
        tuple(marks),
        layer_axis(found),
        upright(marks, quantity),
        said(curves, measure, target, found) + beyond,
        weight=2.6,
        share=0.5,
    )


def far(measure: str, lines: Sequence[Lines]) -> str:
    """Where guessing lies, if that is so far beyond all bands that an axis up to it would press them flat."""
    if measure not in CHANCE or not lines:
        return ""
    beyond = upright(lines, "").stop < CHANCE[measure] / 2
    return f" Guessing, {CHANCE[measure]:.2f}, is far beyond this axis." if beyond else ""


def of(layers: pd.DataFrame, measure: str, target: str | None = None) -> pd.DataFrame:
    """The rows of a measure, and of one target."""
    kept = layers["measure"] == measure
    return layers[kept if target is None else kept & (layers["target"] == target)]


def top(rows: pd.DataFrame, measure: str) -> pd.Series:
    """The row of the layer that is best."""
    return rows.loc[rows["value"].idxmin() if measure in LESS else rows["value"].idxmax()]


def best(rows: pd.DataFrame, measure: str, found: dict[int, str]) -> str:
    row = top(rows, measure)
    return f"in {found[int(row['layer'])]}, {interval(row)}"


def said(curves: dict[str, pd.DataFrame], measure: str, target: str, found: dict[int, str]) -> str:
    """How clear the best layer is, and what it has over what stands beside it."""
    if THIS not in curves:
        return f"{MEASURES.get(measure, measure)} was not measured of {target}."
    row = top(curves[THIS], measure)
    there = curves[THIS].dropna(subset=["value"])
    others = there[there["layer"] != row["layer"]]
    alike = [int(each["layer"]) for _, each in others.iterrows() if not apart(row, each)]
    words = f"Best in {found[int(row['layer'])]}: {interval(row)}"
    if np.isfinite([row["low"], row["high"]]).all() and len(others):
        names = [found[layer] for layer in alike] if len(alike) < 3 else [f"{len(alike)} of {len(others)} others"]
        words += f", too near to tell from {listed(names)}" if alike else ", clear of every other layer"
    sentences = [f"{words}."]
    for name in [name for name in (TASK, OTHER, MFCC) if name in curves]:
        pairs = there.merge(curves[name], on="layer", suffixes=("", "_other")).dropna(subset=["value_other"])
        here = pairs[pairs["layer"] == row["layer"]]
        if len(here):
            level = here["value_other"].iloc[0]
            clear = int(((pairs["low"] > pairs["high_other"]) | (pairs["low_other"] > pairs["high"])).sum())
            more = f"{level:.{decimals(level)}f} there, {row['value'] - level:+.{decimals(row['value'])}f}"
            sentences.append(f"{name[0].upper()}{name[1:]}: {more}; apart in {clear} of {len(pairs)} layers.")
    if "chance" in curves:
        sentences.append(f"Guessing: {CHANCE[measure]:.2f}.")
    return " ".join(sentences)
