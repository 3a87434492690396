"""Change: how much a sound changes at every place where one phone could give way to the next.

change(x) = mean over mel bands of | log energy after x - log energy before x |            15 ms on either side
"""

import librosa
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from unispeech_lab.frames import Frames

FINE = 4  # places a frame: 5 ms
WINDOW = 256  # samples of a spectrum, 16 ms
BANDS = 24
SIDE = 3  # spectra before and after a place
BLOCK = 20_000  # spectra computed at once: an hour of sound needs no more memory than two minutes


def change(sound: np.ndarray, count: int, clock: Frames | None = None) -> np.ndarray:
    """How much a waveform (n,) changes at the borders of its ``count`` frames, and ``FINE`` - 1 times between.

    Returns:
        (FINE * count + 1,): entry ``i`` is the border ``i / FINE`` in frames, in natural logarithms of energy.
    """
    clock = clock or Frames()
    step = clock.hop // FINE
    first = (clock.receptive_field - clock.hop - step) // 2  # the middle of the spectrum before border 0
    spectra = FINE * count + 2 * SIDE
    start = first - (SIDE - 1) * step - WINDOW // 2
    length = (spectra - 1) * step + WINDOW
    padded = np.pad(
        np.asarray(sound, dtype=np.float32), (max(-start, 0), max(start + length - len(sound), 0)), "symmetric"
    )
    windows = sliding_window_view(padded[max(start, 0) :], WINDOW)[::step][:spectra]
    basis = librosa.filters.mel(sr=clock.rate, n_fft=WINDOW, n_mels=BANDS).T
    energy = np.concatenate([_power(windows[k : k + BLOCK]) @ basis for k in range(0, spectra, BLOCK)])
    floor = 1e-6 * max(float(energy.max()), 1e-12)
    seen = np.empty(FINE * count + 1)
    for k in range(0, len(seen), BLOCK):
        logs = np.log(energy[k : k + BLOCK + 2 * SIDE - 1] + floor)
        sums = np.cumsum(np.vstack([np.zeros(BANDS), logs]), axis=0)
        before, after = sums[SIDE:-SIDE] - sums[: -2 * SIDE], sums[2 * SIDE :] - sums[SIDE:-SIDE]
        seen[k : k + BLOCK] = np.abs(after - before).mean(axis=1)[: len(seen) - k] / SIDE
    return seen


def _power(windows: np.ndarray) -> np.ndarray:
    return np.abs(np.fft.rfft(windows * np.hanning(WINDOW).astype(np.float32))) ** 2
