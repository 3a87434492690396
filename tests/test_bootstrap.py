"""Intervals and p-values where both are known."""

import numpy as np
import pytest
from scipy import stats

from unispeech_lab.analysis.bootstrap import bootstrap, half_width, paired, student_p


def mean_of(values):
    return lambda rows: float(values[rows].mean())


def test_an_interval_of_independent_rows_is_that_of_the_textbook():
    values = np.random.default_rng(0).normal(10, 2, 400)
    found = bootstrap(mean_of(values), np.arange(400), draws=2000)
    assert found.value == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20
    assert found.low == pytest.approx(values.mean() - half, abs=0.03)
    assert found.high == pytest.approx(values.mean() + half, abs=0.03)


def test_rows_that_are_alike_do_not_count_as_many():
    """Ten groups of a hundred equal rows know as much as ten rows."""
    each = np.random.default_rng(1).normal(size=10)
    whole = bootstrap(mean_of(each.repeat(100)), np.arange(10).repeat(100))
    few = bootstrap(mean_of(each), np.arange(10))
    naive = bootstrap(mean_of(each.repeat(100)), np.arange(1000))
    assert (whole.low, whole.high) == pytest.approx((few.low, few.high))
    assert whole.high - whole.low > 5 * (naive.high - naive.low)


def test_covers_the_truth_as_often_as_it_says():
    draw = np.random.default_rng(2)
    hits = 0
    for trial in range(200):
        values = draw.normal(size=40)
        found = bootstrap(mean_of(values), np.arange(40), seed=trial, draws=200, share=0.9)
        hits += found.low <= 0 <= found.high
    assert 0.83 < hits / 200 < 0.95


def test_the_seed_decides():
    values, rows = np.random.default_rng(3).normal(size=30), np.arange(30)
    assert bootstrap(mean_of(values), rows, seed=1) == bootstrap(mean_of(values), rows, seed=1)
    assert bootstrap(mean_of(values), rows, seed=1) != bootstrap(mean_of(values), rows, seed=2)


def test_one_group_is_no_sample():
    with pytest.raises(ValueError, match="at least two groups to draw from, found 1"):
        bootstrap(mean_of(np.ones(5)), np.zeros(5))


def test_says_its_numbers():
    assert str(bootstrap(mean_of(np.ones(4)), np.arange(4))) == "1 [1, 1]"


class TestPaired:
    def test_three_seeds_that_agree_are_one_way_in_four(self):
        assert paired([1.0, 2.0, 0.5]) == pytest.approx(2 / 8)

    def test_what_cancels_is_nothing(self):
        assert paired([1.0, -1.0]) == 1.0

    def test_many_pairs_are_drawn(self):
        draw = np.random.default_rng(0)
        assert paired(draw.normal(0.0, 1, 100)) > 0.05
        assert paired(draw.normal(1.0, 1, 100)) < 0.001

    def test_is_uniform_where_nothing_differs(self):
        draw = np.random.default_rng(1)
        found = np.array([paired(draw.normal(size=12), draws=5000) for _ in range(200)])
        assert 0.02 < (found < 0.1).mean() < 0.17 and 0.4 < found.mean() < 0.6

    def test_without_pairs_there_is_no_answer(self):
        with pytest.raises(ValueError, match="found none"):
            paired([])


def test_student():
    draw = np.random.default_rng(4)
    for values in draw.normal(1, 1, (50, 4)):
        found = stats.ttest_1samp(values, 0)
        ends = found.confidence_interval(0.95)
        assert half_width(values) == pytest.approx((ends.high - ends.low) / 2)
        assert student_p(values) == pytest.approx(found.pvalue)
        assert (student_p(values) < 0.05) == (half_width(values) < abs(values.mean()))
    assert np.isnan(half_width([1.0])) and np.isnan(student_p([1.0]))
    assert (student_p([1.0, 1.0]), student_p([0.0, 0.0])) == (0, 1)
