"""Full, large: the rows of Table 1 that end in ``-L``; all but the model's size is as in ``full``."""

from dataclasses import replace

from experiments.cross_lingual.sizes import full
from unispeech_lab.config import UniSpeechConfig


def large(**changes) -> UniSpeechConfig:
    return UniSpeechConfig.large(**{**full.TRAINED, **changes})


SIZE = replace(full.SIZE, config=large)
