"""The sources of speech, one file each, found by reading this folder.

    corpora.load("librispeech", "/data/LibriSpeech")        # or: from unispeech_lab.corpora import librispeech

A new source is a new file here with a function ``load(...) -> Corpus``; files that start with ``_`` are not sources.
"""

from importlib import import_module
from os import PathLike
from pathlib import Path
from pkgutil import iter_modules

from unispeech_lab.corpus import Corpus


def names() -> list[str]:
    """The sources there are."""
    return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def load(source: str, *args, **options) -> Corpus:
    """The corpus of a source; what else to say is in its own ``load``. Raises ValueError for an unknown source."""
    if source not in names():
        raise ValueError(f"expected a source among {', '.join(names())}, found {source!r}")
    return import_module(f"{__name__}.{source}").load(*args, **options)


def at(place: str | PathLike) -> Corpus:
    """The corpus at a place: ``"bundled"``, a table (``.tsv``, ``.csv``), or a folder, by its ``manifest.tsv`` if any.

    Raises FileNotFoundError where there is nothing, and what ``table`` and ``folder`` raise.
    """
    if str(place) == "bundled":
        return load("bundled")
    path = Path(place)
    if not path.exists():
        raise FileNotFoundError(f"expected 'bundled', a table or a folder of speech, found nothing at {path}")
    manifest = path / "manifest.tsv"
    table = manifest if manifest.is_file() else path
    return load("table" if table.is_file() else "folder", table)
