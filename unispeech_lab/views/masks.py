"""Masks: which frames a training step hides, which states it replaces by codewords before the CTC head."""

from itertools import groupby

import numpy as np

from unispeech_lab.alignment import Span
from unispeech_lab.analysis.anatomy import training_step as hear
from unispeech_lab.analysis.negatives import PAUSE, phones
from unispeech_lab.views.panel import Axis, Knob, Panel, Spans, clock
from unispeech_lab.views.reading import clock_of, find

__all__ = ["hear", "joined", "knobs", "panels", "stretches", "watches"]

watches = ("mask", "replaced")


def knobs(trace, utterance) -> dict[str, Knob]:
    return {}


def panels(trace, utterance) -> list[Panel]:
    """Two tiers: stretches of hidden frames, which are those to predict, over stretches of replaced frames."""
    (hidden,) = find(trace, "step.predicted", "mask").values()  # (t,)
    (replaced,) = find(trace, "replaced").values()  # (t,)
    frames, count = clock_of(trace), len(hidden)
    said = phones(utterance.phones, frames.centre(np.arange(count)))
    above, below = (stretches(chosen, said, frames.edges(count)) for chosen in (hidden, replaced))
    longest = 1000 * max((span.duration for span in above), default=0.0)
    words = (
        f"{hidden.sum()} of {count} frames are hidden, to be predicted ({hidden.mean():.0%}), in {len(above)} "
        f"stretches of up to {longest:.0f} ms; {replaced.sum()} are replaced ({replaced.mean():.0%}), "
        f"{(hidden & replaced).sum()} of them hidden."
    )
    axis = Axis("frames", "", 0.0, 2.0, ((0.5, "replaced"), (1.5, "hidden")))
    tiers = (Spans("hidden", above, (1.0, 2.0)), Spans("replaced", below, (0.0, 1.0)))
    return [Panel("masks", "Masks", tiers, clock(len(utterance.waveform) / utterance.rate), axis, words, weight=0.9)]


def stretches(chosen: np.ndarray, said: np.ndarray, edges: np.ndarray) -> list[Span]:
    """Chosen frames (t,), neighbours joined, each stretch labelled with the phones ``said`` in it."""
    steps = np.diff(chosen.astype(int), prepend=0, append=0)
    borders = zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True)
    return [Span(joined(said[a:b]), max(float(edges[a]), 0.0), float(edges[b])) for a, b in borders]


def joined(said: np.ndarray) -> str:
    """The phones of neighbouring frames, each named once: ``k æ t``; ``·`` where none is spoken."""
    return " ".join(phone for phone, _ in groupby(said) if phone != PAUSE) or "·"
