"""Measures: what each head does, in numbers, a row a head."""

from collections.abc import Mapping, Sequence

import numpy as np

from unispeech_lab.analysis import attention
from unispeech_lab.analysis.negatives import spoken
from unispeech_lab.views.attention import knobs as one_head
from unispeech_lab.views.attention import watches
from unispeech_lab.views.panel import Knob, Panel, Table, figures, nowhere
from unispeech_lab.views.reading import clock_of, layers

BEYOND = "± %"  # weight beyond what nearness alone explains
UNITS = {
    **{"distance": "ms", "offset": "ms", "diagonality": "", "verticality": "", "globalness": ""},
    **{"same phone": "%", "phone": BEYOND, "again": BEYOND, "word": BEYOND, "border": BEYOND},
}
SHAPE = {
    "distance": attention.distance,
    "offset": attention.offset,
    "diagonality": attention.diagonality,
    "verticality": attention.verticality,
    "globalness": attention.globalness,
}


MEANING = {
    "distance": "how far from its own frame the head looks, on average",
    "offset": "how far ahead of its own frame the head looks, on average; below nought: back",
    "diagonality": "1: each frame looks at itself; 0: an even gaze",
    "verticality": "1: all frames look at the same one; 0: every frame is looked at as much as any other",
    "globalness": "1: an even gaze over the utterance; 0: each frame looks at a single one",
    "same phone": "weight at the phone that the frame is in",
    "phone": "weight at the phone that the frame is in, beyond what nearness alone explains",
    "again": "weight where the same phone is said again, beyond what nearness alone explains",
    "word": "weight at the word that the frame is in, beyond what nearness alone explains",
    "border": "weight at the borders of phones, beyond what nearness alone explains",
}


def knobs(trace, utterance) -> dict[str, Knob]:
    return one_head(trace, utterance)


def panels(trace, utterance, layer: int, head: int) -> list[Panel]:
    """A table of every head, whose click opens it: the shape of its gaze, then what it knows of phones."""
    found = layers(trace, watches[0])
    heads = [(k, h) for k, patterns in found.items() for h in range(len(patterns))]
    numbers = measured(np.concatenate(list(found.values())), utterance, clock_of(trace))
    shown = [name for name in UNITS if np.isfinite(numbers[name]).any()]
    by = "phone" if "phone" in shown else "diagonality"
    table = Table(
        (("head", ""), *((name, UNITS[name]) for name in shown)),
        tuple((f"{k}.{h}", *(float(numbers[name][row]) for name in shown)) for row, (k, h) in enumerate(heads)),
        by=1 + shown.index(by),
        chosen=heads.index((layer, head)),
        sets=tuple({"layer": k, "head": h} for k, h in heads),
        meanings=("layer and head", *(MEANING[name] for name in shown)),
    )
    title = f"Heads, measured; open: layer {layer}, head {head}"
    words = told(numbers, [f"{k}.{h}" for k, h in heads])
    return [Panel("measures", title, (table,), *nowhere(), words, weight=0.6 + 0.27 * min(len(heads), 12))]


def measured(patterns: np.ndarray, utterance, frames, names: Sequence[str] = tuple(UNITS)) -> dict[str, np.ndarray]:
    """Measures of patterns (m, t, t), by name, (m,) each; what needs phones is NaN where nobody knows them."""
    hop = 1000 * frames.hop / frames.rate
    made = {name: SHAPE[name](patterns) * (hop if UNITS[name] == "ms" else 1) for name in names if name in SHAPE}
    if len(made) < len(names):
        near = attention.profile(patterns)
        for name, pairs in pairs_of(utterance, frames, patterns.shape[-1]).items():
            found, blind = attention.affinity(patterns, pairs, near)
            made[name] = 100 * (found - blind)
            if name == "phone":
                made["same phone"] = 100 * found
    return made


def pairs_of(utterance, frames, count: int) -> Mapping[str, np.ndarray]:
    """Which frames belong together, (t, t) bool by name: from the frame of a row one may look at

    ``phone``  the phone it is in;  ``again``  another phone of the same label;  ``word``  the word it is in;
    ``border``  any frame in which a phone begins or ends.
    """
    centres, edges = np.asarray(frames.centre(np.arange(count))), frames.edges(count)
    phone, word = spoken(utterance.phones, centres), spoken(utterance.words, centres)
    labels = np.array([*(span.label for span in utterance.phones), ""])[phone]
    same = (phone == phone[:, None]) & (phone >= 0)
    borders = np.array(sorted({at for span in utterance.phones for at in (span.start, span.end)}))
    inside = np.searchsorted(borders, edges[1:]) > np.searchsorted(borders, edges[:-1])
    return {
        "phone": same,
        "again": (labels == labels[:, None]) & (phone >= 0) & ~same,
        "word": (word == word[:, None]) & (word >= 0),
        "border": np.broadcast_to(inside, (count, count)),
    }


def told(numbers: Mapping[str, np.ndarray], names: Sequence[str]) -> str:
    """The nearest gaze, the farthest, and who knows most of phones."""
    distances = numbers["distance"]
    near, far = int(distances.argmin()), int(distances.argmax())
    words = (
        f"{names[near]} looks nearest, {figures(float(distances[near]), 'ms')} away, {names[far]} farthest, "
        f"{figures(float(distances[far]), 'ms')}."
    )
    if np.isfinite(numbers["phone"]).all():
        best = int(numbers["phone"].argmax())
        words += (
            f" {names[best]} keeps most to the phone it is in: {numbers['same phone'][best]:.0f}% of its weight, "
            f"{numbers['phone'][best]:+.0f} beyond nearness (±: what a gaze as far, blind to phones, would not have)."
        )
    return words
