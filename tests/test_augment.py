"""Augment: other voices, microphones and rooms, as far as asked and by the generator alone."""

import numpy as np
import pytest
import torch
from training import speech

from unispeech_lab.audio import RATE
from unispeech_lab.augment import Augment

SPOKEN = speech()[0].waveform
PLAIN = {"rate": (1.0, 1.0), "colour": 0.0, "noise": (200.0, 200.0)}


def heard(seed=0, waveform=SPOKEN, **changes):
    return Augment(**{**PLAIN, **changes})(waveform, torch.Generator().manual_seed(seed))


def test_with_nothing_to_change_it_changes_nothing():
    assert np.allclose(heard(), SPOKEN, atol=1e-5) and heard().dtype == np.float32


def test_the_same_generator_makes_the_same_and_another_makes_another():
    augment = Augment()
    one, again, other = (augment(SPOKEN, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert np.array_equal(one, again) and len(other) != len(one)


def test_faster_is_shorter_and_higher():
    tone = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE).astype(np.float32)
    faster = heard(waveform=tone, rate=(1.25, 1.25))
    assert len(faster) == pytest.approx(RATE / 1.25, abs=2)
    peak = np.abs(np.fft.rfft(faster)).argmax() * RATE / len(faster)
    assert peak == pytest.approx(625, abs=5)


def test_rates_fill_their_range_and_leave_at_least_the_shortest():
    augment = Augment()
    lengths = [len(augment(SPOKEN, torch.Generator().manual_seed(seed))) / len(SPOKEN) for seed in range(40)]
    assert augment.shortest == 1 / 1.18
    assert augment.shortest - 1e-3 <= min(lengths) < 0.9 and 1.1 < max(lengths) <= 1 / 0.85 + 1e-3


def test_noise_is_so_many_db_below_the_speech():
    for clearance in (0.0, 20.0):
        added = heard(noise=(clearance, clearance)) - SPOKEN
        found = 10 * np.log10(np.square(SPOKEN).sum() / np.square(added).sum())
        assert found == pytest.approx(clearance, abs=0.3)


def test_a_colour_bends_the_spectrum_smoothly_by_so_many_db():
    noise = np.random.default_rng(0).standard_normal(8 * RATE).astype(np.float32)
    bends = []
    for seed in range(12):
        levels = [
            10 * np.log10(np.square(np.abs(np.fft.rfft(wave)[int(f * 8) : int(f * 16)])).mean())
            for f in (150, 600, 2400)
            for wave in (heard(seed, noise, colour=4.0), noise)
        ]
        bends += [levels[0] - levels[1], levels[2] - levels[3], levels[4] - levels[5]]
    assert 1.5 < np.std(bends) < 5.5


def test_silence_stays_silence():
    assert not np.abs(heard(waveform=np.zeros(4000, np.float32), noise=(10.0, 10.0))).max() > 1e-3


def test_ranges_the_wrong_way_round_are_refused():
    with pytest.raises(ValueError, match=r"expected rate as \(low, high\), found \(1.2, 0.9\)"):
        Augment(rate=(1.2, 0.9))
    with pytest.raises(ValueError, match=r"expected rate as \(low, high\), found \(0, 1\)"):
        Augment(rate=(0, 1))
    with pytest.raises(ValueError, match=r"expected noise as"):
        Augment(noise=(30.0, 10.0))
