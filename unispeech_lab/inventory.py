"""Inventories: which phones a language has, in whose spelling; one vocabulary for many languages.

An inventory is a sequence of phones; several lie in a dictionary, language -> inventory. Of nine languages the authors
made two vocabularies (microsoft/UniSpeech, ``vocab_share.json`` and ``vocab_sep.json``):

    shared      a phone is one class, whoever says it:      ʃ           172 of them
    separate    every language has classes of its own:      (en)ʃ       527

Both are in the order of languages, then of first appearance; four special symbols follow, the first of them the blank.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from unispeech_lab.vocabulary import SPECIAL, WORD, Vocabulary, split, transcripts

TAG = re.compile(r"\((\w+)\)(.*)", re.DOTALL)
LOOK_ALIKE = (
    ("g", "ɡ"),
    (":", "ː"),
    ("S", "ʃ"),
    ("Z", "ʒ"),
    ("N", "ŋ"),
    ("X", "χ"),
    ("oe", "œ"),
    ("[", "\u032a"),
    ("'", "ʲ"),
)
MARKS = dict.fromkeys(map(ord, "ˈˌːˑ:.'ʲʰʷˠˤ\u0303\u0329\u032a\u0325\u032f\u0361-0123456789˥˦˧˨˩"))


def read(path: str | PathLike) -> dict[str, tuple[str, ...]]:
    """Inventories from the authors' ``vocab.json``: by language where its phones bear one, else all under ``""``.

    Raises:
        ValueError: no dictionary of phones and numbers from 0 on.
    """
    numbered = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(numbered, dict) or sorted(map(str, numbered.values())) != sorted(map(str, range(len(numbered)))):
        raise ValueError(f"expected phones and their numbers, 0, 1, 2, ..., in {path}, found something else")
    phones = [phone for phone in sorted(numbered, key=numbered.get) if phone not in SPECIAL]
    tagged = [TAG.fullmatch(phone) for phone in phones]
    if not phones or not all(tagged):
        return {"": tuple(phones)}
    inventories: dict[str, list[str]] = {}
    for match in tagged:
        inventories.setdefault(match[1], []).append(match[2])
    return {language: tuple(own) for language, own in inventories.items()}


def of(corpus) -> dict[str, tuple[str, ...]]:
    """What each language of a corpus says, by first appearance.

    Raises:
        ValueError: none of its utterances has phones.
    """
    inventories: dict[str, dict[str, None]] = {}
    for language, phones in zip(corpus.table["language"], transcripts(corpus), strict=True):
        if phones:
            inventories.setdefault(language, {}).update(dict.fromkeys(phones))
    if not inventories:
        raise ValueError(
            f"expected utterances with phones, found none in {corpus!r}: give TextGrids or a column phones"
        )
    return {language: tuple(own) for language, own in inventories.items()}


def shared(inventories: Mapping[str, Sequence[str]]) -> Vocabulary:
    """One class a phone, whichever languages say it."""
    return Vocabulary.in_order(phone for own in inventories.values() for phone in own)


def separate(inventories: Mapping[str, Sequence[str]]) -> Vocabulary:
    """One class for each phone of each language: ``(en)ʃ`` and ``(fr)ʃ`` are two. Labels for it: ``tag``."""
    return Vocabulary.in_order(f"({language}){phone}" for language, own in inventories.items() for phone in own)


def tag(phones: Iterable[str], language: str) -> list[str]:
    """Phones as a separate vocabulary names them: ``tag(["k", "æ"], "en")`` is ``["(en)k", "(en)æ"]``."""
    return [f"({language}){phone}" for phone in phones if phone != WORD]


def untag(names: Iterable[str]) -> list[str]:
    """Their phones again, whoever says them."""
    return [match[2] if (match := TAG.fullmatch(name)) else name for name in names]


def spell(phones: str | Iterable[str], inventory: Iterable[str]) -> list[str]:
    """Phones in an inventory's spelling; what it cannot say becomes ``<unk>``.

    ``phones`` may be a written line (``"ð ə | k æ t |"``). The rules, the first that applies: see ``how_to_spell``.
    """
    known = usable(inventory)
    said = split(phones) if isinstance(phones, str) else phones
    return [piece for phone in said for piece in by_rule(phone, known)[0] or ("<unk>",)]


def how_to_spell(phone: str, inventory: Iterable[str]) -> tuple[tuple[str, ...], str]:
    """One phone in an inventory's spelling, and by which rule; no spelling and ``"nowhere"`` if there is none.

    1. ``same``: it is there. 2. ``look-alike``: under another sign for the same sound, such as ``tS`` for ``tʃ``.
    3. ``pieces``: the fewest phones that make it up, such as ``ɑ u``. 4. ``without marks``: one of these, once length,
    palatalisation, tone and the like are left out. A spelling, not a sound: no phone stands for one that is near it.
    """
    return by_rule(phone, usable(inventory))


def by_rule(phone: str, known: set[str]) -> tuple[tuple[str, ...], str]:
    """As ``how_to_spell``, in phones that are known to be some."""
    for written, suffix in ((phone, ""), (phone.translate(MARKS), "without marks")):
        if written in known:
            return (written,), suffix or "same"
        for alike in look_alikes(written):
            if alike in known:
                return (alike,), suffix or "look-alike"
        if parts := pieces(written, known):
            return parts, suffix or "pieces"
    return (), "nowhere"


def usable(inventory: Iterable[str]) -> set[str]:
    """Its phones alone: the authors' hold language flags, an empty name, word boundaries, numbers as well."""
    return {name for name in inventory if name.translate(MARKS) and name not in (*SPECIAL, WORD) and name[0] != "("}


def look_alikes(phone: str) -> Iterable[str]:
    """Other signs for the same phone, from ASCII and to it."""
    for old, new in ((0, 1), (1, 0)):
        written = phone
        for pair in LOOK_ALIKE:
            written = written.replace(pair[old], pair[new])
            if written != phone:
                yield written


def pieces(phone: str, known: set[str]) -> tuple[str, ...]:
    """The fewest phones that are written as this one; the longest first among as few. Empty if there are none."""
    best: list[tuple[str, ...] | None] = [()]
    for end in range(1, len(phone) + 1):
        starts = [start for start in range(end) if best[start] is not None and phone[start:end] in known]
        ways = [(*best[start], phone[start:end]) for start in starts]
        best.append(min(ways, key=lambda way: (len(way), [-len(piece) for piece in way]), default=None))
    return best[-1] or ()


def coverage(corpus, inventories: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """How a corpus is spelt in other inventories: a row for each phone of each language.

    A language without an inventory of its own is held against all of them together.

    Returns:
        Columns ``language``, ``phone``, ``count``, ``spelling`` (by blanks) and ``how``: a rule of ``how_to_spell``.
    """
    everything = usable(phone for own in inventories.values() for phone in own)
    own = {language: usable(inventory) for language, inventory in inventories.items()}
    counts: Counter = Counter()
    for language, phones in zip(corpus.table["language"], transcripts(corpus), strict=True):
        counts.update((language, phone) for phone in phones or ())
    rows = []
    for (language, phone), count in sorted(counts.items()):
        spelling, how = by_rule(phone, own.get(language, everything))
        rows.append((language, phone, count, " ".join(spelling), how))
    return pd.DataFrame(rows, columns=["language", "phone", "count", "spelling", "how"])
