"""Codewords: what each codeword of a surveyed codebook stands for.

    chosen = Codewords.of(survey, group=0, language="it")
    chosen.uses, chosen.phones, chosen.shares       (v,) each: how often, mostly for which phone, in what share of it
    chosen.counts                                   a row a phone (pauses are "–"), a column a codeword
    chosen.sounds(24)                               stretches of the survey's album that chose each codeword

The ``group`` ``"joint"`` takes the codes of all groups together: its codewords are the most frequent combinations, as
many as a group has codewords, by rank.

Shapes: ``f`` frame that counts, ``g`` group, ``v`` codeword, ``p`` phone.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd

from unispeech_lab import codebook
from unispeech_lab.boundaries import phone_class
from unispeech_lab.codebook import JOINT, PARTS
from unispeech_lab.survey import Survey

ALL, PAUSE, UNKNOWN = "all", "–", "?"
CLASSES = ("vowel", "approximant", "nasal", "fricative", "affricate", "stop", "pause", "other", "unused")
ORDERS = ("by class", "clustered", "by use", "by number")


@dataclass(frozen=True, eq=False)
class Codewords:
    """The frames of a survey that count, and what its codewords are to them.

    ``rows`` (f,) are places in ``survey.frames``; ``numbers`` (f,) their codewords, -1 for a rare combination;
    ``labels`` (f,) phones, ``PAUSE``, or None in an utterance whose phones nobody knows.
    """

    survey: Survey
    group: int | str
    rows: np.ndarray
    numbers: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    @classmethod
    @lru_cache(maxsize=8)  # a click on a codeword counts nothing anew
    def of(cls, survey: Survey, group: int | str = 0, language: str = ALL, part: str = ALL) -> "Codewords":
        """Of one group or of all jointly, in frames of one language and one part (onset, middle, end) of a phone.

        Raises:
            ValueError: a group, a language or a part that there is not.
        """
        codes, size = survey["quantizer.codes"], survey["quantizer.logits"].shape[-1]
        for what, value, there in (
            ("group", group, (*range(codes.shape[1]), JOINT)),
            ("language", language, languages(survey)),
            ("part", part, (ALL, *PARTS)),
        ):
            if value not in there:
                raise ValueError(f"expected {what} to be one of {', '.join(map(str, there))}, found {value!r}")
        if group == JOINT:
            numbers, names = codebook.most_joint(codes, size)
        else:
            numbers, names = codes[:, group], tuple(map(str, range(size)))
        counted = np.ones(len(codes), bool)
        if language != ALL:
            counted &= (survey.frames["language"] == language).to_numpy()
        if part != ALL:
            counted &= (survey.frames["part"] == part).to_numpy()
        rows = np.flatnonzero(counted)
        return cls(survey, group, rows, numbers[rows], labelled(survey)[rows], names)

    @property
    def size(self) -> int:
        return len(self.names)

    @property
    def title(self) -> str:
        return "joint codes" if self.group == JOINT else f"group {self.group}"

    @cached_property
    def uses(self) -> np.ndarray:
        """How many frames chose each codeword (v,)."""
        return np.bincount(self.numbers[self.numbers >= 0], minlength=self.size)

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Frames (p, v), a row a phone, a column a codeword, used or not."""
        there = self.numbers >= 0
        found = codebook.table(self.numbers[there], self.labels[there])
        return found.reindex(columns=range(self.size), fill_value=0)

    @cached_property
    def soft(self) -> np.ndarray | None:
        """The mean over frames of the softmax's probabilities (v,); None of joint codes, as of no frame."""
        if self.group == JOINT or not len(self.rows):
            return None
        return codebook.softmax(self.survey["quantizer.logits"][self.rows, self.group]).mean(0)

    @cached_property
    def said(self) -> pd.DataFrame:
        """A row a codeword: its ``name``, ``uses``, the ``phone`` most of its frames lie in, their ``share``, its
        ``kind`` (a place in ``CLASSES``)."""
        counts, uses = self.counts, self.uses
        told, most = counts.sum().to_numpy(), counts.max().to_numpy() if len(counts) else np.zeros(self.size)
        best = counts.index.to_numpy()[counts.to_numpy().argmax(0)] if len(counts) else np.full(self.size, UNKNOWN)
        phones = np.where(told > 0, best, UNKNOWN)
        kinds = [
            CLASSES.index(class_of(phone)) if used else len(CLASSES) - 1
            for phone, used in zip(phones, uses, strict=True)
        ]
        shares = np.divide(most, told, out=np.full(self.size, np.nan), where=told > 0)
        columns = {"name": self.names, "uses": uses, "phone": np.where(uses > 0, phones, ""), "share": shares}
        return pd.DataFrame(columns | {"kind": kinds})

    def arranged(self, order: str) -> np.ndarray:
        """The codewords (v,) in one of ``ORDERS``: those of one phone together, alike ones together, the busy first."""
        return self.orders[order]

    @cached_property
    def orders(self) -> dict[str, np.ndarray]:
        by_class = self.said.assign(busy=-self.uses).sort_values(["kind", "phone", "busy"], kind="stable")
        orders = (
            by_class.index.to_numpy(),
            codebook.similar(self.counts.to_numpy().T),
            np.argsort(-self.uses, kind="stable"),
            np.arange(self.size),
        )
        return dict(zip(ORDERS, orders, strict=True))

    @cached_property
    def agreement(self) -> dict[str, float]:
        """That of ``codebook`` within phones, all combinations counted; ``chance`` beside it. Empty without phones."""
        numbers = self.numbers
        if self.group == JOINT:
            numbers = codebook.joint(self.survey["quantizer.codes"])[self.rows]
        phones = np.where(self.labels == PAUSE, None, self.labels)
        if not any(phones):
            return {}
        return codebook.agreement(numbers, phones) | {"chance": codebook.chance(numbers, phones)}

    def certainty(self) -> np.ndarray:
        """The probability (f,) that the softmax gave to what was chosen."""
        groups = slice(None) if self.group == JOINT else [self.group]
        codes, logits = (self.survey[f"quantizer.{name}"][self.rows][:, groups] for name in ("codes", "logits"))
        return certainty(logits, codes).prod(1)

    def sounds(self, most: int, least: float = 0.06) -> tuple[np.ndarray, ...]:
        """For each codeword up to ``most`` stretches (s, 2) of the album, in seconds, that chose it frame after frame.

        First the stretch of each utterance whose frames were surest, the surest of these first, so that many voices
        are heard; then the second of each. What is shorter than ``least`` seconds is widened evenly, within its
        utterance: the ear makes nothing of 20 ms.
        """
        found = self.stretches.groupby("code").head(most)
        ends = np.array([utterance.seconds for utterance in self.survey.utterances])[found["utterance"]]
        start, end = found["start"].to_numpy(), found["end"].to_numpy()
        missing = np.maximum(least - (end - start), 0) / 2
        start = np.clip(start - missing, 0, np.maximum(ends - least, 0))
        end = np.minimum(np.maximum(end + missing, start + least), ends)
        times, codes = self.survey.times(found.assign(start=start, end=end)), found["code"].to_numpy()
        return tuple(times[codes == code] for code in range(self.size))

    @cached_property
    def stretches(self) -> pd.DataFrame:
        """A row a run of frames of one ``code``: its ``utterance``, ``start`` and ``end`` in it; the first to play
        first."""
        frames = self.survey.frames.iloc[self.rows]
        where = frames["utterance"].to_numpy()
        # where frames between were left out (another part of the phone), a stretch ends
        runs = codebook.stretches(self.numbers, self.rows - np.arange(len(self.rows)) + len(self.survey.frames) * where)
        first, last = runs.T
        sure = np.diff(np.concatenate([[0.0], np.cumsum(self.certainty())])[runs], axis=1)[:, 0] / (last - first)
        found = pd.DataFrame(
            {
                "code": self.numbers[first],
                "utterance": where[first],
                "start": frames["start"].to_numpy()[first],
                "end": frames["end"].to_numpy()[last - 1],
                "unsure": -sure,
            }
        ).sort_values("unsure", kind="stable")
        found["turn"] = found.groupby(["code", "utterance"]).cumcount()
        return found.sort_values(["turn", "unsure"], kind="stable")


def languages(survey: Survey) -> tuple[str, ...]:
    """``all``, then each language of the survey."""
    return (ALL, *sorted(set(survey.frames["language"].dropna().astype(str)) - {""}))


def labelled(survey: Survey) -> np.ndarray:
    """The phone of every frame, ``PAUSE`` between phones, None in utterances without any."""
    known = np.array([len(utterance.phones) > 0 for utterance in survey.utterances])
    phones = survey.frames["phone"].to_numpy(dtype=object)
    nowhere = pd.isna(phones)
    return np.where(nowhere, np.where(known[survey.frames["utterance"]], PAUSE, None), phones)


def class_of(phone: str) -> str:
    """One of ``CLASSES``."""
    return "pause" if phone == PAUSE else phone_class(phone)


def certainty(logits: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """The probability (..., g) that the softmax of logits (..., g, v) gives to codes (..., g)."""
    return np.take_along_axis(codebook.softmax(logits), codes[..., None], -1)[..., 0]
