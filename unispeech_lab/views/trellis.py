"""Trellis: the frames against what is to be said, with the best path through them.

A row a state: each label, and a blank before, between and after them. A path begins in one of the two lowest rows, ends
in one of the two highest, and from frame to frame stays, climbs one, or skips a blank between two different labels.
"""

import numpy as np

from unispeech_lab import ctc
from unispeech_lab.alignment import Span
from unispeech_lab.analysis.lattice import lattice, path_count
from unispeech_lab.ctc.forced import needed
from unispeech_lab.views.panel import Axis, Heatmap, Knob, Lines, Panel, Spans, clock, figures
from unispeech_lab.views.posteriors import logits
from unispeech_lab.views.reading import clock_of

watches = ("ctc_proj",)  # of the pretraining model; of UniSpeechForCTC record "lm_head" instead

CELLS = {"frame": "each frame alone", "so far": "the paths up to here", "through": "the share of all paths"}


def knobs(trace, utterance) -> dict[str, Knob]:
    return {"cells": Knob(tuple(CELLS), "through", "cells")}


def panels(trace, utterance, cells: str) -> list[Panel]:
    """The lattice of what is said (of what greedy reads, where nobody knows), and the best path.

    ``cells``: "frame" is the probability of the row's class in that frame alone; "so far" the forward algorithm's share
    of all paths up to there; "through" the share of all whole paths that pass there.
    """
    scores, blank, names = heard(trace)
    labels, known = spelt(trace, utterance, scores, blank, names)
    made, path = lattice(scores, labels, blank), ctc.viterbi(scores, labels, blank)
    said = [names[label] for label in labels]
    rows = tuple("blank" if state % 2 == 0 else said[state // 2] for state in range(len(made.classes)))
    ahead = made.forward - np.logaddexp.reduce(made.forward, axis=1, keepdims=True)
    values = {"frame": np.exp(made.emission), "so far": np.exp(ahead), "through": made.through}[cells]
    edges, count, states = clock_of(trace).edges(len(scores)), len(scores), len(rows)
    extent = (float(edges[0]), float(edges[-1]))
    picture = Heatmap(values.T, extent, (0.0, float(states)), 0.0, 1.0, "", "probability", rows)
    climb = np.where(path.owner >= 0, 2 * path.owner + 1, 2 * np.maximum.accumulate(path.owner) + 2)
    best = Lines(clock_of(trace).centre(np.arange(count)), climb[None] + 0.5, ("state of the best path",))
    room = 0.18 * states  # beneath the rows, for the labels where the path names them
    frames = path.frames()
    named = [Span(name, max(float(edges[a]), 0.0), float(edges[b])) for name, (a, b) in zip(said, frames, strict=True)]
    tier = Spans("best path", named, (-room, -0.15 * room))
    shown = range(states) if states <= 13 else range(1, states, 2 * -(-states // 36))  # labels only, or some of them
    ticks = [(state + 0.5, rows[state]) for state in shown]
    axis = Axis("state", "", -room, float(states), (*ticks, (-0.55 * room, "best path")))
    alike = any(a == b for a, b in zip(labels[:-1], labels[1:], strict=True))
    paths = "" if alike else f"{number(path_count(len(labels), count))} paths, "
    best_share = figures(100 * np.exp(path.score - made.log_prob)) + "%"
    words = (
        f"{len(labels)} labels{'' if known else ', as greedy reads them,'} in {count} frames: {paths}"
        f"all together −log p = {-made.log_prob:.2f}; the best has {best_share} of that."
    )
    time = clock(len(utterance.waveform) / utterance.rate)
    return [Panel("trellis", f"Trellis, {CELLS[cells]}", (picture, best, tier), time, axis, words, weight=3.0)]


def heard(trace) -> tuple[np.ndarray, int, list[str]]:
    """Log-probabilities (t, v) of the classes, which of them is the blank, and their names (numbers, if unknown)."""
    raw = logits(trace).astype(np.float64)
    top = raw.max(axis=1, keepdims=True)
    scores = raw - top - np.log(np.exp(raw - top).sum(axis=1, keepdims=True))
    known = getattr(trace, "blank", None)
    names = list(getattr(trace, "labels", ()))
    return scores, 0 if known is None else known, names or [str(v) for v in range(scores.shape[1])]


def spelt(trace, utterance, scores: np.ndarray, blank: int, names: list[str]) -> tuple[list[int], bool]:
    """Classes of the phones that are said, and True; what greedy reads, and False, where the trace does not name them
    all, nobody knows them, or they do not fit the frames."""
    said = [phone.label for phone in utterance.phones]
    if said and set(said) <= set(names):
        labels = [names.index(phone) for phone in said]
        if needed(labels) <= len(scores):
            return labels, True
    return ctc.greedy(scores, blank), False


def number(count: int) -> str:
    """``70``, or ``3.2e+41`` where nobody would count."""
    return str(count) if count < 1_000_000 else f"{count:.1e}"
