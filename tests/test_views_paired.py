"""Paired: differences, interval, test and words of numbers made for it."""

import numpy as np
import pandas as pd
import pytest

from unispeech_lab.views import paired
from unispeech_lab.views.panel import Lines, Points


@pytest.fixture
def table():
    rows = [
        ("one-to-one", method, target, seed, base + 0.2 * (target == "sv") + off * seed)
        for method, base, off in (("wav2vec2", 0.40, 0.01), ("unispeech", 0.35, 0.02))
        for target in ("es", "sv")
        for seed in (0, 1, 2)
    ]
    return pd.DataFrame(rows, columns=["setting", "method", "target", "seed", "per"])


def asked(table, **knobs):
    return paired.panels(table, **{name: knob.default for name, knob in paired.knobs(table).items()} | knobs)


def test_begins_with_ours_against_another(table):
    knobs = paired.knobs(table)
    assert (knobs["method"].default, knobs["against"].default) == ("unispeech", "wav2vec2")
    assert knobs["target"].values == ("all targets", "es", "sv")


def test_differences_are_those_of_pairs(table):
    _, panel = asked(table)
    dots = panel.marks[-1]
    assert isinstance(dots, Points) and dots.y == pytest.approx([-5, -4, -3, -5, -4, -3])
    means = next(mark for mark in panel.marks[1:] if isinstance(mark, Points))
    assert means.y == pytest.approx([-4, -4, -4])  # es, sv, together
    band = next(mark for mark in panel.marks[1:] if isinstance(mark, Lines))
    half = 4.303 * 1 / np.sqrt(3)  # Student's t of three seeds that differ by a point
    assert np.nanmin(band.low) == pytest.approx(-4 - half, abs=0.01)
    assert [name for _, name in panel.x.ticks] == ["es", "sv", "together"]


def test_words_say_how_much_how_sure_and_of_how_many(table):
    _, panel = asked(table)
    assert "unispeech makes 4.0 points fewer errors than wav2vec2" in panel.words
    assert "95 % interval -6.5 to -1.5 over 3 seeds" in panel.words
    assert "of 6 pairs 6 are below nought, and random signs give as much in 3.1% of all draws" in panel.words
    _, panel = asked(table, method="wav2vec2", against="unispeech", target="sv")
    assert "4.0 points more errors" in panel.words and "of 3 pairs 0" in panel.words


def test_says_who_errs_least(table):
    panel, _ = asked(table, target="es")
    assert panel.words == "Least errors on es: unispeech, 37.0 %; most: wav2vec2, 41.0 % (3 runs of each)."
    first = table[~((table["method"] == "unispeech") & (table["target"] == "sv"))]
    panel, _ = asked(first)
    assert "most: wav2vec2, 41.0 %" in panel.words, "sv, which one of them has not, counts for neither"


def test_one_seed_has_no_interval_and_one_method_no_pair(table):
    _, panel = asked(table[table["seed"] == 0])
    assert "one seed: no interval" in panel.words
    _, panel = asked(table, method="unispeech", against="unispeech")
    assert panel.words == "Choose a method to hold unispeech against."
    gone = table[(table["method"] == "unispeech") | (table["target"] == "sv")]
    _, panel = asked(gone, target="es")
    assert panel.words.endswith("have no pair of the same target and seed.")
