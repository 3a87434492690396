"""Held-out correlation: how well directions of two representations, found on some utterances, agree on others.

    whiten     X_ = X V (L + e)^-1/2           V, L: eigenvectors, eigenvalues of X'X / n;  e = RIDGE * mean of L
    find       U S W' = svd(X_' Y_)            on the utterances of all folds but one
    measure    rho_i = correlation of X_ U_i and Y_ W_i      on the utterances of that fold

    cca    the mean of rho                     Hotelling 1936
    svcca  the same, of the directions that hold 99 % of each side's variance        Raghu et al. 2017
    pwcca  the mean of rho, weighted by how much of X each direction makes up         Morcos et al. 2018

for speech, layer by layer, with ridge and held-out utterances as Pasad et al. 2021 (arXiv 2107.04734). What CCA finds
on the very rows it is measured on grows with the number of dimensions: of noise too. Here noise gives 0 (and may give
less), and what is the same up to a linear map 1.

Shapes: ``m`` row, ``d`` and ``e`` dimensions of the two sides, ``r`` direction.
"""

from collections.abc import Sequence

import numpy as np

from unispeech_lab.analysis.probes import folds
from unispeech_lab.analysis.resampling import ends, weights
from unispeech_lab.analysis.similarity import KEPT, SMALLEST

RIDGE = 1e-3
MEASURES = ("cca", "svcca", "pwcca")


def correlate(
    x: np.ndarray, y: np.ndarray, groups: Sequence, seed: int = 0, draws: int = 1000
) -> dict[str, tuple[float, float, float]]:
    """Each of ``MEASURES`` of x (m, d) with y (m, e): its value, and the 95 % interval of a bootstrap over groups (m,).

    Groups (utterances) are wholly learned from or wholly measured on. NaN where there are not two, or a side never
    changes. The directions are not found anew for each draw.

    Raises:
        ValueError: not a row and a group for each row.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if not len(x) == len(y) == len(groups):
        raise ValueError(f"expected a row of each side and a group, found {len(x)}, {len(y)} and {len(groups)}")
    _, which = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    fold, drawn = folds(groups, seed=seed), weights(which, seed, draws)
    found: dict[str, list] = {name: [] for name in MEASURES}
    parts = np.unique(fold)
    for part in parts if len(parts) > 1 else ():
        for name, rhos, shares in measured(x, y, fold != part, which, drawn):
            found[name].append(rhos @ shares)
    return {name: summed(each, draws) for name, each in found.items()}


def summed(each: list[np.ndarray], draws: int) -> tuple[float, float, float]:
    """Folds' numbers (1 + draws,) averaged: the first is the value, the others are draws."""
    if not each:
        return float("nan"), float("nan"), float("nan")
    mean = np.nanmean(np.stack(each), axis=0) if np.isfinite(each).any() else np.full(1 + draws, np.nan)
    return float(mean[0]), *ends(mean[1:])


def measured(x: np.ndarray, y: np.ndarray, learned: np.ndarray, which: np.ndarray, drawn: np.ndarray):
    """Of one fold each measure's name, correlations (1 + draws, r) of rows not learned from, and shares (r,)."""
    sides = [(side - side[learned].mean(0)) for side in (x, y)]
    plain = [whitening(side[learned]) for side in sides]
    strong = [whitening(side[learned], KEPT) for side in sides]
    for names, maps in ((("cca", "pwcca"), plain), (("svcca",), strong)):
        left, right = (side[learned] @ each for side, each in zip(sides, maps, strict=True))
        if not (left.shape[1] and right.shape[1]):
            yield from ((name, np.full((1 + len(drawn), 1), np.nan), np.ones(1)) for name in names)
            continue
        u, _, w = np.linalg.svd(left.T @ right / len(left), full_matrices=False)
        directions = zip(sides, maps, (u, w.T), strict=True)
        heard = [(side[~learned] @ each) @ turn for side, each, turn in directions]
        rhos = correlations(*heard, which[~learned], drawn)
        for name in names:
            shares = np.ones(rhos.shape[1])
            if name == "pwcca":
                shares = np.abs((left @ u).T @ sides[0][learned]).sum(1)
            yield name, rhos, shares / shares.sum()


def whitening(x: np.ndarray, kept: float = 1.0) -> np.ndarray:
    """A map (d, r) that makes the columns of x (m, d) uncorrelated, of variance one or, by the ridge, less."""
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    values, vectors = values[::-1], vectors[:, ::-1]
    count = int((values > SMALLEST**2 * max(values[0], 1e-300)).sum()) if values[0] > 1e-24 else 0
    if kept < 1 and count:
        count = min(count, int(np.searchsorted(np.cumsum(values[:count]), kept * values[:count].sum() - 1e-12) + 1))
    return vectors[:, :count] / np.sqrt(values[:count] + RIDGE * values[:count].mean() if count else 1.0)


def correlations(u: np.ndarray, v: np.ndarray, which: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Of each column of u (m, r) with its fellow in v (m, r): (1 + draws, r), rows weighted by their group's draws.

    The first row is that of every group once. 0 where a column does not change among the rows.
    """
    groups = np.unique(which)
    place = np.searchsorted(groups, which)
    sums = np.zeros((6, len(groups), u.shape[1]))
    for k, terms in enumerate((np.ones_like(u), u, v, u * u, v * v, u * v)):
        np.add.at(sums[k], place, terms)
    taken = np.concatenate([np.ones((1, len(groups))), drawn[:, groups]])
    n, su, sv, suu, svv, suv = (taken @ each for each in sums)
    n = np.maximum(n, 1)
    both, one, other = suv - su * sv / n, suu - su**2 / n, svv - sv**2 / n
    scale = np.sqrt(np.clip(one, 0, None) * np.clip(other, 0, None))
    return np.divide(both, scale, out=np.zeros_like(both), where=scale > 1e-12)
