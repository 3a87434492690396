"""The door for weights: checkpoints in Hugging Face's layout, read as plain tensors or not at all."""

import json
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from unispeech_lab.doors.errors import CheckpointError
from unispeech_lab.doors.hub import find_file, reach
from unispeech_lab.doors.wav2vec2 import adopt

KINDS = ("unispeech", "wav2vec2")


class ReadsCheckpoints:
    """The door for weights: a folder, or a name on the hub, in Hugging Face's layout."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, **options):
        """Load weights, as ``transformers.PreTrainedModel.from_pretrained`` does, with errors that say what to do.

        A wav2vec 2.0 checkpoint goes into the same model, see ``doors.wav2vec2``. Where the hub cannot be reached, what
        the cache holds has to do; that is found out in seconds.

        Raises:
            CheckpointError: the folder holds another model, other shapes, half a file, or a pickle with code in it.
        """
        where = pretrained_model_name_or_path
        if where is None:
            return super().from_pretrained(where, *args, **options)
        options = reach(where, options)
        words = read_config(where, options)
        refuse_other_models(where, words)
        refuse_strange_shards(where)
        try:
            if words.get("model_type") == "wav2vec2":
                wants_info = options.pop("output_loading_info", False)
                model, info = adopt(cls, super().from_pretrained, where, words, options)
                return (model, info) if wants_info else model
            return super().from_pretrained(where, *args, **head_of_phones(cls, words), **options)
        except SafetensorError as error:
            raise CheckpointError(
                f"expected whole safetensors in {where}, found a damaged file ({error}): copy it again"
            ) from error
        except pickle.UnpicklingError as error:
            raise CheckpointError(
                f"expected plain tensors in {where}, found a pickle that runs code, or damage; nothing of it was run. "
                "Ask its author for model.safetensors"
            ) from error
        except (RuntimeError, EOFError) as error:
            if "ignore_mismatched_sizes" in str(error):
                raise CheckpointError(
                    f"expected the shapes of {cls.__name__} under this config, found others in {where} (the report "
                    "above names them): give its sizes, or ignore_mismatched_sizes=True to begin those weights anew"
                ) from error
            if not damaged(error):
                raise
            raise CheckpointError(
                f"expected a whole checkpoint in {where}, found a damaged file ({error}): copy it again"
            ) from error
        except OSError as error:
            if not damaged(error):
                raise
            raise CheckpointError(
                f"expected a whole checkpoint in {where}, found a damaged file ({error}): copy it again"
            ) from error
        except (TypeError, AttributeError) as error:
            weights = Path(where) / "pytorch_model.bin"
            if not weights.is_file() or tensors_by_name(torch.load(weights, "meta", weights_only=True)):
                raise
            raise CheckpointError(
                f"expected tensors by name in {weights}, found something else: save model.state_dict() there, or "
                "use model.save_pretrained(folder)"
            ) from error


def head_of_phones(cls, words: dict) -> dict:
    """Options that give a recogniser the CTC head of a pretraining checkpoint, where both name the same classes.

    They do where the config says so: ``vocab_size`` is ``num_ctc_classes``, as in what ``pretrain`` writes.
    """
    names_phones = words.get("vocab_size", 0) == words.get("num_ctc_classes")
    if cls.__name__ == "UniSpeechForCTC" and names_phones and words.get("architectures") == ["UniSpeechForPreTraining"]:
        return {"key_mapping": {r"^ctc_proj\.": "lm_head."}}
    return {}


def tensors_by_name(state) -> bool:
    """Whether this is what a checkpoint holds."""
    return isinstance(state, dict) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    )


def refuse_strange_shards(where) -> None:
    """A folder's index may name files of that folder, nothing beyond it."""
    for index in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        path = Path(where) / index
        if not path.is_file():
            continue
        try:
            names = set(json.loads(path.read_text(encoding="utf-8"))["weight_map"].values())
            strange = [name for name in names if name != Path(name).name or not (path.parent / name).is_file()]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"expected a weight_map of file names in {path}, found {error!r}") from error
        if strange:
            raise CheckpointError(
                f"expected the files of {path} to lie beside it, found {sorted(strange)[:3]}: copy the checkpoint "
                "into one folder"
            )


def damaged(error: Exception) -> bool:
    """Whether torch's reader failed on a zip that ends too soon."""
    words = str(error)
    return isinstance(error, EOFError) or any(
        sign in words for sign in ("Invalid argument", "zip archive", "central directory")
    )


def read_config(where, options: dict) -> dict:
    """What ``config.json`` says; nothing if there is none to be found."""
    path = find_file(where, "config.json", options)
    if path is None:
        return {}
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
        words.get("model_type")
    except (ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"expected a JSON object in {path}, found something else ({error})") from error
    return words


def refuse_other_models(where, words: dict) -> None:
    """``config.json`` has to speak of UniSpeech or wav2vec 2.0: transformers only warns, then starts at random."""
    kind = words.get("model_type", "unispeech")
    if kind not in KINDS:
        raise CheckpointError(
            f"expected a checkpoint of model_type {' or '.join(map(repr, KINDS))}, found {kind!r} in {where}"
        )
