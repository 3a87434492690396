"""Stimuli: sounds of one knob, made from nothing but arithmetic.

    tone     sin(2 pi f t)                                        chirp    from 50 Hz to f, evenly on a log scale
    clicks   sum_k cos(2 pi k f t), a click f times a second      noise    an octave of it around f, from a seed
    vowel    sum_k |H(k f)| / k cos(2 pi k f t)                   a voice of pitch f through the formants of a vowel

A vowel is a source (harmonics that fall by 6 dB an octave, lips included) through a filter H of three resonances.
Sources: Fant 1960, Acoustic Theory of Speech Production; formants of men's vowels from Peterson and Barney 1952,
table II; bandwidths 60, 90, 150 Hz.
"""

import numpy as np

RATE = 16_000
SECONDS = 0.4
STEP = 0.08  # of a ladder of tones
FADE = 0.01  # seconds in and out, so that no edge clicks
LOUD = 0.5
FORMANTS = {"i": (270, 2290, 3010), "ɑ": (730, 1090, 2440), "u": (300, 870, 2240)}
BANDWIDTHS = (60, 90, 150)
STIMULI = ("tone", "chirp", "clicks", "noise", *(f"vowel {vowel}" for vowel in FORMANTS))
# Third octaves, but for a tone under 100 Hz, which no filter of ten taps knows from silence, and the last under 8 kHz.
HERTZ = (100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250, 1600, 2000, 2500, 3150, 4000, 5000, 6300, 7500)


def make(stimulus: str, hertz: float, seconds: float = SECONDS, seed: int = 0) -> np.ndarray:
    """One of ``STIMULI`` (n,) float32, its loudest sample ``LOUD``, faded in and out.

    Raises:
        KeyError: no such stimulus.   ValueError: a frequency that 16 kHz cannot carry.
    """
    if stimulus not in STIMULI:
        raise KeyError(f"expected one of {', '.join(STIMULI)}, found {stimulus!r}")
    if not 0 < hertz < RATE / 2:
        raise ValueError(f"expected a frequency between 0 and {RATE // 2} Hz, found {hertz:g}")
    time = np.arange(round(seconds * RATE)) / RATE
    if stimulus == "tone":
        sound = np.sin(2 * np.pi * hertz * time)
    elif stimulus == "chirp":
        sound = glide(50.0, hertz, time)
    elif stimulus == "noise":
        sound = noise(hertz, len(time), seed)
    else:
        overtones = hertz * np.arange(1, int(np.ceil(RATE / 2 / hertz)))
        heights = np.ones(len(overtones)) if stimulus == "clicks" else voice(overtones, stimulus.split()[1])
        sound = heights @ np.cos(2 * np.pi * overtones[:, None] * time)
    edge = min(round(FADE * RATE), len(time) // 2)
    rise = (1 - np.cos(np.pi * np.arange(edge) / max(edge, 1))) / 2
    sound[:edge] *= rise
    sound[len(sound) - edge :] *= rise[::-1]
    return (LOUD * sound / max(np.abs(sound).max(initial=0), 1e-9)).astype(np.float32)


def glide(start: float, stop: float, time: np.ndarray) -> np.ndarray:
    """A tone whose frequency grows by the same factor every millisecond."""
    length = max(float(time[-1]), 1e-9)
    growth = np.log(stop / start) or 1e-9
    return np.sin(2 * np.pi * start * length / growth * (np.exp(growth * time / length) - 1))


def noise(hertz: float, samples: int, seed: int) -> np.ndarray:
    """An octave of noise: every frequency within half an octave of ``hertz`` equally loud."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(samples))
    octaves = np.abs(np.log2(np.maximum(np.fft.rfftfreq(samples, 1 / RATE), 1e-3) / hertz))
    spectrum[(octaves > 0.5) & (octaves > octaves.min())] = 0  # one line is left where an octave has none
    return np.fft.irfft(spectrum, samples)


def voice(hertz: np.ndarray, vowel: str) -> np.ndarray:
    """How loud the overtones of a voice come out of a mouth that says a vowel: the source times |H|."""
    heights = hertz[0] / hertz
    for formant, width in zip(FORMANTS[vowel], BANDWIDTHS, strict=True):
        heights = heights * resonance(hertz, formant, width)
    return heights


def resonance(hertz: np.ndarray, formant: float, width: float) -> np.ndarray:
    """Gain of one resonance, 1 at 0 Hz: its two poles lie at -pi width +- 2 pi i formant."""
    pole = -width / 2 + 1j * formant
    return abs(pole) ** 2 / np.abs((1j * hertz - pole) * (1j * hertz - np.conj(pole)))


def ladder() -> np.ndarray:
    """Tones of all ``HERTZ`` one after another (n,), each ``STEP`` long: one forward tells how a model takes them."""
    return np.concatenate([make("tone", hertz, STEP) for hertz in HERTZ])


def over_steps(values: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Means (f, c) of what was answered (t, c) at ``moments`` (t,) in seconds, over each step of the ``ladder``.

    Only a step's inner half counts: a frame at its edge hears two tones. A step in which no frame lies has zeros.
    """
    step, inside = np.divmod(np.asarray(moments), STEP)
    counted = np.where(np.abs(inside / STEP - 0.5) < 0.25, step, -1)
    chosen = [values[counted == k] for k in range(len(HERTZ))]
    return np.stack([part.mean(0) if len(part) else np.zeros(values.shape[1]) for part in chosen])
