"""Composer: masks of one's own making, frame by frame whether the model tells what lies beneath.

In a hidden frame the positive, the frame's own codeword, should be nearer to the state than every negative is; guessing
would hit it once in 1 + K. What is painted onto the first panel is hidden, with whatever else is drawn.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from unispeech_lab.alignment import Span
from unispeech_lab.analysis.anatomy import SEED, classes, dissect, step_of
from unispeech_lab.analysis.anatomy import in_the_open as hear
from unispeech_lab.analysis.composing import ANY, PAINTED, PHONES, SPANS, WAYS, WORDS, compose
from unispeech_lab.analysis.negatives import phones, spoken
from unispeech_lab.corpus import Utterance
from unispeech_lab.objective import Objective
from unispeech_lab.views.masks import stretches
from unispeech_lab.views.panel import Axis, Bars, Brush, Knob, Lines, Panel, Spans, clock
from unispeech_lab.views.reading import clock_of

__all__ = ["asks", "hear", "knobs", "panels", "watches"]

watches = ("replaced", "ctc_proj")  # what a model must have to be laid open

SHARES = tuple(round(k / 10, 1) for k in range(1, 11))
MOST = 60  # bars; where more phones are hidden, those of one name are one bar
LEGEND = (("", "all hidden"), ("○", "in part"))
LEAST = 0.05  # seconds that a click plays
HEIGHT = 0.86  # of a tier: the rest parts it from the next


def knobs(trace, utterance) -> dict:
    there = {PHONES: utterance.phones, "words": utterance.words}
    labels = sorted({span.label for span in utterance.phones})
    return {
        "painted": Brush("painted", len(utterance.waveform) / utterance.rate),
        "how": Knob([way for way in WAYS if there.get(way, True)], PHONES if labels else SPANS, "and besides"),
        "share": Knob(SHARES, 0.5, "p"),
        "phone": Knob((ANY, *labels), ANY, "phone"),
    }


def asks(trace, utterance, painted, how: str, share: float, phone: str) -> dict:
    return {"step": Hidden(utterance, compose(clock_of(trace), utterance, painted, how, share, phone))}


@dataclass(frozen=True, eq=False)
class Hidden:
    """One forward with these frames (t,) hidden, laid open; its negatives are drawn alike each time."""

    utterance: Utterance
    mask: np.ndarray

    def __call__(self, model) -> Mapping:
        labels, generator = classes(model, self.utterance), torch.Generator().manual_seed(SEED)
        return dissect(model, self.utterance, torch.from_numpy(self.mask)[None], labels, generator=generator)


def panels(trace, utterance, painted, how: str, share: float, phone: str, step: Mapping) -> list[Panel]:
    """What is hidden, where the positive is nearest, where it is not; a bar for each phone that is hidden."""
    told = Told.of(step)
    hidden, frames = told.hidden, clock_of(trace)
    edges, middles = frames.edges(len(hidden)), frames.centre(np.arange(len(hidden)))
    said = phones(utterance.phones, middles)
    tiers = [Spans("hidden", stretches(hidden, said, edges), (3.0, 3.0 + HEIGHT))]
    for low, name, chosen in ((2.0, "nearest", hidden & told.right), (1.0, "not nearest", hidden & ~told.right)):
        places = np.flatnonzero(chosen)
        spans = [Span(str(said[k]), max(float(edges[k]), 0.0), float(edges[k + 1])) for k in places]
        tiers.append(Spans(name, spans, (low, low + HEIGHT), np.exp(-told.surprise[places])))
    tiers.append(Spans("truth", utterance.phones, (0.0, HEIGHT)))
    drawn = how if how == PAINTED else f"{how}, p = {share:g}"
    if phone != ANY and how in (PHONES, WORDS):
        drawn = f"every {phone}" if how == PHONES else f"every word with {phone}"
    title = f"Hidden: {drawn}{', and what is painted' if painted and how != PAINTED else ''}"
    axis = Axis("frames", "", -0.1, 4.0, [(sum(tier.y) / 2, tier.tier) for tier in tiers])
    time = clock(len(utterance.waveform) / utterance.rate)
    return [
        Panel("composer", title, tiers, time, axis, told.words(), weight=1.8, paints="painted"),
        by_phone(utterance, spoken(utterance.phones, middles), said, edges, told),
    ]


@dataclass(frozen=True, eq=False)
class Told:
    """How each frame (t,) is told from its negatives."""

    hidden: np.ndarray  # bool
    right: np.ndarray  # bool: its positive is nearest
    surprise: np.ndarray  # -log p of the positive
    rivals: np.ndarray  # candidates that count, the positive among them

    @classmethod
    def of(cls, anatomy: Mapping) -> "Told":
        """By the objective of the model, UniSpeech's own where that is not known; as ``Objective.accuracy`` has it."""
        objective, step = getattr(anatomy, "objective", None) or Objective(blank=0), step_of(anatomy)
        logits = objective.contrastive_logits(step)[0]
        right = (logits.argmax(-1) == 0) & (logits.argmin(-1) != 0)  # where all are equally near, it is not
        surprise, rivals = -logits.log_softmax(-1)[:, 0], torch.isfinite(logits).sum(-1)
        return cls(step.predicted[0].numpy(), right.numpy(), surprise.numpy(), rivals.numpy())

    @property
    def chance(self) -> float:
        """The share of hidden frames whose positive a guess would hit."""
        return float((1 / self.rivals[self.hidden]).mean()) if self.hidden.any() else 0.0

    def words(self) -> str:
        hidden = self.hidden
        if not hidden.any():
            return f"None of {len(hidden)} frames is hidden, so there is nothing to tell: paint over this panel."
        loss, guess = self.surprise[hidden].mean(), np.log(self.rivals[hidden]).mean()
        return (
            f"In {self.right[hidden].mean():.0%} of {hidden.sum()} hidden frames the positive is nearest (by chance "
            f"{self.chance:.1%}); −log p = {loss:.2f} on average, guessing {guess:.2f}; {hidden.mean():.0%} is hidden."
        )


def by_phone(utterance, which: np.ndarray, said: np.ndarray, edges: np.ndarray, told: Told) -> Panel:
    """A bar for each phone that is hidden, in order: in how many of its hidden frames the positive is nearest."""
    seconds, borders = len(utterance.waveform) / utterance.rate, np.flatnonzero(np.diff(which))
    shown: dict = {}
    for place, k in enumerate(np.split(np.arange(len(which)), borders + 1)):
        if told.hidden[k].any():
            shown[place] = (str(said[k[0]]), k, (edges[k[0]], edges[k[-1] + 1]))
    if len(shown) > MOST:
        every, shown = list(shown.values()), {}
        for name, k, ends in every:
            _, before, first = shown.get(name, (name, k[:0], ends))
            shown[name] = (name, np.append(before, k), first)
    names, groups, times = zip(*shown.values(), strict=True) if shown else (("none",), [], [(0.0, seconds)])
    heights = np.array([told.right[k[told.hidden[k]]].mean() for k in groups] or [np.nan])
    partly = np.array([not told.hidden[k].all() for k in groups] or [0], int)
    room = np.clip(LEAST - np.diff(times), 0, None) / 2  # so that what is played is not too short to be heard
    times = np.clip(np.array(times) + room * [-1, 1], 0.0, seconds)
    bars = Bars(heights, names, partly, LEGEND, times, quantity="share of its hidden frames")
    chance = Lines(np.array([0.0, len(names)]), np.full((1, 2), told.chance), ("chance",))
    words = "No phone is hidden."
    if groups:
        ranked = [f"{names[k]} ({heights[k]:.0%})" for k in np.argsort(-heights, kind="stable")]
        words = f"Of {len(ranked)} hidden, {ranked[0]} is told best, {ranked[-1]} worst."
        words = words if len(ranked) > 1 else f"{ranked[0]} is hidden."
    axes = Axis("hidden phone", "", 0.0, float(len(names))), Axis("share", "", -0.15, 1.15)
    return Panel("told", "Contrastive accuracy, phone by phone", (bars, chance), *axes, words, weight=1.6)
