"""Marks drawn with matplotlib, each into axes whose limits are set already."""

from functools import cache

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D

from unispeech_lab.views.lettering import fonts, written
from unispeech_lab.views.panel import figures, tell

INK, FAINT, WAVE, TINTS = "#1b1f24", "#6b7280", "#2f6db3", ("#e4ecf5", "#f5efe2")
CURVES = ("#2f6db3", "#b3541e", "#3d7a4a", "#7a4a9e", "#8a6d00", "#a1324f", "#2a7f86", "#555555")
DASHES = ("-", "--", ":", "-.")
STROKES = ("━━", "╍╍", "┅┅", "━·")  # the same as letters
KINDS = (WAVE, "#aab3be", "#b3541e", "#7a4a9e", "#3d7a4a")  # of bars
SHAPES = ("o", "^", "s", "D", "P", "X", "*", "v")  # of points whose kind has no sign of its own
SIGNS = "●▲■◆✚✖★▼"  # the same shapes as letters
ROW = 0.19  # inches of height for a row of a table


def colour_of(kind: int) -> str:
    return CURVES[kind % len(CURVES)]


def shape_of(kind: int) -> int:
    """Kinds of one colour have different shapes."""
    return (kind + kind // len(CURVES)) % len(SHAPES)


def inches(axes) -> tuple[float, float]:
    box, figure = axes.get_position(), axes.figure
    return box.width * figure.get_figwidth(), box.height * figure.get_figheight()


def wave(axes, mark) -> None:
    samples, columns = mark.samples, 1500
    if len(samples) <= 2 * columns:
        axes.plot(np.arange(len(samples)) / mark.rate, samples, lw=0.7, color=WAVE)
        return
    starts = np.linspace(0, len(samples), columns, endpoint=False).astype(int)
    low, high = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
    axes.fill_between(starts / mark.rate, low, high, lw=0.4, color=WAVE)


def heatmap(axes, mark) -> None:
    limits = (axes.get_xlim(), axes.get_ylim())
    drawn = coloured(axes, mark, mark.values, (*mark.x, *mark.y))
    axes.set(xlim=limits[0], ylim=limits[1])
    width = inches(axes)[0]
    beside = axes.inset_axes((1 + 0.09 / width, 0, 0.09 / width, 1))
    bar = axes.figure.colorbar(drawn, cax=beside, ticks=[mark.low, mark.high])
    ends = [figures(mark.low), figures(mark.high)]
    bar.ax.set_yticklabels(ends)
    bar.ax.tick_params(labelsize=7, colors=FAINT, length=0, pad=2)
    beside = max(1 - 4.5 * max(map(len, ends)), -8)  # between the ends, and not over the bar
    bar.ax.set_ylabel(f"{mark.quantity}{', ' + mark.unit if mark.unit else ''}", size=7, color=FAINT, labelpad=beside)
    bar.outline.set_linewidth(0)


def coloured(axes, mark, values, extent):
    """A heatmap's values as colours on its own scale, row 0 at the bottom."""
    scale = {"cmap": mark.map, "vmin": mark.low, "vmax": mark.high}
    return axes.imshow(values, extent=extent, origin="lower", aspect="auto", interpolation="auto", **scale)


def sideways(axes, mark, width: float) -> None:
    """A heatmap over time along the left of axes whose y is time, its row 0 beside them; ``width`` in inches."""
    whole = inches(axes)[0]
    strip = axes.inset_axes((-(width + 0.03) / whole, 0, width / whole, 1))
    extent = (mark.y[1], mark.y[0], *mark.x)
    coloured(strip, mark, mark.values.T[:, ::-1], extent)
    strip.set(xlim=extent[:2], ylim=axes.get_ylim(), xticks=[], yticks=[])
    for spine in strip.spines.values():
        spine.set(linewidth=0.6, color="#c3c9d1")


def lines(axes, mark) -> None:
    if axes.get_ylim()[0] < 0 < axes.get_ylim()[1]:
        axes.axhline(0, lw=0.6, color="#c3c9d1")
    for k, (name, y) in enumerate(zip(mark.names, mark.y, strict=True)):
        if mark.low is not None:
            band(axes, mark.x, y, mark.low[k], mark.high[k], CURVES[k % 8])
        (curve,) = axes.plot(mark.x, y, DASHES[k % 4], lw=1.1, color=CURVES[k % 8], label=name)
        curve.set_path_effects([withStroke(linewidth=2.6, foreground="white")])  # seen over a heatmap too
    if len(mark.names) > 1 and mark.low is None:  # those with bands have no room between them
        beside = max(map(len, mark.names)) <= 7  # else there is no room
        place = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if beside else {"loc": "best"}
        axes.legend(fontsize=7, frameon=False, **place)


def band(axes, x, y, low, high, colour: str) -> None:
    """Between ``low`` and ``high``; each number a dot on a stroke of its own, so that a lonely one is seen as well."""
    axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0)
    axes.vlines(x, low, high, color=colour, alpha=0.45, linewidth=0.9)
    axes.scatter(x, y, 9, colour, zorder=3, linewidths=0)


def bars(axes, mark) -> None:
    axes.axhline(0, lw=0.6, color=FAINT)
    axes.set_xticks([])
    colours = [KINDS[kind % len(KINDS)] for kind in mark.kinds]
    axes.bar(np.arange(len(mark.heights)) + 0.5, np.nan_to_num(mark.heights), width=0.82, color=colours)
    bottom, (start, stop) = axes.get_ylim()[0], axes.get_xlim()
    room = inches(axes)[0] / (stop - start) / 0.07  # letters a bar has room for
    signs = [mark.legend[kind][0] for kind in mark.kinds]
    numbers = [f"{sign} {figures(height)}".strip() for sign, height in zip(signs, mark.heights, strict=True)]
    over = numbers if room > max(map(len, numbers), default=0) else signs  # all numbers, or none
    for k, (name, height) in enumerate(zip(mark.names, mark.heights, strict=True)):
        style = {"x": k + 0.5, "ha": "center", "size": 7.5, "color": INK, "clip_on": True}
        if np.isfinite(height):
            axes.text(s=written(over[k]), y=height, va="bottom" if height >= 0 else "top", **style)
        if room > len(name):
            axes.text(s=written(name), y=bottom, va="bottom", family=fonts(), **style)
    for k, (sign, name) in enumerate(entry for entry in mark.legend if any(entry)):
        style = {"transform": axes.transAxes, "size": 7, "va": "top", "color": KINDS[k % len(KINDS)]}
        axes.text(1.008, 1 - k * 0.11 / inches(axes)[1], written(f"{sign or '■'} {name}"), **style)


def spans(axes, mark) -> None:
    bottom, top = mark.y
    boxes = [Rectangle((s.start, bottom), s.duration, top - bottom) for s in mark.spans]
    drawn = PatchCollection(boxes, linewidths=0.5, edgecolors="white" if mark.shades is not None else "#9aa5b1")
    if mark.shades is None:
        drawn.set_facecolor([TINTS[k % 2] for k in range(len(boxes))])
    else:
        drawn.set(array=np.asarray(mark.shades, float), cmap="cividis", clim=(0, 1))
    axes.add_collection(drawn, autolim=False)
    scale = inches(axes)[0] / (axes.get_xlim()[1] - axes.get_xlim()[0])
    for k, span in enumerate(mark.spans):
        size = 8.0 if mark.shades is None else 6.5
        if span.duration * scale < 0.0105 * size * max(len(span.label), 1):
            continue  # a label that does not fit its box would be read as its neighbour's
        light = mark.shades is not None and mark.shades[k] < 0.55
        axes.text(
            (span.start + span.end) / 2,
            (bottom + top) / 2,
            written(span.label),
            ha="center",
            va="center",
            size=size,
            family=fonts(),
            color="white" if light else INK,
            clip_on=True,
        )


def points(axes, mark) -> None:
    """Each kind with a colour and a sign; those chosen over the others, which then are pale."""
    size = 46.0 if len(mark.x) < 400 else 22.0 if len(mark.x) < 3000 else 12.0
    chosen = np.zeros(len(mark.x), bool) if mark.chosen is None else np.asarray(mark.chosen, bool)
    there = np.isfinite(mark.x) & np.isfinite(mark.y)
    pale = 0.3 if chosen.any() else 0.85
    for drawn, style in ((there & ~chosen, {"alpha": pale, "zorder": 2}), (there & chosen, {"zorder": 3})):
        for kind in np.unique(mark.kinds[drawn]):
            sign = mark.legend[kind][0]
            these = drawn & (mark.kinds == kind)
            marker, scale = (letter(sign), 1.4) if sign and written(sign) == sign else (SHAPES[shape_of(kind)], 1.0)
            style |= {"marker": marker, "linewidths": 0, "clip_on": True}
            axes.scatter(mark.x[these], mark.y[these], scale * size, colour_of(kind), **style)


@cache
def letter(sign: str):
    """A sign as a marker, about as large as matplotlib's own."""
    path = TextPath((0, 0), sign, size=1, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = path.get_extents()
    scale = 1 / max(box.width, box.height, 0.5)
    centre = (-(box.x0 + box.x1) / 2, -(box.y0 + box.y1) / 2)
    return path.transformed(Affine2D().translate(*centre).scale(scale))


def keys(axes, mark) -> None:
    """Rows of keys, read like lines of text; the coloured part of each stands as high as it is used."""
    width, height = inches(axes)
    rows, columns = keyboard(len(mark.names), width, height)
    start, bottom = axes.get_xlim()[0], axes.get_ylim()[0]
    wide, tall = (axes.get_xlim()[1] - start) / columns, (axes.get_ylim()[1] - bottom) / rows
    corners = [
        (start + (k % columns) * wide, bottom + (rows - 1 - k // columns) * tall) for k in range(len(mark.names))
    ]
    inner = (0.92 * wide, 0.9 * tall)
    edges = [INK if k == mark.chosen else "#9aa5b1" for k in range(len(corners))]
    widths = [1.8 if k == mark.chosen else 0.5 for k in range(len(corners))]
    frames = [Rectangle(corner, *inner) for corner in corners]
    fills = [Rectangle(c, inner[0], inner[1] * h) for c, h in zip(corners, np.nan_to_num(mark.heights), strict=True)]
    axes.add_collection(
        PatchCollection(fills, facecolors=[colour_of(k) for k in mark.kinds], alpha=0.55), autolim=False
    )
    axes.add_collection(PatchCollection(frames, facecolors="none", edgecolors=edges, linewidths=widths), autolim=False)
    size = min(8.0, 72 * 0.3 * height / rows)
    for (x, y), label in zip(corners, mark.labels, strict=True):
        if 0.0105 * size * len(label) <= width / columns:
            style = {"ha": "center", "va": "bottom", "size": size, "family": fonts(), "color": INK}
            axes.text(x + inner[0] / 2, y + 0.08 * tall, written(label), **style)
    axes.set(xticks=[], yticks=[])


def keyboard(count: int, width: float, height: float) -> tuple[int, int]:
    """Rows, and keys in a row, for so many keys about twice as tall as wide."""
    rows = max(1, round((count * height / (2 * width)) ** 0.5))
    return rows, max(1, -(-count // rows))


def table(axes, mark) -> None:
    """The first rows, as many as have room, and how many there are besides."""
    axes.set_axis_off()
    height = inches(axes)[1]
    order = mark.ordered()
    room = max(1, int(height / ROW) - 1)
    shown = order if len(order) <= room else order[: max(1, room - 1)]
    if 0 <= mark.chosen < len(mark.rows) and mark.chosen not in shown:
        shown = [*shown[:-1], mark.chosen]
    heads = [f"{name}, {unit}" if unit else name for name, unit in mark.columns]
    heads[mark.by] += " ▾" if mark.falling else " ▴"
    cells = [heads, *([tell(cell) for cell in mark.rows[k]] for k in shown)]
    widths = np.array([max(len(row[c]) for row in cells) + 2.5 for c in range(len(heads))], float)
    sides = np.concatenate([[0.0], np.cumsum(widths)]) / max(widths.sum(), inches(axes)[0] / 0.085)
    numeric = [not any(isinstance(row[c], str) for row in mark.rows) for c in range(len(heads))]
    for line, row in enumerate(cells):
        y = 1 - (line + 0.5) * ROW / height
        if line and shown[line - 1] == mark.chosen:
            band = Rectangle(
                (0, y - ROW / height / 2), sides[-1], ROW / height, color=TINTS[0], transform=axes.transAxes
            )
            axes.add_patch(band)
        for c, cell in enumerate(row):
            x = sides[c + 1] - 1.2 * (sides[c + 1] - sides[c]) / widths[c] if numeric[c] else sides[c] + 0.004
            style = {"weight": "bold"} if not line else {}
            style |= {"size": 7.8, "family": fonts(), "color": INK if line else FAINT, "va": "center"}
            axes.text(x, y, written(cell), ha="right" if numeric[c] else "left", transform=axes.transAxes, **style)
    axes.plot([0, sides[-1]], [1 - ROW / height] * 2, lw=0.6, color="#c3c9d1", transform=axes.transAxes)
    if len(shown) < len(order):
        y = 1 - (len(cells) + 0.5) * ROW / height
        more = f"… {len(order) - len(shown)} rows more"
        axes.text(0.004, y, more, size=7.5, color=FAINT, va="center", transform=axes.transAxes)


def legend(panel) -> list[tuple[str, str, str]]:
    """(colour, sign, name) of what points, keys and curves with bands are, where it says more than the picture."""
    entries = []
    for mark in panel.marks:
        if mark.kind in ("points", "keys"):
            there = set(np.unique(mark.kinds).tolist())
            for kind, (sign, name) in enumerate(mark.legend):
                if name and kind in there:
                    shown = sign if sign and written(sign) == sign else SIGNS[shape_of(kind)]
                    entries.append((colour_of(kind), "■" if mark.kind == "keys" and not sign else shown, name))
        if mark.kind == "lines" and mark.low is not None and len(mark.names) > 1:
            entries += [(colour_of(k), STROKES[k % len(STROKES)], name) for k, name in enumerate(mark.names)]
    return entries


DRAW = {
    "wave": wave,
    "heatmap": heatmap,
    "matrix": heatmap,
    "lines": lines,
    "spans": spans,
    "bars": bars,
    "points": points,
    "keys": keys,
    "table": table,
}
