"""Padding, level, noise, room: measured on what comes out."""

import numpy as np
import pytest
import torch

from unispeech_lab.espeak.acoustics import Acoustics, dress


def clean(seconds=1.0):
    sound = np.zeros(round(16_000 * seconds), np.float32)
    sound[4_000:8_000] = 0.2 * np.sin(np.arange(4_000) / 5)
    return sound


def dressed(seed=0, **ranges):
    return dress(clean(), Acoustics(**ranges), torch.Generator().manual_seed(seed))


def test_padding_moves_and_level_scales():
    waveform, later = dressed(padding=(0.25, 0.25), level=(-23, -23), noise=(120, 120))
    assert later == 0.25 and len(waveform) == 24_000 and waveform.dtype == np.float32
    rms = np.sqrt(np.mean(waveform[8_000:12_000] ** 2))
    assert 20 * np.log10(rms) == pytest.approx(-23, abs=0.05)


def test_noise_is_as_loud_as_said_and_everywhere():
    for clearance in (10, 30, 50):
        waveform, _ = dressed(padding=(0.2, 0.2), level=(-23, -23), noise=(clearance, clearance))
        still = np.concatenate([waveform[:7_000], waveform[12_000:]])
        assert 20 * np.log10(np.sqrt(np.mean(still**2))) == pytest.approx(-23 - clearance, abs=1.5)
        assert (still == 0).mean() < 0.01


def test_a_room_rings_for_as_long_as_said_and_keeps_the_onset():
    dry, _ = dressed(noise=(120, 120), padding=(0.1, 1))
    wet, later = dressed(noise=(120, 120), padding=(0.1, 1), room=(0.4, 0.4))
    onset = round(later * 16_000) + 4_000
    assert np.abs(wet[: onset - 1]).max() < 1e-4 < np.abs(wet[onset : onset + 20]).max()
    end = onset + 4_000

    def energy(sound, after):
        return 10 * np.log10(np.mean(sound[end + round(16_000 * after) :][:1_600] ** 2) + 1e-20)

    assert energy(wet, 0.02) > energy(dry, 0.02) + 30
    assert energy(wet, 0.02) - energy(wet, 0.22) == pytest.approx(30, abs=5)  # 60 dB in 0.4 s


def test_nothing_comes_back_from_the_walls_within_two_milliseconds():
    click = np.zeros(4_000, np.float32)
    click[1_000] = 0.5
    ranges = {"padding": (0.1, 0.1), "noise": (120, 120), "room": (0.3, 0.3)}
    wet, later = dress(click, Acoustics(**ranges), torch.Generator().manual_seed(0))
    direct = round(later * 16_000) + 1_000
    assert (
        np.abs(wet).argmax() == direct
        and np.abs(wet[direct + 1 : direct + 32]).max() < 1e-4 < np.abs(wet[direct:]).mean()
    )


def test_draws_belong_to_the_generator():
    one, again, other = dressed(0, room=(0.1, 0.5))[0], dressed(0, room=(0.1, 0.5))[0], dressed(1, room=(0.1, 0.5))[0]
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_peaks_stay_below_full_scale():
    assert np.abs(dressed(level=(0, 0), noise=(5, 5))[0]).max() <= 0.98


def test_silence_cannot_be_dressed():
    with pytest.raises(ValueError, match="expected speech, found silence"):
        dress(np.zeros(100, np.float32), Acoustics(), torch.Generator())
