"""Information: the share of what there is to know about phones that codes, or clusters of states, tell.

    value = (I - E) / (H - E)        I = mutual information of codes and phones, H = entropy of the phones,
                                     E = what I would be, were the same codes dealt out to the frames at random

Counted information is too high: where most pairs of code and phone are rare, codes without any meaning seem to know
much. E is that excess, computed exactly (Vinh, Epps and Bailey 2010, equation 24a): a code that tells nothing has
0, one that is the phone, or splits it, 1. It is homogeneity (Rosenberg and Hirschberg 2007) adjusted for chance.

For speech: Pasad et al. 2021 (arXiv 2107.04734), of k-means clusters of states. Shapes: ``f`` frame, ``d`` width.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.metrics.cluster import expected_mutual_information

from unispeech_lab.codebook import entropy

CLUSTERS = 100
PER_CLUSTER = 20  # frames that a cluster should have on average, or there are fewer clusters


def information(codes: Sequence[int], labels: Sequence[str]) -> float:
    """That share, of codes (f,) and labels (f,), a frame each; NaN where there are not two labels."""
    found, column = np.unique(np.asarray(codes), return_inverse=True)
    names, row = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    if len(names) < 2:
        return float("nan")
    counts = np.bincount(row * len(found) + column, minlength=len(names) * len(found)).reshape(len(names), len(found))
    return adjusted(counts)


def adjusted(counts: np.ndarray) -> float:
    """The same, of counts (phones, codes)."""
    known = entropy(counts.sum(1))
    common = known + entropy(counts.sum(0)) - entropy(counts.ravel())
    excess = expected_mutual_information(counts, int(counts.sum()))
    # A code of its own for every frame knows all by heart, and so does chance.
    return float((common - excess) / (known - excess)) if known - excess > 1e-9 else 0.0


def clusters(states: np.ndarray, seed: int = 0, most: int = CLUSTERS) -> np.ndarray:
    """A cluster for each frame of states (f, d), every dimension of one variance: k-means."""
    from sklearn.cluster import MiniBatchKMeans  # slow to import

    from unispeech_lab.analysis.probes import standard

    number = max(2, min(most, len(states) // PER_CLUSTER))
    means = MiniBatchKMeans(number, random_state=seed, n_init=3, batch_size=2048, init_size=max(1000, 3 * number))
    return means.fit_predict(standard(np.asarray(states, np.float64)))  # sklearn is slower with float32
