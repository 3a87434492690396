"""Composing: masks that hide what one wants hidden, painted by hand or drawn along spans, phones, words."""

from collections.abc import Iterable

import numpy as np

from unispeech_lab.analysis.negatives import spoken
from unispeech_lab.corpus import Utterance
from unispeech_lab.frames import Frames

PAINTED, SPANS, PHONES, WORDS = WAYS = "painted alone", "random spans", "phones", "words"
ANY = "any"
SPAN = 10  # frames: that of UniSpeech and wav2vec 2.0


def compose(
    frames: Frames,
    utterance: Utterance,
    painted: Iterable[tuple[float, float]] = (),
    how: str = PAINTED,
    share: float = 0.5,
    phone: str = ANY,
    seed: int = 0,
) -> np.ndarray:
    """(t,) bool, the frames to hide: those whose middle lies in a stretch.

    Args:
        painted: stretches in seconds; hidden whatever else is.
        how: what is hidden besides, out of ``WAYS``.
        share: of the phones or words (at least one); of the utterance, by spans if none overlapped. With a greater
            share more is hidden, and none comes back.
        phone: ``ANY``, or a label: every phone of it is hidden, every word that holds one, whatever the share.
        seed: of what is drawn.

    Raises:
        ValueError: a way that there is not.
    """
    if how not in WAYS:
        raise ValueError(f"expected a way to mask out of {', '.join(WAYS)}, found {how!r}")
    count = int(frames.count(len(utterance.waveform)))
    middles, draw = frames.centre(np.arange(count)), np.random.default_rng(seed)
    hidden = np.zeros(count, bool)
    for start, end in painted:
        hidden |= (start <= middles) & (middles < end)
    if how == SPANS:
        starts = draw.permutation(max(count - SPAN, 0) + 1)[: max(round(share * count / SPAN), 1)]
        hidden |= ((np.arange(count)[:, None] - starts) // SPAN == 0).any(1)
    if how in (PHONES, WORDS):
        spans = utterance.phones if how == PHONES else utterance.words
        which = spoken(spans, middles)
        there = draw.permutation(np.unique(which[which >= 0]))
        chosen = there[: max(round(share * len(there)), 1)]
        if phone != ANY:
            said = [(span.start + span.end) / 2 for span in utterance.phones if span.label == phone]
            chosen = [k for k, span in enumerate(spans) if any(span.start <= at < span.end for at in said)]
        hidden |= np.isin(which, chosen)
    return hidden
