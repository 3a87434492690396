"""Laptop: synthetic speech, a model of a million parameters, two cores; a run takes minutes, the table a night."""

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


# Half of the tiny model's convolutions and four of its layers: three fifths of the time a step takes.
NARROW = {"conv_dim": (32, 32, 48, 64, 96, 128, 128), "num_hidden_layers": 4, "num_attention_heads": 3}
PLAIN = dict.fromkeys(
    (f"{place}_dropout" for place in ("hidden", "attention", "activation", "feat_proj", "final")), 0.0
)
PLAIN |= {"layerdrop": 0.0}  # a fifth of a step's time
# Nothing is augmented: in so few steps no sentence of the source is heard more than twice, and what the convolutions
# make of the target's is kept from epoch to epoch.
COMMON = {"batch_seconds": 12.0, "augment": False, "log_every": 50, "validate_every": 10_000, "save_every": 400}
SIZE = Size(
    config=partial(UniSpeechConfig.tiny, mask_time_prob=0.4, diversity_loss_weight=0.5, **NARROW),
    stage1=Settings(**COMMON, steps=3000, learning_rate=1e-3, temperature=(2.0, 0.5, 0.998)),
    stage2=Settings(**COMMON, steps=200, learning_rate=5e-4, temperature=(0.5, 0.5, 1.0)),
    stage3=FineTuneSettings(**COMMON | {"log_every": 25, "validate_every": 200}, steps=400, learning_rate=1e-3),
    sources=("en", "fr", "it", "nl"),
    targets=("es", "sv", "tr"),
    seeds=(0, 1, 2),
    speech=speech,
    begin={"mask_time_prob": 0.2, "mask_time_length": 4, **PLAIN},
)
