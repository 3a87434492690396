"""Training: a whole step beside that of Hugging Face's wav2vec 2.0 (its UniSpeech has no loss); masks, negatives."""

from functools import partial

import numpy as np
import torch
import transformers
from measure import operations, pair, peak_bytes, size, speed
from transformers.models.wav2vec2.modeling_wav2vec2 import _compute_mask_indices, _sample_negative_indices

from unispeech_lab import UniSpeechConfig, UniSpeechForPreTraining
from unispeech_lab.nn.masking import sample_negatives, span_mask

RATE = 16_000
SPANS = {"mask_time_prob": 0.5, "mask_time_length": 10}  # the authors' pretraining, about 40 % of the frames
NORMS = {
    "group norm": {},
    "layer norm": {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True},
}


def masks(runs: int) -> list[dict]:
    """Which frames of 32 utterances of 15 s are hidden, 100 negatives for each of these."""
    shape, count = (32, 749), 100
    prob, span = SPANS.values()
    generator = torch.Generator().manual_seed(0)

    def ours():
        everywhere = torch.ones(shape, dtype=torch.bool)
        hidden = span_mask(everywhere.sum(1), shape[1], prob, span, 2, generator=generator)
        return sample_negatives(hidden, everywhere, count, generator=generator)

    def others():
        hidden = _compute_mask_indices(shape, prob, span, min_masks=2)
        return _sample_negative_indices(shape, count, hidden)

    np.random.seed(0)
    return [speed("masks and negatives, 32 utterances of 15 s", pair(ours, others, 7 * runs), 5.0)]


def training_step(runs: int) -> list[dict]:
    """2 utterances of 10 s: masks, negatives, forward, loss, backward, AdamW; ours with CTC and replacement as well."""
    rows = []
    for norm in NORMS:
        what = f"training step, base, {norm}, 2 utterances of 10 s"
        a, b = step("ours", norm), step("theirs", norm)
        rows.append(speed(what, pair(a, b, max(runs // 2, 2)), 1.8, operations(b)))
        own, other = (peak_bytes(partial(twice, whose, norm)) for whose in ("ours", "theirs"))
        rows.append(size(what, own, other, 0.6))
    return rows


def twice(whose: str, norm: str):
    """Two steps: in the second, the optimiser's moments lie beside the activations, as in all that would follow."""
    work = step(whose, norm)
    return lambda: (work(), work())


def step(whose: str, norm: str):
    """A step of theirs is what their pretraining script does: masks and negatives in numpy, then the model's own loss.

    No LayerDrop: how many layers run must not be left to chance here. Dropouts are as in the config, everywhere 0.1.
    """
    torch.manual_seed(0)
    np.random.seed(0)
    settings = {**NORMS[norm], **SPANS, "layerdrop": 0.0}
    x = torch.randn(2, 10 * RATE)
    if whose == "ours":
        model = UniSpeechForPreTraining(UniSpeechConfig(**settings))
        labels, generator = torch.randint(0, 76, (2, 120)), torch.Generator().manual_seed(0)

        def loss():
            return model(x, labels=labels, generator=generator).loss
    else:
        config = transformers.Wav2Vec2Config(**settings)
        model = transformers.Wav2Vec2ForPreTraining(config)
        shape = (len(x), int(model._get_feat_extract_output_lengths(x.shape[1])))

        def loss():
            hidden = _compute_mask_indices(shape, config.mask_time_prob, config.mask_time_length, min_masks=2)
            negatives = _sample_negative_indices(shape, config.num_negatives, hidden)
            return model(
                x,
                mask_time_indices=torch.from_numpy(hidden),
                sampled_negative_indices=torch.from_numpy(negatives),
            ).loss

    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def work():
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return work
