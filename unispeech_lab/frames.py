"""Frames: the clock of a stack of strided convolutions, from samples to frames to seconds.

    T = floor((N - k) / s) + 1 for each layer;   hop = prod(s);   field = 1 + sum_i (k_i - 1) * prod_{j<i} s_j

UniSpeech: kernels 10 3 3 3 3 2 2, strides 5 2 2 2 2 2 2: one frame every 320 samples (20 ms), each hearing 400 (25 ms).
Nothing else in the package converts between samples, frames and seconds.
"""

from dataclasses import dataclass
from itertools import accumulate
from math import prod
from operator import mul

import numpy as np


@dataclass(frozen=True)
class Frames:
    """The clock of a convolution stack: ``Frames(kernel=(10, 3, ...), stride=(5, 2, ...))``.

    Counts accept an int, a numpy array or a torch tensor of them, and answer in kind.
    """

    kernel: tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    stride: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    rate: int = 16_000  # samples per second

    def __post_init__(self):
        object.__setattr__(self, "kernel", tuple(self.kernel))
        object.__setattr__(self, "stride", tuple(self.stride))
        if len(self.kernel) != len(self.stride):
            raise ValueError(
                f"expected as many kernels as strides, found {len(self.kernel)} kernels {self.kernel} "
                f"and {len(self.stride)} strides {self.stride}"
            )

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return prod(self.stride)

    @property
    def receptive_field(self) -> int:
        """Samples that one frame hears."""
        jumps = accumulate((1, *self.stride[:-1]), mul)
        return 1 + sum((k - 1) * jump for k, jump in zip(self.kernel, jumps, strict=False))

    def up_to(self, layers: int) -> "Frames":
        """The clock after the first ``layers`` convolutions: ``up_to(1)`` is the first layer's own."""
        if not 0 <= layers <= len(self.kernel):
            raise ValueError(f"expected 0 to {len(self.kernel)} layers, found {layers}")
        return Frames(self.kernel[:layers], self.stride[:layers], self.rate)

    def count(self, samples):
        """How many frames so many samples make; 0 when there are fewer than one receptive field."""
        for kernel, stride in zip(self.kernel, self.stride, strict=True):
            samples = (samples - kernel) // stride + 1
        return max(samples, 0) if isinstance(samples, int) else samples.clip(0)

    def samples(self, frame: int) -> tuple[int, int]:
        """The samples [start, stop) that a frame hears."""
        start = frame * self.hop
        return start, start + self.receptive_field

    def hearing(self, sample: int, samples: int) -> range:
        """The frames that hear one of so many samples: none, where a stride leaps over it or the end cuts them off."""
        first = last = sample
        for kernel, stride in zip(self.kernel, self.stride, strict=True):
            samples = (samples - kernel) // stride + 1
            first, last = max(-((kernel - 1 - first) // stride), 0), min(last // stride, samples - 1)
            if last < first:
                return range(0)
        return range(first, last + 1)

    def centre(self, frame):
        """Seconds at the middle of what a frame hears. ``frame`` may be an array."""
        return (frame * self.hop + self.receptive_field / 2) / self.rate

    def edges(self, count: int) -> np.ndarray:
        """Seconds of the ``count + 1`` borders between frames: each frame owns one hop around its centre."""
        return self.centre(np.arange(count + 1) - 0.5)

    def nearest(self, seconds):
        """The frame whose centre lies nearest to a time (not clipped to an utterance). ``seconds`` may be an array."""
        frame = np.rint((np.asarray(seconds) * self.rate - self.receptive_field / 2) / self.hop).astype(int)
        return int(frame) if frame.ndim == 0 else frame
