"""Interventions: what a recipe's changes inside a model move at its end, the most first, in their intervals.

A model that is changed inside hears what it never heard in training: what is lost without a head may be what the others
could have made up for, and the way to take it away decides by how much (Chan et al. 2022; Zhang and Nanda 2024).
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from unispeech_lab.views.panel import Axis, Heatmap, Knob, Panel, figures
from unispeech_lab.views.tables import banded, choice, interval, upright

scope = "analysis"
watches = ()

MOST = 28  # as many as have room side by side
MEASURES = {
    "kl": ("KL", "nats"),
    "moved": ("belief moved", ""),
    "reading": ("frames read otherwise", ""),
    "errors": ("phone errors more", ""),
    "states": ("1 − cosine of the states", ""),
    "becomes": ("read as the other phone", ""),
    "stays": ("read as before", ""),
    "belief": ("belief in the other phone", ""),
}


def knobs(table: pd.DataFrame) -> dict[str, Knob]:
    there = [name for name in MEASURES if f"{name}_low" in table and table[name].notna().any()]
    return {"measure": choice(there, "becomes" if exchanges(table) else "kl", "measure")}


def panels(table: pd.DataFrame, measure: str, beside: pd.DataFrame | None = None) -> list[Panel]:
    """A dot an intervention; those of single heads as layers by heads too. ``table``: what ``Recipe.run`` gives,
    ``beside``: the same of another model."""
    quantity, unit = MEASURES.get(measure, (measure, ""))
    rows = numbers(table, measure)
    if not exchanges(table):  # those go up through the model, and stay in that order
        rows = rows.sort_values("value", ascending=False, ignore_index=True)
    grid = heads(rows, quantity, unit)
    others = None if beside is None else numbers(beside, measure)
    kinds = sorted(rows["kind"].unique(), key=lambda kind: kind != "heads")  # heads are many, and small beside layers
    each = [(kind, rows[rows["kind"] == kind].reset_index(drop=True)) for kind in kinds] or [("", rows)]
    shares = [1.0] * (len(each) - 1) + [0.5 if grid else 1.0]
    found = [ranked(part, others, quantity, unit, share) for (_, part), share in zip(each, shares, strict=True)]
    if len(each) > 1:  # each with an axis of its own
        found = [
            replace(panel, name=f"{panel.name}_of_{kind}" if k else panel.name, title=f"{panel.title}, {kind}")
            for k, (panel, kind) in enumerate(zip(found, kinds, strict=True))
        ]
    return [*found, *grid]


def exchanges(table: pd.DataFrame) -> bool:
    """Whether phones are exchanged and nothing else is done."""
    return bool(len(table)) and bool((table["kind"] == "phones").all())


def numbers(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """One measure as value, low and high."""
    columns = dict(zip(("value", "low", "high"), (measure, f"{measure}_low", f"{measure}_high"), strict=True))
    return table.assign(**{name: table.get(column, np.nan) for name, column in columns.items()})


def ranked(rows: pd.DataFrame, others: pd.DataFrame | None, quantity: str, unit: str, share: float) -> Panel:
    """Interventions side by side; the other model's beside each."""
    shown = rows.head(MOST).assign(at=np.arange(min(len(rows), MOST), dtype=float))
    curves = {"this model": shown}
    if others is not None:
        curves["the other model"] = others.merge(shown[["intervention", "at"]], on="intervention")
    places = np.arange(max(2 * len(shown) - 1, 0)) / 2  # dots by themselves: nothing lies between two changes
    lines = [banded(curves, "at", list(places), places)] if len(shown) else []
    names = list(shown["intervention"])
    edits = {name.rpartition(" ")[2] for name in names}
    alike = edits.pop() if len(edits) == 1 else ""  # what is done to all is said once
    ticks = tuple((k, name.removesuffix(f" {alike}").removeprefix("head ")) for k, name in enumerate(names))
    label = f"{quantity}, {unit}" if unit else quantity
    changed = f"what was changed: {alike}" if alike else "what was changed"
    axes = Axis(changed, "", -0.6, max(len(shown), 1) - 0.4, ticks), upright(lines, label)
    title = f"What each change moves: {quantity}"
    return Panel("interventions", title, lines, *axes, told(rows, others, quantity), weight=3.0, share=share)


def told(rows: pd.DataFrame, others: pd.DataFrame | None, quantity: str) -> str:
    known = rows.dropna(subset=["value"]).sort_values("value", ascending=False)
    if known.empty:
        return "Nothing was changed, or nothing came of it that could be measured."
    first, last = known.iloc[0], known.iloc[-1]
    words = f"{quantity}: most by {first['intervention']}, {interval(first)}"
    if len(known) > 1:
        clear = int((known["high"].iloc[1:] < first["low"]).sum())
        words += f", clear of {clear} of {len(known) - 1} others; least by {last['intervention']}, {interval(last)}"
    words += f"; {len(rows) - MOST} more are not drawn." if len(rows) > MOST else "."
    if others is not None:
        both = known.merge(others.dropna(subset=["value"]), on="intervention", suffixes=("", "_other"))
        order = both[["value", "value_other"]].corr("spearman").iloc[0, 1] if len(both) > 2 else np.nan
        words += f" Rank correlation with the other model: {order:.2f}." if np.isfinite(order) else ""
    return words


def heads(rows: pd.DataFrame, quantity: str, unit: str) -> list[Panel]:
    """Layers by heads, where single heads were changed."""
    single = rows[rows["kind"] == "heads"].dropna(subset=["layer", "item", "value"])
    if single.empty:
        return []
    found = single.pivot_table(index="layer", columns="item", values="value", aggfunc="first")
    values = found.to_numpy(float, na_value=np.nan)
    height, width = map(float, values.shape)
    picture = Heatmap(
        values,
        (0.0, width),
        (0.0, height),
        min(float(np.nanmin(values)), 0.0),
        max(float(np.nanmax(values)), 1e-6),
        unit,
        quantity,
        tuple(f"layer {int(k)}" for k in found.index),
        columns=tuple(f"head {int(k)}" for k in found.columns),
    )
    axes = Axis("head", "", 0.0, width, centred(found.columns)), Axis("layer", "", 0.0, height, centred(found.index))
    means = np.nanmean(values, axis=1)
    words = (
        f"On average over heads most in layer {int(found.index[means.argmax()])}, {figures(means.max())}, "
        f"least in layer {int(found.index[means.argmin()])}, {figures(means.min())}."
    )
    return [Panel("interventions_heads", f"By head: {quantity}", (picture,), *axes, words, weight=3.0, share=0.5)]


def centred(numbers) -> tuple[tuple[float, str], ...]:
    return tuple((k + 0.5, str(int(number))) for k, number in enumerate(numbers))
