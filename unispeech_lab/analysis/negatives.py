"""Negatives: how many of them are false, the phone of the very frame they should be told from.

    chance(frame) = (frames of its phone - 1) / (frames - 1)        a negative is any other frame, each as likely

A frame's truth is the phone spoken at its middle, ``PAUSE`` where none is. Two frames say the same where their labels
are equal. Of negatives drawn evenly, chance is the expected share of false ones; leaving out negatives with the
positive's codes takes some of them away, and some that are not false.

Shapes: ``t`` frame, ``k`` negative.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from unispeech_lab.alignment import Span
from unispeech_lab.analysis.anatomy import step_of

PAUSE = "pause"


def spoken(spans: Sequence[Span], seconds: np.ndarray) -> np.ndarray:
    """Which span holds each moment (t,), an index into ``spans``; -1 where none does."""
    starts, ends = (np.array([getattr(span, side) for span in spans]) for side in ("start", "end"))
    if not len(spans):
        return np.full(len(seconds), -1)
    last = np.searchsorted(starts, seconds, side="right") - 1
    return np.where((last >= 0) & (seconds < ends[last]), last, -1)


def phones(spans: Sequence[Span], seconds: np.ndarray) -> np.ndarray:
    """The phone at each moment (t,) of str; ``PAUSE`` where none is spoken."""
    labels = np.array([*(span.label for span in spans), PAUSE])
    return labels[spoken(spans, seconds)]


def chance(labels: np.ndarray) -> np.ndarray:
    """(t,) the probability that another frame of the utterance, each as likely, has this frame's label."""
    _, which, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return (counts[which] - 1) / max(len(labels) - 1, 1)


COLUMNS = ("frames", "drawn", "false", "near", "expected", "equal", "equal_false", "cosines_false", "cosines_true")


def nothing() -> pd.DataFrame:
    return pd.DataFrame(columns=list(COLUMNS), dtype=float)


@dataclass(frozen=True, eq=False, repr=False)
class Audit:
    """Negatives counted against the truth. Audits add up: ``sum(audits, Audit())`` is that of a corpus.

    ``counts`` has a row a phone: ``frames`` predicted; ``drawn`` negatives; ``false``, of the frame's phone; ``near``,
    of these from the very same stretch of sound; ``expected``, false by chance; ``equal``, with the positive's codes:
    left out of the loss; ``equal_false``, left out and false; ``cosines_false`` and ``cosines_true``, sums of the
    state's cosines with the negatives that stay.
    """

    counts: pd.DataFrame = field(default_factory=nothing)

    def __add__(self, other: "Audit") -> "Audit":
        return Audit(self.counts.add(other.counts, fill_value=0.0)[list(COLUMNS)])

    @property
    def table(self) -> pd.DataFrame:
        """A row a phone, the most frequent first; see ``shares``."""
        return shares(self.counts.sort_values("frames", ascending=False, kind="stable"))

    def __repr__(self) -> str:
        frames, false, expected = self.whole[["frames", "false", "chance"]]
        return f"Audit({frames:.0f} frames; of their negatives {false:.1%} are false, by chance {expected:.1%})"

    def _repr_html_(self) -> str:
        table, shown = self.table, {"frames": "{:d}".format}
        shown |= {name: ("{:.2f}" if "cosine" in name else "{:.1%}").format for name in table if name != "frames"}
        more = f"<small>the 10 most frequent of {len(table)} phones</small>" if len(table) > 10 else ""
        return table.head(10).to_html(formatters=shown, na_rep="") + more

    @property
    def whole(self) -> pd.Series:
        """The same shares of all phones together: ``audit.whole["false"]``."""
        return shares(self.counts.sum().to_frame().T).iloc[0]


def shares(counts: pd.DataFrame) -> pd.DataFrame:
    """What counts say, NaN where there is nothing to count.

    ``frames`` predicted; ``false``: of the negatives drawn, how many are false, and how many are by ``chance``;
    ``near``: of the false, how many lie in the same stretch of sound as their frame; ``caught``: of the false, how many
    the rule of equal codes leaves out; ``lost``: of the true, how many it leaves out; ``left``: of those that stay, how
    many are false; ``cosine_false``, ``cosine_true``: mean cosine of the state with those that stay.
    """
    c = counts
    true, equal_true = c["drawn"] - c["false"], c["equal"] - c["equal_false"]
    ratios = {
        "false": (c["false"], c["drawn"]),
        "chance": (c["expected"], c["drawn"]),
        "near": (c["near"], c["false"]),
        "caught": (c["equal_false"], c["false"]),
        "lost": (equal_true, true),
        "left": (c["false"] - c["equal_false"], c["drawn"] - c["equal"]),
        "cosine_false": (c["cosines_false"], c["false"] - c["equal_false"]),
        "cosine_true": (c["cosines_true"], true - equal_true),
    }
    made = {name: part / whole.where(whole > 0) for name, (part, whole) in ratios.items()}
    return pd.DataFrame({"frames": c["frames"].astype(int), **made})


def audit(anatomy: Mapping[str, np.ndarray], utterance) -> Audit:
    """Count the negatives of one utterance's ``Anatomy`` against its true phones.

    Raises:
        ValueError: nobody has said when its phones begin and end.
    """
    step = step_of(anatomy)
    seconds = anatomy.frames.centre(np.arange(step.speech.shape[1]))
    predicted, negatives, equal, cosines = (
        x[0].numpy() for x in (step.predicted, step.negatives, step.equal, step.cosines)
    )
    return count(utterance.phones, seconds, predicted, negatives, equal, cosines[:, 1:])


def count(
    spans: Sequence[Span],
    seconds: np.ndarray,
    predicted: np.ndarray,
    negatives: np.ndarray,
    equal: np.ndarray,
    cosines: np.ndarray,
) -> Audit:
    """Count the negatives of one utterance.

    Args:
        spans: its true phones.
        seconds: (t,) the middle of each frame.
        predicted: (t,) bool.
        negatives: (t, k) frames, -1 for none.
        equal: (t, k) bool, negatives with the positive's codes.
        cosines: (t, k) of the state with each negative.

    Raises:
        ValueError: nobody has said when its phones begin and end.
    """
    if not spans:
        raise ValueError("expected an utterance whose phones have times, found none: an audit needs the truth")
    labels = phones(spans, seconds)
    stretch = np.cumsum(np.diff(spoken(spans, seconds), prepend=-2) != 0)  # a pause is a stretch too
    drawn = (negatives >= 0) & predicted[:, None]
    false = drawn & (labels[negatives] == labels[:, None])
    near = false & (stretch[negatives] == stretch[:, None])
    columns = {
        "frames": predicted,
        "drawn": drawn.sum(1),
        "false": false.sum(1),
        "near": near.sum(1),
        "expected": chance(labels) * drawn.sum(1),
        "equal": (drawn & equal).sum(1),
        "equal_false": (false & equal).sum(1),
        "cosines_false": (cosines * (false & ~equal)).sum(1),
        "cosines_true": (cosines * (drawn & ~false & ~equal)).sum(1),
    }
    rows = pd.DataFrame({name: np.asarray(column, float) for name, column in columns.items()})
    return Audit(rows[predicted].groupby(labels[predicted]).sum())
