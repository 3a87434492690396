"""The pace of notebooks: a tenth of the steps where somebody wants to know only that they run."""

import importlib

from unispeech_lab import pace


def test_a_tenth_of_the_steps_in_a_hurry(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setenv("UNISPEECH_LAB_FAST", "1")
        assert importlib.reload(pace).FAST and [pace.steps(n) for n in (120, 30, 5)] == [12, 3, 1]
        patched.setenv("UNISPEECH_LAB_FAST", "0")
        assert not importlib.reload(pace).FAST and pace.steps(120) == 120
    importlib.reload(pace)
