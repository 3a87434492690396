"""Doors: what a model takes in from outside, checked before it goes further.

Three doors, each a mixin of the models: waveforms (``Prepares``), checkpoints (``ReadsCheckpoints``), language adapters
(``SpeaksLanguages``). An error at a door says what was expected, what was found, what to type.
"""

import json
import pickle
import re
from collections.abc import Iterable, Sequence
from numbers import Real
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import BatchFeature, Wav2Vec2FeatureExtractor
from transformers.utils import cached_file

from .nn.encoder import LanguageAdapter


class Prepares:
    """The door for sound: utterances or waveforms to a batch, in one call."""

    def prepare(self, utterances, sampling_rate: int = 16_000) -> BatchFeature:
        """A batch to call the model with: ``model(**model.prepare(utterances))``.

        Each waveform is normalised over its own samples (if the checkpoint's ``preprocessor_config.json`` does not say
        otherwise), then padded with zeros at its end. The attention mask is there exactly where the model was trained
        with one: ``feat_extract_norm="layer"``. A ``"group"`` model's first norm runs over all the time there is, so
        its states depend on the padding: give it one utterance, or utterances of one length, where that matters.

        Args:
            utterances: one utterance or waveform (n,), or several; an utterance has a ``waveform`` and a ``rate``.
            sampling_rate: samples per second of plain waveforms.

        Returns:
            ``input_values`` (b, n) and, for ``"layer"``, ``attention_mask`` (b, n), on the model's device.

        Raises:
            ValueError: not 16 kHz, not mono, not finite, or shorter than one receptive field; the message names which.
        """
        if is_one(utterances):
            utterances = [utterances]
        waveforms = [self.read_waveform(i, sound, sampling_rate) for i, sound in enumerate(utterances)]
        if not waveforms:
            raise ValueError("expected at least one utterance, found none")
        extractor = self.feature_extractor_settings()
        batch = extractor(
            waveforms, sampling_rate=16_000, padding=True, return_attention_mask=True, return_tensors="pt"
        )
        if self.config.feat_extract_norm != "layer":
            del batch["attention_mask"]
        batch["input_values"] = batch["input_values"].to(self.dtype)
        return batch.to(self.device)

    def read_waveform(self, i: int, sound, rate: int) -> np.ndarray:
        name = f"utterance {getattr(sound, 'id', i)!r}"
        rate = getattr(sound, "rate", rate)
        waveform = getattr(sound, "waveform", sound)
        if isinstance(waveform, str | PathLike):
            raise ValueError(
                f"expected an utterance or a waveform of numbers, found {str(waveform)!r}: read the file first, "
                "for example with soundfile.read"
            )
        waveform = np.asarray(waveform.detach().cpu() if isinstance(waveform, Tensor) else waveform, dtype=np.float32)
        if rate != 16_000:
            raise ValueError(
                f"expected 16000 samples per second, found {rate} in {name}: resample it, for example with "
                f"librosa.resample(waveform, orig_sr={rate}, target_sr=16000)"
            )
        if waveform.ndim != 1:
            raise ValueError(
                f"expected a mono waveform of shape (n,), found {waveform.shape} in {name}: take one channel"
            )
        if not np.isfinite(waveform).all():
            raise ValueError(f"expected finite samples, found {(~np.isfinite(waveform)).sum()} that are not in {name}")
        if self.frames.count(len(waveform)) == 0:
            field = self.frames.receptive_field
            raise ValueError(
                f"expected at least {field} samples ({field / 16:g} ms, one receptive field), "
                f"found {len(waveform)} in {name}: leave it out"
            )
        return waveform

    def feature_extractor_settings(self) -> Wav2Vec2FeatureExtractor:
        """The checkpoint's own preprocessor, or the usual one: zero mean, unit variance per utterance."""
        folder = Path(self.config.name_or_path or "") / "preprocessor_config.json"
        if folder.is_file():
            # The model hears an utterance from its first sample on, so padding goes behind it whatever the file says.
            return Wav2Vec2FeatureExtractor.from_pretrained(folder.parent, padding_side="right")
        return Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)

    def check(self, input_values: Tensor, attention_mask: Tensor | None) -> None:
        """Refuse shapes that would fail deep inside."""
        if not isinstance(input_values, Tensor):
            raise ValueError(
                f"expected input_values as a tensor, found {type(input_values).__name__}: use model.prepare(waveforms)"
            )
        if input_values.ndim != 2:
            raise ValueError(
                f"expected input_values of shape (utterances, samples), found {tuple(input_values.shape)}: "
                "use model.prepare(waveforms)"
            )
        if attention_mask is not None and attention_mask.shape != input_values.shape:
            raise ValueError(
                f"expected attention_mask of the shape of input_values {tuple(input_values.shape)}, "
                f"found {tuple(attention_mask.shape)}"
            )
        if attention_mask is not None:
            check_mask(attention_mask)
        if self.frames.count(input_values.shape[1]) == 0:
            field = self.frames.receptive_field
            raise ValueError(
                f"expected at least {field} samples ({field / 16:g} ms, one receptive field), "
                f"found {input_values.shape[1]}"
            )


def check_mask(mask: Tensor) -> None:
    """Refuse a mask of samples that is not 1s, then 0s: an utterance is its first so many samples, nothing else."""
    if mask.dtype in (torch.float16, torch.bfloat16):
        raise ValueError(
            f"expected attention_mask of integers, found {mask.dtype}, which cannot count: use mask.long()"
        )
    if torch.compiler.is_compiling() or mask.is_meta:
        return  # a compiled forward cannot stop at what it finds in a tensor
    number = mask.to(torch.int8) if mask.dtype == torch.bool else mask
    if ((number != 0) & (number != 1)).any() or (number[:, 1:] > number[:, :-1]).any():
        raise ValueError(
            "expected attention_mask of 1 for speech, then 0 for padding in each utterance, found other numbers, or "
            "padding before speech: pad on the right, as model.prepare(waveforms) does"
        )


def is_one(utterances) -> bool:
    """Whether this is one utterance, not several: it has a waveform, is a path, or is a row of numbers."""
    if hasattr(utterances, "waveform") or isinstance(utterances, str | PathLike):
        return True
    if isinstance(utterances, np.ndarray | Tensor):
        return utterances.ndim == 1
    return isinstance(utterances, Sequence) and len(utterances) > 0 and isinstance(utterances[0], Real)


class CheckpointError(OSError, ValueError):
    """A checkpoint that cannot be what it is asked to be."""


class ReadsCheckpoints:
    """The door for weights: a folder, or a name on the hub, in Hugging Face's layout."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, **options):
        """Load weights, as ``transformers.PreTrainedModel.from_pretrained`` does, with errors that say what to do.

        Raises:
            CheckpointError: the folder holds another model, other shapes, half a file, or a pickle with code in it.
        """
        where = pretrained_model_name_or_path
        refuse_other_models(where)
        refuse_strange_shards(where)
        try:
            return super().from_pretrained(where, *args, **options)
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


def refuse_other_models(where) -> None:
    """A folder's ``config.json`` has to speak of UniSpeech: transformers only warns, then starts at random."""
    config = Path(where) / "config.json"
    if not config.is_file():
        return
    try:
        kind = json.loads(config.read_text(encoding="utf-8")).get("model_type", "unispeech")
    except (ValueError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"expected a JSON object in {config}, found something else ({error})") from error
    if kind != "unispeech":
        raise CheckpointError(f"expected a checkpoint of model_type 'unispeech', found {kind!r} in {config}")


HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "subfolder", "token")


class SpeaksLanguages:
    """The door for language adapters: small weights, one file a language, that share one encoder.

    A file holds the adapters at the end of the layers and the head: ``adapter.<lang>.safetensors``, as in MMS (arXiv
    2305.13516). Hugging Face's UniSpeech has the layers and not the loader.
    """

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, **options):
        language = options.get("target_lang")
        loaded = super().from_pretrained(pretrained_model_name_or_path, *args, **options)
        if language is not None:
            hub = {name: options[name] for name in HUB_OPTIONS if name in options}
            (loaded[0] if isinstance(loaded, tuple) else loaded).load_adapter(language, **hub)
        return loaded

    def check_language(self, language: str | None) -> str | None:
        if language is not None and not getattr(self.config, "adapter_attn_dim", None):
            raise ValueError(
                f"expected a config with adapter_attn_dim for target_lang={language!r}, found none: set "
                "adapter_attn_dim (the adapters' width, for example 16) and do_stable_layer_norm=True"
            )
        if language is not None and not (isinstance(language, str) and re.fullmatch(r"[\w-]+", language)):
            raise ValueError(f"expected a language name of letters, digits, - and _ such as 'eng', found {language!r}")
        return language

    def adapter_parameters(self) -> dict[str, nn.Parameter]:
        """What one language owns: the adapters and the head, by name."""
        adapters = [name for name, module in self.named_modules() if isinstance(module, LanguageAdapter)]
        owners = tuple(f"{name}." for name in (*adapters, "lm_head"))
        return {name: parameter for name, parameter in self.named_parameters() if name.startswith(owners)}

    def freeze_all_but_adapter(self) -> None:
        """Train one language's adapters and head, nothing else."""
        self.requires_grad_(False)
        for parameter in self.adapter_parameters().values():
            parameter.requires_grad_(True)

    def init_adapter_layers(self) -> None:
        """Begin a language anew: fresh adapters, fresh head."""
        for module in self.modules():
            if isinstance(module, LanguageAdapter) or module is self.lm_head:
                for part in module.modules():
                    for parameter in part.parameters(recurse=False):
                        parameter._is_hf_initialized = False
                    self._init_weights(part)

    def save_adapter(self, folder, language: str) -> Path:
        """Write ``adapter.<language>.safetensors``; returns its path."""
        self.check_language(language)
        path = Path(folder) / f"adapter.{language}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {name: parameter.detach().contiguous() for name, parameter in self.adapter_parameters().items()}
        save_file(state, path, metadata={"format": "pt"})
        return path

    def load_adapter(self, target_lang: str, *args, force_load: bool = True, folder=None, **options) -> None:
        """Switch to a language: read its adapters and head from beside the weights.

        A model without ``adapter_attn_dim`` has no languages; there this is PEFT's ``load_adapter``.

        Args:
            target_lang: the language's name in ``adapter.<lang>.safetensors`` (or ``.bin``, read as plain tensors).
            force_load: read the file even if this language is already in place.
            folder: where to look; beside the weights the model came from if None.
            options: of the hub, as in ``from_pretrained`` (``revision``, ``token``, ``local_files_only``, ...).

        Raises:
            CheckpointError: no such language, or a file that does not fit the model.
        """
        if not getattr(self.config, "adapter_attn_dim", None):
            return super().load_adapter(target_lang, *args, **options)
        if self.check_language(target_lang) == self.target_lang and not force_load:
            return None
        path = find_adapter(folder or self.config.name_or_path, target_lang, options)
        try:
            state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
        except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
            raise CheckpointError(
                f"expected plain tensors in {path}, found a damaged file or code ({error})"
            ) from error
        self.put_adapter(path, state)
        self.target_lang = target_lang
        return None

    def put_adapter(self, path: Path, state: dict[str, Tensor]) -> None:
        """Copy a language's weights into place; a head of another vocabulary size replaces the one there is."""
        if not tensors_by_name(state):
            raise CheckpointError(f"expected tensors by name in {path}, found something else")
        own = self.adapter_parameters()
        missing, strange = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
        if missing or strange:
            raise CheckpointError(
                f"expected the adapter keys of this model in {path}, missing {missing}, unexpected {strange}"
            )
        words, width = state["lm_head.bias"].numel(), self.config.hidden_size
        shapes = {name: tuple(parameter.shape) for name, parameter in own.items()}
        shapes |= {"lm_head.weight": (words, width), "lm_head.bias": (words,)}  # a language has its own vocabulary
        wrong = {
            name: (tuple(state[name].shape), shape) for name, shape in shapes.items() if state[name].shape != shape
        }
        if wrong or not words:
            raise CheckpointError(f"expected adapters of this model's shapes in {path}, found (file, model): {wrong}")
        if words != self.config.vocab_size:
            kind = {"device": self.lm_head.weight.device, "dtype": self.lm_head.weight.dtype}
            self.lm_head = nn.Linear(width, words, **kind)
            self.config.vocab_size = words
        with torch.no_grad():
            for name, parameter in self.adapter_parameters().items():
                parameter.copy_(state[name])


def find_adapter(where, language: str, options: dict) -> Path:
    """The file of a language, beside the weights or on the hub."""
    names = [f"adapter.{language}.{kind}" for kind in ("safetensors", "bin")]
    for name in names:
        try:
            found = cached_file(where, name, **options) if where else None
        except OSError:
            found = None
        if found:
            return Path(found)
    known = ", ".join(languages(where)) or "no language"
    raise CheckpointError(
        f"expected {names[0]} in {where or 'no folder'}, found {known}: "
        f"save it with model.save_adapter(folder, {language!r}), or give load_adapter(..., folder=...)"
    )


def languages(where) -> Iterable[str]:
    """The languages a folder has adapters of."""
    return sorted({path.name.split(".")[1] for path in Path(where or "").glob("adapter.*.*")} if where else ())
