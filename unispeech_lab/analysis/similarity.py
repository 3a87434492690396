"""Similarity: how far two representations of the same frames say the same, from arrays of one row a frame.

    CKA(X, Y) = |Y'X|² / (|X'X| |Y'Y|)                    linear; X and Y centred, |.| the Frobenius norm
    CCA: rho_i = the i-th singular value of Qx'Qy          Qx, Qy orthonormal bases of the columns of X and Y

CKA: Kornblith et al. 2019 (arXiv 1905.00414). Mean CCA, SVCCA: Raghu et al. 2017 (arXiv 1706.05806). PWCCA: Morcos et
al. 2018 (arXiv 1806.05759), as Pasad et al. 2021 (arXiv 2107.04734) use it for speech, layer by layer.

CKA does not change under rotation or one common scale; CCA under any invertible linear map, so it needs many more rows
than columns: with as many columns as rows everything correlates with everything.

Shapes: ``f`` frame (or phone, or word), ``d`` and ``e`` dimensions of the two sides.
"""

from collections.abc import Sequence

import numpy as np

KEPT = 0.99  # share of the variance that SVCCA keeps
SMALLEST = 1e-6  # of the largest singular value: a direction below it is rounding


def cka(x: np.ndarray, y: np.ndarray) -> float:
    """Linear centred kernel alignment of x (f, d) and y (f, e), from 0 to 1; NaN where either never changes.

    Raises ``ValueError`` for sides of different numbers of rows.
    """
    x, y = sides(x, y)
    between, within = np.linalg.norm(y.T @ x) ** 2, np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(between / within) if within > 0 else float("nan")


def cca(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Canonical correlations (min of the two ranks,) of x (f, d) and y (f, e), the greatest first.

    Raises ``ValueError`` for too few rows: at least two for each dimension that changes.
    """
    x, y = sides(x, y)
    qx, qy = basis(x), basis(y)
    enough(len(x), qx.shape[1] + qy.shape[1])
    return np.clip(np.linalg.svd(qx.T @ qy, compute_uv=False), 0, 1)


def mean_cca(x: np.ndarray, y: np.ndarray) -> float:
    """The mean of the canonical correlations; NaN where either side never changes."""
    found = cca(x, y)
    return float(found.mean()) if len(found) else float("nan")


def svcca(x: np.ndarray, y: np.ndarray, kept: float = KEPT) -> float:
    """The mean canonical correlation of the directions that hold a share ``kept`` of each side's variance."""
    x, y = sides(x, y)
    return mean_cca(principal(x, kept), principal(y, kept))


def pwcca(x: np.ndarray, y: np.ndarray) -> float:
    """Canonical correlations weighted by how much of x each direction accounts for: not symmetric."""
    x, y = sides(x, y)
    qx, qy = basis(x), basis(y)
    enough(len(x), qx.shape[1] + qy.shape[1])
    if not (qx.shape[1] and qy.shape[1]):
        return float("nan")
    left, correlations, _ = np.linalg.svd(qx.T @ qy, full_matrices=False)
    weights = np.abs((qx @ left).T @ x).sum(axis=1)
    return float((weights * np.clip(correlations, 0, 1)).sum() / weights.sum())


def one_hot(labels: Sequence) -> np.ndarray:
    """Labels as (f, kinds), to compare a representation with what was said; the columns in sorted order."""
    kinds, which = np.unique(np.asarray(labels, dtype=str), return_inverse=True)
    return np.eye(len(kinds))[which]


def matrix(representations: Sequence[np.ndarray], others: Sequence[np.ndarray] | None = None) -> np.ndarray:
    """CKA of each with each (k, l): layers of one model, or of two.

    The products of every side with itself are taken once.
    """
    others = representations if others is None else others
    left, right = [centred(x) for x in representations], [centred(y) for y in others]
    mine, theirs = ([np.linalg.norm(x.T @ x) for x in side] for side in (left, right))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.array(
            [
                [np.linalg.norm(y.T @ x) ** 2 / (a * b) for y, b in zip(right, theirs, strict=True)]
                for x, a in zip(left, mine, strict=True)
            ]
        )


def sides(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(x) != len(y):
        raise ValueError(f"expected a row for each frame on both sides, found {len(x)} and {len(y)}")
    return centred(x), centred(y)


def centred(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, np.float64)
    if x.ndim != 2 or not len(x):
        raise ValueError(f"expected an array (frames, dimensions) with at least one frame, found shape {x.shape}")
    return x - x.mean(axis=0)


def basis(x: np.ndarray) -> np.ndarray:
    """Orthonormal columns (f, rank) that span those of x."""
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    return left[:, values > SMALLEST * max(values.max(initial=0), 1e-12)]


def principal(x: np.ndarray, kept: float) -> np.ndarray:
    """x along its strongest directions, as many as hold that share of its variance."""
    left, values, _ = np.linalg.svd(x, full_matrices=False)
    shares = np.cumsum(values**2) / max((values**2).sum(), 1e-300)
    count = int(np.searchsorted(shares, kept - 1e-12) + 1) if values.any() else 0
    return left[:, :count] * values[:count]


def enough(rows: int, directions: int) -> None:
    if rows < directions:
        raise ValueError(
            f"expected at least as many frames as both sides have directions ({directions}), found {rows}: "
            f"with fewer, everything correlates with everything; take more speech, or svcca"
        )
