"""Posteriors: log-probabilities of CTC classes for sound of any length, window by window.

A recording is normalised as a whole, then heard in windows of ``WINDOW`` seconds, each with ``CONTEXT`` seconds of its
surroundings on both sides whose frames are dropped: what is kept in memory at once does not grow with the recording,
but for the result, and an hour is heard as evenly as a minute.
"""

from collections.abc import Callable

import numpy as np
import torch

from unispeech_lab.audio import RATE

WINDOW, CONTEXT = 20.0, 2.0  # seconds


def log_posteriors(
    model, sound, window: float = WINDOW, context: float = CONTEXT, progress: Callable[[float], None] | None = None
) -> np.ndarray:
    """Log-probabilities (t, v) of every CTC class in every frame of an utterance or a waveform (n,) at 16 kHz.

    Args:
        model: ``UniSpeechForPreTraining`` or ``UniSpeechForCTC``; put it in eval mode first.
        window: seconds heard at once; a recording shorter than a window and a context is heard whole.
        context: seconds on both sides of a window that are heard along.
        progress: called with the share that is done, from 0 to 1.

    Raises:
        ValueError: a model without a CTC head, or sound that ``model.prepare`` refuses.
    """
    batch = model.prepare(sound)
    values, frames = batch["input_values"], model.frames
    count = frames.count(values.shape[1])
    step, around = (max(round(seconds * RATE / frames.hop), least) for seconds, least in ((window, 1), (context, 0)))
    if count <= step + around:
        step = count
    rows = []
    with torch.inference_mode():
        for first in range(0, count, step):
            low, high = max(first - around, 0), min(first + step + around, count)
            heard = values[:, frames.samples(low)[0] : frames.samples(high - 1)[1]]
            mask = {"attention_mask": torch.ones_like(heard, dtype=torch.long)} if "attention_mask" in batch else {}
            logits = _ctc(model(heard, **mask))[0, first - low : first - low + step]
            rows.append(logits.float().log_softmax(-1).cpu().numpy())
            if progress:
                progress(min(first + step, count) / count)
    return np.concatenate(rows)


def _ctc(output) -> torch.Tensor:
    """The logits (b, t, v) of either head."""
    logits = output.get("ctc_logits", output.get("logits"))
    if logits is None or logits.ndim != 3:
        raise ValueError(
            "expected a model that scores phones frame by frame (UniSpeechForPreTraining or UniSpeechForCTC), "
            f"found one whose output has {', '.join(output)}"
        )
    return logits
