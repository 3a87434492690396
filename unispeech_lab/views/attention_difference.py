"""Attention difference: one head's pattern less another's, of the same forward."""

import numpy as np

from unispeech_lab.views.attention import knobs as one_head
from unispeech_lab.views.attention import looks, watches
from unispeech_lab.views.panel import Knob, Matrix, Panel, clock
from unispeech_lab.views.reading import clock_of, layers


def knobs(trace, utterance) -> dict[str, Knob]:
    made = one_head(trace, utterance)
    depth, heads = made["layer"].values, made["head"].values
    return {
        **made,
        "layer": Knob(depth, depth[-1], "layer"),
        "other_layer": Knob(depth, depth[0], "against layer"),
        "other_head": Knob(heads, heads[-1], "against head"),  # at first another, wherever the layer stands,
    }


def panels(trace, utterance, layer: int, head: int, other_layer: int, other_head: int) -> list[Panel]:
    """The pattern of ``layer``, ``head`` less that of ``other_layer``, ``other_head``: red is more, blue less."""
    found = layers(trace, watches[0])
    names = f"head {layer}.{head}", f"head {other_layer}.{other_head}"
    title = f"Attention of {names[0]} less that of {names[1]}"
    one, other = found[layer][head], found[other_layer][other_head]
    return [difference("attention_difference", title, one, other, names, trace, utterance)]


def difference(
    name: str, title: str, one: np.ndarray, other: np.ndarray, names: tuple[str, str], trace, utterance
) -> Panel:
    """Two patterns (t, t) of the same frames, the first less the second, around a fixed zero."""
    if one.shape != other.shape:
        raise ValueError(
            f"expected patterns of the same frames, found {one.shape[0]} and {other.shape[0]} frames: compare models "
            f"with the same convolutions"
        )
    frames, count = clock_of(trace), len(one)
    apart = one - other
    centres, edges = frames.centre(np.arange(count)), frames.edges(count)
    high = max(float(np.abs(apart).max(initial=0.0)), 1e-6)
    extent = (float(edges[0]), float(edges[-1]))
    time = clock(len(utterance.waveform) / utterance.rate)
    moved = float(np.abs(apart).sum(1).mean()) / 2
    if moved < 1e-6:
        words = f"The same to the last digit: {names[0]} looks where {names[1]} does."
    else:
        gazes = " ".join(
            f"{who} looks {looks(*gaze(pattern, centres))}{ending}"
            for who, pattern, ending in zip(names, (one, other), (",", "."), strict=True)
        )
        moment = float(centres[np.abs(apart).sum(1).argmax()])
        words = f"{moved:.0%} of the weight lies elsewhere, most from {moment:.2f} s. {gazes[0].upper()}{gazes[1:]}"
    picture = Matrix(apart, extent, extent, -high, high, quantity="weight, difference", map="RdBu_r")
    upright = clock(time.stop, "looks from")
    return Panel(name, title, (picture,), time, upright, words, weight=3.6)


def gaze(pattern: np.ndarray, centres: np.ndarray) -> tuple[float, float]:
    """Seconds ahead (below nought: back), and seconds away, on average."""
    ahead = centres[None] - centres[:, None]
    return float((pattern * ahead).sum(1).mean()), float((pattern * np.abs(ahead)).sum(1).mean())
