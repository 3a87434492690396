"""TextGrid: tiers of spans as Praat keeps them, read or written by praatio."""

import re
from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path

from praatio import textgrid
from praatio.data_classes.interval_tier import IntervalTier
from praatio.utilities.constants import TextgridFormats

from unispeech_lab.alignment.span import Span


def read_textgrid(file: str | PathLike, empty: bool = False) -> dict[str, tuple[Span, ...]]:
    """The interval tiers of a Praat TextGrid (long, short or praatio's JSON; UTF-8 or UTF-16), by name, in file order.

    Point tiers are left out. Intervals without a label are pauses: they come along only when ``empty`` is true.
    Raises ValueError naming the file, and the line where one can be pointed at; FileNotFoundError when there is none.
    """
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a TextGrid, found no file")
    try:
        grid = textgrid.openTextgrid(str(path), True, reportingMode="silence", duplicateNamesMode="rename")
        tiers = [tier for tier in grid.tiers if isinstance(tier, IntervalTier)]
        return {
            tier.name: tuple(Span(x.label, x.start, x.end) for x in tier.entries if x.label or empty) for tier in tiers
        }
    except Exception as error:  # the parser meets unchecked text, which breaks it in as many ways as there are typos
        raise ValueError(f"{path}{_suspect(path)}: expected a TextGrid as Praat writes it, found: {error!r}") from error


def write_textgrid(file: str | PathLike, tiers: Mapping[str, Iterable[Span]], seconds: float) -> None:
    """Write tiers of spans, in order of time and without overlap, as a long TextGrid (UTF-8) of ``seconds``.

    The stretches between spans become intervals without a label; scores are not kept (a TextGrid has no place for one),
    nor is white space around a label. Raises ValueError when spans overlap, are empty in time, or pass the end, and for
    a label with ``item [`` or ``intervals [`` in it, which the readers of this format take for their own.
    """
    grid = textgrid.Textgrid(0, seconds)
    for name, spans in tiers.items():
        spans = list(spans)
        reached = 0.0
        for span in spans:
            if span.start < reached or span.end > seconds or span.end == span.start:
                raise ValueError(
                    f"tier {name!r}: expected spans in order, longer than zero and within 0 to {seconds} s, found "
                    f"{span.label!r} from {span.start} to {span.end} after {reached}"
                )
            if re.search(r"(item|intervals) ?\[", span.label):
                raise ValueError(f"tier {name!r}: expected a label that no reader stumbles over, found {span.label!r}")
            reached = span.end
        entries = [(span.start, span.end, span.label) for span in spans] or [(0, seconds, "")]
        grid.addTier(IntervalTier(name, entries, 0, seconds))
    grid.save(str(file), format=TextgridFormats.LONG_TEXTGRID, includeBlankSpaces=True, reportingMode="error")


def _suspect(path: Path) -> str:
    """Where a broken TextGrid is likely broken: ``, line 12`` for the first time or count that is not a number."""
    text = path.read_bytes()
    text = text.decode("utf-16" if text[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        value = re.match(r"\s*(?:xmin|xmax|number|time|(?:intervals|points): size)\s*=\s*(.*)", line)
        if value and not re.fullmatch(r"[-+.\deE]+\s*", value[1]):
            return f", line {number}"
    return ""
