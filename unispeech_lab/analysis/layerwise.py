"""Layerwise: what one layer knows of phones, words, voices, languages, as rows of a table.

    probe, control, selectivity   shares of rows read right by a line that was learned from other voices or utterances
    cca, svcca, pwcca             held-out correlation           (``held_out``)
    cka                           likeness without bias          (``debiased``)
    information                   of clusters of states          (``information``)
    abx                           error, no training             (``abx``)

A control (Hewitt and Liang 2019, arXiv 1909.03368) is the same probe of labels that mean nothing: every *type* is dealt
a label at random, once for all its rows. For phones a type is a phone with its neighbours: what the probe can learn by
heart. For voice and language it is an utterance: were one learned from and read, the control would be above chance.

Each function gives value, low and high, and the number of rows. Shapes: ``m`` row, ``d`` width.
"""

from collections.abc import Sequence

import numpy as np

from unispeech_lab.analysis.probes import folds, predict, standard
from unispeech_lab.analysis.resampling import share

Found = dict[str, tuple[float, float, float]]  # measure -> value, low, high


def probed(
    values: np.ndarray,
    labels: Sequence,
    types: Sequence,
    apart: Sequence,
    groups: Sequence,
    seed: int = 0,
    draws: int = 1000,
) -> Found:
    """Probe, control and selectivity of labels (m,) in values (m, d).

    ``types`` (m,) of the control; ``apart`` (m,): what is never on both sides, voices or utterances; ``groups`` (m,):
    what the bootstrap draws. The probe is not learned anew for each draw. NaN where there is nothing to hold apart.

    Raises:
        ValueError: lists that do not have one entry a row.
    """
    given = {"labels": labels, "types": types, "apart": apart, "groups": groups}
    if wrong := [name for name, each in given.items() if len(each) != len(values)]:
        raise ValueError(f"expected an entry for each of {len(values)} rows, found others in {', '.join(wrong)}")
    number = np.unique(np.asarray(labels, dtype=str), return_inverse=True)[1]
    targets = [number, dealt(number, types, seed)]
    read = predict(standard(np.asarray(values, np.float64)), targets, folds(apart, seed=seed))
    if (read[0] < 0).all():
        return dict.fromkeys(("probe", "control", "selectivity"), (float("nan"),) * 3)
    right, control = (one == other for one, other in zip(read, targets, strict=True))
    _, which = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    scores = {"probe": right, "control": control, "selectivity": right * 1.0 - control}
    return {name: share(score, which, seed, draws) for name, score in scores.items()}


def dealt(number: np.ndarray, types: Sequence, seed: int = 0) -> np.ndarray:
    """A label (m,) at random for each type (m,), drawn as often as labels (m,) occur among the rows."""
    _, which = np.unique(np.asarray(types, dtype=str), return_inverse=True)
    return np.random.default_rng(seed).choice(number, which.max(initial=-1) + 1)[which]


def frequent(labels: Sequence, fewest: int, most: int | None = None) -> np.ndarray:
    """Which rows (m,) have a label that occurs so often; with ``most``, only the most frequent of these labels."""
    _, which, counts = np.unique(np.asarray(labels, dtype=str), return_inverse=True, return_counts=True)
    taken = counts >= fewest
    if most is not None and taken.sum() > most:
        rank = np.argsort(np.argsort(-counts, kind="stable"), kind="stable")
        taken &= rank < most
    return taken[which]
