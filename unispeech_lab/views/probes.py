"""Probes: what a line can read off each layer: phones, voices, languages.

A number alone says little: beside each stands what always saying the commonest label gets, and what the same probe
gets of shuffled labels.
"""

import numpy as np

from unispeech_lab.analysis import depth
from unispeech_lab.analysis.probes import Score, probe
from unispeech_lab.analysis.samples import OF, PROPERTIES, kept, rows, values
from unispeech_lab.views.embedding import layers
from unispeech_lab.views.panel import Axis, Knob, Lines, Panel

scope = "corpus"
watches = (depth.FEATURES, depth.ENCODER)


def knobs(survey, utterance) -> dict[str, Knob]:
    return {
        "colour": Knob(tuple(PROPERTIES), "phone class", "colour"),
        "of": Knob(OF, OF[0], "points"),
    }


def panels(survey, utterance, colour: str, of: str) -> list[Panel]:
    """One property with its controls, over the layers; beside it all properties, each from majority to perfect."""
    found = read(survey, of)
    labels = [layer.label for layer in layers(survey)]
    return [one(found[colour], labels, colour), several(found, labels, of)]


@kept
def read(survey, of: str) -> dict[str, list[Score]]:
    """Each property's score at each layer: phones are read of unheard voices, all else of unheard utterances."""
    table = rows(survey, of)
    about = {name: table[column] for name, column in PROPERTIES.items()}
    voices = table["speaker"].nunique() > 1
    groups = {name: "speaker" if voices and name.startswith("phone") else "utterance" for name in PROPERTIES}
    found: dict[str, list[Score]] = {name: [] for name in PROPERTIES}
    for layer in layers(survey):
        for column in sorted(set(groups.values())):
            labels = {name: about[name] for name in PROPERTIES if groups[name] == column}
            for name, score in probe(values(survey, layer.name, of), labels, table[column]).items():
                found[name].append(score)
    return found


def one(scores: list[Score], labels: list[str], colour: str) -> Panel:
    curves = {
        "probe": [score.accuracy for score in scores],
        "shuffled labels": [score.control for score in scores],
        "always the commonest": [score.majority for score in scores],
    }
    best = highest(curves["probe"])
    words = (
        f"There are not two groups of {scores[0].rows:,} points to learn {colour} from one and read it off the other."
    )
    if best is not None:
        score = scores[best]
        words = (
            f"{colour.capitalize()} ({score.labels} kinds) is read best off {labels[best]}: {score.accuracy:.0%}, "
            f"against {score.control:.0%} with shuffled labels and {score.majority:.0%} for the commonest."
        )
    return curves_of("probes", f"Reading {colour} off each layer", curves, labels, "share read right", words, 0.0)


def several(found: dict[str, list[Score]], labels: list[str], of: str) -> Panel:
    curves = {name: [score.gain for score in scores] for name, scores in found.items()}
    best = {name: highest(curve) for name, curve in curves.items()}
    clear = {name: k for name, k in best.items() if k is not None and curves[name][k] > 0}
    told = [f"{name} in {labels[k]} ({curves[name][k]:.2f})" for name, k in clear.items()]
    words = f"Clearest of all layers: {', '.join(told)}." if told else f"Nothing can be read off these {of} by a line."
    known = [gain for curve in curves.values() for gain in curve if np.isfinite(gain)]
    low = min([0.0, *known])
    return curves_of("probes_all", "From the commonest (0) to perfect (1)", curves, labels, "gain", words, low)


def highest(curve: list[float]) -> int | None:
    return int(np.nanargmax(curve)) if np.isfinite(curve).any() else None


def curves_of(name, title, curves: dict[str, list[float]], labels: list[str], quantity, words, low: float) -> Panel:
    lines = Lines(np.arange(len(labels), dtype=float), np.array(list(curves.values()), float), tuple(curves))
    x = Axis("layer", "", -0.5, len(labels) - 0.5, tuple(enumerate(labels)))
    return Panel(name, title, (lines,), x, Axis(quantity, "", min(low, 0.0), 1.05), words, 1.8, share=0.5)
