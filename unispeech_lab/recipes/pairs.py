"""Pairs: a phone of one utterance beside another phone, whose frames are to stand in its place.

minimal pairs   a text of the corpus, said by espeak-ng as it is and with the one phone exchanged, in one voice
corpus          the phone wherever it is said; for each the other phone where speaker and neighbours are most alike
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unispeech_lab.analysis import minimal
from unispeech_lab.corpus import Utterance


@dataclass(frozen=True, eq=False)
class Pair:
    """Phone ``phone`` (its place) of an ``utterance``, and phone ``other`` of a ``donor``."""

    utterance: Utterance
    phone: int
    donor: Utterance
    other: int


def find(
    utterances: Sequence[Utterance], phone: str, by: str, source: str, most: int, seed: int = 0
) -> tuple[list[Pair], str]:
    """At most so many pairs, and where they are from: ``minimal pairs`` or ``corpus``; ``either`` is the first of both
    that has any.

    Raises:
        ValueError: there is none.
    """
    order = np.random.default_rng(seed).permutation(len(utterances))
    shuffled = [utterances[k] for k in order]
    if source != "corpus":
        found = exchanged(shuffled, phone, by, most)
        if found:
            return found, "minimal pairs"
    if source == "minimal pairs":
        raise ValueError(
            f"expected a text in which {phone} becomes {by} by one letter, found none among {len(utterances)}: install "
            f'the extra "unispeech-lab[speech]", give more text, or write "source": "corpus"'
        )
    found = said(shuffled, phone, by, most, seed)
    if not found:
        there = sorted({span.label for utterance in utterances for span in utterance.phones})
        raise ValueError(
            f"expected {phone} and {by} among the phones of the corpus, found {' '.join(there) or 'no phones at all'}"
        )
    return found, "corpus"


def exchanged(utterances: Sequence[Utterance], phone: str, by: str, most: int) -> list[Pair]:
    """Minimal pairs said by espeak-ng; none where it is not installed."""
    found, seen = [], set()
    for utterance in utterances:
        if len(found) >= most:
            break
        about = (utterance.text, utterance.language, minimal.voice_of(utterance))
        labels = {span.label for span in utterance.phones}
        if about in seen or not minimal.can_say(utterance) or (labels and phone not in labels):
            continue
        seen.add(about)
        other = minimal.exchange(*about[:2], phone, by)
        if other is None:
            continue
        one, two = minimal.spoken(*about), minimal.spoken(other, *about[1:])
        changed = [k for k, (a, b) in enumerate(zip(one.phones, two.phones, strict=False)) if a.label != b.label]
        if len(one.phones) == len(two.phones) and len(changed) == 1:
            found.append(Pair(one, changed[0], two, changed[0]))
    return found


def said(utterances: Sequence[Utterance], phone: str, by: str, most: int, seed: int) -> list[Pair]:
    """The phone in as many utterances as there are, once in each before twice in any, with the other that suits best:
    the same speaker before the same phone after it, this before the same phone before it."""
    places: dict[str, list[tuple[int, Utterance, int]]] = defaultdict(list)
    for utterance in utterances:
        turns: dict[str, int] = defaultdict(int)
        for k, span in enumerate(utterance.phones):
            if span.label in (phone, by):
                places[span.label].append((turns[span.label], utterance, k))
                turns[span.label] += 1
    draw = np.random.default_rng(seed)
    donors = [places[by][k][1:] for k in draw.permutation(len(places[by]))]
    wanted = sorted(places[phone], key=lambda place: place[0])[:most] if donors else []

    def alike(utterance: Utterance, k: int, donor: Utterance, j: int) -> tuple[bool, bool, bool]:
        speaker = utterance.speaker == donor.speaker and utterance.language == donor.language
        return (
            speaker,
            beside(utterance, k + 1) == beside(donor, j + 1),
            beside(utterance, k - 1) == beside(donor, j - 1),
        )

    return [Pair(u, k, *max(donors, key=lambda at, u=u, k=k: alike(u, k, *at))) for _, u, k in wanted]


def beside(utterance: Utterance, k: int) -> str:
    """The label of phone k; "" before the first and after the last."""
    return utterance.phones[k].label if 0 <= k < len(utterance.phones) else ""
