"""Codebook: which codewords are in use, for which phones, from plain arrays.

    NMI = 2 I(code; phone) / (H(code) + H(phone))          purity = sum over codes of max over phones n(code, phone) / n
    V-measure = harmonic mean of homogeneity I / H(phone) and completeness I / H(code), which is the same number

V-measure: Rosenberg and Hirschberg 2007. NMI grows with the number of clusters: compare it only among equals, or with
what ``chance`` would give (Vinh, Epps and Bailey 2010).

Shapes: ``t`` frame, ``g`` group, ``v`` codeword of a group, ``p`` phone.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.optimize import linear_sum_assignment
from sklearn.metrics.cluster import expected_mutual_information

from .alignment import Span
from .frames import Frames

PARTS = ("onset", "middle", "end")  # thirds of a phone
JOINT = "joint"  # the codes of all groups taken together


# ---- use ------------------------------------------------------------------------------------------------------------


def usage(codes: np.ndarray, codewords: int) -> np.ndarray:
    """How often each codeword was chosen, (g, v), in codes (t, g).

    Raises:
        ValueError: a code that is not below ``codewords``.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or (codes.size and not 0 <= codes.min() <= codes.max() < codewords):
        raise ValueError(
            f"expected codes (t, g) from 0 to {codewords - 1}, found shape {codes.shape}, up to {codes.max(initial=0)}"
        )
    return np.stack([np.bincount(group, minlength=codewords) for group in codes.T])


def perplexity(counts: np.ndarray) -> float:
    """How many codewords are in use, summed over groups: exp(entropy) of each row of counts (g, v), from g to g * v.

    Of counts it is the *hard* perplexity, of probabilities (t, g, v) averaged over frames the *soft* one.
    """
    return float(np.exp(entropy(counts)).sum())


def entropy(counts: np.ndarray) -> np.ndarray:
    """Entropy (...) in nats of counts or probabilities (..., v), each row taken as shares of its sum."""
    counts = np.asarray(counts)
    total = counts.sum(-1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros(counts.shape, np.result_type(counts, np.float32)), where=total > 0)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.abs((shares * logs).sum(-1))  # no entropy is below zero, nor is it -0


def dead(counts: np.ndarray) -> list[tuple[int, int]]:
    """(group, codeword) of those that nobody chose."""
    return [(int(g), int(v)) for g, v in np.argwhere(np.asarray(counts) == 0)]


def joint(codes: np.ndarray) -> np.ndarray:
    """One number (t,) for each combination of the groups' codes (t, g) that occurs, from 0 on."""
    return np.unique(np.asarray(codes), axis=0, return_inverse=True)[1].reshape(-1)


def most_joint(codes: np.ndarray, most: int) -> tuple[np.ndarray, tuple[str, ...]]:
    """The ``most`` frequent combinations by rank from 0 on: (t,), -1 for any other; their names, ``12·40``."""
    found, numbers, counts = np.unique(np.asarray(codes), axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    ranks = np.full(len(found), -1)
    ranks[order[:most]] = np.arange(min(most, len(found)))
    return ranks[numbers.reshape(-1)], tuple("·".join(map(str, found[k])) for k in order[:most])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities (..., v) of logits (..., v)."""
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def moving(values: np.ndarray, window: int) -> np.ndarray:
    """Means (t, ...) over so many frames around each, over fewer where an utterance begins and ends."""
    count = len(values)
    sums = np.concatenate([np.zeros((1, *np.shape(values)[1:])), np.cumsum(values, axis=0, dtype=np.float64)])
    first = np.maximum(np.arange(count) - (window - 1) // 2, 0)
    last = np.minimum(np.arange(count) + window // 2 + 1, count)
    return (sums[last] - sums[first]) / (last - first).reshape(-1, *(1,) * (np.ndim(values) - 1))


def stretches(codes: np.ndarray, utterances: np.ndarray) -> np.ndarray:
    """First frame and the one after the last (m, 2) of each run of one code (t,) within one utterance (t,)."""
    codes, utterances = np.asarray(codes), np.asarray(utterances)
    changes = np.flatnonzero((np.diff(codes) != 0) | (np.diff(utterances) != 0)) + 1
    edges = np.concatenate([[0], changes, [len(codes)]])
    return np.stack([edges[:-1], edges[1:]], axis=1)[: len(codes)]


# ---- phones ---------------------------------------------------------------------------------------------------------


def phone_of_frames(phones: Sequence[Span], clock: Frames, count: int) -> tuple[list[str | None], list[str | None]]:
    """The phone, then its part (onset, middle, end), at the centre of each of so many frames; None in pauses."""
    names: list[str | None] = [None] * count
    parts: list[str | None] = [None] * count
    centres = np.asarray(clock.centre(np.arange(count)))
    for span in phones:
        for t in np.flatnonzero((centres >= span.start) & (centres < span.end)):
            names[t] = span.label
            parts[t] = PARTS[min(int(3 * (centres[t] - span.start) / span.duration), 2)]
    return names, parts


def table(codes: Sequence[int], phones: Sequence[str | None]) -> pd.DataFrame:
    """Counts, a row a phone, a column a code; frames without a phone are left out.

    Raises:
        ValueError: not as many codes as phones.
    """
    codes, phones = np.asarray(codes), np.asarray(phones, dtype=object)
    if codes.shape != phones.shape:
        raise ValueError(f"expected a phone, or None, for each of {codes.shape} codes, found {phones.shape}")
    told = ~pd.isna(phones)
    rows, names = pd.factorize(phones[told], sort=True)
    found, columns = np.unique(codes[told], return_inverse=True)
    counts = np.bincount(rows * len(found) + columns, minlength=len(names) * len(found))
    counts = counts.reshape(len(names), len(found))
    return pd.DataFrame(counts, pd.Index(names, name="phone"), pd.Index(found, name="code"))


def agreement(codes: Sequence[int], phones: Sequence[str | None]) -> dict[str, float]:
    """``nmi`` (the V-measure), ``homogeneity``, ``completeness``, ``purity``, ``codes`` in use, ``frames`` counted.

    Raises:
        ValueError: no frame has a phone.
    """
    counts = table(codes, phones).to_numpy()
    if not counts.size:
        raise ValueError("expected frames within phones, found none: give phones with times")
    of_codes, of_phones = entropy(counts.sum(0)), entropy(counts.sum(1))
    common = max(of_codes + of_phones - entropy(counts.ravel()), 0.0)  # the mutual information
    homogeneity = common / of_phones if of_phones else 1.0
    completeness = common / of_codes if of_codes else 1.0
    both = homogeneity + completeness
    return {
        "nmi": float(2 * homogeneity * completeness / both) if both else 0.0,
        "homogeneity": float(homogeneity),
        "completeness": float(completeness),
        "purity": float(counts.max(axis=0).sum() / counts.sum()),
        "codes": counts.shape[1],
        "frames": int(counts.sum()),
    }


def chance(codes: Sequence[int], phones: Sequence[str | None]) -> float:
    """The NMI to expect, were the same codes dealt out to the frames at random (Vinh et al. 2010, equation 24a)."""
    counts = table(codes, phones).to_numpy()
    entropies = entropy(counts.sum(0)) + entropy(counts.sum(1))
    return float(2 * expected_mutual_information(counts, int(counts.sum())) / entropies) if entropies else 1.0


def similar(counts: np.ndarray) -> np.ndarray:
    """An order (m,) of rows (m, k) of counts in which those with alike shares stand side by side; empty rows come last.

    Average linkage of Hellinger distances, its leaves in optimal order (Bar-Joseph et al. 2001).
    """
    total = counts.sum(1)
    there = np.flatnonzero(total > 0)
    if len(there) > 2:
        roots = np.sqrt(counts[there] / total[there, None])
        there = there[leaves_list(linkage(roots, "average", optimal_ordering=True))]
    return np.concatenate([there, np.flatnonzero(total == 0)])


# ---- two codebooks --------------------------------------------------------------------------------------------------


def confusion(one: np.ndarray, other: np.ndarray, sizes: tuple[int, int]) -> np.ndarray:
    """How often (v, w) each code of one codebook (t,) and each of the other (t,) were chosen for the same frame.

    Raises:
        ValueError: not as many codes of one as of the other: their frames are not the same.
    """
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape:
        raise ValueError(
            f"expected both codebooks to name the same frames, found {one.shape} and {other.shape} codes: "
            f"compare models of one clock, of one utterance or corpus"
        )
    return np.bincount(one * sizes[1] + other, minlength=sizes[0] * sizes[1]).reshape(sizes)


def match(counts: np.ndarray) -> np.ndarray:
    """The partner (v,) of each code of one codebook in another, by a confusion (v, w); -1 for a code that has none.

    One to one, and so that the pairs share as many frames as can be (Kuhn 1955): codes have no order, so that the same
    codebook under other numbers is found to be the same.
    """
    partners = np.full(len(counts), -1)
    rows, columns = linear_sum_assignment(counts, maximize=True)
    met = counts[rows, columns] > 0
    partners[rows[met]] = columns[met]
    return partners
