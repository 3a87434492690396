"""Filters: which frequencies a bank of channels lets through, from its kernels or from what it answered.

    gain(f) = |sum_k w_k exp(-2 pi i f k / rate)|,   in dB under the bank's loudest

Shapes: ``c`` channel, ``k`` tap of a kernel, ``f`` frequency, ``t`` frame, ``m`` band of a spectrogram.
"""

import numpy as np

FLOOR = -60.0  # dB: what a kernel lets through below this is called nothing


def gains(kernels: np.ndarray, points: int, rate: int = 16_000) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (f,) from 0 Hz to half the rate, and how loud each kernel (c, k) passes them (c, f), in dB.

    0 dB is the loudest of the whole bank. A kernel of k taps cannot tell apart what is closer than ``rate / k`` Hz:
    more points are drawn between, not measured.
    """
    size = max(2 * (points - 1), kernels.shape[1])
    gain = np.abs(np.fft.rfft(kernels, size, axis=1))
    decibels = 20 * np.log10(np.maximum(gain / max(gain.max(initial=0), 1e-30), 10 ** (FLOOR / 20)))
    return np.fft.rfftfreq(size, 1 / rate), decibels


def mel(hertz):
    """Frequencies in mel: 2595 log10(1 + f / 700). Source: O'Shaughnessy 1987, Speech Communication."""
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


def mel_bank(count: int, rate: int = 16_000) -> np.ndarray:
    """The middles (count,), in Hz, of so many filters that are evenly spread on the mel scale up to half the rate."""
    return 700 * (10 ** (np.linspace(0, mel(rate / 2), count + 2)[1:-1] / 2595) - 1)


def followed(values: np.ndarray, bands: np.ndarray) -> np.ndarray:
    """The band (c,) of a spectrogram (t, m) that each channel (t, c) rises and falls with most: the highest r.

    A channel that falls where any band rises (one that is high in pauses) or never moves follows none: band m.
    """
    if not len(values):
        return np.full(values.shape[1], bands.shape[1])
    r = correlations(values, bands)
    return np.where(r.max(1) > 1e-6, r.argmax(1), bands.shape[1])


def correlations(values: np.ndarray, bands: np.ndarray) -> np.ndarray:
    """Pearson's r (c, m) over time between channels (t, c) and bands (t, m); 0 where one of them does not move."""

    def unit(series):
        series = series - series.mean(0)
        size = np.linalg.norm(series, axis=0)
        return np.where(size > 1e-6, series / np.maximum(size, 1e-6), 0.0)

    return unit(values).T @ unit(bands)
