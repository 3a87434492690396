"""Config: every documented parameter, its default, its way to JSON and back; sizes that do not fit are refused."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
import transformers
from models import assert_near, config, every_kind, pair, speech
from torch import nn

import unispeech_lab
from unispeech_lab import UniSpeechConfig

THEIRS = {field.name: field for field in dataclasses.fields(transformers.UniSpeechConfig)}

# config.json of the released checkpoints, where it differs from the defaults (reference section 1.8)
RELEASED = {
    "activation_dropout": 0.0,
    "architectures": ["UniSpeechForPreTraining"],
    "attention_dropout": 0.1,
    "codevector_dim": 768,
    "conv_bias": True,
    "conv_dim": [512] * 7,
    "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
    "conv_stride": [5, 2, 2, 2, 2, 2, 2],
    "do_stable_layer_norm": True,
    "feat_extract_activation": "gelu",
    "feat_extract_dropout": 0.0,
    "feat_extract_norm": "layer",
    "feat_proj_dropout": 0.1,
    "final_dropout": 0.0,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "layerdrop": 0.1,
    "mask_channel_length": 10,
    "mask_channel_min_space": 1,
    "mask_channel_other": 0.0,
    "mask_channel_prob": 0.0,
    "mask_channel_selection": "static",
    "mask_time_min_space": 1,
    "mask_time_other": 0.0,
    "mask_time_prob": 0.075,
    "mask_time_selection": "static",
    "model_type": "unispeech",
    "num_attention_heads": 16,
    "num_ctc_classes": 80,
    "num_feat_extract_layers": 7,
    "num_hidden_layers": 24,
    "proj_codevector_dim": 768,
    "torch_dtype": "float32",
    "transformers_version": "4.11.0.dev0",
}


def count(kind, settings):
    with torch.device("meta"):
        model = getattr(unispeech_lab, kind)(settings)
    return sum(parameter.numel() for parameter in model.parameters())


def test_every_parameter_of_theirs_with_its_default():
    mine, other = UniSpeechConfig(), transformers.UniSpeechConfig()
    for name in THEIRS:
        if name != "transformers_version":
            found, expected = getattr(mine, name), getattr(other, name)
            assert found == expected or list(found) == list(expected), f"{name}: {found!r}, theirs {expected!r}"
    assert mine.num_feat_extract_layers == other.num_feat_extract_layers == 7
    assert mine.inputs_to_logits_ratio == other.inputs_to_logits_ratio == 320


def test_every_parameter_is_explained():
    own = {field.name for field in dataclasses.fields(UniSpeechConfig)} - {
        field.name for field in dataclasses.fields(transformers.PreTrainedConfig)
    }
    said = UniSpeechConfig.__doc__
    families = {"mask_feature_": "mask_feature_*", "bos_token": "", "eos_token": "", "initializer": ""}
    unsaid = [n for n in own if n not in said and not any(n.startswith(f) and s in said for f, s in families.items())]
    assert not unsaid


@pytest.mark.parametrize(
    "kind, expected",
    [
        ("UniSpeechModel", 94_371_712),
        ("UniSpeechForPreTraining", 95_106_640),
        ("UniSpeechForCTC", 94_396_320),
        ("UniSpeechForSequenceClassification", 94_569_090),
    ],
)
def test_base_parameter_counts(kind, expected):
    assert count(kind, UniSpeechConfig()) == expected


@pytest.mark.parametrize(
    "kind, changes, expected",
    [
        ("UniSpeechModel", {}, 315_438_720),
        ("UniSpeechForPreTraining", {}, 317_472_848),
        ("UniSpeechForPreTraining", {"num_ctc_classes": 531}, 317_935_123),
        ("UniSpeechForCTC", {}, 315_471_520),
        ("UniSpeechForCTC", {"vocab_size": 31}, 315_470_495),
        ("UniSpeechModel", {"conv_bias": False}, 315_438_720 - 3_584),
    ],
)
def test_released_config_and_large_make_the_released_counts(tmp_path, kind, changes, expected):
    (tmp_path / "config.json").write_text(json.dumps({**RELEASED, **changes}))
    assert count(kind, UniSpeechConfig.from_pretrained(tmp_path)) == expected
    assert count(kind, UniSpeechConfig.large(**changes)) == expected


def test_large_is_the_released_one():
    large = UniSpeechConfig.large()
    for name in set(RELEASED) & set(THEIRS) - {"architectures", "transformers_version"}:
        found = getattr(large, name)
        assert (list(found) if isinstance(found, tuple) else found) == RELEASED[name], name


def test_weight_norm_shapes_of_the_large_size():
    with torch.device("meta"):
        conv = unispeech_lab.UniSpeechModel(UniSpeechConfig.large()).encoder.pos_conv_embed.conv
    shapes = [tuple(w.shape) for w in (conv.parametrizations.weight.original0, conv.parametrizations.weight.original1)]
    assert shapes == [(1, 1, 128), (1024, 64, 128)]


def test_tiny_is_tiny():
    assert 1.4e6 < count("UniSpeechForPreTraining", UniSpeechConfig.tiny()) < 2e6
    assert UniSpeechConfig.tiny().frames == unispeech_lab.Frames()


def test_json_goes_round_and_both_ways(tmp_path):
    mine = config(
        "large", mask_rule="authors", provenance="made here", adapter_attn_dim=4, conv_kernel=[10, 3, 3, 3, 3, 2, 2]
    )
    mine.save_pretrained(tmp_path)
    again = UniSpeechConfig.from_pretrained(tmp_path)
    for field in dataclasses.fields(UniSpeechConfig):
        found, expected = (getattr(made, field.name) for made in (again, mine))
        if field.name not in ("dtype", "transformers_version"):
            assert found == expected or list(found) == list(expected), field.name
    other = transformers.UniSpeechConfig.from_pretrained(tmp_path)
    assert list(other.conv_dim) == [16] * 7 and other.hidden_size == 32 and other.provenance == "made here"
    other.save_pretrained(tmp_path / "theirs")
    assert UniSpeechConfig.from_pretrained(tmp_path / "theirs").adapter_attn_dim == 4


@pytest.mark.parametrize("kernel", [None, "eager", "sdpa"])
def test_patterns_may_be_asked_for_under_any_kernel(tmp_path, kernel):
    made = config(output_attentions=True, output_hidden_states=True, attn_implementation=kernel)
    model = unispeech_lab.UniSpeechModel(made)
    assert len(model(**speech()).attentions) == 3 and len(model(**speech()).hidden_states) == 4
    model.save_pretrained(tmp_path)
    assert UniSpeechConfig.from_pretrained(tmp_path).output_attentions is True


def test_unknown_keywords_are_kept_as_transformers_does(tmp_path):
    made = config(my_note="hello")
    made.save_pretrained(tmp_path)
    assert UniSpeechConfig.from_pretrained(tmp_path).my_note == "hello"


# Activations


@pytest.mark.parametrize("name", ["gelu", "relu", "gelu_new"])
def test_documented_activations_are_theirs(name):
    mine, other = pair(hidden_act=name, feat_extract_activation=name)
    with torch.no_grad():
        assert_near(mine(**speech()).last_hidden_state, other(**speech()).last_hidden_state)


def test_selu_works_where_theirs_fails():
    with pytest.raises(KeyError, match="selu"):
        transformers.UniSpeechModel(transformers.UniSpeechConfig(hidden_act="selu", num_hidden_layers=1))
    torch.manual_seed(0)
    named = unispeech_lab.UniSpeechModel(config(hidden_act="selu", feat_extract_activation="selu")).eval()
    given = unispeech_lab.UniSpeechModel(
        config(hidden_act=nn.functional.selu, feat_extract_activation=nn.functional.selu)
    ).eval()
    given.load_state_dict(named.state_dict())
    with torch.no_grad():
        assert_near(named(**speech()).last_hidden_state, given(**speech()).last_hidden_state, 0)
    x = torch.linspace(-3, 3, 7)
    acts = [named.encoder.layers[0].feed_forward.intermediate_act_fn, named.feature_extractor.conv_layers[0].activation]
    assert all(torch.equal(act(x), torch.selu(x)) for act in acts)


def test_a_function_is_an_activation():
    mine, other = pair(hidden_act="relu")
    made = unispeech_lab.UniSpeechModel(config(hidden_act=lambda x: x.clamp(min=0))).eval()
    made.load_state_dict(mine.state_dict())
    with torch.no_grad():
        assert_near(made(**speech()).last_hidden_state, other(**speech()).last_hidden_state)


def test_an_activation_layer_is_shared_by_no_two_layers():
    """A module given as an activation has a name, hooks and maybe weights: each place gets its own."""
    model = unispeech_lab.UniSpeechModel(config(hidden_act=nn.PReLU()))
    acts = [layer.feed_forward.intermediate_act_fn for layer in model.encoder.layers]
    assert len({id(act) for act in acts}) == len(acts)
    assert "encoder.layers.2.feed_forward.intermediate_act_fn.weight" in model.state_dict()


@pytest.mark.parametrize("name", ["hidden_act", "feat_extract_activation"])
def test_a_function_cannot_be_saved(tmp_path, name):
    with pytest.raises(ValueError, match=f"expected {name} by name .*found a function \\(tanh\\): set it to a name"):
        config(**{name: torch.tanh}).save_pretrained(tmp_path)
    assert not (tmp_path / "config.json").exists()
    model = unispeech_lab.UniSpeechModel(config(**{name: torch.tanh}))
    assert '"tanh"' in repr(model.config)
    with pytest.raises(ValueError, match=f"expected {name} by name"):
        model.save_pretrained(tmp_path)


@pytest.mark.parametrize("name", ["hidden_act", "feat_extract_activation"])
def test_unknown_activation(name):
    with pytest.raises(ValueError, match="expected an activation out of gelu, relu, selu, gelu_new.*found 'gelou'"):
        config(**{name: "gelou"})


# Doors


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"conv_dim": [16] * 6}, "one number for each convolution.*'conv_dim': 6.*same length"),
        ({"conv_dim": [], "conv_kernel": [], "conv_stride": []}, "one number for each convolution"),
        ({"feat_extract_norm": "batch"}, "feat_extract_norm to be one of 'group', 'layer', found 'batch'"),
        ({"hidden_size": 30}, "hidden_size to be a multiple of num_attention_heads=4, found 30: try hidden_size=28"),
        (
            {"num_conv_pos_embedding_groups": 5},
            "multiple of num_conv_pos_embedding_groups=5, found 32: try hidden_size=30",
        ),
        ({"codevector_dim": 15}, "codevector_dim to be a multiple of num_codevector_groups=2, found 15: try .*=14"),
        ({"mask_rule": "mine"}, "mask_rule to be one of 'huggingface', 'authors', found 'mine'"),
        ({"ctc_loss_reduction": "max"}, "ctc_loss_reduction to be one of .*found 'max'"),
        ({"layerdrop": 1.5}, r"layerdrop in \[0, 1\], found 1.5"),
        ({"mask_time_prob": -0.1}, r"mask_time_prob in \[0, 1\], found -0.1"),
        ({"num_attention_heads": 0}, "num_attention_heads"),
        ({"adapter_attn_dim": 4, "do_stable_layer_norm": False}, "do_stable_layer_norm=True where adapter_attn_dim=4"),
        ({"mask_time_length": 0}, "mask_time_length of at least 1, found 0"),
        ({"conv_stride": [5, 2, 2, 0, 2, 2, 2]}, "conv_stride of at least 1, found 0"),
        ({"num_hidden_layers": -1}, "num_hidden_layers of at least 1, found -1"),
        ({"num_codevectors_per_group": 0}, "num_codevectors_per_group of at least 1, found 0"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        config(**changes)


def test_ctc_needs_a_vocabulary():
    with pytest.raises(ValueError, match="expected a vocab_size, found None"):
        unispeech_lab.UniSpeechForCTC(config(vocab_size=None))


@every_kind
def test_module_docstring_names_the_class(kind):
    assert getattr(unispeech_lab, kind).__doc__ and getattr(unispeech_lab, kind).forward.__doc__
    assert Path(unispeech_lab.__file__).with_name("model.py").read_text().count(f"class {kind}(") == 1
