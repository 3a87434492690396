"""Phonemes: text to words of phones, as the authors of UniSpeech wrote their transcripts.

Their recipe: no punctuation, no stress, language-switch flags such as ``(en)`` kept, phones separated by blanks, words
by ``|``. Of 200 of their lines each, all agree for French, Kyrgyz, Dutch and Swedish; Spanish, Italian and Russian were
made with older espeak rules: Spanish agrees through ``as_authors``, Italian in 86 % of lines, Russian in 10 %.
"""

import re
from collections.abc import Iterable

from unispeech_lab.espeak.process import Worker
from unispeech_lab.espeak.voices import voice

PUNCTUATION = ';:,.!?¡¿—…"«»“”'
STRESS = "ˈˌ"
_TONE = re.compile(r"(?<=.)[0-9ɜ˥-˩]+$")


def phonemes(text: str | Iterable[str], language: str, worker: Worker | None = None) -> list:
    """Words of phones: ``phonemes("the cat", "en")`` is ``[["ð", "ə"], ["k", "æ", "t"]]``; texts give a list of those.

    ``language``: en es fr it ky nl ru sv tr tt zh (its tones stripped). Raises ValueError for another, EspeakError
    without the extra ``[speech]``. A ``worker`` at hand is used and stays open; else one is started, about 0.1 s.
    """
    identifier = voice(language)
    texts = [text] if isinstance(text, str) else list(text)
    plain = [re.sub(rf"[{re.escape(PUNCTUATION)}\s]+", " ", one).strip() for one in texts]
    if worker is not None:
        clauses = worker.names(plain, identifier)
    else:
        with Worker() as own:
            clauses = own.names(plain, identifier)
    answers = [words(names, language) for names in clauses]
    return answers[0] if isinstance(text, str) else answers


def words(names: Iterable[str], language: str = "") -> list[list[str]]:
    """espeak-ng's own writing (a string a clause: blanks between words, ``_`` between phones) as words of phones."""
    split = [[clean(phone, language) for phone in word.split("_")] for clause in names for word in clause.split()]
    return [phones for word in split if (phones := [phone for phone in word if phone])]


def clean(phone: str, language: str = "") -> str:
    """A phone without stress and hyphens; in Chinese without tone."""
    phone = phone.translate(_MARKS)
    return _TONE.sub("", phone) if language == "zh" else phone


def line(words: Iterable[Iterable[str]]) -> str:
    """A transcript as the authors write it: ``ð ə | k æ t |``."""
    return " ".join(phone for word in words for phone in (*word, "|"))


def as_authors(words: list[list[str]], language: str) -> list[list[str]]:
    """Today's phones as older espeak wrote them for the authors, where a rule explains the difference.

    Spanish: the trill was two taps, ``ɾ ɾ`` (but ``r`` after n and at the end of a word); ``ʝ`` inside a word and ``j``
    at its end were ``j j``; n became m before f, p, b, across words too. What no rule explains is left as it is: in
    Italian ``ɛ``/``e`` and ``ɔ``/``o`` (decided word by word), in Russian stress, and with it the reduction of vowels.
    """
    return _spanish(words) if language == "es" else words


def _spanish(words: list[list[str]]) -> list[list[str]]:
    spelt = []
    for word, following in zip(words, [*words, [""]][1:], strict=True):
        spelt.append([])
        for before, phone, after in zip(["", *word], word, [*word[1:], ""], strict=False):
            if phone == "r" and before != "n" and after:
                spelt[-1] += ["ɾ", "ɾ"]
            elif (phone == "ʝ" and before) or (phone == "j" and not after):
                spelt[-1] += ["j", "j"]
            elif phone == "n" and (after or following[0]) in ("f", "p", "b"):
                spelt[-1].append("m")
            else:
                spelt[-1].append(phone)
    return spelt


_MARKS = str.maketrans("", "", STRESS + "-")
