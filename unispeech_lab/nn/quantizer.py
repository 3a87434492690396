"""Quantizer: each frame's features choose one codeword from each of a few codebooks.

    l = W z (a logit per group g, codeword v);   train: code = argmax (l + n) / tau, n ~ Gumbel(0, 1);   eval: argmax l
    q = [e_{1, code_1}; ...; e_{G, code_G}];       perplexity = sum_g exp(H(mean over frames of p_g))

wav2vec 2.0 (arXiv 2006.11477) equation 1, Gumbel-softmax (arXiv 1611.01144). The gradient passes straight through the
arg-max to softmax((l + n) / tau). Chosen rows are gathered: the product of every frame with the whole table, 480 MB for
10 s at the large size, is never made. Checkpoint keys: ``quantizer.codevectors``, ``quantizer.weight_proj.*``.

Shapes: ``b`` utterance, ``t`` frame, ``c`` conv channel, ``g`` group, ``v`` codeword of a group, ``d`` codevector_dim.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .tap import Tap


class Quantized(NamedTuple):
    """What a quantizer says of a batch; every quantizer returns these four."""

    vectors: Tensor  # (b, t, d) the chosen codewords, groups side by side
    codes: Tensor  # (b, t, g) which codeword of each group
    prob_perplexity: Tensor  # () from the softmax without noise: what the diversity loss sees, in [g, g * v]
    code_perplexity: Tensor  # () from the arg-max without noise: the codes eval uses, in [g, g * v]


class GumbelVectorQuantizer(nn.Module):
    """Product quantizer with straight-through Gumbel choices in training, arg-max in eval.

    ``temperature`` is Gumbel's tau, 2 at the start; the training loop lowers it.

    Raises:
        ValueError: ``codevector_dim`` is no multiple of ``num_codevector_groups``.
    """

    def __init__(self, config):
        super().__init__()
        self.groups, self.codewords = config.num_codevector_groups, config.num_codevectors_per_group
        if config.codevector_dim % self.groups:
            raise ValueError(
                f"expected codevector_dim to be a multiple of num_codevector_groups={self.groups}, "
                f"found {config.codevector_dim}"
            )
        self.codevectors = nn.Parameter(
            torch.rand(1, self.groups * self.codewords, config.codevector_dim // self.groups)
        )
        self.weight_proj = nn.Linear(config.conv_dim[-1], self.groups * self.codewords)
        self.temperature = 2.0
        self.logits = Tap()
        self.codes = Tap()

    def forward(
        self,
        features: Tensor,
        frame_mask: Tensor | None = None,
        noise: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Quantized:
        """Quantize (b, t, c) features.

        Args:
            features: normalised features z, never the masked ones.
            frame_mask: (b, t) True where a frame is speech; padding then stays out of both perplexities.
            noise: (b, t, g, v) Gumbel noise to use instead of drawing it, in training.
            generator: where the noise is drawn from.
        """
        logits = self.logits(self.weight_proj(features).unflatten(-1, (self.groups, self.codewords)))
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        probabilities = logits.softmax(-1)
        if self.training:
            if noise is None:  # drawn as torch.nn.functional.gumbel_softmax does
                noise = -torch.empty_like(logits).exponential_(generator=generator).log()
            soft = ((logits + noise) / self.temperature).softmax(-1)
            codes = self.codes(soft.argmax(-1))
            vectors = self.look_up(codes) + self.straight_through(soft)
        else:
            codes = self.codes(logits.argmax(-1))
            vectors = self.look_up(codes)
        used = F.one_hot(logits.argmax(-1), self.codewords).to(logits.dtype)
        return Quantized(vectors, codes, perplexity(probabilities, frame_mask), perplexity(used, frame_mask))

    def look_up(self, codes: Tensor) -> Tensor:
        """The codewords (b, t, d) of codes (b, t, g): gathered, bit for bit the product with one-hot rows."""
        first = torch.arange(self.groups, device=codes.device) * self.codewords
        return F.embedding(codes + first, self.codevectors[0]).flatten(-2)

    def straight_through(self, soft: Tensor) -> Tensor:
        """Zero (b, t, d), with the gradient that the mixture ``soft`` (b, t, g, v) of codewords would have."""
        table = self.codevectors.detach().view(self.groups, self.codewords, -1).to(soft.dtype)
        nothing = soft - soft.detach()
        return torch.einsum("btgv,gvd->btgd", nothing, table).flatten(-2).to(self.codevectors.dtype)


def perplexity(probabilities: Tensor, frame_mask: Tensor | None = None) -> Tensor:
    """How many codewords are in use: sum over groups of exp(entropy of the mean over frames).

    Args:
        probabilities: (b, t, g, v), each summing to 1 over v.
        frame_mask: (b, t) True where a frame counts; all of them if None.
    """
    if frame_mask is None:
        mean = probabilities.mean((0, 1))
    else:
        weights = frame_mask[..., None, None].to(probabilities.dtype)
        mean = (probabilities * weights).sum((0, 1)) / weights.sum().clamp(min=1)
    logs = mean.clamp(min=torch.finfo(mean.dtype).tiny).log()  # a codeword nobody can choose has a gradient, not a NaN
    return torch.exp(-(mean * logs).sum(-1)).sum()
