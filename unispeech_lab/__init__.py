"""UniSpeech Lab: the workbench in which people look inside a speech model."""

from importlib import import_module

__version__ = "0.1.0"

# name -> the module it lives in; imported when first asked for, so that `unispeech-lab --help` need not wait for torch
PUBLIC = {
    "UniSpeechConfig": "config",
    "UniSpeechModel": "model",
    "UniSpeechForCTC": "model",
    "UniSpeechForSequenceClassification": "model",
    "UniSpeechForPreTraining": "model",
    "UniSpeechForPreTrainingOutput": "model",
    "load": "checkpoints",
    "register": "checkpoints",
    "record": "trace",
    "edit": "trace",
    "Trace": "trace",
    "estimate": "trace",
    "Utterance": "corpus",
    "Corpus": "corpus",
    "Span": "alignment",
    "align": "alignment",
    "log_posteriors": "posteriors",
    "Frames": "frames",
    "Explorer": "views.explorer",
    "explore": "views.explore",
    "Survey": "survey",
    "Source": "views.source",
    "watches": "views",
}

__all__ = list(PUBLIC)


def __getattr__(name: str):
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC])
