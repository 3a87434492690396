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
    assert panel.words.startswith("unispeech makes 4.0 points fewer errors (95 %")
    assert "fewer errors (95 % interval -6.5 to -1.5, p = 0.020, 3 seeds) than wav2vec2" in panel.words
    assert "of 6 runs in pairs 6 are below nought." in panel.words
    _, panel = asked(table, method="wav2vec2", against="unispeech", target="sv")
    assert "4.0 points more errors" in panel.words and "of 3 runs in pairs 0" in panel.words


def test_says_who_errs_least(table):
    panel, _ = asked(table, target="es")
    assert panel.words == "Least errors on es: unispeech, 37.0 %; most: wav2vec2, 41.0 % (3 runs of each)."


def test_draws_every_run_and_says_which_count_for_no_mean(table):
    first = table[~((table["method"] == "unispeech") & (table["target"] == "sv"))]
    panel, _ = asked(first)
    means, dots = (mark for mark in panel.marks if isinstance(mark, Points))
    assert len(dots.x) == len(first) and sorted(dots.y) == pytest.approx(sorted(100 * first["per"]))
    assert means.y == pytest.approx([41.0, 37.0]), "sv, which one of them has not, counts for neither"
    left = {name for name, kind in zip(dots.names, dots.kinds, strict=True) if dots.legend[kind][0] == paired.APART}
    assert left == {f"wav2vec2, sv, seed {k}: {60 + k:.1f} %" for k in range(3)}
    assert panel.words.startswith("Means leave out 3 of 9 runs (○)")
    assert "up to 62.0 % (wav2vec2, sv, seed 2)" in panel.words and "(3 runs of each)" in panel.words
    assert "run that counts for no mean 3" in panel.alt()
    apart = first[(first["method"] == "unispeech") | (first["target"] == "sv")]
    panel, _ = asked(apart)
    assert "(not of the same targets and seeds)" in panel.words and "leave out" not in panel.words
    assert set(panel.marks[-1].kinds) == {1}


def test_one_seed_has_no_interval_and_one_method_no_pair(table):
    _, panel = asked(table[table["seed"] == 0])
    assert "points fewer errors (one seed, no interval) than" in panel.words
    for each in asked(table[table["seed"] == 0]):
        assert "interval" not in each.marks[-2].legend[0][1] and not each.alt().count("95 %")
    assert all("mean, 95 % interval over seeds" in each.alt() for each in asked(table))
    some = table[(table["seed"] == 0) | (table["target"] == "es")]
    assert "mean, 95 % interval where there are two seeds" in asked(some)[1].alt()
    _, panel = asked(table, method="unispeech", against="unispeech")
    assert panel.words == "Choose a method to hold unispeech against."
    gone = table[(table["method"] == "unispeech") | (table["target"] == "sv")]
    _, panel = asked(gone, target="es")
    assert panel.words.endswith("have no pair of the same target and seed.")


def test_a_wide_interval_does_not_hide_the_runs(table):
    two = table[table["seed"] < 2].copy()
    two.loc[(two["method"] == "unispeech") & (two["seed"] == 1), "per"] = 0.9
    _, panel = asked(two, target="es")
    band = next(mark for mark in panel.marks[1:] if isinstance(mark, Lines))
    assert "2 seeds" in panel.words and np.nanmax(band.high) > 2 * panel.y.stop
    reach = np.ptp(panel.marks[-1].y)
    assert panel.y.stop - panel.y.start < 4 * reach and panel.y.start < min(panel.marks[-1].y)


def test_a_seed_counts_once_in_what_is_drawn_and_told(table):
    some = table[(table["seed"] == 0) | (table["target"] == "es")].copy()
    some.loc[(some["method"] == "unispeech") & (some["target"] == "sv"), "per"] += 0.04  # of seed 0: -5 and -1
    _, panel = asked(some)
    means = next(mark for mark in panel.marks[1:] if isinstance(mark, Points))
    assert means.y[-1] == pytest.approx((-3 - 4 - 3) / 3) and panel.words.startswith("unispeech makes 3.3 points fewer")
