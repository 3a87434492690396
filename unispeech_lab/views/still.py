"""Still: panels drawn with matplotlib, for paper and for readers without a kernel."""

import io
from collections.abc import Sequence
from functools import cache

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from unispeech_lab.views.panel import Axis, Panel, figures

INK, FAINT, WAVE, TINTS = "#1b1f24", "#6b7280", "#2f6db3", ("#e4ecf5", "#f5efe2")
CURVES = ("#2f6db3", "#b3541e", "#3d7a4a", "#7a4a9e", "#8a6d00", "#a1324f", "#2a7f86", "#555555")
DASHES = ("-", "--", ":", "-.")
KINDS = (WAVE, "#aab3be", "#b3541e", "#7a4a9e", "#3d7a4a")  # of bars
CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Microsoft YaHei",
)
HEADER = 0.3  # inches for title and words over each panel


def figure(panels: Sequence[Panel], width: float = 9.0, note: str = "") -> Figure:
    """All panels under one another on one time axis; ``width`` in inches, ``note`` printed at the top.

    The figure belongs to the caller: pyplot does not know it, so nothing is left open.
    """
    heights = [0.82 * panel.weight + HEADER for panel in panels]
    total = sum(heights) + 0.5 + (0.25 if note else 0)
    made = Figure(figsize=(width, total), layout=None, facecolor="white")
    FigureCanvasAgg(made)
    made.text(0.01, 1 - 0.12 / total, written(note), va="top", size=8.5, family=fonts(), color=FAINT)
    top = total - (0.33 if note else 0.06)
    left, right = 0.92 / width, 1 - 0.78 / width
    clocks = [k for k, panel in enumerate(panels) if panel.x.is_time]
    for k, (panel, height) in enumerate(zip(panels, heights, strict=True)):
        bottom = top - height
        axes = made.add_axes((left, bottom / total, right - left, (height - HEADER) / total))
        draw(axes, panel, last=k == (clocks or [len(panels) - 1])[-1])
        caption(made, panel, (left, right), (top - HEADER + 0.06) / total)
        top = bottom
    return made


def caption(made: Figure, panel: Panel, sides: tuple[float, float], height: float) -> None:
    """Title and words on one line over a panel; what does not fit ends in … (the alt text has it all)."""
    style = {"va": "baseline", "figure": made}
    title = made.text(sides[0], height, written(panel.title), size=9, weight="bold", color=INK, **style)
    beside = made.transFigure.inverted().transform(title.get_window_extent())[1, 0] + 0.012
    words = made.text(beside, height, "", size=7.8, color=FAINT, family=fonts(), **style)
    text = panel.words[:300]  # more is never room for, and each try measures it all
    words.set_text(written(text))
    while text and made.transFigure.inverted().transform(words.get_window_extent())[1, 0] > sides[1] + 0.06:
        text = text[:-4]
        words.set_text(written(text.rstrip()) + "…")


def png(panels: Sequence[Panel], dpi: int = 100, note: str = "") -> bytes:
    """The figure as PNG bytes, in 256 colours: a third of the size, and no eye sees it."""
    from PIL import Image  # comes with matplotlib

    raw = io.BytesIO()
    figure(panels, note=note).savefig(raw, dpi=dpi)
    small = io.BytesIO()
    Image.open(raw).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
    return small.getvalue()


class Picture:
    """Panels that stay still, in a notebook cell: a PNG with its words as alt text."""

    def __init__(self, panels: Sequence[Panel], note: str = ""):
        self.panels, self.note = panels, note

    def _repr_mimebundle_(self, **kwargs):
        said = words(self.panels, self.note)
        return {"text/plain": said, "image/png": png(self.panels, note=self.note)}, {"image/png": {"alt": said}}


def words(panels: Sequence[Panel], note: str = "") -> str:
    """What the picture says, a line a panel: its alt text."""
    return "\n".join([*([note] if note else []), *(panel.alt() for panel in panels)])


def draw(axes, panel: Panel, last: bool = True) -> None:
    """One panel into matplotlib axes of one's own."""
    axes.set_xlim(panel.x.start, panel.x.stop)
    axes.set_ylim(panel.y.start, panel.y.stop)
    for mark in panel.marks:
        DRAW[mark.kind](axes, mark)
    ticks(axes.yaxis, panel.y)
    ticks(axes.xaxis, panel.x)
    if panel.y.unit or not panel.y.ticks:
        axes.set_ylabel(panel.y.name, size=7.8, color=FAINT)
    axes.yaxis.set_label_coords(-0.085, 0.5)
    axes.tick_params(labelsize=7.5, colors=FAINT, length=2.5, width=0.6, labelbottom=last)
    if last:
        axes.set_xlabel(panel.x.name, size=8, color=FAINT)
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color="#c3c9d1")


def ticks(side, axis: Axis) -> None:
    if axis.ticks:
        side.set_ticks([at for at, _ in axis.ticks], [written(name) for _, name in axis.ticks])
        for label in side.get_ticklabels():
            label.set_family(fonts())


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
    drawn = axes.imshow(
        mark.values,
        extent=(*mark.x, *mark.y),
        origin="lower",
        aspect="auto",
        cmap=mark.map,
        vmin=mark.low,
        vmax=mark.high,
        interpolation="auto",
    )
    axes.set(xlim=limits[0], ylim=limits[1])
    beside = axes.inset_axes((1.012, 0, 0.012, 1))
    bar = axes.figure.colorbar(drawn, cax=beside, ticks=[mark.low, mark.high])
    bar.ax.set_yticklabels([f"{mark.low:.2g}", f"{mark.high:.2g}"])
    bar.ax.tick_params(labelsize=7, colors=FAINT, length=0, pad=2)
    bar.ax.set_ylabel(f"{mark.quantity}{', ' + mark.unit if mark.unit else ''}", size=7, color=FAINT, labelpad=-8)
    bar.outline.set_linewidth(0)


def lines(axes, mark) -> None:
    if axes.get_ylim()[0] < 0 < axes.get_ylim()[1]:
        axes.axhline(0, lw=0.6, color="#c3c9d1")
    for k, (name, y) in enumerate(zip(mark.names, mark.y, strict=True)):
        (curve,) = axes.plot(mark.x, y, DASHES[k % 4], lw=1.1, color=CURVES[k % 8], label=name)
        curve.set_path_effects([withStroke(linewidth=2.6, foreground="white")])  # seen over a heatmap too
    if len(mark.names) > 1:
        beside = max(map(len, mark.names)) <= 7  # else there is no room
        place = {"loc": "upper left", "bbox_to_anchor": (1, 1)} if beside else {"loc": "best"}
        axes.legend(fontsize=7, frameon=False, **place)


def bars(axes, mark) -> None:
    axes.axhline(0, lw=0.6, color=FAINT)
    axes.set_xticks([])
    colours = [KINDS[kind % len(KINDS)] for kind in mark.kinds]
    axes.bar(np.arange(len(mark.heights)) + 0.5, np.nan_to_num(mark.heights), width=0.82, color=colours)
    bottom, (start, stop) = axes.get_ylim()[0], axes.get_xlim()
    room = axes.get_position().width * axes.figure.get_figwidth() / (stop - start) / 0.07  # letters a bar has room for
    numbers = [figures(height) if np.isfinite(height) else "" for height in mark.heights]
    told = room > max(map(len, numbers), default=0)
    for k, (name, height) in enumerate(zip(mark.names, mark.heights, strict=True)):
        style = {"x": k + 0.5, "ha": "center", "size": 7.5, "color": INK, "clip_on": True}
        sign = f"{mark.legend[mark.kinds[k]][0]} {numbers[k] if told else ''}".strip()
        if np.isfinite(height):
            axes.text(s=written(sign), y=height, va="bottom" if height >= 0 else "top", **style)
        if room > len(name):
            axes.text(s=written(name), y=bottom, va="bottom", family=fonts(), **style)
    for k, (sign, name) in enumerate(entry for entry in mark.legend if any(entry)):
        style = {"transform": axes.transAxes, "size": 7, "va": "top", "color": KINDS[k % len(KINDS)]}
        axes.text(1.008, 1 - k * 0.11 / axes.bbox.height * axes.figure.dpi, written(f"{sign or '■'} {name}"), **style)


def spans(axes, mark) -> None:
    bottom, top = mark.y
    boxes = [Rectangle((s.start, bottom), s.duration, top - bottom) for s in mark.spans]
    drawn = PatchCollection(boxes, linewidths=0.5, edgecolors="white" if mark.shades is not None else "#9aa5b1")
    if mark.shades is None:
        drawn.set_facecolor([TINTS[k % 2] for k in range(len(boxes))])
    else:
        drawn.set(array=np.asarray(mark.shades, float), cmap="cividis", clim=(0, 1))
    axes.add_collection(drawn, autolim=False)
    inches = axes.get_position().width * axes.figure.get_figwidth()
    scale = inches / (axes.get_xlim()[1] - axes.get_xlim()[0])
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


@cache
def fonts() -> list[str]:
    """Fonts to look for a letter in: matplotlib's own has Latin, Cyrillic and the phonetic alphabet, not Chinese."""
    there = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in CHINESE if name in there)]


@cache
def letters() -> frozenset[int]:
    """Every letter that one of the fonts has."""
    return frozenset().union(*(get_font(findfont(name)).get_charmap() for name in fonts()))


def written(text: str) -> str:
    """The text with ▯ for letters that no font of this machine has; the alt text keeps them all.

    A dollar is told not to begin a formula, as matplotlib would have it.
    """
    return "".join(letter if ord(letter) in letters() else "▯" for letter in text).replace("$", r"\$")


DRAW = {"wave": wave, "heatmap": heatmap, "matrix": heatmap, "lines": lines, "spans": spans, "bars": bars}
