"""The lattice: sums over paths against brute force, against torch's CTC loss, against themselves."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unispeech_lab import ctc
from unispeech_lab.analysis.lattice import BEGINS, NO_END, NO_WAY, STAYS, lattice, path_count


def log_probs(frames: int, classes: int, seed: int) -> np.ndarray:
    logits = 2 * np.random.default_rng(seed).standard_normal((frames, classes))
    return (logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)).astype(np.float32)


@given(frames=st.integers(1, 5), labels=st.lists(st.integers(0, 1), max_size=3), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_is_the_sum_over_all_paths(frames, labels, seed):
    """Three classes, the last the blank: every path is written down, and where it passes is counted."""
    scores = log_probs(frames, 3, seed)
    paths = [path for path in product(range(3), repeat=frames) if ctc.collapse(path, 2) == labels]
    if not paths:
        with pytest.raises(ValueError, match=f"frames for these labels, found {frames}"):
            lattice(scores, labels, 2)
        return
    worth = [np.exp(sum(scores[t, c] for t, c in enumerate(path))) for path in paths]
    made = lattice(scores, labels, 2)
    assert made.log_prob == pytest.approx(np.log(sum(worth)), abs=1e-5)
    through = np.zeros((frames, 3))
    for path, p in zip(paths, worth, strict=True):
        through[np.arange(frames), path] += p / sum(worth)
    by_class = np.stack([made.through[:, made.classes == c].sum(1) for c in range(3)], 1)
    assert np.allclose(by_class, through, atol=1e-5)
    assert np.allclose(made.through.sum(1), 1, atol=1e-6)


def test_is_the_loss_that_torch_computes():
    scores, labels = log_probs(60, 9, 3), [1, 1, 4, 2, 7, 7, 7, 3]
    given = (torch.tensor([60]), torch.tensor([len(labels)]))
    loss = torch.nn.functional.ctc_loss(
        torch.tensor(scores)[:, None], torch.tensor([labels]), *given, blank=8, reduction="sum"
    )
    assert -lattice(scores, labels, 8).log_prob == pytest.approx(loss.item(), rel=1e-5)


@pytest.mark.parametrize(("labels", "frames"), [(0, 3), (1, 1), (1, 4), (2, 6), (3, 5), (2, 1)])
def test_paths_are_counted(labels, frames):
    spelt = [path for path in product(range(4), repeat=frames) if ctc.collapse(path, 3) == list(range(labels))]
    assert path_count(labels, frames) == len(spelt)


def test_what_cannot_be_is_nought():
    scores = log_probs(4, 3, 0)
    scores[1, 0] = -np.inf
    made = lattice(scores, [0, 1], 2)
    assert np.isfinite(made.log_prob) and np.isfinite(made.through).all()
    assert made.through[1, 1] == 0 and made.through[0, 4] == 0


@given(frames=st.integers(1, 5), labels=st.lists(st.integers(0, 1), max_size=3), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_each_cell_knows_where_its_best_path_comes_from(frames, labels, seed):
    """Every path of states is written down: the best into each cell, and all that go on to the end."""
    scores = log_probs(frames, 3, seed)
    if frames < max(1, len(labels) + sum(a == b for a, b in zip(labels, labels[1:], strict=False))):
        return
    made = lattice(scores, labels, 2)
    states, best, whole = len(made.classes), {}, set()

    def follows(a, b):
        return b in (a, a + 1) or (b == a + 2 and b % 2 == 1 and made.classes[a] != made.classes[b])

    for length in range(1, frames + 1):
        for path in product(range(states), repeat=length):
            if path[0] > 1 or not all(follows(a, b) for a, b in zip(path, path[1:], strict=False)):
                continue
            score = sum(made.emission[t, s] for t, s in enumerate(path))
            cell = (length - 1, path[-1])
            if cell not in best or score > best[cell][0]:
                best[cell] = (score, path)
            if length == frames and path[-1] >= states - 2:
                whole |= set(enumerate(path))
    expected = np.full(made.came.shape, NO_WAY)
    for (t, s), (_, path) in best.items():
        expected[t, s] = (BEGINS if t == 0 else STAYS + s - path[-2]) if (t, s) in whole else NO_END
    assert np.array_equal(made.came, expected)


def test_the_ways_lead_back_along_the_best_path():
    scores, labels = log_probs(60, 9, 3), [1, 1, 4, 2, 7, 7, 7, 3]
    made, path = lattice(scores, labels, 8), ctc.viterbi(scores, labels, 8)
    state, owner = 2 * len(labels) - (path.owner[-1] >= 0), []
    for t in range(59, -1, -1):
        owner.append((state - 1) // 2 if state % 2 else -1)
        state -= max(made.came[t, state] - STAYS, 0)
    assert owner[::-1] == path.owner.tolist()
