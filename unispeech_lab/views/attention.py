"""Attention: one head of one layer, which moments it looks at from each moment."""

import numpy as np

from unispeech_lab.views.panel import Axis, Knob, Lines, Matrix, Panel, clock
from unispeech_lab.views.reading import clock_of, layers

watches = ("encoder.layers.*.attention.pattern",)

NEAR = 0.1  # seconds: what counts as looking nearby, about one phone


def knobs(trace, utterance) -> dict[str, Knob]:
    found = layers(trace, watches[0])
    heads = min(len(pattern) for pattern in found.values())
    return {
        "layer": Knob(tuple(found), next(iter(found)), "layer"),
        "head": Knob(tuple(range(heads)), 0, "head"),
    }


def panels(trace, utterance, layer: int, head: int) -> list[Panel]:
    """The pattern (query, key) with seconds on both axes, and how far away it looks from each moment."""
    pattern = layers(trace, watches[0])[layer][head]  # (t, t), each row sums to one
    frames, count = clock_of(trace), len(pattern)
    centres, edges = frames.centre(np.arange(count)), frames.edges(count)
    away = pattern @ centres - centres * pattern.sum(1)  # seconds, negative is the past
    apart = np.abs(centres[None] - centres[:, None])
    close = apart < NEAR + 0.5 / frames.rate  # a frame at the border counts
    reach = float((pattern * apart).sum(1).mean())
    near, even = float((pattern * close).sum(1).mean()), float(close.mean())
    extent = (float(edges[0]), float(edges[-1]))
    seconds = len(utterance.waveform) / utterance.rate
    time = clock(seconds)
    picture = Matrix(pattern, extent, extent, 0.0, max(float(pattern.max()), 1e-6), quantity="weight")
    words = (
        f"Head {head} of layer {layer} looks {looks(float(away.mean()), reach)} on average; "
        f"{near:.0%} of its weight lies within {1000 * NEAR:.0f} ms (an even gaze: {even:.0%})."
    )
    widest = max(50.0, 1050 * float(np.abs(away).max()))
    return [
        Panel(
            "attention",
            f"Attention, layer {layer}, head {head}",
            (picture,),
            time,
            clock(seconds, "looks from"),
            words,
            weight=2.8,
        ),
        Panel(
            "gaze",
            "Where that head looks",
            (Lines(centres, 1000 * away[None], ("distance",), "ms"),),
            time,
            Axis("distance", "ms", -widest, widest),
            "Below zero it looks back, above it looks ahead.",
            weight=0.7,
        ),
    ]


def looks(offset: float, reach: float) -> str:
    """A signed offset in words, ``60 ms back``; where it is nought, whether the gaze (``reach`` seconds) is wide."""
    milliseconds = round(1000 * offset)
    if milliseconds:
        return f"{abs(milliseconds)} ms {'back' if milliseconds < 0 else 'ahead'}"
    return "as far back as ahead" if round(1000 * reach) else "at itself"
