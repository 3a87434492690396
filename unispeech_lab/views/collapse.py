"""Collapse: greedy reading step by step, from a winner a frame to what is spelt.

winners             the likeliest class of each frame
runs merged         equal neighbours are one
no blanks           what is left is the reading
against the truth   each label as far as half way to its neighbours: right, x≠y (y was said), +x (nothing was said)
"""

import numpy as np

from unispeech_lab.alignment import Span
from unispeech_lab.error_rates import edits
from unispeech_lab.views.panel import Axis, Knob, Panel, Spans, clock, runs
from unispeech_lab.views.reading import clock_of
from unispeech_lab.views.trellis import heard

watches = ("ctc_proj|lm_head",)  # of the pretraining model, of UniSpeechForCTC

BLANK = "–"
HEIGHT = 0.86  # of a tier: the rest parts it from the next


def knobs(trace, utterance) -> dict[str, Knob]:
    return {}


def panels(trace, utterance) -> list[Panel]:
    """A tier a step, brighter where the winner is surer, over the phones that were said."""
    scores, blank, names = heard(trace)
    seconds, edges = len(utterance.waveform) / utterance.rate, clock_of(trace).edges(len(scores))
    winners, sure = scores.argmax(1), np.exp(scores.max(1))
    called = [BLANK if v == blank else names[v] for v in range(len(names))]
    frames = [Span(called[v], max(float(a), 0.0), float(b)) for v, a, b in zip(winners, edges, edges[1:], strict=False)]
    merged = [Span(called[int(run.label)], run.start, run.end) for run in runs(winners.tolist(), edges)]
    firsts = np.flatnonzero(np.diff(winners, prepend=-1) != 0)
    surest, spelt = np.maximum.reduceat(sure, firsts), winners[firsts] != blank
    read = [span for span, kept in zip(merged, spelt, strict=True) if kept]
    said = [span.label for span in utterance.phones]
    known = bool(said) and set(said) <= set(names)
    pairs = edits(said, [span.label for span in read]) if known else []
    verdicts = [verdict(said, read, *pair) for pair in pairs if pair[1] is not None] or [span.label for span in read]
    text = [Span(label, *place) for label, place in zip(verdicts, grown(read), strict=True)]
    tiers = [
        *step("winners", 4.0, frames, sure, winners != blank),
        *step("runs merged", 3.0, merged, surest, spelt),
        *step("no blanks", 2.0, read, surest[spelt]),
        *step("compared" if known else "text", 1.0, text, surest[spelt]),
        Spans("truth", utterance.phones, (0.0, HEIGHT)),
    ]
    words = against(said, [span.label for span in read], pairs) if known else ""
    words += f"{len(frames)} winners merge into {len(merged)} runs, {len(merged) - len(read)} of them blank; "
    words += f"{len(read)} {'phone is' if len(read) == 1 else 'phones are'} read."
    axis = Axis("step", "", -0.1, 5.0, {sum(tier.y) / 2: tier.tier for tier in tiers if tier.tier != "blank"}.items())
    return [Panel("collapse", "Greedy reading, step by step", tiers, clock(seconds), axis, words, weight=2.2)]


def step(name: str, low: float, spans: list[Span], sure: np.ndarray, spelt: np.ndarray | None = None) -> list[Spans]:
    """A tier: labels brighter where they are surer, blanks pale between them."""
    place = (low, low + HEIGHT)
    if spelt is None:
        return [Spans(name, spans, place, sure)]
    labels, blanks = (
        [span for span, is_label in zip(spans, spelt, strict=True) if is_label == k] for k in (True, False)
    )
    return [Spans("blank", blanks, place), Spans(name, labels, place, sure[spelt])]


def verdict(said: list[str], read: list[Span], j: int | None, k: int) -> str:
    """What is written on label k of the reading, held against phone j."""
    label = read[k].label
    if j is None:
        return f"+{label}"
    return label if label == said[j] else f"{label}≠{said[j]}"


def against(said: list[str], read: list[str], pairs: list[tuple[int | None, int | None]]) -> str:
    """``43% phone errors: of 23 phones said 15 are right, 3 others (k for t …), 5 missed (ə …); 2 too many (s p). ``"""
    others = [f"{read[k]} for {said[j]}" for j, k in pairs if None not in (j, k) and read[k] != said[j]]
    missed = [said[j] for j, k in pairs if k is None]
    added = [read[k] for j, k in pairs if j is None]
    parts = [f"{len(said) - len(others) - len(missed)} are right"]
    for what, found in (("others", others), ("missed", missed), ("too many", added)):
        if found:
            parts.append(f"{len(found)} {what} ({', '.join(found[:6])}{' …' if len(found) > 6 else ''})")
    wrong = (len(others) + len(missed) + len(added)) / len(said)
    return f"{wrong:.0%} phone errors: of {len(said)} said {', '.join(parts)}. "


def grown(spans: list[Span]) -> list[tuple[float, float]]:
    """Each span as far as half way to its neighbours, so that its label has room."""
    middles = [(a.end + b.start) / 2 for a, b in zip(spans, spans[1:], strict=False)]
    starts = [spans[0].start, *middles] if spans else []
    ends = [*middles, spans[-1].end] if spans else []
    return list(zip(starts, ends, strict=True))
