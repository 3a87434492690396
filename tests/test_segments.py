"""Segments: borders that were put in are found again, and counted once."""

import math
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from unispeech_lab.alignment import Span
from unispeech_lab.analysis import segments
from unispeech_lab.frames import Frames

CLOCK = Frames()
LENGTHS = (4, 7, 3, 6)  # frames of each phone


def codes(groups=2):
    """Codes (t, g) that change in one group or the other exactly where a phone ends."""
    phones = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
    return np.stack([(phones + g) // 2 for g in range(groups)], 1)


def truth():
    edges = CLOCK.edges(sum(LENGTHS))[[0, *np.cumsum(LENGTHS)]]
    return [Span("abcd"[k], edges[k], edges[k + 1]) for k in range(len(LENGTHS))]


def inner():
    """True borders but for the first and the last, at which no code can change."""
    return segments.of_spans(truth())[1:-1]


def test_codes_that_change_at_the_borders_of_phones_are_perfect():
    found = segments.from_codes(codes(), CLOCK)
    assert found == pytest.approx(inner(), abs=1e-9)
    assert segments.score(found, inner(), 0.0) == (1, 1, 1, 1, 0)
    assert len(segments.from_codes(codes()[:, :1], CLOCK)) == 1  # one group alone changes but once
    assert segments.from_codes(codes()[:, 1], CLOCK) == pytest.approx(segments.from_codes(codes()[:, 1:], CLOCK))


def test_states_that_jump_at_the_borders_of_phones_are_perfect():
    directions = np.random.default_rng(0).normal(size=(len(LENGTHS), 16))
    states = np.repeat(directions, LENGTHS, axis=0) + 0.05 * np.random.default_rng(1).normal(size=(sum(LENGTHS), 16))
    for distance in ("cosine", "Euclid"):
        assert segments.from_jumps(states, CLOCK, 0.3, distance) == pytest.approx(inner())
    assert segments.jumps(7 * states, "Euclid") == pytest.approx(segments.jumps(states, "Euclid"))  # whatever the scale
    assert (segments.jumps(states).min(), segments.jumps(states).max()) == (0, 1)
    assert len(segments.from_jumps(states, CLOCK, 0.0)) > len(inner())  # every wrinkle is a peak
    assert len(segments.from_jumps(np.ones((9, 4)), CLOCK)) == 0
    assert len(segments.from_jumps(np.ones((1, 4)), CLOCK)) == 0


def test_steady_codes_are_the_likeliest_for_their_price():
    """Beside every path there is, of four frames and two groups of two codes."""
    paths = np.array(list(product(range(4), repeat=4)))
    for seed, price in product(range(8), (0.0, 0.5, 1.5, 100.0)):
        logits = np.random.default_rng(seed).normal(size=(4, 2, 2)) * 2
        scores = np.log(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))
        worth = sum(scores[t, 0, paths[:, t] // 2] + scores[t, 1, paths[:, t] % 2] for t in range(4))
        best = paths[(worth - price * (np.diff(paths) != 0).sum(1)).argmax()]
        assert segments.steady(logits, price).tolist() == np.stack([best // 2, best % 2], 1).tolist()
    assert (segments.steady(logits, 0.0) == logits.argmax(-1)).all()
    assert segments.steady(logits[:0]).shape == (0, 2)


def test_steady_codes_leave_out_a_flicker():
    logits = 3.0 * np.eye(8)[codes()]
    logits[5, 0] = logits[5, 0, ::-1]
    assert len(segments.from_codes(logits.argmax(-1), CLOCK)) == len(inner()) + 2
    assert segments.from_codes(segments.steady(logits, 3.0), CLOCK) == pytest.approx(inner())


def test_spikes_begin_where_a_label_is_first_named():
    classes = np.array([9, 9, 3, 3, 9, 3, 4, 9])
    edges = CLOCK.edges(len(classes))
    assert segments.from_spikes(classes, 9, CLOCK) == pytest.approx(edges[[2, 5, 6]])


def test_a_border_between_two_phones_is_one_border():
    spans = [Span("a", 0.1, 0.2), Span("b", 0.2, 0.3), Span("c", 0.5, 0.6)]
    assert segments.of_spans(spans) == pytest.approx([0.1, 0.2, 0.3, 0.5, 0.6])
    assert len(segments.of_spans([])) == 0


@pytest.mark.parametrize(
    ("counts", "expected"),
    [  # Räsänen, Laine and Altosaar 2009: hit rate and over-segmentation to R
        ((10, 10, 10), 1.0),
        ((0, 0, 10), 1 - (math.sqrt(2) + 0.0) / 2),  # nothing found: R = 0, over = -1
        ((10, 20, 10), 1 - (1 + 1 / math.sqrt(2)) / 2),  # all found, and as many besides
        ((7, 10, 10), 1 - (0.3 + 0.3 / math.sqrt(2)) / 2),
    ],
)
def test_r_value_of_known_cases(counts, expected):
    assert segments.Score(*segments.rates(np.array(counts))).r_value == pytest.approx(expected)


def test_more_borders_buy_recall_and_the_r_value_pays():
    true = np.array([0.2, 0.5, 0.9])
    many = segments.score(segments.evenly(200, 1.0), true, 0.01)
    assert many.recall == 1 and many.r_value < -10 and many.over == pytest.approx(200 / 3 - 1)
    nothing = segments.score(np.array([]), true, 0.01)
    assert (nothing.precision, nothing.recall, nothing.f1, nothing.over) == (0, 0, 0, -1)
    assert all(map(math.isnan, segments.score(true, np.array([]), 0.01)))


def test_no_border_is_counted_twice():
    assert segments.hits([0.1, 0.11], [0.105], 0.02) == 1  # two found for a true one
    assert segments.hits([0.105], [0.1, 0.11], 0.02) == 1
    assert segments.hits([0.10, 0.12], [0.08, 0.10], 0.02) == 2  # not the nearest first: that would leave one alone
    assert segments.hits([0.10], [0.12], 0.02) == 1 and segments.hits([0.10], [0.121], 0.02) == 0


times = st.lists(st.integers(0, 40).map(lambda k: k / 100), max_size=8)


@given(times, times, st.sampled_from([0.0, 0.01, 0.02, 0.05]))
@settings(max_examples=100, deadline=None)
def test_as_many_hits_as_can_be(found, true, tolerance):
    """Beside the assignment problem, solved by scipy."""
    near = np.abs(np.subtract.outer(found, true)) <= tolerance + 1e-9
    rows, columns = linear_sum_assignment(near.reshape(len(found), len(true)), maximize=True)
    assert segments.hits(found, true, tolerance) == near.reshape(len(found), len(true))[rows, columns].sum()


def several(count=12):
    """Utterances with 10 borders, 8 of which are found, 5 ms late, and one that is none."""
    draw = np.random.default_rng(3)
    true = [np.sort(draw.choice(np.arange(1, 40), 10, replace=False)) / 10 for _ in range(count)]
    found = [np.append(one[: 10 - k % 5] + 0.005, 3.951) for k, one in enumerate(true)]
    return found, true


def test_table_sums_over_utterances_and_says_how_sure_it_is():
    found, true = several()
    rows = segments.table(found, true, [4.0] * len(true), tolerances=[0.001, 0.01])
    assert rows["tolerance"].tolist() == [0.001, 0.01]
    strict, loose = rows.iloc[0], rows.iloc[1]
    right = sum(len(one) - 1 for one in found)
    assert strict["recall"] == 0 and loose["recall"] == pytest.approx(right / 120)
    assert loose["precision"] == pytest.approx(right / (right + 12))
    assert loose["recall_low"] < loose["recall"] < loose["recall_high"]
    assert loose["f1_chance"] < 0.5 * loose["f1"] and loose["r_value_chance"] < loose["r_value"]
    pd.testing.assert_frame_equal(rows, segments.table(found, true, [4.0] * 12, tolerances=[0.001, 0.01]))
    alone = segments.table(found[:1], true[:1])
    assert alone["recall_low"].isna().all() and "f1_chance" not in alone
    with pytest.raises(ValueError, match="same utterances, found 2 of them and 12"):
        segments.table(found[:2], true)


def test_chance_of_borders_as_dense_as_the_tolerance_is_all_of_them():
    assert segments.lucky(100, np.array([0.31, 0.62]), 1.0, 0.02) == 2
    # a border every 100 ms hits one place within 10 ms of it in a fifth of the phases
    assert segments.lucky(10, np.array([0.5]), 1.0, 0.0101) == pytest.approx(0.2)


def test_the_prominence_that_was_needed_is_chosen():
    draw, curves, true = np.random.default_rng(5), [], []
    for _ in range(6):
        curve = 0.12 * draw.random(60)
        places = np.sort(draw.choice(np.arange(2, 58, 4), 8, replace=False))
        curve[places] = 0.9 + 0.1 * draw.random(8)
        curves.append(curve)
        true.append(segments.between(places, CLOCK))
    chosen = segments.choose(lambda curve, p: segments.peaks(curve, CLOCK, p), curves, true, segments.PROMINENCES)
    assert 0.1 <= chosen <= 0.4
    found = [segments.peaks(curve, CLOCK, chosen) for curve in curves]
    assert segments.table(found, true, tolerances=[0.0], draws=1)["f1"][0] == 1
    assert segments.table([segments.peaks(c, CLOCK, 0.0) for c in curves], true, draws=1)["f1"][0] < 0.9
