"""Alignment: where the model puts each phone that is said, over where it truly was."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from unispeech_lab import boundaries
from unispeech_lab.alignment import METHODS, Span
from unispeech_lab.alignment.change import change
from unispeech_lab.views.panel import Axis, Knob, Lines, Panel, Spans, clock
from unispeech_lab.views.reading import clock_of
from unispeech_lab.views.trellis import heard, spelt

watches = ("ctc_proj|lm_head",)  # of the pretraining model, of UniSpeechForCTC

NEAR = 0.020  # seconds: what counts as the same place
MOST = 100  # milliseconds: where a curve of tolerances ends


def knobs(trace, utterance) -> dict[str, Knob]:
    return {"method": Knob(tuple(METHODS), "spectral", "from peaks to spans")}


def panels(trace, utterance, method: str) -> list[Panel]:
    """Two tiers: the phones aligned, shaded by how likely the model finds each where it names it, over the truth.

    What greedy reads is aligned where the trace has no classes for the phones, or nobody knows them.
    """
    placed, known = place(trace, utterance, method)
    found, seconds = placed[method], len(utterance.waveform) / utterance.rate
    sure = np.array([span.score for span in found])
    tiers = (
        Spans("aligned", found, (1.0, 2.0), sure),
        Spans("true", utterance.phones, (0.0, 1.0)),
    )
    words = f"{len(found)} phones by the method {method}{'' if known else ', as greedy reads them'}"
    if len(sure):
        words += f", p of each {sure.min():.2f} to {sure.max():.2f}"
    if known:
        off = boundaries.borders(boundaries.errors(found, utterance.phones))
        share = boundaries.hit_rates(off, [NEAR])[0]
        words += f"; {share:.0%} of {len(off)} borders within {1000 * NEAR:.0f} ms of the truth, half within "
        words += f"{1000 * np.median(np.abs(off)):.0f} ms"
    axis = Axis("tier", "", 0.0, 2.0, ((0.5, "true"), (1.5, "aligned")))
    title = "Aligned, brighter is surer, over the truth"
    return [Panel("alignment", title, tiers, clock(seconds), axis, f"{words}.", weight=1.1)]


def place(trace, utterance, *methods: str) -> tuple[dict[str, tuple[Span, ...]], bool]:
    """The phones as each method aligns them, by its name; whether they are those that are said.

    A span's score is the mean probability of the phone in the frames where the best path names it.
    """
    scores, blank, names = heard(trace)
    labels, known = spelt(trace, utterance, scores, blank, names)
    if not labels:
        return dict.fromkeys(methods, ()), known
    seconds, frames = len(utterance.waveform) / utterance.rate, clock_of(trace)
    changes, placed = change(utterance.waveform, len(scores), frames), {}
    for method in methods:
        path, borders = METHODS[method](scores.astype(np.float32), labels, blank, change=changes)
        times = np.clip(frames.centre(borders - 0.5), 0, seconds)
        sure = [float(np.exp(scores[path.owner == k, v].mean())) for k, v in enumerate(labels)]
        spelling = zip(labels, times.tolist(), sure, strict=True)
        placed[method] = tuple(Span(names[v], *pair, score) for v, pair, score in spelling)
    return placed, known


def tolerance(found: Mapping[str, pd.DataFrame]) -> list[Panel]:
    """A curve a method, from what ``boundaries.errors`` found: the share of borders within each tolerance."""
    off = {name: boundaries.borders(errors) for name, errors in found.items()}
    curves = {name: boundaries.tolerance_curve(each, MOST / 1000)[1] for name, each in off.items()}
    at = {name: boundaries.hit_rates(each, [NEAR])[0] for name, each in off.items()}
    told = ", ".join(f"{name} {share:.0%}" for name, share in at.items())
    x = 1000 * boundaries.tolerance_curve([], MOST / 1000)[0]
    lines = Lines(x, np.stack(list(curves.values())), tuple(curves))
    words = f"Within {1000 * NEAR:.0f} ms: {told}."
    return [
        Panel(
            "tolerance",
            "Borders",
            (lines,),
            Axis("tolerance", "ms", 0.0, MOST),
            Axis("share within it", "", 0.0, 1.02),
            words,
            2.2,
        )
    ]


def calibration(scores, right) -> list[Panel]:
    """Scores against the share of phones that is right (a bool each), as a curve beside the diagonal."""
    table = boundaries.reliability(scores, right)
    error = boundaries.expected_calibration_error(scores, right)
    x = table["score"].to_numpy()
    lines = Lines(x, np.stack([table["right"].to_numpy(), x]), ("right", "score"))
    words = f"{table['count'].sum()} phones; on average score and truth are {error:.2f} apart."
    side = Axis("share that is right", "", 0.0, 1.02)
    return [Panel("calibration", "Score against truth", (lines,), Axis("score", "", 0.0, 1.0), side, words, 2.2)]
