"""Code stability: how far models put the same frames under the same codes, each pair beside chance.

Two seeds of one method say how much of a codebook is the method's, and how much the dice's.
"""

import numpy as np
import pandas as pd

from unispeech_lab.views.panel import Axis, Heatmap, Knob, Panel, Table, nowhere
from unispeech_lab.views.tables import choice, interval

scope = "analysis"
watches = ()

MEASURES = {
    "matched": "frames matched",
    "rand": "adjusted Rand index",
    "nmi": "NMI",
    "ami": "adjusted NMI",
}


def knobs(table: pd.DataFrame) -> dict[str, Knob]:
    return {
        "measure": choice([name for name in MEASURES if name in set(table["measure"])], "ami", "measure"),
        "codes": choice(table["codes"], "joint", "codes"),
    }


def panels(table: pd.DataFrame, measure: str, codes: str) -> list[Panel]:
    """Models by models, then every pair in its interval, the likest first; ``table``: that of ``compare_all``."""
    rows = table[(table["measure"] == measure) & (table["codes"] == codes)]
    rows = rows.sort_values("value", ascending=False, ignore_index=True)
    names = list(dict.fromkeys([*table["one"], *table["other"]]))
    quantity = MEASURES.get(measure, measure)
    return [matrix(rows, names, quantity), pairs(rows, quantity)]


def matrix(rows: pd.DataFrame, names: list[str], quantity: str) -> Panel:
    """The measure of each two models; a model's likeness to itself is left out, so that the colours tell the rest."""
    found = np.full((len(names), len(names)), np.nan)
    for row in rows.itertuples():
        at = names.index(row.one), names.index(row.other)
        found[at] = found[at[::-1]] = row.value
    size = float(max(len(names), 1))
    high = max(float(np.nanmax(found)) if np.isfinite(found).any() else 0.0, 0.1)
    named = tuple(names)
    picture = Heatmap(
        found, (0.0, size), (0.0, size), 0.0, high, quantity=quantity, rows=named, columns=named, map="cividis"
    )
    below = tuple((k + 0.5, str(k + 1)) for k in range(len(names)))  # names would run into each other there
    beside = tuple((k + 0.5, f"{k + 1}: {name}") for k, name in enumerate(names))
    axes = Axis("model", "", 0.0, size, below), Axis("model", "", 0.0, size, beside)
    words = "There are not two models to compare."
    if np.isfinite(found).any():
        first, last = rows.iloc[0], rows.dropna(subset=["value"]).iloc[-1]
        words = f"Likest: {first['one']} and {first['other']}, {interval(first)}"
        words += f"; least: {last['one']} and {last['other']}, {interval(last)}." if len(rows) > 1 else "."
        missing = (found.size - len(names) - int(np.isfinite(found).sum())) // 2
        blank = f"Blank: the diagonal, and {missing} pair{'s' if missing > 1 else ''} not compared. "
        words = blank + words if missing else words
    marks = (picture,) if names else ()
    return Panel("code_stability", f"Codes alike: {quantity}", marks, *axes, words, weight=3.2, share=0.5)


def pairs(rows: pd.DataFrame, quantity: str) -> Panel:
    """A row a pair, with its interval, beside what shuffled codes get."""
    columns = (("one", ""), ("other", ""), (quantity, ""), ("from", ""), ("to", ""), ("chance", ""))
    numbers = rows[["value", "low", "high", "chance"]].astype(float).round(3).to_numpy()
    cells = [(one, other, *each) for one, other, each in zip(rows["one"], rows["other"], numbers, strict=True)]
    clear = int((rows["low"] > rows["chance"]).sum())
    words = f"{clear} of {len(rows)} pairs agree beyond chance, by their 95% intervals." if len(rows) else "No pair."
    table = Table(columns, tuple(cells), by=2)
    return Panel("code_pairs", "Every pair, beside chance", (table,), *nowhere(), words, weight=3.2, share=0.5)
