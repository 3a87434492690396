"""Resampling: intervals of numbers that are made of sums over utterances, or that must not see a row twice.

    bootstrap   as many groups as there are are drawn with replacement, here as weights: a sum over rows becomes a
                product with the groups' own sums, so that a thousand draws cost one matrix product
    jackknife   each of B blocks of groups is left out once; se = sqrt((B - 1) / B  sum (v_b - mean v)^2)

A bootstrap repeats rows, of which likeness (CKA) and agreement (mutual information) make more than there is, and draws
too few utterances of a small fold for held-out correlation (CCA): for these the jackknife is right (Efron and
Tibshirani 1993, chapters 11 and 13).
"""

from collections.abc import Callable, Sequence

import numpy as np

from unispeech_lab.analysis.probes import folds

BLOCKS = 20
SHARE = 0.95
WIDTH = 1.959964  # standard errors on both sides that hold so much


def weights(groups: Sequence, seed: int = 0, draws: int = 1000) -> np.ndarray:
    """How often each group, in sorted order, is drawn: (draws, groups)."""
    count = len(np.unique(np.asarray(groups)))
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / max(count, 1)), draws).astype(float)


def ends(drawn: np.ndarray) -> tuple[float, float]:
    """Between which the middle 95 % of the draws lie; NaN, NaN of none that is a number."""
    known = np.asarray(drawn)[np.isfinite(drawn)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    return float(low), float(high)


def share(right: np.ndarray, groups: Sequence, seed: int = 0, draws: int = 1000) -> tuple[float, float, float]:
    """The mean of a number a row (m,), with the 95 % interval of a bootstrap over groups (m,)."""
    _, which = np.unique(np.asarray(groups), return_inverse=True)
    sums, counts = np.bincount(which, right), np.bincount(which).astype(float)
    drawn = weights(which, seed, draws)
    return (float(np.mean(right)), *ends(drawn @ sums / (drawn @ counts)))


def jackknife(
    statistic: Callable[[np.ndarray], float], groups: Sequence, seed: int = 0, blocks: int = BLOCKS
) -> tuple[float, float, float]:
    """``statistic(rows)`` of all rows, with a 95 % interval: whole groups (m,), dealt out to blocks, are left out.

    NaN as ends where there are not two groups.
    """
    block = folds(groups, blocks, seed)
    value = float(statistic(np.arange(len(block))))
    count = block.max(initial=0) + 1
    each = range(count) if count > 1 else ()  # without the only block there would be nothing left
    found = [statistic(np.flatnonzero(block != k)) for k in each]
    return interval(value, np.array(found, float))


def left_out(groups: Sequence, seed: int = 0, blocks: int = BLOCKS) -> np.ndarray:
    """Which groups, in sorted order, are there as each block is left out: (blocks, groups) of 0 and 1."""
    names = np.unique(np.asarray(groups, dtype=str))
    block = folds(names, blocks, seed)
    return (block != np.arange(block.max(initial=-1) + 1)[:, None]).astype(float)


def interval(value: float, left_out: np.ndarray) -> tuple[float, float, float]:
    """A value with the ends of its jackknife interval, from what it was with each block left out (B,)."""
    count = len(left_out)
    if count < 2:
        return value, float("nan"), float("nan")
    error = np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum())
    return value, float(value - WIDTH * error), float(value + WIDTH * error)
