"""Codebook figures, on codes whose answer is constructed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import normalized_mutual_info_score

from unispeech_lab import codebook
from unispeech_lab.alignment import Span
from unispeech_lab.frames import Frames

FEW = st.lists(st.tuples(st.integers(0, 5), st.sampled_from("aek")), min_size=2, max_size=40)


def test_usage_counts_each_group_by_itself_and_names_the_dead():
    counts = codebook.usage(np.array([[0, 2], [0, 1], [3, 1]]), 4)
    assert counts.tolist() == [[2, 0, 0, 1], [0, 2, 1, 0]]
    assert codebook.dead(counts) == [(0, 1), (0, 2), (1, 0), (1, 3)]
    with pytest.raises(ValueError, match="expected codes .* from 0 to 2, found"):
        codebook.usage(np.array([[3]]), 3)


@given(st.lists(st.lists(st.integers(0, 7), min_size=2, max_size=2), min_size=1, max_size=50))
def test_perplexity_lies_between_the_groups_and_all_codewords(codes):
    found = codebook.perplexity(codebook.usage(np.array(codes), 8))
    assert 2 - 1e-9 <= found <= 16 + 1e-9


def test_perplexity_of_even_use_is_their_number():
    assert codebook.perplexity(np.full((2, 8), 5)) == pytest.approx(16)
    assert codebook.perplexity(np.eye(8)[:2]) == pytest.approx(2)


def test_codes_that_are_phones_agree_wholly_and_one_code_for_all_not_at_all():
    phones = ["a", "a", None, "e", "k", "k"]
    whole = codebook.agreement([7, 7, 1, 2, 5, 5], phones)
    assert whole["nmi"] == pytest.approx(1) and whole["purity"] == 1
    assert (whole["codes"], whole["frames"]) == (3, 5)
    none = codebook.agreement([0] * 6, phones)
    assert none["nmi"] == pytest.approx(0) and none["purity"] == pytest.approx(2 / 5)
    with pytest.raises(ValueError, match="expected frames within phones, found none"):
        codebook.agreement([1], [None])


@given(FEW)
def test_v_measure_is_the_nmi_with_the_arithmetic_mean(pairs):
    codes, phones = zip(*pairs, strict=True)
    assert codebook.agreement(codes, phones)["nmi"] == pytest.approx(normalized_mutual_info_score(phones, codes))


def test_joint_tells_combinations_of_groups_apart():
    assert codebook.joint(np.array([[1, 2], [2, 1], [1, 2], [1, 1]])).tolist() == [1, 2, 1, 0]


def test_frames_fall_into_the_phone_at_their_centre_and_its_thirds():
    clock = Frames()
    start, end = clock.centre(2) - 0.001, clock.centre(8) - 0.001
    names, parts = codebook.phone_of_frames([Span("a", start, end)], clock, 10)
    assert names == [None, None, *"aaaaaa", None, None]
    assert parts[2:8] == ["onset", "onset", "middle", "middle", "end", "end"]


def test_the_table_has_a_row_a_phone_and_a_column_a_code():
    table = codebook.table([3, 3, 1, 3], ["a", "e", "a", None])
    assert table.loc["a"].to_dict() == {1: 1, 3: 1} and table.loc["e"].to_dict() == {1: 0, 3: 1}
