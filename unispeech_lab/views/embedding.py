"""Embedding: every phone or frame of a corpus as a point, near those that the model holds alike.

Click a point to hear that very stretch; draw around some to learn what they have in common. Beside the picture stand
two numbers that no projection can make prettier: how well a linear probe reads the colours off the full vectors, and
their silhouette.
"""

from collections import Counter

import numpy as np

from unispeech_lab.alignment import Span
from unispeech_lab.analysis import depth
from unispeech_lab.analysis.probes import probe, silhouette
from unispeech_lab.analysis.projection import FEWEST, METHODS, drawn, principal, project
from unispeech_lab.analysis.samples import MOST, OF, PROPERTIES, kept, rows, times, titles, values
from unispeech_lab.views.panel import Axis, Knob, Lasso, Panel, Points, Spans, Table, clock, nowhere

scope = "corpus"
watches = (depth.FEATURES, depth.ENCODER)
SIGNS = 22  # phones with a sign of their own; the rarer ones share one
OTHER = "others"


def knobs(survey, utterance) -> dict[str, Knob | Lasso]:
    labels = [layer.label for layer in layers(survey)]
    return {
        "method": Knob(METHODS, METHODS[0], "map"),
        "layer": Knob(labels, labels[len(labels) // 2], "layer"),
        "of": Knob(OF, OF[0], "points"),
        "colour": Knob(tuple(PROPERTIES), "phone class", "colour"),
        "chosen": Lasso("chosen", MOST),
    }


def layers(survey) -> list[depth.Layer]:
    """The layers surveyed. Raises KeyError where there are none, and says what to survey."""
    if not (found := depth.layers(survey)):
        raise KeyError(f"expected {watches[-1]!r} in the survey, found {', '.join(survey) or 'nothing'}")
    return found


def panels(survey, utterance, method: str, layer: str, of: str, colour: str, chosen: tuple[int, ...]) -> list[Panel]:
    """The map, its two numbers, and which of the chosen points lie in this utterance."""
    name = next(one.name for one in layers(survey) if one.label == layer)
    picked = np.zeros(len(rows(survey, of)), bool)
    picked[[k for k in chosen if k < len(picked)]] = True
    return [
        plane(survey, name, method, layer, of, colour, picked),
        numbers(survey, name, layer, of, colour),
        here(survey, utterance, of, picked),
    ]


def plane(survey, name, method, layer, of, colour, picked) -> Panel:
    places, axes = placed(survey, name, of, method)
    kinds, legend = kinds_of(survey, of, colour)
    points = Points(*places.T, titles(survey, of), kinds, legend, times(survey, of), album=True, chosen=picked)
    x, y = (side(places[:, k], label) for k, label in enumerate(axes))
    words = described(survey, of, colour, picked) if picked.any() else counted(survey, of, colour)
    used = drawn(method, len(places))
    words += "" if used == method else f" Fewer than {FEWEST} points: {used} instead of {method}."
    title = f"{used} of {layer}, by {colour}"
    return Panel("embedding", title, (points,), x, y, words, 4.5, share=0.7, paints="chosen")


def side(places: np.ndarray, label: str) -> Axis:
    low, high = (float(places.min()), float(places.max())) if len(places) else (0.0, 1.0)
    room = 0.04 * (high - low) or 0.5
    return Axis(label, "", low - room, high + room)


@kept
def placed(survey, name: str, of: str, method: str) -> tuple[np.ndarray, tuple[str, str]]:
    """Places (m, 2), and what the two axes are called."""
    points = values(survey, name, of)
    if drawn(method, len(points)) != "PCA":
        return project(points, method).astype(np.float32), (f"{method} 1", f"{method} 2")
    places, shares = principal(points, 2)
    names = tuple(f"PC {k + 1} ({share:.0%} of the variance)" for k, share in enumerate(shares))
    return places.astype(np.float32), names


@kept
def kinds_of(survey, of: str, colour: str) -> tuple[np.ndarray, tuple[tuple[str, str], ...]]:
    """The kind of each point, and the legend: phones are their own signs, the commonest first."""
    labels = rows(survey, of)[PROPERTIES[colour]]
    commonest = [label for label, _ in Counter(labels).most_common()]
    shown = commonest[:SIGNS] if colour == "phone" else commonest
    legend = [(label if colour == "phone" else "", label or "unknown") for label in shown]
    if len(commonest) > len(shown):
        legend.append(("·", OTHER))
    number = {label: min(k, len(shown)) for k, label in enumerate(commonest)}
    return labels.map(number).to_numpy(int), tuple(legend)


def counted(survey, of: str, colour: str) -> str:
    table = rows(survey, of)
    if not len(table):
        return "This corpus has no phones with times: look at frames."
    found = Counter(table[PROPERTIES[colour]])
    (label, most), *_ = found.most_common(1)
    return (
        f"{len(table):,} {of} of {table['utterance'].nunique()} utterances, {len(found)} kinds of {colour}, "
        f"most of them {label or 'unknown'} ({most / len(table):.0%}). Click to listen, draw around some."
    )


def described(survey, of: str, colour: str, picked: np.ndarray) -> str:
    """What the chosen have in common, and how much more often than all."""
    table = rows(survey, of)
    labels = table[PROPERTIES[colour]]
    found, everywhere = Counter(labels[picked]), Counter(labels)
    told = ", ".join(f"{count} {label or 'unknown'}" for label, count in found.most_common(6))
    first, count = found.most_common(1)[0]
    ratio = count / picked.sum() / (everywhere[first] / len(table))
    voices, languages = (table.loc[picked, column].nunique() for column in ("speaker", "language"))
    return (
        f"Chosen: {picked.sum()} {of}: {told}. {first or 'unknown'} is {ratio:.1f} times as frequent as everywhere; "
        f"{voices} voices, {languages} languages."
    )


def numbers(survey, name, layer, of, colour) -> Panel:
    """What no projection can make prettier: the probe with its controls, the silhouette."""
    score, spread, unheard = scored(survey, name, of, colour)
    told = {"linear probe": score.accuracy, "always the commonest": score.majority}
    told |= {"probe of shuffled labels": score.control, "silhouette": spread}
    if np.isfinite(score.accuracy):
        words = (
            f"A line reads {colour} of {unheard} right in {score.accuracy:.0%}; by the commonest {score.majority:.0%}"
        )
    else:
        words = f"No probe of {colour}: it takes two {unheard}"
    words += f"; silhouette {spread:.2f}." if np.isfinite(spread) else "; no silhouette without two kinds."
    rounded = tuple((name, round(value, 2)) for name, value in told.items())
    table = Table((("in all dimensions", ""), ("score", "")), rounded, by=1)
    return Panel("embedding_scores", f"{colour.capitalize()} in {layer}", (table,), *nowhere(), words, 4.5, share=0.3)


@kept
def scored(survey, name: str, of: str, colour: str):
    """The probe's score, the silhouette, and what the probe had not learned from.

    What is said is read of voices that were not learned from, if there are several; whose voice, of utterances.
    """
    table, x = rows(survey, of), values(survey, name, of)
    labels = table[PROPERTIES[colour]]
    by_voice = colour in ("phone", "phone class") and table["speaker"].nunique() > 1
    groups = table["speaker" if by_voice else "utterance"]
    score = probe(x, {colour: labels}, groups)[colour]
    return score, silhouette(x, labels), "unheard voices" if by_voice else "unheard utterances"


def here(survey, utterance, of: str, picked: np.ndarray) -> Panel:
    """This utterance's own points, over its clock; the chosen ones light."""
    table = rows(survey, of)
    at = [k for k, other in enumerate(survey.utterances) if other is utterance or other.id == utterance.id]
    inside = np.flatnonzero(table["utterance"].isin(at).to_numpy(bool)) if len(table) else np.zeros(0, int)
    spans = [Span(str(table["label"][k]), float(table["start"][k]), float(table["end"][k])) for k in inside]
    tier = Spans(f"{of} on the map", spans, shades=np.where(picked[inside], 1.0, 0.15))
    words = f"{len(spans)} of this utterance's {of} are on the map, {int(picked[inside].sum())} of them chosen."
    if not at:
        words = "This utterance is not in the corpus of the map."
    time = clock(len(utterance.waveform) / utterance.rate)
    y = Axis("map", "", 0.0, 1.0, ((0.5, "map"),))
    return Panel("embedding_here", "The chosen in this utterance", (tier,) if spans else (), time, y, words, 0.6)
