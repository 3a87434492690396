"""Replace: what the CTC head reads as more of its states are replaced by their codewords.

    h = codeword where its draw < r, else state
    r = 0: the states alone              r = 1: the codes alone, and how much of what was said they can spell

The head looks at one frame at a time, so both its answers are kept, and a turn of r costs one ``where``.
Source: Wang et al. 2021, UniSpeech, section 3.2, arXiv 2101.07597.
"""

import numpy as np

from unispeech_lab import ctc
from unispeech_lab.alignment import Span
from unispeech_lab.analysis.anatomy import in_the_open as hear
from unispeech_lab.analysis.negatives import PAUSE, phones
from unispeech_lab.error_rates import edits, phone_error_rate
from unispeech_lab.views.masks import stretches
from unispeech_lab.views.panel import Axis, Heatmap, Knob, Lines, Panel, Spans, clock, runs
from unispeech_lab.views.posteriors import softmax
from unispeech_lab.views.reading import clock_of, find
from unispeech_lab.views.trellis import named

__all__ = ["hear", "knobs", "panels", "watches"]

watches = ("replaced", "ctc_proj")  # what a model must have to be heard so

SHARES = tuple(round(k / 20, 2) for k in range(21))
CLASSES = 14  # drawn of a posteriorgram
KINDS = ("of the state", "of the codeword")


def knobs(trace, utterance) -> dict[str, Knob]:
    return {"replace": Knob(SHARES, 0.5, "r")}


def panels(trace, utterance, replace: float) -> list[Panel]:
    """Three readings with the frames that are replaced; posteriors before and after; errors at every r."""
    (states,), (codes,), (draws,) = (
        find(trace, name).values() for name in ("heads.states", "heads.codewords", "draws")
    )
    chosen = draws < replace
    blank, names = named(trace, states.shape[1])
    said = [span.label for span in utterance.phones]
    said = said if said and set(said) <= set(names) else []
    first, last = states.argmax(1), codes.argmax(1)  # (t,) who wins at r = 0, at r = 1
    winners = {"states alone": first, f"at r = {replace:g}": np.where(chosen, last, first), "codes alone": last}
    before, whole = softmax(states), softmax(codes)
    after = np.where(chosen[:, None], whole, before)
    shown = np.sort(np.argsort(-np.maximum(before, whole).max(0), kind="stable")[:CLASSES])  # whatever r is
    rows, titles = [names[v] for v in shown], ("Posteriors of the states alone", f"Posteriors at r = {replace:g}")
    return [
        readings(trace, utterance, chosen, winners, names, blank, said, (states, codes)),
        posteriors(trace, utterance, "before", titles[0], before[:, shown], rows, np.zeros_like(chosen)),
        posteriors(trace, utterance, "after", titles[1], after[:, shown], rows, chosen),
        curve(draws, first, last, names, blank, said, replace),
    ]


def readings(
    trace, utterance, chosen, winners: dict[str, np.ndarray], names, blank: int, said: list[str], heads
) -> Panel:
    """The replaced frames, what is read of the states, of the mixture, of the codes, over what was said."""
    frames, count = clock_of(trace), len(chosen)
    edges = frames.edges(count)
    phone = phones(utterance.phones, frames.centre(np.arange(count)))
    tiers, told = [Spans("replaced", stretches(chosen, phone, edges), (4.0, 4.86))], []
    for k, (name, each) in enumerate(winners.items()):
        spans = [span for span in runs(each.tolist(), edges) if int(span.label) != blank]
        spans = [Span(names[int(span.label)], span.start, span.end) for span in spans]
        tiers.append(Spans(name, spans, (3.0 - k, 3.86 - k)))
        told.append(judged([span.label for span in spans], said))
    tiers.append(Spans("truth", utterance.phones, (0.0, 0.86)))
    words = f"The codes alone spell {told[2]}, the states alone {told[0]}, their mixture {told[1]}; "
    words += f"{chosen.sum()} of {count} frames are replaced."
    if said and (phone != PAUSE).any():
        states, codes = (best_phone(logits, blank, names)[phone != PAUSE] == phone[phone != PAUSE] for logits in heads)
        words += f" Blank aside, the codes name the phone of {codes.mean():.0%} of the frames it lasts, "
        words += f"the states of {states.mean():.0%}."
    axis = Axis("reading", "", -0.1, 5.0, [(sum(tier.y) / 2, tier.tier) for tier in tiers])
    time = clock(len(utterance.waveform) / utterance.rate)
    return Panel("replace", "What CTC reads", tiers, time, axis, words, weight=2.0)


def best_phone(logits: np.ndarray, blank: int, names) -> np.ndarray:
    """(t,) of str, the likeliest class of each frame but for the blank."""
    return np.array(names)[np.where(np.arange(logits.shape[1]) == blank, -np.inf, logits).argmax(1)]


def judged(read: list[str], said: list[str]) -> str:
    """``11 of 23 phones (57% errors)``; how many they are, where nobody knows what was said."""
    if not said:
        return f"{len(read)} phones"
    right = sum(None not in (j, k) and said[j] == read[k] for j, k in edits(said, read))
    return f"{right} of {len(said)} phones ({phone_error_rate([said], [read]):.0%} errors)"


def curve(draws, states, codes, names, blank: int, said: list[str], replace: float) -> Panel:
    """At every r the frames whose winner is another one than at r = 0, and the phone errors, if they are known."""
    mixtures = [np.where(draws < r, codes, states) for r in SHARES]
    curves = {"frames that say something else": [np.mean(mixture != states) for mixture in mixtures]}
    if said:
        spelt = [[names[v] for v in ctc.collapse(mixture, blank)] for mixture in mixtures]
        curves = {"phone errors": [phone_error_rate([said], [read]) for read in spelt]} | curves
    top = 1.08 * max(1.0, *(max(y) for y in curves.values()))
    lines = Lines(np.array(SHARES), np.array(list(curves.values())), tuple(curves))
    here = Lines(np.array([replace, replace]), np.array([[0.0, top]]), ("r",))
    first, last = (f"{100 * next(iter(curves.values()))[k]:.0f}%" for k in (0, -1))
    words = (
        f"From r = 0 to 1 {next(iter(curves))} go from {first} to {last}; more frames are replaced, none comes back."
    )
    axes = Axis("r, the share that is replaced", "", 0.0, 1.0), Axis("share", "", 0.0, top)
    return Panel("replaced", "Errors over r", (lines, here), *axes, words, weight=1.8)


def posteriors(
    trace, utterance, name: str, title: str, belief: np.ndarray, rows: list[str], replaced: np.ndarray
) -> Panel:
    """Probabilities (t, rows); the pointer says whose they are."""
    edges, height = clock_of(trace).edges(len(belief)), float(len(rows))
    kinds = np.broadcast_to(replaced[None], belief.T.shape).astype(int)
    picture = Heatmap(
        belief.T,
        (float(edges[0]), float(edges[-1])),
        (0.0, height),
        0.0,
        1.0,
        quantity="probability",
        rows=tuple(rows),
        kinds=kinds,
        legend=KINDS,
    )
    axis = Axis("class", "", 0.0, height, [(k + 0.5, name) for k, name in enumerate(rows)])
    words = f"The winner has {belief.max(1).mean():.0%} of the belief on average."
    time = clock(len(utterance.waveform) / utterance.rate)
    return Panel(name, title, (picture,), time, axis, words, weight=1.4)
