"""The lattice: sums over paths against brute force, against torch's CTC loss, against themselves."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unispeech_lab import ctc
from unispeech_lab.analysis.lattice import lattice, path_count


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
