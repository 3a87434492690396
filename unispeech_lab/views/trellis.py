"""Trellis: the frames against what is to be said, with the best path through them.

A row a state: each label, and a blank before, between and after them. A path begins in one of the two lowest rows, ends
in one of the two highest, and from frame to frame stays, climbs one, or skips a blank between two different labels.
"""

from dataclasses import dataclass

import numpy as np

from unispeech_lab import ctc
from unispeech_lab.alignment import Span
from unispeech_lab.analysis.lattice import BEGINS, CLIMBS, NO_END, NO_WAY, SKIPS, STAYS, lattice, path_count
from unispeech_lab.ctc.forced import needed
from unispeech_lab.views.panel import Axis, Heatmap, Knob, Lines, Panel, Spans, clock, figures
from unispeech_lab.views.posteriors import logits
from unispeech_lab.views.reading import clock_of

watches = ("ctc_proj|lm_head",)  # of the pretraining model, of UniSpeechForCTC

CELLS = {"frame": "each frame alone", "so far": "the paths up to here", "through": "the share of all paths"}
MOST = 60  # labels at once: more rows than that are no picture
FROM_BLANK = SKIPS + 1
CAME = {  # what the pointer reads in a cell: where the best path into it comes from
    NO_WAY: "no path",
    NO_END: "no path: too late to say the rest",
    BEGINS: "begins here",
    STAYS: "stays",
    CLIMBS: "from the phone before",  # into a blank
    SKIPS: "skips the blank",
    FROM_BLANK: "from the blank before",  # into a phone
}


def knobs(trace, utterance) -> dict[str, Knob]:
    scores, blank, names = heard(trace)
    parts = range(max(1, -(-len(spelt(trace, utterance, scores, blank, names)[0]) // MOST)))
    return {"cells": Knob(tuple(CELLS), "through", "cells"), "part": Knob(tuple(k + 1 for k in parts), 1, "part")}


def panels(trace, utterance, cells: str, part: int = 1) -> list[Panel]:
    """The lattice of what is said (of what greedy reads, where nobody knows), and the best path.

    ``cells``: "frame" is the probability of the row's class in that frame alone; "so far" the forward algorithm's share
    of all paths up to there; "through" the share of all whole paths that pass there. Of more than ``MOST`` labels a
    ``part`` is shown: so many labels, between the frames where the best path through all of them begins and ends them.
    """
    scores, blank, names = heard(trace)
    labels, known = spelt(trace, utterance, scores, blank, names)
    here = Part.of(scores, labels, blank, part - 1)
    made, states = lattice(here.scores, here.labels, blank), 2 * len(here.labels) + 1
    said = [names[label] for label in here.labels]
    rows = tuple("blank" if state % 2 == 0 else said[state // 2] for state in range(states))
    ahead = made.forward - np.logaddexp.reduce(made.forward, axis=1, keepdims=True)
    values = {"frame": np.exp(made.emission), "so far": np.exp(ahead), "through": made.through}[cells]
    frames, moments = clock_of(trace), here.first + np.arange(len(here.scores))
    edges = frames.edges(len(scores))
    came = np.where((made.came == CLIMBS) & (np.arange(states) % 2 == 1), FROM_BLANK, made.came)
    place = (float(edges[moments[0]]), float(edges[moments[-1] + 1])), (0.0, float(states))
    picture = Heatmap(values.T, *place, 0.0, 1.0, "", "probability", rows, kinds=came.T, legend=tuple(CAME.values()))
    climb = np.where(here.owner >= 0, 2 * here.owner + 1, 2 * np.maximum.accumulate(here.owner) + 2)
    best = Lines(frames.centre(moments), climb[None] + 0.5, ("state of the best path",))
    room = 0.18 * states  # beneath the rows, for the labels where the path names them
    times = np.maximum(edges[here.named], 0.0).tolist()
    tier = Spans(
        "best path", [Span(name, *ends) for name, ends in zip(said, times, strict=True)], (-room, -0.15 * room)
    )
    shown = range(states) if states <= 13 else range(1, states, 2 * -(-states // 36))  # labels only, or some of them
    ticks = [(state + 0.5, rows[state]) for state in shown]
    axis = Axis("state", "", -room, float(states), (*ticks, (-0.55 * room, "best path")))
    alike = any(a == b for a, b in zip(here.labels[:-1], here.labels[1:], strict=True))
    paths = "" if alike else f"{number(path_count(len(said), len(moments)))} paths, "
    best_share = figures(100 * np.exp(here.score - made.log_prob)) + "%"
    told = f"{len(labels)} labels" if len(said) == len(labels) else f"Labels {here.which} of {len(labels)}"
    words = (
        f"{told}{'' if known else ', as greedy reads them,'} in {len(moments)} frames: {paths}"
        f"all together −log p = {-made.log_prob:.2f}; the best has {best_share} of that."
    )
    time = clock(len(utterance.waveform) / utterance.rate)
    return [Panel("trellis", f"Trellis, {CELLS[cells]}", (picture, best, tier), time, axis, words, weight=3.0)]


@dataclass(frozen=True, eq=False)
class Part:
    """Some labels in a row, in the frames that the best path through all of them gives to these."""

    scores: np.ndarray  # (t, v) of its frames
    labels: list[int]
    owner: np.ndarray  # (t,) which of its labels the best path names in each frame, -1 where it is blank
    named: np.ndarray  # (l, 2) the first frame of the utterance that names each, and the one after its last
    score: float  # of the best path through its frames
    first: int  # frame of the utterance
    which: str  # ``61 to 120``

    @classmethod
    def of(cls, scores: np.ndarray, labels: list[int], blank: int, k: int) -> "Part":
        """The k-th ``MOST`` of the labels; from its first label's first frame up to the next part's."""
        path = ctc.viterbi(scores, labels, blank)
        low, high, named = k * MOST, min((k + 1) * MOST, len(labels)), path.frames()
        first, last = named[low, 0] if low else 0, named[high, 0] if high < len(labels) else len(scores)
        inside, owner = slice(first, last), path.owner[first:last]
        score = float(np.take_along_axis(scores[inside], path.classes[inside, None], axis=1).sum())
        own = np.where(owner < 0, -1, owner - low)
        return cls(scores[inside], labels[low:high], own, named[low:high], score, int(first), f"{low + 1} to {high}")


def heard(trace) -> tuple[np.ndarray, int, list[str]]:
    """Log-probabilities (t, v) of the classes, which of them is the blank, and their names (numbers, if unknown)."""
    raw = logits(trace).astype(np.float64)
    top = raw.max(axis=1, keepdims=True)
    scores = raw - top - np.log(np.exp(raw - top).sum(axis=1, keepdims=True))
    return scores, *named(trace, scores.shape[1])


def named(trace, classes: int) -> tuple[int, list[str]]:
    """Which of CTC's classes is the blank (the first, where nobody says), and what they are called."""
    known, names = getattr(trace, "blank", None), list(getattr(trace, "labels", ()))
    return 0 if known is None else known, names + [str(v) for v in range(len(names), classes)]


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
