"""Targets: what a model is taught to say of an utterance.

"phones"              those of the corpus                       judged by the phone error rate
"characters"          letters of its text, "▁" between words    by character and word error rates
any column's name     one class an utterance                    by the share of right answers
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from .corpus import Corpus
from .error_rates import character_error_rate, phone_error_rate, word_error_rate
from .vocabulary import SPACE, Vocabulary, transcripts

SEQUENCES = ("phones", "characters")
Said = list[list[str] | None]


class Classes(Sequence):
    """Names of classes, each numbered by its place."""

    def __init__(self, names: Iterable[str]):
        self.names = tuple(names)
        self.classes = {name: number for number, name in enumerate(self.names)}

    def encode(self, names: Iterable[str]) -> list[int]:
        return [self.classes[name] for name in names]

    def write(self, names: Iterable[str]) -> str:
        """What was found, as people write it."""
        return " ".join(names)

    def __getitem__(self, number):
        return self.names[number]

    def __len__(self) -> int:
        return len(self.names)


def read(corpus: Corpus, teach: str) -> Said:
    """What each utterance is, a list of names; None where the corpus does not say.

    Raises:
        ValueError: the table has no such column.
    """
    if teach == "phones":
        return transcripts(corpus)
    if teach == "characters":
        return [letters(text) or None if isinstance(text, str) else None for text in corpus.table["text"]]
    if teach not in corpus.table:
        known = ", ".join(map(str, corpus.table))
        raise ValueError(f"expected phones, characters or a column out of {known} to teach, found {teach!r}")
    return [[str(name)] if name == name and name not in (None, "") else None for name in corpus.table[teach]]


def letters(text: str) -> list[str]:
    """Lower-case letters, digits and apostrophes of a text, ``SPACE`` between its words."""
    written = unicodedata.normalize("NFC", text.lower()).replace("’", "'")
    kept = "".join(c if unicodedata.category(c)[0] in "LMN" or c == "'" else " " for c in written)
    return list(SPACE.join(kept.split()))


def known(corpus: Corpus, teach: str) -> Corpus:
    """The utterances of which a corpus says it.

    Raises:
        ValueError: of none of them.
    """
    said = [names is not None for names in read(corpus, teach)]
    if not any(said):
        told = {"phones": "TextGrids or a column phones", "characters": "a column text"}
        wanted = told.get(teach, f"something in the column {teach}")
        raise ValueError(f"expected utterances with {teach} to learn, found none in {corpus!r}: give {wanted}")
    return corpus if all(said) else corpus[said]


def names_of(teach: str, *corpora: Corpus) -> Vocabulary | Classes:
    """All that corpora say, with a number for each.

    Raises:
        ValueError: nothing, or only one class.
    """
    said = {name for corpus in corpora for names in read(known(corpus, teach), teach) for name in names}
    if teach in SEQUENCES:
        return Vocabulary(said)
    if len(said) < 2:
        raise ValueError(f"expected at least two classes in {teach!r}, found {' '.join(said)} in {corpora[0]!r}")
    return Classes(sorted(said))


def refuse_strange(corpus: Corpus, teach: str, names: Vocabulary | Classes) -> None:
    """Raise ValueError for what a corpus says and the names lack, each with an utterance that says it."""
    strange = {
        name: id
        for said, id in zip(read(corpus, teach), corpus.table["id"], strict=True)
        for name in said or ()
        if name not in names.classes
    }
    if strange:
        told = ", ".join(f"{name} ({id})" for name, id in sorted(strange.items())[:8])
        raise ValueError(
            f"expected {teach} out of the {len(names)} that the model knows, found {told}: begin it with a corpus "
            "that has them too, or leave these utterances out"
        )


def judge(teach: str, references: Sequence[list[str]], hypotheses: Sequence[list[str]]) -> dict[str, float]:
    """How far what was heard is from what was said: ``per``, or ``cer`` with ``wer``, or ``accuracy``."""
    if teach == "phones":
        return {"per": phone_error_rate(references, hypotheses)}
    if teach == "characters":
        texts = [["".join(row).replace(SPACE, " ").strip() for row in rows] for rows in (references, hypotheses)]
        return {"cer": character_error_rate(*texts), "wer": word_error_rate(*texts)}
    right = sum(a == b for a, b in zip(references, hypotheses, strict=True))
    return {"accuracy": right / max(len(references), 1)}


def error(judged: Mapping[str, float]) -> float:
    """The one number of a judgement by which the best checkpoint is chosen, less is better."""
    return 1 - judged["accuracy"] if "accuracy" in judged else judged.get("per", judged.get("cer"))
