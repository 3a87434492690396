"""Models: what a run of the cross-lingual experiment left after stage 1, by method and seed.

RUNS/<method>/<seed>/model          RUNS is ``out/stage1/en``; a folder ``model`` is there once its run has finished
"""

from pathlib import Path
from typing import NamedTuple

import torch

from unispeech_lab.checkpoints import load
from unispeech_lab.model import UniSpeechForPreTraining

UNTRAINED = "untrained"
MAIN = ("supervised", "wav2vec2", "unispeech_r0", "unispeech", UNTRAINED)  # looked into layer by layer


class Model(NamedTuple):
    """One of them; ``untrained`` has the folder of another, whose architecture it shares."""

    method: str
    seed: int
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.method}.{self.seed}"

    def load(self) -> UniSpeechForPreTraining:
        model = load(self.folder)
        if self.method != UNTRAINED:
            return model
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return type(model)(model.config).eval()


def find(runs: Path) -> list[Model]:
    """All that are finished, and one of their architecture that was taught nothing; first seeds, main methods first.

    Raises:
        ValueError: none is.
    """
    there = [file.parent for file in sorted(Path(runs).glob("*/*/model/model.safetensors"))]
    found = [Model(at.parents[1].name, int(at.parent.name), at) for at in there if at.parent.name.isdigit()]
    if not found:
        raise ValueError(f"expected models as <method>/<seed>/model under {runs}, found none: is it out/stage1/en?")
    found.append(Model(UNTRAINED, 0, found[0].folder))
    return sorted(found, key=lambda model: (model.seed, model.method not in MAIN, model.method))
