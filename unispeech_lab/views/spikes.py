"""Spikes: how likely blank and phones are from frame to frame, were the blank less liked.

    q(v | t) ~ p(v | t) ** (1 / temperature)                                         (made to sum to one again)
    log p'(v | t) = log q(v | t) - prior * log(mean q(v)) - bias * [v is blank]      (and again)

Why CTC is peaky: a phone pays once, however long it is named, while blank fits between any two phones, in every
sentence. Source: Zeyer, Schlüter & Ney 2021, "Why does CTC result in peaky behavior?", arXiv 2105.14849.
"""

import numpy as np

from unispeech_lab import ctc
from unispeech_lab.error_rates import phone_error_rate
from unispeech_lab.views.panel import Axis, Knob, Lines, Panel, Spans, clock, runs
from unispeech_lab.views.reading import clock_of
from unispeech_lab.views.trellis import heard

watches = ("ctc_proj|lm_head",)  # of the pretraining model, of UniSpeechForCTC

BIASES = tuple(range(9))  # nats taken from the blank
PRIORS = tuple(round(k / 10, 1) for k in range(11))  # 0 leaves the classes as they are, 1 makes them equally common
TEMPERATURES = (0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0)  # above 1 all that is sure becomes less so
NEVER = 1e-4  # a class never heard is not infinitely welcome


def knobs(trace, utterance) -> dict[str, Knob]:
    return {
        "bias": Knob(BIASES, 0, "bias of the blank"),
        "temperature": Knob(TEMPERATURES, 1.0, "temperature"),
        "prior": Knob(PRIORS, 0.0, "label prior"),
    }


def panels(trace, utterance, bias: float, prior: float, temperature: float = 1.0) -> list[Panel]:
    """Two curves, blank and the likeliest other class; beneath, what greedy reads, over the true phones."""
    scores, blank, names = heard(trace)
    changed = recombined(scores, blank, bias, prior, temperature)
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
    if utterance.phones:
        words += f" (in truth {1000 * np.mean([span.duration for span in utterance.phones]):.0f})"
    said = [span.label for span in utterance.phones]
    if said and set(said) <= set(names):
        spelt = [names[label] for label in ctc.greedy(changed, blank)]
        words += f"; {phone_error_rate([said], [spelt]):.0%} phone errors"
    axis = Axis(
        "probability", "", -0.75, 1.02, ((0, "0"), (0.5, "0.5"), (1, "1"), (-0.21, "reading"), (-0.55, "truth"))
    )
    time = clock(len(utterance.waveform) / utterance.rate)
    title = f"Blank against phones, bias {bias:g}, temperature {temperature:g}, prior {prior:g}"
    return [Panel("spikes", title, (curves, read, true), time, axis, f"{words}.", weight=2.4)]


def recombined(scores: np.ndarray, blank: int, bias: float, prior: float, temperature: float = 1.0) -> np.ndarray:
    """Log-probabilities (t, v) of other odds: tempered, each class divided by how common it is, blank made rarer."""
    tempered = normal(scores / temperature)
    changed = tempered - prior * np.log(np.exp(tempered).mean(axis=0) + NEVER)
    changed[:, blank] -= bias
    return normal(changed)


def normal(scores: np.ndarray) -> np.ndarray:
    """Logits (t, v) as log-probabilities."""
    below = scores - scores.max(axis=1, keepdims=True)
    return below - np.log(np.exp(below).sum(axis=1, keepdims=True))
