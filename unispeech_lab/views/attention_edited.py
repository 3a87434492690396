"""Attention edited: how one head's pattern changes when a head of an earlier layer falls silent."""

from collections.abc import Mapping
from dataclasses import replace

from unispeech_lab.views.asking import Hear
from unispeech_lab.views.attention import knobs as one_head
from unispeech_lab.views.attention_difference import difference
from unispeech_lab.views.panel import Knob, Panel
from unispeech_lab.views.reading import layers

watches = ("encoder.layers.*.attention.pattern",)  # of our models: a pattern that can be edited


def knobs(trace, utterance) -> dict[str, Knob]:
    made = one_head(trace, utterance)
    depth, heads = made["layer"].values, made["head"].values
    every = [f"{layer}.{head}" for layer in depth for head in heads]
    made["layer"] = Knob(depth, depth[-1], "layer")  # at first one that hears what is changed before it
    return {**made, "silent": Knob(every, every[0], "silent head")}


def asks(trace, utterance, silent: str) -> dict:
    layer, head = map(int, silent.split("."))

    def silence(pattern):  # (1, h, t, t)
        pattern = pattern.clone()
        pattern[:, head] = 0.0
        return pattern

    name = f"encoder.layers.{layer}.attention.pattern"
    return {"after": Hear(utterance, watches, {name: silence}, trace)}


def panels(trace, utterance, layer: int, head: int, silent: str, after: Mapping) -> list[Panel]:
    """The pattern with the silent head less the pattern without: red is where the head looks instead."""
    title = f"Layer {layer}, head {head}: with {silent} silent less as it was"
    patterns = (layers(seen, watches[0])[layer][head] for seen in (after, trace))
    names = (f"with {silent} silent it", "as it was it")
    panel = difference("attention_edited", title, *patterns, names, trace, utterance)
    changed = int(silent.split(".")[0])
    if f"{layer}.{head}" == silent:
        return [replace(panel, words="This is the silent head itself: now it looks nowhere.")]
    if layer <= changed:
        where = "beside" if layer == changed else "after"
        told = f"Layer {layer} hears nothing of it: head {silent} falls silent {where} it."
        return [replace(panel, words=told)]
    return [panel]
