"""Traps: what goes wrong in transformers' UniSpeech, shown there, and shown mended here (reference, section 4)."""

import pytest
import torch
import transformers
from models import (
    STILL,
    assert_near,
    config,
    every_kind,
    every_layout,
    ours,
    pair,
    speech,
)

import unispeech_lab
from unispeech_lab.nn.tap import Tap


def call(model, inputs, **options):
    with torch.no_grad():
        return model(**{name: value.clone() for name, value in inputs.items()}, **options)


def states_of(output):
    return next(output[name] for name in ("last_hidden_state", "logits", "projected_states") if name in output)


# An utterance under one receptive field (9)

SHORT = (4000, 399)


@every_layout
def test_a_row_of_no_frame(layout):
    """Theirs then attends to all of its padding; ours has nothing to attend to, and no NaN comes of it."""
    mine, other = pair(layout=layout)
    mask = speech(SHORT)["attention_mask"]
    assert other._get_feature_vector_attention_mask(12, mask)[1].all()
    assert not mine._get_feature_vector_attention_mask(12, mask)[1].any()
    assert mine._get_feat_extract_output_lengths(torch.tensor([399, 5, 0])).tolist() == [0, 0, 0]


@every_layout
@every_kind
@pytest.mark.parametrize("kernel", ["sdpa", "eager"])
def test_a_row_of_no_frame_leaves_the_others_alone(kind, layout, kernel):
    model = ours(kind, layout, attn_implementation=kernel, **STILL, apply_spec_augment=False)
    found = call(model, speech(SHORT), output_hidden_states=True, output_attentions=kernel == "eager")
    expected = call(model, speech((4000, 4000)))
    assert_near(states_of(found)[0], states_of(expected)[0])
    everything = [*found.hidden_states, *(found.attentions or ()), *(v for v in found.values() if hasattr(v, "shape"))]
    assert all(value.isfinite().all() for value in everything)
    model.train()
    output = model(**speech(SHORT))
    states_of(output).pow(2).sum().backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in model.parameters())


def test_a_row_of_no_frame_under_ctc():
    """No frame can hold a label: its loss is nought under ctc_zero_infinity, and the other row's is its own."""
    model = ours("UniSpeechForCTC", ctc_zero_infinity=True, ctc_loss_reduction="sum")
    labels = torch.tensor([[1, 2], [3, 4]])
    loss = model(**speech(SHORT), labels=labels).loss
    assert_near(loss, model(**{n: v[:1] for n, v in speech(SHORT).items()}, labels=labels[:1]).loss)
    loss.backward()
    assert all(weight.grad is None or weight.grad.isfinite().all() for weight in model.parameters())


def test_a_row_of_no_frame_in_training_with_masks():
    for rule in ("huggingface", "authors"):
        model = ours("UniSpeechForPreTraining", mask_rule=rule, mask_time_prob=0.5).train()
        output = model(**speech(SHORT))
        assert output.projected_states.isfinite().all() and not output.mask_time_indices[1].any()
        assert output.codevector_perplexity.isfinite()


# Padding (9, 10): layer norm with a mask does not see it, group norm does


@pytest.mark.parametrize("layout", ["large", "post_layer"])
@every_kind
def test_padding_changes_nothing(kind, layout):
    """To 1e-5, states and pooled classes alike, whatever lies in the padding."""
    model = ours(kind, layout)
    whole, alone = speech((4000, 3000)), speech((3000,))
    alone["input_values"] = whole["input_values"][1:, :3000]
    whole["input_values"][1, 3000:] = torch.randn(1000) * 50
    found, expected = call(model, whole, output_hidden_states=True), call(model, alone, output_hidden_states=True)
    frames = model.frames.count(3000)
    if kind == "UniSpeechForSequenceClassification":
        assert_near(found.logits[1:], expected.logits)
    else:
        assert_near(states_of(found)[1:, :frames], states_of(expected))
    for state, truth in zip(found.hidden_states, expected.hidden_states, strict=True):
        assert_near(state[1:, :frames], truth)


def test_without_a_mask_padding_is_heard():
    model = ours()
    whole = speech((4000, 3000))
    alone = call(model, {"input_values": whole["input_values"][1:, :3000]}).last_hidden_state
    assert (
        call(model, {"input_values": whole["input_values"]}).last_hidden_state[1:, :9] - alone[:, :9]
    ).abs().max() > 0.05


def test_all_ones_is_no_mask():
    """Reference 6.15: exactly."""
    for kind in ("UniSpeechModel", "UniSpeechForSequenceClassification"):
        model, inputs = ours(kind), speech((4000, 4000))
        plain = call(model, {"input_values": inputs["input_values"]})
        assert_near(call(model, inputs)[0], plain[0], 1e-6)


def test_group_norm_hears_padding_even_with_a_mask():
    """So a "group" model gets no mask from prepare, and one utterance where it matters."""
    model = ours(layout="base")
    whole = speech((4000, 3000))
    alone = call(model, {"input_values": whole["input_values"][1:, :3000]}).last_hidden_state
    frames = model.frames.count(3000)
    assert (call(model, whole).last_hidden_state[1:, :frames] - alone).abs().max() > 0.01
    single = model.prepare(whole["input_values"][1, :3000].numpy())
    batch = model.prepare([whole["input_values"][i, :3000].numpy() for i in range(2)])
    assert set(single) == set(batch) == {"input_values"}
    assert_near(call(model, batch).last_hidden_state[1:], call(model, single).last_hidden_state)


# In-place writes (8, 9): what a hook kept stays what it was


def watch(model):
    """Hooks that keep every output as it is, beside a copy from that moment."""
    kept, handles = [], []

    def keep(name):
        def hook(_, __, output):
            for value in output if isinstance(output, tuple) else (output,):
                if isinstance(value, torch.Tensor):
                    kept.append((name, value, value.clone()))

        return hook

    for name, module in model.named_modules():
        handles.append(module.register_forward_hook(keep(name)))
    return kept, handles


def changed(kept):
    return [name for name, value, then in kept if not torch.equal(value, then)]


@every_layout
@every_kind
@pytest.mark.parametrize("training", [False, True])
def test_no_output_changes_after_it_was_returned(kind, layout, training):
    model = ours(kind, layout, mask_feature_prob=0.3, mask_feature_length=3).train(training)
    kept, _ = watch(model)
    hidden = torch.rand(2, 12, generator=torch.Generator().manual_seed(2)) < 0.4
    given = speech()
    before = {name: value.clone() for name, value in given.items()}
    with torch.no_grad():
        model(**given, mask_time_indices=hidden, output_hidden_states=True)
    assert len(kept) > 40 and not changed(kept)
    assert all(torch.equal(given[name], value) for name, value in before.items())  # nor what was handed in


def test_in_theirs_outputs_do_change():
    _, other = pair()
    kept, _ = watch(other)
    with torch.no_grad():
        other(**speech(), mask_time_indices=torch.ones(2, 12, dtype=torch.bool))
    assert "feature_projection.dropout" in changed(kept)


# Perplexity over padded frames (5)


@pytest.mark.parametrize("training", [False, True])
def test_perplexity_counts_speech_only(training):
    mine, other = (
        model.train(training) for model in pair("UniSpeechForPreTraining", **STILL, apply_spec_augment=False)
    )
    batch, both = speech((4000, 1200)), []
    alone = [{"input_values": batch["input_values"][i : i + 1, :n]} for i, n in enumerate((4000, 1200))]
    with torch.no_grad():
        z = torch.cat([mine.unispeech(**one).extract_features for one in alone], 1)
        for model in (mine, other):
            torch.manual_seed(0)
            both.append(call(model, batch).codevector_perplexity)
        quantized = mine.quantizer(z)
    expected = quantized.prob_perplexity if training else quantized.code_perplexity
    assert_near(both[0], expected)
    assert abs(both[1] - expected) > 0.01


# Unknown keywords (4)


@every_kind
def test_unknown_keywords_are_refused(kind):
    model = ours(kind)
    with pytest.raises(TypeError, match="sampled_negatives"):
        model(**speech(), sampled_negatives=1)
    assert states_of(
        call(getattr(transformers, kind)(pair(kind)[1].config).eval(), speech(), sampled_negatives=1)
    ).any()


# Sizes that the documentation gets wrong (2)


def test_projected_states_have_the_width_of_the_states():
    output = call(ours("UniSpeechForPreTraining"), speech())
    assert output.projected_states.shape == output.projected_quantized_states.shape == (2, 12, 32)


# Freezing (17)


def test_the_base_model_freezes_too():
    model = ours()
    model.freeze_feature_encoder()
    assert not hasattr(pair()[1], "freeze_feature_encoder")
    model.train()(**speech())
    assert not any(weight.requires_grad for weight in model.feature_extractor.parameters())


def test_training_leaves_the_waveform_alone():
    """Theirs asks for the gradient of what it was given."""
    mine, other = pair()
    for model in (mine, other):
        model.train()
    waveform = torch.randn(1, 4000)
    mine(waveform)
    assert not waveform.requires_grad and waveform.grad_fn is None


# No draw without need (3)


def test_eval_draws_nothing():
    """Theirs draws replacements in eval, which moves every later draw."""
    mine, other = pair("UniSpeechForPreTraining")
    moved = []
    for model in (mine, other):
        torch.manual_seed(0)
        before = torch.get_rng_state()
        call(model, speech())
        moved.append(not torch.equal(torch.get_rng_state(), before))
    assert moved == [False, True]


def test_masks_are_drawn_by_torch_not_numpy():
    """Theirs is not reproduced by a torch seed (7)."""
    mine, other = pair(mask_time_prob=0.5, **STILL)
    same = []
    for model in (mine.train(), other.train()):
        outputs = []
        for _ in range(2):
            torch.manual_seed(0)
            outputs.append(call(model, speech()).last_hidden_state)
        same.append(torch.equal(*outputs))
    assert same == [True, False]


# The mask vector is there where it is needed (8)


def test_channel_masks_alone_keep_the_vector():
    model = unispeech_lab.UniSpeechModel(config(mask_time_prob=0.0, mask_feature_prob=0.1))
    assert "masked_spec_embed" in model.state_dict()


def test_taps_say_nothing_and_cost_nothing():
    value, tap = torch.randn(3), Tap()
    assert tap(value) is value and not tap.watched and not tap.state_dict()
    with tap.register_forward_hook(lambda *_: None):
        assert tap.watched
    assert not tap.watched


# A mask of samples, as people make them


@every_kind
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int32, torch.float32, torch.float64])
def test_a_mask_of_any_dtype_that_can_count(kind, dtype):
    model, inputs = ours(kind, "large"), speech((4000, 3000))
    expected = states_of(call(model, inputs))
    found = states_of(call(model, inputs | {"attention_mask": inputs["attention_mask"].to(dtype)}))
    assert torch.equal(found, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda mask: mask.flip(1), "padding before speech: pad on the right"),
        (lambda mask: mask.index_fill(1, torch.arange(500, 900), 0), "padding before speech: pad on the right"),
        (lambda mask: 2 * mask, "found other numbers"),
        (lambda mask: -mask, "found other numbers"),
        (lambda mask: mask * float("nan"), "found other numbers"),
        (lambda mask: mask.bfloat16(), r"found torch\.bfloat16, which cannot count: use mask\.long\(\)"),
    ],
)
def test_a_mask_that_means_something_else_is_refused(change, message):
    """Theirs counts its ones and hears so many samples from the first on: the padding, where that comes first."""
    model, inputs = ours("UniSpeechForCTC", "large"), speech((4000, 3000))
    with pytest.raises(ValueError, match=message):
        call(model, inputs | {"attention_mask": change(inputs["attention_mask"])})


def test_a_batch_of_nothing():
    model = ours("UniSpeechForCTC", "large")
    assert call(model, {"input_values": torch.zeros(0, 4000)}).logits.shape == (0, 12, 11)


def test_samples_that_are_no_tensor():
    with pytest.raises(ValueError, match=r"expected input_values as a tensor, found list: use model\.prepare"):
        ours("UniSpeechModel", "large")([0.0] * 4000)
