"""The sources of speech, one file each, found by reading this folder.

    corpora.load("librispeech", "/data/LibriSpeech")        # or: from unispeech_lab.corpora import librispeech

A new source is a new file here with a function ``load(...) -> Corpus``; files that start with ``_`` are not sources.
"""

from importlib import import_module
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
