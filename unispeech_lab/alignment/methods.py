"""Methods: from the few frames in which CTC names a phone to the stretch of time that the phone takes.

CTC is paid for naming each phone once, so the best path names it for a frame or two and says blank for the rest. Every
method takes log-probabilities (t, v), labels (l,), the blank, and how much the sound changes (``change``), and returns
the path that it went by and borders (l, 2): start and end of each label in frames, in order, without overlap.

    raw            the frames in which the path names the label
    midpoint       raw, grown half way over the blanks on both sides
    centroid       raw, grown to where the next label is expected to take over
    label_prior    centroid, on scores divided by how often each class is likely: blank pays for being common
    spectral       centroid, drawn to where the sound changes

The place x at which label a gives way to b, over the blanks between them, is the mean of x under

    log weight(x) = TRUST * sum of (log p(a) before x + log p(b) after x) - (x - middle)^2 / (2 * SPREAD^2)
                    (+ PULL * change(x) for spectral)
"""

from collections.abc import Callable, Sequence

import numpy as np

from unispeech_lab import ctc
from unispeech_lab.alignment.change import FINE

INTO_PAUSE = (2, 3)  # frames that a phone is expected to reach into a pause: after its end, before its start
GAP = 2 * sum(INTO_PAUSE)  # frames (200 ms) of blank that two phones share between them; a longer stretch is a pause
PRIOR = 0.5  # weight of the label prior: 0 is none, 1 divides by it whole
TRUST = 0.5  # in phones that are likely, but less than blank
SPREAD = 1.0  # frames around the middle
PULL = 1.5  # of a change in the sound

Method = Callable[..., tuple[ctc.Path, np.ndarray]]


def raw(log_probs, labels: Sequence[int], blank: int, change=None, progress=None) -> tuple[ctc.Path, np.ndarray]:
    """The frames in which the best path names each label: as CTC has it, mostly too short."""
    path = ctc.viterbi(log_probs, labels, blank, progress=progress)
    return path, path.frames().astype(float)


def midpoint(log_probs, labels: Sequence[int], blank: int, change=None, progress=None) -> tuple[ctc.Path, np.ndarray]:
    """``raw``, and of the blanks between two labels half to each."""
    path, borders = raw(log_probs, labels, blank, progress=progress)
    return path, _grown(borders, len(log_probs), lambda low, high, k: (low + high) / 2)


def centroid(log_probs, labels: Sequence[int], blank: int, change=None, progress=None) -> tuple[ctc.Path, np.ndarray]:
    """``raw``, and the blanks between two labels divided where the labels' own scores expect it."""
    path, borders = raw(log_probs, labels, blank, progress=progress)
    return path, _grown(borders, len(log_probs), _expected(log_probs, path))


def label_prior(
    log_probs, labels: Sequence[int], blank: int, change=None, progress=None
) -> tuple[ctc.Path, np.ndarray]:
    """``centroid``, on scores log p - ``PRIOR`` * log of the mean p of the class in this recording.

    Method: Huang et al. 2024, "Less peaky and more accurate CTC forced alignment by label priors", here without
    training: the prior is taken from what is aligned.
    """
    prior = np.exp(log_probs).mean(axis=0, dtype=np.float64) + 1e-4  # a class never heard is not infinitely welcome
    scores = (log_probs - PRIOR * np.log(prior)).astype(np.float32)
    return centroid(scores, labels, blank, progress=progress)


def spectral(log_probs, labels: Sequence[int], blank: int, change=None, progress=None) -> tuple[ctc.Path, np.ndarray]:
    """``centroid``, drawn to where the sound changes. Raises ValueError without the sound."""
    if change is None:
        raise ValueError("expected the sound for the method 'spectral', found none: give waveform=")
    path, borders = raw(log_probs, labels, blank, progress=progress)
    return path, _grown(borders, len(log_probs), _expected(log_probs, path, change))


METHODS: dict[str, Method] = {method.__name__: method for method in (raw, midpoint, centroid, label_prior, spectral)}


def _expected(scores: np.ndarray, path: ctc.Path, change: np.ndarray | None = None) -> Callable[..., float]:
    """Where, between frames ``low`` and ``high``, label k gives way to the next; None: to or from a pause."""
    heard = scores.max(axis=1)  # what a star scores

    def column(label: int, low: int, high: int) -> np.ndarray:
        return np.maximum(heard[low:high] if label == ctc.STAR else scores[low:high, label], -30.0)

    def where(low: int, high: int, k: int | None) -> float:
        places = np.arange(FINE * low, FINE * high + 1)
        weight = -((places / FINE - (low + high) / 2) ** 2) / (2 * SPREAD**2)
        if k is not None:
            a, b = path.labels[k : k + 2]
            gain = np.append(0, np.cumsum(column(a, low, high) - column(b, low, high), dtype=np.float64))
            weight += TRUST * np.interp(places / FINE, np.arange(low, high + 1), gain)
        if change is not None:
            weight += PULL * change[places]
        weight = np.exp(weight - weight.max())
        return float((weight * places).sum() / weight.sum() / FINE)

    return where


def _grown(borders: np.ndarray, count: int, where: Callable[[int, int, int | None], float]) -> np.ndarray:
    """Borders (l, 2) grown into the blanks around them; ``where(low, high, k)`` says where in a stretch of frames."""
    grown, after, before = borders.copy(), 2 * INTO_PAUSE[0], 2 * INTO_PAUSE[1]
    ends, starts = np.append(0, borders[:, 1]).astype(int), np.append(borders[:, 0], count).astype(int)
    for k, (low, high) in enumerate(zip(ends, starts, strict=True)):  # the blanks before label k
        inside = 0 < k < len(borders)
        if inside and high - low <= GAP:
            grown[k - 1, 1] = grown[k, 0] = where(low, high, k - 1)
            continue
        if k > 0:
            grown[k - 1, 1] = where(low, min(low + after, high), None)
        if k < len(borders):
            grown[k, 0] = where(max(high - before, low), high, None)
    return grown
