"""Dead-code revival: a codeword that hardly any frame chooses begins anew, at a frame of the speech just heard.

    usage <- 0.98 * usage + 0.02 * share of the frames that chose it;    dead: usage < 0.1 / V

A prototype, after the random restarts of Jukebox (arXiv 2005.00341). The dead one's row of the projection
becomes a multiple of a frame's features z, so that it wins there by a margin and at frames like it; its codeword is
that which the frame had, moved a little. Several processes share usage and frames; weights sharded by FSDP cannot be
revived. What counts is not saved with the trained model, which is an ordinary one.
"""

import torch
from accelerate.utils import broadcast, reduce
from torch.nn import functional as F

from ..nn.quantizer import GumbelVectorQuantizer
from ..seeds import generator_of
from .unispeech import UniSpeech


class CountingQuantizer(GumbelVectorQuantizer):
    """A quantizer that remembers ``usage`` (g, v), a running share of frames, and ``heard`` (v, c), some features."""

    def __init__(self, config):
        super().__init__(config)
        self.register_buffer("usage", torch.full((self.groups, self.codewords), 1 / self.codewords))
        self.register_buffer("heard", torch.zeros(self.codewords, config.conv_dim[-1]))

    def forward(self, features, frame_mask=None, noise=None, generator=None):
        said = super().forward(features, frame_mask, noise, generator)
        if self.training:
            speech = torch.ones_like(said.codes[..., 0]).bool() if frame_mask is None else frame_mask
            chosen, z = F.one_hot(said.codes[speech], self.codewords), features.detach()[speech]
            if len(z):
                self.usage.lerp_(chosen.to(self.usage.dtype).mean(0), 0.02)
                self.heard.copy_(z[torch.arange(self.codewords, device=z.device) * len(z) // self.codewords])
        return said


class DeadCodeRevival(UniSpeech):
    def equip(self, model):
        super().equip(model)
        counting = CountingQuantizer(model.config)
        counting.load_state_dict(model.quantizer.state_dict(), strict=False)
        model.quantizer = counting
        model._keys_to_ignore_on_save = {"quantizer.usage", "quantizer.heard"}

    @torch.no_grad()
    def after(self, model, step, steps):
        quantizer = model.quantizer
        quantizer.usage.copy_(reduce(quantizer.usage, "mean"))
        group, dead = (quantizer.usage < 0.1 / quantizer.codewords).nonzero(as_tuple=True)
        generator = generator_of(self.name, step)
        z = broadcast(quantizer.heard)[torch.randint(quantizer.codewords, dead.shape, generator=generator)]
        logits = quantizer.weight_proj(z).unflatten(-1, (quantizer.groups, quantizer.codewords))
        best, old = (x.gather(1, group[:, None])[:, 0] for x in logits.max(-1))
        first = group * quantizer.codewords
        row = first + dead
        square = z.pow(2).sum(-1).clamp(min=1e-6)  # 0 in digital silence
        quantizer.weight_proj.weight[row] = z * ((best.clamp(min=0) + 1) / square)[:, None]
        quantizer.weight_proj.bias[row] = 0.0
        words = quantizer.codevectors[0]
        words[row] = words[first + old] + 0.01 * torch.randn(len(dead), words.shape[1], generator=generator).to(words)
        quantizer.usage[group, dead] = 1 / quantizer.codewords
