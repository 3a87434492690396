"""Acoustics: padding, room, level and noise around speech that is too clean.

espeak-ng's pauses are digital zero, and a model learns zeros sooner than phones. Noise is added last, over everything:
no stretch stays digital silence.
"""

from dataclasses import dataclass

import numpy as np
import torch

from unispeech_lab.audio import RATE

Range = tuple[float, float]


@dataclass(frozen=True)
class Acoustics:
    """Ranges to draw from, uniformly, once an utterance."""

    padding: Range = (0.15, 0.35)  # seconds, before and after, drawn apart
    level: Range = (-26.0, -20.0)  # dB below full scale, root mean square where there is speech
    noise: Range = (35.0, 50.0)  # dB that the speech is above the noise; its colour goes from white to pink
    room: Range = (0.0, 0.0)  # seconds until the echo has fallen by 60 dB; 0 for none


def dress(speech: np.ndarray, acoustics: Acoustics, generator: torch.Generator) -> tuple[np.ndarray, float]:
    """Speech (n,) at 16 kHz as it would be recorded, (m,) float32; the seconds by which it starts later.

    The direct sound keeps its place, so phone times move by that padding and nothing else. Peaks stay below 0.98.
    Raises ValueError for speech that is all silence.
    """
    sounding = speech[speech != 0]
    if not sounding.size:
        raise ValueError("expected speech, found silence")
    before, after = (round(_draw(acoustics.padding, generator) * RATE) for _ in range(2))
    level, clearance, reverberation = (_draw(r, generator) for r in (acoustics.level, acoustics.noise, acoustics.room))
    recorded = np.pad(speech.astype(np.float64), (before, after))
    if reverberation > 0:
        recorded = _convolve(recorded, _impulse_response(reverberation, generator))
    gain = 10 ** (level / 20) / np.sqrt(np.mean(sounding.astype(np.float64) ** 2))
    recorded = recorded * min(gain, 0.95 / np.abs(recorded).max())
    loud = np.sqrt(np.mean(recorded[before : before + speech.size][speech != 0] ** 2))
    recorded += loud * 10 ** (-clearance / 20) * _noise(recorded.size, _draw((0.0, 1.0), generator), generator)
    return np.clip(recorded, -0.98, 0.98).astype(np.float32), before / RATE


def _draw(range: Range, generator: torch.Generator) -> float:
    low, high = range
    return low + (high - low) * torch.rand((), generator=generator, dtype=torch.float64).item()


def _normal(count: int, generator: torch.Generator) -> np.ndarray:
    return torch.randn(count, generator=generator, dtype=torch.float64).numpy()


def _noise(count: int, slope: float, generator: torch.Generator) -> np.ndarray:
    """Noise of root mean square 1 whose power falls as 1 / f ** slope (0 white, 1 pink)."""
    spectrum = np.fft.rfft(_normal(count, generator))
    spectrum[1:] /= np.arange(1, spectrum.size) ** (slope / 2)
    spectrum[0] = 0
    sound = np.fft.irfft(spectrum, count)
    return sound / np.sqrt(np.mean(sound**2))


def _convolve(sound: np.ndarray, response: np.ndarray) -> np.ndarray:
    """The sound heard through a response, as long as the sound was."""
    count = 1 << (sound.size + response.size - 2).bit_length()  # a power of two is several times faster than a prime
    return np.fft.irfft(np.fft.rfft(sound, count) * np.fft.rfft(response, count), count)[: sound.size]


def _impulse_response(reverberation: float, generator: torch.Generator) -> np.ndarray:
    """The direct sound, then noise that decays by 60 dB in so many seconds, 3 to 12 dB below the direct in energy."""
    time = np.arange(1, max(round(reverberation * RATE), 2)) / RATE
    tail = _normal(time.size, generator) * 10 ** (-3 * time / reverberation)
    first = round(_draw((0.002, 0.008), generator) * RATE)  # nothing comes back sooner
    tail[:first] = 0
    strength = 10 ** (-_draw((3.0, 12.0), generator) / 20)
    energy = np.sqrt(np.sum(tail**2))
    return np.concatenate([[1.0], tail * (strength / energy if energy else 0.0)])
