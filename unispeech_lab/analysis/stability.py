"""Stability: how far two models put the same frames under the same codes, whatever number each gives them.

    matched   share of frames whose two codes are partners; partners are found on one half of the utterances (the best
              one-to-one matching, Kuhn 1955), frames are counted in the other half
    rand      adjusted Rand index: of pairs of frames, how many both keep together or apart; 0 by chance, 1 at best
    nmi       2 I / (H + H)             ami   (I - E[I]) / ((H + H) / 2 - E[I]): 0 by chance, 1 at best

Two seeds of one method say how much of a codebook is the method's, and how much the dice's. NMI grows with the number
of codes, so that ``chance`` stands beside each number: the same of codes dealt out to the frames at random. Adjusted
Rand index: Hubert and Arabie 1985; adjusted mutual information: Vinh, Epps and Bailey 2010, equation 24a.

Intervals are of a bootstrap over utterances (95 %), moved so that its median is the number measured: a draw that holds
an utterance twice has fewer different frames, and so more agreement by chance.

Shapes: ``f`` frame of the whole corpus, ``g`` group, ``k`` kind of pair of codes.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_matrix
from sklearn.metrics.cluster import expected_mutual_information

from unispeech_lab import codebook
from unispeech_lab.codebook import JOINT, entropy

MEASURES = ("matched", "rand", "nmi", "ami")
SHUFFLES = 5  # that chance is the mean of


class Pairing:
    """The codes of two models for the same frames (f,): ``pairing.measure(weights)`` over frames so often counted."""

    def __init__(
        self, one: np.ndarray, other: np.ndarray, utterances: np.ndarray, seed: int = 0, expected: float | None = None
    ):
        self.one, self.other = (np.unique(side, return_inverse=True)[1].reshape(-1) for side in (one, other))
        self.sizes = self.one.max(initial=-1) + 1, self.other.max(initial=-1) + 1
        cells, self.cell = np.unique(self.one * self.sizes[1] + self.other, return_inverse=True)
        self.rows, self.columns = np.divmod(cells, self.sizes[1])
        self.same = self.partners(utterances, seed)
        if expected is None:  # it is that of any codes used as often, and by far the dearest number here
            table = coo_matrix((np.bincount(self.cell), (self.rows, self.columns)), self.sizes)
            expected = float(expected_mutual_information(table.tocsr(), len(self.one)))
        self.expected = expected

    def partners(self, utterances: np.ndarray, seed: int) -> np.ndarray:
        """Whether the two codes of each frame are partners (f,), by the utterances of the other half."""
        names, number = np.unique(utterances, return_inverse=True)
        half = np.random.default_rng(seed).permutation(len(names))[number] % 2
        same = np.zeros(len(self.one), bool)
        for side in (0, 1):
            learned = half != side if len(names) > 1 else half == side
            counts = codebook.confusion(self.one[learned], self.other[learned], self.sizes)
            same[half == side] = (codebook.match(counts)[self.one] == self.other)[half == side]
        return same

    def measure(self, weights: np.ndarray | None = None) -> np.ndarray:
        """The numbers of ``MEASURES`` (4,). E[I] is that of all frames, however they are weighed."""
        weights = np.ones(len(self.one)) if weights is None else weights
        cells = np.bincount(self.cell, weights, len(self.rows))
        rows, columns = (np.bincount(side, cells) for side in (self.rows, self.columns))
        entropies = (entropy(rows) + entropy(columns)) / 2
        common = 2 * entropies - entropy(cells)
        above = entropies - self.expected
        return np.array(
            [
                self.same @ weights / weights.sum(),
                rand(cells, rows, columns),
                common / entropies if entropies > 0 else 1.0,
                (common - self.expected) / above if above > 1e-12 else 1.0,
            ]
        )


def rand(cells: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> float:
    """The adjusted Rand index of counts of pairs of codes (k,) and their sums by each side."""
    together, one, other = (float((x * (x - 1)).sum()) / 2 for x in (cells, rows, columns))
    every = cells.sum() * (cells.sum() - 1) / 2
    by_chance, most = one * other / max(every, 1), (one + other) / 2
    return (together - by_chance) / (most - by_chance) if most > by_chance else 1.0


def compare(one: np.ndarray, other: np.ndarray, utterances: Sequence, seed: int = 0, draws: int = 200) -> pd.DataFrame:
    """A row for each of ``MEASURES``, of all groups jointly and of each group beside its fellow in the other model.

    Columns ``codes`` (``joint``, or ``0 and 1``: group 0 of one, group 1 of the other), ``measure``, ``value``,
    ``low``, ``high``, ``chance``, ``n`` frames. Codes are (f,) or (f, g), ``utterances`` (f,) where each frame is from.
    Groups have no order either: fellows are those with the most information in common, one to one.

    Raises:
        ValueError: codes of other frames than the other's; no frame.
    """
    one, other = (np.asarray(side).reshape(len(side), -1) for side in (one, other))
    utterances = np.asarray(utterances)
    if not len(one) == len(other) == len(utterances) or not len(one):
        raise ValueError(
            f"expected codes of the same frames, found {len(one)} and {len(other)} of {len(utterances)} frames: "
            f"survey one corpus with two models of one clock"
        )
    names, number = np.unique(utterances, return_inverse=True)
    draw = np.random.default_rng(seed)
    drawn = [np.bincount(draw.integers(0, len(names), len(names)), minlength=len(names)) for _ in range(draws)]
    shuffled = [draw.permutation(len(one)) for _ in range(SHUFFLES)]
    rows = []
    for name, (ours, theirs) in together(one, other).items():
        pairing = Pairing(ours, theirs, utterances, seed)
        values = pairing.measure()
        edges = np.full((2, len(MEASURES)), np.nan)
        if len(names) > 1:
            found = np.array([pairing.measure(times[number].astype(float)) for times in drawn])
            low, middle, high = np.quantile(found, [0.025, 0.5, 0.975], axis=0)
            edges = values + low - middle, values + high - middle
        dealt = [Pairing(ours, theirs[order], utterances, seed, pairing.expected) for order in shuffled]
        luck = np.mean([each.measure() for each in dealt], axis=0)
        for measure, *numbers in zip(MEASURES, values, *edges, luck, strict=True):
            rows.append((name, measure, *map(float, numbers), len(one)))
    return pd.DataFrame(rows, columns=["codes", "measure", "value", "low", "high", "chance", "n"])


def together(one: np.ndarray, other: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What to compare of codes (f, g) and (f, g'): the combinations, and each group with its fellow."""
    found = {JOINT: (codebook.joint(one), codebook.joint(other))}
    if one.shape[1] > 1 or other.shape[1] > 1:
        common = np.array([[shared(a, b) for b in other.T] for a in one.T])
        for a, b in zip(*linear_sum_assignment(common, maximize=True), strict=True):
            found[f"{a} and {b}"] = (one[:, a], other[:, b])
    return found


def shared(one: np.ndarray, other: np.ndarray) -> float:
    """The mutual information of two codes (f,), in nats."""
    counts = codebook.confusion(one, other, (one.max() + 1, other.max() + 1))
    return float(entropy(counts.sum(0)) + entropy(counts.sum(1)) - entropy(counts.ravel()))


def compare_all(codes: Mapping[str, np.ndarray], utterances: Sequence, seed: int = 0, draws: int = 200) -> pd.DataFrame:
    """``compare`` of every two of several models' codes, the models' names under ``one`` and ``other``."""
    pairs = {
        (a, b): compare(codes[a], codes[b], utterances, seed, draws).assign(one=a, other=b)
        for a, b in combinations(codes, 2)
    }
    columns = ["one", "other", "codes", "measure", "value", "low", "high", "chance", "n"]
    return pd.concat(pairs.values(), ignore_index=True)[columns] if pairs else pd.DataFrame(columns=columns)
