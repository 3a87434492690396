"""Curves: what a training run says of itself, step by step, as panels.

One panel a measure, its training and validation curve together; or, of several runs, one curve each. Tables are those
of ``Run.table``: a row a step, a column a measure, NaN where it was not measured.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from unispeech_lab.views.panel import Axis, Lines, Panel, figures

POINTS = 600  # of a curve: more than a screen can show
SORTED = "right class"  # what accuracy is the share of where nothing is told from negatives

# panel -> (title, curves as (column, name), what it is good for)
MEASURES = {
    "loss": ("loss", (("loss", "training"), ("valid_loss", "validation")), "less is better"),
    "ctc": ("CTC", (("ctc", "training"), ("valid_ctc", "validation")), "less is better"),
    "contrastive": (
        "contrastive",
        (("contrastive", "training"), ("valid_contrastive", "validation")),
        "less is better",
    ),
    "accuracy": ("right codeword", (("accuracy", "training"), ("valid_accuracy", "validation")), "more is better"),
    "perplexity": (
        "codewords in use",
        (("perplexity", "softmax"), ("code_perplexity", "chosen"), ("valid_perplexity", "validation")),
        "near the number of groups the codebook has collapsed",
    ),
    "per": ("phone error rate", (("valid_per", "validation"),), "less is better"),
}


def panels(table: pd.DataFrame, steps: int) -> list[Panel]:
    """The panels of one run that takes so many steps; those of which nothing is known yet are left out."""
    made = []
    for name, (title, columns, sense) in MEASURES.items():
        curves = {said: table[column] for column, said in columns if column in table}
        title = SORTED if name == "accuracy" and "contrastive" not in table else title
        made.append(panel(name, title, curves, steps, sense))
    return [drawn for drawn in made if drawn]


def compare(tables: Mapping[str, pd.DataFrame], steps: int) -> list[Panel]:
    """The panels of several runs, a curve each: validation where there is one, else training."""
    made = []
    for name, (title, columns, sense) in MEASURES.items():
        known = {column for column, _ in columns if any(column in table for table in tables.values())}
        column = next((column for column, _ in reversed(columns) if column in known), None)
        curves = {run: table[column] for run, table in tables.items() if column in table}
        said = dict(columns).get(column)
        made.append(panel(name, f"{title}, {said}", curves, steps, sense))
    return [drawn for drawn in made if drawn]


def panel(name: str, title: str, curves: Mapping[str, pd.Series], steps: int, sense: str) -> Panel | None:
    """One panel of curves over steps; None where there is no number to show."""
    table = pd.DataFrame(curves, dtype=float).replace([np.inf, -np.inf], np.nan)
    table = table.dropna(how="all", axis="columns").dropna(how="all")
    if table.empty:
        return None
    low, high = np.nanmin(table.to_numpy()), np.nanmax(table.to_numpy())
    room = 0.06 * (high - low) or 0.06 * abs(high) or 0.06
    told = ", ".join(f"{name} {last(curves[name])}" for name in table)
    between = thinned(table.interpolate("index", limit_area="inside"))  # measured at other steps than its neighbour
    return Panel(
        name,
        title,
        (Lines(between.index.to_numpy(float), between.to_numpy().T, tuple(between)),),
        Axis("step", "", 0.0, reach(table.index.max(), steps)),
        Axis(title.partition(",")[0], "", float(low - room), float(high + room)),  # the rest is in the title
        f"{told}; {sense}.",
        1.6,
    )


def reach(step: float, steps: int) -> float:
    """Where the axis ends: at the last step, or, while that is far, at a power of two that leaves the curve half."""
    return float(max(min(steps, 2 ** np.ceil(np.log2(2 * max(step, 1)))), step, 1))


def last(curve: pd.Series) -> str:
    """``3.21 at step 240``; or since when it is no number."""
    there = curve.replace([np.inf, -np.inf], np.nan).last_valid_index()
    after = curve.loc[there:].iloc[1:]
    broken = after[after.isin([np.inf, -np.inf])]
    told = f"{figures(curve.loc[there])} at step {there}"
    return f"{told}, infinite from step {broken.index[0]} on" if len(broken) else told


def thinned(table: pd.DataFrame) -> pd.DataFrame:
    """At most so many points, each the mean of its neighbours."""
    if len(table) <= POINTS:
        return table
    group = np.arange(len(table)) * POINTS // len(table)
    return table.reset_index(names="step").groupby(group).mean().set_index("step")
