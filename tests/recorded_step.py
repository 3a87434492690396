"""Recorded step: a whole training step of a tiny model, kept in ``data/objective.npz``, every draw given.

``python tests/recorded_step.py`` writes the file again. Its numbers are our own code's, written when that code said the
authors' recorded losses and gradients again (all seven cases of the golden file, to 1e-5).
"""

from pathlib import Path

import numpy as np
import torch

import unispeech_lab
from unispeech_lab.objective import AUTHORS, Objective

FILE = Path(__file__).parent / "data" / "objective.npz"
NOTE = (
    "Weights, inputs and draws made by this project (random, seed 0); losses and gradients computed by it at a moment "
    "when it gave the authors' recorded ones, all seven cases, to 1e-5 relative."
)
SETTINGS = {
    "default": {},
    "first stage": AUTHORS,
    "second stage": {**AUTHORS, "alpha": 0.0, "negatives_from": "masked"},
    "penalty": {**AUTHORS, "weights": {"contrastive": 1.0, "diversity": 0.1, "feature_penalty": 10.0}},
    "ctc by label": {"ctc_per": "label", "diversity_over": "predicted", "equal_negatives": "kept"},
}
LOOK_AT = ("quantizer.codevectors", "quantizer.weight_proj.weight", "unispeech.masked_spec_embed", "project_hid.bias")


def tiny_model():
    still = ("hidden_dropout", "attention_dropout", "activation_dropout", "final_dropout", "layerdrop")
    return unispeech_lab.UniSpeechForPreTraining(
        unispeech_lab.UniSpeechConfig(
            hidden_size=12,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            feat_extract_norm="layer",
            conv_dim=[6] * 7,
            do_stable_layer_norm=True,
            num_conv_pos_embeddings=4,
            num_conv_pos_embedding_groups=2,
            num_codevectors_per_group=5,
            codevector_dim=6,
            proj_codevector_dim=6,
            num_ctc_classes=9,
            num_negatives=4,
            **dict.fromkeys(still, 0.0),
        )
    ).train()


def made():
    """Weights, inputs and draws, by name: two utterances of 15 and 11 frames (theirs: 12), one with labels."""
    torch.manual_seed(0)
    model = tiny_model()
    mask = torch.arange(5000) < torch.tensor([5000, 3900])[:, None]
    hidden = torch.zeros(2, 15, dtype=torch.bool)
    hidden[0, [2, 3, 4, 8, 9]] = hidden[1, [1, 2, 6]] = True
    negatives = torch.randint(0, 15, (2, 15, 4)) + torch.tensor([0, 15])[:, None, None]
    return {
        **{f"weights/{name}": weight.detach() for name, weight in model.named_parameters()},
        "in/input_values": torch.randn(2, 5000) * mask,
        "in/attention_mask": mask.long(),
        "in/labels": torch.tensor([[1, 3, 0, 4], [-100, -100, -100, -100]]),
        "in/mask_time_indices": hidden,
        "in/sampled_negative_indices": negatives,
        "in/replaced": torch.rand(2, 15) < 0.5,
        "noise": -torch.empty(2, 2, 15, 2, 5).exponential_().log(),
    }


def step(arrays, setting):
    """Loss, terms and some gradients of a setting, by name."""
    model = tiny_model()
    model.load_state_dict({name.removeprefix("weights/"): v for name, v in arrays.items() if "weights/" in name})
    model.objective = Objective.from_config(model.config, **SETTINGS[setting])
    noises, quantize = iter(arrays["noise"]), model.quantizer.forward
    model.quantizer.forward = lambda z, over, **_: quantize(z, over, noise=next(noises))
    output = model(**{name.removeprefix("in/"): v for name, v in arrays.items() if name.startswith("in/")})
    output.loss.backward()
    parameters = dict(model.named_parameters())
    return {
        "loss": output.loss.detach(),
        **{f"terms/{name}": term.detach() for name, term in output.terms.items()},
        **{f"gradients/{name}": parameters[name].grad for name in LOOK_AT},
    }


def read():
    with np.load(FILE, allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files if name != "note"}


if __name__ == "__main__":
    arrays = made()
    said = {f"said/{s}/{name}": value for s in SETTINGS for name, value in step(arrays, s).items()}
    FILE.parent.mkdir(exist_ok=True)
    np.savez_compressed(FILE, note=NOTE, **{name: value.numpy() for name, value in (arrays | said).items()})
