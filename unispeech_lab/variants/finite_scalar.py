"""Finite scalar quantization: a codeword is a point of a small grid; there is no table of codewords.

    y = tanh(s(W z) + o') * (L - 1) / 2 - o;    q = round(y) / floor(L / 2), straight through;    L levels a dimension

Mentzer et al., arXiv 2309.15505. With levels (8, 8) a group has 64 codewords, with (8, 8, 5) the 320 of the released
models. There is no diversity term, no noise, no temperature.

Two things the paper's autoencoders did not need: ``s`` standardises each dimension over the speech of a batch (in eval
by running means), for while states say nothing yet of codes, contrast pulls all codes together: after 40 steps 2 of
64 were left. And equal negatives stay in its softmax, see ``equal_negatives``.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..model import UniSpeechForPreTraining
from ..nn.quantizer import Quantized, perplexity
from ..nn.tap import Tap
from ..objective import Objective
from .unispeech import UniSpeech


class FiniteScalarQuantizer(nn.Module):
    """Project, bound, round: (b, t, c) features to codes (b, t, g), grid points (b, t, g * l) of l dimensions."""

    def __init__(self, config):
        super().__init__()
        self.groups, self.codewords = config.num_codevector_groups, config.num_codevectors_per_group
        self.levels = levels_of(self.codewords)
        self.weight_proj = nn.Linear(config.conv_dim[-1], self.groups * len(self.levels))
        self.register_buffer("mean", torch.zeros(self.groups, len(self.levels)))
        self.register_buffer("variance", torch.ones(self.groups, len(self.levels)))
        self.temperature = 1.0  # nothing here depends on it
        self.values, self.codes = Tap(), Tap()

    def forward(self, features: Tensor, frame_mask: Tensor | None = None, noise=None, generator=None) -> Quantized:
        """Quantize; nothing is drawn, so ``noise`` and ``generator`` are not used."""
        projected = self.weight_proj(features).unflatten(-1, (self.groups, len(self.levels)))
        projected = projected.to(torch.promote_types(projected.dtype, torch.float32))
        values = self.values(self.bound(self.standardise(projected, frame_mask)))
        points = values + (values.round() - values).detach()
        half = torch.tensor([level // 2 for level in self.levels], device=values.device)
        digits = (points.detach() + half).long()
        base = torch.tensor([math.prod(self.levels[:k]) for k in range(len(self.levels))], device=values.device)
        codes = self.codes((digits * base).sum(-1))
        used = perplexity(F.one_hot(codes, self.codewords).to(values.dtype), frame_mask)
        return Quantized((points / half).flatten(-2).to(features.dtype), codes, used, used)

    def standardise(self, x: Tensor, frame_mask: Tensor | None) -> Tensor:
        """(b, t, g, l) of mean 0 and variance 1 in each dimension, over the frames of speech."""
        mean, variance = self.mean, self.variance
        if self.training:
            speech = x.flatten(0, 1) if frame_mask is None else x[frame_mask]
            mean, variance = speech.mean(0), speech.var(0, correction=0)
            self.mean.lerp_(mean.detach().to(self.mean), 0.1)
            self.variance.lerp_(variance.detach().to(self.variance), 0.1)
        return (x - mean) * (variance + 1e-8).rsqrt()

    def bound(self, x: Tensor) -> Tensor:
        """(..., l) numbers that round to ``L`` integers each, from -floor(L / 2) on; 0 stays 0."""
        levels = torch.tensor(self.levels, device=x.device, dtype=x.dtype)
        half, offset = (levels - 1) * (1 - 1e-3) / 2, torch.where(levels % 2 == 0, 0.5, 0.0)
        return torch.tanh(x + torch.atanh(offset / half)) * half - offset


def levels_of(codewords: int) -> tuple[int, ...]:
    """3 to 8 levels whose product is so many codewords, the largest first: (8, 8) for 64, (8, 6, 5) for 240.

    Raises:
        ValueError: a number that has no such factors.
    """
    levels = factors(codewords, 8) if codewords > 2 else None
    if levels is None:
        raise ValueError(
            f"expected num_codevectors_per_group to be a product of numbers from 3 to 8, found {codewords}: "
            "try 64 (8 * 8), 240 (8 * 6 * 5) or 320 (8 * 8 * 5)"
        )
    return levels


def factors(number: int, most: int) -> tuple[int, ...] | None:
    """The number as a product of factors from ``most`` down to 3; None if it is none."""
    if number == 1:
        return ()
    for factor in range(most, 2, -1):  # two levels: the bound has no room for a zero
        if number % factor == 0 and (rest := factors(number // factor, factor)) is not None:
            return factor, *rest
    return None


class UniSpeechFiniteScalar(UniSpeechForPreTraining):
    def __init__(self, config):
        config.codevector_dim = config.num_codevector_groups * len(levels_of(config.num_codevectors_per_group))
        super().__init__(config)
        self.quantizer = FiniteScalarQuantizer(config)


class FiniteScalar(UniSpeech):
    changes = {"diversity_loss_weight": 0.0}
    architecture = UniSpeechFiniteScalar

    def equip(self, model):
        super().equip(model)
        model.objective = Objective.from_config(model.config, equal_negatives="kept")
