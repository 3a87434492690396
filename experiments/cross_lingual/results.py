"""Results: what is worth keeping of the runs, read again from where it lies.

python -m experiments.cross_lingual.results out/ experiments/cross_lingual/results/laptop
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from experiments.cross_lingual import figure, tables
from experiments.cross_lingual.methods import ABLATIONS, METHODS, TABLE
from unispeech_lab.run import Run, write_whole
from unispeech_lab.settings import FineTuneSettings
from unispeech_lab.views import still

COMMITTED = Path(__file__).parent / "results"
WORST = 5.0  # of error rates, insertions and all: beyond it is no share
KEYS = ["setting", "method", "target", "seed"]


def read(out: Path) -> pd.DataFrame:
    """A row a cell: ``setting``, ``method``, ``target``, ``seed``, what ``judge`` says, ``per_es``, ... of each target.

    Raises:
        ValueError: no cell is finished, or one's file is broken (naming it).
    """
    rows = []
    for file in sorted(Path(out).glob("stage3/**/result.json")):
        try:
            row = json.loads(file.read_text(encoding="utf-8"))
            each = {f"per_{language}": per for language, per in row["each"].items()}
            kinds = {name: row.get(name, np.nan) for name in tables.KINDS}
            rows.append({name: row[name] for name in (*KEYS, "per")} | kinds | each)
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
    cells = read(out).round(5)  # as they will be read again
    write_whole(into / "settings.json", json.dumps(settings(out), indent=1) + "\n")
    for name, found in (("cells", cells), ("runs", runs(out)), ("curves", curves(out))):
        write_whole(into / f"{name}.csv", found.round(5).to_csv(index=False))
    known = cells[cells["method"].isin([method.name for method in TABLE])]
    made = {name: tables.table(cells, name) for name in dict.fromkeys(known["setting"])}
    if {method.name for method in ABLATIONS} & set(cells["method"]) and tables.OURS in set(cells["method"]):
        made["ablations"] = tables.ablations(cells)
    for name, found in made.items():
        each = None if name == "ablations" else tables.by_seed(cells, name)
        if each is not None and found["seeds"].max() > 1:
            write_whole(into / f"{name}-seeds.md", tables.plain(each))
            if len(kinds := tables.by_kind(cells, name)):
                write_whole(into / f"{name}-kinds.md", tables.markdown_of_kinds(kinds))
        write_whole(into / f"{name}.md", tables.markdown(found))
        (into / f"{name}.png").write_bytes(still.png(figure.panels(found, each)))
    return cells


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: python -m experiments.cross_lingual.results RUNS OUT")
    runs_of, into = map(Path, sys.argv[1:])
    cells_of = write(runs_of, into)
    for setting_of in dict.fromkeys(cells_of["setting"]):
        print(f"{setting_of}\n{tables.markdown(tables.table(cells_of, setting_of))}")
