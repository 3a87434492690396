"""Synthetic speech: source and target languages said by voices of espeak-ng, hard enough to tell methods apart.

Voices, rates, pitch, noise, rooms all vary; who speaks in the target's test and validation speaks nowhere else; the
words are drawn from each language's most frequent, so that no sentence comes twice. The same seed makes the same bytes.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from unispeech_lab.corpora import table
from unispeech_lab.corpus import Corpus
from unispeech_lab.espeak import recipe
from unispeech_lab.espeak.make import make

SPOKEN = {"rate": (110, 200), "pitch": (15, 85), "level": (-30.0, -16.0), "noise": (8.0, 40.0), "room": (0.0, 0.5)}
SOURCE = (
    "Alex Andrea Annie Denis Diogo Henrique Hugo Lee Mario Michael Mike anika aunty belinda boris croak f1 grandma "
    "grandpa ian iven3 iven4 linda m1 m3 m4 m5"
)
TARGET = "m6 m7 marcelo max michel miguel quincy robert shelby travis zac"
VALID, TEST = "kaukovalta m8", "Nguyen rob steph victor"
VOICES = {"source": SOURCE, "labelled": TARGET, "unlabelled": TARGET, "valid": VALID, "test": TEST}


def speech(
    folder: Path, part: str, language: str, hours: float, seed: int, words: int = 6000, voices: Mapping = VOICES
) -> Corpus:
    """The corpus of a part and a language, made if it is not there; what is unlabelled has no phones."""
    place = folder / part / language
    wanted = recipe.Recipe((language,), tuple(voices[part].split()), hours=hours, mix=True, seed=seed, **SPOKEN)
    if not (place / "manifest.tsv").is_file():
        make(place, wanted, recipe.common_words([language], words), os.cpu_count() or 1)
    corpus = table.load(place / "manifest.tsv")
    return without_phones(corpus) if part == "unlabelled" else corpus


def without_phones(corpus: Corpus) -> Corpus:
    """The same sound, as if nobody had written down what is said."""
    blank = corpus.table.assign(text="", phones="", alignment="")
    return Corpus(blank, corpus.root, f"{corpus.name}, unlabelled")
