"""Marks: the few shapes that panels are made of, each an array with its meaning.

A mark knows no pixels, and its renderers know no speech. Marks with *items* (bars, points, keys, rows of a table) may
give each item ``times``, the stretch of sound that a click plays, and ``sets``, the knobs that a click turns.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from unispeech_lab.alignment import Span

MAPS = ("viridis", "cividis", "RdBu_r")  # two that every eye reads as brighter is more; one whose white is zero
Sets = tuple[Mapping[str, object], ...]  # knob -> the value it takes, one mapping an item


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

    ``x`` and ``y`` are (start, stop) in the units of the panel's axes; ``rows`` and ``columns`` name each row and
    column, ``unit`` the numbers; ``low`` and ``high`` are the ends of the colour scale (a map around zero needs
    ``low == -high``). NaN is left empty. ``sets`` names the knobs that a click turns to the cell's column and to its
    row, ``""`` for none: the k-th column means the knob's k-th value, or the k-th of those given beside the name where
    columns stand in another order, ``("codeword", (5, 0, 2))``. ``tiles`` (rows, columns) makes a mosaic of it, as many
    pictures of equal size: then ``rows`` and ``columns`` name tiles, and a click means a tile. ``reach`` is how many
    seconds of sound a column heard before and after its middle: the pointer lights them up in every panel, a click
    plays them. ``kinds`` (rows, columns) says which of the words of ``legend`` the pointer reads in a cell besides its
    number.
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
    columns: tuple[str, ...] = ()
    sets: tuple[str | tuple[str, tuple], str | tuple[str, tuple]] = ("", "")
    reach: tuple[float, float] | None = None
    kinds: np.ndarray | None = None
    legend: tuple[str, ...] = ()
    tiles: tuple[int, int] | None = None

    def __post_init__(self):
        expect(self.values, 2, f"the values of a {type(self).__name__}")
        object.__setattr__(self, "tiles", self.tiles or np.shape(self.values))
        rows, columns = self.tiles
        if any(side % tiles for side, tiles in zip(self.values.shape, self.tiles, strict=True) if tiles):
            raise ValueError(f"expected {rows} by {columns} tiles of equal size, found cells {self.values.shape}")
        if self.map not in MAPS:
            raise ValueError(f"expected one of the maps {', '.join(MAPS)}, found {self.map!r}")
        if not self.low < self.high:
            raise ValueError(f"expected a colour scale with low < high, found {self.low} to {self.high}")
        if self.map == "RdBu_r" and self.low != -self.high:
            raise ValueError(f"expected a diverging scale to be fixed around zero, found {self.low} to {self.high}")
        if self.rows and len(self.rows) != rows:
            raise ValueError(f"expected one name a row ({rows} rows), found {len(self.rows)} names")
        if self.columns and len(self.columns) != columns:
            raise ValueError(f"expected one name a column ({columns}), found {len(self.columns)} names")
        for turned, count in zip(self.sets, (columns, rows), strict=True):
            if not isinstance(turned, str) and len(turned[1]) != count:
                raise ValueError(f"expected a value of knob {turned[0]!r} for each of {count}, found {len(turned[1])}")
        if self.kinds is not None and np.shape(self.kinds) != np.shape(self.values):
            raise ValueError(f"expected a kind for each cell {self.values.shape}, found {np.shape(self.kinds)}")

    def says(self) -> str:
        rows, columns = self.values.shape
        if not np.isfinite(self.values).any():
            return f"{rows} rows by {columns} columns, all empty"
        row, column = np.unravel_index(np.nanargmax(self.values), self.values.shape)
        at = f"{self.x[0] + (column + 0.5) / columns * (self.x[1] - self.x[0]):.2f} s"
        row, column = row * self.tiles[0] // rows, column * self.tiles[1] // columns
        at = self.columns[column] if self.columns else at
        where = f", row {self.rows[row]}" if self.rows else f", row {row}"
        return (
            f"{rows} rows by {columns} columns; {self.quantity} from {figures(np.nanmin(self.values))} "
            f"to {figures(np.nanmax(self.values), self.unit)}, highest at {at}{where}"
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
    """Curves, mostly over time: ``y`` (m, k) at the moments ``x`` (k,), one name a curve. NaN breaks a curve.

    ``low`` and ``high`` (m, k) are the ends of an interval around each number, drawn as a band; NaN is none.
    """

    kind: ClassVar[str] = "lines"
    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]
    unit: str = ""
    low: np.ndarray | None = None
    high: np.ndarray | None = None

    def __post_init__(self):
        expect(self.x, 1, "the moments of Lines")
        expect(self.y, 2, "the curves of Lines")
        if self.y.shape != (len(self.names), len(self.x)):
            raise ValueError(
                f"expected curves of shape (names, moments) = ({len(self.names)}, {len(self.x)}), found {self.y.shape}"
            )
        ends = [None if end is None else np.shape(end) for end in (self.low, self.high)]
        if ends not in ([None, None], [self.y.shape] * 2):
            raise ValueError(f"expected both ends of a band around curves {self.y.shape}, or neither, found {ends}")

    def says(self) -> str:
        return "; ".join(self.describe(name, y[np.isfinite(y)]) for name, y in zip(self.names, self.y, strict=True))

    def describe(self, name: str, y: np.ndarray) -> str:
        if not len(y):
            return f"{name}: nothing"
        if self.low is not None and len(y) <= 12:  # few numbers, each measured by itself
            return f"{name} {', '.join(figures(value) for value in y)}{f' {self.unit}' if self.unit else ''}"
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
    seconds that a bar stands for: a click plays it, out of the survey's album if ``album``. ``sets``: knobs a click
    turns.
    """

    kind: ClassVar[str] = "bars"
    heights: np.ndarray
    names: tuple[str, ...]
    kinds: np.ndarray | None = None
    legend: tuple[tuple[str, str], ...] = ()
    times: np.ndarray | None = None
    unit: str = ""
    quantity: str = "value"
    album: bool = False
    sets: Sets = ()

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
        one_each(self.sets, m, "bar")

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


@dataclass(frozen=True, eq=False)
class Points:
    """Dots: ``x`` and ``y`` (m,), each of a ``kinds`` (m,) out of a ``legend`` of (sign, name), as bars have.

    ``names`` has one a dot, read under the pointer; ``times`` (m, 2) is the stretch of sound it stands for, in the
    survey's album if ``album``. A panel that ``paints`` a Lasso lets the reader draw around some of them; ``chosen``
    (m,) bool are those, drawn over the others.
    """

    kind: ClassVar[str] = "points"
    x: np.ndarray
    y: np.ndarray
    names: tuple[str, ...]
    kinds: np.ndarray | None = None
    legend: tuple[tuple[str, str], ...] = ()
    times: np.ndarray | None = None
    album: bool = False
    chosen: np.ndarray | None = None
    sets: Sets = ()

    def __post_init__(self):
        expect(self.x, 1, "the places of Points")
        m = len(self.x)
        kinds = np.zeros(m, int) if self.kinds is None else np.asarray(self.kinds, int)
        object.__setattr__(self, "kinds", kinds)
        object.__setattr__(self, "legend", tuple(self.legend) or (("", ""),))
        if np.shape(self.y) != (m,) or (len(self.names), len(kinds)) != (m, m):
            raise ValueError(
                f"expected {m} heights, names and kinds, found {np.shape(self.y)}, {len(self.names)}, {len(kinds)}"
            )
        if m and not 0 <= kinds.min() <= kinds.max() < len(self.legend):
            raise ValueError(f"expected kinds out of a legend of {len(self.legend)}, found up to {kinds.max()}")
        if self.times is not None and np.shape(self.times) != (m, 2):
            raise ValueError(f"expected a start and an end for each of {m} points, found {np.shape(self.times)}")
        if self.chosen is not None and np.shape(self.chosen) != (m,):
            raise ValueError(f"expected a yes or no for each of {m} points, found {np.shape(self.chosen)}")
        one_each(self.sets, m, "point")

    def says(self) -> str:
        counts = np.bincount(self.kinds, minlength=len(self.legend))
        shown = [f"{name} {counts[k]}" for k, (_, name) in enumerate(self.legend) if name and counts[k]][:20]
        picked = "" if self.chosen is None else f"; {int(self.chosen.sum())} chosen"
        return f"{len(self.x)} points{': ' if shown else ''}{', '.join(shown)}{picked}"


@dataclass(frozen=True, eq=False)
class Keys:
    """A keyboard: key k, ``labels[k]`` written on it, plays ``sounds[k]``, stretches (s, 2) of the survey's album.

    ``names`` (m,) says what each key is; ``kinds`` (m,) its colour and sign out of the ``legend``. ``heights`` (m,) in
    [0, 1] is how tall its coloured part stands: how often it is used, say. ``chosen`` is the key held down, -1 for
    none.
    """

    kind: ClassVar[str] = "keys"
    names: tuple[str, ...]
    labels: tuple[str, ...]
    sounds: tuple[np.ndarray, ...]
    heights: np.ndarray
    kinds: np.ndarray
    legend: tuple[tuple[str, str], ...]
    chosen: int = -1
    sets: Sets = ()

    def __post_init__(self):
        m = len(self.names)
        if {len(self.labels), len(self.sounds), len(self.heights), len(self.kinds)} != {m}:
            raise ValueError(
                f"expected a label, sounds, a height and a kind for each of {m} keys, found {len(self.labels)}, "
                f"{len(self.sounds)}, {len(self.heights)}, {len(self.kinds)}"
            )
        for key, sound in enumerate(self.sounds):
            if np.ndim(sound) != 2 or np.shape(sound)[1] != 2:
                raise ValueError(f"expected stretches (s, 2) for key {key}, found shape {np.shape(sound)}")
        one_each(self.sets, m, "key")

    def says(self) -> str:
        heard = sum(len(sound) > 0 for sound in self.sounds)
        pressed = f"; pressed: {self.names[self.chosen]}" if self.chosen >= 0 else ""
        return f"{len(self.names)} keys, {heard} of them with a sound{pressed}"


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of words and numbers, sorted by a click on a column's head: ``by`` at first, greatest on top if ``falling``.

    ``columns`` are (name, unit) pairs; a panel with a table has nothing else in it. NaN is an empty cell. ``chosen``
    is the row that is looked at, -1 for none. ``meanings``: what each column's numbers mean, for who points at a head.
    """

    kind: ClassVar[str] = "table"
    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple, ...]
    by: int = 0
    falling: bool = True
    times: np.ndarray | None = None
    album: bool = False
    chosen: int = -1
    sets: Sets = ()
    meanings: tuple[str, ...] = ()

    def __post_init__(self):
        if self.meanings and len(self.meanings) != len(self.columns):
            raise ValueError(f"expected a meaning for each of {len(self.columns)} columns, found {len(self.meanings)}")
        if wrong := [len(row) for row in self.rows if len(row) != len(self.columns)]:
            raise ValueError(f"expected rows of {len(self.columns)} cells, found one of {wrong[0]}")
        if not 0 <= self.by < len(self.columns):
            raise ValueError(f"expected a column from 0 to {len(self.columns) - 1} to sort by, found {self.by}")
        if self.times is not None and np.shape(self.times) != (len(self.rows), 2):
            raise ValueError(f"expected a start and an end for each of {len(self.rows)} rows, found {self.times.shape}")
        one_each(self.sets, len(self.rows), "row")

    def ordered(self) -> list[int]:
        """The rows' positions as they are first shown; empty cells come last."""

        def key(k):
            value = self.rows[k][self.by]
            if isinstance(value, str):
                return (0, value)
            return (0, -value if self.falling else value) if np.isfinite(value) else (1, 0)

        return sorted(range(len(self.rows)), key=key)

    def says(self) -> str:
        if not self.rows:
            return "a table without rows"
        first = self.rows[self.ordered()[0]]
        cells = [f"{name} {tell(cell, unit)}" for (name, unit), cell in zip(self.columns, first, strict=True)]
        return f"{len(self.rows)} rows by {self.columns[self.by][0]}; the first: {', '.join(cells)}"


Mark = Wave | Heatmap | Matrix | Lines | Spans | Bars | Points | Keys | Table


def tell(cell, unit: str = "") -> str:
    """A cell of a table as text; nothing for NaN."""
    if isinstance(cell, str):
        return cell
    return figures(cell, unit) if np.isfinite(cell) else ""


def one_each(sets: Sets, count: int, what: str) -> None:
    if sets and len(sets) != count:
        raise ValueError(f"expected what each {what} sets ({count}), found {len(sets)}")


def figures(value: float, unit: str = "") -> str:
    """A number as people write it, three figures or all before the point, with its unit: ``0.0312``, ``12,345 Hz``."""
    text = f"{value:,.0f}" if 999.5 <= abs(value) < 1e9 else f"{value:.3g}" if value else "0"
    return f"{text} {unit}" if unit else text


def expect(array: np.ndarray, dimensions: int, what: str) -> None:
    if np.ndim(array) != dimensions:
        raise ValueError(f"expected {what} to have {dimensions} dimension(s), found shape {np.shape(array)}")
