"""Recording: sound that is read stretch by stretch, so that an hour of it never lies in memory whole.

    recording = Recording("hour.wav")               # any format, rate, channels; or a waveform (n,) at 16 kHz
    len(recording), recording.level                 # samples at 16 kHz, (mean, variance): one pass over the file
    for sound in recording.cut([(0, 400_000), (320_000, 720_000)]): ...        # another pass

What comes out is, sample by sample, what ``audio.read`` gives: the resampler goes on from block to block.
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from os import PathLike

import numpy as np

from unispeech_lab import audio

BLOCK = 2**20  # samples of a waveform looked at at once


class Recording:
    """A sound file, or a waveform (n,) at 16 kHz that is in memory anyway; an utterance gives its waveform.

    Raises:
        AudioError: samples that are no such waveform; and, when it is read, whatever ``audio.read`` raises.
    """

    def __init__(self, sound):
        self.sound = sound
        if not isinstance(sound, str | PathLike):
            self.sound, rate = np.asarray(getattr(sound, "waveform", sound)), getattr(sound, "rate", audio.RATE)
            if self.sound.ndim != 1 or rate != audio.RATE:
                raise audio.AudioError(
                    f"expected a file, or a waveform of shape (n,) at {audio.RATE} samples per second, found shape "
                    f"{self.sound.shape} at {rate}: audio.mono(samples, rate) makes one"
                )

    def blocks(self) -> Iterator[np.ndarray]:
        """The whole sound from its start, as (m,) float32 at 16 kHz."""
        if isinstance(self.sound, np.ndarray):
            for first in range(0, len(self.sound), BLOCK):
                yield self.sound[first : first + BLOCK].astype(np.float32, copy=False)
        else:
            yield from audio.blocks(self.sound)

    def cut(self, stretches: Iterable[tuple[int, int]]) -> Iterator[np.ndarray]:
        """The samples [start, stop) of stretches that may overlap, none beginning before the one before it."""
        blocks, held, first = self.blocks(), np.zeros(0, np.float32), 0  # sample ``first`` is held[0]
        for start, stop in stretches:
            while first + len(held) < stop and (block := next(blocks, None)) is not None:
                past = min(max(start - first, 0), len(held))
                held, first = np.concatenate([held[past:], block]), first + past
            yield held[start - first : stop - first]

    @cached_property
    def _sums(self) -> tuple[int, float, float]:
        """How many samples, their sum, and that of their squares."""
        count, total, squares, block = 0, 0.0, 0.0, ()
        for block in self.blocks():
            count += len(block)
            total += block.sum(dtype=np.float64)
            squares += np.square(block, dtype=np.float64).sum()
        if count == len(block):  # a file of one block may as well be kept
            self.sound = block
        return count, float(total), float(squares)

    def __len__(self) -> int:
        """Samples at 16 kHz."""
        return self._sums[0]

    @property
    def seconds(self) -> float:
        return len(self) / audio.RATE

    @property
    def level(self) -> tuple[float, float]:
        """Mean and variance of all samples."""
        count, total, squares = self._sums
        mean = total / max(count, 1)
        return mean, max(squares / max(count, 1) - mean**2, 0.0)
