"""The variants of pretraining: one file an idea, the folder is the list of them.

    variant = variants.load("wav2vec2")
    model = variant.model(UniSpeechConfig.tiny())
    train(model, variant.corpus(corpus), "runs/wav2vec2", variant=variant)

A variant is a class that says what it changes. Your own, in a notebook or a script, is used in the same way::

    class Hotter(Variant):
        changes = {"contrastive_logits_temperature": 0.2}
"""

import sys
from copy import deepcopy
from difflib import get_close_matches
from importlib import import_module
from os import PathLike
from pathlib import Path

from ..config import UniSpeechConfig
from ..corpus import Corpus
from ..model import UniSpeechForPreTraining
from ..vocabulary import transcripts


class Variant:
    """What differs from UniSpeech, from the config to the step; say what changes, leave the rest.

    ``changes`` are settings of the config, ``architecture`` is the model's class (it derives what follows from them).

    Whatever a variant has to remember from one step to the next belongs in a buffer of the model: a run that was
    stopped goes on from the weights, the optimiser and the step's number. For the same reason, and because all
    processes must draw the same, ``before`` and ``after`` draw from ``seeds.generator_of(self.name, step)``.
    """

    changes: dict = {}
    architecture = UniSpeechForPreTraining

    @property
    def name(self) -> str:
        """That of its file in this folder; of a class from elsewhere, the class's."""
        module = type(self).__module__
        return module.rpartition(".")[2] if module.startswith(f"{__name__}.") else type(self).__name__

    @property
    def description(self) -> str:
        """The first line of the class's docstring, or else of its file's."""
        said = type(self).__dict__.get("__doc__") or sys.modules[type(self).__module__].__doc__ or ""
        return said.strip().partition("\n")[0]

    def config(self, config: UniSpeechConfig) -> UniSpeechConfig:
        """The config to build from: a copy with ``changes``.

        Raises:
            ValueError: a change of a setting that no config has.
        """
        strange = sorted(set(self.changes) - set(config.to_dict()))
        if strange:
            raise ValueError(f"variant {self.name}: expected settings of UniSpeechConfig, found {', '.join(strange)}")
        changed = deepcopy(config)
        changed.update(self.changes)
        return changed

    def corpus(self, corpus: Corpus) -> Corpus:
        """What it learns from of a corpus: everything."""
        return corpus

    def equip(self, model: UniSpeechForPreTraining) -> None:
        """Give a new model what no config can say: another objective, other draws."""

    def model(self, config: UniSpeechConfig) -> UniSpeechForPreTraining:
        """The model to train, with random weights."""
        model = self.architecture(self.config(config))
        self.equip(model)
        return model

    def from_pretrained(self, name: str | PathLike, **options) -> UniSpeechForPreTraining:
        """The model to train, with weights from a folder or the hub: of a run of its own, a stage before, of XLSR.

        ``options`` are those of ``from_pretrained``, settings of the config among them.

        Raises:
            CheckpointError: weights of another shape than this variant's.
        """
        model = self.architecture.from_pretrained(name, **{**self.changes, **options})
        self.equip(model)
        return model

    def before(self, model: UniSpeechForPreTraining, step: int, steps: int) -> None:
        """Called before each step, counted from 0, of so many."""

    def after(self, model: UniSpeechForPreTraining, step: int, steps: int) -> None:
        """Called after each step's update."""

    def __repr__(self) -> str:
        return f"{self.name}: {self.description}"


def labelled(corpus: Corpus) -> Corpus:
    """The utterances whose phones are known.

    Raises:
        ValueError: there are none.
    """
    known = [phones is not None for phones in transcripts(corpus)]
    if not any(known):
        raise ValueError(
            f"expected utterances with phones, found none in {corpus!r}: give TextGrids or a column phones, or the "
            "variant wav2vec2, which learns without"
        )
    return corpus[known]


def names() -> list[str]:
    """Every variant there is."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__init__")


def load(name: str) -> Variant:
    """A variant by name.

    Raises:
        KeyError: there is none of this name; the message says which there are.
    """
    if name not in names():
        near = get_close_matches(name, names(), 1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise KeyError(f"expected one of the variants {', '.join(names())}, found {name!r}{hint}")
    module = import_module(f".{name}", __name__)
    mine = [x for x in vars(module).values() if getattr(x, "__module__", "") == module.__name__]
    (variant,) = (x for x in mine if isinstance(x, type) and issubclass(x, Variant))
    return variant()
