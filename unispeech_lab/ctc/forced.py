"""Viterbi: the best of all CTC paths that spell given labels (forced alignment).

    blank[i] <- max(blank[i], label[i-1]) + e(blank)
    label[i] <- max(label[i], blank[i], label[i-1] if it is another label) + e(labels[i])

Numpy steps from frame to frame, all states at once. The scores of one frame in ``BLOCK`` are kept; walking back, a
block's other frames are computed again, for the few states from which the path can still be reached: exact, and an hour
of speech needs no (t x states) table. Method: Graves et al. 2006, section 4; checkpoints: Grice, Hughey & Speck 1997.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from unispeech_lab.ctc.arrays import batch, one_class

STAR = -1  # a label that stands for any sound: missing text. It scores what the best class of the frame scores.
BLOCK = 512  # frames between two that are kept


@dataclass(frozen=True, eq=False)
class Path:
    """The best path: ``owner`` (t,) is the place in ``labels`` that each frame belongs to, -1 where it is blank.

    ``score`` is the sum of the scores along it (a log-probability if they were), ``classes`` (t,) the class of each
    frame: the blank, a label, or the best class where the label is STAR.
    """

    labels: np.ndarray
    owner: np.ndarray
    classes: np.ndarray
    score: float

    def frames(self) -> np.ndarray:
        """(l, 2): the first frame of each label, and the one after its last."""
        return np.stack([self.owner_edges("left"), self.owner_edges("right")], axis=-1)

    def owner_edges(self, side: str) -> np.ndarray:
        """(l,) the place of each label's first frame ("left"), or of the one after its last ("right")."""
        spoken = np.flatnonzero(self.owner >= 0)
        places = np.searchsorted(self.owner[spoken], np.arange(len(self.labels)), side)
        return spoken[places] if side == "left" else spoken[places - 1] + 1


def viterbi(
    scores,
    labels: Sequence,
    blank: int,
    lengths=None,
    progress: Callable[[float], None] | None = None,
):
    """The best path that spells the labels, every label for at least one frame.

    Args:
        scores: (t, v) or (b, t, v): log-probabilities (logits give the same path, but a score that means nothing).
        labels: (l,) classes; for (b, t, v) one such sequence an utterance. ``STAR`` among them is any sound at all.
        blank: the class that says nothing.
        lengths: (b,) frames that are speech, the rest being padding.
        progress: called with the share that is done, from 0 to 1, now and then.

    Returns:
        A ``Path``; for (b, t, v) a list of them. Of two paths with one score, the one that stays longer where it is.

    Raises:
        ValueError: labels that are no classes, that need more frames than there are (a label each, and a blank between
            two of the same), or whose every path has probability zero.
    """
    rows = batch(scores, lengths)
    single = np.ndim(scores) == 2
    every = [labels] if single else labels
    if len(every) != len(rows):
        raise ValueError(f"expected labels for {len(rows)} utterances, found {len(every)}")
    paths = []
    for k, (row, wanted) in enumerate(zip(rows, every, strict=True)):
        report = progress and (lambda share, k=k: progress((k + share) / len(rows)))
        try:
            paths.append(_one(row, wanted, one_class(blank, row.shape[1]), report))
        except ValueError as error:
            raise error if single else ValueError(f"utterance {k}: {error}") from error
    return paths[0] if single else paths


def needed(labels: Sequence[int]) -> int:
    """The frames that labels need at least: one each, and one for the blank between two of the same."""
    return len(labels) + sum(a == b for a, b in pairwise(labels))


def _one(scores: np.ndarray, labels: Sequence[int], blank: int, progress) -> Path:
    labels = np.asarray(labels, dtype=np.int64).reshape(-1)
    count, classes = scores.shape
    wrong = labels[((labels < 0) & (labels != STAR)) | (labels >= classes) | (labels == blank)]
    if wrong.size:
        raise ValueError(f"expected labels from 0 to {classes - 1} but for the blank {blank}, found {int(wrong[0])}")
    if count < max(needed(labels), 1):
        raise ValueError(
            f"expected at least {needed(labels)} frames for {len(labels)} labels ({needed(labels) - len(labels)} of "
            f"them after the same one, with a blank between), found {count}: the text is longer than the sound"
        )
    owner = _Lattice(scores, labels, blank).best_path(progress)
    spoken = np.append(labels, blank)[owner]  # -1, the last, is the blank
    classes = np.where(spoken == STAR, scores.argmax(axis=1), spoken)
    score = float(np.take_along_axis(scores, classes[:, None], axis=1).sum(dtype=np.float64))
    return Path(labels, owner, classes, score)


class _Lattice:
    """The states of one utterance: labels 0 to l-1, and blanks 0 to l, blank i before label i.

    Scores are taken relative to the blank's, whose states then cost nothing: two maxima and a sum a frame remain.
    """

    def __init__(self, scores: np.ndarray, labels: np.ndarray, blank: int):
        silence = scores[:, blank, None]
        self.never_blank = np.isneginf(silence[:, 0])
        self.relative = scores - np.where(np.isneginf(silence), 0, silence)
        self.columns = labels
        if (labels == STAR).any():
            self.relative = np.append(self.relative, self.relative.max(axis=1, keepdims=True), axis=1)
            self.columns = np.where(labels == STAR, scores.shape[1], labels)
        self.twins = np.flatnonzero(labels[1:] == labels[:-1]) + 1  # labels after the same one
        self.count, self.length = len(scores), len(labels)

    def best_path(self, progress) -> np.ndarray:
        """The owner of each frame (t,). Raises ValueError when no path has a probability above zero."""
        kept = self.forward(progress)
        owner = np.empty(self.count, dtype=np.int64)
        end = None
        for first in reversed(range(0, self.count, BLOCK)):
            end = self.back(first, min(first + BLOCK, self.count), kept.pop(), end, owner)
        if progress:
            progress(1.0)
        return owner

    def forward(self, progress) -> list[tuple[np.ndarray, np.ndarray]]:
        """The scores of all states before the first frame of every block."""
        label, blank = np.full(self.length, -np.inf, np.float32), np.full(self.length + 1, -np.inf, np.float32)
        blank[0] = 0
        kept = [(label, blank)]
        for first in range(0, self.count - BLOCK, BLOCK):  # the last block is computed on the way back
            label, blank = label.copy(), blank.copy()
            for t in range(first, first + BLOCK):
                low, high = max(self.length - (self.count - t), 0), min(t + 1, self.length)  # that a path can be in
                self.step(t, label, blank, self.columns, self.twins, low, high)
            top = max(label.max(initial=-np.inf), blank.max())
            if top > -np.inf:  # float32 keeps its digits while numbers are small
                label -= top
                blank -= top
            kept.append((label, blank))
            if progress:
                progress((first + BLOCK) / self.count)
        return kept

    def step(self, t, label, blank, columns, twins, low, high) -> None:
        """From frame t-1 to frame t, in place, for labels low to high - 1 and the blanks on both sides of each."""
        below = max(low - 1, 0)
        stay = blank[twins]
        np.maximum(blank[below + 1 : high + 1], label[below:high], out=blank[below + 1 : high + 1])
        # What may enter label i is now in blank i: the blank itself, or the label before it; not so for twins.
        left, blank[twins] = blank[twins], stay
        np.maximum(label[low:high], blank[low:high], out=label[low:high])
        blank[twins] = left
        label[low:high] += self.relative[t].take(columns[low:high])
        if self.never_blank[t]:
            blank[:] = -np.inf

    def back(self, first: int, stop: int, start, end, owner: np.ndarray):
        """Fill in the owners of frames first to stop - 1 of the path that is at ``end`` in frame stop - 1.

        A state is (label or blank i, whether it is a label); the state in frame first - 1 is returned. ``start`` holds
        the scores there. In so many frames the path can only have passed as many labels: those are computed again.
        """
        i = self.length if end is None else end[0]
        low, high = max(i - 1 - (stop - first), 0), min(i + 1, self.length)
        columns = self.columns[low:high]
        twins = self.twins[(self.twins >= low) & (self.twins < high)] - low
        label = np.empty((stop - first + 1, high - low), np.float32)
        blank = np.empty((stop - first + 1, high - low + 1), np.float32)
        label[0], blank[0] = start[0][low:high], start[1][low : high + 1]
        for k, t in enumerate(range(first, stop), 1):
            label[k], blank[k] = label[k - 1], blank[k - 1]
            self.step(t, label[k], blank[k], columns, twins, 0, high - low)
        if end is None:
            spoken = self.length > 0 and label[-1, -1] > blank[-1, -1]
            if not spoken and blank[-1, -1] == -np.inf:
                raise ValueError(f"expected a path with a probability above zero for {self.length} labels, found none")
            i -= spoken
        else:
            spoken = end[1]
        i, twins = i - low, set(twins.tolist())
        for k in range(stop - first - 1, -1, -1):
            owner[first + k] = i + low if spoken else -1
            if spoken:
                if blank[k, i] > label[k, i] and (i in twins or not i or blank[k, i] >= label[k, i - 1]):
                    spoken = False
                elif i and i not in twins and label[k, i - 1] > label[k, i]:
                    i -= 1
            elif i and label[k, i - 1] > blank[k, i]:
                i, spoken = i - 1, True
        return i + low, spoken
