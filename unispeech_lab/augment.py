"""Augment: one utterance, heard as from another mouth, microphone or room.

    resampled    by 0.85 to 1.18: pitch, formants and tempo move together, as from a longer or a shorter vocal tract
    coloured     by a smooth random curve over log frequency, in dB: microphones, distances
    noised       by white to pink noise, so many dB below the speech

Labels without times stay true; phone times would have to be divided by the same rate.
"""

from dataclasses import dataclass

import numpy as np
import soxr
import torch
from scipy import fft

from .audio import RATE

Range = tuple[float, float]
OCTAVES = 8  # from the highest frequency down that the colour's curve bends in


@dataclass(frozen=True)
class Augment:
    """Ranges to draw from, uniformly, once an utterance; a range of one value does always the same.

    ``rate``: by how much it is faster, which makes it shorter. ``colour``: standard deviation in dB of the curve at
    each octave. ``noise``: dB that the speech is above it.

    Raises:
        ValueError: a range the wrong way round, or a rate that is not above 0.
    """

    rate: Range = (0.85, 1.18)
    colour: float = 4.0
    noise: Range = (12.0, 50.0)

    def __post_init__(self):
        for name in ("rate", "noise"):
            low, high = getattr(self, name)
            if low > high or (name == "rate" and low <= 0):
                raise ValueError(f"expected {name} as (low, high), found ({low}, {high})")

    @property
    def shortest(self) -> float:
        """What is left, at least, of an utterance's length."""
        return 1 / self.rate[1]

    def __call__(self, waveform: np.ndarray, generator: torch.Generator) -> np.ndarray:
        """Another (m,) float32 out of (n,) at 16 kHz, drawn from the generator alone."""
        rate, slope, clearance = (
            low + (high - low) * torch.rand((), generator=generator, dtype=torch.float64).item()
            for low, high in (self.rate, (0.0, 1.0), self.noise)
        )
        waveform = soxr.resample(waveform, RATE * rate, RATE) if rate != 1 else waveform
        draws = torch.randn(OCTAVES + 1 + len(waveform), generator=generator).numpy()
        count = fft.next_fast_len(len(waveform), real=True)
        spectrum = fft.rfft(waveform, count)
        octave = np.log2(np.linspace(1, 2**OCTAVES, len(spectrum), dtype=np.float32))
        curve = np.interp(octave, np.arange(OCTAVES + 1), self.colour * draws[: OCTAVES + 1])
        spectrum *= 10 ** (curve / 20)
        noise = fft.rfft(draws[OCTAVES + 1 :], count) * np.exp2(-octave * slope / 2)
        power = np.vdot(spectrum, spectrum).real / max(np.vdot(noise, noise).real, 1e-20)
        sound = fft.irfft(spectrum + noise * (np.sqrt(power) * 10 ** (-clearance / 20)), count)
        return sound[: len(waveform)].astype(np.float32)
