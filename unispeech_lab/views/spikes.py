"""Spikes: how likely blank and phones are from frame to frame, were the blank less liked.

log p'(v | t) = log p(v | t) - prior * log(mean p(v)) - bias * [v is blank]   (made to sum to one again)
"""

import numpy as np

from unispeech_lab import ctc
from unispeech_lab.error_rates import phone_error_rate
from unispeech_lab.views.panel import Axis, Knob, Lines, Panel, Spans, clock, runs
from unispeech_lab.views.reading import clock_of
from unispeech_lab.views.trellis import heard

watches = ("ctc_proj",)  # of the pretraining model; of UniSpeechForCTC record "lm_head" instead

BIASES = tuple(range(9))  # nats taken from the blank
PRIORS = tuple(round(k / 10, 1) for k in range(11))  # 0 leaves the classes as they are, 1 makes them equally common
NEVER = 1e-4  # a class never heard is not infinitely welcome


def knobs(trace, utterance) -> dict[str, Knob]:
    return {"bias": Knob(BIASES, 0, "bias of the blank"), "prior": Knob(PRIORS, 0.0, "label prior")}


def panels(trace, utterance, bias: float, prior: float) -> list[Panel]:
    """Two curves, blank and the likeliest other class; beneath, what greedy reads, over the true phones."""
    scores, blank, names = heard(trace)
    changed = recombined(scores, blank, bias, prior)
    winners, edges = changed.argmax(1), clock_of(trace).edges(len(changed))
    phones = np.delete(changed, blank, axis=1).max(1)
    moments = clock_of(trace).centre(np.arange(len(changed)))
    curves = Lines(moments, np.exp(np.stack([changed[:, blank], phones])), ("blank", "phone"))
    spans = [span for span in runs(winners.tolist(), edges) if int(span.label) != blank]
    read = Spans("reading", [type(s)(names[int(s.label)], s.start, s.end) for s in spans], (-0.36, -0.06))
    true = Spans("truth", utterance.phones, (-0.7, -0.4))
    held = 1000 * np.mean([span.duration for span in spans]) if spans else 0.0
    words = (
        f"Blank wins {(winners == blank).mean():.0%} of the frames, from {np.exp(changed[:, blank]).min():.3f} to "
        f"{np.exp(changed[:, blank]).max():.3f}; {len(spans)} phones are read, {held:.0f} ms each"
    )
    said = [span.label for span in utterance.phones]
    if said and set(said) <= set(names):
        spelt = [names[label] for label in ctc.greedy(changed, blank)]
        words += f"; {phone_error_rate([said], [spelt]):.0%} phone errors"
    axis = Axis(
        "probability", "", -0.75, 1.02, ((0, "0"), (0.5, "0.5"), (1, "1"), (-0.21, "reading"), (-0.55, "truth"))
    )
    time = clock(len(utterance.waveform) / utterance.rate)
    title = f"Blank against phones, bias {bias:g}, prior {prior:g}"
    return [Panel("spikes", title, (curves, read, true), time, axis, f"{words}.", weight=2.4)]


def recombined(scores: np.ndarray, blank: int, bias: float, prior: float) -> np.ndarray:
    """Log-probabilities (t, v) of other odds: each class divided by how common it is, the blank made rarer."""
    changed = scores - prior * np.log(np.exp(scores).mean(axis=0) + NEVER)
    changed[:, blank] -= bias
    return changed - np.logaddexp.reduce(changed, axis=1, keepdims=True)
