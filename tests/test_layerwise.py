"""Layerwise: a layer that is the phones scores 1, one that has nothing to do with them scores chance."""

import numpy as np
import pytest

from unispeech_lab.analysis import debiased, held_out, resampling, similarity
from unispeech_lab.analysis.information import clusters, information
from unispeech_lab.analysis.layerwise import dealt, frequent, probed

ROWS, KINDS, GROUPS = 1500, 12, 60
DRAW = np.random.default_rng(0)
PHONES = DRAW.integers(0, KINDS, ROWS)
UTTERANCES = np.sort(DRAW.integers(0, GROUPS, ROWS))
NOISE = DRAW.normal(size=(ROWS, 64))
HOT = np.eye(KINDS)[PHONES]
LAYER = HOT @ DRAW.normal(size=(KINDS, 64))  # is the phones, up to a linear map
TYPES = DRAW.integers(0, 300, ROWS)


def holds(found: tuple[float, float, float], value: float) -> bool:
    return found[1] <= value <= found[2]


# ---- correlation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", held_out.MEASURES)
def test_a_linear_map_of_the_phones_correlates_wholly_and_noise_not_at_all(measure):
    assert held_out.correlate(LAYER, HOT, UTTERANCES)[measure][0] == pytest.approx(1, abs=1e-6)
    assert held_out.correlate(NOISE, HOT, UTTERANCES)[measure][0] == pytest.approx(0, abs=0.03)


def test_few_rows_do_not_correlate_as_they_do_with_plain_cca():
    """80 rows of noise in 30 dimensions each: on the rows it was found on, CCA sees much that is not there."""
    x, y = NOISE[:80, :30], np.random.default_rng(1).normal(size=(80, 30))
    assert similarity.mean_cca(x, y) > 0.5
    values = [
        held_out.correlate(*np.random.default_rng(seed).normal(size=(2, 80, 30)), np.arange(80))["cca"][0]
        for seed in range(10)
    ]
    assert abs(np.mean(values)) < 0.02


def test_known_correlations_come_back():
    """Two directions in common, of correlation 0.8 and 0.4, the third nothing."""
    draw, rows = np.random.default_rng(2), 20_000
    u, noise = draw.normal(size=(2, rows, 3))
    rho = np.array([0.8, 0.4, 0.0])
    x = u @ draw.normal(size=(3, 3))
    y = (rho * u + np.sqrt(1 - rho**2) * noise) @ draw.normal(size=(3, 3))
    found = held_out.correlate(x, y, np.arange(rows) // 100)
    assert found["cca"][0] == pytest.approx(rho.mean(), abs=0.015)
    assert found["cca"][1] < found["cca"][0] < found["cca"][2] < found["cca"][1] + 0.05


def test_pwcca_weighs_by_how_much_of_x_a_direction_is_and_svcca_leaves_out_weak_ones():
    draw, rows = np.random.default_rng(3), 4000
    x, noise = draw.normal(size=(2, rows, 2))
    x[:, 1] *= 0.03  # a weak direction is the one that y knows
    y = np.stack([noise[:, 0], x[:, 1]], axis=1)
    found = {name: numbers[0] for name, numbers in held_out.correlate(x, y, np.arange(rows) // 40).items()}
    assert found["cca"] == pytest.approx(0.5, abs=0.05)
    assert found["pwcca"] < 0.1 and found["svcca"] < 0.1


def test_an_utterance_is_never_on_both_sides():
    """Rows that are the same within an utterance, drawn anew for each, have nothing to be known of the others."""
    x, y = (np.random.default_rng(seed).normal(size=(GROUPS, 20))[UTTERANCES] for seed in (4, 5))
    assert abs(held_out.correlate(x, y, UTTERANCES)["cca"][0]) < 0.15
    assert held_out.correlate(x, y, np.arange(ROWS))["cca"][0] > 0.3  # were rows held out singly


def test_correlation_needs_rows_of_both_and_two_groups():
    with pytest.raises(ValueError, match="found 1500, 10 and 1500"):
        held_out.correlate(NOISE, HOT[:10], UTTERANCES)
    assert np.isnan(held_out.correlate(LAYER, HOT, np.zeros(ROWS))["cca"]).all()
    assert np.isnan(held_out.correlate(np.ones((ROWS, 3)), HOT, UTTERANCES)["pwcca"]).all()


# ---- likeness -------------------------------------------------------------------------------------------------------


def test_debiased_cka_is_that_of_the_definition():
    x, y = np.random.default_rng(6).normal(size=(50, 5)), np.random.default_rng(7).normal(size=(50, 7))
    y[:, :5] += x
    kernels = [side @ side.T for side in (x, y)]
    for kernel in kernels:
        np.fill_diagonal(kernel, 0)

    def hsic(k, other):
        crossed = np.trace(k @ other) + k.sum() * other.sum() / (49 * 48) - 2 / 48 * (k @ other).sum()
        return crossed / (50 * 47)

    one, other = kernels
    expected = hsic(one, other) / np.sqrt(hsic(one, one) * hsic(other, other))
    assert debiased.cka(x + 3, y - 1)[0] == pytest.approx(expected)


def test_debiased_cka_of_itself_is_one_and_of_noise_nought_where_plain_cka_is_not():
    x, y = np.random.default_rng(8).normal(size=(2, 300, 100))
    turn = np.linalg.qr(np.random.default_rng(9).normal(size=(100, 100)))[0]
    assert debiased.cka(x, 5 * x @ turn)[0] == pytest.approx(1)
    assert similarity.cka(x, y) > 0.2
    assert abs(debiased.cka(x, y)[0]) < 0.03


def test_the_jackknife_of_cka_takes_blocks_out():
    """The sums of a block taken from those of the whole are those of the rest."""
    block = resampling.folds(UTTERANCES, 20)
    left_out = [debiased.cka(NOISE[block != k, :5], HOT[block != k])[0] for k in range(20)]
    expected = resampling.interval(debiased.cka(NOISE[:, :5], HOT)[0], np.array(left_out))
    assert debiased.cka(NOISE[:, :5], HOT, UTTERANCES) == pytest.approx(expected)


def test_cka_of_what_never_changes_is_no_number():
    assert np.isnan(debiased.cka(np.ones((10, 2)), HOT[:10])[0])
    assert np.isnan(debiased.cka(HOT[:3], HOT[:3])[0])
    with pytest.raises(ValueError, match="found 10 and 9"):
        debiased.cka(HOT[:10], HOT[:9])


# ---- information ----------------------------------------------------------------------------------------------------


def test_information_is_one_of_the_phones_nought_of_noise_and_between_of_half():
    assert information(PHONES, PHONES) == pytest.approx(1)
    assert information(PHONES * 2 + TYPES % 2, PHONES) == pytest.approx(1)  # a phone split into two codes
    many = np.random.default_rng(10).integers(0, 400, ROWS)  # under four frames a code
    assert abs(information(many, PHONES)) < 0.02
    coarse = information(PHONES // 2, PHONES)  # two phones share each code: a bit is missing
    entropies = [np.log(KINDS), np.log(KINDS // 2)]
    assert coarse == pytest.approx(entropies[1] / entropies[0], abs=0.02)


def test_known_information_comes_back():
    """A code that is the phone in 70 % of all frames and any other else: 2000 frames a phone tell the truth."""
    draw, rows, right = np.random.default_rng(11), 24_000, 0.7
    phones = draw.integers(0, KINDS, rows)
    codes = np.where(draw.random(rows) < right, phones, draw.integers(0, KINDS, rows))
    share = right + (1 - right) / KINDS
    others = (1 - share) / (KINDS - 1)
    known = np.log(KINDS) + share * np.log(share) + (KINDS - 1) * others * np.log(others)
    assert information(codes, phones) == pytest.approx(known / np.log(KINDS), abs=0.01)


def test_information_of_one_label_is_no_number_and_of_a_code_a_frame_nothing():
    assert np.isnan(information(PHONES, np.zeros(ROWS)))
    assert information(np.arange(ROWS), PHONES) == 0


def test_clusters_find_what_is_apart():
    frames = HOT + 0.05 * NOISE[:, :KINDS]
    assert information(clusters(frames, seed=0), PHONES) > 0.95
    assert (clusters(frames, seed=3) == clusters(frames, seed=3)).all()
    assert len(np.unique(clusters(frames[:100]))) == 5  # twenty frames a cluster


# ---- probes ---------------------------------------------------------------------------------------------------------


def test_a_probe_reads_what_is_there_and_its_control_does_not():
    found = probed(LAYER, PHONES, TYPES, UTTERANCES, UTTERANCES)
    assert found["probe"][0] == 1
    assert found["control"][0] == pytest.approx(1 / KINDS, abs=0.05)
    assert found["selectivity"][0] == pytest.approx(found["probe"][0] - found["control"][0])
    assert holds(found["selectivity"], found["selectivity"][0])


def test_a_probe_of_noise_is_at_chance():
    found = probed(NOISE, PHONES, TYPES, UTTERANCES, UTTERANCES)
    assert found["probe"][0] == pytest.approx(1 / KINDS, abs=0.03)
    assert holds(found["selectivity"], 0)


def test_a_control_shows_what_is_known_by_heart():
    """A layer that names the type: any label of a type is read off it, meaning or not (Hewitt and Liang 2019)."""
    types = TYPES % 20
    found = probed(np.eye(20)[types], types % KINDS, types, UTTERANCES, UTTERANCES)
    assert found["probe"][0] == found["control"][0] == 1
    assert found["selectivity"][0] == 0


def test_a_control_by_utterance_shows_a_leak():
    """Held apart, utterances that can be told from each other are no help; on both sides, they are all it takes."""
    told = np.eye(GROUPS)[UTTERANCES]
    voices = UTTERANCES % 6
    apart = probed(told, voices, UTTERANCES, UTTERANCES, UTTERANCES)
    mixed = probed(told, voices, UTTERANCES, np.arange(ROWS), UTTERANCES)
    assert apart["control"][0] < 0.3 and apart["probe"][0] < 0.3
    assert mixed["control"][0] == mixed["probe"][0] == 1


def test_control_labels_are_one_a_type_and_as_frequent_as_the_true_ones():
    rare = np.repeat([0, 1], [900, 100])
    labels = dealt(rare, np.arange(1000), seed=1)
    assert labels.mean() == pytest.approx(0.1, abs=0.04)
    by_type = dealt(rare, TYPES[:1000], seed=1)
    assert all(len(np.unique(by_type[TYPES[:1000] == kind])) == 1 for kind in np.unique(TYPES[:1000]))


def test_a_probe_needs_entries_for_all_rows_and_something_to_hold_apart():
    with pytest.raises(ValueError, match="found others in types, groups"):
        probed(NOISE, PHONES, TYPES[:3], UTTERANCES, UTTERANCES[:3])
    assert np.isnan(probed(NOISE, PHONES, TYPES, np.zeros(ROWS), UTTERANCES)["probe"]).all()


def test_frequent_labels():
    labels = ["a"] * 5 + ["b"] * 3 + ["c"] * 3 + ["d"]
    assert frequent(labels, 3).tolist() == [True] * 11 + [False]
    assert frequent(labels, 3, most=1).tolist() == [True] * 5 + [False] * 7


# ---- intervals ------------------------------------------------------------------------------------------------------


def coverage(interval) -> float:
    """In what share of 200 corpora of 40 utterances, alike within, the true mean (0) lies in the interval."""
    inside = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        groups = np.repeat(np.arange(40), 10)
        inside += holds(interval(draw.normal(size=40)[groups] + draw.normal(size=400), groups), 0.0)
    return inside / 200


def test_intervals_hold_the_truth_as_often_as_they_say():
    assert coverage(lambda rows, groups: resampling.share(rows, groups, draws=200)) == pytest.approx(0.95, abs=0.045)
    by_blocks = coverage(lambda rows, groups: resampling.jackknife(lambda k: rows[k].mean(), groups))
    assert by_blocks == pytest.approx(0.95, abs=0.045)
    singly = coverage(lambda rows, groups: resampling.share(rows, np.arange(400), draws=200))
    assert singly < 0.7  # as if frames of an utterance were not alike


def test_intervals_of_correlation_lie_around_it_and_hold_the_truth():
    """16 short utterances, folds of three: of these a bootstrap often draws one alone, in which little correlates."""
    rho, groups = np.array([0.8, 0.5, 0.2]), np.repeat(np.arange(16), 20)
    found = []
    for seed in range(80):
        u, noise = np.random.default_rng(seed).normal(size=(2, len(groups), 3))
        found.append(held_out.correlate(u, rho * u + np.sqrt(1 - rho**2) * noise, groups)["cca"])
    value, low, high = np.array(found).T
    assert np.mean((low <= rho.mean()) & (rho.mean() <= high)) == pytest.approx(0.95, abs=0.05)
    assert np.allclose(value, (low + high) / 2) and np.std(value) == pytest.approx(np.mean(high - low) / 4, rel=0.35)


def test_a_fold_of_one_utterance_may_be_left_out_whole():
    groups = np.repeat(np.arange(3), 500)
    value, low, high = held_out.correlate(HOT + 0.5 * LAYER[:, :1], HOT, groups)["cca"]
    assert 0.9 < low < value < high < 1.05


def test_one_group_leaves_the_ends_open():
    assert resampling.jackknife(lambda rows: 1.0, ["a", "a"])[0] == 1
    assert np.isnan(resampling.jackknife(lambda rows: 1.0, ["a", "a"])[1:]).all()
    assert resampling.jackknife(lambda rows: 1 / len(rows), ["a", "a"])[0] == 0.5  # never asked of no rows
    assert np.isnan(resampling.ends(np.array([np.nan]))).all()
