"""Prefix beam search: the labels whose paths are likeliest all together, with a language model's say if there is one.

    score(labels) = log sum over paths p(path)  +  weight * log p_lm(labels)  +  bonus * number of labels

Each prefix keeps two sums, of its paths that end in blank and in its last label: that tells ``a`` held from ``a`` said
again. With a width that holds every prefix the search is exact. Method: Hannun et al. 2014, algorithm 1.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf, log1p

import numpy as np

from unispeech_lab.ctc.arrays import batch, one_class

LanguageModel = Callable[[tuple[int, ...], int | None], float]  # log p of a label, or of the end, after those before it


@dataclass(frozen=True)
class Hypothesis:
    """Labels, the log of what all their paths come to, and that with the language model's say: ``score``."""

    labels: tuple[int, ...]
    log_prob: float
    score: float


def beam_search(
    log_probs,
    blank: int,
    width: int = 16,
    lengths=None,
    language_model: LanguageModel | None = None,
    weight: float = 0.5,
    bonus: float = 0.0,
    least: float = 1e-4,
) -> list:
    """The best labels, best first.

    Args:
        log_probs: (t, v) or (b, t, v) log-probabilities.
        blank: the class that says nothing.
        width: prefixes kept from frame to frame.
        lengths: (b,) frames that are speech.
        language_model: ``f(labels so far, next label or None for the end)`` -> natural log of its probability; asked
            once for each prefix and label. ``ctc.Arpa`` is one.
        weight: of the language model.
        bonus: a label, against a language model's liking for short sentences.
        least: classes less probable than this in a frame are passed over there.

    Returns:
        At most ``width`` hypotheses; for (b, t, v) a list of such lists.

    Raises:
        ValueError: a width below 1, a blank that is no class, or scores above 0, which are no log-probabilities.
    """
    rows = batch(log_probs, lengths)
    if width < 1:
        raise ValueError(f"expected a width of at least 1, found {width}")
    if any(row.size and row.max() > 1e-3 for row in rows):
        raise ValueError("expected log-probabilities, found scores above 0: take logits.log_softmax(-1)")
    blank = one_class(blank, np.shape(log_probs)[-1])
    found = []
    for row in rows:
        said = _Said(language_model, weight, bonus)
        found.append(_search(row, blank, width, float(np.log(least)) if least > 0 else -inf, said))
    return found if np.ndim(log_probs) == 3 else found[0]


class _Said:
    """What a language model and the bonus add to a prefix, remembered."""

    def __init__(self, model: LanguageModel | None, weight: float, bonus: float):
        self.model, self.weight, self.bonus = model, weight, bonus
        self.known: dict[tuple[int, ...], float] = {(): 0.0}

    def worth(self, prefix: tuple[int, ...]) -> float:
        if prefix not in self.known:
            asked = self.weight * self.model(prefix[:-1], prefix[-1]) if self.model else 0.0
            self.known[prefix] = self.worth(prefix[:-1]) + asked + self.bonus
        return self.known[prefix]

    def whole(self, labels: tuple[int, ...]) -> float:
        return self.worth(labels) + (self.weight * self.model(labels, None) if self.model else 0.0)


def _search(scores: np.ndarray, blank: int, width: int, least: float, said: _Said) -> list[Hypothesis]:
    beam = {(): (0.0, -inf)}  # prefix -> log sums of its paths that end in blank, and in its last label
    for row in scores.astype(np.float64):
        candidates = [(int(c), float(row[c])) for c in np.flatnonzero(row > least) if c != blank]
        grown: dict[tuple[int, ...], list[float]] = {}
        for prefix, (silent, spoken) in beam.items():
            total = _add(silent, spoken)
            same = grown.setdefault(prefix, [-inf, -inf])
            same[0] = _add(same[0], total + row[blank])
            if prefix:
                same[1] = _add(same[1], spoken + row[prefix[-1]])
            for label, score in candidates:
                before = silent if prefix and prefix[-1] == label else total
                if before > -inf:
                    longer = grown.setdefault((*prefix, label), [-inf, -inf])
                    longer[1] = _add(longer[1], before + score)
        ranked = sorted(grown.items(), key=lambda item: -(_add(*item[1]) + said.worth(item[0])))
        beam = {prefix: tuple(sums) for prefix, sums in ranked[:width] if max(sums) > -inf}
    ends = [Hypothesis(prefix, (p := _add(*sums)), p + said.whole(prefix)) for prefix, sums in beam.items()]
    return sorted(ends, key=lambda hypothesis: -hypothesis.score)


def _add(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    high, low = (a, b) if a > b else (b, a)
    return high if low == -inf else high + log1p(exp(low - high))
