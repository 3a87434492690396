"""Quantizer: codes, codewords, gradients and perplexities, against transformers' one and by hand."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models import STILL, assert_near, config, ours, pair, speech
from transformers.models.unispeech.modeling_unispeech import UniSpeechGumbelVectorQuantizer

from unispeech_lab.nn.quantizer import GumbelVectorQuantizer, perplexity


def both(**changes):
    """Our quantizer and theirs with the same weights."""
    torch.manual_seed(0)
    settings = config(**changes)
    mine, other = GumbelVectorQuantizer(settings), UniSpeechGumbelVectorQuantizer(settings)
    torch.nn.init.uniform_(other.codevectors)
    torch.nn.init.normal_(other.weight_proj.weight, std=0.5)
    mine.load_state_dict(other.state_dict())
    return mine, other, torch.randn(3, 20, 16)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_eval_is_theirs_bit_for_bit(groups):
    mine, other, features = both(num_codevector_groups=groups)
    found, (vectors, used) = mine.eval()(features), other.eval()(features)
    assert torch.equal(found.vectors, vectors)  # gathered rows against a product with one-hot rows
    assert found.codes.shape == (3, 20, groups) and found.codes.dtype == torch.int64
    assert_near(found.code_perplexity, used)


@pytest.mark.parametrize("temperature", [2.0, 0.5])
def test_training_is_theirs_under_one_seed(temperature):
    mine, other, features = both()
    mine.temperature = other.temperature = temperature
    results = []
    for quantizer in (mine.train(), other.train()):
        leaf = features.clone().requires_grad_()
        torch.manual_seed(3)
        quantized = quantizer(leaf)
        vectors, probable = quantized[0], quantized.prob_perplexity if quantizer is mine else quantized[1]
        weights = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(1))
        ((vectors * weights).sum() + 3 * probable).backward()
        results.append((vectors, probable, leaf.grad, *(weight.grad for weight in quantizer.parameters())))
    for found, expected in zip(*results, strict=True):
        assert found.abs().max() > 0
        assert_near(found, expected)


def test_the_vectors_of_training_are_codewords_to_the_bit():
    """Straight through: the mixture's gradient, the codeword's value, not codeword + mixture - mixture."""
    mine, _, features = both()
    quantized = mine.train()(features)
    assert torch.equal(quantized.vectors, mine.look_up(quantized.codes))


def test_code_perplexity_is_of_the_codes_without_noise():
    """The authors' definition: what the codebook is used for, not what the dice said (oracle, case A)."""
    mine, _, features = both()
    assert torch.equal(mine.train()(features).code_perplexity, mine.eval()(features).code_perplexity)


def test_noise_given_is_noise_used():
    mine, _, features = both()
    noise = torch.zeros(3, 20, 2, 8)
    quantized = mine.train()(features, noise=noise)
    assert torch.equal(quantized.codes, mine.eval()(features).codes)
    noise[..., 5] = 1e4
    assert (mine.train()(features, noise=noise).codes == 5).all()


def test_noise_comes_from_the_generator():
    mine, _, features = both()
    draw = lambda seed: mine.train()(features, generator=torch.Generator().manual_seed(seed)).codes  # noqa: E731
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert torch.equal(draw(1), draw(1)) and not torch.equal(draw(1), draw(2))
    assert torch.equal(torch.get_rng_state(), before)


def test_gumbel_noise_chooses_by_the_softmax():
    """Over many draws each codeword comes as often as its probability says (whatever the temperature)."""
    mine, _, _ = both()
    logits = torch.tensor([0.0, 1.0, 2.0, -1.0, 0.5, 0.0, -2.0, 1.5]).repeat(2)
    with torch.no_grad():
        mine.weight_proj.weight.zero_()
        mine.weight_proj.bias.copy_(logits)
    codes = mine.train()(torch.zeros(1, 20_000, 16), generator=torch.Generator().manual_seed(0)).codes
    for group in range(2):
        share = codes[0, :, group].bincount(minlength=8) / 20_000
        assert (share - logits[:8].softmax(0)).abs().max() < 4 * (0.25 / 20_000) ** 0.5


def test_perplexity_facts():
    """Reference 6.5: uniform is groups x codewords, one code is groups."""
    assert_near(perplexity(torch.full((1, 5, 2, 320), 1 / 320)), torch.tensor(640.0))
    one = torch.zeros(1, 5, 2, 320)
    one[..., 7] = 1
    assert perplexity(one) == 2
    assert 1 - (perplexity(one) / 640) == pytest.approx(1 - 1 / 320)  # the diversity loss of a collapsed codebook


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 3), st.integers(1, 6), st.integers(1, 3), st.integers(1, 9), st.integers(0, 99))
def test_perplexity_by_hand_and_its_range(b, t, g, v, seed):
    generator = torch.Generator().manual_seed(seed)
    probabilities = torch.rand(b, t, g, v, generator=generator, dtype=torch.float64).softmax(-1)
    by_hand = 0.0
    for group in range(g):
        mean = probabilities[:, :, group].reshape(-1, v).mean(0)
        by_hand += math.exp(-sum(p * math.log(p) for p in mean.tolist()))
    found = perplexity(probabilities)
    assert_near(found, torch.tensor(by_hand, dtype=torch.float64), 1e-9)
    assert g - 1e-9 <= found <= g * v + 1e-9
    mask = torch.zeros(b, t, dtype=torch.bool)
    mask[0, 0] = True
    assert_near(perplexity(probabilities, mask), perplexity(probabilities[:1, :1]), 1e-9)


def test_no_frame_no_nan():
    probabilities = torch.rand(1, 4, 2, 8).softmax(-1)
    assert perplexity(probabilities, torch.zeros(1, 4, dtype=torch.bool)).isfinite()


def test_both_perplexities_are_of_speech_only():
    mine, _, features = both()
    speech_frames = torch.arange(20) < torch.tensor([[20], [13], [4]])
    other_padding = torch.where(speech_frames[..., None], features, torch.randn(3, 20, 16) * 9)
    first, second = mine.eval()(features, speech_frames), mine(other_padding, speech_frames)
    assert_near(first.prob_perplexity, second.prob_perplexity)
    assert torch.equal(first.code_perplexity, second.code_perplexity)
    assert (mine(features).prob_perplexity - mine(other_padding).prob_perplexity).abs() > 0.01


def test_bfloat16_and_float64():
    for dtype in (torch.bfloat16, torch.float64):
        mine, _, features = both()
        quantized = mine.to(dtype).train()(features.to(dtype))
        assert quantized.vectors.dtype == dtype
        assert quantized.prob_perplexity.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        quantized.vectors.float().sum().backward()
        assert mine.weight_proj.weight.grad.isfinite().all() and mine.weight_proj.weight.grad.any()


def test_a_codebook_that_does_not_divide_is_refused():
    given = config()
    given.codevector_dim = 15
    with pytest.raises(ValueError, match="codevector_dim to be a multiple of num_codevector_groups=2, found 15"):
        GumbelVectorQuantizer(given)


def test_memory_of_a_step_is_a_tenth_of_theirs():
    """No tensor of frames x codewords x width is made: the largest allocation of any one operation says so."""
    shape = {"num_codevectors_per_group": 64, "codevector_dim": 128}
    mine, other, _ = both(**shape)
    features = torch.randn(1, 100, 16)
    peak = []
    for quantizer in (mine.train(), other.train()):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
            quantizer(features)[0].sum().backward()
        peak.append(max(event.cpu_memory_usage for event in profile.events()))
    assert peak[0] < peak[1] / 10


# In the model


def test_pretraining_output_is_the_quantizers_word():
    model = ours("UniSpeechForPreTraining")
    with torch.no_grad():
        output = model(**speech(padded=False))
        features = model.unispeech(**speech(padded=False)).extract_features
        quantized = model.quantizer(features)
    assert torch.equal(output.codes, quantized.codes)
    assert_near(output.projected_quantized_states, model.project_hid(model.project_q(quantized.vectors)))
    assert output.codevector_perplexity == quantized.code_perplexity
    assert not output.replaced.any()


def test_perplexity_is_of_the_softmax_in_training_of_the_codes_in_eval():
    mine, other = pair("UniSpeechForPreTraining", apply_spec_augment=False, **STILL)
    inputs = speech(padded=False)
    with torch.no_grad():
        assert_near(mine(**inputs).codevector_perplexity, other(**inputs).codevector_perplexity)
        found, expected = mine.train()(**inputs), other.train()(**inputs)
    assert_near(found.codevector_perplexity, expected.codevector_perplexity)


def test_temperature_is_set():
    model = ours("UniSpeechForPreTraining")
    model.set_gumbel_temperature(0.25)
    assert model.quantizer.temperature == 0.25


def test_replacement_decides_what_the_ctc_head_sees():
    """Reference 6.20: with no frame replaced it does not see the codewords, with all it sees nothing else."""
    model = ours("UniSpeechForPreTraining", **STILL)
    inputs, shape = speech(padded=False), (2, 12)
    with torch.no_grad():
        none, every = (model(**inputs, replaced=torch.full(shape, flag)).ctc_logits for flag in (False, True))
        plain = model(**inputs)
        assert torch.equal(none, plain.ctc_logits) and torch.equal(none, model.ctc_proj(plain.projected_states))
        assert torch.equal(every, model.ctc_proj(plain.projected_quantized_states))
        some = torch.arange(12).expand(2, 12) % 3 == 0
        mixed = model(**inputs, replaced=some).ctc_logits
    assert torch.equal(mixed[some], every[some]) and torch.equal(mixed[~some], none[~some])


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_replaced_frames(share):
    model = ours("UniSpeechForPreTraining", replace_prob=share).train()
    drawn = model.draw_replaced(torch.zeros(40, 100, 1), torch.Generator().manual_seed(0))
    assert drawn.float().mean().item() == pytest.approx(share, abs=0.03)
    assert drawn.dtype == torch.bool and not model.eval().draw_replaced(torch.zeros(4, 10, 1)).any()


def test_a_codeword_out_of_reach_leaves_the_gradient_finite():
    """A probability that underflows in every frame: d(p log p) is infinite there, its share of the gradient is not."""
    logits = torch.zeros(1, 5, 1, 4)
    logits[..., 3] = -200.0
    logits.requires_grad_()
    found = perplexity(logits.softmax(-1))
    found.backward()
    assert found.item() == pytest.approx(3.0) and logits.grad.isfinite().all()
    silence = torch.zeros(1, 5, dtype=torch.bool)
    perplexity(logits.softmax(-1), silence).backward()
    assert logits.grad.isfinite().all()
