"""ELAN: tiers of spans as an ``.eaf`` document, read or written by pympi."""

from collections.abc import Iterable, Mapping
from os import PathLike
from pathlib import Path

import pympi

from unispeech_lab.alignment.span import Span


def write_eaf(file: str | PathLike, tiers: Mapping[str, Iterable[Span]], seconds: float) -> None:
    """Write every tier, in milliseconds, which is all that ELAN counts; scores are not kept.

    Raises:
        ValueError: a span shorter than a millisecond, or past the end.
    """
    document = pympi.Eaf(author="UniSpeech Lab")
    document.remove_tier("default")
    for name, spans in tiers.items():
        document.add_tier(name)
        for span in spans:
            start, end = round(span.start * 1000), round(span.end * 1000)
            if not 0 <= start < end <= round(seconds * 1000):
                raise ValueError(
                    f"tier {name!r}: expected spans of a millisecond or more within 0 to {seconds} s, found "
                    f"{span.label!r} from {span.start} to {span.end}"
                )
            document.add_annotation(name, start, end, span.label)
    text = pympi.Elan.to_string(document)  # to_file would leave a .bak beside it
    Path(file).write_text(f'<?xml version="1.0" encoding="UTF-8"?>\n{text}', encoding="utf-8")


def read_eaf(file: str | PathLike) -> dict[str, tuple[Span, ...]]:
    """The time-aligned tiers, by name, in order of time. Raises ValueError, naming the file, when it is none."""
    try:
        document = pympi.Eaf(str(file), suppress_version_warning=True)
        return {
            name: tuple(
                Span(label, start / 1000, end / 1000)
                for start, end, label, *_ in sorted(document.get_annotation_data_for_tier(name))
            )
            for name in document.get_tier_names()
        }
    except Exception as error:  # the parser meets unchecked text, which breaks it in as many ways as there are typos
        raise ValueError(f"{file}: expected an .eaf document as ELAN writes it, found: {error!r}") from error
