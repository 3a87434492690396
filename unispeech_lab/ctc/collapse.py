"""Greedy decoding: the best class of each frame, repeats merged, blanks dropped."""

from collections.abc import Iterable
from itertools import groupby

import numpy as np

from unispeech_lab.ctc.arrays import batch, one_class


def collapse(classes: Iterable[int], blank: int) -> list[int]:
    """The labels that a path of one class a frame spells: ``collapse([0, 1, 1, 0, 1], 0)`` is ``[1, 1]``."""
    return [int(label) for label, _ in groupby(classes) if label != blank]


def greedy(scores, blank: int, lengths=None) -> list:
    """The labels that the best class of each frame spells.

    Args:
        scores: (t, v) or (b, t, v), logits or log-probabilities.
        blank: the class that says nothing.
        lengths: (b,) frames that are speech, the rest being padding.

    Returns:
        A list of labels for (t, v); for (b, t, v) a list of such lists.
    """
    rows = batch(scores, lengths)
    blank = one_class(blank, np.shape(scores)[-1])
    spelt = [collapse(row.argmax(axis=-1), blank) for row in rows]
    return spelt if np.ndim(scores) == 3 else spelt[0]
