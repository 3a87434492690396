"""Borders: how far those of an alignment lie from the true ones, phone class by phone class."""

from dataclasses import replace

import numpy as np

from unispeech_lab import boundaries
from unispeech_lab.alignment import METHODS
from unispeech_lab.views.alignment import NEAR, knobs, place, tolerance, watches
from unispeech_lab.views.panel import Axis, Bars, Panel

__all__ = ["knobs", "panels", "watches"]

SIDES = ("onset", "offset")
LEGEND = (("[", "onset"), ("]", "offset"))
SHORT = {"fricative": "fric.", "approximant": "appr.", "affricate": "affr."}  # so that names fit under their bars
AROUND = 0.1  # seconds on either side of a border that a click plays


def panels(trace, utterance, method: str) -> list[Panel]:
    """A pair of bars a class, the median of what onsets and offsets are off; beside them a curve a method."""
    placed, known = place(trace, utterance, method, *METHODS)  # the chosen one is the first curve
    unknown = f"{len(placed[method])} phones, as greedy reads them, and no truth that they could be held against."
    found = {
        name: boundaries.errors(spans if known else (), utterance.phones if known else ())
        for name, spans in placed.items()
    }
    curve = tolerance(found)[0]
    curve = replace(curve, title="Borders within a tolerance", share=0.5, words=curve.words if known else unknown)
    return [by_class(found[method], utterance, method, "" if known else unknown), curve]


def by_class(errors, utterance, method: str, unknown: str) -> Panel:
    """What the borders of each class are off; a click plays the sound around the worst."""
    rows = boundaries.by_class(errors)
    kinds = [kind for kind in rows.index if kind != "all"]
    counts = dict(rows["phones"]) if kinds else {}
    shown = [(kind, side) for kind in kinds for side in SIDES] or [("–", "onset")]
    off = np.array([rows.loc[kind, f"{side} off"] if kinds else np.nan for kind, side in shown])
    seconds = len(utterance.waveform) / utterance.rate
    times = np.array([worst(errors, utterance, kind, side) for kind, side in shown])
    bars = Bars(
        off,
        tuple(f"{side}s of {counts.get(kind, 0)} phones: {kind}" for kind, side in shown),
        np.array([SIDES.index(side) for _, side in shown]),
        LEGEND,
        np.clip(np.stack([times - AROUND, times + AROUND], 1), 0.0, seconds),
        "ms",
        "median error",
    )
    words = unknown
    if np.isfinite(off).any():
        told = [f"{kind} {side}s {off[k]:.0f} ms" for k, (kind, side) in enumerate(shown)]
        counted = boundaries.borders(errors)
        words = f"Half of {len(counted)} borders are within {1000 * np.median(np.abs(counted)):.0f} ms; "
        words += f"farthest off are {told[int(np.nanargmax(off))]}, nearest {told[int(np.nanargmin(off))]}."
    top = 1.25 * max(float(np.nanmax(off, initial=0)), 1000 * NEAR)
    ticks = [(len(SIDES) * k + 1.0, SHORT.get(kind, kind)) for k, kind in enumerate(kinds)]
    axes = Axis("phone class", "", 0.0, float(len(shown)), ticks), Axis("off by", "ms", -0.02 * top, top)
    return Panel("borders", f"Borders by class, {method}", (bars,), *axes, words, weight=2.2, share=0.5)


def worst(errors, utterance, kind: str, side: str) -> float:
    """When the border is, in truth, that is farthest off among those of a class; the middle of the sound if none is."""
    off = errors[side].abs()[errors["kind"] == kind].dropna()
    if off.empty:
        return len(utterance.waveform) / utterance.rate / 2
    span = utterance.phones[off.idxmax()]
    return span.start if side == "onset" else span.end
