"""Paired: two methods held against each other run by run, from a table of error rates.

    difference of a pair = rate of the one - rate of the other,        same target, same seed

Targets differ more than methods do, and so may seeds: in a pair both are alike. The interval is Student's, over seeds
(each the mean of its targets), since the targets of a seed share what was learned before, and so is the paired t test.
"""

import numpy as np
import pandas as pd

from unispeech_lab.analysis.bootstrap import half_width, student_p
from unispeech_lab.views.panel import Axis, Knob, Lines, Panel, Points
from unispeech_lab.views.tables import choice

scope = "analysis"
watches = ()

OURS, PARENT, ALL = "unispeech", "wav2vec2", "all targets"
APART = "○"  # the sign of a run that counts for no mean


def knobs(table: pd.DataFrame) -> dict[str, Knob]:
    """``table``: a row a run, columns ``setting method target seed per``."""
    methods = list(dict.fromkeys(table["method"]))
    others = sorted(methods, key=lambda name: name == OURS)
    return {
        "setting": choice(table["setting"], "one-to-one", "setting"),
        "method": choice(methods, OURS, "method"),
        "against": choice(others, PARENT, "against"),
        "target": choice([ALL, *dict.fromkeys(table["target"])], ALL, "target"),
    }


def panels(table: pd.DataFrame, setting: str, method: str, against: str, target: str) -> list[Panel]:
    """Every method's runs, then the differences of two methods pair by pair."""
    rows = table[table["setting"] == setting]
    rows = rows if target == ALL else rows[rows["target"] == target]
    return [rates(rows, target), differences(rows, method, against, target)]


def rates(rows: pd.DataFrame, target: str) -> Panel:
    """Each run a point, each method's mean in its interval; means are of the targets and seeds that all methods have.

    A run of another target or seed has another sign, and counts for no mean. Where all have nothing in common, each
    mean is of its method's own runs, and the words say so.
    """
    shared = (rows.groupby(["target", "seed"])["method"].transform("nunique") == rows["method"].nunique()).to_numpy()
    fair = shared.any()
    counted = shared if fair else np.ones(len(rows), bool)
    names = list(dict.fromkeys(rows["method"]))
    marks, words = (), "No runs."
    if names:
        means = [100 * rows[counted & (rows["method"] == name)].groupby("seed")["per"].mean() for name in names]
        at = np.array([names.index(name) for name in rows["method"]], float) + np.where(counted, 0.75, 0.85)
        labels = tuple(f"{r.method}, {r.target}, seed {r.seed}: {100 * r.per:.1f} %" for r in rows.itertuples())
        legend = (("", ""), ("", "a run"), (APART, "a run that counts for no mean"))
        marks = (
            *in_interval(means, names),
            Points(at, 100 * rows["per"].to_numpy(float), labels, np.where(counted, 1, 2), legend),
        )
        found = [mean.mean() for mean in means]
        least, most = int(np.argmin(found)), int(np.argmax(found))
        words = f"Least errors on {target}: {names[least]}, {found[least]:.1f} %"
        words += f"; most: {names[most]}, {found[most]:.1f} %" if len(names) > 1 else ""
        each = f"{int(counted.sum()) // len(names)} runs of each" if fair else "not of the same targets and seeds"
        words = f"{left_out(rows[~counted], len(rows))}{words} ({each})."
    return Panel("rates", "Phone error rate, every run", marks, ticks("method", names), upright(marks), words, 2.6)


def left_out(rows: pd.DataFrame, of: int) -> str:
    """Which runs count for no mean, and the worst of them."""
    if rows.empty:
        return ""
    worst = rows.loc[rows["per"].idxmax()]
    return (
        f"Means leave out {len(rows)} of {of} runs ({APART}), whose target or seed not all methods have, up to "
        f"{100 * worst['per']:.1f} % ({worst['method']}, {worst['target']}, seed {worst['seed']}). "
    )


def differences(rows: pd.DataFrame, method: str, against: str, target: str) -> Panel:
    """How much one method's rate is above the other's, target by target; a line at no difference."""
    pairs = paired_off(rows, method, against)
    title = f"{method} less {against}, pair by pair"
    names = list(dict.fromkeys(pairs["target"]))
    marks, words = (), f"{method} and {against} have no pair of the same target and seed."
    if len(pairs):
        each = [pairs[pairs["target"] == name].set_index("seed")["apart"] for name in names]
        together = [pairs.groupby("seed")["apart"].mean()] if len(names) > 1 else []
        at = np.array([names.index(name) for name in pairs["target"]], float) + 0.75
        labels = tuple(f"{p.target}, seed {p.seed}: {p.apart:+.1f}" for p in pairs.itertuples())
        ends = np.array([0.0, len(names) + len(together)])
        none = np.zeros((1, 2))
        nought = Lines(ends, none, ("a line of no difference at",), "", none, none)  # an interval that is a stroke
        legend = (("", ""), ("", "a pair: one target, one seed"))
        dots = Points(at, pairs["apart"].to_numpy(float), labels, np.ones(len(at), int), legend)
        names = names + ["together"] * len(together)
        marks = (nought, *in_interval(each + together, names, "points"), dots)
        words = told(pairs, method, against, target)
    axes = ticks("target", names), upright(marks, "difference", "points")
    return Panel("differences", title, marks, *axes, words, 2.6)


def paired_off(rows: pd.DataFrame, method: str, against: str) -> pd.DataFrame:
    """``target``, ``seed``, ``apart`` in percentage points, of the runs that both methods have."""
    wide = rows.pivot(index=["target", "seed"], columns="method", values="per").reindex(columns=[method, against])
    apart = 100 * (wide.iloc[:, 0] - wide.iloc[:, 1]).dropna()
    return apart.rename("apart").reset_index()


def told(pairs: pd.DataFrame, method: str, against: str, target: str) -> str:
    if method == against:
        return f"Choose a method to hold {method} against."
    by_seed = pairs.groupby("seed")["apart"].mean()
    mean, half = float(by_seed.mean()), half_width(by_seed)  # as drawn: a seed counts once
    sure = "one seed, no interval"
    if np.isfinite(half):
        ends = f"{mean - half:+.1f} to {mean + half:+.1f}"
        sure = f"95 % interval {ends}, p = {student_p(by_seed):.3f}, {len(by_seed)} seeds"
    kind = "fewer" if mean < 0 else "more"
    return (
        f"{method} makes {abs(mean):.1f} points {kind} errors ({sure}) than {against} on {target}; "
        f"of {len(pairs)} runs in pairs {int((pairs['apart'] < 0).sum())} are below nought."
    )


def in_interval(groups: list[pd.Series], names: list[str], unit: str = "%") -> tuple:
    """A mean a group, over its interval where it has one; NaN between two, so that nothing joins them."""
    middles, mean = np.arange(len(groups)) + 0.45, np.array([group.mean() for group in groups])
    half = np.array([half_width(group) for group in groups])
    sure = np.isfinite(half)
    labels = tuple(f"{name}, mean: {m:.1f}" for name, m in zip(names, mean, strict=True))
    over = ", 95 % interval over seeds" if sure.all() else ", 95 % interval where there are two seeds"
    dots = Points(middles, mean, labels, legend=(("", f"mean{over if sure.any() else ''}"),))
    if not sure.any():
        return (dots,)
    x = (middles[:, None] + [-0.07, 0.07, 0.08]).ravel()
    value, low, high = (np.repeat(y, 3) for y in (mean, mean - half, mean + half))
    for y in (value, low, high):
        y[2::3] = np.nan
    return (Lines(x, value[None], ("mean",), unit, low[None], high[None]), dots)


def ticks(label: str, names: list[str]) -> Axis:
    return Axis(label, "", 0.0, float(max(len(names), 1)), tuple((k + 0.5, name) for k, name in enumerate(names)))


def upright(marks: tuple, label: str = "phone error rate", unit: str = "%") -> Axis:
    """Around all dots; an interval that reaches beyond them by more than they span ends outside the picture."""
    dots, ends = (
        known([getattr(mark, end, None) for mark in marks for end in which]) for which in (("y",), ("low", "high"))
    )
    dots = dots if len(dots) else np.zeros(1)
    least, most, span = float(dots.min()), float(dots.max()), float(np.ptp(dots))
    start, stop = float(ends.min(initial=least)), float(ends.max(initial=most))
    if span:
        start, stop = max(start, least - span), min(stop, most + span)
    room = 0.08 * (stop - start) + 0.5
    return Axis(label, unit, start - room, stop + room)


def known(values: list) -> np.ndarray:
    """All numbers of some arrays, flat, without NaN."""
    flat = np.concatenate([np.zeros(0), *(np.ravel(each) for each in values if each is not None)])
    return flat[np.isfinite(flat)]
