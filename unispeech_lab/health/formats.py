"""Formats: the text of a training log to rows by our names, whoever wrote it.

ours                ``metrics.jsonl``, an object a line
Hugging Face        ``trainer_state.json``, the dictionaries a Trainer prints, the lines of
                    ``run_wav2vec2_pretraining_no_trainer.py`` (``| loss: 4.6e+00| constrast_loss: ...``)
fairseq             ``[...][train_inner][INFO] - {"loss": "6.5", ...}``, ``... | train_inner | {...}``, the simple
                    formats ``epoch 001: 20 / 100 loss=6.5, ...``, ``epoch 001 | loss 6.5 | ...``

fairseq counts losses in bits; here all are in nats. A line that cannot be read is counted, no error.
"""

import ast
import json
import math
import re
from typing import NamedTuple

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
STEPS = {"step", "num_updates", "valid_num_updates", "global_step"}
BITS = ("loss", "contrastive", "weighted_diversity", "ctc")
EVERY = 500  # what Hugging Face's script and its Trainer print bears no step: this is their default ``logging_steps``

PAIR = re.compile(r"(%?\w+)\s*[=:]\s*(-?(?:[\d.]+(?:e[-+]?\d+)?|nan|inf))", re.IGNORECASE)
CELL = re.compile(r"^\s*(\w+)\s+(-?(?:[\d.]+(?:e[-+]?\d+)?|nan|inf))\s*$", re.IGNORECASE)
OVERFLOW = re.compile(r"overflow detected.*?loss scale to:?\s*([\d.e-]+)", re.IGNORECASE)
HEADER = {"groups": re.compile(r"latent_groups\W+(\d+)"), "codewords": re.compile(r"latent_vars\W+(\d+)")}
HEADER |= {"num_negatives": re.compile(r"num_negatives\W+(\d+)"), "steps": re.compile(r"max_update\W+(\d+)")}


class Written(NamedTuple):
    """What a text holds: rows, events, facts about the run, how many lines could not be read."""

    rows: list[dict[str, float]]
    events: list[dict]
    facts: dict
    skipped: int


def of_text(text: str) -> Written:
    """Whatever kind of log it is."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):  # more than one object
        whole = None
    if isinstance(whole, dict) and isinstance(whole.get("log_history"), list):  # trainer_state.json
        history, most = whole["log_history"], whole.get("max_steps")
        rows = [row for row in map(ours, history) if row]
        return Written(rows, [], {"steps": most} if isinstance(most, int) else {}, len(history) - len(rows))
    rows, events, facts, skipped, lines = [], [], {}, 0, 0
    for line in re.split(r"[\r\n]+", text):  # not at what Unicode takes for the end of a line, too
        for name, pattern in HEADER.items():
            if name not in facts and (said := pattern.search(line)):
                facts[name] = int(said[1])
        if said := OVERFLOW.search(line):
            step = rows[-1]["step"] if rows else 0
            events.append({"step": int(step), "event": "no update", "what": f"gradient overflow, loss scale {said[1]}"})
            continue
        row, broken = of_line(line)
        skipped += broken
        if row and not STEPS & row.keys() and (row.keys() & {"epoch", "constrast_loss", "val_loss"}):
            lines += any(name in row for name in ("loss", "constrast_loss"))
            row |= {"step": lines * EVERY}
            facts["every"] = f"{EVERY} steps a line, as logging_steps is by default"
        if is_event(row):
            events.append(row)
        elif row and (row := ours(row)):
            rows.append(row)
            if 0 < row.get("diversity", 0) < 1 and "perplexity" in row:
                facts.setdefault("num_codewords", round(row["perplexity"] / (1 - row["diversity"])))
    if "codewords" in facts:
        facts["num_codewords"] = facts.pop("codewords") * facts.setdefault("groups", 2)
    return Written(rows, events, facts, skipped)


def of_line(line: str) -> tuple[dict | None, bool]:
    """A line's row, if it is one; whether it looks like one but is broken."""
    start, end = line.find("{"), line.rfind("}")
    marked = re.search(r"\b(train_inner|train|valid)\b", line)
    if re.search(r"\| ?(constrast_loss|val_loss):", line):  # Hugging Face's script
        return dict(PAIR.findall(line)), False
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
    quoted = re.sub(r"(?<=[:\s])(-?(?:nan|inf))(?=[,}\s])", r"'\1'", text)
    for load, said in ((json.loads, text), (ast.literal_eval, quoted)):
        try:
            return load(said)
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


def is_event(row) -> bool:
    return isinstance(row, dict) and "event" in row and isinstance(row.get("step"), int)


def ours(said) -> dict[str, float] | None:
    """A row by our names; None where it has no step, or nothing beside it."""
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
        except (TypeError, ValueError, OverflowError):
            continue
        if ours == "step":
            row["step"] = number
        elif bare == name:
            row[ours] = number
        else:
            row["valid_" + ("perplexity" if ours == "code_perplexity" else ours)] = number
    return row
