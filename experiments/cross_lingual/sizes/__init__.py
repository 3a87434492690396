"""Sizes of the experiment: one file a size, the folder is the list of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from unispeech_lab.config import UniSpeechConfig
from unispeech_lab.corpus import Corpus
from unispeech_lab.settings import FineTuneSettings, Settings

PARTS = ("source", "labelled", "unlabelled", "valid", "test")


@dataclass(frozen=True)
class Size:
    """What a size decides, for all methods alike.

    ``config(vocabulary size, blank, changes)`` is the model's; ``stage1``, ``stage2``, ``stage3`` its settings;
    ``sources``: the first alone in one-to-one; ``targets``, ``seeds``; ``speech(folder, part, language)`` is a corpus,
    made or found under a folder, of one of ``PARTS``. Speakers of ``test`` and ``valid`` are heard nowhere else.
    ``begin``: settings of the fine-tuned model that differ from the authors' recipe; ``again``: settings of stage 2's
    model that differ from stage 1's; ``rules``: choices of the objective (``objective.Objective``) in stages 1 and 2.
    ``balance``: source languages are heard in proportion to their hours to this power.
    """

    config: Callable[..., UniSpeechConfig]
    stage1: Settings
    stage2: Settings
    stage3: FineTuneSettings
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    seeds: tuple[int, ...]
    speech: Callable[[Path, str, str], Corpus]
    begin: Mapping = field(default_factory=dict)
    again: Mapping = field(default_factory=dict)
    rules: tuple[Mapping, Mapping] = ({}, {})
    balance: float = 1.0


def names() -> list[str]:
    """Every size there is."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")


def load(name: str) -> Size:
    """A size by name. Raises ``KeyError`` with those there are."""
    if name not in names():
        raise KeyError(f"expected one of the sizes {', '.join(names())}, found {name!r}")
    return import_module(f"{__name__}.{name}").SIZE
