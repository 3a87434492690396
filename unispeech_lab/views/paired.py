"""Paired: two methods held against each other run by run, from a table of error rates.

    difference of a pair = rate of the one - rate of the other,        same target, same seed

Targets differ more than methods do, and so may seeds: in a pair both are alike. The interval is Student's, over seeds
(each the mean of its targets), since the targets of a seed share what was learned before; the test swaps the members
of the pairs at random.
"""

import numpy as np
import pandas as pd
from scipy import stats

from unispeech_lab.analysis.bootstrap import paired
from unispeech_lab.views.panel import Axis, Knob, Lines, Panel, Points
from unispeech_lab.views.tables import choice

scope = "analysis"
watches = ()

OURS, PARENT, ALL = "unispeech", "wav2vec2", "all targets"


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
    """Each run a point, each method's mean in its interval, of the targets and seeds that all methods have."""
    whole = rows.groupby(["target", "seed"])["method"].transform("nunique") == rows["method"].nunique()
    rows = rows[whole] if whole.any() else rows
    names = list(dict.fromkeys(rows["method"]))
    means = [100 * rows[rows["method"] == name].groupby("seed")["per"].mean() for name in names]
    marks, words = (), "No runs."
    if names:
        at = np.array([names.index(name) for name in rows["method"]], float) + 0.75
        labels = tuple(f"{r.method}, {r.target}, seed {r.seed}: {100 * r.per:.1f} %" for r in rows.itertuples())
        marks = (
            *in_interval(means, names),
            Points(at, 100 * rows["per"].to_numpy(float), labels, *as_runs(at, "a run")),
        )
        found = [mean.mean() for mean in means]
        least, most = int(np.argmin(found)), int(np.argmax(found))
        words = f"Least errors on {target}: {names[least]}, {found[least]:.1f} %"
        words += f"; most: {names[most]}, {found[most]:.1f} %" if len(names) > 1 else ""
        words += (
            f" ({len(rows) // len(names)} runs of each)." if whole.any() else " (not of the same targets and seeds)."
        )
    return Panel("rates", "Phone error rate, every run", marks, ticks("method", names), upright(marks), words, 2.6)


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
        nought = Lines(ends, np.zeros((1, 2)), ("no difference",), "points")
        dots = Points(at, pairs["apart"].to_numpy(float), labels, *as_runs(at, "a pair: one target, one seed"))
        names = names + ["together"] * len(together)
        marks = (nought, *in_interval(each + together, names), dots)
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
    mean, half = float(pairs["apart"].mean()), half_width(by_seed)
    spread = f", 95 % interval {mean - half:+.1f} to {mean + half:+.1f} over {len(by_seed)} seeds"
    spread = spread if np.isfinite(half) else ", one seed: no interval"
    kind = "fewer" if mean < 0 else "more"
    chance = f"random signs give as much in {paired(pairs['apart']):.1%} of all draws"
    return (
        f"On {target}, {method} makes {abs(mean):.1f} points {kind} errors than {against}{spread}; "
        f"of {len(pairs)} pairs {int((pairs['apart'] < 0).sum())} are below nought, and {chance}."
    )


def half_width(values: pd.Series) -> float:
    """Half of the 95 % interval of a mean, by Student's t; NaN for fewer than two values."""
    if len(values) < 2:
        return float("nan")
    return float(stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def in_interval(groups: list[pd.Series], names: list[str]) -> tuple:
    """A mean a group, over its interval where it has one; NaN between two, so that nothing joins them."""
    middles, mean = np.arange(len(groups)) + 0.45, np.array([group.mean() for group in groups])
    half = np.array([half_width(group) for group in groups])
    labels = tuple(f"{name}, mean: {m:.1f}" for name, m in zip(names, mean, strict=True))
    dots = Points(middles, mean, labels, legend=(("", "mean, 95 % interval over seeds"),))
    if not np.isfinite(half).any():
        return (dots,)
    x = (middles[:, None] + [-0.07, 0.07, 0.08]).ravel()
    value, low, high = (np.repeat(y, 3) for y in (mean, mean - half, mean + half))
    for y in (value, low, high):
        y[2::3] = np.nan
    return (Lines(x, value[None], ("mean",), "%", low[None], high[None]), dots)


def as_runs(at: np.ndarray, what: str) -> tuple:
    """Kinds of dots that are told from means, with their legend."""
    return np.ones(len(at), int), (("", ""), ("", what))


def ticks(label: str, names: list[str]) -> Axis:
    return Axis(label, "", 0.0, float(max(len(names), 1)), tuple((k + 0.5, name) for k, name in enumerate(names)))


def upright(marks: tuple, label: str = "phone error rate", unit: str = "%") -> Axis:
    ends = [getattr(mark, end, None) for mark in marks for end in ("y", "low", "high")]
    known = np.concatenate([np.zeros(0), *(np.ravel(y) for y in ends if y is not None)])
    found = known[np.isfinite(known)] if np.isfinite(known).any() else np.zeros(1)
    room = 0.08 * float(np.ptp(found)) + 0.5
    return Axis(label, unit, float(found.min()) - room, float(found.max()) + room)
