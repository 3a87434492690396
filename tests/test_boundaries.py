"""Boundary quality: errors that were put in come out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unispeech_lab import boundaries
from unispeech_lab.alignment import Span

TRUTH = [
    Span("s", 0.10, 0.20),
    Span("t", 0.20, 0.30),
    Span("ɔː", 0.30, 0.40),
    Span("l", 0.50, 0.60, 0.0),  # its times are a convention
    Span("n", 0.60, 0.70),
]


def moved(*by):
    return [Span(s.label, s.start + onset, s.end + offset, 0.5) for s, (onset, offset) in zip(TRUTH, by, strict=True)]


FOUND = moved((0.004, 0.015), (0.015, 0), (0, -0.03), (0.2, 0.2), (0.05, 0.06))


def test_errors_are_found_minus_true():
    table = boundaries.errors(FOUND, TRUTH)
    assert table["onset"].tolist() == pytest.approx([0.004, 0.015, 0, np.nan, np.nan], nan_ok=True)
    assert table["offset"].tolist() == pytest.approx([0.015, 0, -0.03, np.nan, 0.06], nan_ok=True)
    assert table["shared"].tolist() == [True, True, False, True, False]
    assert table["kind"].tolist() == ["fricative", "stop", "vowel", "approximant", "nasal"]
    assert table["overlap"].tolist() == pytest.approx([0.096 / 0.115, 0.085 / 0.1, 0.07 / 0.1, 0, 0.05 / 0.16])
    assert boundaries.borders(table) == pytest.approx([0.004, 0.015, 0, -0.03, 0.06])


def test_without_closures_no_border_into_a_stop_counts():
    table = boundaries.errors(FOUND, TRUTH, closures="left out")
    assert table["onset"].tolist() == pytest.approx([0.004, np.nan, 0, np.nan, np.nan], nan_ok=True)
    assert table["offset"].tolist() == pytest.approx([np.nan, 0, -0.03, np.nan, 0.06], nan_ok=True)
    paused = [Span("a", 0, 0.1), Span("tʃ", 0.2, 0.3)]
    assert boundaries.errors(paused, paused, closures="left out")["offset"].tolist() == [0, 0]


def test_hit_rates_and_curve():
    off = [0.004, -0.01, 0.02, np.nan, 0.3 - 0.25]
    assert boundaries.hit_rates(off).tolist() == [0.5, 0.75, 1.0]
    assert np.isnan(boundaries.hit_rates([np.nan])).all()
    tolerances, shares = boundaries.tolerance_curve(off, most=0.06, steps=7)
    assert tolerances == pytest.approx([0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    assert shares.tolist() == [0, 0.5, 0.75, 0.75, 0.75, 1, 1]


def test_a_row_a_class():
    table = boundaries.by_class(boundaries.errors(FOUND, TRUTH))
    assert list(table.index) == ["vowel", "stop", "fricative", "nasal", "approximant", "all"]
    assert table.loc["vowel", "offset bias"] == pytest.approx(-30)
    assert table.loc["vowel", "offset off"] == pytest.approx(30)
    assert table.loc["all", "onset 10 ms"] == pytest.approx(2 / 3)
    assert table.loc["all", "phones"] == 5 and np.isnan(table.loc["nasal", "onset bias"])


@pytest.mark.parametrize(
    ("phone", "kind"),
    [("aɪ", "vowel"), ("ɚ", "vowel"), ("tʃʲ", "affricate"), ("tʰ", "stop"), ("ʁ", "fricative"), ("ŋ", "nasal")]
    + [("ɾ", "approximant"), ("!", "other"), ("", "other")],
)
def test_classes_of_phones(phone, kind):
    assert boundaries.phone_class(phone) == kind


def test_every_bundled_phone_has_a_class():
    from unispeech_lab.corpora import bundled

    corpus = bundled.load()
    said = {phone for line in corpus.table["phones"] for phone in line.split()} - {"|"}
    assert len(said) > 50 and not {phone for phone in said if boundaries.phone_class(phone) == "other"}


def test_a_score_that_is_the_chance_of_being_right_has_no_calibration_error():
    rng = np.random.default_rng(0)
    scores = rng.random(200_000)
    right = rng.random(200_000) < scores
    assert boundaries.expected_calibration_error(scores, right) < 0.01
    assert boundaries.expected_calibration_error(scores, ~right) > 0.4
    table = boundaries.reliability(scores, right, bins=4)
    assert table["score"].tolist() == pytest.approx([0.125, 0.375, 0.625, 0.875], abs=0.01)
    assert table["right"].tolist() == pytest.approx(table["score"].tolist(), abs=0.01)
    assert table["count"].sum() == 200_000


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30), st.integers(1, 12))
def test_calibration_error_is_its_definition(pairs, bins):
    scores, right = map(np.array, zip(*pairs, strict=True))
    expected, place = 0.0, [min(int(score * bins), bins - 1) for score in scores]
    for k in set(place):
        chosen = np.array(place) == k
        expected += chosen.sum() / len(pairs) * abs(scores[chosen].mean() - right[chosen].mean())
    assert boundaries.expected_calibration_error(scores, right, bins) == pytest.approx(expected)


def test_phones_without_a_score_are_left_out():
    assert boundaries.reliability([np.nan, 1.0], [False, True])["count"].tolist() == [1]
    assert np.isnan(boundaries.expected_calibration_error([np.nan], [True]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: boundaries.errors(FOUND[:3], TRUTH),
            r"expected the 5 phones of the truth in order, found 3.* phone 4",
        ),
        (lambda: boundaries.errors(FOUND[::-1], TRUTH), r"phone 1, \['s'\] in the truth and \['n'\] as found"),
        (lambda: boundaries.errors(FOUND, TRUTH, "x"), "expected closures to be 'counted' or 'left out', found 'x'"),
        (
            lambda: boundaries.reliability([0.5], []),
            r"expected a verdict for each score, found shapes \(1,\) and \(0,\)",
        ),
        (lambda: boundaries.reliability([1.5], [True]), "expected scores from 0 to 1, found 1.5 to 1.5"),
    ],
)
def test_the_doors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
