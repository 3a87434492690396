"""Corpus: utterances in a table, their sound read when it is asked for.

    corpus = Corpus.bundled()
    corpus.where(language="en")[0]          # written in a cell, it plays
    corpus.table                            # a pandas DataFrame, one row an utterance

The readers that make a corpus out of files are in ``corpora/``, one file a source.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd

from unispeech_lab import audio, listen
from unispeech_lab.alignment import Span, read_textgrid
from unispeech_lab.audio import AudioError

COLUMNS = ("id", "text", "language", "speaker", "seconds", "path", "alignment")
PHONES, WORDS = re.compile(r".*(phone|segment)s?|mau", re.I), re.compile(r".*words?|ort-mau", re.I)  # tiers' names
BORROWED = "borrowed"  # a TextGrid tier: these phones' times are a convention (see Utterance.phones)


@dataclass(frozen=True, eq=False, repr=False)
class Utterance:
    """A stretch of speech, with what is known about it. Written in a notebook cell, it plays.

    ``source`` is a sound file (read when ``waveform`` is first asked for) or the samples themselves, (n,) or
    (n, channels), at ``source_rate`` samples per second. ``phones`` and ``words`` are spans in seconds, in order, with
    gaps where nothing is said. A phone whose score is 0.0 has times by convention, not by measurement.
    """

    id: str
    source: str | PathLike | np.ndarray
    text: str = ""
    language: str = ""
    speaker: str = ""
    phones: tuple[Span, ...] = ()
    words: tuple[Span, ...] = ()
    source_rate: int = audio.RATE  # of samples; a file knows its own

    rate = audio.RATE

    def __post_init__(self):
        object.__setattr__(self, "phones", tuple(self.phones))
        object.__setattr__(self, "words", tuple(self.words))

    @cached_property
    def waveform(self) -> np.ndarray:
        """(n,) float32, mono, 16 kHz. Raises AudioError, naming the file or the utterance, when the sound is broken."""
        if isinstance(self.source, str | PathLike):
            return audio.read(self.source)
        try:
            return audio.mono(self.source, self.source_rate)
        except AudioError as error:
            raise AudioError(f"utterance {self.id!r}: {error}") from error

    @property
    def seconds(self) -> float:
        return len(self.waveform) / self.rate

    def clip(self, start: float, end: float) -> "Utterance":
        """The stretch from ``start`` to ``end`` seconds, its spans cut and shifted along; its text the words in it.

        Raises ValueError when the stretch is empty or not inside the utterance.
        """
        if not 0 <= start < end <= self.seconds + 0.5 / self.rate:
            raise ValueError(f"expected 0 <= start < end <= {self.seconds:.3f} s, found start {start} and end {end}")
        first, last = round(start * self.rate), round(end * self.rate)
        if first == last:
            raise ValueError(f"expected a stretch of at least one sample, found {start} to {end} s")
        words = _cut(self.words, start, end)
        return replace(
            self,
            id=f"{self.id}[{start:.2f}-{end:.2f}]",
            source=self.waveform[first:last],
            source_rate=self.rate,
            text=" ".join(span.label for span in words) if self.words else self.text,
            phones=_cut(self.phones, start, end),
            words=words,
        )

    def __repr__(self) -> str:
        known = [f"{len(self.phones)} phones"] * bool(self.phones) + [f"{len(self.words)} words"] * bool(self.words)
        if "waveform" in self.__dict__:  # a repr reads no file
            known.insert(0, f"{self.seconds:.2f} s")
        about = ", ".join(filter(None, (self.language, self.speaker, *known)))
        return f"Utterance({self.id!r}: {self.text!r}{', ' + about if about else ''})"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        try:
            return {"text/plain": repr(self), "text/html": listen.html(self)}
        except AudioError as error:
            return {"text/plain": f"{self!r}\n{error}"}


class Corpus:
    """Utterances in the order of a table; ``corpus[0]``, ``corpus["id"]`` is an Utterance, ``corpus[:5]`` a Corpus.

    ``table`` has one row an utterance, with at least ``id`` (unique) and ``path``; ``text language speaker seconds
    alignment`` where known (``alignment``: a TextGrid), and whatever else the source says. Paths that are not absolute
    start at ``root``. Sound and TextGrids are read when an utterance's are asked for, and not kept.
    """

    def __init__(self, table: pd.DataFrame, root: str | PathLike = ".", name: str = ""):
        missing = [column for column in ("id", "path") if column not in table]
        if missing:
            raise ValueError(f"expected columns 'id' and 'path', found {list(table)}: add {missing}")
        table = table.reset_index(drop=True)
        table["id"] = table["id"].astype(str)
        twice = table["id"][table["id"].duplicated()].unique()
        if len(twice):
            raise ValueError(f"expected one row an id, found {len(twice)} ids twice, such as {list(twice[:3])}")
        self.table = table.reindex(columns=[*COLUMNS, *(c for c in table if c not in COLUMNS)])
        self.root = Path(root)
        self.name = name
        self._made: dict[str, Utterance] = {}
        self._positions = {id: position for position, id in enumerate(self.table["id"])}

    @classmethod
    def of(cls, utterances: Iterable[Utterance], name: str = "") -> "Corpus":
        """A corpus of utterances already made."""
        made = list(utterances)
        rows = [(u.id, u.text, u.language, u.speaker, u.seconds, None, None) for u in made]
        corpus = cls(pd.DataFrame(rows, columns=list(COLUMNS)), name=name)
        corpus._made = {u.id: u for u in made}
        return corpus

    @classmethod
    def bundled(cls) -> "Corpus":
        """The speech that comes with the package: eleven languages, exact phone times."""
        from unispeech_lab.corpora import bundled  # the readers stand on this file

        return bundled.load()

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[Utterance]:
        return (self[position] for position in range(len(self)))

    def __contains__(self, id) -> bool:
        return id in self._positions

    def __getitem__(self, key):
        """An Utterance by position or id; a Corpus by slice, list of ids or positions, or boolean mask."""
        if isinstance(key, str):
            if key not in self._positions:
                near = [id for id in self._positions if key in id or id in key][:3] or list(self._positions)[:3]
                raise KeyError(f"no utterance {key!r} among {len(self)}; there is {', '.join(near) or 'none at all'}")
            return self._utterance(self._positions[key])
        if isinstance(key, int | np.integer):
            if not -len(self) <= key < len(self):
                raise IndexError(f"expected a position from {-len(self)} to {len(self) - 1}, found {key}")
            return self._utterance(key % len(self))
        if isinstance(key, slice):
            return self._with(self.table.iloc[key])
        key = list(key)
        if key and all(isinstance(item, bool | np.bool_) for item in key):
            if len(key) != len(self):
                raise IndexError(f"expected a mask of {len(self)}, found one of {len(key)}")
            return self._with(self.table[np.array(key)])
        return self._with(self.table.iloc[[self._positions[k] if isinstance(k, str) else int(k) for k in key]])

    def where(self, condition: Callable[[pd.DataFrame], pd.Series] | None = None, **columns) -> "Corpus":
        """The rows whose columns have these values, in order: ``where(language="en", speaker=["a", "b"])``.

        A list, set or tuple means any of its values. ``condition`` maps the table to a mask: ``where(lambda t:
        t.seconds < 4)``. Raises KeyError for a column that is not there.
        """
        keep = pd.Series(True, index=self.table.index)
        if condition is not None:
            keep &= condition(self.table)
        for column, value in columns.items():
            if column not in self.table:
                raise KeyError(f"no column {column!r}; there is {', '.join(map(str, self.table))}")
            values = value if isinstance(value, list | tuple | set | frozenset) else [value]
            keep &= self.table[column].isin(list(values))
        return self._with(self.table[keep])

    def sample(self, number: int, generator) -> "Corpus":
        """So many rows drawn without replacement by a ``torch.Generator``, in the order drawn.

        Raises ValueError when there are not as many.
        """
        import torch

        if not 0 <= number <= len(self):
            raise ValueError(f"expected a number from 0 to {len(self)}, found {number}")
        return self._with(self.table.iloc[torch.randperm(len(self), generator=generator)[:number].numpy()])

    def check(self, on_error: str = "raise") -> "Corpus":
        """Decode every sound once: raise on the first broken one, or leave out (``"skip"``) and name all that are."""
        good = []
        for position, id in enumerate(self.table["id"]):
            try:
                self[position].waveform  # noqa: B018
                good.append(position)
            except ValueError as error:
                refuse(f"{id}: {error}", on_error, error)
        return self if len(good) == len(self) else self._with(self.table.iloc[good])

    def sound(self, position: int) -> np.ndarray:
        """(n,) of one utterance, its TextGrid left unopened: for training, which needs sound by the thousand.

        Raises AudioError when it is broken.
        """
        row = self.table.iloc[position]
        return self._made[row["id"]].waveform if row["id"] in self._made else audio.read(self.root / row["path"])

    @property
    def hours(self) -> float:
        """Hours of sound, of the rows whose length is known."""
        return float(self.table["seconds"].sum()) / 3600

    def __repr__(self) -> str:
        languages = sorted(set(self.table["language"].dropna()) - {""})
        counts = [f"{len(self)} utterances", f"{self.hours * 60:.1f} minutes", *filter(None, [" ".join(languages)])]
        return f"Corpus({', '.join(filter(None, [self.name, *counts]))})"

    def _repr_html_(self) -> str:
        shown = [name for name in ("id", "text", "language", "speaker", "seconds") if self.table[name].notna().any()]
        more = ", ".join(str(name) for name in self.table if name not in shown)
        table = self.table[shown].to_html(max_rows=10, escape=True, float_format="%.2f", na_rep="")
        return f"<p>{escape(repr(self)[7:-1])}</p>{table}<p><small>also in .table: {escape(more)}</small></p>"

    def _with(self, table: pd.DataFrame) -> "Corpus":
        corpus = Corpus(table, self.root, self.name)
        corpus._made = self._made
        return corpus

    def _utterance(self, position: int) -> Utterance:
        row = self.table.iloc[position]
        if row["id"] in self._made:
            return self._made[row["id"]]
        phones, words = ((), ()) if pd.isna(row["alignment"]) else tiers(self.root / row["alignment"])
        texts = {name: "" if pd.isna(row[name]) else str(row[name]) for name in ("text", "language", "speaker")}
        return Utterance(row["id"], self.root / row["path"], **texts, phones=phones, words=words)


def tiers(textgrid: str | PathLike) -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """The phones and the words of a TextGrid: the first tiers whose names say so, as people and aligners write them.

    ``phones``, ``Speaker 1 - phones`` (Montreal Forced Aligner), ``Segments`` or ``MAU`` (WebMAUS); ``words`` or
    ``ORT-MAU``. Where there is neither, a warning says which names there are. A phone that the tier ``borrowed`` names
    as well gets score 0.0: its times are a convention.
    """
    found = read_textgrid(textgrid)
    phones = next((name for name in found if PHONES.fullmatch(name)), None)
    words = next((name for name in found if WORDS.fullmatch(name)), None)
    if found and not (phones or words):
        names = ", ".join(repr(name) for name in found)
        warnings.warn(f"{textgrid}: expected a tier 'phones' or 'words', found {names}: rename one", stacklevel=2)
    borrowed = {(span.start, span.end) for span in found.get(BORROWED, ())}
    spans = tuple(replace(p, score=0.0) if (p.start, p.end) in borrowed else p for p in found.get(phones, ()))
    return spans, found.get(words, ())


def refuse(message: str, on_error: str, cause: Exception | None = None) -> None:
    """Raise AudioError, or warn and go on, as the caller was asked to: ``on_error`` is ``"raise"`` or ``"skip"``."""
    if on_error == "raise":
        raise AudioError(message) from cause
    if on_error != "skip":
        raise ValueError(f"expected on_error 'raise' or 'skip', found {on_error!r}")
    warnings.warn(f"left out {message}", stacklevel=3)


def _cut(spans: tuple[Span, ...], start: float, end: float) -> tuple[Span, ...]:
    """The spans that reach into [start, end], cut to it, with ``start`` as the new zero."""
    return tuple(
        replace(s, start=max(s.start, start) - start, end=min(s.end, end) - start)
        for s in spans
        if s.start < end and s.end > start
    )
