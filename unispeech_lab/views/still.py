"""Still: panels drawn with matplotlib, for paper and for readers without a kernel."""

import io
import textwrap
from collections.abc import Sequence
from itertools import accumulate

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from unispeech_lab.views.lettering import fitting, fonts, written
from unispeech_lab.views.panel import Panel
from unispeech_lab.views.still_marks import DRAW, FAINT, INK, inches, legend, sideways

# In inches:
HEADER, FOOT, LINE = 0.3, 0.36, 0.145  # for the title, for what is under an axis, a line of small letters
LEFT, RIGHT, MARGIN = 0.92, 0.78, 0.3  # beside panels on the clock; a picture laid sideways
LETTER = 0.064  # the width of one


def figure(panels: Sequence[Panel], width: float = 9.0, note: str = "") -> Figure:
    """All panels under one another, those over time on one time axis; ``width`` in inches, ``note`` over the picture.

    The figure belongs to the caller: pyplot does not know it, so nothing is left open.
    """
    clocks = [panel for panel in panels if panel.x.is_time]
    rows = in_rows(panels)
    heights = [[space(panel, width, last=panel is clocks[-1] if clocks else True) for panel in row] for row in rows]
    top = total = sum(row_height(row) for row in heights) + 0.1 + (0.33 if note else 0.06)
    made = Figure(figsize=(width, total), layout=None, facecolor="white")
    FigureCanvasAgg(made)
    made.text(0.01, 1 - 0.12 / total, written(note), va="top", size=8.5, family=fonts(), color=FAINT)
    top -= 0.33 if note else 0.06
    for row, spaces in zip(rows, heights, strict=True):
        header = max(head for head, _, _ in spaces)
        starts = accumulate((panel.share * width for panel in row), initial=0.0)
        for panel, start, (_, body, foot) in zip(row, starts, spaces, strict=False):
            left, right = beside(panel, width)
            ends = (start + left, start + panel.share * width - right)
            box = (ends[0] / width, (top - header - body) / total, (ends[1] - ends[0]) / width, body / total)
            caption(made, panel, ends, top, header, alone=len(row) == 1)
            draw(made.add_axes(box), panel, last=foot > 0)
        top -= row_height(spaces)
    return made


def in_rows(panels: Sequence[Panel]) -> list[list[Panel]]:
    """Neighbours that share the width are side by side."""
    rows: list[list[Panel]] = []
    for panel in panels:
        if rows and sum(other.share for other in rows[-1]) + panel.share <= 1 + 1e-6:
            rows[-1].append(panel)
        else:
            rows.append([panel])
    return rows


def space(panel: Panel, width: float, last: bool) -> tuple[float, float, float]:
    """Inches that a panel needs for its head, for itself, under its axis (only the last has the clock there)."""
    lines = len(wrapped(legend_words(panel), panel.share * width - sum(beside(panel, width))))
    if panel.share < 1:
        lines += len(wrapped(panel.words, panel.share * width - beside(panel, width)[0]))
    foot = 0.0 if (panel.x.is_time and not last) or not panel.x.label else FOOT
    if foot and upright(named(panel), panel.share * width - sum(beside(panel, width))):
        foot += 0.35
    return HEADER + LINE * lines, 0.82 * panel.weight, foot


def row_height(spaces: Sequence[tuple[float, float, float]]) -> float:
    return max(head for head, _, _ in spaces) + max(body + foot for _, body, foot in spaces)


def beside(panel: Panel, width: float) -> tuple[float, float]:
    """Inches left and right of a panel's axes; those over time all have the same."""
    if panel.x.is_time:
        return LEFT, RIGHT
    if not panel.y.label:
        return 0.3, 0.3  # a table, a keyboard: nothing is written beside it
    names = [name for _, name in panel.y.ticks] or ["0.00"]
    left = 0.25 + LETTER * max(map(len, names)) + (0.25 if panel.y.unit or not panel.y.ticks else 0.0)
    legends = any(mark.kind == "bars" and any(map(any, mark.legend)) for mark in panel.marks)
    scaled = legends or any(mark.kind in ("heatmap", "matrix") for mark in panel.marks)
    return min(max(left, 0.5), 0.4 * panel.share * width), RIGHT if scaled else 0.2


def legend_words(panel: Panel) -> str:
    """The legend as one line, an entry a word: to count its lines by."""
    return " ".join(f"{sign} {name}__".replace(" ", "_") for _, sign, name in legend(panel))


def wrapped(text: str, width: float) -> list[str]:
    """Lines of small letters that fit a width in inches; as many as four."""
    return textwrap.wrap(text[:2000], max(int(width / LETTER), 8), break_long_words=False)[:4] if text else []


def caption(made: Figure, panel: Panel, sides: tuple[float, float], top: float, header: float, alone: bool) -> None:
    """Title and words over a panel, on one line where it has its row alone; what does not fit ends in …

    The alt text has it all. Below them is the legend of points and keys.
    """
    width, total = made.get_size_inches()
    style = {"va": "baseline", "figure": made}
    height = (top - HEADER + 0.09) / total
    title = made.text(sides[0] / width, height, written(panel.title), size=9, weight="bold", color=INK, **style)
    end = min(sides[1] + 0.5, width - 0.08)
    shorten(made, title, panel.title, end)
    lines = [] if alone else wrapped(panel.words, panel.share * width - beside(panel, width)[0])  # as space has it
    words = made.text(0, height, "", size=7.8, color=FAINT, family=fonts(), **style)
    if alone:
        words.set_x(made.transFigure.inverted().transform(title.get_window_extent())[1, 0] + 0.012)
        shorten(made, words, panel.words[:300], end)  # more is never room for, and each try measures it all
    for k, line in enumerate(lines):
        place = (sides[0] / width, height - (k + 1) * LINE / total)
        made.text(*place, written(line), size=7.8, color=FAINT, family=fonts(), **style)
    key(made, panel, sides, top - header)


def shorten(made: Figure, text, said: str, end: float) -> None:
    """Let a text end before so many inches from the left."""
    text.set_text(written(said))
    while said and made.transFigure.inverted().transform(text.get_window_extent())[1, 0] > end / made.get_figwidth():
        said = said[:-4]
        text.set_text(written(said.rstrip()) + "…")


def key(made: Figure, panel: Panel, sides: tuple[float, float], bottom: float) -> None:
    """What points and keys are, line by line as ``wrapped`` counted them, the last just above the panel."""
    width, total = made.get_size_inches()
    entries = iter(legend(panel))
    lines = wrapped(legend_words(panel), sides[1] - sides[0])
    for k, line in enumerate(lines):
        height = (bottom + 0.05 + (len(lines) - 1 - k) * LINE) / total
        at = sides[0]
        for _ in line.split():
            colour, sign, name = next(entries)
            style = {"size": 7.6, "va": "baseline", "family": fonts()}
            drawn = made.text(at / width, height, written(sign), color=colour, weight="bold", **style)
            at += drawn.get_window_extent().width / made.dpi + 0.04
            drawn = made.text(at / width, height, written(name) if name != sign else "", color=FAINT, **style)
            at += drawn.get_window_extent().width / made.dpi + 0.12


def png(panels: Sequence[Panel], dpi: int = 100, note: str = "") -> bytes:
    """The figure as PNG bytes, in 256 colours: a third of the size, and no eye sees it."""
    from PIL import Image  # comes with matplotlib

    raw = io.BytesIO()
    figure(panels, note=note).savefig(raw, dpi=dpi)
    small = io.BytesIO()
    # kmeans: else a heat map takes all the colours, and the few pixels of a legend get a wrong one
    picture = Image.open(raw).convert("RGB").quantize(256, kmeans=1, dither=Image.Dither.NONE)
    picture.save(small, "PNG", optimize=True)
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
    """One panel into matplotlib axes of one's own; ``last``: with its x axis written under it."""
    axes.set_xlim(panel.x.start, panel.x.stop)
    axes.set_ylim(panel.y.start, panel.y.stop)
    axes.tick_params(labelsize=7.5, colors=FAINT, length=2.5, width=0.6, labelbottom=last)
    for mark in panel.marks:
        DRAW[mark.kind](axes, mark)
    width, height = inches(axes)
    strip = 0.0 if panel.margin is None else MARGIN + 0.06
    if strip:
        sideways(axes, panel.margin, MARGIN)
        axes.tick_params(axis="y", pad=3.5 + 72 * strip)
    names = fitting(panel.y.ticks, 0.11 / height * (panel.y.stop - panel.y.start))
    if names:
        write(axes.yaxis, names)
    if panel.y.label and (panel.y.unit or not panel.y.ticks):
        axes.set_ylabel(panel.y.name, size=7.8, color=FAINT)
        away = beside(panel, axes.figure.get_figwidth())[0] - (0.28 if panel.x.is_time and not strip else 0.16)
        axes.yaxis.set_label_coords(-away / width, 0.5)
    if places := named(panel):
        standing = upright(places, width)
        kept = (
            places if standing else fitting(places, LETTER * longest(places) / width * (panel.x.stop - panel.x.start))
        )
        write(axes.xaxis, [(at, shortened(name)) for at, name in kept], rotation=90 if standing else 0)
    if last and panel.x.label:
        axes.set_xlabel(panel.x.name, size=8, color=FAINT, labelpad=2)
    for spine in axes.spines.values():
        spine.set(linewidth=0.6, color="#c3c9d1")


def named(panel: Panel) -> list[tuple[float, str]]:
    """The named places along x: the axis's own, or the columns of a heatmap."""
    if panel.x.ticks or panel.x.is_time:
        return list(panel.x.ticks)
    for mark in panel.marks:
        if columns := getattr(mark, "columns", ()) if mark.kind == "heatmap" else ():
            wide = (mark.x[1] - mark.x[0]) / len(columns)
            return [(mark.x[0] + (k + 0.5) * wide, name) for k, name in enumerate(columns)]
    return []


def longest(ticks: Sequence[tuple[float, str]]) -> int:
    return max((len(shortened(name)) for _, name in ticks), default=0) + 1


def shortened(name: str, most: int = 14) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def upright(ticks: Sequence[tuple[float, str]], width: float) -> bool:
    """Whether names have room under a panel only if they stand: too long for their places, not too many."""
    each = width / max(len(ticks), 1)
    return LETTER * longest(ticks) > each >= 0.12


def write(side, ticks: Sequence[tuple[float, str]], rotation: int = 0) -> None:
    side.set_ticks([at for at, _ in ticks], [written(name) for _, name in ticks], rotation=rotation)
    for label in side.get_ticklabels():
        label.set_family(fonts())
