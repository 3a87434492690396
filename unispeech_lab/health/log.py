"""Log: what a training run wrote down, by our names, whoever wrote it.

ours                ``metrics.jsonl`` with ``settings.json`` beside it: a run's folder
Hugging Face        ``trainer_state.json``, the dictionaries a Trainer prints, the lines of
                    ``run_wav2vec2_pretraining_no_trainer.py`` (``| loss: 4.6e+00| constrast_loss: ...``)
fairseq             ``[...][train_inner][INFO] - {"loss": "6.5", ...}``, ``... | train_inner | {...}``, and the simple
                    formats ``epoch 001: 20 / 100 loss=6.5, ...`` and ``epoch 001 | loss 6.5 | ...``

fairseq counts losses in bits; here all are in nats. A line that cannot be read is counted in ``skipped``, no error.
"""

import ast
import json
import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

NAMES = {
    # fairseq
    "num_updates": "step",
    "loss_0": "contrastive",
    "contrastive_loss": "contrastive",
    "loss_1": "weighted_diversity",
    "ctc_loss": "ctc",
    "prob_perplexity": "perplexity",
    "temp": "temperature",
    "gnorm": "grad_norm",
    "clip": "clipped",  # per cent of the updates
    "uer": "per",
    # Hugging Face
    "global_step": "step",
    "constrast_loss": "contrastive",  # the script's own spelling
    "div_loss": "diversity",
    "diversity_loss": "diversity",
    "ppl": "perplexity",
    "codevector_perplexity": "perplexity",
    "gumbel_temperature": "temperature",
    "learning_rate": "lr",
}
BITS = ("loss", "contrastive", "weighted_diversity", "ctc")
SCRIPT_STEPS = 500  # Hugging Face's script writes no step: its default ``logging_steps``

PAIR = re.compile(r"(%?\w+)\s*[=:]\s*(-?(?:[\d.]+(?:e[-+]?\d+)?|nan|inf))", re.IGNORECASE)
CELL = re.compile(r"^\s*(\w+)\s+(-?(?:[\d.]+(?:e[-+]?\d+)?|nan|inf))\s*$", re.IGNORECASE)
OVERFLOW = re.compile(r"overflow detected.*?loss scale to:?\s*([\d.e-]+)", re.IGNORECASE)
HEADER = {"groups": re.compile(r"latent_groups\W+(\d+)"), "codewords": re.compile(r"latent_vars\W+(\d+)")}
HEADER |= {"num_negatives": re.compile(r"num_negatives\W+(\d+)"), "steps": re.compile(r"max_update\W+(\d+)")}


@dataclass
class Log:
    """Rows of numbers by our names, in the order of their steps; events; facts about the run."""

    rows: list[dict[str, float]]
    events: list[dict] = field(default_factory=list)
    facts: dict = field(default_factory=dict)
    source: str = ""
    skipped: int = 0

    def __post_init__(self):
        latest: dict[tuple, dict] = {}
        for row in self.rows:  # a run that went back to a checkpoint wrote some steps twice: the last holds
            kind = any(name.startswith("valid_") for name in row)
            latest[row["step"], kind] = latest.pop((row["step"], kind), {}) | row if kind else row
        self.rows = [latest[key] for key in sorted(latest)]
        self._columns: dict[str, pd.Series] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def series(self, name: str, finite: bool = True) -> pd.Series:
        """A column, indexed by step, of the rows that have it."""
        if name not in self._columns:
            found = [(row["step"], row[name]) for row in self.rows if name in row]
            steps, values = zip(*found, strict=True) if found else ((), ())
            self._columns[name] = pd.Series(values, index=pd.Index(steps, name="step"), name=name, dtype=float)
        column = self._columns[name]
        return column[np.isfinite(column)] if finite else column

    @property
    def last_step(self) -> int:
        return int(max((row["step"] for row in self.rows), default=0))

    @property
    def finished(self) -> bool:
        """Whether the run took every step it was to take; False where nobody says how many these are."""
        steps = self.facts.get("steps")
        return bool(steps) and self.last_step >= steps

    @cached_property
    def weights(self) -> dict[str, float]:
        """``alpha`` and the diversity's weight: as the run says, else solved for from its terms; {} if they do not fit.

        loss - contrastive = alpha (ctc - contrastive) + (1 - alpha) weight diversity
        """
        if "diversity_loss_weight" in self.facts:
            return {"alpha": self.facts.get("alpha"), "diversity": self.facts["diversity_loss_weight"]}
        weighted, used = self.series("weighted_diversity"), self.series("perplexity")
        spare = 1 - used / self.facts.get("num_codewords", math.nan)
        told = (weighted / spare)[spare > 0.05]  # fairseq writes its term with the weight in it
        if len(told) and np.isfinite(told).all():
            return {"diversity": float(told.median())}
        names = ("loss", "contrastive", "diversity")
        table = pd.DataFrame([row for row in self.rows if all(name in row for name in names)])
        if len(table) < 4:
            return {}
        columns = [table["diversity"]]
        if "ctc" in table:
            columns.insert(0, table["ctc"] - table["contrastive"])
        table = np.column_stack([*columns, table["loss"] - table["contrastive"]])
        table = table[np.isfinite(table).all(1)]
        if len(table) < 4:
            return {}
        found, *_ = np.linalg.lstsq(table[:, :-1], table[:, -1], rcond=None)
        off = np.abs(table[:, :-1] @ found - table[:, -1]).max()
        alpha = found[0] if len(found) == 2 else 0.0
        if off > 1e-2 * max(np.abs(table[:, -1]).max(), 1e-9) or not 0 <= alpha < 1:
            return {}
        return {"alpha": float(alpha), "diversity": float(found[-1] / (1 - alpha))}


def read(source, **facts) -> Log:
    """A ``Log`` of a ``Run``, a folder, a file, a table (``pandas.DataFrame``) or a list of rows.

    Args:
        source: a folder holds ``metrics.jsonl`` or ``trainer_state.json``.
        facts: what the log does not say: ``groups``, ``num_codewords``, ``num_negatives``, ``steps``, ``clip``, ...

    Raises:
        FileNotFoundError: no such file, or a folder that holds neither.
        ValueError: nothing in it is a line of a log.
    """
    if isinstance(source, Log):
        return Log(source.rows, source.events, {**source.facts, **facts}, source.source, source.skipped)
    if isinstance(source, pd.DataFrame):
        rows = source.reset_index().to_dict("records") if source.index.name == "step" else source.to_dict("records")
        source = [{k: v for k, v in row.items() if not missing(v, row)} for row in rows]
    if isinstance(source, list):
        rows = [row for row in map(ours, source) if row]
        events = [row for row in source if isinstance(row, dict) and "event" in row]
        return Log(rows, events, facts, "a table", len(source) - len(rows) - len(events))
    path = Path(getattr(source, "folder", source)) if not isinstance(source, str | PathLike) else Path(source)
    file = find(path)
    log = of_text(file.read_text(encoding="utf-8", errors="replace"))
    log.source = file.parent.name if file.name == "metrics.jsonl" else file.name
    beside = file.with_name("settings.json")
    if file.name == "metrics.jsonl" and beside.is_file():
        try:
            log.facts |= json.loads(beside.read_text(encoding="utf-8"))
        except json.JSONDecodeError:
            log.skipped += 1
    log.facts |= facts
    if not log.rows and not log.events:
        raise ValueError(
            f"{file}: expected lines of a training log (metrics.jsonl, trainer_state.json, Hugging Face's or fairseq's "
            "output), found none: give the file that the training wrote"
        )
    return log


def find(path: Path) -> Path:
    """The log in a folder, or the file itself."""
    if path.is_file():
        return path
    states = sorted(path.glob("checkpoint-*/trainer_state.json"), key=lambda p: int("0" + p.parent.name[11:]))
    for file in (path / "metrics.jsonl", path / "trainer_state.json", *states[::-1], *sorted(path.glob("*.log"))):
        if file.is_file():
            return file
    raise FileNotFoundError(
        f"expected a run's folder with metrics.jsonl or trainer_state.json, or a log file, found none at {path}"
    )


def missing(value, row: dict) -> bool:
    """Whether a table's NaN is a cell without a value: a training row's loss that is NaN is a NaN."""
    if isinstance(value, str | dict | list) or not pd.isna(value):
        return False
    return not any(not pd.isna(row.get(name, math.nan)) for name in ("lr", "grad_norm", "temperature"))


def of_text(text: str) -> Log:
    """Whatever kind of log it is."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        whole = None
    if isinstance(whole, dict) and isinstance(whole.get("log_history"), list):
        return trainer(whole)
    rows, events, facts, skipped, lines = [], [], {}, 0, 0
    for line in text.splitlines():
        for name, pattern in HEADER.items():
            if name not in facts and (said := pattern.search(line)):
                facts[name] = int(said[1])
        if said := OVERFLOW.search(line):
            step = rows[-1]["step"] if rows else 0
            events.append({"step": step, "event": "no update", "what": f"gradient overflow, loss scale {said[1]}"})
        elif "constrast_loss:" in line:  # Hugging Face's script, which writes no steps
            lines += 1
            row = named(dict(PAIR.findall(line)) | {"step": lines * SCRIPT_STEPS})
            rows.append(row)
            facts["every"] = f"{SCRIPT_STEPS} steps a line, as the script's --logging_steps is by default"
            if 0 < row.get("diversity", 0) < 1 and "perplexity" in row:
                facts.setdefault("num_codewords", round(row["perplexity"] / (1 - row["diversity"])))
        elif line.strip():
            row, broken = of_line(line)
            skipped += broken
            if row and "event" in row:
                events.append(row)
            elif row and (row := ours(row)):
                rows.append(row)
    if "codewords" in facts:
        facts["num_codewords"] = facts.pop("codewords") * facts.setdefault("groups", 2)
    return Log(rows, events, facts, skipped=skipped)


def of_line(line: str) -> tuple[dict | None, bool]:
    """A line's row, if it is one; whether it looks like one but is broken."""
    start, end = line.find("{"), line.rfind("}")
    marked = re.search(r"\b(train_inner|train|valid)\b", line)
    if line.lstrip().startswith("{") or (marked and start >= 0):
        said = dictionary(line[start : end + 1])
        if not isinstance(said, dict):
            return None, True
        return (fairseq(said) if marked and line.lstrip()[0] != "{" else said), False
    if marked and re.search(r"\bepoch \d+", line):
        tail = line[marked.end() :]
        cells = [CELL.match(cell) for cell in tail.split("|")]
        said = {cell[1]: cell[2] for cell in cells if cell} or dict(PAIR.findall(tail))
        if "loss" not in said and "num_updates" not in said:
            return None, False
        prefix = "valid_" if marked[1] == "valid" else ""
        return fairseq({k if k.startswith(prefix) else prefix + k: v for k, v in said.items()}), False
    return None, False


def dictionary(text: str):
    """JSON (NaN included) or what Python prints; None if it is neither."""
    for load in (json.loads, ast.literal_eval):
        try:
            return load(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


def fairseq(said: dict) -> dict:
    """fairseq's numbers, which it writes as text: losses to nats, error rates to shares."""
    said = {k.removeprefix("train_"): v for k, v in said.items()}
    unit = 1.0 if "ctc_loss" in said or "valid_ctc_loss" in said else math.log(2)  # UniSpeech's own total is a raw sum
    row = named(said)
    for name in row:
        bare = name.removeprefix("valid_")
        if bare in BITS:
            row[name] *= unit if bare == "loss" else math.log(2)
        elif bare in ("per", "wer"):
            row[name] /= 100
    return row


def trainer(state: dict) -> Log:
    """Hugging Face's ``trainer_state.json``."""
    rows = [row for row in map(ours, state["log_history"]) if row]
    facts = {"steps": state["max_steps"]} if isinstance(state.get("max_steps"), int) else {}
    return Log(rows, [], facts, skipped=len(state["log_history"]) - len(rows))


def ours(said) -> dict[str, float] | None:
    """A row by our names; None where it has no step or nothing beside it."""
    row = named(said) if isinstance(said, dict) and "event" not in said else {}
    return row if len(row) > 1 and math.isfinite(row.get("step", math.nan)) else None


def named(said: dict) -> dict[str, float]:
    """Numbers by our names; ``valid_``, ``eval_`` and ``val_`` before a name are one."""
    row = {}
    for name, value in said.items():
        bare = re.sub(r"^(valid|eval|val)_", "", str(name))
        ours = NAMES.get(bare, bare)
        if isinstance(value, bool) or (bare != name and ours == "perplexity" and "valid_code_perplexity" in said):
            continue
        try:
            number = float(value)
        except (TypeError, ValueError):
            continue
        if ours == "step":
            row["step"] = number
        elif bare == name:
            row[ours] = number
        else:
            row["valid_" + ("perplexity" if ours == "code_perplexity" else ours)] = number
    return row
