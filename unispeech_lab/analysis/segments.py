"""Segments: borders found without text, and how many of the true ones they hit.

    codes    a border wherever a code changes
    steady   the same, of codes that pay a price for every change                         (Kamper and van Niekerk 2021)
    jumps    a border at each peak of the distance between one frame's state and the next's   (Kreuk et al. 2020)
    spikes   a border where greedy CTC begins to name a label
    chance   as many borders, evenly spaced

    precision = hits / found     recall = hits / true     over = found / true - 1     F1 = 2 P R / (P + R)
    R-value = 1 - (|r1| + |r2|) / 2     r1 = sqrt((1 - R)^2 + over^2)     r2 = (R - 1 - over) / sqrt 2

A hit is a found border within a tolerance of a true one; each of both is in one hit at most, and there are as many hits
as can be. Precision, recall and so F1 can be bought with more borders: the R-value (Räsänen, Laine and Altosaar 2009)
falls to nought and below where there are too many.

Jumps: Kreuk, Keshet and Adi 2020, arXiv 2007.13465. Steady codes: Kamper and van Niekerk 2021, arXiv 2012.07551, whose
price is on the length of segments.

Shapes: ``t`` frame, ``g`` group, ``d`` width, ``u`` utterance. Times are seconds.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.signal import find_peaks

from unispeech_lab.alignment.span import Span
from unispeech_lab.analysis.movement import distances
from unispeech_lab.codebook import softmax
from unispeech_lab.frames import Frames

TOLERANCES = (0.010, 0.020, 0.030, 0.050)  # seconds
PROMINENCE = 0.1  # of a peak, in shares of the range of jumps within the utterance; ``choose`` finds a better one
PROMINENCES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
PRICE = 48.0  # nats that a change of code has to be worth; ``choose`` finds a better one
PRICES = (0.0, 4.0, 8.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0)
PHASES = 10  # of the even spacing that chance is averaged over


class Score(NamedTuple):
    """How borders compare with the true ones: shares, but for ``r_value`` (at most 1) and ``over`` (0: as many)."""

    precision: float
    recall: float
    f1: float
    r_value: float
    over: float


# ---- borders --------------------------------------------------------------------------------------------------------


def from_codes(codes: np.ndarray, frames: Frames) -> np.ndarray:
    """Where the code of any group changes: seconds, of codes (t,) or (t, g)."""
    codes = np.asarray(codes)
    codes = codes.reshape(len(codes), -1)
    return between(np.flatnonzero((codes[1:] != codes[:-1]).any(1)), frames)


def steady(logits: np.ndarray, price: float = PRICE) -> np.ndarray:
    """The codes (t, g) that are likeliest of all, where every change from one frame to the next costs ``price`` nats.

    Of logits (t, g, v), by dynamic programming over all combinations of the groups' codes: of two groups of 320 codes
    these are 102,400, and 0.8 MB, a frame. At price 0 they are the codes that the quantizer chose.
    """
    scores = np.log(np.maximum(softmax(np.asarray(logits, np.float32)), 1e-12))
    count, groups, size = scores.shape
    joint = scores[:, 0]
    for group in range(1, groups):
        joint = (joint[:, :, None] + scores[:, group, None]).reshape(count, joint.shape[1] * size)
    best, came = joint[0] if count else None, np.zeros(joint.shape, np.int32)
    stay = np.arange(joint.shape[1], dtype=np.int32)
    for t in range(1, count):
        leader = int(best.argmax())
        moves = best < best[leader] - price
        came[t] = np.where(moves, leader, stay)
        best = np.where(moves, best[leader] - price, best) + joint[t]
    path = np.zeros(count, int)
    for t in range(count - 1, -1, -1):
        path[t] = best.argmax() if t == count - 1 else came[t + 1, path[t + 1]]
    return np.stack(np.unravel_index(path, (size,) * groups), axis=1)


def from_jumps(
    states: np.ndarray, frames: Frames, prominence: float = PROMINENCE, distance: str = "cosine"
) -> np.ndarray:
    """Where states (t, d) change most: seconds.

    ``prominence`` is how far a peak must stand out above its surroundings, 0 to 1; more leaves fewer borders.
    """
    return peaks(jumps(states, distance), frames, prominence)


def from_spikes(classes: np.ndarray, blank: int, frames: Frames) -> np.ndarray:
    """Where a label begins in the best class of each frame (t,): seconds."""
    classes = np.asarray(classes)
    before = np.concatenate([[blank], classes[:-1]])
    return between(np.flatnonzero((classes != blank) & (classes != before)) - 1, frames)


def of_spans(spans: Iterable[Span]) -> np.ndarray:
    """Starts and ends of phones, where one ends as the next begins a single border: seconds. Those of a convention
    (score 0.0) count as well: whoever finds them is not wrong."""
    times = np.sort([time for span in spans for time in (span.start, span.end)])
    return times[np.diff(times, prepend=-np.inf) > 1e-6]


def evenly(count: int, seconds: float, phase: float = 0.5) -> np.ndarray:
    """So many borders in so many seconds, all equally far apart; ``phase`` shifts them by a share of that."""
    return (np.arange(count) + phase) * seconds / max(count, 1)


def jumps(states: np.ndarray, distance: str = "cosine") -> np.ndarray:
    """From each frame of states (t, d) to the next (t - 1,), scaled to reach from 0 to 1 within the utterance."""
    states = np.asarray(states, np.float64)
    curve = np.nan_to_num(distances(states[:-1], states[1:], distance))
    curve = curve - curve.min(initial=np.inf) if len(curve) else curve
    return curve / curve.max() if curve.any() else curve


def peaks(curve: np.ndarray, frames: Frames, prominence: float = PROMINENCE) -> np.ndarray:
    """Seconds of the peaks of ``jumps`` (t - 1,) that stand out so far."""
    return between(find_peaks(curve, prominence=max(prominence, 1e-9))[0], frames)


def between(first: np.ndarray, frames: Frames) -> np.ndarray:
    """Seconds half way between each of these frames and the next."""
    return np.asarray(frames.centre(np.asarray(first) + 0.5), float)


# ---- scores ---------------------------------------------------------------------------------------------------------


def hits(found: np.ndarray, true: np.ndarray, tolerance: float) -> int:
    """The most pairs of a found border and a true one at most ``tolerance`` apart, none of either in two.

    Both in order: what is too early for the first of the others is too early for all (as matching on a line goes).
    """
    pairs = i = j = 0
    found, true = np.sort(found), np.sort(true)
    while i < len(found) and j < len(true):
        off = found[i] - true[j]
        met = abs(off) <= tolerance + 1e-9  # what is exactly so far off is a hit, however it was rounded
        pairs, i, j = pairs + met, i + (met or off < 0), j + (met or off > 0)
    return int(pairs)


def score(found: np.ndarray, true: np.ndarray, tolerance: float) -> Score:
    """How well borders of one utterance (seconds) hit the true ones. NaN without a true one."""
    return Score(*map(float, rates(np.array([hits(found, true, tolerance), len(found), len(true)]))))


def rates(counts: np.ndarray) -> np.ndarray:
    """Hits, found, true (..., 3) to the five numbers of ``Score`` (5, ...); NaN where nothing is true, precision and
    F1 nought where nothing was found."""
    hit, found, true = np.moveaxis(np.asarray(counts, float), -1, 0)
    true = np.where(true > 0, true, np.nan)
    precision = np.where(np.isnan(true), np.nan, hit / np.maximum(found, 1))
    recall, over, f1 = hit / true, found / true - 1, 2 * hit / (found + true)
    distance, lean = np.hypot(1 - recall, over), np.abs(recall - 1 - over) / np.sqrt(2)
    return np.stack([precision, recall, f1, 1 - (distance + lean) / 2, over])


def table(
    found: Sequence[np.ndarray],
    true: Sequence[np.ndarray],
    seconds: Sequence[float] | None = None,
    tolerances: Sequence[float] = TOLERANCES,
    seed: int = 0,
    draws: int = 1000,
) -> pd.DataFrame:
    """A row a tolerance: the numbers of ``Score`` over all utterances, each with ``_low`` and ``_high``.

    Hits are summed, then divided. The 95 % interval is that of a bootstrap over utterances, NaN where there is only
    one. With the utterances' ``seconds`` also ``f1_chance`` and ``r_value_chance``: as many borders in each, evenly
    spaced, hits averaged over phases.

    Raises:
        ValueError: not as many of one as of the other.
    """
    lengths = {len(found), len(true), *([] if seconds is None else [len(seconds)])}
    if len(lengths) > 1:
        raise ValueError(
            f"expected borders of the same utterances, found {len(found)} of them and {len(true)} true ones"
        )
    drawn = np.random.default_rng(seed).integers(0, max(len(true), 1), (draws, len(true)))
    rows = []
    for tolerance in tolerances:
        triples = [(hits(one, other, tolerance), len(one), len(other)) for one, other in zip(found, true, strict=True)]
        counts = np.array(triples).reshape(-1, 3)
        edges = np.full((5, 2), np.nan)
        if len(true) > 1:
            edges = np.nanquantile(rates(counts[drawn].sum(1)), [0.025, 0.975], axis=1).T
        row: dict[str, float] = {"tolerance": tolerance}
        for name, value, (low, high) in zip(Score._fields, rates(counts.sum(0)), edges, strict=True):
            row |= {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}
        if seconds is not None:
            luck = sum(map(lucky, counts[:, 1], true, seconds, [tolerance] * len(true)))
            chance = Score(*map(float, rates(np.array([luck, *counts[:, 1:].sum(0)]))))
            row |= {"f1_chance": chance.f1, "r_value_chance": chance.r_value}
        rows.append(row)
    return pd.DataFrame(rows)


def lucky(count: int, true: np.ndarray, seconds: float, tolerance: float) -> float:
    """The hits of so many evenly spaced borders, on average over where the first of them is."""
    phases = (np.arange(PHASES) + 0.5) / PHASES
    return float(np.mean([hits(evenly(count, seconds, phase), true, tolerance) for phase in phases]))


def choose(
    find: Callable[[np.ndarray, float], np.ndarray],
    heard: Sequence[np.ndarray],
    true: Sequence[np.ndarray],
    among: Sequence[float],
    tolerance: float = 0.020,
) -> float:
    """The setting with which ``find(one, setting)`` has the highest R-value on utterances held out from those scored.

    >>> choose(lambda curve, prominence: peaks(curve, frames, prominence), curves, true, PROMINENCES)
    """

    def worth(setting: float) -> float:
        found = [find(one, setting) for one in heard]
        return table(found, true, tolerances=[tolerance], draws=1)["r_value"][0]

    return max(among, key=worth)
