"""Codes by position: how much codes and phones tell of each other at the onset, in the middle, at the end of a phone.

A frame at a border hears two phones: a code that names the middle of a phone well may be any of several at its edges.
"""

import numpy as np
import pandas as pd

from unispeech_lab.views.panel import Axis, Knob, Panel
from unispeech_lab.views.tables import INTERVAL, apart, banded, choice, interval, upright

scope = "analysis"
watches = ()

CHANCE = "chance"  # what shuffled codes of the same number would give
ORDER = ("onset", "middle", "end", "all")
COUNT = "codes"  # how many were used: a number, no share


def knobs(analysis) -> dict[str, Knob]:
    there = [name for name in analysis.codebook["measure"].unique() if not name.endswith(CHANCE)]
    return {"measure": choice(there, "nmi", "measure")}


def panels(analysis, measure: str, beside=None) -> list[Panel]:
    """One measure over the parts of a phone, beside chance and another model's; then the other measures."""
    table = analysis.codebook
    rows = table[table["measure"] == measure]
    places = sorted(rows["position"].unique(), key=lambda at: (ORDER.index(at) if at in ORDER else len(ORDER), at))
    curves = {"this model": rows}
    if (table["measure"] == f"{measure} {CHANCE}").any():
        curves[CHANCE] = table[table["measure"] == f"{measure} {CHANCE}"]
    if beside is not None and (beside.codebook["measure"] == measure).any():
        curves["the other model"] = beside.codebook[beside.codebook["measure"] == measure]
    lines = [banded(curves, "position", places)] if places else []
    quantity = measure.replace("_", " ") if len(measure) > 3 else measure.upper()
    ticks = tuple(enumerate(places))
    axis = Axis("part of the phone", "", -0.4, max(len(places), 1) - 0.6, ticks)
    title = f"Codes and phones by position: {quantity}" if places else "Codes and phones by position"
    upwards = upright(lines, quantity, high=0.1)
    first = Panel("codes_by_position", title, lines, axis, upwards, told(curves, quantity), weight=2.6, share=0.5)
    others = [name for name in table["measure"].unique() if name not in (measure, COUNT) and CHANCE not in name]
    if not others:
        return [first]
    rest = banded({name: table[table["measure"] == name] for name in others}, "position", places)
    means = [f"{name} {np.nanmean(y):.2f}" for name, y in zip(rest.names, rest.y, strict=True) if np.isfinite(y).any()]
    words = f"On average over the parts: {', '.join(means)}." if means else "None of these has a number."
    upwards = upright([rest], "value", high=0.1)
    return [first, Panel("codes_rest", "What else was measured", (rest,), axis, upwards, words, weight=2.6, share=0.5)]


def told(curves: dict[str, pd.DataFrame], quantity: str) -> str:
    rows = curves["this model"]
    if not rows["value"].notna().any():
        return "This model has no codebook whose codes could be held against phones."
    parts = rows[rows["position"] != "all"] if (rows["position"] != "all").any() else rows
    high, low = (parts.loc[parts["value"].agg(which)] for which in ("idxmax", "idxmin"))
    words = f"{quantity[0].upper()}{quantity[1:]}: most at the {high['position']}, {interval(high)}"
    if high["position"] != low["position"]:
        words += f"; least at the {low['position']}, {interval(low)}"
        if np.isfinite(pd.concat([high, low])[list(INTERVAL)].to_numpy(float)).all():
            words += ": told apart" if apart(high, low) else ": their intervals touch"
    for name, told in ((CHANCE, "By chance"), ("the other model", "The other model")):
        if name in curves:
            here = curves[name][curves[name]["position"] == high["position"]]["value"]
            words += f". {told} {here.iloc[0]:.2f} there" if len(here) else ""
    return f"{words}."
