"""Heads: the patterns of all heads at a glance, a tile a head, beside one number of each."""

import numpy as np

from unispeech_lab.analysis.attention import shrink
from unispeech_lab.views.attention import knobs as one_head
from unispeech_lab.views.attention import watches
from unispeech_lab.views.measures import UNITS, measured
from unispeech_lab.views.panel import Axis, Heatmap, Knob, Panel, figures
from unispeech_lab.views.reading import clock_of, layers

TILE, SMALL = 40, 20  # cells of a tile; where there are more heads than MANY
MANY = 150
GAP = 2  # cells around each tile
OF_PHONES = ("same phone", "phone", "again", "border")
AROUND_ZERO = ("offset", *OF_PHONES[1:], "word")  # these may be less than nothing
MEANING = {
    "same phone": "weight at the same phone",
    "phone": "weight at the same phone, beyond nearness",
    "again": "weight where the phone is said again, beyond nearness",
    "word": "weight at the same word, beyond nearness",
    "border": "weight at borders of phones, beyond nearness",
}


def knobs(trace, utterance) -> dict[str, Knob]:
    without = (() if utterance.phones else OF_PHONES) + (() if utterance.words else ("word",))
    return {
        **one_head(trace, utterance),
        "measure": Knob([name for name in UNITS if name not in without], "distance", "measure"),
    }


def panels(trace, utterance, layer: int, head: int, measure: str) -> list[Panel]:
    """Two grids, heads to the right and layers upward, the open head framed; a click opens another.

    In the first each head's pattern, as bright as its own maximum allows: from bottom to top the frames that look, from
    left to right those that are looked at. In the second one of the measures.
    """
    found = layers(trace, watches[0])
    count = min(len(patterns) for patterns in found.values())
    patterns = np.stack([of_layer[:count] for of_layer in found.values()])  # (l, h, t, t)
    tiles = shrink(patterns, TILE if patterns.shape[0] * count <= MANY else SMALL)
    tiles = tiles / np.maximum(tiles.max((-2, -1), keepdims=True), 1e-9)
    picture = mosaic(tiles, list(found).index(layer), head)
    axes = Axis("head", "", 0.0, count, centred(range(count))), Axis("layer", "", 0.0, len(found), centred(found))
    across = {
        "x": (0.0, float(count)),
        "y": (0.0, float(len(found))),
        "rows": tuple(f"layer {k}" for k in found),
        "columns": tuple(f"head {k}" for k in range(count)),
        "sets": ("head", "layer"),
    }
    glance = Heatmap(
        picture, low=0.0, high=1.0, quantity="weight over the head's largest", tiles=tiles.shape[:2], **across
    )
    numbers = measured(patterns.reshape(-1, *patterns.shape[-2:]), utterance, clock_of(trace), [measure])[measure]
    grid = numbers.reshape(patterns.shape[:2])
    tall = min(2 + 0.4 * len(found), 6.0)
    return [
        Panel("heads", "All heads at a glance", (glance,), *axes, sharpest(patterns, found), tall, share=0.5),
        Panel(
            "grid",
            f"Their {MEANING.get(measure, measure)}",
            (coloured(grid, measure, across),),
            *axes,
            extremes(grid, measure, found),
            tall,
            share=0.5,
        ),
    ]


def mosaic(tiles: np.ndarray, layer: int, head: int) -> np.ndarray:
    """Tiles (l, h, s, s) as one picture (l * s', h * s'), s' = s + 2 gaps, with one of them framed."""
    room = [(0, 0), (0, 0), (GAP, GAP), (GAP, GAP)]
    framed = np.pad(tiles, room, constant_values=np.nan)
    frame = framed[layer, head]
    frame[np.isnan(frame)] = 1.0
    return framed.transpose(0, 2, 1, 3).reshape(framed.shape[0] * framed.shape[2], -1)


def coloured(grid: np.ndarray, measure: str, across: dict) -> Heatmap:
    """One number a head (l, h), around zero where there is less than nothing."""
    widest = max(float(np.nanmax(np.abs(grid))) if np.isfinite(grid).any() else 0.0, 1e-6)
    return Heatmap(
        grid,
        low=-widest if measure in AROUND_ZERO else 0.0,
        high=widest,
        unit=UNITS[measure].removeprefix("± "),
        quantity=measure,
        map="RdBu_r" if measure in AROUND_ZERO else "cividis",
        **across,
    )


def centred(values) -> list[tuple[float, str]]:
    return [(place + 0.5, str(value)) for place, value in enumerate(values)]


def sharpest(patterns: np.ndarray, found) -> str:
    """Which head puts most of its weight on a single frame."""
    most = patterns.max(-1).mean(-1)  # (l, h)
    layer, head = np.unravel_index(int(most.argmax()), most.shape)
    return (
        f"{most.size} heads, each as bright as its own maximum; {list(found)[layer]}.{head} is the sharpest: "
        f"{most[layer, head]:.0%} of its weight on one frame."
    )


def extremes(grid: np.ndarray, measure: str, found) -> str:
    """Where a measure is greatest, and where it is least."""
    if not np.isfinite(grid).any():
        return f"Of {measure} nobody can say."
    unit, ends = UNITS[measure].removeprefix("± "), []
    for what, place in (("Most", np.nanargmax(grid)), ("least", np.nanargmin(grid))):
        layer, head = np.unravel_index(int(place), grid.shape)
        ends.append(f"{what}: {list(found)[layer]}.{head}, {figures(float(grid[layer, head]), unit)}")
    return "; ".join(ends) + "."
