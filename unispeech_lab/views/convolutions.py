"""Convolutions: what all seven of them make of the sound, at a glance."""

import numpy as np

from unispeech_lab.views.features import (
    FOLLOWED,
    arranged,
    centres,
    columns,
    convolved,
    field,
    hop,
    ordering,
    pool,
    sound,
)
from unispeech_lab.views.panel import Knob, Panel, clock
from unispeech_lab.views.reading import clock_of

watches = ("feature_extractor.conv_layers.*",)

COLUMNS = 600
ROWS = 64  # on a track of one line nobody tells more apart
LOW, HIGH = -1.0, 2.5  # deviations of a channel from its mean: GELU leaves little below it


def knobs(trace, utterance) -> dict[str, Knob]:
    return {"order": ordering()}


def panels(trace, utterance, order: str = FOLLOWED) -> list[Panel]:
    """A panel a layer, each on its own clock: every channel against its own mean, in standard deviations over time."""
    made, samples, power = [], len(utterance.waveform), sound(utterance)
    for conv, values in convolved(trace, utterance).items():
        frames = clock_of(trace).up_to(conv + 1)
        pooled, group = pool(values, COLUMNS)
        rows, names, axis = arranged(pooled, centres(frames, len(pooled), group), order, power)
        cells, several = pool(deviations(pooled).T[rows], ROWS)
        if several > 1:
            names = tuple(f"{several} channels from {name}" for name in names[::several])
        height = (0.0, float(several * len(cells)))
        picture = columns(cells, frames, group, LOW, HIGH, y=height, rows=names, quantity="z")
        before = clock_of(trace).up_to(conv).count(samples)
        words = (
            f"Kernel {frames.kernel[-1]}, stride {frames.stride[-1]}: {before:,} {'frames' if conv else 'samples'} → "
            f"{len(values):,} frames × {values.shape[1]} channels, one every {hop(frames):.4g} ms, "
            f"hearing {field(frames):.4g} ms each."
        )
        time = clock(samples / utterance.rate)
        made.append(Panel(f"conv_{conv}", f"Conv {conv}", (picture,), time, axis, words, weight=0.9))
    return made


def deviations(values: np.ndarray) -> np.ndarray:
    """Each channel (t, c) less its mean over time, over its standard deviation; 0 where it never moves."""
    there = values[np.isfinite(values).all(1)]
    if not len(there):
        return values
    spread = there.std(0)
    return (values - there.mean(0)) * np.where(spread > 1e-6, 1 / np.maximum(spread, 1e-6), 0.0)
