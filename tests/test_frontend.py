"""Front end: the convolutions against PyTorch's own, time shifts, padding, tiles, gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models import assert_near, assert_same_gradients, config, every_layout, ours, pair, speech
from torch.nn import functional as F

import unispeech_lab
from unispeech_lab.nn import frontend
from unispeech_lab.nn.frontend import FeatureEncoder, StridedConv1d, TimeNorm

convolutions = st.fixed_dictionaries(
    {
        "kernel": st.integers(1, 11),
        "stride": st.integers(1, 6),
        "width_in": st.integers(1, 4),
        "width": st.integers(1, 4),
        "batch": st.integers(1, 3),
        "extra": st.integers(0, 12),
        "bias": st.booleans(),
        "wants_input": st.booleans(),
    }
)


@settings(max_examples=150, deadline=None)
@given(convolutions)
def test_the_convolution_is_pytorchs(case):
    """Kernels narrower than, as wide as and wider than the stride: values and all gradients, in float64."""
    torch.manual_seed(0)
    conv = StridedConv1d(case["width_in"], case["width"], case["kernel"], case["stride"], bias=case["bias"]).double()
    x = torch.randn(case["batch"], case["kernel"] + case["extra"], case["width_in"], dtype=torch.float64)
    x.requires_grad_(case["wants_input"])
    found = conv(x)
    expected = F.conv1d(x.transpose(1, 2), conv.weight, conv.bias, conv.stride).transpose(1, 2)
    assert_near(found, expected, 1e-12)
    weights = torch.randn(found.shape, dtype=torch.float64)
    leaves = [leaf for leaf in (x, conv.weight, conv.bias) if leaf is not None and leaf.requires_grad]
    gradients = torch.autograd.grad((found * weights).sum(), leaves, retain_graph=True)
    for gradient, truth in zip(gradients, torch.autograd.grad((expected * weights).sum(), leaves), strict=True):
        assert_near(gradient, truth, 1e-12)


def test_the_convolution_by_finite_differences():
    torch.manual_seed(0)
    conv = StridedConv1d(2, 3, 3, 2, bias=True).double()
    x = torch.randn(2, 9, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(conv, (x,))
    assert torch.autograd.gradcheck(
        lambda weight, bias: frontend.StridedConvolution.apply(x.detach(), weight, bias, 2), (conv.weight, conv.bias)
    )


def test_a_view_of_a_longer_signal_is_read_in_place():
    """A slice, a transpose, a tensor with a storage offset: the same numbers as their copies."""
    conv = StridedConv1d(2, 3, 3, 2, bias=True)
    whole = torch.randn(2, 2, 40)
    for view in (whole.transpose(1, 2)[:, 7:30], whole.transpose(1, 2)[1:, ::2], whole.permute(0, 2, 1)):
        assert_near(conv(view), conv(view.contiguous()), 0)


@pytest.mark.parametrize("lengths", [(2000,), (3, 5000, 2000)])
def test_the_norm_over_time_is_pytorchs(lengths):
    torch.manual_seed(0)
    mine, other = TimeNorm(6, 6), torch.nn.GroupNorm(6, 6)
    with torch.no_grad():
        for weight, copy in zip(mine.parameters(), other.parameters(), strict=True):
            copy.copy_(weight.normal_())
    x = torch.randn(2, lengths[0], 6) * 3 + 100  # far from zero: a naive variance would cancel
    assert_near(mine(x), other(x.transpose(1, 2)).transpose(1, 2), 1e-4)
    assert mine(x.bfloat16()).dtype == torch.bfloat16
    assert_near(mine.double()(x.double()), other.double()(x.double().transpose(1, 2)).transpose(1, 2), 1e-10)


@pytest.mark.parametrize("piece", [1, 30, 2**17])
def test_the_norm_over_time_by_finite_differences(piece, monkeypatch):
    monkeypatch.setattr(frontend, "PIECE", piece)
    generator = torch.Generator().manual_seed(0)
    x, weight, bias = (
        torch.randn(shape, dtype=torch.float64, generator=generator).requires_grad_() for shape in ((2, 9, 3), 3, 3)
    )
    assert torch.autograd.gradcheck(lambda *given: frontend.TimeNormalization.apply(*given, 1e-5), (x, weight, bias))


def test_every_layer_says_batch_time_channel():
    model, seen = ours(conv_dim=[4, 5, 6, 7, 8, 9, 10]), {}
    handles = [
        layer.register_forward_hook(lambda _, __, out, i=i: seen.update({i: tuple(out.shape)}))
        for i, layer in enumerate(model.feature_extractor.conv_layers)
    ]
    with torch.no_grad():
        output = model(**speech())
    assert all(handle.remove() is None for handle in handles)
    clock = model.frames
    assert seen == {i: (2, clock.up_to(i + 1).count(4000), width) for i, width in enumerate([4, 5, 6, 7, 8, 9, 10])}
    assert output.extract_features.shape == (2, 12, 10)


def test_a_shift_by_one_hop_shifts_the_frames_by_one():
    """Reference 6.18; bit for bit, so that a playhead may trust it."""
    model = ours()
    waveform = torch.randn(1, 4320)
    with torch.no_grad():
        early, late = (model.feature_extractor(waveform[:, start : start + 4000]) for start in (0, 320))
    assert_near(late[:, :-1], early[:, 1:], 1e-6)


@pytest.mark.parametrize("frame", [0, 5, 11])
def test_a_frame_hears_its_samples_and_no_others(frame):
    model = ours()
    waveform = torch.randn(1, 4000, requires_grad=True)
    model.feature_extractor(waveform)[0, frame].sum().backward()
    heard = waveform.grad[0].nonzero()[:, 0]
    assert (heard[0].item(), heard[-1].item() + 1) == model.frames.samples(frame)


@pytest.mark.parametrize("lengths", [(4000, 3000), (9000, 8999, 8640), (400, 1000), (1500, 100)])
@pytest.mark.parametrize("layout", ["large", "post_layer"])
@pytest.mark.parametrize("tile", [1, 3, 7])
def test_where_a_tile_ends_does_not_show(layout, lengths, tile):
    """Features and gradients in tiles of a few frames are those of the whole, which a hook asks for."""
    inputs, found = speech(lengths), []
    for whole in (False, True):
        model = ours(layout=layout).double()
        model.feature_extractor.tile = tile
        if whole:
            model.feature_extractor.conv_layers[0].register_forward_hook(lambda *_: None)
        waveform = inputs["input_values"].double().requires_grad_()
        assert model.feature_extractor.tiles(waveform) != whole
        features = model.feature_extractor(waveform, inputs["attention_mask"].sum(1))
        (features * torch.randn(features.shape, generator=torch.Generator().manual_seed(0))).sum().backward()
        found.append((features, waveform.grad, model))
    for value, expected in zip(found[0][:2], found[1][:2], strict=True):
        assert_near(value, expected, 1e-12)
    assert_same_gradients(found[0][2], found[1][2], 1e-12)


def test_watched_or_not_the_features_are_the_same():
    model, seen = ours(), []
    with torch.no_grad():
        plain = model(**speech()).extract_features
        with model.feature_extractor.conv_layers[3].layer_norm.register_forward_hook(lambda *a: seen.append(a[2])):
            watched = model(**speech()).extract_features
    assert len(seen) == 1 and seen[0].shape[1] == model.frames.up_to(4).count(4000)  # whole, not a tile of it
    assert_near(watched, plain, 2e-6)


def test_padding_makes_no_features():
    model = ours()
    with torch.no_grad():
        features = model.feature_extractor(torch.randn(2, 4000), torch.tensor([4000, 3000]))
    frames = model.frames.count(3000)
    assert (
        features[1, frames:].eq(0).all() and features[1, :frames].ne(0).any(1).all() and features[0].ne(0).any(1).all()
    )
    loud = speech()
    loud["input_values"][1, 3000:] = 1e4  # whatever lies in the padding
    with torch.no_grad():
        assert_near(model(**loud).last_hidden_state, model(**speech()).last_hidden_state, 0)


@every_layout
def test_gradients_reach_the_waveform(layout):
    """Saliency maps need them; theirs has them too."""
    mine, other = pair(layout=layout)
    found = []
    for model in (mine, other):
        waveform = speech()["input_values"].requires_grad_()
        states = model(waveform, attention_mask=speech()["attention_mask"]).last_hidden_state
        (states * torch.arange(32)).sum().backward()
        found.append(waveform.grad)
    assert_near(*found)
    assert_same_gradients(mine, other)


def test_freezing_stops_every_gradient_of_the_convolutions():
    for kind in ("UniSpeechModel", "UniSpeechForCTC", "UniSpeechForSequenceClassification", "UniSpeechForPreTraining"):
        model = ours(kind).train()
        model.freeze_feature_encoder()
        output = model(**speech())
        (output[0] if output[0] is not None else output[1]).sum().backward()
        grads = {name: weight.grad for name, weight in model.named_parameters()}
        assert all((grad is None) for name, grad in grads.items() if "feature_extractor" in name)
        assert any(grad is not None for name, grad in grads.items() if "feature_projection" in name)


@pytest.mark.parametrize("kind", ["UniSpeechForCTC", "UniSpeechForSequenceClassification", "UniSpeechForPreTraining"])
def test_freezing_the_base_leaves_the_head(kind):
    model = ours(kind)
    model.freeze_base_model()
    left = {name.split(".")[0] for name, weight in model.named_parameters() if weight.requires_grad}
    assert (
        left
        == {
            "UniSpeechForCTC": {"lm_head"},
            "UniSpeechForSequenceClassification": {"projector", "classifier"},
            "UniSpeechForPreTraining": {"quantizer", "project_q", "project_hid", "ctc_proj"},
        }[kind]
    )


@pytest.mark.parametrize("samples", [1, 9, 399])
def test_too_short_is_said(samples):
    with pytest.raises(
        ValueError, match=rf"expected at least 400 samples \(25 ms, one receptive field\), found {samples}"
    ):
        ours()(torch.randn(1, samples))
    encoder = FeatureEncoder(config())
    with pytest.raises(ValueError, match=f"expected at least 400 samples, one receptive field, found {samples}"):
        encoder(torch.randn(1, samples))


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"input_values of shape \(utterances, samples\), found \(1, 2, 4000\): use"):
        ours()(torch.randn(1, 2, 4000))
    with pytest.raises(ValueError, match=r"attention_mask of the shape of input_values \(2, 4000\), found \(2, 12\)"):
        ours()(torch.randn(2, 4000), attention_mask=torch.ones(2, 12))


def test_initial_weights():
    """Reference 1.10: Kaiming normal convolutions, uniform biases and projection."""
    torch.manual_seed(0)
    model = unispeech_lab.UniSpeechModel(config(conv_dim=[256] * 7))
    layers = model.feature_extractor.conv_layers
    assert layers[0].conv.weight.std().item() == pytest.approx((2 / 10) ** 0.5, rel=0.1)
    assert layers[1].conv.weight.std().item() == pytest.approx((2 / (3 * 256)) ** 0.5, rel=0.02)
    bound = (3 * 256) ** -0.5
    assert 0.9 * bound < layers[1].conv.bias.abs().max() <= bound
    assert 0.9 / 16 < model.feature_projection.projection.weight.abs().max() <= 1 / 16
    assert (layers[0].layer_norm.weight == 1).all() and (layers[0].layer_norm.bias == 0).all()
