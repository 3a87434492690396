"""Features: what one of the seven convolutions makes of the sound, channel by channel."""

import numpy as np

from unispeech_lab.analysis.filters import followed
from unispeech_lab.corpus import Utterance
from unispeech_lab.frames import Frames
from unispeech_lab.views.panel import Axis, Heatmap, Knob, Panel, clock
from unispeech_lab.views.reading import clock_of, layers
from unispeech_lab.views.waveform import HOP, power_of

watches = ("feature_extractor.conv_layers.*",)

COLUMNS = 1200  # a screen's width: the first layers have a frame every 0.3 ms, more than anybody can see
INDEX, LOUDEST, FOLLOWED = "index", "loudest moment", "frequency followed"
NOWHERE = "no frequency"


def knobs(trace, utterance) -> dict[str, Knob]:
    found = tuple(layers(trace, watches[0]))
    return {"conv": Knob(found, found[-1], "conv layer"), "order": ordering()}


def ordering() -> Knob:
    return Knob((FOLLOWED, LOUDEST, INDEX), FOLLOWED, "channels by")


def panels(trace, utterance, conv: int, order: str = FOLLOWED) -> list[Panel]:
    """Activations (channel, frame) of conv layer ``conv``, on that layer's own clock.

    ``order`` puts the channels, from the bottom up, by the frequency whose loudness they go along with, by the moment
    at which they are highest, or by their index.
    """
    values = convolved(trace, utterance)[conv]  # (t, c)
    frames = clock_of(trace).up_to(conv + 1)
    pooled, group = pool(values, COLUMNS)
    rows, names, axis = arranged(pooled, centres(frames, len(pooled), group), order, sound(utterance))
    silent = int((np.abs(np.nan_to_num(values, nan=1.0)).max(0) < 1e-6).sum())
    words = f"{len(values)} frames, one every {hop(frames):.3g} ms, each hearing {field(frames):.3g} ms; "
    words += f"{values.shape[1]} channels"
    words += f", {silent} of them silent." if silent else "."
    if lost := sum(name.endswith(NOWHERE) for name in names):
        words += f" {lost} of them rise with {NOWHERE}, but where it is quiet."
    if group > 1:
        words += f" A column is the mean of {group} frames."
    finite = pooled[np.isfinite(pooled)]
    low, high = (float(finite.min()), float(np.percentile(finite, 99.5))) if len(finite) else (0.0, 1.0)
    scale = (low, high if high > low else low + 1.0)
    picture = columns(pooled.T[rows], frames, group, *scale, rows=names, quantity="activation")
    time = clock(len(utterance.waveform) / utterance.rate)
    title = f"Convolution {conv}, channels by {order}"
    return [Panel("features", title, (picture,), time, axis, words, weight=1.8)]


# --- what the views of the front end share ---------------------------------------------------------------------------


def convolved(trace, utterance) -> dict[int, np.ndarray]:
    """What each conv layer said (t, c); transformers' own front ends say it as (c, t)."""
    found, samples = layers(trace, watches[0]), len(utterance.waveform)
    counts = {layer: clock_of(trace).up_to(layer + 1).count(samples) for layer in found}
    return {k: x.T if len(x) != counts[k] == x.shape[1] else x for k, x in found.items()}


def pool(values: np.ndarray, columns: int) -> tuple[np.ndarray, int]:
    """Means of ``group`` neighbours in time (t, c), so that at most ``columns`` are left; the last may be shorter."""
    group = -(-len(values) // columns)
    starts = np.arange(0, len(values), group)
    counts = np.diff([*starts, len(values)])
    return np.add.reduceat(values, starts, axis=0) / counts[:, None], group


def centres(frames: Frames, count: int, group: int = 1) -> np.ndarray:
    """Seconds in the middle of each of so many columns of ``group`` frames."""
    return frames.centre(np.arange(count) * group + (group - 1) / 2)


def columns(cells: np.ndarray, frames: Frames, group: int, low: float, high: float, **given) -> Heatmap:
    """A heatmap (rows, columns) of ``group`` frames a column that knows what sound a column heard."""
    start, width = float(frames.edges(0)[0]), group * frames.hop / frames.rate
    heard = ((group - 1) * frames.hop + frames.receptive_field) / frames.rate
    sides = (start, start + width * cells.shape[1])
    given = {"y": (0.0, float(len(cells))), "map": "cividis", "reach": (heard / 2, heard / 2)} | given
    return Heatmap(cells, sides, low=low, high=high, **given)


def sound(utterance) -> tuple[np.ndarray, np.ndarray]:
    """The mel spectrogram (m, t) in dB that channels are held against, and the frequency (m,) of each band."""
    return power_of(np.asarray(utterance.waveform), utterance.rate)


def arranged(pooled, moments, order: str, power) -> tuple[np.ndarray, tuple[str, ...], Axis]:
    """The channels (c,) of what was pooled (t, c) in an order, the name of each, and the axis they stand on.

    ``moments`` (t,) are the seconds of what was pooled, ``power`` the ``sound`` that it answers.
    """
    count = pooled.shape[1]
    names = [f"channel {k}" for k in range(count)]
    if order == INDEX:
        return np.arange(count), tuple(names), Axis("channel", "", 0.0, float(count))
    if order == LOUDEST:
        rows = np.nan_to_num(pooled, nan=-np.inf).argmax(0).argsort(kind="stable")
        return rows, tuple(names[k] for k in rows), Axis("place of channel", "", 0.0, float(count))
    decibels, hertz = power
    nearest = np.clip(np.rint(moments * Utterance.rate / HOP).astype(int), 0, decibels.shape[1] - 1)
    hertz = np.append(hertz, np.inf)
    there = np.isfinite(pooled).all(1)
    bands = followed(pooled[there], decibels.T[nearest[there]])
    rows = bands.argsort(kind="stable")
    names = tuple(f"{names[k]}, follows {said(hertz[bands[k]])}" for k in rows)
    return rows, names, among(hertz[bands[rows]], "follows")


def said(hertz: float) -> str:
    return f"{hertz:.0f} Hz" if np.isfinite(hertz) else NOWHERE


def among(hertz: np.ndarray, label: str) -> Axis:
    """The axis of channels whose frequencies (c,) rise: where round ones are reached, and where there is none."""
    count = len(hertz)
    marks = [*((f, f"{f / 1000:g}") for f in (250, 500, 1000, 2000, 4000)), (np.finfo(float).max, "none")]
    places = [(int(np.searchsorted(hertz, f)), name) for f, name in marks]
    apart = max(count // 10, 1)  # names that lie closer would be written over each other
    ticks = [place for k, place in enumerate(places) if k + 1 == len(places) or places[k + 1][0] - place[0] >= apart]
    return Axis(label, "kHz", 0.0, float(count), tuple((at, name) for at, name in ticks if at < count))


def hop(frames: Frames) -> float:
    """Milliseconds from one frame to the next."""
    return 1000 * frames.hop / frames.rate


def field(frames: Frames) -> float:
    """Milliseconds that one frame hears."""
    return 1000 * frames.receptive_field / frames.rate
