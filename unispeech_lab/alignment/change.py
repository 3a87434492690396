"""Change: how much a sound changes at every place where one phone could give way to the next.

change(x) = mean over mel bands of | log energy after x - log energy before x |            15 ms on either side
"""

from itertools import pairwise

import librosa
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from unispeech_lab.frames import Frames
from unispeech_lab.recording import Recording

FINE = 4  # places a frame: 5 ms
WINDOW = 256  # samples of a spectrum, 16 ms
BANDS = 24
SIDE = 3  # spectra before and after a place
BLOCK = 2_000  # spectra computed at once


def change(sound: np.ndarray | Recording, count: int, clock: Frames | None = None) -> np.ndarray:
    """How much a sound changes at the borders of its ``count`` frames, and ``FINE`` - 1 times between.

    ``sound``: a waveform (n,) at 16 kHz, or a ``Recording``.

    Returns:
        (FINE * count + 1,): entry ``i`` is the border ``i / FINE`` in frames, in natural logarithms of energy.
    """
    clock, recording = clock or Frames(), sound if isinstance(sound, Recording) else Recording(sound)
    step = clock.hop // FINE
    first = (clock.receptive_field - clock.hop - step) // 2  # the middle of the spectrum before border 0
    spectra = FINE * count + 2 * SIDE
    start = first - (SIDE - 1) * step - WINDOW // 2
    parts = -(-spectra // BLOCK)
    cuts = [spectra * k // parts for k in range(parts + 1)]  # alike in size: none too short to be mirrored at its ends
    pieces = [(start + low * step, start + (high - 1) * step + WINDOW) for low, high in pairwise(cuts)]
    inside = ((max(low, 0), min(high, len(recording))) for low, high in pieces)
    basis = librosa.filters.mel(sr=clock.rate, n_fft=WINDOW, n_mels=BANDS).T
    energy = np.empty((spectra, BANDS), np.float32)
    for place, (low, high), piece in zip(cuts[:-1], pieces, recording.cut(inside), strict=True):
        piece = np.pad(piece, (max(-low, 0), max(high - len(recording), 0)), "symmetric")
        bands = _power(sliding_window_view(piece, WINDOW)[::step]) @ basis
        energy[place : place + len(bands)] = bands
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
