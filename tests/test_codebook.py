"""Codebook figures, on codes whose answer is constructed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import homogeneity_completeness_v_measure, normalized_mutual_info_score

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


class TestPerplexity:
    def test_soft_is_that_of_the_mean_and_hard_that_of_the_choices(self):
        """Four frames that each hesitate evenly between two of four codewords, and choose the same one."""
        logits = np.full((4, 1, 4), -50.0)
        logits[:2, 0, :2] = logits[2:, 0, [2, 3]] = 0
        shares = codebook.softmax(logits)
        assert np.exp(codebook.entropy(shares)) == pytest.approx(np.full((4, 1), 2), rel=1e-6)
        assert codebook.perplexity(shares.mean(0)) == pytest.approx(4)
        assert codebook.perplexity(codebook.usage(logits.argmax(-1), 4)) == pytest.approx(2)

    def test_entropy_of_nothing_and_of_one_is_none(self):
        assert codebook.entropy(np.array([[0, 0, 0], [0, 7, 0]])).tolist() == [0, 0]

    def test_a_moving_mean_is_shorter_at_the_ends(self):
        assert codebook.moving(np.array([0.0, 3, 6, 9]), 3).tolist() == [1.5, 3, 6, 7.5]
        assert codebook.moving(np.eye(3), 1).tolist() == np.eye(3).tolist()
        assert codebook.moving(np.array([1.0, 3.0]), 99).tolist() == [2, 2]


@given(FEW)
def test_agreement_is_that_of_scikit_learn(pairs):
    codes, phones = zip(*pairs, strict=True)
    found = codebook.agreement(codes, phones)
    expected = homogeneity_completeness_v_measure(phones, codes)
    assert (found["homogeneity"], found["completeness"], found["nmi"]) == pytest.approx(expected, abs=1e-9)


def test_chance_is_what_shuffled_codes_give():
    draw = np.random.default_rng(0)
    codes, phones = draw.integers(0, 8, 300), list(draw.choice(list("aeiou"), 300))
    shuffled = [codebook.agreement(draw.permutation(codes), phones)["nmi"] for _ in range(200)]
    assert codebook.chance(codes, phones) == pytest.approx(np.mean(shuffled), abs=0.002)


def test_a_phone_is_wanted_for_every_code():
    with pytest.raises(ValueError, match=r"for each of \(2,\) codes, found \(1,\)"):
        codebook.table([1, 2], ["a"])


def test_the_most_frequent_combinations_are_numbered_by_rank():
    codes = np.array([[1, 2], [3, 0], [1, 2], [3, 0], [1, 2], [0, 0]])
    numbers, names = codebook.most_joint(codes, 2)
    assert numbers.tolist() == [0, 1, 0, 1, 0, -1] and names == ("1·2", "3·0")


def test_a_stretch_ends_with_its_code_and_with_its_utterance():
    found = codebook.stretches([5, 5, 2, 2, 2, 5], [0, 0, 0, 1, 1, 1])
    assert found.tolist() == [[0, 2], [2, 3], [3, 5], [5, 6]]
    assert codebook.stretches([], []).shape == (0, 2)


def test_alike_rows_stand_side_by_side_and_empty_ones_last():
    rows = np.array([[9, 1, 0, 0], [0, 0, 8, 2], [0, 0, 0, 0], [80, 20, 0, 0], [0, 1, 7, 2]])
    order = codebook.similar(rows).tolist()
    assert sorted(order) == [0, 1, 2, 3, 4] and order[-1] == 2
    assert {*order[:2]} in ({0, 3}, {1, 4})


class TestTwoCodebooks:
    codes = np.random.default_rng(0).integers(0, 16, 400)

    def test_the_same_under_other_numbers_is_found_the_same(self):
        names = np.random.default_rng(1).permutation(16)
        partners = codebook.match(codebook.confusion(self.codes, names[self.codes], (16, 16)))
        assert partners.tolist() == names.tolist()

    def test_a_code_without_company_has_no_partner(self):
        counts = codebook.confusion(np.array([0, 0, 2]), np.array([1, 1, 1]), (3, 2))
        assert counts.tolist() == [[0, 2], [0, 0], [0, 1]]
        assert codebook.match(counts).tolist() == [1, -1, -1]

    def test_other_frames_are_refused(self):
        with pytest.raises(ValueError, match=r"the same frames, found \(3,\) and \(2,\) codes"):
            codebook.confusion(np.zeros(3, int), np.zeros(2, int), (1, 1))
