"""Similarity on pairs whose answer is constructed: the same, a rotation of it, half of it, nothing in common."""

import numpy as np
import pytest

from unispeech_lab.analysis.similarity import cca, cka, matrix, mean_cca, one_hot, principal, pwcca, svcca

DRAW = np.random.default_rng(0)
X = DRAW.standard_normal((2000, 6)) * [3, 2, 1, 1, 0.5, 0.2]
ROTATION = np.linalg.qr(DRAW.standard_normal((6, 6)))[0]
NOISE = DRAW.standard_normal((2000, 6))


def test_a_representation_is_like_itself():
    for likeness in (cka, mean_cca, svcca, pwcca):
        assert likeness(X, X) == pytest.approx(1)


def test_rotation_scale_and_shift_change_nothing():
    for likeness in (cka, mean_cca, pwcca):
        assert likeness(X, 3 * X @ ROTATION + 5) == pytest.approx(1)


def test_cca_does_not_see_any_linear_map_but_cka_does():
    bent = X @ DRAW.standard_normal((6, 6))
    assert mean_cca(X, bent) == pytest.approx(1) and cka(X, bent) < 0.97


def test_independent_sides_have_little_in_common():
    assert max(mean_cca(X, NOISE), cka(X, NOISE), pwcca(X, NOISE)) < 0.08


def test_what_is_shared_is_found_exactly():
    shared = np.concatenate([X[:, :2], NOISE[:, :4]], axis=1)
    found = cca(X, shared)
    assert found[:2] == pytest.approx([1, 1]) and found[2:].max() < 0.15


def test_cka_is_the_ratio_of_its_definition():
    x, y = X[:50] - X[:50].mean(0), NOISE[:50] - NOISE[:50].mean(0)
    k, l = x @ x.T, y @ y.T  # noqa: E741
    by_hand = (k * l).sum() / np.sqrt((k * k).sum() * (l * l).sum())
    assert cka(X[:50], NOISE[:50]) == pytest.approx(by_hand)


def test_cca_agrees_with_another_implementation():
    from sklearn.cross_decomposition import CCA

    y = X @ DRAW.standard_normal((6, 3)) + 2 * NOISE[:, :3]
    left, right = CCA(3, max_iter=5000, tol=1e-10).fit_transform(X, y)
    theirs = [np.corrcoef(left[:, k], right[:, k])[0, 1] for k in range(3)]
    assert cca(X, y) == pytest.approx(theirs, abs=1e-4)


def test_pwcca_weighs_by_what_the_first_side_holds():
    """Of two directions, one strong and one weak, the other side knows one: the strong one counts for more."""
    x = np.stack([10 * NOISE[:, 0], 0.1 * NOISE[:, 1]], axis=1)
    strong, weak = (np.stack([NOISE[:, k], NOISE[:, 5]], axis=1) for k in (0, 1))
    assert pwcca(x, strong) > 0.95 and pwcca(x, weak) < 0.15
    assert mean_cca(x, strong) == pytest.approx(mean_cca(x, weak), abs=0.05)


def test_svcca_drops_what_hardly_varies():
    x = np.concatenate([X[:, :2], 1e-3 * NOISE[:, :3]], axis=1)
    assert principal(x - x.mean(0), 0.99).shape == (2000, 2)
    assert svcca(x, X[:, :2]) == pytest.approx(1, abs=1e-6)


def test_labels_that_decide_the_state_correlate_fully():
    labels = DRAW.integers(0, 4, 500).astype(str)
    states = DRAW.standard_normal((4, 7))[labels.astype(int)]
    assert one_hot(labels).shape == (500, 4)
    assert mean_cca(states, one_hot(labels)) == pytest.approx(1)


def test_a_matrix_is_cka_of_each_pair():
    found = matrix([X, NOISE], [NOISE, X, X @ ROTATION])
    assert found.shape == (2, 3)
    assert found[0] == pytest.approx([cka(X, NOISE), 1, 1]) and found[1, 0] == pytest.approx(1)


def test_what_never_changes_is_like_nothing():
    still = np.ones((100, 3))
    assert np.isnan(cka(X[:100], still)) and np.isnan(mean_cca(X[:100], still)) and np.isnan(pwcca(X[:100], still))
    assert np.isnan(matrix([still])[0, 0])


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match="found 2000 and 50"):
        cka(X, NOISE[:50])
    with pytest.raises(ValueError, match=r"directions \(12\), found 8: .*take more speech"):
        cca(X[:8], NOISE[:8])
    with pytest.raises(ValueError, match=r"found shape \(2000,\)"):
        cka(X[:, 0], X)
