"""Panel: a picture as data, before anybody draws it.

A view makes panels; a renderer draws them. A panel holds arrays with axes, units and words: a few *marks* laid over one
pair of axes. It knows no pixels, and its renderers know no speech. Time is in seconds, always.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from unispeech_lab.alignment import Span

MAPS = ("viridis", "cividis", "RdBu_r")  # two that every eye reads as brighter is more; one whose white is zero


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


@dataclass(frozen=True)
class Knob:
    """A choice a view offers: its values in order, the one it starts with, and the word beside the slider."""

    values: tuple
    default: object
    label: str

    def __post_init__(self):
        object.__setattr__(self, "values", tuple(self.values))
        if self.default not in self.values:
            raise ValueError(f"expected the default of knob {self.label!r} among {self.values}, found {self.default!r}")


# --- marks ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Wave:
    """A sampled line: ``samples`` (n,) at ``rate`` per second, the first at time 0."""

    kind: ClassVar[str] = "wave"
    samples: np.ndarray
    rate: int

    def __post_init__(self):
        expect(self.samples, 1, "the samples of a Wave")

    def says(self) -> str:
        if not len(self.samples):
            return "no samples"
        peak = int(np.abs(self.samples).argmax())
        seconds, height = len(self.samples) / self.rate, abs(self.samples[peak])
        return f"{seconds:.2f} s of sound, its peak {height:.2f} at {peak / self.rate:.2f} s"


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Numbers as colours: ``values`` (rows, columns), row 0 at the bottom, spread evenly over ``x`` and ``y``.

    ``x`` and ``y`` are (start, stop) in the units of the panel's axes; ``rows`` names each row, ``unit`` the numbers;
    ``low`` and ``high`` are the ends of the colour scale (a map around zero needs ``low == -high``). NaN is left empty.
    """

    kind: ClassVar[str] = "heatmap"
    values: np.ndarray
    x: tuple[float, float]
    y: tuple[float, float]
    low: float
    high: float
    unit: str = ""
    quantity: str = "value"
    rows: tuple[str, ...] = ()
    map: str = "viridis"

    def __post_init__(self):
        expect(self.values, 2, f"the values of a {type(self).__name__}")
        if self.map not in MAPS:
            raise ValueError(f"expected one of the maps {', '.join(MAPS)}, found {self.map!r}")
        if not self.low < self.high:
            raise ValueError(f"expected a colour scale with low < high, found {self.low} to {self.high}")
        if self.map == "RdBu_r" and self.low != -self.high:
            raise ValueError(f"expected a diverging scale to be fixed around zero, found {self.low} to {self.high}")
        if self.rows and len(self.rows) != len(self.values):
            raise ValueError(f"expected one name a row ({len(self.values)} rows), found {len(self.rows)} names")

    def says(self) -> str:
        rows, columns = self.values.shape
        if not np.isfinite(self.values).any():
            return f"{rows} rows by {columns} columns, all empty"
        row, column = np.unravel_index(np.nanargmax(self.values), self.values.shape)
        at = self.x[0] + (column + 0.5) / columns * (self.x[1] - self.x[0])
        where = f", row {self.rows[row]}" if self.rows else f", row {row}"
        return (
            f"{rows} rows by {columns} columns; {self.quantity} from {figures(np.nanmin(self.values))} "
            f"to {figures(np.nanmax(self.values), self.unit)}, highest at {at:.2f} s{where}"
        )


@dataclass(frozen=True, eq=False)
class Matrix(Heatmap):
    """A heatmap whose rows are moments too: ``y`` is in seconds, so that the playhead crosses it both ways."""

    kind: ClassVar[str] = "matrix"

    def says(self) -> str:
        return (
            f"{self.values.shape[0]} by {self.values.shape[1]} moments; {self.quantity} up to "
            f"{figures(np.nanmax(self.values, initial=self.low), self.unit)}"
        )


@dataclass(frozen=True, eq=False)
class Lines:
    """Curves, mostly over time: ``y`` (m, k) at the moments ``x`` (k,), one name a curve. NaN breaks a curve."""

    kind: ClassVar[str] = "lines"
    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]
    unit: str = ""

    def __post_init__(self):
        expect(self.x, 1, "the moments of Lines")
        expect(self.y, 2, "the curves of Lines")
        if self.y.shape != (len(self.names), len(self.x)):
            raise ValueError(
                f"expected curves of shape (names, moments) = ({len(self.names)}, {len(self.x)}), found {self.y.shape}"
            )

    def says(self) -> str:
        return "; ".join(self.describe(name, y[np.isfinite(y)]) for name, y in zip(self.names, self.y, strict=True))

    def describe(self, name: str, y: np.ndarray) -> str:
        if not len(y):
            return f"{name}: nothing"
        mean = figures(y.mean(), self.unit)
        return f"{name} from {figures(y.min())} to {figures(y.max(), self.unit)}, {mean} on average"


@dataclass(frozen=True, eq=False)
class Spans:
    """Labelled stretches between the heights ``y``; ``shades`` (in [0, 1], one a span) colour them if given."""

    kind: ClassVar[str] = "spans"
    tier: str
    spans: tuple[Span, ...]
    y: tuple[float, float] = (0.0, 1.0)
    shades: np.ndarray | None = None

    def __post_init__(self):
        object.__setattr__(self, "spans", tuple(self.spans))
        if self.shades is not None and len(self.shades) != len(self.spans):
            raise ValueError(f"expected one shade a span ({len(self.spans)}), found {len(self.shades)}")

    def says(self) -> str:
        labels = [span.label for span in self.spans]
        if not labels:
            return f"{self.tier}: none"
        shown = " ".join(labels[:60]) + (" …" if len(labels) > 60 else "")
        return f"{self.tier} ({len(labels)}): {shown}"


@dataclass(frozen=True, eq=False)
class Bars:
    """Bars side by side: ``heights`` (m,) from zero, bar i over x from i to i + 1. NaN leaves its place empty.

    ``names`` has one a bar, written under it where there is room. ``kinds`` (m,) says which entry (sign, name) of
    ``legend`` a bar is: it has that sign beside its colour. ``times`` (m, 2), if given, is the stretch of sound in
    seconds that a bar stands for: a click plays it.
    """

    kind: ClassVar[str] = "bars"
    heights: np.ndarray
    names: tuple[str, ...]
    kinds: np.ndarray | None = None
    legend: tuple[tuple[str, str], ...] = ()
    times: np.ndarray | None = None
    unit: str = ""
    quantity: str = "value"

    def __post_init__(self):
        expect(self.heights, 1, "the heights of Bars")
        m = len(self.heights)
        kinds = np.zeros(m, int) if self.kinds is None else np.asarray(self.kinds, int)
        object.__setattr__(self, "kinds", kinds)
        object.__setattr__(self, "legend", tuple(self.legend) or (("", ""),))
        if (len(self.names), len(kinds)) != (m, m):
            raise ValueError(f"expected {m} names and kinds, found {len(self.names)} and {len(kinds)}")
        if m and not 0 <= kinds.min() <= kinds.max() < len(self.legend):
            raise ValueError(
                f"expected kinds out of a legend of {len(self.legend)}, found {sorted(set(kinds.tolist()))}"
            )
        if self.times is not None and np.shape(self.times) != (m, 2):
            raise ValueError(f"expected a start and an end for each of {m} bars, found {np.shape(self.times)}")

    def says(self) -> str:
        there = np.isfinite(self.heights)
        if there.sum() <= 8:
            each = zip(self.names, self.heights, strict=True)
            return ", ".join(f"{name} {figures(y, self.unit)}" for name, y in each if np.isfinite(y)) or "no bars"
        first = int(np.nanargmax(self.heights))
        said = [f"{there.sum()} bars, highest {self.names[first]} {figures(self.heights[first], self.unit)}"]
        for k, (_, name) in enumerate(self.legend):
            y = self.heights[there & (self.kinds == k)]
            if name and len(y):
                said.append(f"{name}: {len(y)}, {self.quantity} {figures(y.min())} to {figures(y.max(), self.unit)}")
        return "; ".join(said)


Mark = Wave | Heatmap | Matrix | Lines | Spans | Bars


# --- panels --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture: a title, its marks, two axes, and one sentence that a view wrote from the data.

    ``name`` tells it from the other panels of a stage; ``weight`` is its height relative to a plain track (1).
    """

    name: str
    title: str
    marks: tuple[Mark, ...]
    x: Axis
    y: Axis
    words: str = ""
    weight: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "marks", tuple(self.marks))
        if any(isinstance(mark, Matrix) for mark in self.marks) and not self.y.is_time:
            raise ValueError(
                f"expected panel {self.name!r} to have seconds on both axes, found {self.y.name!r} upright"
            )

    def alt(self) -> str:
        """What a reader who sees no picture is told, written from the data."""
        marks = "; ".join(mark.says() for mark in self.marks)
        axes = f"{self.x.label} {self.x.start:g} to {self.x.stop:.2f} {self.x.unit}"
        return " ".join(part for part in (f"{self.title}.", self.words, f"{marks} ({axes}).") if part)


def figures(value: float, unit: str = "") -> str:
    """A number as people write it, three figures, with its unit: ``0.0312``, ``-80 dB``."""
    text = f"{value:.3g}" if value else "0"
    return f"{text} {unit}" if unit else text


def expect(array: np.ndarray, dimensions: int, what: str) -> None:
    if np.ndim(array) != dimensions:
        raise ValueError(f"expected {what} to have {dimensions} dimension(s), found shape {np.shape(array)}")


def runs(labels: Sequence, edges: np.ndarray) -> tuple[Span, ...]:
    """Equal neighbours joined: labels (k,) between edges (k + 1,) in seconds become spans."""
    labels = list(labels)
    starts = [k for k in range(len(labels)) if k == 0 or labels[k] != labels[k - 1]]
    stops = [*starts[1:], len(labels)]
    return tuple(
        Span(str(labels[start]), max(float(edges[start]), 0.0), float(edges[stop]))
        for start, stop in zip(starts, stops, strict=False)
    )
