"""Debiased CKA: likeness of two representations without what few rows, or many dimensions, add to it.

    CKA = HSIC(X, Y) / sqrt(HSIC(X, X) HSIC(Y, Y))
    HSIC(X, Y) = [tr KL + 1'K1 1'L1 / ((m - 1)(m - 2)) - 2 1'KL1 / (m - 2)] / (m (m - 3))      K = XX', L = YY',
                                                                                      both with nought on the diagonal

Of m rows of noise in d dimensions plain CKA is about d / (d + m), this one 0. HSIC without bias: Song et al. 2012;
in CKA: Nguyen, Raghu and Kornblith 2021 (arXiv 2010.15327), equation 3; why it matters: Murphy et al. 2024
(arXiv 2405.01012). No m x m matrix is made: all terms are sums over rows, so blocks of rows can be taken out again.

Shapes: ``m`` row, ``d`` and ``e`` dimensions of the two sides.
"""

from collections.abc import Sequence

import numpy as np

from unispeech_lab.analysis.probes import folds
from unispeech_lab.analysis.resampling import BLOCKS, interval

Sums = dict[str, np.ndarray]


def cka(x: np.ndarray, y: np.ndarray, groups: Sequence | None = None, seed: int = 0) -> tuple[float, float, float]:
    """CKA of x (m, d) and y (m, e), with the 95 % interval of a jackknife over blocks of groups (m,).

    NaN where a side never changes, or of fewer than four rows; NaN ends without groups.

    Raises:
        ValueError: not as many rows of one as of the other.
    """
    if len(x) != len(y):
        raise ValueError(f"expected a row for each frame on both sides, found {len(x)} and {len(y)}")
    x, y = (np.asarray(side, np.float64) - np.mean(side, 0, dtype=np.float64) for side in (x, y))
    whole = sums(x, y)
    if groups is None:
        return ratio(whole), float("nan"), float("nan")
    block = folds(groups, BLOCKS, seed)
    blocks = [sums(x[block == k], y[block == k]) for k in np.unique(block)]
    return interval(ratio(whole), np.array([ratio({n: whole[n] - part[n] for n in whole}) for part in blocks]))


def sums(x: np.ndarray, y: np.ndarray) -> Sums:
    """All that the three HSICs need of these rows; sums of parts are the sums of the whole."""
    own = {"x": (x**2).sum(1), "y": (y**2).sum(1)}  # the diagonals of K and L
    found = {"rows": np.array(float(len(x)))}
    sides = {"x": x, "y": y}
    for name in ("xy", "xx", "yy"):
        (one, mine), (other, theirs) = ((sides[side], own[side]) for side in name)
        found |= {
            f"{name} products": one.T @ other,
            f"{name} one": one.T @ theirs,
            f"{name} other": other.T @ mine,
            f"{name} squares": np.array(mine @ theirs),
        }
    return found | {"x": x.sum(0), "y": y.sum(0), "own x": own["x"].sum(), "own y": own["y"].sum()}


def hsic(s: Sums, name: str) -> float:
    """(m, m) matrices' traces and sums, out of sums over rows; times m (m - 3), which CKA does not see."""
    rows, (one, other) = s["rows"], name
    a, b = s[one], s[other]
    trace = (s[f"{name} products"] ** 2).sum() - s[f"{name} squares"]
    both = a @ s[f"{name} products"] @ b - a @ s[f"{name} one"] - s[f"{name} other"] @ b + s[f"{name} squares"]
    return float(
        trace
        + (a @ a - s[f"own {one}"]) * (b @ b - s[f"own {other}"]) / ((rows - 1) * (rows - 2))
        - 2 * both / (rows - 2)
    )


def ratio(s: Sums) -> float:
    if s["rows"] < 4:
        return float("nan")
    scale = hsic(s, "xx") * hsic(s, "yy")
    return hsic(s, "xy") / np.sqrt(scale) if scale > 0 else float("nan")
