"""Codes: which codeword of each group the quantizer chose, frame by frame."""

import numpy as np

from unispeech_lab.analysis.codewords import certainty
from unispeech_lab.views.panel import Axis, Knob, Panel, Spans, clock, runs
from unispeech_lab.views.reading import clock_of, find

watches = ("quantizer.codes", "quantizer.logits")


def knobs(trace, utterance) -> dict[str, Knob]:
    return {}


def panels(trace, utterance) -> list[Panel]:
    """One tier a group: equal neighbours are one span, labelled with the code, bright where the softmax was sure."""
    (codes,) = find(trace, "quantizer.codes").values()  # (t, g)
    (logits,) = find(trace, "quantizer.logits").values()  # (t, g, v)
    edges, groups, size = clock_of(trace).edges(len(codes)), codes.shape[1], logits.shape[-1]
    sure = certainty(logits, codes)  # (t, g)
    tiers, used = [], []
    for group in range(groups):
        spans = runs(codes[:, group].tolist(), edges)
        starts = np.flatnonzero(np.diff(codes[:, group], prepend=-1))
        shades = np.add.reduceat(sure[:, group], starts) / np.diff(starts, append=len(codes))
        tiers.append(Spans(f"group {group} code", spans, (groups - 1.0 - group, float(groups - group)), shades))
        used.append(len(np.unique(codes[:, group])))
    seconds = len(utterance.waveform) / utterance.rate
    held = 1000 * float(np.mean([span.duration for tier in tiers for span in tier.spans] or [0.0]))
    counts = ", ".join(f"group {group} uses {number}" for group, number in enumerate(used))
    words = (
        f"{counts} of {size} codes; a code is held {held:.0f} ms on average. The softmax gave the chosen ones "
        f"{sure.mean():.0%} (dark: unsure)."
    )
    names = tuple((groups - 0.5 - group, f"group {group}") for group in range(groups))
    axis = Axis("group", "", 0.0, float(groups), names)
    return [Panel("codes", "Codes", tiers, clock(seconds), axis, words, weight=0.45 * groups)]
