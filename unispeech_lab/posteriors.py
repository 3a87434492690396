"""Posteriors: log-probabilities of CTC classes for sound of any length, window by window.

A recording is normalised as a whole, then heard in windows of ``WINDOW`` seconds, each with ``CONTEXT`` seconds of its
surroundings on both sides whose frames are dropped. Of a file no more than a window lies in memory, beside the result;
an hour is heard as evenly as a minute.
"""

from collections.abc import Callable

import numpy as np
import torch

from unispeech_lab.audio import RATE
from unispeech_lab.frames import Frames
from unispeech_lab.recording import Recording

WINDOW, CONTEXT = 10.0, 1.0  # seconds: where voices take turns, a norm over time hears a short window better (LOG.md)


def log_posteriors(
    model, sound, window: float = WINDOW, context: float = CONTEXT, progress: Callable[[float], None] | None = None
) -> np.ndarray:
    """Log-probabilities (t, v) of every CTC class in every frame.

    Args:
        model: ``UniSpeechForPreTraining`` or ``UniSpeechForCTC``; put it in eval mode first.
        sound: an utterance, a waveform (n,) at 16 kHz, or a ``Recording`` of a file, which is read as it is heard.
        window: seconds heard at once; a recording shorter than a window and a context is heard whole.
        context: seconds on both sides of a window that are heard along.
        progress: called with the share that is done, from 0 to 1.

    Raises:
        ValueError: a model without a CTC head, or sound that ``model.prepare`` refuses, or that cannot be read.
    """
    recording, frames = sound if isinstance(sound, Recording) else Recording(sound), model.frames
    count = frames.count(len(recording))
    step, around = (max(round(seconds * RATE / frames.hop), least) for seconds, least in ((window, 1), (context, 0)))
    if count <= step + around:
        step = max(count, 1)
    firsts = range(0, max(count, 1), step)
    stretches = [_stretch(frames, first - around, first + step + around, len(recording)) for first in firsts]
    level = recording.level if len(firsts) > 1 else None  # heard whole, it is normalised as any utterance
    scores = None
    with torch.inference_mode():
        for first, heard in zip(firsts, recording.cut(stretches), strict=True):
            logits = _ctc(model(**model.prepare(heard, level=level)))[0, min(first, around) :]
            if scores is None:
                scores = np.empty((count, logits.shape[1]), np.float32)
            part = scores[first : first + step]
            part[:] = logits[: len(part)].float().log_softmax(-1).cpu().numpy()
            if progress:
                progress((first + len(part)) / count)
    return scores


def _stretch(frames: Frames, first: int, stop: int, samples: int) -> tuple[int, int]:
    """The samples [start, stop) that so many frames hear, of as many as there are."""
    end = frames.samples(stop - 1)[1]
    return frames.samples(max(first, 0))[0], samples if end + frames.hop > samples else end


def _ctc(output) -> torch.Tensor:
    """The logits (b, t, v) of either head."""
    logits = output.get("ctc_logits", output.get("logits"))
    if logits is None or logits.ndim != 3:
        raise ValueError(
            "expected a model that scores phones frame by frame (UniSpeechForPreTraining or UniSpeechForCTC), "
            f"found one whose output has {', '.join(output)}"
        )
    return logits
