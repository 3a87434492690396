"""Patching: one phone's frames in the place of another's, layer by layer, and what the output then says.

Where the CTC layer goes over from the phone that was spoken to the one that was put there, its identity had moved out
of the surroundings into the frames themselves.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unispeech_lab.alignment import Span
from unispeech_lab.analysis import depth
from unispeech_lab.analysis.patching import flips, frames_of, moved, named, patch, shares, winner
from unispeech_lab.views.asking import Hear
from unispeech_lab.views.panel import Axis, Heatmap, Knob, Lines, Panel, Spans, clock, runs
from unispeech_lab.views.posteriors import logits, softmax
from unispeech_lab.views.reading import clock_of, find, single

watches = ("ctc_proj|lm_head", depth.PROJECTION, depth.ENCODER)
NOTHING = "no phones are known"
MOVED = 0.1  # a share of the belief that counts as a change


@dataclass(frozen=True)
class Sweep:
    """The same patch at each place, a forward each: place -> the CTC layer's output (1, t, v)."""

    hears: Mapping[str, Hear]

    def __call__(self, model) -> dict:
        return {place: next(iter(hear(model).values())) for place, hear in self.hears.items()}


def knobs(trace, utterance) -> dict[str, Knob]:
    phones = named(utterance) or (NOTHING,)
    longest = sorted(range(len(utterance.phones)), key=lambda k: -utterance.phones[k].duration)
    other = [k for k in longest if utterance.phones[k].label != utterance.phones[longest[0]].label]
    places = [layer.label for layer in places_of(trace)]
    return {
        "phone": Knob(phones, phones[longest[0]] if longest else NOTHING, "replace"),
        "by": Knob(phones, phones[(other or longest)[0]] if longest else NOTHING, "by"),
        "at": Knob(places, places[len(places) // 2], "at"),
    }


def places_of(trace) -> list[depth.Layer]:
    """Where a patch can go: before the encoder, and after each of its layers."""
    return [layer for layer in depth.layers(trace) if layer.order[0] > 1]


def asks(trace, utterance, phone: str, by: str) -> dict[str, Sweep]:
    if phone == NOTHING:
        return {"patched": Sweep({})}
    into, out_of = frames(trace, utterance, phone), frames(trace, utterance, by)
    head = next(iter(find(trace, watches[0])))
    change = {layer.label: {layer.name: patch(into, out_of)} for layer in places_of(trace)}
    return {"patched": Sweep({at: Hear(utterance, (head,), edit, trace) for at, edit in change.items()})}


def frames(trace, utterance, phone: str) -> range:
    span = utterance.phones[named(utterance).index(phone)]
    return frames_of(span, clock_of(trace), len(logits(trace)))


def panels(trace, utterance, phone: str, by: str, at: str, patched: Mapping) -> list[Panel]:
    """What is read with the patch at one place; how far each frame's output moves; who wins, place by place."""
    names = list(getattr(trace, "labels", ()) or ())
    blank = getattr(trace, "blank", None) or 0
    before = softmax(logits(trace))
    after = {place: softmax(single(place, value)) for place, value in patched.items()}
    reading = readings(trace, utterance, before, after.get(at), phone, by, at, names, blank)
    if not after:
        return [reading]
    into = frames(trace, utterance, phone)
    return [
        contest(trace, utterance, before, after, phone, by, names, blank),
        spread(trace, utterance, before, after, into, at),
        reading,
    ]


def readings(trace, utterance, before, after, phone, by, at, names, blank) -> Panel:
    edges = clock_of(trace).edges(len(before))

    def read(belief):
        spans = (span for span in runs(belief.argmax(1).tolist(), edges) if int(span.label) != blank)
        return [Span(name(names, int(span.label)), span.start, span.end) for span in spans]

    said = read(before)
    tiers = [Spans("read before", said, (1.0, 2.0))]
    ticks, bottom = [(1.5, "before")], 1.0
    words = "Nobody knows this utterance's phones, so none can be replaced."
    if after is not None:
        heard = read(after)
        into = frames(trace, utterance, phone)
        where = Span(
            f"{label_of(by)} for {label_of(phone)}", max(float(edges[into.start]), 0.0), float(edges[into.stop])
        )
        tiers += [Spans("read after", heard, (0.0, 1.0)), Spans("replaced", [where], (-1.0, 0.0))]
        ticks, bottom = [*ticks, (0.5, "after"), (-0.5, "replaced")], -1.0
        old, new = (" ".join(span.label for span in spans) or "nothing" for spans in (said, heard))
        words = f"{by} for {phone} at {at}: " + (f"{new}." if new != old else "the reading stays as it is.")
    axis = Axis("reading", "", bottom, 2.0, tuple(ticks))
    tiers = [tier for tier in tiers if tier.spans]
    return Panel("patching_reading", "What is read", tiers, clock(utterance.seconds), axis, words, 1.1)


def label_of(phone: str) -> str:
    return phone.split()[1] if phone != NOTHING else phone


def spread(trace, utterance, before, after, into: range, at: str) -> Panel:
    """How much of the belief went elsewhere (place, frame)."""
    gone = np.stack([moved(before, belief) for belief in after.values()])
    edges, rows = clock_of(trace).edges(len(before)), tuple(after)
    picture = Heatmap(
        gone, (float(edges[0]), float(edges[-1])), (0.0, float(len(rows))), 0.0, 1.0,
        quantity="share of belief moved", rows=rows, map="cividis", sets=("", "at"),
    )  # fmt: skip
    outside = (np.delete(gone, np.arange(into.start, into.stop), axis=1) > MOVED).sum(1)
    told = ", ".join(f"{outside[k]} at {rows[k]}" for k in sorted({0, rows.index(at), len(rows) - 1}))
    words = (
        f"Of the {len(before) - len(into)} frames around the {len(into)} replaced, so many move by {MOVED:.0%}: {told}."
    )
    axis = Axis("at", "", 0.0, float(len(rows)), tuple((k + 0.5, name) for k, name in enumerate(rows)))
    return Panel("patching", "How far the output moves", (picture,), clock(utterance.seconds), axis, words, 1.5)


def contest(trace, utterance, before, after, phone, by, names, blank) -> Panel:
    """The shares of what is said at the replaced frames, unpatched first and then place by place."""
    into, out_of = frames(trace, utterance, phone), frames(trace, utterance, by)
    said = np.stack([shares(belief, into, blank) for belief in (before, *after.values())])
    first, second = winner(said[0], blank), winner(shares(before, out_of, blank), blank)
    curves = {f"says {name(names, v)}": said[:, v] for v in dict.fromkeys((first, second))}
    curves["says something else"] = np.clip(np.delete(said, blank, axis=1).sum(1) - sum(curves.values()), 0, 1)
    places = ["unpatched", *after]
    lines = Lines(np.arange(len(places), dtype=float), np.array(list(curves.values())), tuple(curves))
    x = Axis("patched at", "", -0.5, len(places) - 0.5, tuple(enumerate(places)))
    old, new = (as_heard(which, name(names, v)) for which, v in ((phone, first), (by, second)))
    words = verdict(said[:, first], said[:, second], old, new, places)
    y = Axis("share of what is said", "", 0.0, 1.05)
    title = f"{label_of(by)} in the place of {label_of(phone)}"
    return Panel("patching_says", title, (lines,), x, y, words, 1.6)


def name(names, v: int) -> str:
    return names[v] if v < len(names) else str(v)


def as_heard(phone: str, said: str) -> str:
    label = label_of(phone)
    return label if label == said else f"{label} (heard as {said})"


def verdict(first: np.ndarray, second: np.ndarray, old: str, new: str, places: list[str]) -> str:
    """What the curves (1 + l,) say; a share over a half, and over the other's, wins."""
    if np.array_equal(first, second):
        return f"{old} and {new} are heard alike: nothing tells them apart, wherever it is patched ({first[-1]:.0%})."
    opening = f"Unpatched: {old} {first[0]:.0%}, {new} {second[0]:.0%}. "
    turn = flips(np.maximum(first[1:], 0.5), second[1:])
    if turn is None:
        return f"{opening}{new} wins nowhere for good: patched at {places[-1]} it has {second[-1]:.0%}."
    if turn == 0:
        return f"{opening}{new} wins wherever it is patched, by {second[1]:.0%} at {places[1]} already."
    return (
        f"{opening}Patched at {places[turn]}, {new} has {second[turn]:.0%}; from {places[turn + 1]} on it wins, "
        f"by {second[turn + 1]:.0%}."
    )
