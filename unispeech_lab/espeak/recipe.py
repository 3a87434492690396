"""Recipe: what a folder of made speech shall hold, utterance by utterance.

    seed of an utterance = the first 31 bits of SHA-256("<recipe's seed>/<utterance's id>")

so each depends on the recipe and its own place alone, never on what was made before it.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

import torch

from unispeech_lab.espeak.acoustics import Acoustics, Range
from unispeech_lab.espeak.process import FASTEST, SLOWEST
from unispeech_lab.espeak.voices import KLATT, LANGUAGES, VARIANTS, voice

BUNDLED_VOICES = ("f1", "m3", "linda", "m7", "belinda", "Michael")

STOPS = "¿¡.,!?。，！？"  # what ends or begins a sentence, and is no part of a word
GROUPS = {"bundled": BUNDLED_VOICES, "all": VARIANTS, "klatt": KLATT}


@dataclass(frozen=True)
class Recipe:
    """What to say, who says it and where. The defaults make the bundled corpus: every sentence once.

    ``number`` utterances a language, or ``hours`` of all together; sentences and voices come round in turn. ``mix``
    draws words from the sentences and says those, in sentences without sense: hours of speech need more than a list.
    """

    languages: tuple[str, ...] = tuple(LANGUAGES)
    voices: tuple[str, ...] = BUNDLED_VOICES
    number: int | None = None
    hours: float | None = None
    mix: bool = False
    seed: int = 0
    rate: tuple[int, int] = (125, 155)  # words per minute
    pitch: tuple[int, int] = (35, 65)  # of 0 to 99
    padding: Range = Acoustics.padding
    level: Range = Acoustics.level
    noise: Range = Acoustics.noise
    room: Range = Acoustics.room

    def __post_init__(self):
        for language in self.languages:
            for variant in self.voices:
                voice(language, variant)
        if not self.languages or not self.voices:
            raise ValueError("expected at least one language and one voice")
        if self.number is not None and self.hours is not None:
            raise ValueError(f"expected a number or hours, found both: {self.number} utterances and {self.hours} hours")
        if (self.number is not None and self.number < 1) or (self.hours is not None and self.hours <= 0):
            raise ValueError(f"expected something to make, found number {self.number} and hours {self.hours}")
        limits = {"rate": (SLOWEST, FASTEST), "pitch": (0, 99), "padding": (0, 10), "level": (-60, 0)}
        limits |= {"noise": (0, 120), "room": (0, 3)}
        for name, (least, most) in limits.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ValueError(f"expected {name} as low:high within {least} to {most}, found {low}:{high}")

    @property
    def acoustics(self) -> Acoustics:
        return Acoustics(self.padding, self.level, self.noise, self.room)


@dataclass(frozen=True, slots=True)
class Job:
    """One utterance to be made: everything that decides its bytes, beside the acoustics."""

    id: str
    text: str
    language: str
    variant: str
    rate: int
    pitch: int
    seed: int

    @property
    def voice(self) -> str:
        return voice(self.language, self.variant)


def jobs(recipe: Recipe, sentences: dict[str, list[str]]) -> Iterator[Job]:
    """The utterances in order, language by language in turn; without end when the recipe counts hours.

    Raises ValueError when a language has no sentence.
    """
    for language in recipe.languages:
        if not sentences.get(language):
            raise ValueError(
                f"expected sentences in {language!r}, found them in {' '.join(sentences) or 'no language'}"
            )
    most = recipe.number or max(len(sentences[language]) for language in recipe.languages)
    known = {language: _words(sentences[language]) for language in recipe.languages if recipe.mix}
    for k in count() if recipe.hours else range(most):
        for language in recipe.languages:
            said = sentences[language]
            if recipe.number is None and recipe.hours is None and k >= len(said):
                continue
            id = f"{language}_{k:05d}"
            seed = int.from_bytes(hashlib.sha256(f"{recipe.seed}/{id}".encode()).digest()[:4], "big") >> 1
            generator = torch.Generator().manual_seed(seed)
            rate, pitch = (
                int(torch.randint(low, high + 1, (), generator=generator)) for low, high in (recipe.rate, recipe.pitch)
            )
            text = _mixed(known[language], language, generator) if recipe.mix else said[k % len(said)]
            variant = recipe.voices[(k % len(said) + k // len(said)) % len(recipe.voices)]
            yield Job(id, text, language, variant, rate, pitch, seed)


def parse_range(written: str, number: type = float) -> Range:
    """``"125:155"``, or ``"140"`` for both ends. Raises ValueError for anything else."""
    low, colon, high = written.partition(":")
    try:
        return number(low), number(high if colon else low)
    except ValueError as error:
        raise ValueError(f"expected a number or low:high, found {written!r}") from error


def parse_voices(written: str) -> tuple[str, ...]:
    """Variants of espeak-ng by name, ``plain`` for none, or by group: ``bundled``, ``all`` (but Klatt), ``klatt``."""
    found = [v for name in written.split() for v in GROUPS.get(name, ["" if name == "plain" else name])]
    return tuple(dict.fromkeys(found))


def read_sentences(file: str | os.PathLike) -> dict[str, list[str]]:
    """Sentences by language, from lines of ``language<tab>text``; blank lines and lines that start with # are skipped.

    Raises ValueError naming the file and the line.
    """
    sentences: dict[str, list[str]] = {}
    try:
        lines = Path(file).read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: expected UTF-8 text, found {error.reason} at byte {error.start}") from error
    for number, written in enumerate(lines, 1):
        if not written.strip() or written.startswith("#"):
            continue
        language, tab, text = written.partition("\t")
        if not tab or not text.strip() or language not in LANGUAGES:
            raise ValueError(
                f"{file}, line {number}: expected a language among {' '.join(LANGUAGES)}, a tab and a sentence, "
                f"found {written!r}"
            )
        sentences.setdefault(language, []).append(" ".join(text.split()))
    return sentences


def common_words(languages: Iterable[str], number: int) -> dict[str, list[str]]:
    """So many of each language's most frequent words, as sentences to ``mix``: speech that no short list can give.

    From ``wordfreq`` (extra ``[speech]``): not Kyrgyz, not Tatar. A word is letters alone, two of them at least.
    Raises ValueError for a language it does not know, or a number below 1; ImportError without the extra.
    """
    try:
        import wordfreq
    except ImportError as error:
        raise ImportError("expected the package wordfreq, found none: pip install 'unispeech-lab[speech]'") from error
    if number < 1:
        raise ValueError(f"expected at least one word, found {number}")
    strange = [language for language in languages if language not in wordfreq.available_languages()]
    if strange:
        raise ValueError(f"expected languages with a list of frequent words, found {' '.join(strange)}: give sentences")
    listed = {language: wordfreq.iter_wordlist(language) for language in languages}
    spoken = {language: (w for w in words if w.isalpha() and len(w) > 1) for language, words in listed.items()}
    return {language: list(islice(words, number)) for language, words in spoken.items()}


def _words(sentences: list[str]) -> list[str]:
    """The words of sentences, each once; a Chinese sentence, written without blanks, is one."""
    return sorted({word.strip(STOPS).lower() for sentence in sentences for word in sentence.split()} - {""})


def _mixed(words: list[str], language: str, generator: torch.Generator) -> str:
    """Three to seven of the words, drawn; two where they are whole Chinese sentences."""
    whole = language == "zh" and max(map(len, words)) > 6
    number = 2 if whole else int(torch.randint(3, 8, (), generator=generator))
    drawn = [words[int(k)] for k in torch.randint(len(words), (number,), generator=generator)]
    return ("。" if whole else "" if language == "zh" else " ").join(drawn).capitalize() + "."
