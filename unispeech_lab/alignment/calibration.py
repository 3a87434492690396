"""Calibration: evidence made into the chance that both borders of a phone lie within 20 ms of the truth.

    chance = sigmoid(w0 + w1 logit(e) + w2 x + sum_k w_k max(x - log bend_k, 0))   x = log seconds of the phone

``e`` is the score as ``align`` gives it: how likely the model finds the phone where it names it. That alone says little
of borders; how long the phone came out says more, for a border that went astray leaves a phone too short or too long.
Logistic regression after Platt 1999, a set of weights for each method of ``METHODS``. What a model's were fitted on
lies beside it as ``calibration.json``; ``unispeech-lab calibrate`` writes one.

    calibration = Calibration.fit([(align(...), utterance.phones), ...])
    surer = calibration(align(...))                     the same spans; each score a chance, margins as they were
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from unispeech_lab import boundaries
from unispeech_lab.alignment.forced import Alignment
from unispeech_lab.alignment.span import Span

NAME = "calibration.json"
NEAR = 0.020  # seconds
BENDS = (0.03, 0.05, 0.08, 0.12, 0.2)  # seconds of a phone
LEAST = 100  # phones to fit on
COLUMNS = ("method", "before", "after", "right")


@dataclass(frozen=True)
class Calibration:
    """Weights (8,) by method. Calling it gives an alignment whose scores are chances, if what is written was said.

    An alignment that doubts its text (``remarks``), or went by another method, comes back as it is: there is no truth
    for a phone that nobody said to be near.
    """

    weights: Mapping[str, tuple[float, ...]]
    near: float = NEAR

    def __call__(self, alignment: Alignment) -> Alignment:
        weights = self.weights.get(alignment.method)
        if weights is None or alignment.remarks:
            return alignment
        chances = iter(1 / (1 + np.exp(-features(alignment.phones) @ np.array(weights))))
        phones = tuple(replace(p, score=float(next(chances))) if p.score is not None else p for p in alignment.phones)
        return replace(alignment, phones=phones, words=_words(alignment.words, phones))

    @classmethod
    def fit(cls, found: Iterable[tuple[Alignment, Sequence[Span]]], near: float = NEAR) -> "Calibration":
        """From alignments and the true spans of their phones.

        Raises:
            ValueError: fewer than ``LEAST`` phones by a method whose borders are known, or all of them right or wrong.
        """
        from sklearn.linear_model import LogisticRegression

        rows: dict[str, list] = {}
        for alignment, truth in found:
            if not alignment.remarks:
                known, right = verdicts(alignment, truth, near)
                rows.setdefault(alignment.method, []).append((features(alignment.phones)[known], right))
        weights = {}
        for method, parts in (rows or {"none": [(features(()), np.zeros(0, bool))]}).items():
            x, right = (np.concatenate(column) for column in zip(*parts, strict=True))
            if len(x) < LEAST or right.all() or not right.any():
                raise ValueError(
                    f"expected {LEAST} phones or more with true borders, some within {1000 * near:g} ms and some not, "
                    f"found {len(x)} by the method {method}, {right.sum()} of them within: give more speech"
                )
            fitted = LogisticRegression(C=10.0, fit_intercept=False, max_iter=10_000).fit(x, right)
            weights[method] = tuple(map(float, fitted.coef_[0]))
        return cls(weights, near)

    def save(self, folder: str | PathLike) -> None:
        """Write ``calibration.json`` into a model's folder."""
        said = {"near": self.near, "bends": BENDS, "weights": self.weights}
        Path(folder, NAME).write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: str | PathLike) -> "Calibration":
        """From a ``calibration.json``, or its folder. Raises ValueError for anything else, naming it."""
        file = Path(file) / NAME if Path(file).is_dir() else Path(file)
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
            weights = {method: tuple(map(float, row)) for method, row in said["weights"].items()}
            if tuple(said["bends"]) != BENDS or {len(row) for row in weights.values()} - {3 + len(BENDS)}:
                raise ValueError(f"bends {said['bends']}")
            return cls(weights, float(said["near"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{file}: expected what Calibration.save writes, found {error!r}") from error


def features(phones: Iterable[Span]) -> np.ndarray:
    """Rows (l, 8) of what a chance is made of, for phones with a score."""
    given = [(phone.score, phone.duration) for phone in phones if phone.score is not None]
    score, seconds = np.array(given, dtype=float).reshape(-1, 2).T
    x = np.log(np.maximum(seconds, 0.01))
    odds = np.log(score + 1e-3) - np.log(1 - score + 1e-3)
    return np.stack([np.ones_like(x), odds, x, *(np.maximum(x - np.log(bend), 0) for bend in BENDS)], axis=1)


def verdicts(alignment: Alignment, truth: Sequence[Span], near: float = NEAR) -> tuple[np.ndarray, np.ndarray]:
    """Which phones (l,) have two borders that are known, and of those (m,) which are near at both."""
    off = boundaries.errors(alignment.phones, truth)[["onset", "offset"]].abs()
    known = off.notna().all(axis=1).to_numpy()
    return known, (off.max(axis=1) <= near + 1e-9).to_numpy()[known]


def held_out(found: Sequence[tuple[Alignment, Sequence[Span]]], folds: int = 5) -> pd.DataFrame:
    """A row a phone, calibrated by sentences with other phones: ``method``, ``before``, ``after``, ``right``.

    Raises:
        ValueError: as ``Calibration.fit`` does.
    """
    texts, rows = [tuple(span.label for span in truth) for _, truth in found], []
    fold = {text: k % folds for k, text in enumerate(sorted(set(texts)))}
    for away in range(folds):
        calibration = Calibration.fit(pair for text, pair in zip(texts, found, strict=True) if fold[text] != away)
        for text, (alignment, truth) in zip(texts, found, strict=True):
            if fold[text] == away and not alignment.remarks:
                known, right = verdicts(alignment, truth)
                scores = [np.array([p.score for p in a.phones])[known] for a in (alignment, calibration(alignment))]
                rows.append(pd.DataFrame(dict(zip(COLUMNS, (alignment.method, *scores, right), strict=True))))
    return pd.concat(rows, ignore_index=True)


def _words(words: Sequence[Span], phones: Sequence[Span]) -> tuple[Span, ...]:
    """Each word with the mean score of the phones within it."""
    scored, k = [], 0
    for word in words:
        inside = []
        while k < len(phones) and phones[k].end <= word.end:
            inside.append(phones[k].score)
            k += 1
        known = [score for score in inside if score is not None]
        scored.append(replace(word, score=float(np.mean(known)) if known else None))
    return tuple(scored)
