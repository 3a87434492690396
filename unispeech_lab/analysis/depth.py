"""Depth: which of the things recorded are a model's layers, from the sound up to the states.

conv 0 ... conv 6      feature_extractor.conv_layers.*, each with a clock of its own
features               feature_projection.layer_norm
projection             feature_projection.projection
layer 0 ... layer L-1  encoder.layers.*
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from unispeech_lab.frames import Frames
from unispeech_lab.trace.places import matches

CONVOLUTIONS, FEATURES = "feature_extractor.conv_layers.*", "feature_projection.layer_norm"
PROJECTION, ENCODER = "feature_projection.projection", "encoder.layers.*"
PATTERNS = {CONVOLUTIONS: "conv", FEATURES: "features", PROJECTION: "projection", ENCODER: "layer"}


@dataclass(frozen=True)
class Layer:
    """One of them: its full ``name``, what it is called (``layer 3``), and its place from the bottom."""

    name: str
    label: str
    order: tuple[int, int]

    def clock(self, frames: Frames) -> Frames:
        """When its frames are, if ``frames`` is the model's clock."""
        return frames.up_to(self.order[1] + 1) if self.order[0] == 0 else frames


def layers(names: Iterable[str]) -> list[Layer]:
    """The layers among the names, from the sound up."""
    found = []
    for name in names:
        for height, (pattern, label) in enumerate(PATTERNS.items()):
            if matches(name, pattern):
                number = int(re.search(r"\d+$", name)[0]) if pattern.endswith("*") else 0
                found.append(Layer(name, f"{label} {number}" if pattern.endswith("*") else label, (height, number)))
    return sorted(found, key=lambda layer: layer.order)
