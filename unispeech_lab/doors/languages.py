"""The door for languages: small adapters, one file each, that share one encoder."""

import pickle
import re
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers.utils import cached_file

from unispeech_lab.doors.hub import HUB_OPTIONS
from unispeech_lab.doors.weights import CheckpointError, tensors_by_name
from unispeech_lab.nn.encoder import LanguageAdapter


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
