"""Lattice: all CTC paths that spell given labels, summed state by state.

    states         blank l_1 blank l_2 blank ... l_n blank: s = 2n + 1 of them
    forward[t, s]  = p(s at t) * (forward[t-1, s] + forward[t-1, s-1] + forward[t-1, s-2] if a label that differs)
    backward[t, s] = the same from the end, without p(s at t)
    through[t, s]  = forward * backward / p(labels): the share of all paths, by probability, that pass here

    came[t, s]     = from which of the three the best single path into that state comes      (max in place of the sum)

Everything in natural logs. Source: Graves et al. 2006, section 4.1. The best whole path is ``ctc.viterbi``'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb

import numpy as np

from unispeech_lab.ctc.arrays import batch, one_class
from unispeech_lab.ctc.forced import needed

CAME = NO_WAY, NO_END, BEGINS, STAYS, CLIMBS, SKIPS = range(6)


@dataclass(frozen=True, eq=False)
class Lattice:
    """``classes`` (s,) that the states stand for; ``emission``, ``forward``, ``backward`` (t, s), in natural logs."""

    classes: np.ndarray
    emission: np.ndarray
    forward: np.ndarray
    backward: np.ndarray

    @cached_property
    def came(self) -> np.ndarray:
        """(t, s) int, where the best path into a state comes from: an entry of ``CAME``.

        Of two as good, the one that stays longer where it is. ``NO_WAY`` where no path begins, ``NO_END`` where one
        does that no whole path goes on from: all that is left of it cannot be said in the frames that are left.
        """
        best, came = self.emission[0].copy(), np.full(self.emission.shape, NO_WAY)
        best[2:] = -np.inf
        came[0, :2] = BEGINS
        skips = skips_into(self.classes)
        for t in range(1, len(came)):
            ways = np.full((3, len(best)), -np.inf)  # stays, from the state before, over a blank
            ways[0], ways[1, 1:] = best, best[:-1]
            ways[2, 2:] = np.where(skips[2:], best[:-2], -np.inf)
            came[t] = STAYS + ways.argmax(0)
            best = ways.max(0)
            came[t, np.isneginf(best)] = NO_WAY
            best = best + self.emission[t]
        came[np.isneginf(self.emission)] = NO_WAY
        came[(came != NO_WAY) & np.isneginf(self.backward)] = NO_END
        return came

    @property
    def log_prob(self) -> float:
        """Log of what all paths come to: ``-log_prob`` is the CTC loss of the utterance."""
        return float(np.logaddexp.reduce(self.forward[-1, -2:]))

    @property
    def through(self) -> np.ndarray:
        """(t, s) the share of all paths, by probability, that are in a state at a frame: each row sums to one."""
        return np.exp(self.forward + self.backward - self.log_prob)


def lattice(log_probs, labels: Sequence[int], blank: int) -> Lattice:
    """The lattice of labels (l,) over log-probabilities (t, v).

    Raises:
        ValueError: more labels than the frames have room for; a blank that is no class.
    """
    (scores,) = batch(log_probs)
    blank, labels = one_class(blank, scores.shape[1]), [int(label) for label in labels]
    if len(scores) < max(needed(labels), 1):
        raise ValueError(f"expected at least {max(needed(labels), 1)} frames for these labels, found {len(scores)}")
    classes = np.full(2 * len(labels) + 1, blank)
    classes[1::2] = labels
    emission = scores[:, classes].astype(np.float64)
    skips = skips_into(classes)
    forward = _sweep(emission, skips)
    # Backwards the lattice is the same, mirrored: the skip into state s is then the one out of it.
    backward = _sweep(emission[::-1, ::-1], np.append(skips[2:], [False, False][: len(skips)])[::-1])[::-1, ::-1]
    with np.errstate(invalid="ignore"):  # where the emission is nought, so is what comes after it
        return Lattice(classes, emission, forward, np.where(np.isneginf(emission), -np.inf, backward - emission))


def skips_into(classes: np.ndarray) -> np.ndarray:
    """(s,) bool: a path may come from two states before, from a label to the next if it is another, without a blank."""
    skips = np.zeros(len(classes), bool)
    skips[3::2] = classes[3::2] != classes[1:-2:2]
    return skips


def path_count(labels: int, frames: int) -> int:
    """How many paths over so many frames spell so many labels, no two neighbours alike: (t + l) over 2l."""
    return comb(frames + labels, 2 * labels)


def _sweep(emission: np.ndarray, skips: np.ndarray) -> np.ndarray:
    """Log sums (t, s) of all ways into each state that begin in one of the first two."""
    reached = np.full(emission.shape, -np.inf)
    reached[0, :2] = emission[0, :2]
    for t in range(1, len(emission)):
        before = reached[t - 1]
        ways = before.copy()
        ways[1:] = np.logaddexp(ways[1:], before[:-1])
        ways[2:] = np.logaddexp(ways[2:], np.where(skips[2:], before[:-2], -np.inf))
        reached[t] = ways + emission[t]
    return reached
