"""Dropout: a random share of numbers becomes 0, the rest grows to make up for it.

    y = x * m / (1 - p),   m ~ Bernoulli(1 - p)                                  (arXiv 1207.0580)

torch draws on a CPU number by number, which took a tenth of a training step; here 64 random bits make four decisions, a
fifth of the time. So p is rounded to a multiple of 2^-16, and the mean is kept exactly. A pattern of attention is
dropped and forgotten: the backward pass makes it again.

Shapes: ``b`` utterance, ``t`` frame, ``h`` head, ``e`` head width.
"""

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

SMALL = 2**12  # numbers, up to which torch's way is no slower: it is taken, and draws what transformers draws
TILE = 2**20  # numbers of a pattern made at a time: they stay in the processor's cache


class Dropout(nn.Dropout):
    """``nn.Dropout``, faster on a CPU; not in place."""

    def forward(self, states: Tensor) -> Tensor:
        return dropout(states, self.p, self.training)


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """``torch.nn.functional.dropout``, faster on a CPU."""
    if not training or not 0 < p < 1 or x.numel() <= SMALL or elsewhere(x):
        return F.dropout(x, p, training)
    return Dropped.apply(x, p)


def attends(q: Tensor, p: float) -> bool:
    """Whether ``DroppedAttention`` is the better choice for these queries: where torch has no fused kernel."""
    whole = q.dtype in (torch.float32, torch.float64) and not torch.is_autocast_enabled("cpu")
    return whole and 0 < p < 1 and q.numel() > 0 and not elsewhere(q)


def elsewhere(x: Tensor) -> bool:
    """Whether torch's own kernels are the better choice: on a GPU, and where a compiler fuses them."""
    return x.device.type != "cpu" or torch.compiler.is_compiling()


def kept(shape: tuple[int, ...], p: float) -> tuple[Tensor, float]:
    """What stays, 1 or 0 as int8, with the factor that makes up for what does not."""
    dropped = min(round(p * 2**16), 2**16 - 1)
    size = torch.Size(shape).numel()
    bits = torch.empty((size + 3) // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:size]
    return (bits >= dropped - 2**15).view(torch.int8).view(shape), 2**16 / (2**16 - dropped)


class Dropped(torch.autograd.Function):
    """x with a share p of its numbers dropped."""

    @staticmethod
    def forward(ctx, x: Tensor, p: float) -> Tensor:
        mask, ctx.growth = kept(x.shape, p)
        ctx.save_for_backward(mask)
        return (x * ctx.growth).mul_(mask)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        (mask,) = ctx.saved_tensors
        return (grad * ctx.growth).mul_(mask), None


class DroppedAttention(torch.autograd.Function):
    """dropout(softmax(q k' / sqrt(e))) v for q, k, v (b, h, t, e), over the keys that frame_mask (b, t) lets in.

    A few heads at a time, and of their patterns nothing is kept but which entries were dropped, a byte each.
    """

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, frame_mask: Tensor | None, p: float) -> Tensor:
        batch, heads, frames, width = q.shape
        ctx.scale = width**-0.5
        q, k, v = (q * ctx.scale).flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
        mask, ctx.growth = kept((batch * heads, frames, frames), p)
        bias = None
        if frame_mask is not None:
            bias = torch.zeros_like(frame_mask, dtype=q.dtype).masked_fill(~frame_mask, torch.finfo(q.dtype).min / 2)
            bias = bias[:, None, None].expand(-1, heads, -1, -1).flatten(0, 1)
        out = torch.empty_like(v)
        for tile in tiles(mask):
            pattern = patterns(q, k, bias, tile)
            torch.bmm(pattern.mul_(mask[tile]), v[tile], out=out[tile])
        out *= ctx.growth
        ctx.save_for_backward(q, k, v, bias, mask, out)
        return out.view(batch, heads, frames, width)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        q, k, v, bias, mask, out = ctx.saved_tensors
        shape, grad = grad.shape, grad.flatten(0, 1)
        share = (grad * out).sum(-1, keepdim=True)  # (grad_pattern * pattern).sum(-1), that softmax's gradient needs
        grad = grad * ctx.growth
        grad_q, grad_k, grad_v = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        for tile in tiles(mask):
            pattern = patterns(q, k, bias, tile)
            grad_scores = torch.bmm(grad[tile], v[tile].mT).mul_(mask[tile]).sub_(share[tile]).mul_(pattern)
            torch.bmm(pattern.mul_(mask[tile]).mT, grad[tile], out=grad_v[tile])
            torch.bmm(grad_scores, k[tile], out=grad_q[tile])
            torch.bmm(grad_scores.mT, q[tile], out=grad_k[tile])
        return *(x.view(shape) for x in (grad_q.mul_(ctx.scale), grad_k, grad_v)), None, None


def tiles(mask: Tensor) -> list[slice]:
    """Slices of a few heads each."""
    heads = max(TILE // mask[0].numel(), 1)
    return [slice(first, first + heads) for first in range(0, len(mask), heads)]


def patterns(q: Tensor, k: Tensor, bias: Tensor | None, tile: slice) -> Tensor:
    """(heads, t, t) softmax of the scores."""
    scores = torch.bmm(q[tile], k[tile].mT) if bias is None else torch.baddbmm(bias[tile], q[tile], k[tile].mT)
    return scores.softmax(-1)
