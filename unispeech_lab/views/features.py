"""Features: what one of the seven convolutions makes of the sound, channel by channel."""

import numpy as np

from unispeech_lab.views.panel import Axis, Heatmap, Knob, Panel, clock
from unispeech_lab.views.reading import clock_of, layers

watches = ("feature_extractor.conv_layers.*",)

COLUMNS = 1200  # a screen's width: the first layers have a frame every 0.3 ms, more than anybody can see


def knobs(trace, utterance) -> dict[str, Knob]:
    found = tuple(layers(trace, watches[0]))
    return {"conv": Knob(found, found[-1], "conv layer")}


def panels(trace, utterance, conv: int) -> list[Panel]:
    """Activations (channel, frame) of conv layer ``conv``, on that layer's own clock."""
    values = layers(trace, watches[0])[conv]  # (t, c)
    frames = clock_of(trace).up_to(conv + 1)
    edges = frames.edges(len(values))
    pooled, group = pool(values, COLUMNS)
    low, high = float(pooled.min()), float(np.percentile(pooled, 99.5))
    hop, field = 1000 * frames.hop / frames.rate, 1000 * frames.receptive_field / frames.rate
    silent = int((np.abs(values).max(0) < 1e-6).sum())
    words = f"{len(values)} frames, one every {hop:.3g} ms, each hearing {field:.3g} ms; {values.shape[1]} channels"
    words += f", {silent} of them silent." if silent else "."
    if group > 1:
        words += f" A column is the mean of {group} frames."
    picture = Heatmap(
        pooled.T,
        (float(edges[0]), float(edges[min(group * len(pooled), len(values))])),
        (0.0, float(values.shape[1])),
        low,
        high if high > low else low + 1.0,
        quantity="activation",
        rows=tuple(f"channel {c}" for c in range(values.shape[1])),
        map="cividis",
    )
    channels = Axis("channel", "", 0.0, float(values.shape[1]))
    time = clock(len(utterance.waveform) / utterance.rate)
    return [Panel("features", f"Features after convolution {conv}", (picture,), time, channels, words, weight=1.4)]


def pool(values: np.ndarray, columns: int) -> tuple[np.ndarray, int]:
    """Means of ``group`` neighbours in time (t, c), so that at most ``columns`` are left; the last may be shorter."""
    group = -(-len(values) // columns)
    starts = np.arange(0, len(values), group)
    counts = np.diff([*starts, len(values)])
    return np.add.reduceat(values, starts, axis=0) / counts[:, None], group
