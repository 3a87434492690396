"""Laptop: synthetic speech, the tiny model, two cores; a run takes minutes, the table a night."""

from functools import partial
from pathlib import Path

from experiments.cross_lingual import synthetic
from experiments.cross_lingual.sizes import Size
from unispeech_lab.config import UniSpeechConfig
from unispeech_lab.corpus import Corpus
from unispeech_lab.settings import FineTuneSettings, Settings

HOURS = {"source": 2.0, "labelled": 8 / 60, "unlabelled": 0.75, "valid": 4 / 60, "test": 12 / 60}
SEEDS = {"source": 1, "labelled": 2, "unlabelled": 3, "valid": 4, "test": 5}


def speech(folder: Path, part: str, language: str) -> Corpus:
    return synthetic.speech(folder, part, language, HOURS[part], SEEDS[part])


COMMON = {"batch_seconds": 12.0, "log_every": 50, "validate_every": 10_000, "save_every": 300}
STAGE1 = Settings(**COMMON, steps=1500, learning_rate=1e-3, temperature=(2.0, 0.5, 0.998))
SIZE = Size(
    config=partial(UniSpeechConfig.tiny, mask_time_prob=0.4, diversity_loss_weight=0.5),
    stage1=STAGE1,
    stage2=Settings(**COMMON, steps=600, learning_rate=5e-4, temperature=(0.5, 0.5, 1.0)),
    stage3=FineTuneSettings(
        steps=400, batch_seconds=12.0, learning_rate=1e-3, log_every=50, validate_every=100, save_every=100
    ),
    sources=("en", "fr", "it", "nl"),
    targets=("es", "sv", "tr"),
    seeds=(0, 1, 2),
    speech=speech,
    begin={"mask_time_prob": 0.2, "mask_time_length": 4, "layerdrop": 0.0},
)
