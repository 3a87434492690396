"""Patching: one phone's frames put in the place of another's, somewhere inside a model.

    patched(value)[t] = value[b(t)] for the frames t of phone A, b(t) the frame of phone B as far into it; else value[t]

If the output then says B, what tells A from B lay in those frames at that layer; while it says A, the frames around
them held it too, or later layers could put it right. Activation patching: Vig et al. 2020; Meng et al. 2022; good
practice: Zhang and Nanda 2024.

Shapes: ``t`` frame, ``v`` class of the CTC layer.
"""

from collections.abc import Callable

import numpy as np

from unispeech_lab.alignment import Span
from unispeech_lab.frames import Frames


def named(utterance) -> tuple[str, ...]:
    """Every phone with its place, from 1, and its word, where that is known: ``4 æ in cat``."""
    names = []
    for k, phone in enumerate(utterance.phones, 1):
        middle = (phone.start + phone.end) / 2
        word = next((word.label for word in utterance.words if word.start <= middle < word.end), "")
        names.append(f"{k} {phone.label}{f' in {word}' if word else ''}")
    return tuple(names)


def frames_of(span: Span, clock: Frames, count: int) -> range:
    """The frames, of so many, whose middle lies in a span; if none does, the one nearest to its own."""
    centres = np.asarray(clock.centre(np.arange(count)))
    first, last = np.searchsorted(centres, (span.start, span.end))
    if first == last:
        first = int(np.clip(clock.nearest((span.start + span.end) / 2), 0, max(count - 1, 0)))
        last = min(first + 1, count)
    return range(int(first), int(last))


def sources(count: int, into: range, out_of: range) -> np.ndarray:
    """For each of so many frames, the frame to take (t,): itself, or inside ``into`` that of ``out_of`` at the same
    fraction of its length (nearest)."""
    taken = np.arange(count)
    fractions = (np.arange(len(into)) + 0.5) / max(len(into), 1)
    taken[into.start : into.stop] = out_of.start + np.floor(fractions * len(out_of)).astype(int)
    return taken


def patch(into: range, out_of: range) -> Callable:
    """A change for ``edit``: values (b, t, ...) with the frames ``into`` replaced by those ``out_of``."""

    def change(value):
        return value[:, sources(value.shape[1], into, out_of)]

    return change


def shares(belief: np.ndarray, frames: range, blank: int) -> np.ndarray:
    """What is said at some frames: probabilities (t, v) summed over them and divided by all that is not blank (v,).

    The blank's own entry is its mean probability there; all is NaN where nothing else has one.
    """
    there = belief[frames.start : frames.stop].astype(np.float64)
    if not len(there):
        return np.full(belief.shape[1], np.nan)
    total = there.sum(0)
    spoken = total.sum() - total[blank]
    said = total / spoken if spoken > 1e-9 else np.full(len(total), np.nan)
    said[blank] = total[blank] / len(there)
    return said


def winner(said: np.ndarray, blank: int) -> int:
    """The class with the greatest share (v,), blank apart."""
    return int(np.argmax(np.where(np.arange(len(said)) == blank, -1.0, np.nan_to_num(said))))


def moved(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The share of the belief that went elsewhere at each frame (t,): half the sum of differences, 0 to 1."""
    return np.abs(after - before).sum(-1) / 2


def flips(before: np.ndarray, after: np.ndarray) -> int | None:
    """The first depth from which on ``after`` (l,) stays above ``before`` (l,); None where it is not above at last."""
    above = np.asarray(after) > np.asarray(before)
    if not len(above) or not above[-1]:
        return None
    below = np.flatnonzero(~above)
    return int(below[-1]) + 1 if len(below) else 0
