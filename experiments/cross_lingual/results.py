"""Results: every finished cell in a table, means with intervals, methods compared pair by pair, beside the paper.

python -m experiments.cross_lingual.results out/ experiments/cross_lingual/results/laptop
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.cross_lingual.methods import ABLATIONS, METHODS, PAPER, TABLE
from unispeech_lab.analysis.bootstrap import half_width, student_p
from unispeech_lab.run import Run, write_whole
from unispeech_lab.settings import FineTuneSettings
from unispeech_lab.views import still
from unispeech_lab.views.panel import Axis, Lines, Panel, Points

OURS = "unispeech"
COMMITTED = Path(__file__).parent / "results"
WORST = 5.0  # of error rates, insertions and all: beyond it is no share
KEYS = ["setting", "method", "target", "seed"]
ABOUT = ("average", "half", "seeds", "paired", "ours", "difference", "difference_half", "pairs", "p", "paper")


def read(out: Path) -> pd.DataFrame:
    """A row a cell: ``setting``, ``method``, ``target``, ``seed``, ``per``, and ``per_es``, ... of each language.

    Raises:
        ValueError: no cell is finished, or one's file is broken (naming it).
    """
    rows = []
    for file in sorted(Path(out).glob("stage3/**/result.json")):
        try:
            row = json.loads(file.read_text(encoding="utf-8"))
            each = {f"per_{language}": per for language, per in row["each"].items()}
            rows.append({name: row[name] for name in (*KEYS, "per")} | each)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{file}: expected a finished cell, found {error!r}: delete it, run it again") from error
        checked(pd.DataFrame(rows[-1:]), file)
    if not rows:
        raise ValueError(f"expected finished cells under {out}, found none: run the experiment first")
    return pd.DataFrame(rows)


def committed(size: str = "laptop") -> pd.DataFrame:
    """The cells of a size that were run before and lie beside this file, as ``read`` gives them.

    Raises:
        ValueError: none were, or their file is broken (naming it).
    """
    file = COMMITTED / size / "cells.csv"
    if not file.is_file():
        there = ", ".join(sorted(found.parent.name for found in COMMITTED.glob("*/cells.csv"))) or "none"
        raise ValueError(f"expected a size with committed cells ({there}), found {size!r}: run it first")
    try:
        found = pd.read_csv(file)
    except ValueError as error:
        raise ValueError(f"{file}: expected a table of cells, found {error}") from error
    return checked(found, file)


def checked(cells: pd.DataFrame, file: Path) -> pd.DataFrame:
    """The cells of a file. Raises ValueError naming it: no row, a column missing, what is no error rate."""
    lacking = [name for name in (*KEYS, "per") if name not in cells]
    if lacking or cells.empty:
        found = f"no {lacking[0]}" if lacking else "no row"
        raise ValueError(f"{file}: expected cells with {', '.join((*KEYS, 'per'))}, found {found}")
    for name in cells.filter(regex="^per(_|$)"):
        right = pd.to_numeric(cells[name], errors="coerce").between(0, WORST)
        if wrong := cells[name][~right & (cells[name].notna() | (name == "per"))].tolist():
            raise ValueError(f"{file}: expected {name} as a share, from 0 to {WORST:g}, found {wrong[0]!r}")
    return cells


def table(cells: pd.DataFrame, setting: str, methods: Sequence[str] = tuple(m.name for m in TABLE)) -> pd.DataFrame:
    """A row a method: ``per`` of each target (mean over seeds), ``average`` over targets, and how sure it is.

    ``half``: half the 95 % interval of the average over ``seeds`` (Student's t). A seed without all targets counts for
    no mean, unless there is no other; ``by_seed`` has it. ``paired``, ``ours``, ``difference``: the averages of this
    method and of UniSpeech over the targets that both have of a seed, which need not be the runs of ``average``, and
    how much worse this one is, with its own ``difference_half``, over so many ``pairs`` of seeds: the targets of a seed
    share their stage 1, and are no pairs by themselves. ``p``: that neither is better, by the paired t test.

    Raises:
        ValueError: none of these methods has a cell in this setting.
    """
    here = cells[(cells["setting"] == setting) & cells["method"].isin(methods)]
    if here.empty:
        raise ValueError(f"expected cells of {', '.join(methods)} in {setting}, found none: run them first")
    wide = here.pivot(index=["method", "seed"], columns="target", values="per")
    ours = wide.xs(OURS, level="method") if OURS in set(here["method"]) else None
    rows = []
    for name in (name for name in METHODS if name in set(here["method"])):
        mine = wide.xs(name, level="method")
        whole = mine.dropna()
        means = whole.mean(axis=1)
        apart = pd.DataFrame(dtype=float) if ours is None or name == OURS else mine.sub(ours).dropna(how="all")
        each = apart.mean(axis=1)  # a seed counts once
        alike = mine.where(apart.notna()).mean(axis=1).mean() if len(each) else np.nan
        rows.append(
            {
                "method": name,
                **(whole if len(whole) else mine).mean().to_dict(),
                "average": means.mean(),
                "half": half_width(means),
                "seeds": len(means),
                "paired": alike,
                "ours": alike - each.mean() if len(each) else np.nan,
                "difference": each.mean() if len(each) else np.nan,
                "difference_half": half_width(each),
                "pairs": len(each),
                "p": student_p(each),
                "paper": PAPER.get(METHODS[name].paper, np.nan),
            }
        )
    return pd.DataFrame(rows).set_index("method")


def ablations(cells: pd.DataFrame, setting: str = "one-to-one") -> pd.DataFrame:
    """The table of UniSpeech, its parents and its ablations, over the targets and seeds that all of these have."""
    wanted = ["supervised", "wav2vec2", "unispeech_r0", OURS, *(method.name for method in ABLATIONS)]
    return table(shared(cells, setting, wanted), setting, wanted)


def shared(cells: pd.DataFrame, setting: str, methods: Sequence[str]) -> pd.DataFrame:
    """The cells of a setting whose target and seed all of these methods have, as far as they have any."""
    here = cells[(cells["setting"] == setting) & cells["method"].isin(methods)]
    count = here.groupby(["target", "seed"])["method"].transform("nunique")
    return here[count == here["method"].nunique()]


def markdown(found: pd.DataFrame) -> str:
    """The table as people read it, error rates in %."""
    targets = targets_of(found)
    head = ["method", *targets, "average", "in pairs with UniSpeech", "p", "paper's average"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, row in found.iterrows():
        difference = told(row["difference"], row["difference_half"], "+")
        pairs = f"{told(row['paired'])} to {told(row['ours'])}: {difference} ({int(row['pairs'])})"
        p = "" if np.isnan(row["p"]) else f"{row['p']:.3f}"
        paper = "" if np.isnan(row["paper"]) else f"{row['paper']:.1f}"
        average = f"{told(row['average'], row['half'])} ({int(row['seeds'])})" if row["seeds"] else ""
        lines.append([name, *(told(row[target]) for target in targets), average, difference and pairs, p, paper])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def plain(each: pd.DataFrame) -> str:
    """A table of error rates alone, in %."""
    lines = [["method, target and seed", *each], ["---", *["---:"] * each.shape[1]]]
    lines += [[name, *map(told, row)] for name, row in zip(each.index, each.to_numpy(float), strict=True)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def told(share: float, half: float = np.nan, sign: str = "") -> str:
    """A share in %, with half its interval where there is one; nothing for NaN."""
    spread = "" if np.isnan(half) else f" ± {100 * half:.1f}"
    return "" if np.isnan(share) else f"{100 * share:{sign}.1f}{spread}"


def targets_of(found: pd.DataFrame) -> list[str]:
    return [name for name in found if name not in ABOUT]


def by_seed(cells: pd.DataFrame, setting: str, methods: Sequence[str] = tuple(m.name for m in TABLE)) -> pd.DataFrame:
    """``per`` with a row a method, a column a target and a seed (``"es, 0"``); NaN where it was not run."""
    here = cells[(cells["setting"] == setting) & cells["method"].isin(methods)]
    wide = here.pivot(index="method", columns=["target", "seed"], values="per").sort_index(axis="columns")
    wide.columns = [f"{target}, {seed}" for target, seed in wide.columns]
    return wide.reindex([name for name in METHODS if name in wide.index])


def panels(found: pd.DataFrame, each: pd.DataFrame | None = None) -> list[Panel]:
    """A row a method, error rates to the right: the average with its interval, every cell below it; beside, the paper.

    Args:
        found: a ``table``.
        each: what is shown below an average, ``by_seed``'s columns; each target's mean if None.
    """
    names, targets = tuple(found.index), targets_of(found)
    mine, half = 100 * found["average"].to_numpy(float), 100 * found["half"].to_numpy(float)
    each = 100 * (found[targets] if each is None else each.loc[list(names)])
    kinds = [targets.index(column.partition(", ")[0]) for column in each]
    heights = len(names) - 0.4 - np.arange(len(names))
    dots = Points(
        each.to_numpy(float).ravel(),
        (heights[:, None] - 0.2 - 0.16 * np.array(kinds)).ravel(),
        tuple(f"{name}, {column}" for name in names for column in each),
        np.tile(np.array(kinds) + 1, len(names)),
        (("", ""), *(("", target) for target in targets)),
    )
    known = np.isfinite(half)
    means = Points(
        mine, heights, names, legend=(("", f"average{', 95 % interval over seeds' if known.any() else ''}"),)
    )
    ends = zip(*(np.array([mine - half, mine + half, heights])[:, known]), strict=True)
    strokes = [Lines(np.array([low, high]), np.full((1, 2), y), ("interval",)) for low, high, y in ends]
    alike = found["average"][found["seeds"] == found["seeds"].max()].dropna().sort_values()  # else chance compares
    words = f"Of {int(found['seeds'].max())} seeds: " + ", ".join(f"{n} {100 * v:.1f} %" for n, v in alike[:2].items())
    theirs = found["paper"].to_numpy(float)
    counted = [f"{name} ({count})" for name, count in zip(names, found["seeds"].astype(int), strict=True)]
    y = Axis("method (seeds)", "", 0.0, float(len(names)), tuple(zip(heights, counted, strict=True)))
    shape = {"weight": 0.6 + 0.42 * len(names), "share": 0.62 if np.isfinite(theirs).any() else 1.0}
    x = spread("phone error rate", np.concatenate([each.to_numpy(float).ravel(), mine]))
    made = [Panel("methods", "Unseen speakers, here", (*strokes, means, dots), x, y, words, **shape)]
    if np.isfinite(theirs).any():
        words = f"Eight languages of Common Voice. Lowest: {found['paper'].idxmin()}, {found['paper'].min():.1f} %."
        rows = Axis("", "", 0.0, float(len(names)), tuple((at, "") for at in heights))
        marks = (Points(theirs, heights, names),)
        x = spread("phone error rate", theirs)
        made.append(Panel("paper", "In the paper", marks, x, rows, words, **shape | {"share": 0.38}))
    return made


def spread(label: str, values: np.ndarray) -> Axis:
    """An axis in % around the values, with some room; what a wide interval says beyond it is cut."""
    least, most = np.nanmin(values), np.nanmax(values)
    room = 0.06 * (most - least) + 0.5
    return Axis(label, "%", max(least - room, 0.0), most + room)


def finished(out: Path) -> dict[str, Run]:
    """The training runs under a folder that came to their end, each by its own folder's name there."""
    found = [Run(file.parent) for file in sorted(Path(out).glob("stage[123]/**/metrics.jsonl"))]
    return {run.folder.relative_to(out).as_posix(): run for run in found if run.finished}


def runs(out: Path) -> pd.DataFrame:
    """A row a training run: ``stage``, ``run`` (its folder), ``steps``, ``minutes`` it took, ``audio`` in minutes."""
    rows = []
    for name, run in finished(out).items():
        last = [line for line in run.lines() if "elapsed" in line][-1]
        about = {"minutes": round(last["elapsed"] / 60, 2), "audio": round(last["audio"] / 60, 1)}
        rows.append({"stage": stage_of(name), "run": name, "steps": last["step"], **about})
    return pd.DataFrame(rows)


def curves(out: Path, points: int = 10) -> pd.DataFrame:
    """What the runs logged on their way, thinned: the mean of each of so many equal stretches of a run's steps."""
    kept = ["ctc", "contrastive", "accuracy", "code_perplexity", "blank", "loss", "valid_per"]
    tables = []
    for name, run in finished(out).items():
        lines = [line for line in run.lines() if "event" not in line]
        found = pd.DataFrame([line for line in lines if line["step"] > 1] or lines)  # the first step is no stretch
        part = np.ceil(found["step"] * points / found["step"].max())
        means = found.groupby(part)[[column for column in ("step", *kept) if column in found]].mean().round(4)
        tables.append(means.assign(step=means["step"].round().astype(int), run=name))
    return pd.concat(tables, ignore_index=True).reindex(columns=["run", "step", *kept])


def settings(out: Path) -> dict:
    """What all runs of a stage were begun with, seeds apart; ``scratch`` alone trains its convolutions in stage 3.

    A stage 1 that goes on from another for a share of its steps is a stage of its own, ``"stage1, further"``.

    Raises:
        ValueError: two runs of a stage had different settings: no fair table comes of them.
    """
    said = {}
    for name, run in finished(out).items():
        stage, apart = stage_of(name), {"seed", "feature_gradient", "workers"}
        asked = {key: run.settings[key] for key in FineTuneSettings.names() if key in {*run.settings} - apart}
        if "batch_seconds" in asked:  # of a step: more cards share them out otherwise
            asked["batch_seconds"] = round(asked["batch_seconds"] * asked.pop("micro_batches"), 1)
        before = said.setdefault(stage, asked)
        if other := sorted(key for key in {*before} | {*asked} if before.get(key) != asked.get(key)):
            told = ", ".join(f"{key} {before.get(key)!r} and {asked.get(key)!r}" for key in other)
            raise ValueError(f"expected all runs of {stage} to be alike, found {told} ({name}): keep them apart")
    return said


def stage_of(run: str) -> str:
    """The stage of a run by its folder's name."""
    stage, *_, method, _ = run.split("/")
    return f"{stage}, further" if stage == "stage1" and METHODS[method].share != 1 else stage


def write(out: Path, into: Path) -> pd.DataFrame:
    """All that is worth keeping of the runs under ``out``, a few kB: tables, figures, curves, costs, settings."""
    into.mkdir(parents=True, exist_ok=True)
    cells = read(out)
    write_whole(into / "settings.json", json.dumps(settings(out), indent=1) + "\n")
    for name, found in (("cells", cells), ("runs", runs(out)), ("curves", curves(out))):
        write_whole(into / f"{name}.csv", found.round(5).to_csv(index=False))
    known = cells[cells["method"].isin([method.name for method in TABLE])]
    made = {name: table(cells, name) for name in dict.fromkeys(known["setting"])}
    if {method.name for method in ABLATIONS} & set(cells["method"]) and OURS in set(cells["method"]):
        made["ablations"] = ablations(cells)
    for name, found in made.items():
        each = None if name == "ablations" else by_seed(cells, name)
        if each is not None:
            write_whole(into / f"{name}-seeds.md", plain(each))
        write_whole(into / f"{name}.md", markdown(found))
        (into / f"{name}.png").write_bytes(still.png(panels(found, each)))
    return cells


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: python -m experiments.cross_lingual.results RUNS OUT")
    runs_of, into = map(Path, sys.argv[1:])
    cells_of = write(runs_of, into)
    for setting_of in dict.fromkeys(cells_of["setting"]):
        print(f"{setting_of}\n{markdown(table(cells_of, setting_of))}")
