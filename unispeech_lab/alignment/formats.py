"""Formats: tiers of spans as a file, by its suffix.

.TextGrid  Praat: every tier, no scores            .json  every tier, with scores
.eaf       ELAN: every tier, in milliseconds       .ctm   one tier (phones), with scores, for NIST's sclite, Kaldi
.srt .vtt  subtitles: one tier (words), in lines
"""

import os
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path

from unispeech_lab.alignment import ctm, elan, notes, subtitles
from unispeech_lab.alignment.span import Span
from unispeech_lab.alignment.textgrid import read_textgrid, write_textgrid

Tiers = Mapping[str, Iterable[Span]]

READERS: dict[str, Callable] = {
    ".textgrid": read_textgrid,
    ".json": notes.read_json,
    ".eaf": elan.read_eaf,
    ".ctm": lambda file: {"phones": ctm.read_ctm(file)},
    ".srt": lambda file: {"lines": subtitles.read_subtitles(file)},
    ".vtt": lambda file: {"lines": subtitles.read_subtitles(file)},
}
WHOLE: dict[str, Callable] = {".textgrid": write_textgrid, ".json": notes.write_json, ".eaf": elan.write_eaf}
ONE_TIER: dict[str, tuple[Callable, str]] = {
    ".ctm": (ctm.write_ctm, "phones"),
    ".srt": (subtitles.write_srt, "words"),
    ".vtt": (subtitles.write_vtt, "words"),
}
SUFFIXES = (*WHOLE, *ONE_TIER)


def write(file: str | PathLike, tiers: Tiers, seconds: float, tier: str | None = None) -> None:
    """Write tiers in the format of the file's suffix, whole or not at all (what was there is replaced at the end).

    Args:
        seconds: where the sound ends.
        tier: which to write where a format holds one: phones for .ctm, words for .srt and .vtt if None.

    Raises:
        ValueError: an unknown suffix, a tier that is not there, spans or labels that the format cannot hold.
    """
    path = Path(file)
    suffix = known(path, SUFFIXES)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        if suffix in WHOLE:
            WHOLE[suffix](part, tiers, seconds)
        else:
            writer, usual = ONE_TIER[suffix]
            name = tier or usual
            if name not in tiers:
                raise ValueError(f"{path}: expected a tier {name!r} to write, found {', '.join(tiers) or 'none'}")
            writer(part, tiers[name], path.stem)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read(file: str | PathLike) -> dict[str, tuple[Span, ...]]:
    """The tiers of a .TextGrid, .json, .eaf, .ctm, .srt or .vtt file (one of phones in a .ctm, of lines in subtitles).

    Raises:
        ValueError: another suffix, or a file that is broken; the message names it. FileNotFoundError: there is none.
    """
    path = Path(file)
    suffix = known(path, READERS)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected tiers, found no file")
    return READERS[suffix](path)


def known(path: Path, suffixes: Iterable[str]) -> str:
    """The suffix, in lower case. Raises ValueError for one that is not among those."""
    suffix = path.suffix.lower()
    if suffix not in suffixes:
        raise ValueError(f"{path}: expected a file that ends in {', '.join(suffixes)}, found {path.suffix or 'none'!r}")
    return suffix
