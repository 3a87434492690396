"""Forced alignment: log-probabilities of phones, made into spans that say how far they can be trusted.

score  = exp(mean of log p(phone))                         over the frames in which the path names the phone: 0 to 1
margin = mean of log p(phone) - log p(best other class)    over the same frames, in nats; below 0: another is likelier
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from unispeech_lab import ctc
from unispeech_lab.alignment.change import change
from unispeech_lab.alignment.methods import METHODS
from unispeech_lab.alignment.span import Span
from unispeech_lab.ctc.arrays import batch
from unispeech_lab.frames import Frames
from unispeech_lab.recording import Recording

STAR = "*"  # written for a stretch whose text is missing
DOUBT = 0.4  # below this share of phones that the model hears itself, the alignment says that it is not to be trusted


@dataclass(frozen=True, eq=False)
class Alignment:
    """Phones and words in time. ``remarks`` says, in plain words, why it should be doubted: empty if nothing does.

    ``phones`` and ``words`` have scores from 0 to 1 (None for ``*``). ``margins`` (l,) in nats, one a phone: how far it
    is ahead of the best other class. ``heard`` is the share of phones with a margin above 0: what the model, asked
    alone, would have said there too. ``path`` is the CTC path that it went by, ``method`` how it became spans.
    """

    phones: tuple[Span, ...]
    words: tuple[Span, ...]
    margins: np.ndarray
    heard: float
    seconds: float
    remarks: tuple[str, ...]
    path: ctc.Path
    method: str

    @property
    def tiers(self) -> dict[str, tuple[Span, ...]]:
        """``{"words": ..., "phones": ...}``, for the formats."""
        return {"words": self.words, "phones": self.phones}

    def __repr__(self) -> str:
        said = [f"{len(self.phones)} phones in {self.seconds:.2f} s, {self.heard:.0%} of them heard", *self.remarks]
        return f"Alignment({'; '.join(said)})"


def align(
    log_probs,
    phones: Iterable[Sequence[str]],
    vocabulary,
    words: Sequence[str] = (),
    frames: Frames | None = None,
    seconds: float | None = None,
    method: str = "centroid",
    waveform: np.ndarray | Recording | None = None,
    progress: Callable[[float], None] | None = None,
) -> Alignment:
    """Phones in order, each where the model hears it.

    Args:
        log_probs: (t, v) log-probabilities of classes, numpy or torch.
        phones: words of phones, ``[["ð", "ə"], ["k", "æ", "t"]]``; ``"*"`` among them is anything at all.
        vocabulary: a ``Vocabulary``: phones to classes, and the blank.
        words: the label of each word; its phones run together where there are none.
        frames: the model's clock (``model.frames``); 16 kHz and 20 ms if None.
        seconds: where the sound ends; the last frame's end if None.
        method: how peaks become spans, out of ``METHODS``.
        waveform: (n,) the sound, 16 kHz, or a ``Recording`` of it, for the method ``"spectral"``.
        progress: called with the share that is done, from 0 to 1.

    Raises:
        ValueError: no phones; phones the vocabulary does not have; text longer than the sound; labels of words that are
            not as many; logits instead of log-probabilities; a method that is not there.
    """
    (scores,) = batch(log_probs)
    _check(scores, vocabulary)
    if method not in METHODS:
        raise ValueError(f"expected a method out of {', '.join(METHODS)}, found {method!r}")
    spelt = [list(word) for word in phones]
    said = [phone for word in spelt for phone in word]
    if not said:
        raise ValueError("expected at least one phone to align, found none: what is said?")
    words = list(words) or ["".join(word) for word in spelt]
    if len(words) != len(spelt):
        raise ValueError(f"expected a label for each of {len(spelt)} words of phones, found {len(words)}: {words}")
    labels = encode(said, vocabulary)
    clock = frames or Frames()
    changes = None if waveform is None else change(waveform, len(scores), clock)
    path, borders = METHODS[method](scores, labels, vocabulary.blank, change=changes, progress=progress)
    times = clock.centre(borders - 0.5)
    times = np.clip(times, 0, clock.centre(len(scores) - 0.5) if seconds is None else seconds)
    evidence, margins = _evidence(scores, path)
    return _gather(said, spelt, words, times, evidence, margins, path, scores, clock, seconds, method)


def rescore(log_probs, spans: Iterable[Span], vocabulary, frames: Frames | None = None) -> tuple[Span, ...]:
    """The same spans, each with the score that the model gives it: for a tier that a person has corrected.

    A span's score is the highest probability that its phone has in a frame within it: CTC names a phone once, and a
    span is not to blame for the blanks around. 0.0 where the vocabulary does not have the phone, None for ``*``.

    Raises:
        ValueError: logits instead of log-probabilities.
    """
    (scores,) = batch(log_probs)
    _check(scores, vocabulary)
    clock, known = frames or Frames(), set(vocabulary.phones)
    scored = []
    for span in spans:
        first, last = (int(np.clip(clock.nearest(x), 0, len(scores) - 1)) for x in (span.start, span.end))
        score = None if span.label == STAR else 0.0
        if span.label in known:
            column = scores[first : max(last, first + 1), encode([span.label], vocabulary)[0]]
            score = float(np.exp(column.max()))
        scored.append(Span(span.label, span.start, span.end, score))
    return tuple(scored)


def encode(phones: Sequence[str], vocabulary) -> list[int]:
    """Classes of phones, ``ctc.STAR`` for ``*``. Raises ValueError, naming them, for phones that it does not have."""
    known = iter(vocabulary.encode([phone for phone in phones if phone != STAR]))
    return [ctc.STAR if phone == STAR else next(known) for phone in phones]


def fit(phones: Iterable[Sequence[str]], vocabulary) -> tuple[list[list[str]], list[str]]:
    """Words of phones with ``*`` for those that a vocabulary does not have; and which those were, sorted."""
    known = {*vocabulary.phones, STAR}
    spelt = [list(word) for word in phones]
    missing = sorted({phone for word in spelt for phone in word} - known)
    return [[phone if phone in known else STAR for phone in word] for word in spelt], missing


def _check(scores: np.ndarray, vocabulary) -> None:
    if scores.shape[1] != len(vocabulary):
        raise ValueError(f"expected scores of the {len(vocabulary)} classes of the vocabulary, found {scores.shape[1]}")
    total = np.logaddexp.reduce(scores[:100], axis=1)
    if np.abs(total).max(initial=0) > 0.05:
        raise ValueError("expected log-probabilities, which sum to one, found others: take logits.log_softmax(-1)")


def _evidence(scores: np.ndarray, path: ctc.Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean log-probability (l,) of each label over the frames that name it, and mean lead over the best other class."""
    spoken = np.flatnonzero(path.owner >= 0)
    classes, owner = path.classes[spoken], path.owner[spoken]
    rows = scores[spoken]
    own = rows[np.arange(len(rows)), classes]
    rows[np.arange(len(rows)), classes] = -np.inf
    lead = np.clip(own - rows.max(axis=1), -1e3, 1e3)
    counts = np.bincount(owner, minlength=len(path.labels))
    mean = [np.bincount(owner, values, minlength=len(path.labels)) / counts for values in (own, lead)]
    return mean[0], mean[1]


def _gather(said, spelt, words, times, evidence, margins, path, scores, clock, seconds, method) -> Alignment:
    phones = tuple(
        Span(phone, float(start), float(end), None if phone == STAR else float(min(np.exp(e), 1.0)))
        for phone, (start, end), e in zip(said, times, evidence, strict=True)
    )
    spans, k = [], 0
    for label, word in zip(words, spelt, strict=True):
        inside = phones[k : k + len(word)]
        if inside:
            known = [e for e, phone in zip(evidence[k : k + len(word)], word, strict=True) if phone != STAR]
            score = float(min(np.exp(np.mean(known)), 1.0)) if known else None
            spans.append(Span(label, inside[0].start, inside[-1].end, score))
        k += len(word)
    sound = np.array([phone != STAR for phone in said])
    heard = float((margins[sound] > 0).mean()) if sound.any() else 0.0
    end = float(clock.centre(len(scores) - 0.5)) if seconds is None else seconds
    remarks = _remarks(scores, path, heard, int(sound.sum()))
    return Alignment(phones, tuple(spans), margins, heard, end, remarks, path, method)


def _remarks(scores: np.ndarray, path: ctc.Path, heard: float, count: int) -> tuple[str, ...]:
    """Why not to trust it, if there is a reason."""
    blank = path.classes[path.owner < 0]
    if blank.size and (scores.argmax(axis=1) == blank[0]).all():
        return ("low confidence: the model hears no phone at all: is this speech?",)
    if count and heard < DOUBT:
        wins = round(heard * count)
        return (f"low confidence: of {count} phones the model hears {wins} where they are put: is this what is said?",)
    return ()
