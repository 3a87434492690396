"""Right answers to the exercises that nothing else in the library computes, so that no check has to spell them out.

Whoever does the exercises reads this file last.
"""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from unispeech_lab.alignment import Span


def longest(phones: Sequence[Span]) -> str:
    """Notebook 00, one: the label of the phone that lasts longest."""
    return max(phones, key=lambda phone: phone.duration).label


def gazed(pattern: Tensor) -> int:
    """Notebook 00, two: the frame that gets most of the attention of a pattern (t, t), whose rows look."""
    return int(pattern.sum(0).argmax())


def named(found: Sequence[str | None], truth: Sequence[str | None]) -> float:
    """Notebook 00, three: of the frames in which a phone is found, the share in which it is the true one."""
    judged = [(a, b) for a, b in zip(found, truth, strict=True) if a is not None]
    return sum(a == b for a, b in judged) / len(judged)


def draw(logits: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Notebook 03, two: codes (n,) drawn from logits (n, v) by uniform numbers (n, v), as Gumbel's noise draws them."""
    return (logits - np.log(-np.log(u))).argmax(1)


def guessed(shares: np.ndarray) -> np.ndarray:
    """Notebook 06, three: what guessing costs (n,), in nats, where a share (n,) of 100 negatives is left out."""
    return np.log1p(100 * (1 - shares))


def pooled(states: Tensor, speech: Tensor) -> Tensor:
    """Notebook 09, two: the mean (d,) of states (t, d) over the frames that are speech (t,)."""
    return states[speech].mean(0)


def weighted(layers: Tensor, raw: Tensor) -> Tensor:
    """Notebook 09, three: the mixture (t, d) of layers (l, t, d) by the softmax of raw weights (l,)."""
    return (layers * raw.softmax(0)[:, None, None]).sum(0)


def doubtful(spans: Sequence[Span], least: float) -> list[str]:
    """Notebook 11, three: the labels of the spans that score less than ``least``, the worst first."""
    return [span.label for span in sorted(spans, key=lambda span: span.score) if span.score < least]
