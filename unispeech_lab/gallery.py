"""Gallery: a healthy run, then the same run made sick in six ways, each by one change.

    python -m unispeech_lab.gallery [NAME ...] [--out FOLDER]        makes the folders of data/runs again

All of them: a model of 0.13 million parameters, 37 s of Spanish out of the bundled speech, validated on four of its
sentences (does it learn at all, not does it generalise), seed 0, one thread. What ``health`` says of them is tested.
"""

import argparse
import json
import math
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

from unispeech_lab.config import UniSpeechConfig
from unispeech_lab.corpora import bundled
from unispeech_lab.model import UniSpeechForPreTraining
from unispeech_lab.objective import Objective
from unispeech_lab.pretrain import Stop, train
from unispeech_lab.run import Run
from unispeech_lab.settings import Settings
from unispeech_lab.vocabulary import Vocabulary

SEED = 0

MODEL = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "intermediate_size": 128,
    "conv_dim": (32, 32, 32, 48, 48, 64, 64),
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "num_codevectors_per_group": 16,
    "codevector_dim": 32,
    "proj_codevector_dim": 32,
    **dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout", "final_dropout", "layerdrop"), 0.0),
    # spans of 40 ms: a model this small learns to bridge these within a minute, 200 ms in many
    "mask_time_prob": 0.3,
    "mask_time_length": 2,
    "replace_prob": 0.25,
    "diversity_loss_weight": 0.2,
    "alpha": 0.3,
}

TRAINING = {
    "steps": 800,
    "batch_seconds": 12.0,
    "learning_rate": 4e-3,
    "augment": False,
    "log_every": 20,
    "validate_every": 200,
    "save_every": 800,
    "seed": SEED,
}


@dataclass(frozen=True)
class Recipe:
    """What is changed, in words and in settings: of the config, of the objective, of the training."""

    why: str
    model: dict = field(default_factory=dict)
    objective: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)
    until: int | None = None  # stopped there, as its owner would


RECIPES = {
    "healthy": Recipe("nothing is wrong with it"),
    "collapse": Recipe(
        "no diversity term, and masked spans of 200 ms that a model this small cannot bridge: the only codes it can "
        "predict are those that are all the same",
        {"diversity_loss_weight": 0.0, "mask_time_length": 10, "mask_time_prob": 0.5},
        {"equal_negatives": "kept"},
        until=300,
    ),
    "equal_negatives": Recipe(
        "two codewords a group, no diversity term: most negatives equal their positive, are left out, and cost nothing",
        {"num_codevectors_per_group": 2, "diversity_loss_weight": 0.0},
        until=300,
    ),
    "diversity": Recipe(
        "diversity weight 50 for 0.2: spreading the codes pays, predicting them does not",
        {"diversity_loss_weight": 50.0},
        until=400,
    ),
    "learning_rate": Recipe("learning rate 1 for 0.004", training={"learning_rate": 1.0}, until=200),
    "nan": Recipe(
        "Adam's eps 0, as half precision makes of 1e-8: a weight without gradient is moved by 0 / 0",
        training={"eps": 0.0, "log_every": 5},
        until=60,
    ),
    "ctc_blank": Recipe(
        "learning rate 0.0001 for 0.004: CTC learns to say blank everywhere, then stays there",
        training={"learning_rate": 1e-4, "steps": 1000},
    ),
}


def make(name: str, out: str | Path, **changes) -> Run:
    """Train one of ``RECIPES``; ``out`` then holds its settings and metrics.

    Args:
        changes: of ``Settings``: another ``seed``, fewer ``steps``.

    Raises:
        ValueError: no such recipe.
    """
    if name not in RECIPES:
        raise ValueError(f"expected a run out of {', '.join(RECIPES)}, found {name!r}")
    recipe, out = RECIPES[name], Path(out)
    settings = Settings(**{**TRAINING, **recipe.training, **changes})
    corpus = bundled.load().where(language="es")
    vocabulary = Vocabulary.of(corpus)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        model = UniSpeechForPreTraining(UniSpeechConfig.tiny(num_ctc_classes=len(vocabulary), **MODEL | recipe.model))
    model.objective = Objective.from_config(model.config, **recipe.objective)

    def watch(row: dict) -> None:
        if recipe.until and row["step"] >= recipe.until:
            raise Stop

    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = train(
            model, corpus, folder, settings, vocabulary=vocabulary, valid=corpus[:4], watch=watch, progress=False
        )
        lines, said = run.lines(), run.settings
    about = {"name": name, "why": recipe.why, "model": MODEL | recipe.model, "objective": recipe.objective}
    about["process_seconds"] = round(time.process_time() - begun)
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(said | {"gallery": about}, indent=1, ensure_ascii=False)
    (out / "settings.json").write_text(text + "\n", encoding="utf-8")
    rows = (json.dumps({k: brief(v) for k, v in line.items()}, ensure_ascii=False) + "\n" for line in lines)
    (out / "metrics.jsonl").write_text("".join(rows), encoding="utf-8")
    return Run(out)


def brief(value):
    """A number by five digits."""
    return float(f"{value:.5g}") if isinstance(value, float) and math.isfinite(value) else value


def main() -> None:
    from unispeech_lab.paths import data_dir

    parser = argparse.ArgumentParser(description="Make the gallery of healthy and sick runs again.")
    parser.add_argument("names", nargs="*", default=list(RECIPES), help=f"out of: {', '.join(RECIPES)}")
    parser.add_argument("--out", type=Path, default=data_dir() / "runs", help="where to (default: data/runs)")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in given.names:
        run = make(name, given.out / name)
        print(f"{run.folder}: {run.settings['gallery']['process_seconds']} s of processor time", flush=True)


if __name__ == "__main__":
    main()
