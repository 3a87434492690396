"""Attention: one head of one layer, which moments it looks at from each moment."""

import numpy as np

from unispeech_lab.analysis.attention import affinity
from unispeech_lab.analysis.negatives import spoken
from unispeech_lab.views.panel import Axis, Knob, Lines, Matrix, Panel, clock
from unispeech_lab.views.reading import PATTERN, clock_of, layers
from unispeech_lab.views.waveform import spectrogram

watches = (PATTERN,)

NEAR = 0.1  # seconds: what counts as looking nearby, about one phone


def knobs(trace, utterance) -> dict[str, Knob]:
    found = layers(trace, watches[0])
    heads = min(len(pattern) for pattern in found.values())
    return {
        "layer": Knob(tuple(found), next(iter(found)), "layer"),
        "head": Knob(tuple(range(heads)), 0, "head"),
    }


def panels(trace, utterance, layer: int, head: int) -> list[Panel]:
    """The pattern (query, key) with seconds on both axes, and how far away it looks from each moment.

    Along the left lies the sound of what looks; what is looked at, in time, lies above or below in other panels.
    """
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
    (sound,) = spectrogram(utterance.waveform, utterance.rate, "mel", time).marks
    words = (
        f"Head {head} of layer {layer} looks {looks(float(away.mean()), reach)} on average, {1000 * reach:.0f} ms away"
        f"{at_the_same_phone(pattern, utterance, centres)}; {near:.0%} of its weight lies within {1000 * NEAR:.0f} ms "
        f"(an even gaze: {even:.0%})."
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
            weight=3.6,
            margin=sound,
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


def at_the_same_phone(pattern: np.ndarray, utterance, centres: np.ndarray) -> str:
    """How much of the weight of frames within phones lies on their own phone; nothing where nobody knows the phones."""
    owner = spoken(utterance.phones, centres)
    same = (owner == owner[:, None]) & (owner >= 0)
    found, blind = affinity(pattern, same)
    if np.isnan(found):
        return ""
    return f", {found:.0%} of it at the same phone (by nearness alone {blind:.0%})"


def looks(offset: float, reach: float) -> str:
    """A signed offset in words, ``60 ms back``; where it is nought, whether the gaze (``reach`` seconds) is wide."""
    milliseconds = round(1000 * offset)
    if milliseconds:
        return f"{abs(milliseconds)} ms {'back' if milliseconds < 0 else 'ahead'}"
    return "as far back as ahead" if round(1000 * reach) else "at itself"
