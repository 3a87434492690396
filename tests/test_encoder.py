"""Encoder: positions, attention in the open and fused, head masks, LayerDrop, checkpointing, what a call returns."""

import inspect

import pytest
import torch
from models import (
    STILL,
    assert_near,
    assert_same_gradients,
    config,
    every_kind,
    every_layout,
    ours,
    pair,
    speech,
    theirs,
)
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

import unispeech_lab
from unispeech_lab.nn.encoder import Attention, PositionalConvEmbedding


def call(model, inputs=None, **options):
    with torch.no_grad():
        return model(**(inputs or speech()), **options)


# What a call takes, what it returns

DOCUMENTED = {  # in this order, so that positional calls keep their meaning
    "UniSpeechModel": (
        "input_values attention_mask mask_time_indices output_attentions output_hidden_states return_dict"
    ),
    "UniSpeechForCTC": "input_values attention_mask output_attentions output_hidden_states return_dict labels",
    "UniSpeechForSequenceClassification": (
        "input_values attention_mask output_attentions output_hidden_states return_dict labels"
    ),
    "UniSpeechForPreTraining": "input_values attention_mask output_attentions output_hidden_states return_dict",
}


@every_kind
def test_arguments_are_the_documented_ones_in_their_order(kind):
    forward = inspect.signature(getattr(unispeech_lab, kind).forward)
    positional = [name for name, p in forward.parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == ["self", *DOCUMENTED[kind].split()]
    inputs, first = speech(), DOCUMENTED[kind].split()[2]
    if first == "output_attentions":
        with torch.no_grad():
            output = ours(kind)(inputs["input_values"], inputs["attention_mask"], True, True, True)
        assert len(output.attentions) == 3 and len(output.hidden_states) == 4


@every_kind
def test_tuples_are_as_long_as_theirs(kind):
    """Plain tuples hold the same values in the same order; ours for pretraining goes on with fields of its own."""
    mine, other = pair(kind)
    labels = {
        "UniSpeechForCTC": {"labels": torch.tensor([[1, 2], [3, 4]])},
        "UniSpeechForSequenceClassification": {"labels": torch.tensor([0, 1])},
    }.get(kind, {})
    for options in ({}, {"output_hidden_states": True}, {"output_hidden_states": True, "output_attentions": True}):
        for given in ({}, labels):
            inputs = speech(padded=False)
            found = call(mine, inputs, return_dict=False, **options, **given)
            expected = call(other, inputs, return_dict=False, **options, **given)
            assert isinstance(found, tuple)
            if kind != "UniSpeechForPreTraining":
                assert len(found) == len(expected)
            for value, truth in zip(found, expected, strict=False):
                if isinstance(truth, torch.Tensor):
                    assert_near(value, truth)
                else:
                    assert len(value) == len(truth)
            named = call(mine, inputs, **options, **given)
            assert list(named.to_tuple()) and all(
                torch.equal(a, b) for a, b in zip(named.to_tuple(), found, strict=True) if isinstance(a, torch.Tensor)
            )


@every_kind
@pytest.mark.parametrize("flag", ["output_hidden_states", "output_attentions"])
def test_the_config_asks_too_and_the_call_has_the_last_word(kind, flag):
    model, field = ours(kind), flag.removeprefix("output_")
    assert field not in call(model)
    setattr(model.config, flag, True)
    assert len(call(model)[field]) == (4 if field == "hidden_states" else 3)
    assert field not in call(model, **{flag: False})


@every_kind
def test_the_config_asks_for_tuples(kind):
    model = ours(kind, return_dict=False)
    assert type(call(model)) is tuple
    assert type(call(model, return_dict=True)) is not tuple


@every_layout
def test_hidden_states_begin_and_end_where_they_say(layout):
    """L + 1 of them; the last of a pre-norm encoder is before the last norm (reference 4.14)."""
    model = ours(layout=layout)
    output = call(model, output_hidden_states=True)
    assert len(output.hidden_states) == 4
    last = output.hidden_states[-1]
    if model.config.do_stable_layer_norm:
        assert_near(model.encoder.layer_norm(last), output.last_hidden_state, 1e-6)
        assert (last - output.last_hidden_state).abs().max() > 0.01
    else:
        assert torch.equal(last, output.last_hidden_state)


# Attention


@every_layout
@pytest.mark.parametrize("kernel", ["eager", "sdpa"])
def test_maps_are_the_true_ones_under_either_kernel(layout, kernel):
    mine, other = pair(layout=layout, attn_implementation=kernel)
    found, expected = call(mine, output_attentions=True), call(other, output_attentions=True)
    assert len(found.attentions) == 3 and found.attentions[0].shape == (2, 4, 12, 12)
    for pattern, truth in zip(found.attentions, expected.attentions, strict=True):
        assert_near(pattern, truth)
        assert_near(pattern.sum(-1), torch.ones(2, 4, 12))
        assert (pattern[1, :, :, mine.frames.count(3000) :] == 0).all()
    assert_near(found.last_hidden_state, call(mine).last_hidden_state)


@pytest.mark.parametrize("padded", [True, False])
def test_attention_by_hand(padded):
    torch.manual_seed(0)
    layer, states = Attention(config()).eval(), torch.randn(2, 6, 32)
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0]]).bool() if padded else None
    expected = torch.zeros(2, 6, 32)
    for b in range(2):
        heads = []
        for h in range(4):
            rows = slice(8 * h, 8 * h + 8)
            q, k, v = (
                states[b] @ project.weight[rows].T + project.bias[rows]
                for project in (layer.q_proj, layer.k_proj, layer.v_proj)
            )
            scores = q @ k.T / 8**0.5
            if padded:
                scores[:, ~mask[b]] = -torch.inf
            heads.append(scores.softmax(-1) @ v)
        expected[b] = torch.cat(heads, -1) @ layer.out_proj.weight.T + layer.out_proj.bias
    assert_near(layer(states, mask), expected, 1e-6)
    assert_near(layer(states, mask, kernel=None), expected, 1e-6)


def test_the_kernel_can_be_changed_later():
    model = ours(attn_implementation="sdpa")
    fused = call(model).last_hidden_state
    model.set_attn_implementation("eager")
    assert model.config._attn_implementation == "eager"
    open_ = call(model).last_hidden_state
    assert_near(open_, fused)
    assert not torch.equal(open_, fused), "the two kernels round alike: was there a change at all?"
    model.set_attn_implementation("sdpa")
    assert torch.equal(call(model).last_hidden_state, fused)


def test_the_head_changes_the_kernel_of_its_base():
    model = ours("UniSpeechForCTC", attn_implementation="sdpa")
    fused = call(model).logits
    model.set_attn_implementation("eager")
    assert model.unispeech.config._attn_implementation == "eager" and not torch.equal(call(model).logits, fused)


@pytest.mark.parametrize("padded", [True, False], ids=["padded", "whole"])
def test_a_kernel_that_transformers_dispatches(padded):
    """What flash and flex go through: the registered function, its mask, its scale, its dropout."""
    seen = []

    def spy(module, query, key, value, attention_mask, **options):
        seen.append((module, query.shape, attention_mask, options))
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)

    ALL_ATTENTION_FUNCTIONS.register("spy", spy)
    ALL_MASK_ATTENTION_FUNCTIONS.register("spy", sdpa_mask)
    try:
        model = ours(attention_dropout=0.25)
        expected = call(model, speech(padded=padded)).last_hidden_state
        model.set_attn_implementation("spy")
        assert_near(call(model, speech(padded=padded)).last_hidden_state, expected)
        assert len(seen) == 3 and isinstance(seen[0][0], Attention)
        _, shape, mask, options = seen[0]
        assert shape == (2, 4, 12, 8) and options["scaling"] == 8**-0.5 and options["dropout"] == 0.0
        assert not options["is_causal"]
        if padded:
            frames = model.frames.count(3000)
            assert mask[1, 0, :, :frames].all() and not mask[1, 0, :, frames:].any() and mask[0].all()
        else:
            assert mask is None
        call(model.train(), speech(padded=padded))
        assert seen[3][3]["dropout"] == 0.25
        model.eval()
        before = len(seen)
        maps = call(model, speech(padded=padded), output_attentions=True).attentions
        assert len(maps) == 3 and len(seen) == before  # a map is wanted: the softmax is computed in the open
    finally:
        for registry in (ALL_ATTENTION_FUNCTIONS, ALL_MASK_ATTENTION_FUNCTIONS):
            del registry._global_mapping["spy"]


@pytest.mark.parametrize("padded", [True, False], ids=["padded", "whole"])
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")  # which would take half a minute
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what transformers and torch call on the way
def test_flex_attention(padded):
    model, inputs = ours(hidden_size=64), speech(padded=padded)  # it wants heads of at least 16
    expected = call(model, inputs).last_hidden_state
    model.set_attn_implementation("flex_attention")
    try:
        torch.compiler.set_stance("force_eager")
        assert_near(call(model, inputs).last_hidden_state, expected)
    finally:
        torch.compiler.set_stance("default")


def test_an_unknown_kernel_is_refused():
    with pytest.raises((ValueError, KeyError, ImportError), match="nonsense"):
        unispeech_lab.UniSpeechModel(config(attn_implementation="nonsense"))


@pytest.mark.parametrize("kernel", ["eager", "sdpa"])
def test_attention_dropout_is_there_in_training_only(kernel):
    """Rows of a pattern lose entries and the rest grows: on average nothing changes."""
    torch.manual_seed(0)
    model = ours(attn_implementation=kernel, num_hidden_layers=1, apply_spec_augment=False, **STILL)
    model.encoder.layers[0].attention.dropout = 0.5
    layer, states = model.encoder.layers[0].attention, torch.randn(1, 12, 32)
    run = model.attention_kernel(states, None)
    with torch.no_grad():
        expected = layer(states, kernel=run)
        draws = torch.cat([layer.train()(states, kernel=run) for _ in range(600)])
        assert torch.equal(layer.eval()(states, kernel=run), expected)
    assert draws.std(0).min() > 0.01
    assert ((draws.mean(0) - expected[0]).abs() < 5.5 * draws.std(0) / 600**0.5).all()


# Head masks


def head_mask(seed=0):
    return torch.rand(3, 4, generator=torch.Generator().manual_seed(seed))


@every_layout
@pytest.mark.parametrize("kernel", ["eager", "sdpa"])
def test_a_head_mask_scales_what_each_head_says(layout, kernel):
    """The same as scaling the head's columns of the output projection."""
    model = ours(layout=layout, attn_implementation=kernel)
    found = call(model, head_mask=head_mask()).last_hidden_state
    with torch.no_grad():
        for layer, heads in zip(model.encoder.layers, head_mask(), strict=True):
            layer.attention.out_proj.weight *= heads.repeat_interleave(8)
    assert_near(found, call(model).last_hidden_state)


@every_kind
def test_every_model_takes_a_head_mask(kind):
    model = ours(kind)
    plain, same, off = (call(model, head_mask=mask) for mask in (None, torch.ones(3, 4), torch.zeros(4)))
    first = next(name for name in ("last_hidden_state", "logits", "projected_states") if name in plain)
    assert_near(same[first], plain[first])
    assert (off[first] - plain[first]).abs().max() > 1e-3


def test_a_head_mask_of_heads_is_for_every_layer():
    heads = torch.tensor([1.0, 0.0, 0.5, 1.0])
    model = ours()
    assert_near(
        call(model, head_mask=heads).last_hidden_state, call(model, head_mask=heads.expand(3, 4)).last_hidden_state, 0
    )


def test_a_head_mask_has_a_gradient():
    """Its gradient is a head's importance (Michel et al., arXiv 1905.10650)."""
    mask = torch.ones(3, 4, requires_grad=True)
    ours()(**speech(), head_mask=mask).last_hidden_state.pow(2).sum().backward()
    assert (mask.grad.abs() > 0).all()


@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 4), (3, 4, 1)])
def test_head_masks_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"head_mask of shape \(4,\) or \(3, 4\) \(layers, heads\), found"):
        ours()(**speech(), head_mask=torch.ones(shape))


# Positions


@pytest.mark.parametrize("kernel", [1, 2, 15, 16])
def test_positions_keep_the_count_and_hear_their_neighbours(kernel):
    torch.manual_seed(0)
    layer = PositionalConvEmbedding(config(num_conv_pos_embeddings=kernel, feat_extract_activation="linear"))
    states = torch.zeros(1, 40, 32)
    states[0, 20] = 1
    with torch.no_grad():
        found = layer(states) - layer(torch.zeros(1, 40, 32))
    assert found.shape == states.shape
    moved = found[0].abs().sum(1).nonzero()[:, 0].tolist()
    assert moved == list(range(20 - (kernel - 1) // 2, 20 + kernel // 2 + 1))


def test_initial_positions_are_what_was_meant():
    """Directions of std sqrt(4 / (kernel x width)), gains their norms: theirs has no effect."""
    torch.manual_seed(0)
    settings = {"hidden_size": 256, "num_conv_pos_embeddings": 64, "num_conv_pos_embedding_groups": 4}
    conv = unispeech_lab.UniSpeechModel(config(**settings)).encoder.pos_conv_embed.conv
    gain, direction = conv.parametrizations.weight.original0, conv.parametrizations.weight.original1
    assert direction.std().item() == pytest.approx(2 / (64 * 256) ** 0.5, rel=0.01)
    assert_near(conv.weight, direction, 1e-5)  # two float32 norms of 16,384 numbers, summed in the order of the threads
    assert gain.shape == (1, 1, 64) and (conv.bias == 0).all()
    other = theirs(**settings).encoder.pos_conv_embed.conv.parametrizations.weight.original1
    assert other.abs().max() < 1.01 * (64 * 64) ** -0.5  # torch's uniform default


# LayerDrop


def dropped(model, probability, seed, **options):
    model.config.layerdrop = probability
    with torch.no_grad():
        return model.train()(
            **speech(),
            output_hidden_states=True,
            output_attentions=True,
            generator=torch.Generator().manual_seed(seed),
            **options,
        )


@every_layout
def test_layerdrop_keeps_the_count_and_says_which(layout):
    """Skipped layers repeat their input and have no map (Hugging Face's shift the numbering)."""
    model, skipped = ours(layout=layout, apply_spec_augment=False, **STILL), 0
    for seed in range(20):
        output = dropped(model, 0.5, seed)
        assert len(output.hidden_states) == 4 and len(output.attentions) == 3
        for i, pattern in enumerate(output.attentions):
            same = torch.equal(output.hidden_states[i], output.hidden_states[i + 1])
            assert same == (pattern is None)
            skipped += same
    assert 15 < skipped < 45


def test_layerdrop_of_one_and_of_none_and_in_eval():
    model = ours(apply_spec_augment=False, **STILL)
    assert dropped(model, 1.0, 0).attentions == (None, None, None)
    assert None not in dropped(model, 0.0, 0).attentions
    model.config.layerdrop = 1.0
    assert None not in call(model.eval(), output_attentions=True).attentions


# Gradient checkpointing


@every_layout
@pytest.mark.parametrize("frozen", [False, True], ids=["whole", "frozen front end"])
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_gives_the_same_gradients(layout, frozen, reentrant):
    chance = {name: 0.1 for name in STILL}
    plain, lean = (ours("UniSpeechForCTC", layout, mask_time_prob=0.3, **chance).train() for _ in range(2))
    lean.activation_checkpointing_enable({"use_reentrant": reentrant})
    assert lean.is_activation_checkpointing
    ran = []
    lean.unispeech.encoder.layers[1].feed_forward.register_forward_pre_hook(lambda *_: ran.append(1))
    losses = []
    for model in (plain, lean):
        if frozen:
            model.freeze_feature_encoder()
        torch.manual_seed(2)
        output = model(
            **speech(),
            labels=torch.tensor([[1, 2], [3, 4]]),
            generator=torch.Generator().manual_seed(1),
            output_attentions=True,
        )
        output.loss.backward()
        losses.append(output.loss)
    assert torch.equal(*losses) and len(ran) == 2  # once forward, once again in the backward pass
    assert_same_gradients(lean, plain, 1e-6)


def test_checkpointing_off_again():
    model = ours().train()
    model.activation_checkpointing_enable()
    model.activation_checkpointing_disable()
    assert not model.is_activation_checkpointing


# Precision


@every_layout
@every_kind
def test_autocast_in_bfloat16(kind, layout):
    model = ours(kind, layout)
    expected = call(model)
    with torch.autocast("cpu", torch.bfloat16):
        output = model(**speech())
        first = next(n for n in ("last_hidden_state", "logits", "projected_states") if n in output)
        loss = output[first].float().pow(2).mean()
    loss.backward()
    off = (output[first].float() - expected[first]).pow(2).mean().sqrt() / expected[first].std()
    assert off < 0.15, f"bfloat16 is off by {off:.3f}"
    reached = {name for name, weight in model.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert {name for name, _ in model.named_parameters() if "conv_layers.0.conv.weight" in name} <= reached
    assert all(weight.grad.isfinite().all() for weight in model.parameters() if weight.grad is not None)
