"""Frozen: convolutions that do not learn hear each waveform once, whatever the number of epochs.

In stage 3 they stay as they are. What they make of an utterance is kept, by a hash of its samples, and put into each
batch; frames beyond an utterance's end are 0, as they always are.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from unispeech_lab.nn.frontend import FeatureEncoder


@contextmanager
def heard_once(encoder: FeatureEncoder) -> Iterator[None]:
    """A ``with`` in which the convolutions run once for each waveform, with the same numbers to the last bit.

    While they learn, on another device than the CPU, or where frames depend on one another, they run every time.
    """
    known: dict[bytes, Tensor] = {}
    forward = encoder.forward

    def hear(samples: Tensor) -> Tensor:
        name = hashlib.blake2b(samples.contiguous().numpy().tobytes(), digest_size=16).digest()
        if name not in known:
            known[name] = forward(samples[None])[0].detach()
        return known[name]

    def remembering(input_values: Tensor, lengths: Tensor | None = None) -> Tensor:
        learns = any(p.requires_grad for p in encoder.parameters())
        if learns or lengths is None or not encoder.by_frame or input_values.device.type != "cpu":
            return forward(input_values, lengths)
        heard = [hear(samples[:length]) for samples, length in zip(input_values, lengths.tolist(), strict=True)]
        features = heard[0].new_zeros(len(heard), int(encoder.frames.count(input_values.shape[1])), heard[0].shape[-1])
        for row, found in zip(features, heard, strict=True):
            row[: len(found)] = found
        return features

    encoder.forward = remembering
    try:
        yield
    finally:
        del encoder.forward
