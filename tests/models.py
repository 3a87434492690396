"""Pairs: our small models beside transformers' own, with the same random weights, and speech to give them."""

import os

import pytest
import torch
import transformers

import unispeech_lab

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "num_codevectors_per_group": 8,
    "num_codevector_groups": 2,
    "codevector_dim": 16,
    "proj_codevector_dim": 12,
    "num_ctc_classes": 14,
    "vocab_size": 11,
    "classifier_proj_size": 12,
    "mask_time_length": 3,
}

# both norm orders, both front-end norms, with and without bias, even and odd position kernels: every pair of values
LAYOUTS = {
    "large": {
        "do_stable_layer_norm": True,
        "feat_extract_norm": "layer",
        "conv_bias": True,
        "num_conv_pos_embeddings": 16,
    },
    "base": {
        "do_stable_layer_norm": False,
        "feat_extract_norm": "group",
        "conv_bias": False,
        "num_conv_pos_embeddings": 16,
    },
    "pre_group": {
        "do_stable_layer_norm": True,
        "feat_extract_norm": "group",
        "conv_bias": True,
        "num_conv_pos_embeddings": 15,
    },
    "post_layer": {
        "do_stable_layer_norm": False,
        "feat_extract_norm": "layer",
        "conv_bias": False,
        "num_conv_pos_embeddings": 15,
    },
}

STILL = {
    name: 0.0
    for name in (
        "hidden_dropout",
        "attention_dropout",
        "activation_dropout",
        "feat_proj_dropout",
        "feat_quantizer_dropout",
        "final_dropout",
        "layerdrop",
    )
}  # nothing is drawn in training, masks apart

KINDS = ("UniSpeechModel", "UniSpeechForCTC", "UniSpeechForSequenceClassification", "UniSpeechForPreTraining")

every_layout = pytest.mark.parametrize("layout", LAYOUTS)
every_kind = pytest.mark.parametrize("kind", KINDS)


def settings(layout="large", **changes):
    """The keywords of a small config."""
    return {**SIZES, **LAYOUTS[layout], **changes}


def config(layout="large", **changes):
    return unispeech_lab.UniSpeechConfig(**settings(layout, **changes))


def their_config(layout="large", **changes):
    return transformers.UniSpeechConfig(**settings(layout, **changes))


def ours(kind="UniSpeechModel", layout="large", seed=0, **changes):
    """One of our models in eval, woken up."""
    torch.manual_seed(seed)
    return wake(getattr(unispeech_lab, kind)(config(layout, **changes)).eval())


def theirs(kind="UniSpeechModel", layout="large", seed=0, **changes):
    """The same of transformers; explicit attention, since its fused one returns no maps."""
    torch.manual_seed(seed)
    changes.setdefault("attn_implementation", "eager")
    return wake(getattr(transformers, kind)(their_config(layout, **changes)).eval())


def pair(kind="UniSpeechModel", layout="large", seed=0, **changes):
    """Ours and theirs, in eval, every weight shared."""
    own = {name: changes.pop(name) for name in ("attn_implementation",) if name in changes}
    other = theirs(kind, layout, seed, **changes)
    mine = getattr(unispeech_lab, kind)(config(layout, **changes, **own)).eval()
    mine.load_state_dict(other.state_dict())
    return mine, other


@torch.no_grad()
def wake(model):
    """Make every weight count: attention times ten, norms and biases away from one and nought."""
    generator = torch.Generator().manual_seed(1)
    for name, weight in model.named_parameters():
        if ".attention." in name and name.endswith("weight"):
            weight *= 10
        elif weight.ndim == 1:
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return model


def speech(lengths=(4000, 3000), padded=True, seed=0):
    """Noise as input: zeros after each length, and the mask that says so if ``padded``."""
    values = torch.randn(len(lengths), max(lengths), generator=torch.Generator().manual_seed(seed))
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    return {"input_values": values * mask, "attention_mask": mask} if padded else {"input_values": values}


def assert_near(found, expected, tolerance=1e-5, name=""):
    """Equal to within a share of the largest expected value."""
    assert found.shape == expected.shape, f"{name}: found shape {tuple(found.shape)}, expected {tuple(expected.shape)}"
    found, expected = found.detach().double(), expected.detach().double()
    scale = expected.abs().max().clamp(min=1e-30)
    worst = (found - expected).abs().max() / scale
    assert worst <= tolerance, f"{name}: off by {worst:.2e} of the largest value {scale:.3g}"


def assert_same_gradients(mine, other, tolerance=2e-5, floor=1e-2):
    """Every parameter's gradient, to within a share of its layer's largest (rounding alone makes up to 1e-5 of it).

    Some gradients are nought but for rounding (the keys' bias, a bias before a norm over time), so a layer's parameters
    share one scale, and no scale is less than ``floor`` of the largest of all.
    """
    found, expected = dict(mine.named_parameters()), dict(other.named_parameters())
    assert found.keys() == expected.keys()
    scales = {}
    for name, weight in expected.items():
        assert (weight.grad is None) == (found[name].grad is None), f"{name}: one of the two gradients is missing"
        if weight.grad is not None:
            layer = name.rpartition(".")[0]
            scales[layer] = max(scales.get(layer, 0.0), weight.grad.abs().max().item())
    largest = max(scales.values())
    for name, weight in expected.items():
        if weight.grad is not None:
            scale = max(scales[name.rpartition(".")[0]], floor * largest)
            off = (found[name].grad - weight.grad).abs().max().item() / scale
            assert off <= tolerance, f"gradient of {name}: off by {off:.2e} of its scale {scale:.3g}"


class Bomb:
    """What a malicious checkpoint holds: unpickling it makes a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)
