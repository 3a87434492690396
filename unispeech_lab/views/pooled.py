"""Pooled: one head's pattern from phone to phone instead of from frame to frame."""

from collections.abc import Sequence

import numpy as np

from unispeech_lab.analysis import attention
from unispeech_lab.analysis.negatives import spoken
from unispeech_lab.boundaries import MANNERS, phone_class
from unispeech_lab.views.attention import knobs as one_head
from unispeech_lab.views.attention import watches
from unispeech_lab.views.panel import Axis, Heatmap, Knob, Panel
from unispeech_lab.views.reading import clock_of, layers

PAUSE = "–"
STRETCH = 0.1  # seconds, where nobody knows the phones
BY = ("as spoken", "phone", "class")
CLASSES = (*MANNERS, "affricate", "other", PAUSE)  # vowels first


def knobs(trace, utterance) -> dict[str, Knob]:
    by = BY if utterance.phones else BY[:1]
    return {**one_head(trace, utterance), "pool": Knob(by, by[0], "pooled")}


def panels(trace, utterance, layer: int, head: int, pool: str) -> list[Panel]:
    """Two maps (from, to), rows that sum to one: the weights, and what is in them beyond nearness."""
    pattern = layers(trace, watches[0])[layer][head]
    frames = clock_of(trace)
    groups, names = parts(utterance, frames.centre(np.arange(len(pattern))), pool)
    weights, near = (attention.pool(each, groups) for each in (pattern, attention.blind(pattern)))
    beyond = 100 * (weights - near)
    kind = "phones" if utterance.phones else f"stretches of {1000 * STRETCH:.0f} ms"
    title = f"Layer {layer}, head {head}, {kind} {'in order' if pool == BY[0] else f'by {pool}'}"
    own, by_nearness = (float(np.trace(each)) / len(names) for each in (weights, near))
    row, column = np.unravel_index(int(beyond.argmax()), beyond.shape)
    most = f"{names[row]} at {names[column]}, {beyond[row, column]:+.0f} points ({weights[row, column]:.0%})"
    return [
        square(
            "pooled",
            title,
            weights,
            names,
            f"Each row looks from one; {own:.0%} stays there.",
            "weight",
        ),
        square(
            "beyond",
            "Beyond nearness",
            beyond,
            names,
            f"Nearness alone: {by_nearness:.0%} stays. Most beyond: {most}.",
            "weight",
            "%",
            around_zero=True,
        ),
    ]


def parts(utterance, centres: np.ndarray, by: str = BY[0]) -> tuple[np.ndarray, list[str]]:
    """Which part of what is said each frame (t,) is in, a number from 0 on, and the names of the parts.

    ``as spoken``: phones and pauses one after another; ``phone``: all of one label together; ``class``: vowels, stops
    and so on. Where nobody knows the phones, stretches of 100 ms.
    """
    if not utterance.phones:
        groups = np.floor((centres - centres[:1]) / STRETCH + 1e-6).astype(int)
        return groups, [f"{k * STRETCH:.1f} s" for k in range(groups.max(initial=-1) + 1)]
    owner = spoken(utterance.phones, centres)
    labels = [PAUSE if k < 0 else utterance.phones[k].label for k in owner]
    if by == BY[0]:
        new = np.flatnonzero(np.diff(owner, prepend=-2))  # a pause is one part, too
        return np.searchsorted(new, np.arange(len(owner)), side="right") - 1, [labels[k] for k in new]
    kinds = [PAUSE if label == PAUSE else phone_class(label) for label in labels]
    if by == "class":
        labels = kinds
    order = {name: (CLASSES.index(kind), name) for name, kind in zip(labels, kinds, strict=True)}
    names = sorted(order, key=order.get)
    return np.array([names.index(label) for label in labels]), names


def square(
    name: str,
    title: str,
    values: np.ndarray,
    names: Sequence[str],
    words: str,
    quantity: str,
    unit: str = "",
    share: float = 0.5,
    around_zero: bool = False,
) -> Panel:
    """A map (g, g) from a part upward to a part rightward, both named."""
    high = max(float(np.abs(values).max(initial=0.0)), 1e-6)
    count = len(names)
    picture = Heatmap(
        values,
        (0.0, float(count)),
        (0.0, float(count)),
        -high if around_zero else 0.0,
        high,
        unit,
        quantity,
        tuple(f"from {name}" for name in names),
        "RdBu_r" if around_zero else "viridis",
        tuple(names),
    )
    every = -(-count // int(44 * share))
    ticks = [(k + 0.5, name) for k, name in enumerate(names) if k % every == 0]
    sides = Axis("looks at", "", 0.0, float(count), ticks), Axis("looks from", "", 0.0, float(count), ticks)
    return Panel(name, title, (picture,), *sides, words, weight=3.6 if share >= 0.5 else 2.6, share=share)
