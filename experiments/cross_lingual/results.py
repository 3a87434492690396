"""Results: every finished cell in a table, means with intervals, methods compared pair by pair, beside the paper."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from experiments.cross_lingual.methods import METHODS, PAPER
from unispeech_lab.analysis.bootstrap import paired
from unispeech_lab.views.panel import Axis, Bars, Panel

OURS = "unispeech"


def read(out: Path) -> pd.DataFrame:
    """A row a cell: ``setting``, ``method``, ``target``, ``seed``, ``per``. Raises ``ValueError`` for none."""
    rows = [json.loads(file.read_text(encoding="utf-8")) for file in sorted(Path(out).glob("stage3/**/result.json"))]
    if not rows:
        raise ValueError(f"expected finished cells under {out}, found none: run the experiment first")
    return pd.DataFrame(rows)[["setting", "method", "target", "seed", "per"]]


def table(cells: pd.DataFrame, setting: str) -> pd.DataFrame:
    """A row a method: ``per`` of each target (mean over seeds), ``average`` over targets with its 95 % ``half`` width
    over seeds (Student's t), ``seeds``, and ``p``: that UniSpeech is as good, by signs of pairs (same target, seed)."""
    here = cells[cells["setting"] == setting]
    order = [name for name in METHODS if name in set(here["method"])]
    ours = here[here["method"] == OURS].set_index(["target", "seed"])["per"]
    rows = []
    for name in order:
        mine = here[here["method"] == name]
        means = mine.groupby("seed")["per"].mean()
        pairs = mine.set_index(["target", "seed"])["per"].sub(ours).dropna()
        rows.append(
            {
                "method": name,
                **mine.groupby("target")["per"].mean().to_dict(),
                "average": means.mean(),
                "half": half_width(means),
                "seeds": len(means),
                "p": paired(pairs) if name != OURS and len(pairs) else np.nan,
                "paper": PAPER.get(METHODS[name].paper, np.nan),
            }
        )
    return pd.DataFrame(rows).set_index("method")


def half_width(values: Sequence[float], share: float = 0.95) -> float:
    """Half of the confidence interval of a mean, by Student's t; NaN for fewer than two values."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float("nan")
    return float(stats.t.ppf((1 + share) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def markdown(found: pd.DataFrame) -> str:
    """The table as people read it, error rates in %."""
    targets = [name for name in found if name not in ("average", "half", "seeds", "p", "paper")]
    head = ["method", *targets, "average", "p against UniSpeech", "paper's average"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, row in found.iterrows():
        spread = "" if np.isnan(row["half"]) else f" ± {100 * row['half']:.1f}"
        average = f"{100 * row['average']:.1f}{spread} ({int(row['seeds'])})"
        p = "" if np.isnan(row["p"]) else f"{row['p']:.3f}"
        paper = "" if np.isnan(row["paper"]) else f"{row['paper']:.1f}"
        lines.append([name, *(f"{100 * row[target]:.1f}" for target in targets), average, p, paper])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def panels(found: pd.DataFrame) -> list[Panel]:
    """Average error rates as bars, ours, then the paper's of the same methods."""
    names = tuple(found.index)
    mine, theirs = 100 * found["average"].to_numpy(), found["paper"].to_numpy(float)
    heights = np.concatenate([mine, theirs])
    top = 1.15 * float(np.nanmax(heights))
    kinds = np.repeat([0, 1], len(names))
    bars = Bars(heights, names * 2, kinds, (("", "here"), ("▫", "paper")), unit="%", quantity="phone error rate")
    best = found["average"].idxmin()
    words = f"Lowest here: {best}, {100 * found['average'].min():.1f} %."
    if found["paper"].notna().any():
        words += f" In the paper, of these: {found['paper'].idxmin()}, {found['paper'].min():.1f} %."
    x = Axis("method", "", 0.0, float(len(heights)))
    return [
        Panel("methods", "Phone error rate on unseen speakers", (bars,), x, Axis("error", "%", 0.0, top), words, 3.0)
    ]
