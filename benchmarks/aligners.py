"""Aligners: ours beside ctc-segmentation and a plain numpy Viterbi, on 10 minutes with 6,000 phones."""

from functools import partial
from importlib.util import find_spec

import numpy as np
from measure import pair, peak_bytes, size, speed

from unispeech_lab import ctc

CLASSES, BLANK = 45, 0


def aligners(runs: int) -> list[dict]:
    """10 minutes with 6,000 phones; an hour with 36,000 for its memory."""
    scores, labels = spoken(30_000, 6_000)
    ours, plain = partial(ctc.viterbi, scores, labels, BLANK), partial(textbook, scores, labels)
    assert np.array_equal(ours().owner, plain())
    ten = "alignment, 6,000 phones in 10 minutes, against"
    rows = [speed(f"{ten} plain numpy", pair(ours, plain, max(runs // 3, 2)), 1.0)]
    if find_spec("ctc_segmentation"):  # an extra: aligners
        rows.append(speed(f"{ten} ctc-segmentation", pair(ours, segmentation(scores, labels), runs), 1.0))
    table = 180_000 * 72_001  # a byte a state and frame
    rows.append(size("alignment, 36,000 phones in an hour, against int8 back-pointers", peak_bytes(hour), table, 0.1))
    return rows


def segmentation(scores: np.ndarray, labels: np.ndarray):
    import ctc_segmentation

    config = ctc_segmentation.CtcSegmentationParameters(char_list=[str(k) for k in range(CLASSES)])
    config.index_duration, config.min_window_size = 0.02, len(scores)  # smaller ones fail here, and are tried again
    truth, _ = ctc_segmentation.prepare_token_list(config, [labels])
    return partial(ctc_segmentation.ctc_segmentation, config, scores, truth)


def hour():
    scores, labels = spoken(180_000, 36_000)
    return partial(ctc.viterbi, scores, labels, BLANK)


def spoken(frames: int, phones: int) -> tuple[np.ndarray, np.ndarray]:
    """Log-probabilities (frames, classes) as a CTC model gives them, peaky, a tenth of its phones wrong; the labels."""
    rng = np.random.default_rng(0)
    labels = rng.integers(1, CLASSES, phones)
    starts = np.sort(rng.choice(frames - 2 * phones, phones, replace=False)) + 2 * np.arange(phones)
    said = np.full(frames, BLANK)
    said[starts] = np.where(rng.random(phones) < 0.1, rng.integers(0, CLASSES, phones), labels)
    scores = rng.normal(size=(frames, CLASSES)).astype(np.float32) * 1.5
    scores[np.arange(frames), said] += 8
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)), labels


def textbook(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The owner of each frame, by one table of int8 back-pointers over all 2 l + 1 states."""
    states = np.full(2 * len(labels) + 1, BLANK)
    states[1::2] = labels
    skips = np.zeros(len(states), dtype=bool)
    skips[3::2] = labels[1:] != labels[:-1]
    score = np.full(len(states), -np.inf)
    score[0] = 0
    back = np.zeros((len(scores), len(states)), dtype=np.int8)
    for t, row in enumerate(scores):
        came = np.full((3, len(states)), -np.inf)
        came[0], came[1, 1:], came[2, 2:] = score, score[:-1], np.where(skips[2:], score[:-2], -np.inf)
        if t == 0:
            came[1, 2:] = -np.inf
        back[t] = came.argmax(axis=0)
        score = came.max(axis=0) + row[states]
    state = len(states) - 1 - (score[-2] > score[-1])
    owner = np.empty(len(scores), dtype=np.int64)
    for t in reversed(range(len(scores))):
        owner[t] = state // 2 if state % 2 else -1
        state -= back[t, state]
    return owner
