"""Rows: what all readers share, from lines of text to a corpus whose files were looked at."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from unispeech_lab import audio
from unispeech_lab.corpus import COLUMNS, Corpus, refuse


def gather(rows: Iterable[dict], root: Path, name: str, on_error: str = "raise") -> Corpus:
    """A corpus of rows with ``id`` and ``path`` (from ``root``), each sound's header read for its ``seconds``.

    A file that is missing or whose header is broken raises AudioError, or is named in a warning and left out
    (``on_error="skip"``). What only decoding shows, ``Corpus.check`` finds.
    """
    kept = []
    for row in rows:
        try:
            kept.append({**row, "seconds": audio.header(root / row["path"]).seconds})
        except audio.AudioError as error:
            refuse(str(error), on_error, error)
    return Corpus(pd.DataFrame(kept, columns=None if kept else list(COLUMNS)), root, name)


def folder(path) -> Path:
    """The folder, if there is one. Raises FileNotFoundError."""
    if not Path(path).is_dir():
        raise FileNotFoundError(f"{path}: expected a folder, found {'a file' if Path(path).exists() else 'nothing'}")
    return Path(path)


def lines(file: Path) -> list[str]:
    """The lines of a UTF-8 text, whatever ends them. Raises FileNotFoundError, ValueError naming file and line."""
    if not file.is_file():
        raise FileNotFoundError(f"{file}: expected a text file, found none")
    written = file.read_bytes()
    try:
        return written.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        line = written[: error.start].count(b"\n") + 1
        raise ValueError(f"{file}, line {line}: expected UTF-8 text, found {error.reason}") from error


def table(file: Path, needed: Iterable[str] = ()) -> Iterator[dict[str, str]]:
    """The rows of a table with a header line: tabs and no quoting in a ``.tsv``, commas and quotes in any other.

    Raises ValueError, naming the file and the line, when a row has not as many cells as the header, or a needed column
    is missing or empty.
    """
    quoted = file.suffix != ".tsv"
    reader = csv.reader(
        (line + "\n" for line in lines(file)),
        delimiter="," if quoted else "\t",
        quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
        strict=True,
    )
    try:
        header = next(reader, [])
        missing = [column for column in needed if column not in header]
        if missing or len(set(header)) < len(header):
            raise ValueError(f"{file}, line 1: expected columns {', '.join(needed)}, each once, found {header}")
        for cells in reader:
            if cells in ([], [""]):
                continue
            if len(cells) != len(header):
                raise ValueError(
                    f"{file}, line {reader.line_num}: expected {len(header)} cells as in the header, found {len(cells)}"
                )
            row = dict(zip(header, cells, strict=True))
            empty = [column for column in needed if not row[column].strip()]
            if empty:
                raise ValueError(
                    f"{file}, line {reader.line_num}: expected something in {', '.join(empty)}, found nothing"
                )
            yield row
    except csv.Error as error:
        raise ValueError(f"{file}, line {reader.line_num}: expected a table, found: {error}") from error
