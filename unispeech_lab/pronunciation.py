"""Pronunciation: what is said, written as text or as phones, made into words of phones.

spell("the cat * mat", "en")        text by espeak-ng (extra ``[speech]``); * stands for words that nobody wrote down
parse("ð ə | k æ t")                phones as they are, words separated by |
"""

import re
from collections.abc import Sequence

from unispeech_lab.alignment.forced import STAR

Words = tuple[list[str], list[list[str]]]  # labels, and the phones of each
MARKS = "¡!¿?.,;:…—–-\"«»“”„‘’'()[]。，！？；：、"


def parse(written: str) -> Words:
    """Phones separated by blanks, words by ``|``; a word's label is its phones. Raises ValueError for none."""
    phones = [word.split() for word in written.split("|") if word.strip()]
    if not phones:
        raise ValueError(f"expected phones separated by blanks, such as 'h ə l oʊ', found {written!r}")
    return ["".join(word) for word in phones], phones


def spell(text: str | Sequence[str], language: str) -> Words | list[Words]:
    """Words and their phones, as espeak-ng reads the text aloud; several texts, in one go, give a list.

    A word's label is the word as written, without punctuation, where espeak-ng makes as many words as are written; its
    phones run together otherwise.

    Raises:
        ValueError: an unknown language, or a text in which nothing is said.
        EspeakError: the extra is not there.
    """
    from unispeech_lab.espeak import phonemes

    texts = [text] if isinstance(text, str) else list(text)
    pieces = [(k, piece.strip()) for k, one in enumerate(texts) for piece in re.split(r"(\*)", one) if piece.strip()]
    said = iter(phonemes([piece for _, piece in pieces if piece != STAR], language))
    answers: list[Words] = [([], []) for _ in texts]
    for k, piece in pieces:
        spoken = [[STAR]] if piece == STAR else [_without_flags(word) for word in next(said)]
        spoken = [word for word in spoken if word]
        written = [STAR] if piece == STAR else [bare for word in piece.split() if (bare := word.strip(MARKS))]
        answers[k][0].extend(written if len(written) == len(spoken) else ["".join(word) for word in spoken])
        answers[k][1].extend(spoken)
    for one, (_, phones) in zip(texts, answers, strict=True):
        if not phones:
            raise ValueError(f"expected a text in which something is said, found {one!r}")
    return answers[0] if isinstance(text, str) else answers


def _without_flags(word: list[str]) -> list[str]:
    """A word's phones, language switches such as ``(en)`` left out."""
    return [phone for phone in word if not (phone.startswith("(") and phone.endswith(")"))]
