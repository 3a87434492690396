"""Segmentation: borders of phones found in codes, in states, by CTC, and how many lie within a tolerance of the truth.

Precision, recall and F1 can be bought with more borders; the R-value (Räsänen et al. 2009) cannot. Beside each is what
as many borders get that were set down evenly, without listening.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from unispeech_lab.views.panel import Axis, Knob, Panel
from unispeech_lab.views.tables import NOTHING, banded, choice, interval, upright

scope = "analysis"
watches = ()

MEASURES = {"r_value": "R-value", "f1": "F1", "precision": "precision", "recall": "recall", "over": "surplus"}
SHARES = ("f1", "precision", "recall")  # from 0 to 1: what one axis can hold
FLOOR = -0.5  # an R-value below has far too many borders: drawn, it would press all others flat
NAMES = {"codes": "code changes", "jumps": "state jumps", "ctc": "CTC spikes"}


def knobs(analysis) -> dict[str, Knob]:
    methods = analysis.segments["method"].unique()
    tolerances = [round(1000 * seconds) for seconds in sorted(analysis.segments["tolerance"].unique())]
    return {
        "measure": Knob(tuple(MEASURES), "r_value", "measure"),
        "tolerance": choice(tolerances, 20, "tolerance, ms"),
        "method": choice(methods, "codes", "borders from"),
    }


def panels(analysis, measure: str, tolerance: int | str, method: str) -> list[Panel]:
    """One measure of every method over the tolerance; every measure of one method at one tolerance, beside chance."""
    table = analysis.segments
    methods = table["method"].unique()
    curves = {NAMES.get(name, name): scaled(table[table["method"] == name], measure) for name in methods}
    at = sorted(set(np.round(1000 * table["tolerance"], 6)))
    if f"{measure}_chance" in table and method in set(table["method"]):
        rows = table[table["method"] == method]
        chance = rows.assign(ms=np.round(1000 * rows["tolerance"], 6), value=rows[f"{measure}_chance"])
        curves[f"chance, as many as {NAMES.get(method, method)}"] = chance.assign(low=np.nan, high=np.nan)
    drawn, below = clipped(curves) if measure == "r_value" else (curves, "")
    lines = [banded(drawn, "ms", at, np.array(at, float))] if len(at) and drawn else []
    ends = (at[0] - 2, at[-1] + 2) if len(at) else (0.0, 50.0)
    quantity = MEASURES[measure]
    over = Panel(
        "segmentation",
        f"Borders within a tolerance: {quantity}",
        lines,
        Axis("tolerance", "ms", *map(float, ends)),
        upright(lines, quantity, high=0.1),
        told(curves, measure, tolerance) + below,
        weight=2.6,
        share=0.5,
    )
    return [over, profile(table, tolerance, method)]


def scaled(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """One measure's numbers as value, low and high, the tolerance in ms."""
    ends = {end: rows.get(f"{measure}_{end}", np.nan) for end in ("low", "high")}
    return rows.assign(ms=np.round(1000 * rows["tolerance"], 6), value=rows[measure], **ends)


def clipped(curves: Mapping[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], str]:
    """The curves without what lies below ``FLOOR``, and which that concerns."""
    low = {name: rows["value"] < FLOOR for name, rows in curves.items()}
    drawn = {name: rows.assign(value=rows["value"].mask(low[name])) for name, rows in curves.items()}
    below = [name for name in curves if low[name].any()]
    words = f" Not drawn, since below {FLOOR:g}".replace("-", "−") + f": {'; '.join(below)}." if below else ""
    return {name: rows for name, rows in drawn.items() if rows["value"].notna().any()}, words


def told(curves: Mapping[str, pd.DataFrame], measure: str, tolerance) -> str:
    """Every method at the tolerance, the best first; for over-segmentation the nearest to none."""
    if tolerance == NOTHING:
        return "No borders were looked for."
    here = [(name, rows[np.isclose(rows["ms"], tolerance)]) for name, rows in curves.items()]
    here = [(name, rows.iloc[0]) for name, rows in here if len(rows) and np.isfinite(rows["value"].iloc[0])]
    here.sort(key=lambda each: abs(each[1]["value"]) if measure == "over" else -each[1]["value"])
    if not here:
        return f"Nothing was found within {tolerance} ms."
    return f"Within {tolerance} ms: {'; '.join(f'{name} {interval(row)}' for name, row in here)}."


def profile(table: pd.DataFrame, tolerance, method: str) -> Panel:
    """What one method trades for what: shares on one axis; its surplus and its R-value have others, and are words."""
    within = 0 if tolerance == NOTHING else tolerance
    rows = table[(table["method"] == method) & np.isclose(1000 * table["tolerance"].astype(float), within)]
    name = NAMES.get(method, method)
    lines = []
    if len(rows):
        curves = {name: pd.concat([scaled(rows, measure).assign(at=k) for k, measure in enumerate(SHARES)])}
        known = [(k, f"{measure}_chance") for k, measure in enumerate(SHARES) if f"{measure}_chance" in rows]
        chance = [{"at": k, "value": rows[column].iloc[0], "low": np.nan, "high": np.nan} for k, column in known]
        if chance:
            curves["chance"] = pd.DataFrame(chance)
        places = [k / 2 for k in range(2 * len(SHARES) - 1)]  # dots by themselves: nothing is between two measures
        lines = [banded(curves, "at", places, np.array(places))]
    words = "No borders were looked for."
    if len(rows):
        row = rows.iloc[0]
        more = "more" if row["over"] > 0 else "fewer"
        words = (
            f"{row['precision']:.0%} of the borders found are true, {row['recall']:.0%} of the true ones are found; "
            f"there are {abs(row['over']):.0%} {more} than in truth, which leaves an R-value of {row['r_value']:.2f}."
        )
    ticks = tuple((k, MEASURES[measure]) for k, measure in enumerate(SHARES))
    return Panel(
        "segmentation_profile",
        f"{name.capitalize()} within {tolerance} ms",
        lines,
        Axis("measure", "", -0.5, len(SHARES) - 0.5, ticks),
        upright(lines, "share", high=1.0),
        words,
        weight=2.6,
        share=0.5,
    )
