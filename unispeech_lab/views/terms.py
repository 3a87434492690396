"""Terms: the loss put together anew for any alpha, any share of replaced frames."""

from collections.abc import Sequence
from dataclasses import replace as changed

import numpy as np

from unispeech_lab.alignment import Span
from unispeech_lab.analysis.anatomy import step_of
from unispeech_lab.analysis.anatomy import training_step as hear
from unispeech_lab.analysis.negatives import phones
from unispeech_lab.objective import Objective
from unispeech_lab.views.masks import stretches
from unispeech_lab.views.panel import Axis, Bars, Knob, Panel, Spans, clock, runs
from unispeech_lab.views.reading import clock_of, find

__all__ = ["hear", "knobs", "panels", "watches"]

watches = ("replaced", "ctc_proj")  # what a model must have to be laid open; an Anatomy has all that is drawn

SHARES = tuple(round(k / 10, 1) for k in range(11))
PARTS = (("", ""), ("", ""))  # the terms are one colour, their sum is another; their names stand under them


def knobs(trace, utterance) -> dict[str, Knob]:
    return {"alpha": Knob(SHARES, 0.5, "α"), "replace": Knob(SHARES, 0.5, "r")}


def panels(
    trace,
    utterance,
    alpha: float,
    replace: float,
    objective: Objective | None = None,
    labels: Sequence[str] | None = None,
) -> list[Panel]:
    """What each term adds to the loss, as bars; beneath, what the CTC head reads before and after replacement.

    ``objective`` weighs the terms; the anatomy's if None, or UniSpeech's own. ``labels`` names the CTC classes, as
    the trace does if None.
    """
    (heads,) = find(trace, "heads.states").values()  # (t, classes)
    labels = getattr(trace, "labels", ()) if labels is None else labels
    objective = objective or getattr(trace, "objective", None) or Objective(blank=heads.shape[1] - 4)
    objective = changed(objective, alpha=0.5)  # where it computes every term
    before, after, whole = (objective(step_of(trace, r))[1] for r in (0.0, replace, 1.0))
    return [
        total(after, objective, alpha, replace, [before, whole]),
        mixture(trace, utterance, replace, objective.blank, labels, [before, after]),
    ]


def total(terms, objective: Objective, alpha: float, replace: float, others: list) -> Panel:
    """The weighted terms and their sum; the scale is that of the largest loss that any alpha can have."""
    rest = 1 - alpha if "ctc" in terms else 1.0
    weights = {"ctc": alpha} | {name: rest * weight for name, weight in objective.active.items()}
    parts = {name: weights[name] * float(value) for name, value in terms.items() if weights[name]}
    heights = np.array([*(parts.get(name, 0.0) for name in terms), sum(parts.values())])
    said = " + ".join(f"{weights[name]:.2g} · {float(terms[name]):.2f} ({name})" for name in parts)
    words = f"{said} = {heights[-1]:.2f}." if np.isfinite(heights).all() else "The labels do not fit the frames."
    learned = sum(weight * float(terms[name]) for name, weight in objective.active.items())
    ends = [learned, *(float(other.get("ctc", 0.0)) for other in (terms, *others))]
    top = 1.25 * max((end for end in ends if np.isfinite(end)), default=1.0)
    bars = Bars(
        np.where(np.isfinite(heights), heights, np.nan),
        (*terms, "loss"),
        np.array([0] * len(terms) + [1]),
        PARTS,
        quantity="nats",
    )
    return Panel(
        "terms",
        f"The loss at α = {alpha:g}, r = {replace:g}",
        (bars,),
        Axis("term", "", 0.0, float(len(heights))),
        Axis("a hidden frame", "nats", -0.18 * top, top),
        words,
        weight=1.8,
    )


def mixture(trace, utterance, replace: float, blank: int, labels, terms: list) -> Panel:
    """Which frames are replaced, and what the CTC head reads of the states alone, then of the mixture."""
    frames, (before, after) = clock_of(trace), (step_of(trace, r) for r in (0.0, replace))
    chosen = after.replaced[0].numpy()
    count = len(chosen)
    said = phones(utterance.phones, frames.centre(np.arange(count)))
    edges = frames.edges(count)
    winners = [step.ctc_logits[0].argmax(-1).numpy() for step in (before, after)]
    tiers = (
        Spans("replaced", stretches(chosen, said, edges), (2.0, 2.9)),
        Spans("before", read(winners[0], edges, blank, labels), (1.0, 1.9)),
        Spans("after", read(winners[1], edges, blank, labels), (0.0, 0.9)),
    )
    words = f"{chosen.sum()} of {count} frames are replaced; {(winners[0] != winners[1]).sum()} frames read otherwise"
    words += f", CTC {before_and_after(terms)}." if "ctc" in terms[0] else "."
    words += "".join(
        f" {tier.tier.capitalize()}: {' '.join(s.label for s in tier.spans[:40]) or '–'}." for tier in tiers[1:]
    )
    ticks = tuple((sum(tier.y) / 2, tier.tier) for tier in tiers)
    time = clock(len(utterance.waveform) / utterance.rate)
    axis = Axis("what CTC reads", "", -0.1, 3.0, ticks)
    return Panel("mixture", "What CTC reads, before and after replacement", tiers, time, axis, words, weight=1.2)


def before_and_after(terms: list) -> str:
    """``from 3.10 to 3.42`` nats; where the labels do not fit the frames, that."""
    numbers = [float(each["ctc"]) for each in terms]
    return (
        "from {:.2f} to {:.2f} nats a hidden frame".format(*numbers) if np.isfinite(numbers).all() else "has no bound"
    )


def read(winners: np.ndarray, edges: np.ndarray, blank: int, labels) -> list[Span]:
    """Runs of the winning class that are not blank, under their names."""
    spans = [span for span in runs(winners.tolist(), edges) if int(span.label) != blank]
    name = dict(enumerate(labels))
    return [Span(name.get(int(span.label), span.label), span.start, span.end) for span in spans]
