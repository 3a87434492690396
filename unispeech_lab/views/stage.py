"""Stage: panels on a live canvas, with one time axis, one playhead, one sound.

Arrays travel once, as bytes (a byte a cell, with its scale); colour maps are applied, and everything that moves is
drawn, in the browser. Python is asked only when a knob turns, and answers with the panels that changed. While it
computes, the notebook keeps just the newest position of the knobs: a burst of moves cannot queue up.
"""

from collections.abc import Sequence
from pathlib import Path

import anywidget
import numpy as np
import traitlets
from matplotlib import colormaps

from unispeech_lab.views.panel import MAPS, Axis, Panel

SLOTS = 48  # panels a stage can hold; an empty slot costs a few bytes
NOTHING = 255  # the byte of a cell without a value
# One module, read in this order: no build step, and nothing is fetched.
SOURCES = (
    *(
        "player.js",
        "aside.js",
        "paint.js",
        "marks.js",
        "heatmap.js",
        "bars.js",
        "points.js",
        "keys.js",
        "table.js",
        "items.js",
    ),
    *("layout.js", "over.js", "strokes.js", "dials.js", "tabs.js", "hands.js", "board.js", "stage.js"),
)
HERE = Path(__file__).parent


class Stage(anywidget.AnyWidget):
    """The live canvas. It draws what it is given; what a knob means is the business of whoever listens to ``knobs``.

    Traits the reader moves: ``knobs`` (name -> position among the dial's values), ``stretch`` ([start, end] in seconds,
    last chosen by click or drag), ``time`` (seconds, where the playhead rests).
    """

    _esm = "\n".join((HERE / name).read_text(encoding="utf-8") for name in SOURCES)
    _css = HERE / "stage.css"

    sound = traitlets.Bytes(b"").tag(sync=True)  # 16-bit little-endian mono
    rate = traitlets.Int(16_000).tag(sync=True)
    seconds = traitlets.Float(0.0).tag(sync=True)
    step = traitlets.Float(0.02).tag(sync=True)  # seconds an arrow key moves: one frame
    maps = traitlets.Dict().tag(sync=True)
    dials = traitlets.List().tag(sync=True)
    knobs = traitlets.Dict().tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    count = traitlets.Int(0).tag(sync=True)
    tabs = traitlets.List().tag(sync=True)  # names, none where there is but one
    tab = traitlets.Int(0).tag(sync=True)
    album = traitlets.Bytes(b"").tag(sync=True)  # the sound of a survey, as ``sound`` and at 16 kHz
    place = traitlets.Float(-1.0).tag(sync=True)  # seconds in the album where this utterance begins; -1: nowhere
    stretch = traitlets.List().tag(sync=True)
    time = traitlets.Float(0.0).tag(sync=True)

    def __init__(self, **traits):
        self.add_traits(**{f"panel_{slot}": traitlets.Dict().tag(sync=True) for slot in range(SLOTS)})
        maps = {
            name: (255 * colormaps[name](np.arange(255))[:, :3]).round().astype(np.uint8).tobytes() for name in MAPS
        }
        self.held: dict[int, Panel] = {}  # the panel in each slot: one that stays is not packed again
        super().__init__(maps=maps, **traits)

    def draw(self, panels: Sequence[Panel]) -> None:
        """Show these panels; only those that differ from what is shown travel to the browser."""
        if len(panels) > SLOTS:
            raise ValueError(f"expected at most {SLOTS} panels on one stage, found {len(panels)}: show them on two")
        with self.hold_sync():
            for slot, panel in enumerate(panels):
                if self.held.get(slot) is not panel:
                    setattr(self, f"panel_{slot}", pack(panel))
                    self.held[slot] = panel
            self.count = len(panels)

    def play(self, waveform: np.ndarray, rate: int) -> None:
        """Give the stage its sound (n,): it decides how long the time axis is."""
        with self.hold_sync():
            self.sound, self.rate, self.seconds = pcm(waveform), rate, len(waveform) / rate

    def collect(self, album: np.ndarray, place: float | None) -> None:
        """Give the stage the sound of a survey (n,) 16-bit, and where in it, in seconds, its own utterance begins."""
        with self.hold_sync():
            self.album, self.place = album.tobytes(), -1.0 if place is None else place


def pcm(waveform: np.ndarray) -> bytes:
    """Samples in [-1, 1] as 16-bit integers."""
    return (np.clip(waveform, -1, 1) * 32767).astype("<i2").tobytes()


def pack(panel: Panel) -> dict:
    """A panel as numbers, words and bytes: what the browser draws."""
    margin = panel.margin
    return {
        "name": panel.name,
        "title": panel.title,
        "words": panel.words,
        "alt": panel.alt(),
        "weight": panel.weight,
        "share": panel.share,
        "paints": panel.paints,
        "sound": None if panel.sound is None else {"samples": pcm(panel.sound[0]), "rate": panel.sound[1]},
        "margin": None if margin is None else {"kind": margin.kind, **pack_heatmap(margin)},
        "x": pack_axis(panel.x),
        "y": pack_axis(panel.y),
        "marks": [{"kind": mark.kind, **PACK[mark.kind](mark)} for mark in panel.marks],
    }


def pack_axis(axis: Axis) -> dict:
    return {
        "label": axis.label,
        "unit": axis.unit,
        "start": axis.start,
        "stop": axis.stop,
        "ticks": [list(tick) for tick in axis.ticks],
        "isTime": axis.is_time,
    }


def pack_wave(mark) -> dict:
    peak = float(np.abs(mark.samples).max(initial=0)) or 1.0
    return {"samples": (mark.samples / peak * 32767).astype("<i2").tobytes(), "peak": peak, "rate": mark.rate}


def pack_heatmap(mark) -> dict:
    scaled = (np.asarray(mark.values, np.float32) - mark.low) * ((NOTHING - 1) / (mark.high - mark.low))
    cells = np.where(np.isfinite(scaled), np.clip(np.rint(scaled), 0, NOTHING - 1), NOTHING).astype(np.uint8)
    return {
        "cells": cells.tobytes(),
        "shape": list(cells.shape),
        "x": list(mark.x),
        "y": list(mark.y),
        "low": mark.low,
        "high": mark.high,
        "unit": mark.unit,
        "quantity": mark.quantity,
        "rows": list(mark.rows),
        "map": mark.map,
        "columns": list(mark.columns),
        "sets": [name if isinstance(name, str) else [name[0], list(map(str, name[1]))] for name in mark.sets],
        "tiles": list(mark.tiles),
        "reach": None if mark.reach is None else list(mark.reach),
        "kinds": None if mark.kinds is None else np.asarray(mark.kinds, np.uint8).tobytes(),
        "legend": list(mark.legend),
    }


def pack_lines(mark) -> dict:
    return {
        "x": np.asarray(mark.x, "<f4").tobytes(),
        "y": np.asarray(mark.y, "<f4").tobytes(),
        "names": list(mark.names),
        "unit": mark.unit,
        "ends": None if mark.low is None else np.stack([mark.low, mark.high]).astype("<f4").tobytes(),
    }


def pack_spans(mark) -> dict:
    return {
        "tier": mark.tier,
        "labels": [span.label for span in mark.spans],
        "times": np.array([(span.start, span.end) for span in mark.spans], "<f4").tobytes(),
        "y": list(mark.y),
        "shades": None if mark.shades is None else [float(shade) for shade in mark.shades],
    }


def pack_bars(mark) -> dict:
    return {
        "heights": np.asarray(mark.heights, "<f4").tobytes(),
        "names": list(mark.names),
        **pack_kinds(mark),
        **pack_items(mark),
        "unit": mark.unit,
        "quantity": mark.quantity,
    }


def pack_points(mark) -> dict:
    names = {name: k for k, name in enumerate(dict.fromkeys(mark.names))}  # many points have few names
    return {
        "x": np.asarray(mark.x, "<f4").tobytes(),
        "y": np.asarray(mark.y, "<f4").tobytes(),
        "names": list(names),
        "which": np.array([names[name] for name in mark.names], "<u4").tobytes(),
        **pack_kinds(mark),
        **pack_items(mark),
        "chosen": None if mark.chosen is None else np.asarray(mark.chosen, np.uint8).tobytes(),
    }


def pack_keys(mark) -> dict:
    """All keys' stretches one after another, with where each key's end."""
    sounds = [np.reshape(sound, (-1, 2)) for sound in mark.sounds]
    return {
        "names": list(mark.names),
        "labels": list(mark.labels),
        "heights": np.asarray(mark.heights, "<f4").tobytes(),
        "sounds": np.concatenate([np.zeros((0, 2)), *sounds]).astype("<f8").tobytes(),
        "ends": np.cumsum([len(sound) for sound in sounds], dtype="<u4").tobytes(),
        **pack_kinds(mark),
        "chosen": mark.chosen,
        "album": True,
        "sets": pack_sets(mark),
    }


def pack_table(mark) -> dict:
    return {
        "columns": [list(column) for column in mark.columns],
        "rows": [[pack_cell(cell) for cell in row] for row in mark.rows],
        "by": mark.by,
        "falling": mark.falling,
        "chosen": mark.chosen,
        "meanings": list(mark.meanings),
        **pack_items(mark),
    }


def pack_cell(cell):
    """Words or a number to sort by; None where the cell is empty."""
    if isinstance(cell, str):
        return cell
    return float(cell) if np.isfinite(cell) else None


def pack_kinds(mark) -> dict:
    return {"kinds": np.asarray(mark.kinds, "<u2").tobytes(), "legend": [list(entry) for entry in mark.legend]}


def pack_items(mark) -> dict:
    """What a click on an item plays, and which knobs it turns. The album is long: its seconds need 64 bits."""
    times = None if mark.times is None else np.asarray(mark.times, "<f8").tobytes()
    return {"times": times, "album": mark.album, "sets": pack_sets(mark)}


def pack_sets(mark) -> list[dict]:
    """Values as the dials write them; stretches and positions as lists."""
    return [
        {name: list(value) if isinstance(value, tuple | list) else str(value) for name, value in item.items()}
        for item in mark.sets
    ]


PACK = {
    "wave": pack_wave,
    "heatmap": pack_heatmap,
    "matrix": pack_heatmap,
    "lines": pack_lines,
    "spans": pack_spans,
    "bars": pack_bars,
    "points": pack_points,
    "keys": pack_keys,
    "table": pack_table,
}
