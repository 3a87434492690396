"""Settings: schedules as released, numbers that make sense."""

import numpy as np
import pytest

from unispeech_lab.settings import Settings


def rates(**changes):
    settings = Settings(steps=100, learning_rate=2.0, **changes)
    return np.array([settings.rate(step) for step in range(100)])


def test_every_schedule_rises_straight_to_its_peak():
    for schedule in ("linear", "tri-stage", "constant"):
        rising = rates(schedule=schedule)[:10]
        assert np.allclose(np.diff(rising), 2 / 11) and rising[0] == pytest.approx(2 / 11)
        assert rates(schedule=schedule).max() == 2.0


def test_linear_falls_to_nought():
    falling = rates()[10:]
    assert falling[0] == 2.0 and np.allclose(np.diff(falling), -2 / 90)
    assert Settings(steps=100).rate(100) == 0


def test_tri_stage_holds_then_falls_to_a_twentieth():
    rate = rates(schedule="tri-stage")
    assert (rate[10:51] == 2.0).all()
    assert np.allclose(rate[52:] / rate[51:-1], 0.05 ** (1 / 50))
    assert Settings(steps=100, schedule="tri-stage").rate(100) == pytest.approx(0.05e-3)


def test_constant_stays():
    assert (rates(schedule="constant")[10:] == 2.0).all()
    assert (rates(schedule="constant", warmup=0.0) == 2.0).all()


def test_the_temperature_falls_to_its_floor():
    settings = Settings(temperature=[2.0, 0.5, 0.9])
    heats = [settings.heat(step) for step in range(40)]
    assert heats[:3] == [2.0, 2.0 * 0.9, 2.0 * 0.9**2] and heats[-1] == 0.5
    assert settings.temperature == (2.0, 0.5, 0.9)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"schedule": "cosine"}, "expected schedule out of linear, tri-stage, constant, found 'cosine'"),
        ({"mixed_precision": "fp8"}, "expected mixed_precision out of no, bf16, fp16, found 'fp8'"),
        ({"steps": 0}, "expected steps as a whole number from 1 on, found 0"),
        ({"keep": 0}, "expected keep as a whole number from 1 on, found 0"),
        ({"micro_batches": 0}, "expected micro_batches as a whole number from 1 on, found 0"),
        ({"steps": 2.5}, "expected steps as a whole number from 1 on, found 2.5"),
        ({"workers": -1}, "expected workers as a whole number from 0 on, found -1"),
        ({"learning_rate": -1.0}, "expected learning_rate as a number from 0, found -1.0"),
        ({"learning_rate": float("nan")}, "expected learning_rate as a number from 0, found nan"),
        ({"batch_seconds": float("nan")}, "expected batch_seconds as a number above 0, found nan"),
        ({"clip": 0}, "expected clip as a number above 0, found 0"),
        ({"betas": (0.9, 1.0)}, r"expected betas from 0 to below 1, found \(0.9, 1.0\)"),
        ({"temperature": (2.0, 0.0, 0.9)}, r"a floor above 0, .*found \(2.0, 0.0, 0.9\): \(2.0, 0.5, 0.999\)"),
        ({"temperature": (2.0, 0.5, 2.0)}, r"factor of a step, above 0, at most 1, found \(2.0, 0.5, 2.0\)"),
        ({"betas": (0.9,)}, r"expected betas to be 2 numbers, found \(0.9,\)"),
        ({"temperature": (2.0, 0.5)}, "expected temperature to be 3 numbers"),
        ({"warmup": 500}, "expected warmup as a share of the steps, from 0 to 1, found 500"),
    ],
)
def test_what_makes_no_sense_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        Settings(**wrong)
