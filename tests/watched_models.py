"""Small models to watch: one made for the purpose, and Hugging Face's own UniSpeech."""

import torch
from torch import nn
from transformers import UniSpeechConfig, UniSpeechForPreTraining

from unispeech_lab.nn.tap import Tap


class Gate(nn.Module):
    def __init__(self):
        super().__init__()
        self.pattern = Tap()

    def forward(self, x):
        return x * self.pattern(torch.sigmoid(x))


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.linear, self.gate, self.ran = nn.Linear(width, width), Gate(), 0

    def forward(self, x):
        self.ran += 1
        return x + self.gate(self.linear(x))


class Split(nn.Module):
    """Returns a pair, as Hugging Face's feature projection does."""

    def forward(self, x):
        return x + 1, x * 2


class Tower(nn.Module):
    """A stem, layers of which some may be left out, a layer used twice, and in-place writing between them."""

    def __init__(self, width=6, depth=4):
        super().__init__()
        self.stem, self.split = nn.Linear(width, width), Split()
        self.layers = nn.ModuleList(Block(width) for _ in range(depth))
        self.again, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.dropped = set()

    def forward(self, x, scale=None):
        x = self.stem(x)
        x[:, 0] = 0  # behind the back of whoever kept the stem's output
        x, double = self.split(x)
        for i, layer in enumerate(self.layers):
            if i not in self.dropped:
                x = layer(x)
        x = self.again(self.again(x))
        x = x if scale is None else x * scale
        return self.norm(x) + double


def tower(seed=0):
    torch.manual_seed(seed)
    return Tower().eval()


def hugging_face(norm="layer", stable=True, attention="eager", **options):
    """A small UniSpeech of Hugging Face, its attention woken up: weights times ten."""
    torch.manual_seed(0)
    config = UniSpeechConfig(
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=48,
        conv_dim=[16] * 7,
        feat_extract_norm=norm,
        do_stable_layer_norm=stable,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        num_codevectors_per_group=8,
        codevector_dim=16,
        proj_codevector_dim=16,
        attn_implementation=attention,
        **options,
    )
    model = UniSpeechForPreTraining(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".attention." in name and name.endswith("weight"):
                weight *= 10
    return model


def speech(seed=0):
    """Two utterances of 4000 samples, the second padded from sample 3000 on."""
    mask = torch.ones(2, 4000, dtype=torch.long)
    mask[1, 3000:] = 0
    return {"input_values": torch.randn(2, 4000, generator=torch.Generator().manual_seed(seed)), "attention_mask": mask}


def hooks(model):
    """How many hooks of any kind, and replaced forwards, a model carries."""
    return sum(
        len(part._forward_hooks) + len(part._forward_pre_hooks) + len(part._backward_hooks) + ("forward" in vars(part))
        for part in model.modules()
    )
