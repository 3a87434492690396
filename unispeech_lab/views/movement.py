"""Movement: how far each layer moves when one thing about an utterance changes.

The same words higher, faster, softer, in another voice, or with one phone for another (``analysis.minimal``). What a
layer keeps while the sound changes, it has made its own; what it no longer moves for, it has let go.
"""

from functools import lru_cache

import numpy as np

from unispeech_lab.analysis import depth, minimal
from unispeech_lab.analysis.movement import DISTANCES, average, distances, over_spans, yardsticks
from unispeech_lab.views.asking import Hear
from unispeech_lab.views.panel import Axis, Heatmap, Knob, Lines, Panel, clock
from unispeech_lab.views.reading import clock_of, find

watches = (depth.CONVOLUTIONS, depth.PROJECTION, depth.ENCODER)
COLUMN = 0.005  # seconds: fine enough for the borders of phones
COLUMNS = 2000


def knobs(trace, utterance) -> dict[str, Knob]:
    offered = minimal.changes(utterance)
    return {
        "change": Knob(offered, offered[0], "what changes"),
        "distance": Knob(DISTANCES, DISTANCES[0], "distance"),
    }


def asks(trace, utterance, change: str) -> dict[str, Hear]:
    """The other of the pair; the first too, where it is not the utterance itself."""
    pair = paired(utterance, change)
    wanted = {"other": Hear(pair.second, watches)}
    return wanted if pair.first is utterance else wanted | {"one": Hear(pair.first, watches)}


def panels(trace, utterance, change: str, distance: str, other, one=None) -> list[Panel]:
    """Each layer's mean; beneath, layers by phones of the utterance, on its clock."""
    pair = paired(utterance, change)
    layers, moved, again = measured(trace if one is None else one, other, pair, distance)
    own = minimal.stretches(utterance)
    place = dict(minimal.partners([span.label for span in own], [span.label for span in pair.stretches[0]]))
    shown = np.full((len(layers), len(own)), np.nan)
    for k, at in place.items():
        shown[:, k] = moved[:, at]
    return [curves(layers, moved, again, pair, change, distance), picture(layers, shown, own, utterance, change)]


def measured(one, other, pair: minimal.Pair, kind: str) -> tuple[list[depth.Layer], np.ndarray, np.ndarray]:
    """The layers, how far each (l,) moved at each phone of the first utterance (l, p), and how far apart two phones of
    one label are there (l,); all in yardsticks of that layer."""
    first, second = pair.stretches
    before, after = find(one, *watches), find(other, *watches)
    layers = [layer for layer in depth.layers(before) if layer.name in after]
    moved, again = np.full((len(layers), len(first)), np.nan), np.full(len(layers), np.nan)
    for row, layer in enumerate(layers):
        ticks = layer.clock(clock_of(one))
        x, y = (
            over_spans(values[layer.name], np.asarray(ticks.centre(np.arange(len(values[layer.name])))), spans)
            for values, spans in ((before, first), (after, second))
        )
        yard, again[row] = yardsticks(x, [span.label for span in first], kind)
        yard = yard if yard > 1e-9 else np.nan
        again[row] /= yard
        for k, partner in pair.partners:
            moved[row, k] = distances(x[k], y[partner], kind) / yard
    return layers, moved, again


def picture(layers, moved: np.ndarray, phones, utterance, change: str) -> Panel:
    seconds = len(utterance.waveform) / utterance.rate
    count = max(1, min(round(seconds / COLUMN), COLUMNS))
    moments = (np.arange(count) + 0.5) * seconds / count
    values, names = np.full((len(layers), count), np.nan), [""] * count
    for k, span in enumerate(phones):
        for column in np.flatnonzero((moments >= span.start) & (moments < span.end)):
            values[:, column], names[column] = moved[:, k], span.label
    known = moved[np.isfinite(moved)]
    high = max(1.0, float(np.quantile(known, 0.98)) if len(known) else 1.0)
    marks = Heatmap(
        values, (0.0, seconds), (0.0, float(len(layers))), 0.0, high,
        unit="×", quantity="distance to another phone",
        rows=tuple(layer.label for layer in layers), columns=tuple(names), map="cividis",
    )  # fmt: skip
    ticks = tuple((row + 0.5, layer.label) for row, layer in enumerate(layers))
    axis = Axis("layer", "", 0.0, float(len(layers)), ticks)
    title = f"What moves: {change}"
    return Panel("movement", title, (marks,), clock(seconds), axis, of_phones(moved, phones, layers), weight=2.4)


def of_phones(moved: np.ndarray, phones, layers) -> str:
    means = [average(column) for column in moved.T]
    if not np.isfinite(means).any():
        return "There are no two different phones here to measure a distance by."
    far, near = int(np.nanargmax(means)), int(np.nanargmin(means))
    row = int(np.nanargmax(moved[:, far]))
    return (
        f"{phones[far].label} at {phones[far].start:.2f} s moves most: {means[far]:.2f} of the way to another phone, "
        f"{moved[row, far]:.2f} in {layers[row].label}; {phones[near].label} at {phones[near].start:.2f} s least, "
        f"{means[near]:.2f}."
    )


def curves(layers, moved: np.ndarray, again: np.ndarray, pair: minimal.Pair, change: str, kind: str) -> Panel:
    """Each layer's mean movement; beside it that of the phone that changed, and of phones that are said twice."""
    changed = [k for k, _ in pair.partners if k in pair.changed]
    kept = [k for k, _ in pair.partners if k not in changed]
    rows = {"all phones": [average(row[kept]) for row in moved]}
    if changed:
        rows = {"the phone that changed": [average(row[changed]) for row in moved], "the others": rows["all phones"]}
    if np.isfinite(again).any():
        rows["the same phone elsewhere"] = list(again)
    y = np.array(list(rows.values()))
    ticks = tuple((k, layer.label) for k, layer in enumerate(layers))
    x = Axis("layer", "", -0.5, len(layers) - 0.5, ticks)
    top = 1.1 * max(1.0, float(np.nanmax(y)) if np.isfinite(y).any() else 1.0)
    marks = (Lines(np.arange(len(layers), dtype=float), y, tuple(rows), "× another phone"),)
    words = of_layers(layers, rows, change)
    return Panel(
        "movement_layers", "How far each layer moves", marks, x, Axis(f"{kind} distance", "×", 0.0, top), words, 1.6
    )


def of_layers(layers, rows: dict[str, list[float]], change: str) -> str:
    mean = np.array(rows.get("all phones", rows.get("the others")))
    if not np.isfinite(mean).any():
        return "Nothing can be compared: 1 would be the distance between two different phones."
    if np.nanmax(mean) < 1e-3 and "the phone that changed" not in rows:
        return f"{change}: nothing moves in any layer."
    most, least = int(np.nanargmax(mean)), int(np.nanargmin(mean))
    words = (
        f"1 is as far as another phone. {change[0].upper()}{change[1:]} moves {layers[most].label} most "
        f"({mean[most]:.2f}) and {layers[least].label} least ({mean[least]:.2f})."
    )
    own = np.array(rows.get("the phone that changed", []))
    if np.isfinite(own).any():
        sharp = int(np.nanargmax(own))
        words = (
            f"1 is as far as another phone. The phone that changed moves most in {layers[sharp].label}: "
            f"{own[sharp]:.2f}, the others {mean[sharp]:.2f}; in {layers[0].label} it is {own[0]:.2f}."
        )
    return words


@lru_cache(maxsize=32)
def paired(utterance, change: str) -> minimal.Pair:
    """Made once: every knob but ``change`` leaves it as it is."""
    return minimal.pair(utterance, change)
