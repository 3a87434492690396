"""A model that is always right: its sound says, sample by sample, which class it is, and it hears just that."""

import numpy as np
import torch
from transformers import BatchFeature

from unispeech_lab.audio import RATE
from unispeech_lab.frames import Frames
from unispeech_lab.vocabulary import Vocabulary

PHONES = ["a", "k", "m", "s", "t", "ə"]


class Ears:
    """Hears a class at the level ``class / 100``, for as long as it lasts; between, blank."""

    frames = Frames()
    calibration = None

    def __init__(self, vocabulary: Vocabulary):
        self.vocabulary, self.heard = vocabulary, []
        self.config = type("Config", (), {"name_or_path": ""})

    def prepare(self, sound, level=None) -> BatchFeature:
        waveform = np.asarray(getattr(sound, "waveform", sound), dtype=np.float32)
        return BatchFeature({"input_values": torch.from_numpy(waveform)[None]})

    def __call__(self, input_values) -> dict:
        self.heard.append(input_values.shape[1])
        count = self.frames.count(input_values.shape[1])
        centres = torch.arange(count) * self.frames.hop + self.frames.receptive_field // 2
        classes = (input_values[0, centres] * 100).round().long() - 1
        classes[classes < 0] = self.vocabulary.blank
        return {"logits": torch.nn.functional.one_hot(classes, len(self.vocabulary)).float()[None] * 8}


def say(vocabulary: Vocabulary, spans, seconds: float) -> np.ndarray:
    """Sound (n,) in which each (label, start, end) can be heard by ``Ears``."""
    waveform = np.zeros(round(seconds * RATE), dtype=np.float32)
    for label, start, end in spans:
        waveform[round(start * RATE) : round(end * RATE)] = (vocabulary.encode([label])[0] + 1) / 100
    return waveform
