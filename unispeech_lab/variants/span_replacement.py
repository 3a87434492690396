"""Span replacement: codewords stand in for whole stretches of states, not for single frames.

    start ~ Bernoulli(1 - (1 - r)^(1 / span)) in each frame;    h = q in the ``span`` frames from each start, else c

A prototype. CTC needs one good frame a phone, so where single frames are replaced (arXiv 2101.07597) it can lean on the
states between them. A span as long as the masks' leaves none: its phones are read off codewords alone. A frame is
replaced with probability r exactly, as in ``unispeech``.
"""

from functools import partial

import torch
from torch.nn import functional as F

from .unispeech import UniSpeech


class SpanReplacement(UniSpeech):
    def equip(self, model):
        super().equip(model)
        model.draw_replaced = partial(draw_spans, model)


def draw_spans(model, c: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    """(b, t) bool: frames of states c (b, t, d) to replace, in spans of ``mask_time_length`` or more."""
    share = model.config.replace_prob if model.training or model.objective.replaces == "always" else 0.0
    batch, frames, _ = c.shape
    span = model.config.mask_time_length
    chance = 1 - (1 - share) ** (1 / span)
    starts = torch.full((batch, 1, frames + span - 1), chance, device=c.device).bernoulli(generator=generator)
    return F.max_pool1d(starts, span, stride=1)[:, 0] > 0
