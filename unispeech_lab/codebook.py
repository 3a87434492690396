"""Codebook: which codewords are in use, for which phones, from plain arrays.

    NMI = 2 I(code; phone) / (H(code) + H(phone))          purity = sum over codes of max over phones n(code, phone) / n
    V-measure = harmonic mean of homogeneity I / H(phone) and completeness I / H(code), which is the same number

V-measure: Rosenberg and Hirschberg 2007. NMI grows with the number of clusters: compare it only among equals.

Shapes: ``t`` frame, ``g`` group, ``v`` codeword of a group, ``p`` phone.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import homogeneity_completeness_v_measure

from .alignment import Span
from .frames import Frames

PARTS = ("onset", "middle", "end")  # thirds of a phone


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
    """How many codewords are in use, summed over groups: exp(entropy) of each row of counts (g, v), from g to g * v."""
    shares = counts / np.maximum(counts.sum(-1, keepdims=True), 1)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return float(np.exp(-(shares * logs).sum(-1)).sum())


def dead(counts: np.ndarray) -> list[tuple[int, int]]:
    """(group, codeword) of those that nobody chose."""
    return [(int(g), int(v)) for g, v in np.argwhere(np.asarray(counts) == 0)]


def joint(codes: np.ndarray) -> np.ndarray:
    """One number (t,) for each combination of the groups' codes (t, g) that occurs, from 0 on."""
    return np.unique(np.asarray(codes), axis=0, return_inverse=True)[1].reshape(-1)


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
    """Counts, a row a phone, a column a code; frames without a phone are left out."""
    told = [(phone, code) for phone, code in zip(phones, codes, strict=True) if phone is not None]
    frame = pd.DataFrame(told, columns=["phone", "code"])
    return pd.crosstab(frame["phone"], frame["code"])


def agreement(codes: Sequence[int], phones: Sequence[str | None]) -> dict[str, float]:
    """``nmi`` (the V-measure), ``homogeneity``, ``completeness``, ``purity``, ``codes`` in use, ``frames`` counted.

    Raises:
        ValueError: no frame has a phone.
    """
    told = [(phone, int(code)) for phone, code in zip(phones, codes, strict=True) if phone is not None]
    if not told:
        raise ValueError("expected frames within phones, found none: give phones with times")
    names, found = zip(*told, strict=True)
    homogeneity, completeness, v = homogeneity_completeness_v_measure(names, found)
    most = table(found, names).max(axis=0).sum()
    return {
        "nmi": float(v),
        "homogeneity": float(homogeneity),
        "completeness": float(completeness),
        "purity": float(most) / len(told),
        "codes": len(set(found)),
        "frames": len(told),
    }
