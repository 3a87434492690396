"""Full: the authors' recipe on Common Voice, the base model, as many cards as there are.

Stages, schedules, batches, masks, draws: the scripts of microsoft/UniSpeech, which are of the large model; no script of
the base one, which Table 1 is about, was released. Speech: ``unispeech-lab corpus common-voice``. See README.md.
"""

import csv
from pathlib import Path

import pandas as pd
import torch

from experiments.cross_lingual.sizes import Size
from experiments.cross_lingual.synthetic import without_phones
from unispeech_lab.config import UniSpeechConfig
from unispeech_lab.corpus import Corpus
from unispeech_lab.objective import AUTHORS
from unispeech_lab.settings import FineTuneSettings, Settings

PARTS = {"source": ("labelled", "rest"), "unlabelled": ("labelled", "rest")}  # the others: those of their own names

# Stage 1: what its script trains with, beside the architecture. Stages 2 and 3 change some of it.
TRAINED = {
    **dict.fromkeys(
        [f"{name}_dropout" for name in ("hidden", "attention", "feat_proj", "feat_quantizer", "final")], 0.1
    ),
    **{"activation_dropout": 0.0, "layerdrop": 0.0, "alpha": 0.5, "replace_prob": 0.5, "num_negatives": 100},
    **{"mask_time_prob": 0.5, "mask_time_length": 10, "mask_time_min_masks": 2, "mask_rule": "authors"},
    **{"contrastive_logits_temperature": 0.1, "diversity_loss_weight": 0.1},
}


def base(**changes) -> UniSpeechConfig:
    return UniSpeechConfig(**{**TRAINED, **changes})


def speech(folder: Path, part: str, language: str) -> Corpus:
    """A part of a prepared language. Raises FileNotFoundError with the command that makes it."""
    file = Path(folder) / language / "manifest.tsv"
    if not file.is_file():
        raise FileNotFoundError(
            f"expected {file}, found none: unispeech-lab corpus common-voice RELEASE -o {folder} --language {language}"
        )
    table = pd.read_csv(file, sep="\t", quoting=csv.QUOTE_NONE, dtype=str, keep_default_na=False)
    table["seconds"] = table["seconds"].astype(float)  # as decoded: no header of a million files is read again
    corpus = Corpus(table, file.parent, f"Common Voice {language}, {part}").where(part=list(PARTS.get(part, (part,))))
    return without_phones(corpus) if part == "unlabelled" else corpus


COMMON = {
    **{"betas": (0.9, 0.98), "clip": 25.0, "augment": False, "workers": 4, "keep": 2},
    "mixed_precision": "fp16" if torch.cuda.is_available() else "no",
}
PRETRAINING = {**COMMON, "eps": 1e-6, "weight_decay": 0.01, "temperature": (2.0, 0.1, 0.999995), "least_seconds": 2.0}
SIZE = Size(
    config=base,
    stage1=Settings(
        **PRETRAINING,
        steps=200_000,  # theirs are 250,000, the last 50,000 at a learning rate of 0
        learning_rate=1e-3,
        warmup=25_000 / 200_000,
        batch_seconds=75.0,
        micro_batches=64,
        most_seconds=20.0,
        log_every=200,
        save_every=2_000,
    ),
    stage2=Settings(
        **PRETRAINING,
        steps=100_000,
        learning_rate=2e-4,
        warmup=10_000 / 100_000,
        batch_seconds=62.5,
        micro_batches=16,
        most_seconds=15.625,  # theirs are cut to 250,000 samples
        feature_gradient=0.1,
        log_every=200,
        save_every=2_000,
    ),
    stage3=FineTuneSettings(
        **COMMON,
        steps=20_000,
        learning_rate=2e-5,
        warmup=2_000 / 20_000,  # then 8,000 of the highest, then 10,000 down to a twentieth
        head_only=2_000 / 20_000,
        eps=1e-8,
        weight_decay=0.0,
        batch_seconds=62.5,
        micro_batches=4,
        most_seconds=15.625,
        log_every=100,
        validate_every=200,
        save_every=1_000,
    ),
    sources=("en", "es", "fr", "it"),
    targets=("es", "fr", "it", "ky", "nl", "ru", "sv", "tt"),
    seeds=(0,),
    speech=speech,
    begin={"mask_feature_length": 64},
    again={"mask_time_prob": 0.65, "layerdrop": 0.05},
    rules=(AUTHORS, {**AUTHORS, "negatives_from": "masked"}),
    balance=0.5,
)
