"""The door for wav2vec 2.0: checkpoints of the model that UniSpeech is compared with, in Hugging Face's layout.

Front end, encoder, quantizer, recogniser and classifier are UniSpeech's, layer for layer, under another prefix. What
differs is the pretraining head. wav2vec 2.0 takes states down to the codewords' space (``project_hid``: d -> p) and
compares there; UniSpeech takes codewords up to the states' (``project_hid``: p -> d), so that they can stand in for
states. For a state c and a projected codeword p their scalar products are

    <A c + a, p>  =  <c, A^T p>  +  <a, p>

so ``project_hid`` is their matrix turned around, A^T: the same products but for the bias a, which has no home. Cosines
are divided by other lengths, hence equal only where the rows of A are orthonormal: a place to go on from, no copy of
their loss. ``ctc_proj`` was taught by nobody: it is zeros, every class alike, until it is trained. (arXiv 2006.11477)
"""

import json
import re
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import Wav2Vec2Config

from unispeech_lab.config import UniSpeechConfig
from unispeech_lab.doors.account import Account
from unispeech_lab.doors.errors import CheckpointError
from unispeech_lab.doors.hub import HUB_OPTIONS, find_file

ARCHITECTURES = {
    f"Wav2Vec2{kind}": f"UniSpeech{kind}" for kind in ("Model", "ForCTC", "ForSequenceClassification", "ForPreTraining")
}
OURS = (
    (r"^wav2vec2\.", "unispeech."),
    (r"pos_conv_embed\.conv\.weight_g$", "pos_conv_embed.conv.parametrizations.weight.original0"),
    (r"pos_conv_embed\.conv\.weight_v$", "pos_conv_embed.conv.parametrizations.weight.original1"),
)
NOT_SETTINGS = {"model_type", "architectures", "transformers_version", "num_feat_extract_layers", "dtype"}
KNOWN = UniSpeechConfig().to_dict().keys() - NOT_SETTINGS
TURNED = "is theirs turned around (d -> p became p -> d)"
NO_HOME = "it moves products in the codewords' space, where UniSpeech compares nothing"
UNTAUGHT = "is zeros: nothing taught it, every class is alike"
FRESH = "is begun anew: the checkpoint has none"


def adopt(cls, load, where, words: dict, options: dict):
    """A model of ours with a wav2vec 2.0 checkpoint's weights.

    Args:
        cls: our class.
        load: its ``from_pretrained`` of transformers.
        where: a folder, or a name on the hub.
        words: its ``config.json``.
        options: of ``from_pretrained``; settings among them win over the checkpoint's.

    Returns:
        The model, and its loading info: transformers' lists and an ``account``.

    Raises:
        CheckpointError: a convolutional adapter behind the encoder, which UniSpeech has not; no weights there.
    """
    options = dict(options)
    own = {name: options.pop(name) for name in KNOWN & options.keys()}
    config = options.pop("config", None) or UniSpeechConfig(**{**settings_of(words), **own})
    hub = {name: options.pop(name) for name in HUB_OPTIONS if name in options}
    theirs = read_tensors(where, hub)
    ours = {name: our_key(name) for name in theirs}
    state = {ours[name]: value for name, value in theirs.items()}
    account = Account()
    if cls.__name__ == ARCHITECTURES["Wav2Vec2ForPreTraining"] and "project_hid.weight" in theirs:
        state["project_hid.weight"] = theirs["project_hid.weight"].T.contiguous()
        state["project_hid.bias"] = torch.zeros(config.hidden_size)
        state["ctc_proj.weight"] = torch.zeros(config.num_ctc_classes, config.hidden_size)
        state["ctc_proj.bias"] = torch.zeros(config.num_ctc_classes)
        account.turned["project_hid.weight"] = (ours.pop("project_hid.weight"), TURNED)
        account.dropped["project_hid.bias"] = NO_HOME
        account.begun |= {f"ctc_proj.{part}": UNTAUGHT for part in ("weight", "bias")}
        del ours["project_hid.bias"]
    model, info = load(None, config=config, state_dict=state, output_loading_info=True, **options)
    missing, strange = set(info["missing_keys"]), set(info["unexpected_keys"])
    account.used = {name: our for name, our in ours.items() if our not in strange}
    account.dropped |= {name: "no place in this class" for name, our in ours.items() if our in strange}
    account.begun |= dict.fromkeys(sorted(missing), FRESH)
    name = Path(where).name if Path(where).is_dir() else str(where)
    said = account.words() if len(account.dropped) < 4 else f"{len(account.dropped)} of its weights left out"
    model.config.provenance = f"wav2vec 2.0 weights of {name}" + (f": {said}" if said else "")
    model.config.name_or_path = model.name_or_path = str(where)
    info |= {"missing_keys": missing, "unexpected_keys": strange, "account": account}
    return model, info


def settings_of(words: dict) -> dict:
    """UniSpeech's settings from a ``config.json`` of wav2vec 2.0; those it leaves out have wav2vec 2.0's defaults.

    The objective becomes wav2vec 2.0's: no CTC (``alpha=0``), nothing replaced (``replace_prob=0``).
    """
    if words.get("add_adapter"):
        raise CheckpointError(
            "expected a wav2vec 2.0 without add_adapter, found the convolutions that it puts behind the encoder, which "
            "UniSpeech has not: load it with transformers; record(model, ...) and edit(model, ...) watch it there too"
        )
    stale = ("gradient_checkpointing", "transformers_version")
    theirs = Wav2Vec2Config.from_dict({name: value for name, value in words.items() if name not in stale}).to_dict()
    return {name: value for name, value in theirs.items() if name in KNOWN} | {"alpha": 0.0, "replace_prob": 0.0}


def our_key(name: str) -> str:
    for theirs, ours in OURS:
        name = re.sub(theirs, ours, name)
    return name


def read_tensors(where, options: dict) -> dict[str, Tensor]:
    """All weights of a checkpoint in Hugging Face's layout, whole or in shards, as plain tensors.

    Raises:
        CheckpointError: there are none, or something else is in their place.
    """
    for name in ("model.safetensors", "pytorch_model.bin"):
        whole = find_file(where, name, options)
        index = None if whole else find_file(where, f"{name}.index.json", options)
        if whole or index:
            shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()) if index else {name}
            files = [whole or find_file(where, shard, options) for shard in sorted(shards)]
            return {key: value for file in files for key, value in read_file(file).items()}
    raise CheckpointError(
        f"expected model.safetensors or pytorch_model.bin in {where}, found neither: copy the whole checkpoint"
    )


def read_file(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    state = torch.load(path, "cpu", weights_only=True)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"expected tensors by name in {path}, found something else")
    return state
