"""Waveform: the sound as it swings, over its spectrogram."""

import numpy as np

from unispeech_lab.views.panel import Axis, Heatmap, Knob, Panel, Wave, clock

watches = ()

WINDOW, HOP = 400, 160  # 25 ms every 10 ms at 16 kHz
BANDS = 80
FLOOR = -80.0  # dB under the loudest cell; what lies below is drawn as the floor


def knobs(trace, utterance) -> dict[str, Knob]:
    return {"frequency": Knob(("mel", "linear"), "mel", "frequency")}


def panels(trace, utterance, frequency: str = "mel") -> list[Panel]:
    """The waveform (n,) at the top, its power spectrogram in dB beneath, on a mel or a linear frequency axis."""
    wave, rate = np.asarray(utterance.waveform), utterance.rate
    return [swing(utterance), spectrogram(wave, rate, frequency, clock(len(wave) / rate))]


def swing(utterance) -> Panel:
    """The waveform alone, with what was said in its words."""
    wave = np.asarray(utterance.waveform)
    peak = max(float(np.abs(wave).max(initial=0)), 1e-3)
    level, time = Axis("level", "", -peak * 1.05, peak * 1.05), clock(len(wave) / utterance.rate)
    words = f"“{utterance.text}”" if utterance.text else utterance.id
    return Panel("waveform", "Waveform", (Wave(wave, utterance.rate),), time, level, words)


def power_of(wave: np.ndarray, rate: int, frequency: str = "mel") -> tuple[np.ndarray, np.ndarray]:
    """Power (m, t) in dB under the loudest cell, a column every ``HOP`` samples; the frequency (m,) of each band."""
    import librosa  # slow to import, and only this picture needs it

    power = np.abs(librosa.stft(np.pad(wave, (0, max(0, WINDOW - len(wave)))), n_fft=WINDOW, hop_length=HOP)) ** 2
    hertz = librosa.fft_frequencies(sr=rate, n_fft=WINDOW)
    if frequency == "mel":
        power = librosa.filters.mel(sr=rate, n_fft=WINDOW, n_mels=BANDS) @ power
        hertz = librosa.mel_frequencies(BANDS + 2, fmax=rate / 2)[1:-1]
    return librosa.power_to_db(power, ref=max(power.max(), 1e-10), top_db=-FLOOR), hertz


def spectrogram(wave: np.ndarray, rate: int, frequency: str, time: Axis) -> Panel:
    decibels, hertz = power_of(wave, rate, frequency)
    marks = [f for f in (250, 500, 1000, 2000, 4000, 7500) if hertz[0] <= f <= hertz[-1]]
    ticks = [(float(np.interp(f, hertz, np.arange(len(hertz)) + 0.5)), f"{f / 1000:g}") for f in marks]
    loudest = hertz[decibels.mean(1).argmax()]
    edge = HOP / rate / 2  # librosa centres a column on its time
    columns = decibels.shape[1]
    picture = Heatmap(
        decibels.astype(np.float32),
        (-edge, (columns - 0.5) * HOP / rate),
        (0.0, float(len(hertz))),
        FLOOR,
        0.0,
        unit="dB",
        quantity="power",
        rows=tuple(f"{f:.0f} Hz" for f in hertz),
    )
    return Panel(
        "spectrogram",
        f"Spectrogram, {frequency} frequency",
        (picture,),
        time,
        Axis("frequency", "kHz", 0.0, float(len(hertz)), ticks),
        f"On average loudest near {loudest:.0f} Hz.",
        weight=1.6,
    )
