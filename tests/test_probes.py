"""Probes and projections, on rows whose answer is constructed."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from unispeech_lab.analysis import probes
from unispeech_lab.analysis.probes import PENALTY, Score, folds, predict, probe, silhouette, standard
from unispeech_lab.analysis.projection import principal, project

ROWS, KINDS, GROUPS = 240, 6, 12


@pytest.fixture
def labels():
    return np.arange(ROWS) % KINDS


@pytest.fixture
def groups():
    return np.arange(ROWS) // (ROWS // GROUPS)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


class TestProbe:
    def test_reads_what_is_there(self, labels, groups):
        score = probe(np.eye(KINDS)[labels], {"kind": labels}, groups)["kind"]
        assert (score.accuracy, score.majority, score.gain) == (1.0, 1 / KINDS, 1.0)
        assert (score.labels, score.rows) == (KINDS, ROWS)
        assert score.control < 0.3 and score.selectivity > 0.7

    def test_reads_nothing_off_noise(self, labels, groups):
        score = probe(noise(ROWS, 8), {"kind": labels}, groups)["kind"]
        assert abs(score.accuracy - 1 / KINDS) < 0.1 and abs(score.selectivity) < 0.15

    def test_does_not_know_the_groups_it_is_asked_about(self, groups):
        """What is the same all through a group is learned by heart, unless the group is left out."""
        score = probe(np.eye(GROUPS)[groups] + 0.01 * noise(ROWS, GROUPS), {"group": groups}, groups)["group"]
        assert score.accuracy == 0

    def test_is_the_ridge_that_sklearn_solves(self, labels, groups):
        x, fold = standard(noise(ROWS, 5) + labels[:, None] * [1, 0, 0.5, 0, 0]), folds(groups)
        (read,) = predict(x, [labels], fold)
        for k in np.unique(fold):
            others = fold != k
            ridge = Ridge(alpha=PENALTY * others.sum()).fit(x[others], np.eye(KINDS)[labels[others]])
            assert np.array_equal(read[~others], ridge.predict(x[~others]).argmax(1))

    def test_several_labels_are_read_as_if_alone(self, labels, groups):
        x, half = noise(ROWS, 4) + labels[:, None], labels % 2
        both = probe(x, {"kind": labels, "half": half}, groups)
        assert both["half"].accuracy == probe(x, {"half": half}, groups)["half"].accuracy
        assert both["kind"].accuracy == probe(x, {"kind": labels}, groups)["kind"].accuracy

    def test_one_group_is_none_to_learn_from(self, labels):
        score = probe(noise(ROWS, 3), {"kind": labels}, np.zeros(ROWS))["kind"]
        assert np.isnan(score.accuracy) and np.isnan(score.control) and score.majority == 1 / KINDS

    def test_nothing_is_scored_as_nothing(self):
        score = probe(np.zeros((0, 3)), {"kind": []}, [])["kind"]
        assert np.isnan([score.accuracy, score.majority, score.control]).all() and score.rows == score.labels == 0

    def test_one_label_leaves_nothing_to_gain(self):
        assert np.isnan(Score(1.0, 1.0, 1.0, 1, 10).gain)

    def test_a_label_too_few_is_named(self, labels, groups):
        with pytest.raises(ValueError, match="each of 240 rows, found others in kind, groups"):
            probe(noise(ROWS, 3), {"kind": labels[1:], "whole": labels}, groups[1:])


class TestFolds:
    def test_groups_stay_whole_and_folds_alike(self):
        sizes = [30, 20, 20, 10, 10, 10]
        groups = np.repeat(np.arange(6), sizes)
        fold = folds(groups, 3)
        assert all(len(set(fold[groups == group])) == 1 for group in range(6))
        assert sorted(np.bincount(fold)) == [30, 30, 40]

    def test_there_are_no_more_than_groups(self):
        assert set(folds(["a", "b", "a"], 5)) == {0, 1} and len(folds([], 5)) == 0


class TestSilhouette:
    def test_of_points_on_their_own_label_is_one(self, labels):
        assert silhouette(np.eye(KINDS)[labels], labels) == pytest.approx(1)

    def test_of_noise_is_none(self, labels):
        assert abs(silhouette(noise(ROWS, 20), labels)) < 0.05

    @pytest.mark.parametrize("given", [["a"] * 4, list("abcd"), []])
    def test_needs_two_labels_and_two_of_a_kind(self, given):
        assert np.isnan(silhouette(noise(len(given), 2), given))

    def test_of_many_rows_some_are_drawn(self, labels, monkeypatch):
        monkeypatch.setattr(probes, "SHOWN", 60)
        assert silhouette(np.eye(KINDS)[labels], labels) == pytest.approx(1)


class TestProjection:
    def test_principal_components_of_a_known_covariance(self):
        turn = np.linalg.qr(noise(4, 4))[0]
        turn *= np.sign(turn[np.abs(turn).argmax(0), np.arange(4)])
        drawn = standard(np.linalg.qr(noise(500, 4, seed=1) - noise(500, 4, seed=1).mean(0))[0]) * [4, 2, 1, 0]
        scores, shares = principal(drawn @ turn.T + 7, 3)
        assert shares == pytest.approx([16 / 21, 4 / 21, 1 / 21])
        assert np.allclose(scores, drawn[:, :3], atol=1e-6)

    @pytest.mark.parametrize("rows", [0, 1, 2])
    def test_few_points_have_a_place(self, rows):
        assert np.isfinite(project(noise(rows, 5), "UMAP")).all() and project(noise(rows, 5)).shape == (rows, 2)

    @pytest.mark.parametrize("method", ["UMAP", "t-SNE"])
    def test_two_crowds_stay_apart_and_a_seed_repeats(self, method):
        crowd = np.arange(40) % 2
        values = noise(40, 8) + 30 * crowd[:, None]
        places = project(values, method)
        own = np.linalg.norm(places[:, None] - places, axis=-1) + 1e9 * np.eye(40)
        assert (crowd[own.argmin(1)] == crowd).all()
        assert np.array_equal(places, project(values, method))

    def test_an_unknown_method_is_answered_with_those_there_are(self):
        with pytest.raises(ValueError, match="PCA, UMAP, t-SNE, found 'pca'"):
            project(noise(3, 3), "pca")
