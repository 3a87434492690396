"""Parity: our models and transformers' own, with the same weights, say the same of the same speech."""

import pytest
import torch
from models import (
    STILL,
    assert_near,
    assert_same_gradients,
    every_kind,
    every_layout,
    ours,
    pair,
    speech,
    theirs,
)

padded_or_not = pytest.mark.parametrize("padded", [True, False], ids=["padded", "whole"])
LABELS = torch.tensor([[3, 4, 4, -100], [1, 2, -100, -100]])
PADDING_COUNTS = "codevector_perplexity"  # theirs counts padded frames, see test_traps.py
IN_THE_OPEN = ("last_hidden_state", "projected_states", "extract_features", "projected_quantized_states")
FRONT_END = ("extract_features", "projected_quantized_states")  # ours makes no features of padding


def fixed(value):
    """The same random numbers for every tensor of a shape: weights that turn outputs into a loss."""
    return torch.randn(value.shape, generator=torch.Generator().manual_seed(5)).to(value.dtype)


def backward(model, inputs):
    """One step: the model's own loss where it has one, else all its outputs, weighed. Returns the output."""
    kind = type(model).__name__
    if kind == "UniSpeechForCTC":
        inputs = {**inputs, "labels": LABELS}
    elif kind == "UniSpeechForSequenceClassification":
        inputs = {**inputs, "labels": torch.tensor([1, 0])}
    output = model(**{name: value.clone() for name, value in inputs.items()})
    loss = None if kind == "UniSpeechForPreTraining" else output.get("loss")  # theirs has none there
    if loss is None:
        heard = speech_frames(model, inputs)[..., None]
        names = [name for name in IN_THE_OPEN if name in output]
        loss = sum((output[name] * fixed(output[name]) * heard).sum() for name in names)
    loss.backward()
    return output


def speech_frames(model, inputs):
    """(b, t) True where a frame hears speech only."""
    lengths = inputs.get("attention_mask", torch.ones_like(inputs["input_values"])).sum(-1).long()
    counts = model._get_feat_extract_output_lengths(lengths)
    return torch.arange(counts.max()) < counts[:, None]


def tensors(output):
    """The tensors of an output, flat, by name."""
    flat = {}
    for name, value in output.items():
        for i, tensor in enumerate(value if isinstance(value, tuple) else (value,)):
            flat[f"{name}[{i}]" if isinstance(value, tuple) else name] = tensor
    return flat


def assert_same_outputs(mine, other, heard, tolerance=1e-5):
    """All that theirs says, ours says; of the features only where there is speech to be ``heard``."""
    found, expected = tensors(mine), tensors(other)
    assert expected.keys() <= found.keys()
    for name, value in expected.items():
        if name in FRONT_END:
            assert_near(found[name][heard], value[heard], tolerance, name)
        elif name != PADDING_COUNTS or heard.all():
            assert_near(found[name], value, tolerance, name)


@every_layout
@every_kind
@padded_or_not
def test_every_output_in_float32(kind, layout, padded):
    mine, other = pair(kind, layout)
    inputs = speech(padded=padded)
    with torch.no_grad():
        found = mine(**inputs, output_hidden_states=True, output_attentions=True)
        expected = other(**inputs, output_hidden_states=True, output_attentions=True)
    assert len(expected.hidden_states) == 4 and len(expected.attentions) == 3
    assert_same_outputs(found, expected, speech_frames(mine, inputs))


@every_layout
@every_kind
@padded_or_not
def test_every_gradient_in_float32(kind, layout, padded):
    mine, other = pair(kind, layout)
    inputs = speech(padded=padded)
    found, expected = backward(mine, inputs), backward(other, inputs)
    assert_same_outputs(found, expected, speech_frames(mine, inputs))
    assert_same_gradients(mine, other)


@every_layout
@every_kind
@padded_or_not
def test_float64_to_the_last_digits(kind, layout, padded):
    mine, other = (model.double() for model in pair(kind, layout))
    inputs = speech(padded=padded)
    inputs["input_values"] = inputs["input_values"].double()
    found, expected = backward(mine, inputs), backward(other, inputs)
    tight = 1e-7 if kind == "UniSpeechForCTC" else 1e-12  # the CTC loss runs in float32 in both
    assert_same_outputs(found, expected, speech_frames(mine, inputs), tight)
    assert_same_gradients(mine, other, 1e-6 if kind == "UniSpeechForCTC" else 1e-11, floor=1e-6)


@every_layout
@every_kind
def test_bfloat16_is_as_far_from_float32_as_theirs(kind, layout):
    mine, other = pair(kind, layout)
    inputs = speech()
    with torch.no_grad():
        expected = other(**inputs, output_hidden_states=True)
        half = {**inputs, "input_values": inputs["input_values"].bfloat16()}
        found = mine.bfloat16()(**half, output_hidden_states=True)
        rival = other.bfloat16()(**half, output_hidden_states=True)
    for state, their_state, truth in zip(found.hidden_states, rival.hidden_states, expected.hidden_states, strict=True):
        assert state.dtype == torch.bfloat16
        off, their_off = ((value.float() - truth).pow(2).mean().sqrt() for value in (state, their_state))
        assert off < 1.5 * their_off + 0.01 * truth.std(), f"off by {off:.3g}, theirs by {their_off:.3g}"


@every_layout
def test_the_fused_kernel_says_the_same(layout):
    mine, other = pair("UniSpeechModel", layout, attn_implementation="sdpa")
    assert mine.config._attn_implementation == "sdpa"
    with torch.no_grad():
        found, expected = mine(**speech()), other(**speech())
    assert_near(found.last_hidden_state, expected.last_hidden_state)


@every_layout
def test_given_time_masks_hide_the_same_frames(layout):
    mine, other = pair("UniSpeechModel", layout)
    hidden = torch.rand(2, 12, generator=torch.Generator().manual_seed(2)) < 0.4
    with torch.no_grad():
        found = mine(**speech(), mask_time_indices=hidden)
        expected = other(**speech(), mask_time_indices=hidden)
        unmasked = mine(**speech())
    assert_same_outputs(found, expected, speech_frames(mine, speech()))
    assert (found.last_hidden_state - unmasked.last_hidden_state).abs().max() > 0.01


@pytest.mark.parametrize("lengths", [(400,), (719, 400), (5000, 4321, 401), (2000, 2000)])
def test_any_lengths(lengths):
    mine, other = pair("UniSpeechForCTC", "large")
    inputs = speech(lengths)
    with torch.no_grad():
        assert_same_outputs(mine(**inputs), other(**inputs), speech_frames(mine, inputs))


# Losses


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("zero_infinity", [True, False])
@pytest.mark.parametrize(
    "labels",
    [
        [[3, 4, 4, -100], [1, 2, -100, -100]],
        [[3, 0, 4, 4], [0, -100, 1, 2]],  # blanks (0) are left out wherever they stand
        [[5] * 9, [6, 7] + [-100] * 7],  # nine times the same label needs 17 frames: infinite
    ],
    ids=["plain", "blanks", "too long"],
)
def test_ctc_loss(reduction, zero_infinity, labels):
    options = {"ctc_loss_reduction": reduction, "ctc_zero_infinity": zero_infinity}
    mine, other = pair("UniSpeechForCTC", "large", **options)
    labels = torch.tensor(labels)
    found, expected = mine(**speech(), labels=labels).loss, other(**speech(), labels=labels).loss
    if labels.shape[1] == 9 and not zero_infinity:
        assert found.isinf() and expected.isinf()
        return
    assert found > 0.1
    assert_near(found, expected)
    found.backward(), expected.backward()
    assert_same_gradients(mine, other)


def test_ctc_mean_is_over_utterances_of_loss_by_label_count():
    model = ours("UniSpeechForCTC", "large")
    labels = torch.tensor([[3, 4, 4, -100], [1, 2, -100, -100]])
    inputs = speech()
    singly = []
    for i, length in enumerate((4000, 3000)):
        model.config.ctc_loss_reduction = "sum"
        alone = model(inputs["input_values"][i : i + 1, :length], labels=labels[i : i + 1]).loss
        singly.append(alone / (labels[i] >= 0).sum())
    model.config.ctc_loss_reduction = "mean"
    assert_near(model(**inputs, labels=labels).loss, torch.stack(singly).mean())


def test_ctc_blank_is_the_pad_token():
    mine, other = pair("UniSpeechForCTC", "large", pad_token_id=10)
    labels = torch.tensor([[3, 10, 0], [0, 2, 10]])
    found = mine(**speech(), labels=labels).loss
    assert_near(found, other(**speech(), labels=labels).loss)
    assert_near(found, mine(**speech(), labels=torch.tensor([[3, 0, -100], [0, 2, -100]])).loss, 1e-6)


@pytest.mark.parametrize("bad", [11, 99, -1])
def test_a_label_outside_the_vocabulary_is_refused(bad):
    model = ours("UniSpeechForCTC", "large")
    with pytest.raises(ValueError, match=rf"expected labels from 0 to 10 \(vocab_size=11\) or -100, found \[{bad}\]"):
        model(**speech(), labels=torch.tensor([[1, 2], [3, bad]]))


@every_layout
@padded_or_not
def test_weighted_layer_sum(layout, padded):
    mine, other = pair("UniSpeechForSequenceClassification", layout, use_weighted_layer_sum=True)
    with torch.no_grad():
        for model in (mine, other):
            model.layer_weights.copy_(torch.tensor([0.3, -1.0, 2.0, 0.5]))
    inputs = speech(padded=padded)
    found, expected = backward(mine, inputs), backward(other, inputs)
    assert_near(found.logits, expected.logits)
    assert_near(found.loss, expected.loss)
    assert found.hidden_states is None and mine.layer_weights.grad.abs().min() > 0
    assert_same_gradients(mine, other)


def test_single_label_loss():
    mine, other = pair("UniSpeechForSequenceClassification", "large", num_labels=5)
    labels = torch.tensor([4, 2])
    found = mine(**speech(), labels=labels)
    assert_near(found.loss, other(**speech(), labels=labels).loss)
    assert_near(found.loss, -found.logits.log_softmax(-1)[[0, 1], labels].mean())


@pytest.mark.parametrize("problem", ["multi_label_classification", None])
def test_multi_label_loss(problem):
    model = ours("UniSpeechForSequenceClassification", "large", num_labels=3, problem_type=problem)
    labels = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    output = model(**speech(), labels=labels)
    chance = output.logits.sigmoid()
    by_hand = -(labels * chance.log() + (1 - labels) * (1 - chance).log()).mean()
    assert_near(output.loss, by_hand)


@pytest.mark.parametrize("problem", ["regression", None])
@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_regression_loss_where_theirs_is_a_constant(problem, shape):
    mine, other = pair("UniSpeechForSequenceClassification", "large", num_labels=1, problem_type=problem)
    labels = torch.tensor([0.3, -2.0]).view(shape)
    output = mine(**speech(), labels=labels)
    assert_near(output.loss, (output.logits[:, 0] - labels.view(-1)).pow(2).mean())
    assert other(**speech(), labels=torch.tensor([0, 0])).loss == 0  # cross-entropy of one class, as documented not


def test_whole_label_regression_is_in_the_labels_numbers():
    """Labels of one output may be counts: whole numbers, still a regression."""
    model = ours("UniSpeechForSequenceClassification", "large", num_labels=1)
    output = model(**speech(), labels=torch.tensor([3, 5]))
    assert_near(output.loss, (output.logits[:, 0] - torch.tensor([3.0, 5.0])).pow(2).mean())


# Training, with all that is drawn switched off or given


@every_layout
@every_kind
def test_train_mode_under_one_seed(kind, layout):
    """Dropouts, LayerDrop, Gumbel noise and replacement come in the same order out of the same generator."""
    chance = {name: 0.2 for name in STILL} | {"layerdrop": 0.3}
    mine, other = pair(kind, layout, attn_implementation="eager", **chance)
    mine.train(), other.train()
    hidden = torch.rand(2, 12, generator=torch.Generator().manual_seed(2)) < 0.4
    inputs = {**speech(), "mask_time_indices": hidden}
    for seed in range(3):
        torch.manual_seed(seed)
        found = backward(mine, inputs)
        torch.manual_seed(seed)
        expected = backward(other, inputs)
        assert_same_outputs(found, expected, speech_frames(mine, inputs))
    assert_same_gradients(mine, other)


@every_layout
def test_replaced_frames_are_the_ones_theirs_draws(layout):
    mine, other = pair("UniSpeechForPreTraining", layout, **STILL, apply_spec_augment=False)
    mine.train(), other.train()
    kept = {}
    with torch.no_grad(), other.dropout.register_forward_pre_hook(lambda _, args: kept.update(h=args[0].clone())):
        torch.manual_seed(7)
        found = mine(**speech())
        torch.manual_seed(7)
        other(**speech())
    assert 0 < found.replaced.sum() < found.replaced.numel()
    h = torch.where(found.replaced[..., None], found.projected_quantized_states, found.projected_states)
    heard = speech_frames(mine, speech())
    assert_near(h[heard], kept["h"][heard])


def test_theirs_drops_the_ctc_logits_that_ours_keeps():
    mine, other = pair("UniSpeechForPreTraining", "large")
    with torch.no_grad():
        found, expected = mine(**speech()), other(**speech())
    assert "ctc_logits" not in expected
    assert_near(found.ctc_logits, mine.ctc_proj(found.projected_states), 0)


def test_contrastive_logits():
    mine, other = pair("UniSpeechForPreTraining", "large")
    generator = torch.Generator().manual_seed(0)
    target, prediction = (torch.randn(1, 2, 5, 8, generator=generator) for _ in range(2))
    negatives = torch.randn(7, 2, 5, 8, generator=generator)
    found = mine.compute_contrastive_logits(target, negatives, prediction, 0.1)
    assert found.shape == (8, 2, 5)
    assert_near(found, other.compute_contrastive_logits(target, negatives, prediction, 0.1))
    assert_near(found, mine.compute_contrastive_logits(target, negatives, prediction[0], 0.1), 0)


def test_theirs_gives_no_maps_by_default():
    """What ``output_attentions`` is worth under transformers' default kernel: a reason to come here."""
    mine, other = pair("UniSpeechModel", "large"), theirs("UniSpeechModel", "large", attn_implementation="sdpa")
    with torch.no_grad():
        assert len(mine[0](**speech(), output_attentions=True).attentions) == 3
        assert not other(**speech(), output_attentions=True).attentions


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
@every_kind
def test_a_gpu_says_what_the_processor_says(kind):
    """Forward and backward there, and a training step whose draws all come from one generator of that device."""
    near, far = ours(kind, apply_spec_augment=False, **STILL), ours(kind, apply_spec_augment=False, **STILL).cuda()
    there = {name: value.cuda() for name, value in speech().items()}
    found, expected = far(**there), near(**speech())
    name = next(name for name in IN_THE_OPEN + ("logits",) if name in found)
    assert_near(found[name].cpu(), expected[name], 1e-4)
    model = ours(kind, mask_time_prob=0.5, layerdrop=0.5, **{n: v for n, v in STILL.items() if n != "layerdrop"})
    model.cuda().train()
    first, second = (model(**there, generator=torch.Generator("cuda").manual_seed(1)) for _ in range(2))
    assert torch.equal(first[name], second[name])
    first[name].sum().backward()
