"""Held-out correlation: how well directions of two representations, found on some utterances, agree on others.

    whiten     X_ = X V (L + e)^-1/2           V, L: eigenvectors, eigenvalues of X'X / n; the ridge e is chosen
                                               among ``RIDGES`` on one fold of those learned from
    find       U S W' = svd(X_' Y_)            on the utterances of all folds but one
    measure    rho_i = correlation of X_ U_i and Y_ W_i      on the utterances of that fold

    cca    the mean of rho                     Hotelling 1936
    svcca  the same, of the directions that hold 99 % of each side's variance        Raghu et al. 2017
    pwcca  the mean of rho, weighted by how much of X each direction makes up         Morcos et al. 2018

for speech, layer by layer, with ridge and held-out utterances as Pasad et al. 2021 (arXiv 2107.04734). What CCA finds
on the very rows it is measured on grows with the number of dimensions: of noise too. Here noise gives 0 (and may give
less), and what is the same up to a linear map 1.

The mean is over as many directions as the smaller side has. A layer that keeps few (convolutions of 64 channels, a
side of which 99 % is in ten directions) is averaged over fewer, and comes out higher, than one that keeps many: between
layers compare PWCCA.

Shapes: ``m`` row, ``d`` and ``e`` dimensions of the two sides, ``r`` direction.
"""

from collections.abc import Sequence

import numpy as np

from unispeech_lab.analysis.probes import folds
from unispeech_lab.analysis.resampling import interval, left_out
from unispeech_lab.analysis.similarity import KEPT, SMALLEST

RIDGES = (1e-6, 1e-4, 1e-2)  # in shares of the mean variance
MEASURES = ("cca", "svcca", "pwcca")


def correlate(x: np.ndarray, y: np.ndarray, groups: Sequence, seed: int = 0) -> dict[str, tuple[float, float, float]]:
    """Each of ``MEASURES`` of x (m, d) with y (m, e): its value, and the 95 % interval of a jackknife over groups (m,).

    Groups (utterances) are wholly learned from or wholly measured on. NaN where there are not two, or a side never
    changes. Blocks of groups are left out of what is measured, directions are not found anew without them. A bootstrap
    would do worse: of the few utterances of a fold it may draw one alone, or none, in which little correlates, so that
    its interval lies below the value.

    Raises:
        ValueError: not a row and a group for each row.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if not len(x) == len(y) == len(groups):
        raise ValueError(f"expected a row of each side and a group, found {len(x)}, {len(y)} and {len(groups)}")
    _, which = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    fold, taken = folds(groups, seed=seed), left_out(groups, seed)
    found: dict[str, list] = {name: [] for name in MEASURES}
    parts = np.unique(fold)
    for part in parts if len(parts) > 1 else ():
        for name, rhos, shares in measured(x, y, fold, part, which, taken):
            found[name].append(rhos @ shares)
    return {name: summed(each) for name, each in found.items()}


def summed(each: list[np.ndarray]) -> tuple[float, float, float]:
    """Folds' numbers (1 + blocks,) averaged: the first is the value, the others lack a block."""
    numbers = np.array(each)
    if not len(numbers) or np.isnan(numbers[:, 0]).any():
        return float("nan"), float("nan"), float("nan")
    mean = np.nanmean(numbers, axis=0)  # a fold that a block has emptied is left out with it
    return interval(float(mean[0]), mean[1:])


def measured(x: np.ndarray, y: np.ndarray, fold: np.ndarray, part: int, which: np.ndarray, taken: np.ndarray):
    """Of one fold each measure's name, correlations (1 + blocks, r) of its rows, and shares (r,)."""
    learned, inner = fold != part, fold == (part + 1) % (fold.max() + 1)
    ridge = RIDGES[0]
    if fold.max() > 1:  # of three folds or more, one of those learned from tells which ridge is best
        seen = [directions(x, y, learned & ~inner, each) for each in RIDGES]
        rhos = [correlations(x[inner] @ one, y[inner] @ other, which[inner]).sum() for one, other in seen]
        ridge = RIDGES[int(np.argmax(rhos))]
    for names, kept in ((("cca", "pwcca"), 1.0), (("svcca",), KEPT)):
        one, other = directions(x, y, learned, ridge, kept)
        rhos = correlations(x[~learned] @ one, y[~learned] @ other, which[~learned], taken)
        if not rhos.shape[1]:  # a side never changes
            rhos = np.full((len(rhos), 1), np.nan)
        for name in names:
            shares = np.full(rhos.shape[1], 1 / rhos.shape[1])
            if name == "pwcca" and one.shape[1]:
                centred = x[learned] - x[learned].mean(0)
                variates = centred @ one
                shares = np.abs((variates / np.maximum(np.linalg.norm(variates, axis=0), 1e-12)).T @ centred).sum(1)
                shares = shares / max(shares.sum(), 1e-12)
            yield name, rhos, shares


def directions(
    x: np.ndarray, y: np.ndarray, learned: np.ndarray, ridge: float, kept: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Maps (d, r) and (e, r) to canonical variates, found on the rows ``learned`` (m,)."""
    sides = [side[learned] - side[learned].mean(0) for side in (x, y)]
    maps = [whitening(side, ridge, kept) for side in sides]
    u, _, w = np.linalg.svd((sides[0] @ maps[0]).T @ (sides[1] @ maps[1]) / len(sides[0]), full_matrices=False)
    return maps[0] @ u, maps[1] @ w.T


def whitening(x: np.ndarray, ridge: float, kept: float = 1.0) -> np.ndarray:
    """A map (d, r) that makes the columns of x (m, d) uncorrelated, of variance one or, by the ridge, less.

    ``kept``: only of the strongest directions, as many as hold that share of the variance.
    """
    values, vectors = np.linalg.eigh(x.T @ x / len(x))
    values, vectors = values[::-1], vectors[:, ::-1]
    count = int((values > SMALLEST**2 * values[0]).sum()) if values[0] > 1e-24 else 0
    if kept < 1 and count:
        count = min(count, int(np.searchsorted(np.cumsum(values[:count]), kept * values[:count].sum() - 1e-12) + 1))
    return vectors[:, :count] / np.sqrt(values[:count] + (ridge * values[:count].mean() if count else 1.0))


def correlations(u: np.ndarray, v: np.ndarray, which: np.ndarray, taken: np.ndarray | None = None) -> np.ndarray:
    """Of each column of u (m, r) with its fellow in v (m, r): (1 + blocks, r).

    The first row is that of every group, the others of those ``taken`` (blocks, groups). 0 where a column does not
    change among the rows, NaN where there are none.
    """
    groups = np.unique(which)
    place = np.searchsorted(groups, which)
    sums = np.zeros((6, len(groups), u.shape[1]))
    for k, terms in enumerate((np.ones_like(u), u, v, u * u, v * v, u * v)):
        np.add.at(sums[k], place, terms)
    every = np.ones((1, len(groups)))
    every = every if taken is None else np.concatenate([every, taken[:, groups]])
    n, su, sv, suu, svv, suv = (every @ each for each in sums)
    n = np.where(n > 0, n, np.nan)
    both, one, other = suv - su * sv / n, suu - su**2 / n, svv - sv**2 / n
    scale = np.sqrt(np.clip(one, 0, None) * np.clip(other, 0, None))
    return np.divide(both, scale, out=np.where(np.isnan(n), n, 0.0), where=scale > 1e-12)
