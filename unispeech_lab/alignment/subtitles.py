"""Subtitles: words as lines that appear while they are said, in SubRip (.srt) or WebVTT (.vtt), both ways."""

import re
from collections.abc import Iterable, Sequence
from html import escape, unescape
from os import PathLike
from pathlib import Path

from unispeech_lab.alignment.span import Span

WIDTH = 42  # characters a line: what the style guides of broadcasters allow
LONGEST = 6.0  # seconds that a line stays
PAUSE = 0.6  # seconds of silence after which a new line begins
TIME = r"(?:(\d+):)?(\d\d):(\d\d)[.,](\d{3})"
TIMES = re.compile(rf"\s*{TIME}\s+-->\s+{TIME}(?:\s.*)?")  # and where on the screen, in WebVTT


def lines(words: Iterable[Span]) -> list[Span]:
    """Words put together into lines: none wider than ``WIDTH`` (if a word is not), longer than ``LONGEST``, or over a
    ``PAUSE``."""
    rows: list[Span] = []
    for word in words:
        last = rows[-1] if rows else None
        joins = (
            last is not None
            and word.start - last.end < PAUSE
            and word.end - last.start <= LONGEST
            and len(last.label) + 1 + len(word.label) <= WIDTH
        )
        if joins:
            rows[-1] = Span(f"{last.label} {word.label}", last.start, word.end)
        else:
            rows.append(Span(word.label, word.start, word.end))
    return rows


def write_srt(file: str | PathLike, words: Sequence[Span], recording: str = "") -> None:
    """SubRip, UTF-8: numbered lines, times with a comma."""
    cues = [
        f"{number}\n{_time(row.start, ',')} --> {_time(row.end, ',')}\n{row.label}\n"
        for number, row in enumerate(lines(words), 1)
    ]
    Path(file).write_text("\n".join(cues), encoding="utf-8")


def write_vtt(file: str | PathLike, words: Sequence[Span], recording: str = "") -> None:
    """WebVTT, UTF-8: as a browser's ``<track>`` reads it."""
    cues = [
        f"{_time(row.start, '.')} --> {_time(row.end, '.')}\n{escape(row.label, quote=False)}\n" for row in lines(words)
    ]
    Path(file).write_text("\n".join(["WEBVTT\n", *cues]), encoding="utf-8")


def read_subtitles(file: str | PathLike) -> tuple[Span, ...]:
    """The lines of an .srt or .vtt file, each with its times; of several rows one, separated by blanks; without markup.

    Raises:
        ValueError: a file that is no UTF-8, has no line with times, or one that ends before it begins; it is named.
    """
    try:
        text = Path(file).read_text(encoding="utf-8-sig").replace("\r\n", "\n")
        found = []
        for block in re.split(r"\n\s*\n", text):
            rows = block.strip("\n").split("\n")
            at = next((k for k, row in enumerate(rows[:2]) if TIMES.fullmatch(row)), None)  # a number or name above it
            if at is not None:
                said = re.sub(r"<[^>]*>", "", " ".join(row.strip() for row in rows[at + 1 :]))
                said = unescape(said) if Path(file).suffix.lower() == ".vtt" else said
                times = TIMES.fullmatch(rows[at]).groups(default="0")
                found.append(Span(said, _seconds(*times[:4]), _seconds(*times[4:])))
    except ValueError as error:
        raise ValueError(f"{file}: expected subtitles as UTF-8, found: {error}") from error
    if not found and Path(file).stat().st_size > len("WEBVTT\n"):
        raise ValueError(f"{file}: expected lines under times such as 00:00:01,000 --> 00:00:02,500, found none")
    return tuple(found)


def _seconds(hours: str, minutes: str, seconds: str, milliseconds: str) -> float:
    return (3_600_000 * int(hours) + 60_000 * int(minutes) + 1000 * int(seconds) + int(milliseconds)) / 1000


def _time(seconds: float, point: str) -> str:
    """``00:01:02,345``: hours, minutes, seconds, milliseconds."""
    milliseconds = round(seconds * 1000)
    return (
        f"{milliseconds // 3_600_000:02}:{milliseconds // 60_000 % 60:02}:{milliseconds // 1000 % 60:02}"
        f"{point}{milliseconds % 1000:03}"
    )
