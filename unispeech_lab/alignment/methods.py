"""Methods: from the few frames in which CTC names a phone to the stretch of time that the phone takes.

CTC is paid for naming each phone once, so the best path names it for a frame or two and says blank for the rest. Every
method takes log-probabilities (t, v), labels (l,) and the blank, and returns the path it went by and borders (l, 2):
start and end of each label in frames (fractions are allowed), in order, without overlap.

    raw            the frames in which the path names the label
    midpoint       raw, grown half way over the blanks on both sides, ``REACH`` frames at most
    crossing       raw, grown to where the next label becomes likelier than this one, blanks left out of account
    label_prior    crossing, on scores divided by how often each class is likely: blank pays for being common
"""

from collections.abc import Callable, Sequence

import numpy as np

from unispeech_lab import ctc

REACH = 4  # frames (80 ms) that a phone may reach into blanks: the rest of a longer stretch is a pause
PRIOR = 0.5  # weight of the label prior: 0 is none, 1 divides by it whole

Method = Callable[..., tuple[ctc.Path, np.ndarray]]


def raw(log_probs: np.ndarray, labels: Sequence[int], blank: int, progress=None) -> tuple[ctc.Path, np.ndarray]:
    """The frames in which the best path names each label: as CTC has it, mostly too short."""
    path = ctc.viterbi(log_probs, labels, blank, progress=progress)
    return path, path.frames().astype(float)


def midpoint(log_probs: np.ndarray, labels: Sequence[int], blank: int, progress=None) -> tuple[ctc.Path, np.ndarray]:
    """``raw``, and of the blanks between two labels half to each, ``REACH`` frames at most."""
    path, borders = raw(log_probs, labels, blank, progress)
    return path, _grown(borders, len(log_probs), lambda k, end, start: (end + start) / 2)


def crossing(log_probs: np.ndarray, labels: Sequence[int], blank: int, progress=None) -> tuple[ctc.Path, np.ndarray]:
    """``raw``, and the blanks between two labels split where that makes the two likeliest.

    That is the best path once blank may not be said in between. As far as ``REACH`` on both sides.
    """
    path, borders = raw(log_probs, labels, blank, progress)
    return path, _grown(borders, len(log_probs), _split(log_probs, path))


def label_prior(log_probs: np.ndarray, labels: Sequence[int], blank: int, progress=None) -> tuple[ctc.Path, np.ndarray]:
    """``crossing``, on scores log p - ``PRIOR`` * log of the mean p of the class in this recording.

    Method: Huang et al. 2024, "Less peaky and more accurate CTC forced alignment by label priors", here without
    training: the prior is taken from what is aligned.
    """
    prior = np.exp(log_probs).mean(axis=0, dtype=np.float64) + 1e-4  # a class never heard is not infinitely welcome
    scores = (log_probs - PRIOR * np.log(prior)).astype(np.float32)
    path, borders = raw(scores, labels, blank, progress)
    return path, _grown(borders, len(log_probs), _split(scores, path))


METHODS: dict[str, Method] = {method.__name__: method for method in (raw, midpoint, crossing, label_prior)}


def _split(scores: np.ndarray, path: ctc.Path) -> Callable[[int, int, int], float]:
    """Where, between label k and the next, the frames change hands."""
    heard = scores.max(axis=1)  # what a star scores

    def where(k: int, end: int, start: int) -> float:
        ours, theirs = (
            heard[end:start] if label == ctc.STAR else scores[end:start, label] for label in path.labels[k : k + 2]
        )
        gain = np.cumsum(np.maximum(ours, -1e3) - np.maximum(theirs, -1e3), dtype=np.float64)
        best = np.flatnonzero(np.append(0, gain) >= max(0, gain.max()) - 1e-6)
        return end + (best[0] + best[-1]) / 2  # where nothing tells them apart: the middle

    return where


def _grown(borders: np.ndarray, count: int, between: Callable[[int, int, int], float]) -> np.ndarray:
    """Borders (l, 2) grown into the blanks around them, ``REACH`` frames at most; ``between`` says where two meet."""
    grown = borders.copy()
    for k in range(len(borders) - 1):
        end, start = borders[k, 1], borders[k + 1, 0]
        if end < start:
            meet = between(k, int(end), int(start))
            grown[k, 1], grown[k + 1, 0] = min(meet, end + REACH), max(meet, start - REACH)
    if len(borders):
        grown[0, 0], grown[-1, 1] = max(borders[0, 0] - REACH, 0), min(borders[-1, 1] + REACH, count)
    return grown
