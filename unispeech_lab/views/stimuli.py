"""Stimuli: what a conv layer answers to a tone, a chirp, clicks, noise or a vowel of one's choice."""

import numpy as np

from unispeech_lab.analysis.stimuli import FADE, HERTZ, RATE, SECONDS, STIMULI, ladder, make, over_steps
from unispeech_lab.corpus import Utterance
from unispeech_lab.trace import Trace
from unispeech_lab.views.asking import Hear
from unispeech_lab.views.features import among, centres, convolved, pool
from unispeech_lab.views.panel import Axis, Heatmap, Knob, Lines, Panel
from unispeech_lab.views.reading import clock_of, layers

watches = ("feature_extractor.conv_layers.*",)

COLUMNS = 300
QUIET = -60.0  # dB under the loudest of a spectrum


def hear(model, utterance) -> Trace:
    """What each conv layer makes of every tone there is a knob position for: ``tuning.{conv}`` (1, f, c)."""
    tones = Utterance("tones", ladder())
    answer = Hear(tones, watches)(model)
    clock = clock_of(answer)
    tuned = {}
    for conv, values in convolved(answer, tones).items():
        moments = clock.up_to(conv + 1).centre(np.arange(len(values)))
        tuned[f"tuning.{conv}"] = over_steps(values, moments)[None]
    return Trace(tuned, frames=clock, samples=len(utterance.waveform))


def knobs(trace, utterance) -> dict[str, Knob]:
    found = tuple(layers(trace, "tuning.*"))
    return {
        "stimulus": Knob(STIMULI, STIMULI[0], "stimulus"),
        "hertz": Knob(HERTZ, 1000, "Hz"),
        "conv": Knob(found, found[0], "conv layer"),
    }


def asks(trace, utterance, stimulus: str, hertz: float) -> dict[str, Hear]:
    return {"answer": Hear(followed(stimulus, hertz), watches)}


def followed(stimulus: str, hertz: float) -> Utterance:
    """The stimulus, then every tone: a front end that norms over time takes it for as loud as the tones, no louder.

    Alone, a norm over time would lift whatever little a channel hears of it to the level of what it hears best.
    """
    return Utterance(f"{stimulus} {hertz} Hz, tones", np.concatenate([make(stimulus, hertz), ladder()]))


def panels(trace, utterance, stimulus: str, hertz: float, conv: int, answer) -> list[Panel]:
    """The stimulus' spectrum; the layer's answer, channel by channel; how it is tuned; its answer as time goes by.

    Channels stand in the order of the tone that they answer most, and each is measured by itself: 0 is the least that
    any tone calls up in it, 1 the most.
    """
    sound = make(stimulus, hertz)
    tuning = layers(trace, "tuning.*")[conv]  # (f, c)
    best = np.array(HERTZ, float)[tuning.argmax(0)]
    order = best.argsort(kind="stable")
    least, most = tuning.min(0), tuning.max(0)
    share = np.where(most - least > 1e-6, 1 / np.maximum(most - least, 1e-6), 0.0)
    names = tuple(f"channel {k}, best at {best[k]:.0f} Hz" for k in order)
    frames, shelf = clock_of(answer).up_to(conv + 1), among(best[order], "best at")
    values = convolved(answer, followed(stimulus, hertz))[conv][: frames.count(len(sound))]
    values = (values - least) * share
    return [
        spectrum(sound, stimulus, hertz),
        answered(values[:, order], frames, best[order], names, conv, shelf),
        tuned(((tuning - least) * share)[:, order], names, shelf),
        course(values[:, order], frames, names, shelf),
    ]


def spectrum(sound: np.ndarray, stimulus: str, hertz: float) -> Panel:
    """What the stimulus is made of, in dB under its loudest frequency."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    decibels = 10 * np.log10(np.maximum(power / max(power.max(), 1e-30), 10 ** (QUIET / 10)))
    there = np.fft.rfftfreq(len(sound), 1 / RATE)
    words = f"{1000 * SECONDS:.0f} ms, loudest at {there[decibels.argmax()]:.0f} Hz."
    x, y = Axis("frequency", "kHz", 0.0, RATE / 2000), Axis("power", "dB", QUIET, 3.0)
    curve = Lines(there / 1000, decibels[None], ("power",), unit="dB")
    return Panel(
        "stimulus", f"{stimulus.capitalize()}, {hertz} Hz", (curve,), x, y, words, 1.6, share=0.5, sound=(sound, RATE)
    )


def answered(values: np.ndarray, frames, best: np.ndarray, names: tuple[str, ...], conv: int, shelf: Axis) -> Panel:
    """The mean answer (c,) over time, edges left out: there the stimulus fades."""
    moments = centres(frames, len(values))
    middle = (moments > 2 * FADE) & (moments < SECONDS - 2 * FADE)
    mean = values[middle if middle.any() else slice(None)].mean(0)
    curve = Lines(np.arange(len(mean)) + 0.5, mean[None], ("answer",))
    low, high = min(float(mean.min()), 0.0), max(float(mean.max()), 1.0)
    top = mean >= np.sort(mean)[-max(len(mean) // 10, 1)]
    words = (
        f"Most: {names[mean.argmax()]}. The tenth that answers most is best at {np.median(best[top]):.0f} Hz (median)."
    )
    room = 0.08 * (high - low)
    y = Axis("answer", "", low - room, high + room, ((0, "least"), (1, "most")))
    return Panel("answer", f"Conv {conv} on average", (curve,), shelf, y, words, 1.6, share=0.5)


def tuned(tuning: np.ndarray, names: tuple[str, ...], shelf: Axis) -> Panel:
    """The answer (f, c) to every tone; a click on one takes it as the stimulus' frequency."""
    columns = tuple(f"{step} Hz" for step in HERTZ)
    extent = {"x": (0.0, float(len(HERTZ))), "y": (0.0, float(len(names)))}
    told = {"quantity": "answer", "rows": names, "columns": columns, "sets": ("hertz", "")}
    picture = Heatmap(tuning.T, **extent, low=0.0, high=1.0, map="cividis", **told)
    ticks = [(k + 0.5, f"{step / 1000:g}") for k, step in enumerate(HERTZ) if step in (125, 250, 500, 1000, 2000, 4000)]
    broad = float((tuning > 0.5).sum(0).mean()) / 3
    words = f"A channel answers more than half its most over {broad:.1f} octaves of tones."
    x = Axis("tone", "kHz", 0.0, float(len(HERTZ)), tuple(ticks))
    return Panel("tuning", "Answer to every tone", (picture,), x, shelf, words, 2.2, share=0.5)


def course(values: np.ndarray, frames, names: tuple[str, ...], shelf: Axis) -> Panel:
    """The answer (t, c) from the stimulus' beginning to its end."""
    pooled, group = pool(values, COLUMNS)
    start, width = 1000 * float(frames.edges(0)[0]), 1000 * group * frames.hop / frames.rate
    extent = {"x": (start, start + width * len(pooled)), "y": (0.0, float(len(names)))}
    columns = tuple(f"{start + (k + 0.5) * width:.1f} ms" for k in range(len(pooled)))
    told = {"quantity": "answer", "rows": names, "columns": columns}
    picture = Heatmap(pooled.T, **extent, low=0.0, high=1.0, map="cividis", **told)
    still = float(values.std(0).mean())
    words = (
        f"It swings by {still:.2f}: a layer that hears each period swings, one that hears how much there is does not."
    )
    steps = [(float(at), f"{at}") for at in range(0, round(1000 * SECONDS) + 1, 100)]
    x = Axis("since it began", "ms", 0.0, 1000 * SECONDS, tuple(steps))
    return Panel("course", "Answer over time", (picture,), x, shelf, words, 2.2, share=0.5)
