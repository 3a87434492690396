"""Attention: how far heads look, how sharply, at what, out of their patterns alone.

    distance = mean over q of sum_k A[q, k] |k - q|         offset the same of k - q: below nought is back in time
    diagonality = 1 - distance / distance of an even gaze   verticality = 1 - H(mean over q of A[q]) / log t
    globalness = mean over q of H(A[q]) / log t             H(p) = - sum p log p

Diagonality, verticality, globalness are those of Yang, Liu and Lee 2020 (arXiv 2006.03265), which give distances in
frames and entropies in nats; here all three are scaled so that an even gaze is 0, 0 and 1, whatever the length. Mean
distance: Vig and Belinkov 2019 (arXiv 1906.04284). Phones in the patterns: Shim, Choi and Sung 2022 (ICLR,
"Understanding the role of self attention for efficient speech recognition"), who count the weight on equal phones.

Shapes: ``t`` frame, ``q`` looks at ``k``; a pattern (t, t) has a row a query, each sums to one; ``...`` any number of
heads or layers; ``g`` group of frames, such as a phone.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided


def distance(patterns: np.ndarray) -> np.ndarray:
    """How many frames away patterns (..., t, t) look: (...)."""
    return weighed(patterns, np.abs(offsets(patterns.shape[-1])))


def offset(patterns: np.ndarray) -> np.ndarray:
    """How many frames ahead patterns (..., t, t) look, below nought for back: (...)."""
    return weighed(patterns, offsets(patterns.shape[-1]))


def diagonality(patterns: np.ndarray) -> np.ndarray:
    """1 for frames that look at themselves, 0 for an even gaze, less for one that shuns what is near: (...)."""
    count = patterns.shape[-1]
    even = float(np.abs(offsets(count)).mean())
    return 1 - distance(patterns) / even if even else np.ones(patterns.shape[:-2])


def verticality(patterns: np.ndarray) -> np.ndarray:
    """1 where all frames look at the same one, 0 where every frame is looked at as much as any other: (...)."""
    seen = patterns.mean(-2)
    return 1 - surprise(seen) / np.log(seen.shape[-1]) if seen.shape[-1] > 1 else np.zeros(patterns.shape[:-2])


def globalness(patterns: np.ndarray) -> np.ndarray:
    """1 for an even gaze, 0 where each frame looks at a single one: (...)."""
    count = patterns.shape[-1]
    return surprise(patterns).mean(-1) / np.log(count) if count > 1 else np.zeros(patterns.shape[:-2])


def affinity(patterns: np.ndarray, pairs: np.ndarray, near: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """How much of the weight lies on ``pairs`` (t, t) bool, and how much would by nearness alone: (...) and (...).

    Only queries that are in a pair count; NaN without any. Frames close to each other are mostly of one phone, so a
    head that looks nearby lies on its own phone without knowing it: only what it has beyond a ``blind`` gaze tells
    that it does. ``near``: the heads' ``profile``, where it is at hand.
    """
    count = patterns.shape[-1]
    asks = pairs.any(1)
    if not asks.any():
        return (np.full(patterns.shape[:-2], np.nan),) * 2
    found = weighed(patterns, pairs.astype(np.float32)) * count / asks.sum()
    near = profile(patterns) if near is None else near
    on = near @ skewed(pairs.astype(np.float64))[asks].T
    whole = near @ skewed(np.ones((count, count)))[asks].T
    return found, np.divide(on, whole, out=np.zeros_like(on), where=whole > 0).mean(-1)


def blind(pattern: np.ndarray) -> np.ndarray:
    """The gaze (t, t) that looks as far away as this pattern (t, t) does on average, from every frame the same.

    It knows how far, not what is there. At the ends, where it would look beyond the sound, the rest has its weight.
    """
    count = len(pattern)
    near = profile(pattern)[np.arange(count) - np.arange(count)[:, None] + count - 1]
    whole = near.sum(1, keepdims=True)
    return np.divide(near, whole, out=np.zeros_like(near), where=whole > 0)


def profile(patterns: np.ndarray) -> np.ndarray:
    """The mean weight at each offset from -(t - 1) to t - 1: (..., t, t) to (..., 2 t - 1)."""
    count = patterns.shape[-1]
    return skewed(patterns).sum(-2, dtype=np.float64) / skewed(np.ones((count, count))).sum(0)


def pool(pattern: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """A pattern (t, t) from frames to groups: (g, g), how much a frame of one looks at all frames of the other.

    ``groups`` (t,) are numbers from 0 on, all of them in use. To a group the weights are summed, from a group they are
    averaged (Clark et al. 2019, arXiv 1906.04341, do so with the parts of a word): rows sum to what they summed to.
    """
    member = np.eye(groups.max(initial=-1) + 1)[groups]  # (t, g)
    return (member / member.sum(0)).T @ pattern @ member


def rollout(patterns: np.ndarray, residual: float = 0.5) -> np.ndarray:
    """Where the states after the last of these layers come from, if attention and residual paths were all: (t, t).

        R = (residual I + (1 - residual) A_l) ... (residual I + (1 - residual) A_0)

    of patterns (l, t, t), each the mean of a layer's heads (Abnar and Zuidema 2020, arXiv 2005.00928, with half of the
    weight on the residual path).
    """
    come = np.eye(patterns.shape[-1])
    for pattern in patterns:
        come = residual * come + (1 - residual) * (pattern @ come)
    return come


def owed(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """How far states (t, d) move when the values of one group of frames are taken away, as in (g, t, d): (t, g).

    The cosine distance (Mohebbi et al. 2023, arXiv 2301.12971, who take away single tokens): what a frame owes.
    """
    norms = np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1)  # (g, t)
    cosines = np.divide(np.einsum("td,gtd->gt", before, after), norms, out=np.ones_like(norms), where=norms > 0)
    apart = (1 - cosines).T
    return np.where(apart > 1e-6, apart, 0)  # less is rounding


def shares(owed: np.ndarray) -> np.ndarray:
    """Rows that sum to one; a row of nothing stays so."""
    whole = owed.sum(-1, keepdims=True)
    return np.divide(owed, whole, out=np.zeros_like(owed), where=whole > 0)


def shrink(patterns: np.ndarray, size: int) -> np.ndarray:
    """Patterns (..., t, t) as small pictures (..., s, s), means of neighbours, with s at most ``size``."""
    count = patterns.shape[-1]
    starts = np.unique(np.linspace(0, count, min(size, count), endpoint=False).astype(int))
    lengths = np.diff([*starts, count])
    sums = np.add.reduceat(np.add.reduceat(patterns, starts, axis=-1), starts, axis=-2)
    return sums / (lengths[:, None] * lengths)


def offsets(count: int) -> np.ndarray:
    """k - q (t, t): how many frames ahead of each query (a row) each key lies."""
    at = np.arange(count, dtype=np.float32)
    return at - at[:, None]


def weighed(patterns: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """The mean over queries of what keys are worth (t, t), weighed by how much they are looked at: (...)."""
    count = patterns.shape[-1]
    return patterns.reshape(*patterns.shape[:-2], count * count) @ worth.ravel() / count


def surprise(shares: np.ndarray) -> np.ndarray:
    """Entropy in nats over the last axis."""
    return -(shares * np.log(np.maximum(shares, np.finfo(np.float32).tiny))).sum(-1)


def skewed(patterns: np.ndarray) -> np.ndarray:
    """(..., t, t) by offset instead of by key, (..., t, 2 t - 1): column t - 1 is the diagonal; nought where no key."""
    *lead, _, count = patterns.shape
    wide = np.zeros((*lead, count * (2 * count - 1)), patterns.dtype)
    *outer, item = wide.strides
    # each row begins one place earlier than the one before, so that equal offsets stand under each other
    rows = as_strided(wide[..., count - 1 :], patterns.shape, (*outer, (2 * count - 2) * item, item))
    rows[...] = patterns
    return wide.reshape(*lead, count, 2 * count - 1)
