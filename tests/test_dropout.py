"""Dropout: the law of what is dropped, its gradient, the attention that forgets its pattern."""

import pytest
import torch
from models import assert_near
from torch.nn import functional as F

from unispeech_lab.nn.dropout import SMALL, Dropout, DroppedAttention, dropout, kept

P = 0.1


def test_a_share_is_dropped_and_the_rest_makes_up_for_it():
    torch.manual_seed(0)
    x = torch.randn(1000, 1000)
    y = dropout(x, P, training=True)
    stays = y != 0
    assert abs(stays.float().mean().item() - 0.9) < 5 * (0.09 / 1e6) ** 0.5
    assert_near(y[stays], x[stays] / 0.9, 1e-4)
    assert y.dtype == x.dtype and not torch.equal(y, dropout(x, P, training=True))


def test_neighbours_are_dropped_apart():
    """The four decisions of 64 bits, and those beside them: each pair agrees as often as drawn by themselves."""
    torch.manual_seed(0)
    mask = kept((250_000, 4), 0.5)[0].bool()
    for a, b in (
        (mask[:, 0], mask[:, 1]),
        (mask[:, 1], mask[:, 2]),
        (mask[:, 0], mask[:, 3]),
        (mask[1:, 0], mask[:-1, 3]),
    ):
        assert abs((a == b).float().mean().item() - 0.5) < 5 * 0.5 / 500


@pytest.mark.parametrize("p", [0.0, 1e-6, 0.25, 1 / 3, 0.999999, 1.0])
def test_the_mean_is_kept_exactly(p):
    mask, growth = kept((4,), p)
    assert mask.dtype == torch.int8 and growth == pytest.approx(2**16 / (2**16 - min(round(p * 2**16), 65535)), abs=0)


def test_the_gradient_is_of_what_was_kept():
    x = torch.randn(3 * SMALL, requires_grad=True)
    y = Dropout(P)(x)
    y.sum().backward()
    assert_near(x.grad * x.detach(), y.detach(), 1e-6)


def test_small_tensors_are_torchs_own():
    x = torch.randn(SMALL)
    torch.manual_seed(1)
    found = dropout(x, P, training=True)
    torch.manual_seed(1)
    assert torch.equal(found, F.dropout(x, P))


def test_nothing_is_dropped_but_in_training():
    x, layer = torch.randn(2 * SMALL), Dropout(P)
    assert layer.eval()(x) is x and Dropout(0.0)(x) is x
    assert not Dropout(1.0)(x).any()
    assert not torch.equal(layer.train()(x), x)


def seeded_attention(*inputs):
    torch.manual_seed(3)
    return DroppedAttention.apply(*inputs)


@pytest.mark.parametrize("tile", [1, 150, 2**20])
@pytest.mark.parametrize("padded", [False, True])
def test_attention_is_the_softmax_with_entries_dropped(tile, padded, monkeypatch):
    """Of 2 utterances, 3 heads, 7 frames: values against the softmax in the open, gradients against differences."""
    monkeypatch.setattr("unispeech_lab.nn.dropout.TILE", tile)
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 7, 3, 5, dtype=torch.float64, generator=generator).transpose(1, 2) for _ in range(3))
    heard = torch.arange(7) < torch.tensor([[7], [4]]) if padded else None
    found = seeded_attention(q, k, v, heard, 0.3)
    torch.manual_seed(3)
    mask, growth = kept((2, 3, 7, 7), 0.3)
    scores = q @ k.mT / 5**0.5
    if padded:
        scores = scores.masked_fill(~heard[:, None, None], -torch.inf)
    assert 0 < mask.sum() < mask.numel()
    assert_near(found, (scores.softmax(-1) * mask * growth) @ v, 1e-12)
    inputs = [x.clone().requires_grad_() for x in (q, k, v)]
    assert torch.autograd.gradcheck(lambda *given: seeded_attention(*given, heard, 0.3), inputs)


def test_attention_over_an_utterance_of_nothing_but_padding():
    q, k, v = (torch.randn(2, 3, 7, 5, requires_grad=True) for _ in range(3))
    heard = torch.tensor([[True], [False]]).expand(2, 7)
    out = DroppedAttention.apply(q, k, v, heard, 0.3)
    out.sum().backward()
    assert all(x.isfinite().all() for x in (out, q.grad, k.grad, v.grad))
