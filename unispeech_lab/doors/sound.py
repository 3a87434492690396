"""The door for sound: utterances to a batch, a batch to a forward."""

from collections.abc import Sequence
from numbers import Real
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import BatchFeature, Wav2Vec2FeatureExtractor


class Prepares:
    """The door for sound: utterances or waveforms to a batch, in one call."""

    def prepare(
        self, utterances, sampling_rate: int = 16_000, level: tuple[float, float] | None = None
    ) -> BatchFeature:
        """A batch to call the model with: ``model(**model.prepare(utterances))``.

        Each waveform is normalised over its own samples (if the checkpoint's ``preprocessor_config.json`` does not say
        otherwise), then padded with zeros at its end. The attention mask is there exactly where the model was trained
        with one: ``feat_extract_norm="layer"``. A ``"group"`` model's first norm runs over all the time there is, so
        its states depend on the padding: give it one utterance, or utterances of one length, where that matters.

        Args:
            utterances: one utterance or waveform (n,), or several; an utterance has a ``waveform`` and a ``rate``.
            sampling_rate: samples per second of plain waveforms.
            level: mean and variance to normalise by, of the whole recording that these are stretches of.

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
        if level is not None and extractor.do_normalize:
            mean, variance = level
            waveforms = [(waveform - mean) / (variance + 1e-7) ** 0.5 for waveform in waveforms]
            extractor.do_normalize = False
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
