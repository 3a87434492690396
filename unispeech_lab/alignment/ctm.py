"""CTM: a span a line, as NIST's scoring tools, Kaldi and the Montreal Forced Aligner read it.

recording  channel  start  duration  label  score
"""

import re
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from unispeech_lab.alignment.span import Span


def write_ctm(file: str | PathLike, spans: Iterable[Span], recording: str = "recording") -> None:
    """Write one tier (UTF-8), times to the millisecond; a score where there is one.

    Raises:
        ValueError: a label that is empty, holds a blank or begins a comment (``;;``).
    """
    name, lines = re.sub(r"\s", "_", recording) or "recording", []
    for span in spans:
        if not span.label or re.search(r"\s", span.label) or span.label.startswith(";;"):
            raise ValueError(f"expected labels without blanks, which CTM splits at, found {span.label!r}")
        start = round(span.start, 3)
        score = "" if span.score is None else f" {span.score:.4f}"
        lines.append(f"{name} 1 {start:.3f} {round(span.end, 3) - start:.3f} {span.label}{score}\n")
    Path(file).write_text("".join(lines), encoding="utf-8")


def read_ctm(file: str | PathLike) -> tuple[Span, ...]:
    """The spans of a CTM file of one recording.

    Raises:
        ValueError: a line that is none, or a second recording; the message names the line.
    """
    spans, recordings = [], set()
    for number, line in enumerate(Path(file).read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith(";;"):
            continue
        try:
            recording, channel, start, duration, label, *score = line.split()
            recordings.add((recording, channel))
            begin = float(start)
            end = round(begin + float(duration), 6)
            spans.append(Span(label, begin, end, float(score[0]) if score and score[0] != "NA" else None))
        except ValueError as error:
            raise ValueError(
                f"{file}, line {number}: expected recording, channel, start, duration, label, found {line!r}"
            ) from error
    if len(recordings) > 1:
        raise ValueError(f"{file}: expected one recording, found {len(recordings)}: split the file")
    return tuple(spans)
