"""Probes: what can be read off a representation by a linear map, and what that number has to be compared with.

    W = (X'X / n + lambda I)^-1 X'Y / n     X standardised, Y one-hot labels, both centred; x W's greatest entry is read
    accuracy      on groups (utterances, voices) that W has not seen, averaged over all rows
    majority      that of always saying the commonest label
    control       that of a probe of shuffled labels: what is left when there is nothing to read
    selectivity   accuracy - control     (Hewitt and Liang 2019)

One solution of the linear system serves all labels at once, their controls too.

Shapes: ``m`` row, ``d`` dimension.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np

PENALTY = 0.01
FOLDS = 5
SHOWN = 2000  # rows of which a silhouette is measured: it compares each with each


@dataclass(frozen=True)
class Score:
    """How well ``labels`` kinds were read: shares of ``rows`` rows, NaN where there are not two groups."""

    accuracy: float
    majority: float
    control: float
    labels: int
    rows: int

    @property
    def selectivity(self) -> float:
        return self.accuracy - self.control

    @property
    def gain(self) -> float:
        """The share of what the majority gets wrong that the probe gets right; NaN where it gets nothing wrong."""
        return (self.accuracy - self.majority) / (1 - self.majority) if self.majority < 1 else float("nan")


def folds(groups: Sequence, count: int = FOLDS, seed: int = 0) -> np.ndarray:
    """A fold for each row (m,): groups stay whole, and are dealt out, large ones first, to the smallest fold."""
    names, number = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    sizes = np.bincount(number, minlength=len(names))
    shuffled = np.random.default_rng(seed).permutation(len(names))
    totals, fold = np.zeros(max(min(count, len(names)), 1)), np.zeros(len(names), int)
    for group in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold[group] = totals.argmin()
        totals[fold[group]] += sizes[group]
    return fold[number]


def probe(values: np.ndarray, labels: Mapping[str, Sequence], groups: Sequence, seed: int = 0) -> dict[str, Score]:
    """Read each of several labels (m,) off values (m, d), always of groups (m,) that were not learned from.

    Raises:
        ValueError: labels or groups that are not one a row.
    """
    rows, draw = len(values), np.random.default_rng(seed)
    if wrong := [name for name, given in {**labels, "groups": groups}.items() if len(given) != rows]:
        raise ValueError(
            f"expected one label and one group for each of {rows} rows, found others in {', '.join(wrong)}"
        )
    targets: list[np.ndarray] = []
    for given in labels.values():
        number = np.unique(np.asarray(given, dtype=str), return_inverse=True)[1]
        targets += [number, draw.permutation(number)]
    right = np.full((len(targets), rows), np.nan)
    for place, read in enumerate(predict(standard(values), targets, folds(groups, seed=seed))):
        right[place] = np.where(read >= 0, read == targets[place], np.nan)
    means = right.mean(1) if rows else np.full(len(targets), np.nan)
    counts = [np.bincount(target) for target in targets[::2]]
    majority = [count.max() / rows if rows else nan for count in counts]
    return {
        name: Score(float(means[2 * k]), float(majority[k]), float(means[2 * k + 1]), len(counts[k]), rows)
        for k, name in enumerate(labels)
    }


def predict(x: np.ndarray, targets: Sequence[np.ndarray], fold: np.ndarray) -> list[np.ndarray]:
    """For each target (m,) the labels read off rows x (m, d), each fold by a ridge learned from all others.

    -1 where there is one fold only. What the others sum up to is everything less the fold: one pass over the rows.
    """
    widths = [target.max(initial=0) + 1 for target in targets]
    read = np.full((len(targets), len(x)), -1)
    parts = [np.flatnonzero(fold == k) for k in np.unique(fold)]
    if len(parts) < 2:
        return list(read)
    hot = np.concatenate([np.eye(n, dtype=x.dtype)[t] for n, t in zip(widths, targets, strict=True)], axis=1)
    sums = [(x[k].T @ x[k], x[k].T @ hot[k], x[k].sum(0), hot[k].sum(0), len(k)) for k in parts]
    whole = [sum(terms) for terms in zip(*sums, strict=True)]
    for part, own in zip(parts, sums, strict=True):
        squares, products, mean, share, count = (a - b for a, b in zip(whole, own, strict=True))
        mean, share = mean / count, share / count
        system = squares / count - np.outer(mean, mean) + PENALTY * np.eye(len(mean), dtype=x.dtype)
        weights = np.linalg.solve(system, products / count - np.outer(mean, share))
        said = (x[part] - mean) @ weights + share
        for place, own_columns in enumerate(np.split(said, np.cumsum(widths)[:-1], axis=1)):
            read[place, part] = own_columns.argmax(1)
    return list(read)


def standard(values: np.ndarray) -> np.ndarray:
    """Each dimension with mean 0 and, if it varies, deviation 1."""
    if not len(values):
        return values
    scale = values.std(0)
    return (values - values.mean(0)) / np.where(scale > 1e-9, scale, 1)


def silhouette(values: np.ndarray, labels: Sequence, seed: int = 0) -> float:
    """How much nearer rows (m, d) are to their own label than to the next, from -1 to 1 (Rousseeuw 1987).

    Of more than ``SHOWN`` rows, so many are drawn. NaN where there are not two labels, or one for each row.
    """
    from sklearn.metrics import silhouette_score

    names = np.asarray(labels, dtype=str)
    if len(names) > SHOWN:
        drawn = np.random.default_rng(seed).choice(len(names), SHOWN, replace=False)
        values, names = values[drawn], names[drawn]
    if not 2 <= len(np.unique(names)) < len(names):
        return float("nan")
    return float(silhouette_score(values, names))
