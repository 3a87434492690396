"""Minimal pairs: an utterance twice, with one thing changed between them.

    pair = minimal.pair(utterance, "pitch +4 semitones")
    pair.second.waveform, pair.partners             # the other sound; which of its phones is which of the first's

Pitch, rate and level are changed in the sound itself. Another voice, or one phone for another, is said anew by
espeak-ng (optional extra): then both of a pair are its speech, alike in all but what is changed. A phone is exchanged
by its spelling: of all texts that differ from this one in one letter, those whose phones differ in one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from functools import lru_cache
from importlib.util import find_spec

import numpy as np

from unispeech_lab.alignment import Span
from unispeech_lab.analysis import resynthesis
from unispeech_lab.boundaries import phone_class
from unispeech_lab.corpus import Utterance
from unispeech_lab.espeak import Worker, phonemes
from unispeech_lab.espeak.acoustics import Acoustics
from unispeech_lab.espeak.make import utterance as say
from unispeech_lab.espeak.recipe import BUNDLED_VOICES, Job
from unispeech_lab.espeak.voices import LANGUAGES, VARIANTS

SOUND = {  # what is done to the sound, and how long it is then
    "pitch +4 semitones": (lambda wave: resynthesis.pitch(wave, 4.0), 1.0),
    "pitch -4 semitones": (lambda wave: resynthesis.pitch(wave, -4.0), 1.0),
    "rate × 1.25": (lambda wave: resynthesis.stretch(wave, 0.8), 0.8),
    "rate × 0.8": (lambda wave: resynthesis.stretch(wave, 1.25), 1.25),
    "level -12 dB": (lambda wave: wave * np.float32(10 ** (-12 / 20)), 1.0),
}
STILL = Acoustics(padding=(0.2, 0.2), level=(-23.0, -23.0), noise=(50.0, 50.0))
SPOKEN = {"rate": 140, "pitch": 50, "seed": 0}
SHORTEST = 0.1  # seconds: below, a faster one may have no frame left
SWAPS, SPELLINGS = 6, 60  # phones exchanged at most; letters tried
ALPHABETS = ("abcdefghijklmnopqrstuvwxyz", "абвгдежзийклмнопрстуфхцчшщъыьэюя")


@dataclass(frozen=True, eq=False)
class Pair:
    """Two utterances, phone by phone.

    ``partners``: pairs of places, phone k of the first beside phone l of the second. ``changed``: phones of the first
    whose partner has another label. Where no phones are known, each utterance is one stretch.
    """

    first: Utterance
    second: Utterance

    @property
    def stretches(self) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
        return stretches(self.first), stretches(self.second)

    @property
    def partners(self) -> list[tuple[int, int]]:
        return partners(*([span.label for span in side] for side in self.stretches))

    @property
    def changed(self) -> list[int]:
        first, second = self.stretches
        return [k for k, partner in self.partners if first[k].label != second[partner].label]


def stretches(utterance: Utterance) -> tuple[Span, ...]:
    """An utterance's phones; all of it, where nobody knows them."""
    return utterance.phones or (Span("all of it", 0.0, utterance.seconds),)


def partners(first: Sequence[str], second: Sequence[str]) -> list[tuple[int, int]]:
    """Places of equal labels, in order (difflib's matching blocks), and of as many that stand between the same."""
    found = []
    for what, i, until, j, to in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if what == "equal" or (what == "replace" and until - i == to - j):
            found += zip(range(i, until), range(j, to), strict=True)
    return found


def changes(utterance: Utterance) -> tuple[str, ...]:
    """What can be changed about it: always the sound; voices and phones where there is a text and espeak-ng."""
    short = utterance.seconds < SHORTEST
    sound = tuple(name for name, (_, length) in SOUND.items() if length >= 1 or not short)
    if not can_say(utterance):
        return sound
    voices = tuple(f"voice {name}" for name in BUNDLED_VOICES if name != voice_of(utterance))
    return (*sound, *voices, *swaps(utterance.text, utterance.language))


def can_say(utterance: Utterance) -> bool:
    return bool(utterance.text) and utterance.language in LANGUAGES and find_spec("espeakng_loader") is not None


def voice_of(utterance: Utterance) -> str:
    """The voice that says both of a pair: the speaker's own, if it is one of espeak-ng's."""
    return utterance.speaker if utterance.speaker in VARIANTS else BUNDLED_VOICES[0]


def pair(utterance: Utterance, change: str) -> Pair:
    """The utterance (or the same, said by espeak-ng) and the other, which differs in ``change``, one of ``changes``.

    Raises:
        ValueError: a change that there is not for this utterance; speech that espeak-ng cannot label.
    """
    if change not in changes(utterance):
        raise ValueError(f"expected a change among {', '.join(changes(utterance))}, found {change!r}")
    if change in SOUND:
        edit, length = SOUND[change]
        return Pair(utterance, resounded(utterance, edit(utterance.waveform), length))
    about = (utterance.text, utterance.language, voice_of(utterance))
    first = spoken(*about)
    if change.startswith("voice "):
        return Pair(first, spoken(*about[:2], change.removeprefix("voice ")))
    return Pair(first, spoken(swaps(*about[:2])[change], *about[1:]))


def resounded(utterance: Utterance, waveform: np.ndarray, length: float) -> Utterance:
    """The same phones and words in another sound, that is ``length`` times as long."""
    moved = (
        tuple(replace(span, start=span.start * length, end=span.end * length) for span in spans)
        for spans in (utterance.phones, utterance.words)
    )
    phones, words = moved
    return replace(utterance, source=waveform, source_rate=Utterance.rate, phones=phones, words=words)


@lru_cache(maxsize=64)
def spoken(text: str, language: str, variant: str) -> Utterance:
    """A text in one of espeak-ng's voices, always with the same rate, pitch, level and noise."""
    with Worker() as worker:
        return say(Job(f"{language}-{variant}", text, language, variant, **SPOKEN), STILL, worker)[0]


@lru_cache(maxsize=64)
def swaps(text: str, language: str) -> Mapping[str, str]:
    """At most six texts that differ from this one in one phone, spread over it: ``k → b in bat``: the text.

    Of several for one phone, the first whose new phone is of the same class (a stop for a stop), if there is one.
    """
    best: dict[int, tuple[bool, str, str]] = {}
    for k, phone, other, written in exchanges(text, language):
        far = phone_class(phone) != phone_class(other)
        if k not in best or far < best[k][0]:
            word = next(new for old, new in zip(text.split(), written.split(), strict=True) if old != new)
            best[k] = (far, f"{phone} → {other} in {''.join(filter(str.isalnum, word))}", written)
    return {best[k][1]: best[k][2] for k in spread(sorted(best), SWAPS)}


def exchange(text: str, language: str, phone: str, by: str) -> str | None:
    """A text that differs from this one in one letter, by which one ``phone`` becomes another; None where none does."""
    found = exchanges(text, language)
    return next((written for _, old, new, written in found if (old, new) == (phone, by)), None)


@lru_cache(maxsize=64)
def exchanges(text: str, language: str) -> list[tuple[int, str, str, str]]:
    """Texts that differ from this one in one letter and one phone: its place, the phone, the other, the text."""
    letters = [letter for alphabet in ALPHABETS if set(alphabet) & set(text.lower()) for letter in alphabet]
    places = spread([k for k, letter in enumerate(text) if letter.lower() in letters], SPELLINGS)
    texts = [text[:k] + letter + text[k + 1 :] for k in places for letter in letters if letter != text[k].lower()]
    first, *others = ([phone for word in words for phone in word] for words in phonemes([text, *texts], language))
    found = []
    for written, said in zip(texts, others, strict=True):
        differ = [k for k, (a, b) in enumerate(zip(first, said, strict=False)) if a != b]
        if len(said) == len(first) and len(differ) == 1:
            (k,) = differ
            found.append((k, first[k], said[k], written))
    return found


def spread(places: list, most: int) -> list:
    """At most so many of them, from the first to the last."""
    return places if len(places) <= most else [places[round(k)] for k in np.linspace(0, len(places) - 1, most)]
