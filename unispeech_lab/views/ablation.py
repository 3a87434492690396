"""Ablation: what is read when one head is silenced or made to look elsewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

import numpy as np
import torch

from unispeech_lab import ctc
from unispeech_lab.alignment import Span
from unispeech_lab.analysis.causal import EDITS
from unispeech_lab.error_rates import phone_error_rate
from unispeech_lab.trace.widen import widen
from unispeech_lab.views.asking import Hear, watched
from unispeech_lab.views.attention import knobs as one_head
from unispeech_lab.views.panel import Axis, Bars, Knob, Lines, Panel, Spans, clock, figures, runs
from unispeech_lab.views.reading import clock_of, layers
from unispeech_lab.views.trellis import heard

PATTERN, CTC = "encoder.layers.*.attention.pattern", "ctc_proj|lm_head"  # of our models: it can be edited
watches = (PATTERN, CTC)

ROOM = 0.04  # seconds beside a symbol, for its name
MOST = 20_000_000  # cells of all patterns at once: 80 MB


def knobs(trace, utterance) -> dict[str, Knob]:
    return {**one_head(trace, utterance), "edit": Knob(EDITS, "silent", "made")}


def asks(trace, utterance, layer: int, edit: str) -> dict:
    """What is said with each head of the layer changed: the open one is one of them, so that opening costs nothing."""
    pattern = layers(trace, PATTERN)[layer]
    return {"changed": EachHead(utterance, layer, len(pattern), EDITS[edit], max(1, MOST // pattern.size), trace)}


def panels(trace, utterance, layer: int, head: int, edit: str, changed: Mapping) -> list[Panel]:
    """What greedy reads before and after, how far the CTC output moves in each frame, and by which heads how far."""
    scores, blank, names = heard(trace)
    after = log_softmax(np.asarray(changed["logits"], np.float64))  # (h, t, v)
    moved = (np.exp(scores) * (scores - after)).sum(-1).clip(0)  # (h, t) nats
    frames, count = clock_of(trace), len(scores)
    edges, centres = frames.edges(count), frames.centre(np.arange(count))
    time = clock(len(utterance.waveform) / utterance.rate)
    readings = [read(belief, blank, names, edges, time.stop) for belief in (scores, after[head])]
    tiers = [
        Spans("before", readings[0], (2.1, 3.0)),
        Spans("after", readings[1], (1.1, 2.0), novel(*readings)),
        Spans("truth", utterance.phones, (0.1, 1.0)),
    ]
    axis = Axis("reading", "", 0.0, 3.1, ((2.55, "before"), (1.55, "after"), (0.55, "truth")))
    gone = f"Layer {layer}, head {head}: {edit}"
    worst = float(centres[moved[head].argmax()])
    high = max(1.1 * float(moved[head].max()), 1e-3)
    curve = Lines(centres, moved[head][None], ("KL",), "nats")
    effect = f"{figures(float(moved[head].mean()), 'nats')} a frame on average, most at {worst:.2f} s."
    return [
        Panel("ablation", gone, tiers, time, axis, told(scores, after[head], blank, names, utterance), weight=1.3),
        Panel("effect", "KL divergence, after from before", (curve,), time, Axis("KL", "nats", 0.0, high), effect, 0.8),
        each_head(moved.mean(1), layer, head, edit),
    ]


def each_head(moved: np.ndarray, layer: int, head: int, edit: str) -> Panel:
    """A bar a head (h,): how far the output moves when this one alone is changed; a click opens it."""
    count = len(moved)
    bars = Bars(
        moved,
        tuple(f"{layer}.{k}" for k in range(count)),
        (np.arange(count) != head).astype(int),
        (("★", "open"), ("", "other")),
        unit="nats",
        quantity="KL",
        sets=tuple({"head": k} for k in range(count)),
    )
    top = max(1.25 * float(moved.max()), 1e-3)
    most, least = (f"{layer}.{k}, {figures(float(moved[k]), 'nats')}" for k in (moved.argmax(), moved.argmin()))
    words = f"Each head alone, {edit}. The output moves most by {most} a frame, least by {least}."
    axes = Axis("head", "", 0.0, float(count)), Axis("KL", "nats", -0.2 * top, top)
    return Panel("each_head", f"How much each head of layer {layer} matters", (bars,), *axes, words, weight=1.8)


def told(before: np.ndarray, after: np.ndarray, blank: int, names: list[str], utterance) -> str:
    """How many frames name another class now, and the phone error rate before and after where the truth is known."""
    other = float((before.argmax(1) != after.argmax(1)).mean())
    words = f"{other:.0%} of the frames name another class"
    said = [span.label for span in utterance.phones]
    if said and set(said) <= set(names):
        rates = [
            phone_error_rate([said], [[names[label] for label in ctc.greedy(scores, blank)]])
            for scores in (before, after)
        ]
        words += f"; {rates[0]:.0%} phone errors before, {rates[1]:.0%} after"
    return f"{words}; bright is what was not read before."


def read(scores: np.ndarray, blank: int, names: list[str], edges: np.ndarray, seconds: float) -> list[Span]:
    """What greedy reads, each symbol as wide as its name needs: up to ``ROOM`` more, half-way to its neighbours."""
    found = [span for span in runs(scores.argmax(1).tolist(), edges) if int(span.label) != blank]
    middles = [(one.end + other.start) / 2 for one, other in pairwise(found)]
    sides = zip(found, [0.0, *middles], [*middles, seconds], strict=False)
    return [
        Span(names[int(span.label)], max(span.start - ROOM, left), min(span.end + ROOM, right))
        for span, left, right in sides
    ]


def novel(before: list[Span], after: list[Span]) -> np.ndarray:
    """1 for a symbol that was not read before, 0 for one that was."""
    matcher = SequenceMatcher(None, *([span.label for span in spans] for spans in (before, after)), autojunk=False)
    fresh = np.ones(len(after))
    for block in matcher.get_matching_blocks():
        fresh[block.b : block.b + block.size] = 0.0
    return fresh


def log_softmax(logits: np.ndarray) -> np.ndarray:
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@dataclass(frozen=True, eq=False)
class EachHead:
    """The CTC output with one head of a layer after another changed: ``logits`` (h, t, v); ``versions`` run at once."""

    utterance: object
    layer: int
    heads: int
    change: Callable[[torch.Tensor], torch.Tensor]
    versions: int
    given: object = None

    def __call__(self, model) -> dict[str, np.ndarray]:
        name, (said,) = f"encoder.layers.{self.layer}", watched(model, [], [CTC])
        logits = []
        for some in torch.arange(self.heads).split(self.versions):

            def change(patterns, some=some):  # (versions, h, t, t)
                patterns = patterns.clone()
                for version, head in enumerate(some.tolist()):
                    patterns[version, head] = self.change(patterns[version, head])
                return patterns

            with widen(model, name, len(some)):
                heard = Hear(self.utterance, (said,), {f"{name}.attention.pattern": change}, self.given)(model)
            logits.append(heard[said].float().cpu().numpy())
        return {"logits": np.concatenate(logits)}
