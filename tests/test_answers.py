"""The right answers are right, on data whose answer can be counted by hand."""

import numpy as np
import pytest
import torch

from unispeech_lab import answers
from unispeech_lab.alignment import Span

SPANS = [Span("a", 0.0, 0.3, 0.4), Span("b", 0.3, 0.4, 0.9), Span("c", 0.4, 0.6, 0.1)]


def test_of_phones():
    assert answers.longest(SPANS) == "a"
    assert answers.doubtful(SPANS, 0.5) == ["c", "a"] and answers.doubtful(SPANS, 0.1) == []


def test_of_a_pattern():
    """Frame 0 is looked at most by one; frame 1 most by all."""
    assert answers.gazed(torch.tensor([[0.8, 0.2, 0.0], [0.0, 0.7, 0.3], [0.0, 0.5, 0.5]])) == 1


def test_of_frames_that_are_named():
    assert answers.named(["a", None, "b", "b", "c"], ["a", "a", "b", "c", None]) == pytest.approx(2 / 4)


def test_of_draws():
    """As often as the softmax says; of two uniform numbers the greater wins where the logits are equal."""
    u = np.random.default_rng(0).random((20_000, 3))
    drawn = np.bincount(answers.draw(np.tile(np.log([0.6, 0.3, 0.1]), (20_000, 1)), u), minlength=3) / 20_000
    assert drawn == pytest.approx([0.6, 0.3, 0.1], abs=0.015)
    assert answers.draw(np.zeros((2, 2)), np.array([[0.2, 0.9], [0.8, 0.1]])).tolist() == [1, 0]


def test_of_states():
    states = torch.tensor([[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]])
    assert answers.pooled(states, torch.tensor([True, True, False])).tolist() == [2.0, 3.0]
    mixed = answers.weighted(torch.stack([states, states + 3]), torch.tensor([0.0, 1.0]).log1p())
    assert torch.allclose(mixed, states + 2)


def test_guessing_costs_as_much_as_there_are_to_guess_from():
    assert answers.guessed(np.array([0.0, 0.5, 1.0])) == pytest.approx([np.log(101), np.log(51), 0.0])
