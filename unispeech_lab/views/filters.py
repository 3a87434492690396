"""Filters: the kernels of the first convolution, by the frequencies that they let through."""

import numpy as np

from unispeech_lab.analysis.filters import FLOOR, gains, mel_bank
from unispeech_lab.trace import Trace
from unispeech_lab.trace.places import find as places
from unispeech_lab.views.features import among
from unispeech_lab.views.panel import Axis, Heatmap, Knob, Lines, Panel, Points
from unispeech_lab.views.reading import find

watches = ("feature_extractor.conv_layers.0",)

POINTS = 129  # frequencies from 0 Hz to 8 kHz, both included
PEAK, GAIN, INDEX = "peak frequency", "gain", "index"


def hear(model, utterance) -> Trace:
    """The kernels (1, c, k) of whatever ``conv_layers.0.conv`` a model has, under ``filters``."""
    (place,) = places(model, ["conv_layers.0.conv"])
    return Trace({"filters": place.module.weight.detach()[None, :, 0]}, samples=len(utterance.waveform))


def knobs(trace, utterance) -> dict[str, Knob]:
    (kernels,) = find(trace, "filters").values()
    return {
        "sort": Knob((PEAK, GAIN, INDEX), PEAK, "filters by"),
        "place": Knob(range(len(kernels)), len(kernels) // 2, "place of the filter"),
    }


def panels(trace, utterance, sort: str, place: int) -> list[Panel]:
    """All kernels, their frequency responses, their peaks beside those of a mel filter bank, and one kernel large."""
    (kernels,) = find(trace, "filters").values()  # (c, k)
    hertz, decibels = gains(kernels, POINTS, utterance.rate)
    peaks, loudest = hertz[decibels.argmax(1)], decibels.max(1)
    by = {PEAK: peaks, GAIN: loudest, INDEX: np.arange(len(kernels))}[sort]
    order = np.argsort(by, kind="stable")
    names = tuple(f"filter {k}, peak {peaks[k]:.0f} Hz" for k in order)
    quarters = sorted({round(part * len(kernels) / 4) for part in range(4)})
    shelf = Axis(f"place by {sort}", "", 0.0, float(len(kernels)), tuple((k + 0.5, str(k)) for k in quarters))
    if sort == PEAK:
        shelf = among(peaks[order], "sorted by peak at")
    return [
        shapes(kernels[order], names, shelf, utterance.rate),
        passed(hertz, decibels[order], names, shelf),
        ranked(peaks[order], names, place, utterance.rate),
        *large(kernels[order[place]], hertz, decibels[order[place]], place, order[place], utterance.rate),
    ]


def shapes(kernels: np.ndarray, names: tuple[str, ...], shelf: Axis, rate: int) -> Panel:
    count, taps = kernels.shape
    high = max(float(np.percentile(np.abs(kernels), 99.5)), 1e-6)
    long = 1000 * taps / rate
    picture = Heatmap(
        kernels.T,
        (0.0, float(count)),
        (0.0, long),
        -high,
        high,
        quantity="weight",
        columns=names,
        rows=tuple(f"tap {k}" for k in range(taps)),
        map="RdBu_r",
        sets=("place", ""),
    )
    words = f"{count} kernels of {taps} taps, {long:.3g} ms: too short to resolve less than {rate / taps:.0f} Hz."
    return Panel("kernels", "Kernels", (picture,), shelf, Axis("tap at", "ms", 0.0, long), words, 1.6, share=0.5)


def passed(hertz: np.ndarray, decibels: np.ndarray, names: tuple[str, ...], shelf: Axis) -> Panel:
    half = (hertz[1] - hertz[0]) / 2000
    extent = {"x": (0.0, float(len(decibels))), "y": (-half, hertz[-1] / 1000 + half)}
    rows = tuple(f"{f:.0f} Hz" for f in hertz)
    told = {"unit": "dB", "quantity": "gain", "rows": rows, "columns": names, "sets": ("place", "")}
    picture = Heatmap(decibels.T, **extent, low=FLOOR / 2, high=0.0, **told)
    width = np.mean((decibels > decibels.max(1, keepdims=True) - 3).sum(1)) * 2 * half
    low = int((decibels.argmax(1) == 0).sum())
    words = (
        f"Within 3 dB of its peak a filter passes {width:.1f} kHz on average; {low} of {len(decibels)} peak at 0 Hz."
    )
    frequency = Axis("frequency", "kHz", 0.0, hertz[-1] / 1000)
    return Panel("gains", "What they let through", (picture,), shelf, frequency, words, 1.6, share=0.5)


def ranked(peaks: np.ndarray, names: tuple[str, ...], place: int, rate: int) -> Panel:
    """The peaks (c,), rising, beside the middles of as many mel filters; a click takes a filter."""
    bank, ranks = mel_bank(len(peaks), rate), np.empty(len(peaks))
    ranks[np.argsort(peaks, kind="stable")] = np.arange(len(peaks)) + 0.5
    sets = tuple({"place": k} for k in range(len(peaks)))
    chosen = np.arange(len(peaks)) == place
    learned = Points(ranks, peaks / 1000, names, legend=(("●", "learned"),), chosen=chosen, sets=sets)
    even = Lines(np.arange(len(peaks)) + 0.5, bank[None] / 1000, ("mel bank",), unit="kHz")
    low, few = (float((those < 1000).mean()) for those in (peaks, bank))
    words = f"{low:.0%} of the filters (●) peak under 1 kHz, of a mel bank (line) {few:.0%}."
    places, frequency = Axis("rank", "", 0.0, float(len(peaks))), Axis("peak", "kHz", 0.0, rate / 2000)
    return Panel("peaks", "Beside a mel bank", (even, learned), places, frequency, words, 1.5, share=0.36)


def large(
    kernel: np.ndarray, hertz: np.ndarray, decibels: np.ndarray, place: int, index: int, rate: int
) -> list[Panel]:
    """One kernel as it swings, and what it lets through."""
    taps = 1000 * (np.arange(len(kernel)) + 0.5) / rate
    high = 1.1 * max(float(np.abs(kernel).max()), 1e-6)
    swing, response = Lines(taps, kernel[None], ("weight",)), Lines(hertz / 1000, decibels[None], ("gain",), unit="dB")
    time, weight = Axis("time", "ms", 0.0, 1000 * len(kernel) / rate), Axis("weight", "", -high, high)
    frequency, gain = Axis("frequency", "kHz", 0.0, hertz[-1] / 1000), Axis("gain", "dB", FLOOR / 2, 3.0)
    peak = hertz[decibels.argmax()]
    return [
        Panel("kernel", f"Filter {index}", (swing,), time, weight, f"At place {place}.", 1.5, share=0.32),
        Panel("gain", "Its gain", (response,), frequency, gain, f"Peak at {peak:.0f} Hz.", 1.5, share=0.32),
    ]
