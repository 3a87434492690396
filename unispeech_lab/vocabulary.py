"""Vocabulary: which class of a CTC head stands for which phone.

    class 0 .. n-1   the phones, sorted            n  <s>, the blank            n+1  <pad>    n+2  </s>    n+3  <unk>

The order of the authors' dictionaries (microsoft/UniSpeech): four symbols behind the phones, the first of them the
blank. A ``vocab.json`` in any other order, as Hugging Face's fine-tuned checkpoints have, keeps its own.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
WORD = "|"  # between words in a written transcript; no phone
SPACE = "▁"  # between words where the classes are letters; a class like them


class Vocabulary(Sequence):
    """Phones to classes and back: ``vocabulary.encode(["k", "æ", "t"])``; ``vocabulary[3]`` is the name of class 3.

    ``Vocabulary(phones)`` takes any phones, each counted once, in sorted order; ``Vocabulary.load(folder)`` reads what
    ``save`` wrote. ``len`` counts all classes, the four special ones included: a model's ``num_ctc_classes``.

    Raises:
        ValueError: no phone, an empty one, or one that bears a special symbol's name.
    """

    def __init__(self, phones: Iterable[str]):
        names = sorted(set(phones) - {WORD})
        strange = [name for name in names if not name.strip() or name in SPECIAL]
        if not names or strange:
            raise ValueError(f"expected phones such as 'a' or 'tʃ', found {strange or 'none at all'}")
        self._number({name: number for number, name in enumerate([*names, *SPECIAL])}, "<s>")

    def _number(self, classes: Mapping[str, int], blank: str) -> None:
        if sorted(classes.values()) != list(range(len(classes))):
            raise ValueError(f"expected classes numbered from 0 to {len(classes) - 1}, each once")
        if blank not in classes:
            raise ValueError(
                f"expected the blank {blank!r} in the vocabulary, found {', '.join(list(classes)[:8])} ..."
            )
        self.classes = dict(sorted(classes.items(), key=lambda item: item[1]))
        self.names = tuple(self.classes)
        self.blank = classes[blank]

    @classmethod
    def in_order(cls, phones: Iterable[str]) -> "Vocabulary":
        """Phones in the order given, each once, then the special symbols: the authors' way, ``|`` included."""
        vocabulary = cls.__new__(cls)
        names = [*dict.fromkeys(phone for phone in phones if phone not in SPECIAL), *SPECIAL]
        vocabulary._number({name: number for number, name in enumerate(names)}, "<s>")
        return vocabulary

    @classmethod
    def of(cls, corpus) -> "Vocabulary":
        """Every phone that a corpus says.

        Raises:
            ValueError: none of its utterances has phones.
        """
        said = {phone for phones in transcripts(corpus) for phone in phones or ()}
        if not said:
            raise ValueError(
                f"expected utterances with phones, found none in {corpus!r}: give TextGrids or a column phones"
            )
        return cls(said)

    @classmethod
    def load(cls, folder: str | PathLike, blank: str | None = None) -> "Vocabulary":
        """From a folder's ``vocab.json``; its blank is ``<s>`` in the authors' order, ``<pad>`` in any other.

        Raises:
            FileNotFoundError: there is none.
            ValueError: it is no dictionary of names and classes from 0 on.
        """
        file = Path(folder) / "vocab.json" if Path(folder).is_dir() else Path(folder)
        if not file.is_file():
            raise FileNotFoundError(f"expected vocab.json at {folder}, found none: vocabulary.save(folder) writes one")
        try:
            classes = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            classes = error
        if not isinstance(classes, dict) or not all(type(number) is int for number in classes.values()):
            raise ValueError(f"{file}: expected a dictionary of names and classes, found {str(classes)[:60]}")
        if blank is None:
            authors = [classes.get(name) for name in SPECIAL] == list(range(len(classes) - 4, len(classes)))
            blank = "<s>" if authors else next((name for name in ("<pad>", "[PAD]") if name in classes), "<s>")
        vocabulary = cls.__new__(cls)
        try:
            vocabulary._number(classes, blank)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        return vocabulary

    def save(self, folder: str | PathLike) -> None:
        """Write ``vocab.json`` and what transformers' tokenizers need beside it, the blank as their padding."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        said = {"tokenizer_class": "Wav2Vec2PhonemeCTCTokenizer", "do_phonemize": False, "word_delimiter_token": None}
        said |= {"pad_token": self.names[self.blank], "unk_token": "<unk>"}
        said |= {"bos_token": "<s>", "eos_token": "</s>", "phone_delimiter_token": " "}
        if SPACE in self.classes:
            said["tokenizer_class"] = "Wav2Vec2CTCTokenizer"  # writes letters without blanks between them
        for name, what in (("vocab.json", self.classes), ("tokenizer_config.json", said)):
            (folder / name).write_text(json.dumps(what, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    @property
    def phones(self) -> tuple[str, ...]:
        """The names that are said: neither special nor the blank."""
        special = {*SPECIAL, "[PAD]", "[UNK]", WORD, self.names[self.blank]}
        return tuple(name for name in self.names if name not in special)

    def encode(self, phones: Iterable[str]) -> list[int]:
        """Classes of phones; word boundaries are left out, as the authors do.

        Raises:
            ValueError: phones that are not in it; all of them are named.
        """
        said = [phone for phone in phones if phone != WORD]
        strange = sorted({phone for phone in said if phone not in self.classes})
        if strange:
            raise ValueError(
                f"expected phones out of the {len(self.phones)} of this vocabulary, found {' '.join(strange)}: "
                "make the vocabulary from this corpus too, or leave these utterances out"
            )
        return [self.classes[phone] for phone in said]

    def decode(self, classes: Iterable[int]) -> list[str]:
        """Names of classes, those of special symbols left out."""
        spoken = set(self.phones)
        return [name for number in classes if (name := self.names[int(number)]) in spoken]

    def write(self, names: Iterable[str]) -> str:
        """What was decoded, as people write it: phones with blanks between them, letters in words."""
        return "".join(names).replace(SPACE, " ").strip() if SPACE in self.classes else " ".join(names)

    def __getitem__(self, number):
        return self.names[number]

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other) -> bool:
        return isinstance(other, Vocabulary) and (self.names, self.blank) == (other.names, other.blank)

    __hash__ = None

    def __repr__(self) -> str:
        return f"Vocabulary({len(self.phones)} phones: {' '.join(self.phones[:8])} ..., blank {self.blank})"


def transcripts(corpus) -> list[list[str] | None]:
    """What each utterance of a corpus says, as phones; None where nobody knows.

    From the table's column ``phones`` (separated by blanks, ``|`` between words) where it is there, which opens no
    file; else from the utterances' own spans.
    """
    if "phones" in corpus.table:
        written = corpus.table["phones"]
        return [split(line) or None if isinstance(line, str) else None for line in written]
    spans = (utterance.phones for utterance in corpus)
    return [[span.label for span in phones] or None for phones in spans]


def split(line: str) -> list[str]:
    """Phones of a written transcript, without word boundaries and language flags such as ``(en)``."""
    return [phone for phone in line.split() if phone != WORD and not (phone.startswith("(") and phone.endswith(")"))]
