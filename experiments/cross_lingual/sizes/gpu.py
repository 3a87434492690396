"""GPU: synthetic speech by the hundred hours, the base model, one card of 24 GB; a pretraining takes a night.

The recipe is ``full``'s with a fifth of its speech in a step, and a learning rate and a temperature for a twentieth of
its steps. More voices than the laptop has: the Klatt synthesiser's too, and each sentence augmented by seed.
"""

from dataclasses import replace
from pathlib import Path

from experiments.cross_lingual import synthetic
from experiments.cross_lingual.sizes import Size, full
from unispeech_lab.corpus import Corpus

HOURS = {"source": 100.0, "labelled": 1.0, "unlabelled": 20.0, "valid": 1 / 3, "test": 1.0}
SEEDS = {"source": 1, "labelled": 2, "unlabelled": 3, "valid": 4, "test": 5}
VOICES = {**synthetic.VOICES, "source": f"{synthetic.SOURCE} klatt klatt2 klatt3 klatt6"}


def speech(folder: Path, part: str, language: str) -> Corpus:
    return synthetic.speech(folder, part, language, HOURS[part], SEEDS[part], words=20_000, voices=VOICES)


CARD = {"mixed_precision": "bf16", "augment": True, "batch_seconds": 160.0, "workers": 8}
SIZE = Size(
    config=full.base,
    stage1=replace(
        full.SIZE.stage1, **CARD, steps=10_000, micro_batches=6, learning_rate=5e-4, temperature=(2.0, 0.5, 0.9998)
    ),
    stage2=replace(
        full.SIZE.stage2, **CARD, steps=5_000, micro_batches=6, learning_rate=2e-4, temperature=(0.5, 0.5, 1.0)
    ),
    stage3=replace(full.SIZE.stage3, **CARD, steps=5_000, micro_batches=1, learning_rate=5e-5),
    sources=("en", "fr", "it", "nl"),
    targets=("es", "sv", "tr"),
    seeds=(0, 1, 2),
    speech=speech,
    begin=full.SIZE.begin,
    again=full.SIZE.again,
    rules=full.SIZE.rules,
)
