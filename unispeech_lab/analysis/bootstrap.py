"""Bootstrap: how far a number measured on some utterances could have come out otherwise.

Frames of one utterance, utterances of one speaker are alike: whole groups are drawn, with replacement, never single
frames (Efron and Tibshirani 1993, chapter 13; for speech Bisani and Ney 2004, "Bootstrap estimates for confidence
intervals in ASR performance evaluation"). A few whole runs, seed by seed, are too few to draw from: their interval is
Student's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A measured ``value`` with the ``low`` and ``high`` between which the given ``share`` of the draws fell."""

    value: float
    low: float
    high: float
    share: float = 0.95

    def __str__(self) -> str:
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


def bootstrap(
    statistic: Callable[[np.ndarray], float],
    groups: Sequence,
    seed: int = 0,
    draws: int = 1000,
    share: float = 0.95,
) -> Interval:
    """The percentile interval of ``statistic(rows)``, where ``rows`` (f,) are positions among ``groups`` (f,).

    >>> bootstrap(lambda rows: float(right[rows].mean()), survey.frames["utterance"])

    Every draw takes as many groups as there are, with replacement, and all rows of each. Draws without a number (NaN)
    do not count.

    Raises:
        ValueError: fewer than two groups: nothing could have come out otherwise.
    """
    kinds, which = np.unique(np.asarray(groups), return_inverse=True)
    if len(kinds) < 2:
        raise ValueError(f"expected at least two groups to draw from, found {len(kinds)}: take more utterances")
    order = np.argsort(which, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(which))[:-1])
    draw = np.random.default_rng(seed)
    found = np.array(
        [
            statistic(np.concatenate([members[k] for k in draw.integers(0, len(kinds), len(kinds))]))
            for _ in range(draws)
        ],
        float,
    )
    edges = np.nanquantile(found, [(1 - share) / 2, (1 + share) / 2])
    return Interval(float(statistic(np.arange(len(which)))), *map(float, edges), share)


def half_width(values: Sequence[float], share: float = 0.95) -> float:
    """Half of the confidence interval of a mean, by Student's t; NaN for fewer than two values."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float("nan")
    return float(stats.t.ppf((1 + share) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))


def student_p(values: Sequence[float]) -> float:
    """The two-sided p-value of a mean being 0, by Student's t; NaN for fewer than two values.

    Below 0.05 where the interval of ``half_width`` leaves 0 out. Of differences in pairs it is the paired t test.
    """
    values = np.asarray(values, float)
    if len(values) < 2:
        return float("nan")
    mean, error = values.mean(), values.std(ddof=1) / np.sqrt(len(values))
    return float(2 * stats.t.sf(abs(mean) / error, len(values) - 1)) if error else float(mean == 0)


def paired(differences: Sequence[float], seed: int = 0, draws: int = 10_000) -> float:
    """The two-sided p-value of paired ``differences`` (k,) being zero on average, by random signs.

    Of all 2**k ways to swap the members of the pairs, exactly where there are few, else so many drawn.

    Raises:
        ValueError: no pair.
    """
    differences = np.asarray(differences, float)
    count = len(differences)
    if not count:
        raise ValueError("expected at least one pair, found none")
    if 2**count <= draws:
        signs = 1 - 2 * ((np.arange(2**count)[:, None] >> np.arange(count)) & 1)
        extra = 0
    else:
        signs = np.random.default_rng(seed).choice([-1, 1], (draws, count))
        extra = 1  # what was measured is one of the ways, too
    means = np.abs((signs * differences).mean(axis=1))
    beyond = (means >= abs(differences.mean()) - 1e-12).sum()
    return float((beyond + extra) / (len(signs) + extra))
