"""Tables: what was measured, as people read it, means over seeds, with a figure.

± is half of a 95 % interval: over seeds (Student's t) where there are three or more, else over utterances or what else
the measure draws from, which says nothing of how another seed would have come out.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.inside.models import MAIN
from unispeech_lab.analysis.bootstrap import half_width
from unispeech_lab.run import write_whole
from unispeech_lab.views import still
from unispeech_lab.views.panel import Axis, Lines, Panel

KNOWN = {  # column of the table: measure and target
    "phone": ("probe", "phone"),
    "phone selectivity": ("selectivity", "phone"),
    "voice": ("probe", "voice"),
    "PWCCA phone": ("pwcca", "phone"),
    "PWCCA word": ("pwcca", "word"),
    "PWCCA MFCC": ("pwcca", "mfcc"),
    "ABX within": ("abx", "phone within"),
    "ABX across": ("abx", "phone across"),
}
DRAWN = ("phone selectivity", "voice", "PWCCA phone", "PWCCA MFCC", "PWCCA word", "ABX across")

SEEDS = 3  # fewer say too little of how the next would come out
ORDER = (*MAIN, "mfcc")


def write(found: Mapping[str, pd.DataFrame], into: Path) -> None:
    """Every table as ``.csv``, the short ones in ``tables.md``, the figure ``layers.png``."""
    into.mkdir(parents=True, exist_ok=True)
    for name, table in found.items():
        write_whole(into / f"{name}.csv", table.round(5).to_csv(index=False))
    known = knows(found["layers"])
    parts = {
        "Which layer knows what": known,
        "What the codes know": codebooks(found),
        "How alike the codes of two models are": alike(found.get("stability")),
        "How alike the states of two models are (CKA)": similar(found.get("similarity")),
    }
    told = "".join(f"## {title}\n\n{markdown(table)}\n" for title, table in parts.items() if len(table))
    write_whole(into / "tables.md", told)
    (into / "layers.png").write_bytes(still.png(panels(known)))


def mean(rows: pd.DataFrame) -> tuple[float, float]:
    """The mean over runs, and half of its interval."""
    by_run = rows.groupby("run")["value"].mean()
    if len(by_run) >= SEEDS:
        return float(by_run.mean()), half_width(by_run)
    return float(by_run.mean()), float((rows["high"] - rows["low"]).mean() / 2)


def table(rows: pd.DataFrame, by: Sequence[str], column: str) -> pd.DataFrame:
    """A row for each of ``by``, a column for each kind of ``column``, its half-width under ``<column> ±``."""
    made: dict[tuple, dict[str, float]] = {}
    for (key, name), group in rows.groupby([pd.MultiIndex.from_frame(rows[list(by)]), column], sort=False):
        made.setdefault(key, {}).update(zip((name, f"{name} ±"), mean(group), strict=True))
    index = pd.MultiIndex.from_tuples(list(made), names=list(by))
    return pd.DataFrame(list(made.values()), index)


def knows(layers: pd.DataFrame) -> pd.DataFrame:
    """Method and layer by what is known."""
    names = {pair: name for name, pair in KNOWN.items()}
    told = [names.get(pair) for pair in zip(layers["measure"], layers["target"], strict=True)]
    rows = layers.assign(column=told).dropna(subset="column")
    rows = rows[rows["method"].isin(ORDER)]
    made = table(rows.assign(layer=rows["layer"].fillna(-2).astype(int)), ["method", "layer"], "column")
    places = {name: place for place, name in enumerate(ORDER)}
    made = made.sort_index(key=lambda level: level.map(places) if level.name == "method" else level)
    return made[[column for name in KNOWN for column in (name, f"{name} ±") if column in made]]


def codebooks(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Method by what its codes know: agreement by position in the phone, ABX of codewords, borders."""
    book = found["codebook"]
    once = ("all",)
    wanted = {"information": ("all", "onset", "middle", "end"), "nmi": once, "nmi chance": once, "purity": once}
    wanted["codes"] = once
    book = book[
        [position in wanted.get(name, ()) for name, position in zip(book["measure"], book["position"], strict=True)]
    ]
    names = [
        name if at == "all" else f"{name} {at}" for name, at in zip(book["measure"], book["position"], strict=True)
    ]
    codes = found["codes"]
    codes = codes[(codes["measure"] == "abx") | (codes["target"] == "r_value")]
    of = [f"ABX {t}" if m == "abx" else f"R {m}" for m, t in zip(codes["measure"], codes["target"], strict=True)]
    borders = found["segments"]
    borders = borders[np.isclose(borders["tolerance"].astype(float), 0.02)]
    r = {"value": borders["r_value"], "low": borders["r_value_low"], "high": borders["r_value_high"]}
    rows = [book.assign(column=names), codes.assign(column=of), borders.assign(column="R " + borders["borders"], **r)]
    return table(pd.concat(rows, ignore_index=True), ["method"], "column")


def alike(stability: pd.DataFrame | None) -> pd.DataFrame:
    """Pairs of methods by measure, of all groups jointly and of a group alone; two seeds where both are one method."""
    if stability is None:
        return pd.DataFrame()
    of = np.where(stability["codes"] == "joint", "joint ", "a group's ")
    runs = stability["one_run"].astype(str) + stability["other_run"].astype(str)
    rows = stability.assign(run=runs, column=of + stability["measure"])
    chance = rows.assign(value=rows["chance"], low=np.nan, high=np.nan, column=rows["column"] + " by chance")
    rows = pd.concat([rows, chance[chance["measure"] == "matched"]])
    return table(rows[rows["measure"].isin(["matched", "rand", "ami"])], ["one", "other"], "column")


def similar(similarity: pd.DataFrame | None) -> pd.DataFrame:
    """Pairs of methods by layer."""
    if similarity is None:
        return pd.DataFrame()
    runs = similarity["one_run"].astype(str) + similarity["other_run"].astype(str)
    rows = similarity.assign(run=runs, column="layer " + similarity["layer"].astype(str))
    return table(rows, ["one", "other"], "column")


def markdown(made: pd.DataFrame) -> str:
    """Three digits; ± behind the number."""
    columns = [name for name in made if not name.endswith(" ±")]
    lines = [[*made.index.names, *columns], ["---"] * made.index.nlevels + ["---:"] * len(columns)]
    for key, row in made.iterrows():
        key = [str(part).replace("-2", "–") for part in (key if isinstance(key, tuple) else (key,))]
        lines.append([*key, *(cell(row[name], row.get(f"{name} ±", np.nan)) for name in columns)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(value: float, half: float) -> str:
    if np.isnan(value):
        return ""
    digits = 0 if value >= 50 else 3
    return f"{value:.{digits}f}" + ("" if np.isnan(half) else f" ± {half:.{digits}f}")


def panels(known: pd.DataFrame) -> list[Panel]:
    """What each layer knows, a curve a method, with bands."""
    methods = [name for name in MAIN if name in known.index.get_level_values("method")]
    layers = np.array(sorted({layer for method, layer in known.index if method in methods}))
    made = []
    for name in [name for name in DRAWN if name in known]:
        there = [method for method in methods if known.loc[method, name].notna().sum() > 1]
        if len(there) < 2:
            continue
        y, half = (
            np.array([[known[column].get((method, layer), np.nan) for layer in layers] for method in there])
            for column in (name, f"{name} ±")
        )
        half = np.nan_to_num(half)
        best = np.nanargmin(y, axis=1) if name.startswith("ABX") else np.nanargmax(y, axis=1)
        words = f"Best layer for {name}: "
        words += (
            ", ".join(f"{m} {layers[k]} ({y[j, k]:.3f})" for j, (m, k) in enumerate(zip(there, best, strict=True)))
            + "."
        )
        low, high = np.nanmin(y - half), np.nanmax(y + half)
        room = max(0.08 * (high - low), 1e-3)
        ticks = tuple((float(layer), "z" if layer < 0 else str(layer)) for layer in layers)
        x = Axis("layer", "", layers[0] - 0.3, layers[-1] + 0.3, ticks)
        lines = Lines(layers.astype(float), y, tuple(there), "", y - half, y + half)
        axis = Axis(name, "", float(low - room), float(high + room))
        made.append(Panel(name.replace(" ", "_"), name, (lines,), x, axis, words, 1.6, share=0.5))
    return made
