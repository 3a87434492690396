"""Small fine-tunings: the model of ``training``, a few sentences, a step in some ten milliseconds."""

import torch
from training import bundle, small, speech

from unispeech_lab import finetune
from unispeech_lab.corpus import Corpus

CALM = {"mask_time_prob": 0.0, "mask_feature_prob": 0.0, "layerdrop": 0.0}
CALM |= {f"{name}_dropout": 0.0 for name in ("hidden", "attention", "activation", "feat_proj", "final")}
SETTINGS = {"steps": 6, "batch_seconds": 8.0, "log_every": 1, "validate_every": 3, "save_every": 2, "augment": False}


def begun(teach="phones", corpus=None, start=None, **config):
    """A model to fine-tune, nothing about it random but its weights."""
    return finetune.begin(start or small(), corpus or speech(number=6), teach, **{**CALM, **config})


def tune(out, model=None, corpus=None, *, valid=None, given=None, **settings):
    settings = finetune.Settings(**{**SETTINGS, **settings})
    model = begun() if model is None else model
    corpus = speech(number=6) if corpus is None else corpus
    return finetune.train(model, corpus, out, settings, valid=valid, progress=False, **(given or {}))


def two_languages(number=3) -> Corpus:
    table = bundle().table
    ids = [id for language in ("en", "fr") for id in table["id"][table["language"] == language][:number]]
    return bundle()[ids]


def changed(before: dict, after: dict) -> set[str]:
    """Names of the weights that differ."""
    return {name for name, weight in before.items() if not torch.equal(weight, after[name])}


def copied(model) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in model.state_dict().items()}
