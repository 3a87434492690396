"""Movement: how far a layer's picture of each phone is from that of the same phone, said otherwise.

    movement of a phone = distance(its mean frame, its partner's mean frame) / yardstick
    yardstick           = mean distance between two phones of the utterance with different labels

so that 1 is as far as another phone, whatever the layer's scale. Distances: 1 - cosine, or Euclid's.

Shapes: ``t`` frame, ``d`` width, ``p`` phone.
"""

from collections.abc import Sequence

import numpy as np

from unispeech_lab.alignment import Span

DISTANCES = ("cosine", "Euclid")


def over_spans(values: np.ndarray, centres: np.ndarray, spans: Sequence[Span]) -> np.ndarray:
    """Means (p, d) of values (t, d) over the frames whose middle, ``centres`` (t,) in seconds, lies in each span; NaN
    where none does."""
    means = np.full((len(spans), values.shape[1]), np.nan)
    for k, span in enumerate(spans):
        first, last = np.searchsorted(centres, (span.start, span.end))
        if first < last:
            means[k] = values[first:last].mean(0)
    return means


def distances(x: np.ndarray, y: np.ndarray, kind: str = "cosine") -> np.ndarray:
    """From each of x (..., d) to its fellow in y (..., d); NaN where either is not known.

    Raises:
        ValueError: a kind that is not one of ``DISTANCES``.
    """
    if kind not in DISTANCES:
        raise ValueError(f"expected one of the distances {', '.join(DISTANCES)}, found {kind!r}")
    if kind == "Euclid":
        return np.linalg.norm(x - y, axis=-1)
    lengths = np.linalg.norm(x, axis=-1) * np.linalg.norm(y, axis=-1)
    return 1 - (x * y).sum(-1) / np.where(lengths > 0, lengths, np.nan)


def yardsticks(means: np.ndarray, labels: Sequence[str], kind: str = "cosine") -> tuple[float, float]:
    """Mean distances between two phones (p, d) of other labels, then of the same one; NaN where there are no two."""
    one, two = np.triu_indices(len(means), 1)
    between = distances(means[one], means[two], kind)
    names = np.asarray(labels, dtype=object)
    same = (names[one] == names[two]).astype(bool)
    return average(between[~same]), average(between[same])


def average(values: np.ndarray) -> float:
    """The mean of what is known; NaN of nothing, without a warning."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
