"""Attention of two: one head's pattern less that of the same head in another model."""

from collections.abc import Mapping
from dataclasses import dataclass

from unispeech_lab.views.asking import Hear, watched
from unispeech_lab.views.attention import knobs as one_head
from unispeech_lab.views.attention import watches
from unispeech_lab.views.attention_difference import difference
from unispeech_lab.views.panel import Knob, Panel
from unispeech_lab.views.reading import layers

compares = True


def knobs(trace, utterance) -> dict[str, Knob]:
    return one_head(trace, utterance)


def asks(trace, utterance) -> dict:
    return {"theirs": Theirs(utterance)}


def panels(trace, utterance, layer: int, head: int, theirs: Mapping) -> list[Panel]:
    """This model's pattern less the other's: red where this one looks more.

    Raises:
        ValueError: the other model has no such layer or head, or other frames.
    """
    ours, others = layers(trace, watches[0]), layers(theirs, watches[0])
    if layer not in others or head >= len(others[layer]):
        raise ValueError(
            f"expected layer {layer}, head {head} in the other model too, found {len(others)} layers with "
            f"{len(next(iter(others.values())))} heads: turn to a head that both have"
        )
    title = f"Layer {layer}, head {head}: this model less the other"
    names = ("this model", "the other")
    return [difference("attention_of_two", title, ours[layer][head], others[layer][head], names, trace, utterance)]


@dataclass(frozen=True, eq=False)
class Theirs:
    """The patterns of the other model, under whatever name it has them."""

    utterance: object
    other: bool = True

    def __call__(self, model) -> Mapping:
        return Hear(self.utterance, watched(model, [], watches))(model)
