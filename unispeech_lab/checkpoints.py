"""Checkpoints: a model by its name, from a folder, from the hub.

load()                  the small model that comes with the lab
load("folder")          any Hugging Face UniSpeech folder: safetensors, sharded, or .bin read as plain tensors
load("owner/name")      the same, from the hub or, without a network, from its cache

A wav2vec 2.0 or XLSR checkpoint becomes the same model, see ``doors.wav2vec2``.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
import transformers
from transformers.utils import logging

from . import paths
from .config import UniSpeechConfig
from .doors import CheckpointError
from .doors.account import Account
from .doors.hub import is_on_the_hub, reach, why_not_there
from .doors.wav2vec2 import ARCHITECTURES
from .doors.weights import read_config, refuse_other_models
from .model import (
    UniSpeechForCTC,
    UniSpeechForPreTraining,
    UniSpeechForSequenceClassification,
    UniSpeechModel,
    UniSpeechPreTrainedModel,
)

MODELS = {
    model.__name__: model
    for model in (UniSpeechModel, UniSpeechForCTC, UniSpeechForSequenceClassification, UniSpeechForPreTraining)
}

# Released wav2vec 2.0 recognisers may lack the vector that stands for hidden frames, or have it though their settings
# hide none: nothing but training asks for it.
MAY_DIFFER = {"masked_spec_embed", "unispeech.masked_spec_embed"}


def load(name: str | Path = "tiny", **options) -> UniSpeechPreTrainedModel:
    """A model ready to look into: weights loaded, eval mode, every weight accounted for.

    Args:
        name: ``"tiny"``, a folder in Hugging Face's layout, or a name on the hub.
        options: of ``from_pretrained`` (``attn_implementation``, ``dtype``, ``revision``, ...).

    Returns:
        The class that the checkpoint's config names under ``architectures``.

    Raises:
        CheckpointError: no such checkpoint, or one whose weights are not those of its class.
    """
    return load_with_account(name, **options)[0]


def load_with_account(name: str | Path = "tiny", **options) -> tuple[UniSpeechPreTrainedModel, Account | None]:
    """As ``load``; beside the model what became of the weights of a checkpoint that was not UniSpeech's, else None."""
    name = paths.data_dir() / "models" / "tiny" if str(name) == "tiny" else name
    if not Path(name).is_dir() and not is_on_the_hub(name):
        raise CheckpointError(
            f"expected 'tiny', a folder or a hub name like 'microsoft/unispeech-large-1500h-cv', found {str(name)!r}"
        )
    options = reach(name, options)
    words = read_config(name, options)
    if not words and Path(name).is_dir():
        raise CheckpointError(f"expected config.json in {name}, found none: copy the whole checkpoint")
    if not words:
        raise CheckpointError(f"expected a checkpoint at {name}, found none: {why_not_there(options)}")
    refuse_other_models(name, words)
    named = words.get("architectures") or ["UniSpeechModel"]
    named = named if isinstance(named, str) else named[0]
    architecture = ARCHITECTURES.get(named, named)
    if architecture not in MODELS:
        known = ", ".join([*MODELS, *ARCHITECTURES])
        raise CheckpointError(
            f"expected an architecture out of {known} in {name}, found {architecture}: what a variant made of these "
            "is loaded by unispeech_lab.variants.load(variant).from_pretrained(folder)"
        )
    with without_bar() if Path(name).is_dir() else nullcontext(), torch.random.fork_rng(devices=[]):
        model, report = MODELS[architecture].from_pretrained(name, output_loading_info=True, **options)
    may = MAY_DIFFER if "account" in report else set()
    missing, strange = (sorted(set(report[f"{what}_keys"]) - may) for what in ("missing", "unexpected"))
    if missing or strange:
        raise CheckpointError(
            f"expected the weights of {architecture} in {name}, missing {missing}, unexpected {strange}: "
            f"{architecture}.from_pretrained({str(name)!r}) begins the missing at random and leaves the others out"
        )
    return model, report.get("account")  # in eval mode: from_pretrained leaves it so


@contextmanager
def without_bar() -> Iterator[None]:
    """What lies on this machine is read in a blink: transformers' bar would only stay in the notebook."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def untrained(seed: int = 0, dtype: torch.dtype = torch.float32, **config) -> UniSpeechForPreTraining:
    """A model of the small one's architecture, from a seed: its weights know nothing yet.

    Raises:
        CheckpointError: a setting that no config has.
    """
    strange = sorted(set(config) - set(UniSpeechConfig().to_dict()) - {"attn_implementation"})
    if strange:
        found = ", ".join(strange)
        raise CheckpointError(f"expected settings of UniSpeechConfig, seed or dtype, found {found}")
    says = f"random weights (seed {seed}): nothing has been learned yet"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return UniSpeechForPreTraining(UniSpeechConfig.tiny(provenance=says, **config)).to(dtype).eval()


def register() -> None:
    """Put these classes behind transformers' ``Auto`` classes, in place of its own UniSpeech.

    Afterwards ``AutoModelForCTC.from_pretrained(folder)`` gives a ``unispeech_lab.UniSpeechForCTC``.
    """
    transformers.AutoConfig.register("unispeech", UniSpeechConfig, exist_ok=True)
    for auto, model in (
        (transformers.AutoModel, UniSpeechModel),
        (transformers.AutoModelForCTC, UniSpeechForCTC),
        (transformers.AutoModelForAudioClassification, UniSpeechForSequenceClassification),
        (transformers.AutoModelForPreTraining, UniSpeechForPreTraining),
    ):
        auto.register(UniSpeechConfig, model, exist_ok=True)
