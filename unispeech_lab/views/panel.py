"""Panel: a picture as data, before anybody draws it.

A view makes panels; a renderer draws them. A panel holds arrays with axes, units and words: a few *marks* laid over one
pair of axes. It knows no pixels, and its renderers know no speech. Time is in seconds, always.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from unispeech_lab.alignment import Span
from unispeech_lab.views.marks import (
    MAPS,
    Bars,
    Heatmap,
    Keys,
    Lines,
    Mark,
    Matrix,
    Points,
    Spans,
    Table,
    Wave,
    figures,
    tell,
)

__all__ = [
    "MAPS",
    "Axis",
    "Bars",
    "Brush",
    "Heatmap",
    "Keys",
    "Knob",
    "Lasso",
    "Lines",
    "Mark",
    "Matrix",
    "Moment",
    "Panel",
    "Points",
    "Spans",
    "Table",
    "Wave",
    "clock",
    "figures",
    "nowhere",
    "runs",
    "tell",
]


@dataclass(frozen=True)
class Axis:
    """One side of a panel: what it measures, in which unit, from where to where.

    ``ticks`` are (position, name) pairs where the axis has named places (a frequency on a mel axis, a class);
    without them a renderer picks round numbers.
    """

    label: str
    unit: str = ""
    start: float = 0.0
    stop: float = 1.0
    ticks: tuple[tuple[float, str], ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "ticks", tuple((float(at), str(name)) for at, name in self.ticks))
        if not (np.isfinite(self.start) and np.isfinite(self.stop) and self.start < self.stop):
            raise ValueError(
                f"expected axis {self.label!r} to run from a smaller to a larger finite number, "
                f"found {self.start} to {self.stop}"
            )

    @property
    def is_time(self) -> bool:
        """Whether this axis is the clock that all panels of a stage share."""
        return self.unit == "s"

    @property
    def name(self) -> str:
        """``label, unit`` as it is written beside the axis."""
        return f"{self.label}, {self.unit}" if self.unit else self.label


def clock(seconds: float, label: str = "time") -> Axis:
    """The time axis of an utterance so many seconds long."""
    return Axis(label, "s", 0.0, max(float(seconds), 1e-3))


NOWHERE = Axis("", "", 0.0, 1.0)  # of a table, which has no axes


def nowhere() -> tuple[Axis, Axis]:
    """Both axes of a panel that has none: of a table."""
    return NOWHERE, NOWHERE


# --- knobs ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Knob:
    """A choice a view offers: its values in order, the one it starts with, and the word beside the slider.

    The browser knows a value by its place among the values: ``send`` and ``take`` go there and back.
    """

    kind: ClassVar[str] = "choice"
    values: tuple
    default: object
    label: str

    def __post_init__(self):
        object.__setattr__(self, "values", tuple(self.values))
        if self.default not in self.values:
            raise ValueError(f"expected the default of knob {self.label!r} among {self.values}, found {self.default!r}")

    def accepts(self, value) -> bool:
        return value in self.values

    def send(self, value) -> int:
        return self.values.index(value)

    def take(self, sent: int):
        if sent not in range(len(self.values)):  # a place below nought would count from the end
            raise ValueError(
                f"expected knob {self.label!r} at a place from 0 to {len(self.values) - 1}, found {sent!r}"
            )
        return self.values[int(sent)]


@dataclass(frozen=True)
class Moment:
    """A moment that the reader drags along a panel that ``paints`` it: a float, in seconds."""

    kind: ClassVar[str] = "moment"
    label: str
    stop: float
    default: float = 0.0
    values: ClassVar[tuple] = ()

    def accepts(self, value) -> bool:
        return isinstance(value, int | float) and 0 <= value <= self.stop

    def send(self, value) -> float:
        return float(value)

    def take(self, sent: float) -> float:
        if not isinstance(sent, int | float) or not np.isfinite(sent):
            raise ValueError(f"expected {self.label!r} at a moment in seconds, found {sent!r}")
        return min(max(float(sent), 0.0), self.stop)


@dataclass(frozen=True)
class Brush:
    """Stretches that the reader paints onto a panel that ``paints`` it: pairs (start, end), in seconds, in order."""

    kind: ClassVar[str] = "spans"
    label: str
    stop: float
    default: tuple[tuple[float, float], ...] = ()
    values: ClassVar[tuple] = ()

    def accepts(self, value) -> bool:
        return all(len(pair) == 2 and 0 <= pair[0] < pair[1] <= self.stop + 1e-6 for pair in value)

    def send(self, value) -> list[list[float]]:
        return [[float(start), float(end)] for start, end in value]

    def take(self, sent) -> tuple[tuple[float, float], ...]:
        """What was painted, overlapping stretches joined."""
        joined: list[tuple[float, float]] = []
        try:
            pairs = sorted((max(float(a), 0.0), min(float(b), self.stop)) for a, b in sent)
        except (TypeError, ValueError) as error:
            raise ValueError(f"expected stretches (start, end) in seconds for {self.label!r}: {error}") from error
        for start, end in pairs:
            if joined and start <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end))
            elif start < end:
                joined.append((start, end))
        return tuple(joined)


@dataclass(frozen=True)
class Lasso:
    """Points that the reader has drawn around, in a panel that ``paints`` it: their positions, in order."""

    kind: ClassVar[str] = "points"
    label: str
    count: int
    default: tuple[int, ...] = ()
    values: ClassVar[tuple] = ()

    def accepts(self, value) -> bool:
        return all(0 <= k < self.count for k in value)

    def send(self, value) -> list[int]:
        return [int(k) for k in value]

    def take(self, sent) -> tuple[int, ...]:
        try:
            return tuple(sorted({int(k) for k in sent if 0 <= k < self.count}))
        except TypeError as error:
            raise ValueError(f"expected positions of points for {self.label!r}: {error}") from error


# --- panels ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture: a title, its marks, two axes, and one sentence that a view wrote from the data.

    ``name`` tells it from the other panels of a stage; ``weight`` is its height relative to a plain track (1). Panels
    whose x is no time may share a row: neighbours whose ``share`` of the width adds up to one. ``margin`` is a picture
    over time laid sideways along the left of a panel whose y is time. ``paints`` names the knob (Moment, Brush, Lasso)
    that dragging in this panel turns. ``sound``, samples (n,) and their rate, is what the panel is about where that is
    not the utterance: a button plays it.
    """

    name: str
    title: str
    marks: tuple[Mark, ...]
    x: Axis
    y: Axis
    words: str = ""
    weight: float = 1.0
    share: float = 1.0
    margin: Heatmap | None = None
    paints: str = ""
    sound: tuple[np.ndarray, int] | None = None

    def __post_init__(self):
        object.__setattr__(self, "marks", tuple(self.marks))
        if not 0 < self.share <= 1 or (self.share < 1 and self.x.is_time):
            raise ValueError(
                f"expected panel {self.name!r} to take a share of its row up to 1, and all of it over time; "
                f"found {self.share}"
            )
        if self.margin is not None and not self.y.is_time:
            raise ValueError(f"expected seconds upright for the margin of panel {self.name!r}, found {self.y.name!r}")
        if any(isinstance(mark, Table) for mark in self.marks) and len(self.marks) > 1:
            raise ValueError(f"expected a table to have panel {self.name!r} to itself, found {len(self.marks)} marks")
        if any(isinstance(mark, Matrix) for mark in self.marks) and not self.y.is_time:
            raise ValueError(
                f"expected panel {self.name!r} to have seconds on both axes, found {self.y.name!r} upright"
            )

    def alt(self) -> str:
        """What a reader who sees no picture is told, written from the data."""
        marks = "; ".join(mark.says() for mark in self.marks)
        named = [name for _, name in self.x.ticks]  # their places are not the numbers that they stand for
        ends = f"{named[0]} to {named[-1]}" if named else f"{self.x.start:g} to {self.x.stop:.2f}"
        axes = f" ({self.x.label} {ends} {self.x.unit})" if self.x.label else ""
        return " ".join(part for part in (f"{self.title}.", self.words, f"{marks}{axes}.") if part)


def runs(labels: Sequence, edges: np.ndarray) -> tuple[Span, ...]:
    """Equal neighbours joined: labels (k,) between edges (k + 1,) in seconds become spans."""
    labels = list(labels)
    starts = [k for k in range(len(labels)) if k == 0 or labels[k] != labels[k - 1]]
    stops = [*starts[1:], len(labels)]
    return tuple(
        Span(str(labels[start]), max(float(edges[start]), 0.0), float(edges[stop]))
        for start, stop in zip(starts, stops, strict=False)
    )
