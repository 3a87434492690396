"""Objective: the authors' recorded losses term by term, and what must hold for any draw."""

import numpy as np
import pytest
import recorded_step
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models import STILL, assert_near, ours, speech
from test_oracle import GOLDEN, NAMES, golden, model_of, noise_of, our_key, recordings
from torch.nn import functional as F
from transformers.models.wav2vec2.modeling_wav2vec2 import _sample_negative_indices

import unispeech_lab
from unispeech_lab.frames import Frames
from unispeech_lab.nn.masking import below, sample_negatives
from unispeech_lab.objective import AUTHORS, Objective, Step, by_blocks

beside = pytest.mark.skipif(not GOLDEN.is_file(), reason="the authors' recordings are not beside the checkout")

SECOND_STAGE = {"alpha": 0.0, "negatives_from": "masked"}
PENALTY = {"weights": {"contrastive": 1.0, "diversity": 0.1, "feature_penalty": 10.0}}
CHANGES = {"B": PENALTY, "C": {"negatives_from": "masked"}, "G": SECOND_STAGE}


def recorded_negatives(case):
    """(b, t, k) counted through the batch, as the model takes them; the authors count through the pool."""
    hidden = torch.ones(3, 49, dtype=torch.bool) if case == "E" else golden(case, "rand/mask_time_indices")
    batch, frames = hidden.shape
    drawn = golden(case, "rand/negative_indices_flat").view(batch, -1, 10)
    if case in "CG":  # their pool is the masked frames of all utterances, in order
        drawn = hidden.flatten().nonzero()[:, 0][drawn]
    negatives = torch.full((batch, frames, 10), -1)
    negatives[hidden] = drawn.flatten(0, 1)
    return negatives


def as_the_authors(case):
    """The whole forward of a case, every draw given, and the model."""
    model = model_of(case)
    model.objective = Objective.from_config(model.config, **{**AUTHORS, "num_negatives": 10, **CHANGES.get(case, {})})
    front_end = model.unispeech.feature_extractor.forward
    model.unispeech.feature_extractor.forward = lambda waveform, lengths: front_end(waveform)  # of padding as well
    given = {"input_values": golden(case, "in/source"), "sampled_negative_indices": recorded_negatives(case)}
    batch = len(given["input_values"])
    if case != "G":
        labels = golden(case, "in/target")
        given["labels"] = labels.masked_fill(labels >= 11, -100)
        given["replaced"] = golden(case, "rand/replace_mask_TB").T
    if case not in "DG":
        given["attention_mask"] = (~golden(case, "in/sample_padding_mask")).long()
    if case != "E":
        hidden = given["mask_time_indices"] = golden(case, "rand/mask_time_indices")
        masked = torch.zeros(*hidden.shape, 2, 8)
        masked[hidden] = noise_of(case, "masked", 1)[0]
        noises = iter([masked, noise_of(case, "all_frames", batch)])
        quantize = model.quantizer.forward
        model.quantizer.forward = lambda z, over, **_: quantize(z, over, noise=next(noises))
    return model, model(**given)


@beside
@pytest.mark.parametrize("case", NAMES)
def test_every_term_is_the_authors(case):
    _, output = as_the_authors(case)
    frames = golden(case, "loss/sample_size").item()
    assert output.sample_size == frames
    weighted = {"contrastive": ("contrastive_sum", 1), "diversity": ("diversity_weighted_times_sample_size", 0.1)}
    if case != "G":
        weighted["ctc"] = ("ctc_sum", 1)
    if case == "B":
        weighted["feature_penalty"] = ("feature_pen_weighted_times_sample_size", 10)
    assert output.terms.keys() == weighted.keys()
    for name, (theirs, weight) in weighted.items():
        expected = golden(case, f"loss/{theirs}").item()
        assert weight * frames * output.terms[name].item() == pytest.approx(expected, rel=1e-5), name
    assert frames * output.loss.item() == pytest.approx(golden(case, "loss/total").item(), rel=1e-5)
    if case != "G":
        correct = golden(case, "loss/correct").item()
        assert output.accuracy * golden(case, "loss/count").item() == pytest.approx(correct)


@beside
@pytest.mark.parametrize("case", "ACD")
def test_every_gradient_is_the_authors(case):
    model, output = as_the_authors(case)
    (output.loss * output.sample_size).backward()
    prefix = f"{NAMES[case]}/grads/"
    theirs = {our_key(name.removeprefix(prefix)): name for name in recordings() if name.startswith(prefix)}
    ours = {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}
    assert ours.keys() == theirs.keys()
    for name, recorded in theirs.items():
        expected = torch.from_numpy(recordings()[recorded])
        if name.endswith("k_proj.bias"):  # nought: it moves all of a row's scores alike
            assert max(ours[name].abs().max(), expected.abs().max()) < 1e-7
        else:
            assert_near(ours[name], expected, 5e-5, name)


@pytest.mark.parametrize("setting", recorded_step.SETTINGS)
def test_a_recorded_step_of_our_own(setting):
    """The same without the authors' file: see the note of ``recorded_step``."""
    arrays = recorded_step.read()
    found = recorded_step.step(arrays, setting)
    said = {name.removeprefix(f"said/{setting}/"): v for name, v in arrays.items() if f"said/{setting}/" in name}
    assert found.keys() == said.keys() and len(said) >= 7
    for name, expected in said.items():
        assert_near(found[name], expected, 2e-5, name)


# What must hold for any draw

LABELS = torch.tensor([[3, 4, -100], [1, -100, -100]])
UNLABELLED = torch.full((1, 3), -100)


def training(alpha=0.5, objective=None, **changes):
    """One of our small models in training, nothing random in it but masks, noise, replacement and negatives."""
    drawn = {"mask_time_prob": 0.4, "num_negatives": 6}
    model = ours("UniSpeechForPreTraining", alpha=alpha, **{**STILL, **drawn, **changes})
    if objective is not None:
        model.objective = objective_of(model, **objective)
    return model.train()


def objective_of(model, **changes):
    return Objective.from_config(model.config, **changes)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_step(seed=0, batch=2, frames=9, **changes):
    """A step of random tensors, the last utterance two frames shorter."""
    torch.manual_seed(seed)
    speech = torch.ones(batch, frames, dtype=torch.bool)
    speech[-1, -2:] = False
    parts = {
        "states": torch.randn(batch, frames, 5, requires_grad=True),
        "positives": torch.randn(batch, frames, 5, requires_grad=True),
        "codes": torch.randint(0, 3, (batch, frames, 2)),
        "pool": torch.randn(batch, frames, 5, requires_grad=True),
        "pool_codes": torch.randint(0, 3, (batch, frames, 2)),
        "speech": speech,
        "predicted": speech & (torch.rand(batch, frames) < 0.6),
        "perplexity": torch.tensor(4.0),
        "codewords": 6,
        "replaced": torch.zeros(batch, frames, dtype=torch.bool),
        "ctc_logits": torch.randn(batch, frames, 7, requires_grad=True),
        "labels": torch.tensor([[1, 2, 2]] * batch),
        "negatives": torch.randint(-1, frames - 2, (batch, frames, 4)),  # -1: none
    }
    return Step(**{**parts, **changes})


@pytest.mark.parametrize("seed", range(4))
def test_contrastive_by_hand(seed):
    """Frame by frame, negative by negative, as the paper writes it."""
    step, objective = random_step(seed), Objective(blank=0)
    right = 0
    for b in range(2):
        expected = torch.zeros(())
        for t in step.predicted[b].nonzero()[:, 0]:
            logits = [F.cosine_similarity(step.states[b, t], step.positives[b, t], dim=0) / 0.1]
            for n in step.negatives[b, t]:
                if n >= 0 and not torch.equal(step.codes[b, t], step.pool_codes[b, n]):
                    logits.append(F.cosine_similarity(step.states[b, t], step.pool[b, n], dim=0) / 0.1)
            expected = expected - torch.stack(logits).log_softmax(0)[0]
            right += int(len(logits) > 1 and logits[0] == max(logits))
        assert_near(objective.contrastive(step)[b], expected, 1e-5)
    assert objective.accuracy(step) == pytest.approx(right / step.predicted.sum().item())


def test_negatives_as_huggingfaces_wav2vec2_takes_them():
    """Its negatives, its cosines, its cross-entropy; equal codewords left in, since it compares floats."""
    model = training(objective={"alpha": 0.0, "weights": {"contrastive": 1.0}})
    hidden = torch.rand(2, 12, generator=seeded(1)) < 0.5
    hidden[1, 9:] = False
    np.random.seed(0)
    drawn = torch.from_numpy(_sample_negative_indices((2, 12), 6, hidden.numpy())).long()
    output = model(**speech(), mask_time_indices=hidden, sampled_negative_indices=drawn, labels=LABELS)
    c, q = output.projected_states, output.projected_quantized_states
    negatives = q.reshape(24, -1)[drawn.flatten()].view(2, 12, 6, -1).permute(2, 0, 1, 3)
    logits = model.compute_contrastive_logits(q[None], negatives, c, 0.1)
    same = (q == negatives).all(-1)
    logits[1:] = logits[1:].masked_fill(same, -torch.inf)
    expected = F.cross_entropy(logits.permute(1, 2, 0)[hidden], torch.zeros(hidden.sum(), dtype=torch.long))
    assert_near(output.loss, expected, 1e-5)
    assert torch.equal(output.sampled_negative_indices[hidden], drawn[hidden])
    assert (output.sampled_negative_indices[~hidden] == -1).all()


def test_what_a_forward_says_may_be_given_again():
    model = training()
    first = model(**speech(), labels=LABELS, generator=seeded())
    quantize = model.quantizer.forward
    noise = torch.zeros(2, 12, 2, 8).scatter_(-1, first.codes[..., None], 1e4)  # the same codes again
    model.quantizer.forward = lambda z, over, **_: quantize(z, over, noise=noise)
    given = {name: first[name] for name in ("mask_time_indices", "sampled_negative_indices", "replaced")}
    again = model(**speech(), labels=LABELS, **given)
    assert_near(again.loss, first.loss, 1e-6)
    assert all(torch.equal(again[name], first[name]) for name in given)


@pytest.mark.parametrize("seed", range(5))
def test_perplexity_and_diversity_in_their_ranges(seed):
    model = training()
    with torch.no_grad():
        model.quantizer.weight_proj.weight *= 10.0 ** (seed - 2)
    output = model(**speech(), generator=seeded(seed))
    perplexity, diversity = output.codevector_perplexity.item(), output.terms["diversity"].item()
    assert 2 <= perplexity <= 16
    assert diversity == pytest.approx(1 - perplexity / 16, abs=1e-6)
    assert 0 <= diversity <= 1 - 1 / 8


@pytest.mark.parametrize(("share", "untouched"), [(0.0, ("quantizer.", "project_")), (1.0, ("unispeech.encoder.",))])
def test_who_learns_from_ctc(share, untouched):
    """r=0: the quantizer does not; r=1: the transformer does not."""
    model = training(alpha=1.0, replace_prob=share)
    model(**speech(), labels=LABELS, generator=seeded()).loss.backward()
    gradients = {name: 0.0 if w.grad is None else w.grad.abs().max().item() for name, w in model.named_parameters()}
    for name, gradient in gradients.items():
        assert gradient == 0 or not name.startswith(untouched), name
    others = ("unispeech.encoder.",) if share == 0 else ("quantizer.", "project_")
    assert any(gradient > 0 for name, gradient in gradients.items() if name.startswith(others))
    assert gradients["ctc_proj.weight"] > 0


def test_alpha_nought_leaves_the_ctc_head_alone():
    model = training(alpha=0.0)
    output = model(**speech(), labels=LABELS, generator=seeded())
    output.loss.backward()
    assert model.ctc_proj.weight.grad is None and output.terms.keys() == {"contrastive", "diversity"}
    assert_near(output.loss, output.terms["contrastive"] + 0.1 * output.terms["diversity"], 1e-6)
    assert_near(output.loss, model(**speech(), generator=seeded()).loss, 0)


def test_alpha_one_computes_nothing_but_ctc():
    model = training(alpha=1.0)
    output = model(**speech(), labels=LABELS, generator=seeded())
    assert output.terms.keys() == {"ctc"} and output.sampled_negative_indices is None and output.accuracy is None
    assert_near(output.loss, output.terms["ctc"], 0)
    for labels in (None, torch.full((2, 3), -100)):
        with pytest.raises(ValueError, match="expected labels, found none: with alpha=1 CTC is the only term"):
            model(**speech(), labels=labels)


@pytest.mark.parametrize("alpha", [0.3, 0.5])
def test_labelled_and_unlabelled_in_one_batch(alpha):
    """Each utterance has its own weights: 1 - alpha beside CTC, or 1 alone; the batch's diversity weighs as they do."""
    step = random_step(labels=torch.tensor([[1, 2], [-100, 0]]))
    loss, terms = Objective(blank=0, alpha=alpha)(step)
    scores = step.ctc_logits[:1].log_softmax(-1).transpose(0, 1)
    ctc = F.ctc_loss(scores, torch.tensor([1, 2]), [9], [2], blank=0, reduction="sum")
    counts = step.predicted.sum(1)
    contrastive = Objective(blank=0).contrastive(step) + 0.1 * terms["diversity"] * counts
    assert_near(loss, (alpha * ctc + (1 - alpha) * contrastive[0] + contrastive[1]) / counts.sum(), 1e-6)
    assert_near(terms["ctc"], ctc / counts.sum(), 1e-6)


def test_one_sum_over_both_sets():
    """The loss of a batch is linear in who has labels: each alone and the other alone are both and none."""
    rows = torch.tensor([[1, 1], [0, 0], [1, 0], [0, 1]], dtype=torch.bool)
    outputs = [
        training()(**speech(), labels=LABELS.masked_fill(~row[:, None], -100), generator=seeded()) for row in rows
    ]
    both, none, first, second = (output.loss.double() for output in outputs)
    assert_near(first + second, both + none, 1e-6)
    assert abs(first - second) > 0.01 and "ctc" in outputs[2].terms and "ctc" not in outputs[1].terms


def test_a_batch_without_labels_has_the_rest_at_full_weight():
    output = training(alpha=0.5)(**speech(), generator=seeded())
    assert_near(output.loss, output.terms["contrastive"] + 0.1 * output.terms["diversity"], 1e-6)


@pytest.mark.parametrize("negatives_from", ["speech", "masked"])
def test_padding_changes_nothing(negatives_from):
    """More padding at the end of a batch, layer norm in front: the same loss, terms and gradients."""
    found = []
    for extra in (0, 1000):
        model = training(replace_prob=0.0, objective={"negatives_from": negatives_from}).eval()
        inputs = {name: F.pad(value, (0, extra)) for name, value in speech().items()}
        hidden = torch.zeros(2, 12, dtype=torch.bool)
        hidden[0, 2:6] = hidden[1, 4:8] = True
        drawn = torch.randint(0, 8, (2, 12, 6), generator=seeded(3))
        frames = model.frames.count(inputs["input_values"].shape[1])
        drawn = F.pad(drawn, (0, 0, 0, frames - 12)) + frames * torch.arange(2)[:, None, None]
        hidden = F.pad(hidden, (0, frames - 12))
        output = model(**inputs, labels=LABELS, mask_time_indices=hidden, sampled_negative_indices=drawn)
        output.loss.backward()
        found.append((output, {name: w.grad for name, w in model.named_parameters()}))
    (short, gradients), (long, others) = found
    assert long.ctc_logits.shape[1] > short.ctc_logits.shape[1]
    for name in ("ctc", "contrastive", "diversity"):
        assert_near(long.terms[name], short.terms[name], 1e-5, name)
    assert_near(long.loss, short.loss, 1e-5)
    assert_near(others["project_q.weight"], gradients["project_q.weight"], 1e-5)


def test_the_same_generator_gives_the_same_loss():
    model = training(replace_prob=0.5)
    losses = [model(**speech(), labels=LABELS, generator=seeded(seed)).loss for seed in (0, 0, 1)]
    assert torch.equal(losses[0], losses[1]) and not torch.equal(losses[0], losses[2])


def test_nothing_to_learn_from_costs_nothing(monkeypatch):
    """Validation without labels, mask or negatives: no loss, one call of the quantizer, no negative drawn."""
    model = training(objective=AUTHORS).eval()
    monkeypatch.setattr(model.objective, "draw_negatives", None)
    calls, quantize = [], model.quantizer.forward
    model.quantizer.forward = lambda *given, **named: calls.append(1) or quantize(*given, **named)
    output = model(**speech())
    assert output.loss is None and output.terms is None and calls == [1]


def test_validation_predicts_every_frame_of_speech():
    model = training().eval()
    output = model(**speech((4000, 3000)), labels=LABELS, generator=seeded())
    heard = torch.arange(12) < torch.tensor([12, 9])[:, None]
    assert output.sample_size == 21 and output.mask_time_indices is None and not output.replaced.any()
    assert torch.equal((output.sampled_negative_indices >= 0).all(-1), heard)
    assert output.terms.keys() == {"ctc", "contrastive", "diversity"}
    model.objective = objective_of(model, padding="counted", replaces="always")
    theirs = model(**speech((4000, 3000)), labels=LABELS, generator=seeded())
    assert theirs.sample_size == 24 and theirs.replaced.any()


@pytest.mark.parametrize(("choice", "alpha", "calls"), [("shared", 0.5, 1), ("separate", 0.5, 2), ("separate", 1, 1)])
def test_draws_of_the_quantizer(choice, alpha, calls):
    """A second one only where it is asked for and something is compared with it."""
    model = training(objective={"quantizer_draws": choice, "alpha": alpha})
    noises, quantize = [], model.quantizer.forward
    model.quantizer.forward = lambda *given, **named: noises.append(quantize(*given, **named)) or noises[-1]
    output = model(**speech(), labels=LABELS, generator=seeded())
    assert len(noises) == calls and torch.equal(output.codes, noises[-1].codes)
    assert calls == 1 or not torch.equal(noises[0].codes, noises[1].codes)


def test_perplexity_of_predicted_frames_alone():
    model = training(objective={"diversity_over": "predicted"})
    output = model(**speech(), generator=seeded())
    z = model.unispeech(**speech(), mask_time_indices=output.mask_time_indices).extract_features
    logits = model.quantizer.weight_proj(z[output.mask_time_indices]).view(-1, 2, 8)
    mean = logits.softmax(-1).mean(0)
    expected = torch.exp(-(mean * mean.log()).sum(-1)).sum()
    assert_near(output.terms["diversity"], 1 - expected / 16, 1e-5)
    assert not torch.isclose(expected, training()(**speech(), generator=seeded()).codevector_perplexity)


def test_ctc_by_label_is_the_mean_over_labelled_utterances():
    step = random_step(labels=torch.tensor([[1, 2, 2], [4, -100, 0]]))
    scores = step.ctc_logits.log_softmax(-1).transpose(0, 1)
    lengths = step.speech.sum(1)
    targets = torch.tensor([1, 2, 2, 4])
    expected = F.ctc_loss(scores, targets, lengths, torch.tensor([3, 1]), blank=0, reduction="mean")
    assert_near(Objective(blank=0, ctc_per="label")(step)[1]["ctc"], expected, 1e-6)
    whole = F.ctc_loss(scores, targets, lengths, torch.tensor([3, 1]), blank=0, reduction="sum")
    assert_near(Objective(blank=0)(step)[1]["ctc"], whole / step.predicted.sum(), 1e-6)


def test_the_blank_is_a_class_of_its_own():
    step = random_step(labels=torch.tensor([[1, 2, 2], [3, 1, -100]]))
    first, last = (Objective(blank=blank)(step)[1]["ctc"] for blank in (0, 6))
    assert not torch.isclose(first, last)
    assert training().objective.blank == 10 and training(ctc_blank=3).objective.blank == 3


def test_negatives_of_the_same_codes():
    """All of them: nothing to tell apart, a loss of nought, gradients that are numbers."""
    alike = torch.zeros(2, 9, 2, dtype=torch.long)
    step = random_step(codes=alike, pool_codes=alike)
    loss, terms = Objective(blank=0, alpha=0.0, weights={"contrastive": 1.0})(step)
    loss.backward()
    assert terms["contrastive"] == 0
    assert all(torch.isfinite(x.grad).all() for x in (step.states, step.positives, step.pool))
    assert Objective(blank=0, equal_negatives="kept")(step)[1]["contrastive"] > 0.1


def test_accuracy_where_nothing_can_be_told_apart():
    """Reference 2.3: a positive that is as near as every negative is not found; one without negatives is (authors)."""
    same, alike = torch.eye(5)[0].expand(2, 9, 5), torch.zeros(2, 9, 2, dtype=torch.long)
    negatives = torch.zeros(2, 9, 4, dtype=torch.long)
    step = random_step(positives=same, pool=same, codes=alike, pool_codes=alike, negatives=negatives)
    assert Objective(blank=0, equal_negatives="kept").accuracy(step) == 0
    assert Objective(blank=0).accuracy(step) == 1


def test_a_weight_of_nought_is_not_computed_and_a_new_term_is_a_method():
    class Mine(Objective):
        def diversity(self, step):
            raise AssertionError("computed")

        def length(self, step):
            """(b,) of every state, summed over the predicted frames."""
            return (step.states.norm(dim=-1) * step.predicted).sum(1)

    step = random_step()
    weights = {"contrastive": 1.0, "diversity": 0.0, "length": 2.0}
    loss, terms = Mine(blank=0, alpha=0.0, weights=weights)(step)
    assert terms.keys() == {"contrastive", "length"}
    assert_near(terms["length"], step.states.norm(dim=-1)[step.predicted].mean(), 1e-6)
    assert_near(loss, terms["contrastive"] + 2 * terms["length"], 1e-6)


def test_no_frame_to_predict_is_a_loss_of_nought():
    step = random_step(predicted=torch.zeros(2, 9, dtype=torch.bool))
    loss, terms = Objective(blank=0, alpha=0.0, weights={"contrastive": 1.0})(step)
    loss.backward()
    assert loss == 0 and torch.isfinite(step.states.grad).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_precision(dtype):
    model = training().to(dtype).eval()
    inputs = speech()
    inputs["input_values"] = inputs["input_values"].to(dtype)
    hidden = torch.rand(2, 12, generator=seeded(1)) < 0.5
    expected = training().eval()(**speech(), mask_time_indices=hidden, labels=LABELS, generator=seeded())
    output = model(**inputs, mask_time_indices=hidden, labels=LABELS, generator=seeded())
    assert_near(output.loss, expected.loss, 0.1 if dtype == torch.bfloat16 else 1e-5)
    assert output.loss.dtype == torch.promote_types(dtype, torch.float32)


def test_half_precision_by_autocast_computes_cosines_in_float32():
    expected = random_step().cosines
    with torch.autocast("cpu", torch.bfloat16):
        assert_near(random_step().cosines, expected, 0)


def test_config_says_the_objective_and_keeps_it(tmp_path):
    settings = {"ctc_blank": 2, "diversity_loss_weight": 0.7, "num_negatives": 9, "contrastive_logits_temperature": 0.3}
    training(alpha=0.25, **settings).save_pretrained(tmp_path)
    objective = unispeech_lab.UniSpeechForPreTraining.from_pretrained(tmp_path).objective
    assert objective == Objective(2, 0.25, {"contrastive": 1.0, "diversity": 0.7}, 0.3, 9)


@pytest.mark.parametrize(
    ("samples", "frames"), [(16_000, 49), (15_999, 49), (12_800, 40), (9_600, 30), (326, 1), (327, 2), (0, 0)]
)
def test_lengths_by_blocks(samples, frames):
    """Reference 2.2: blocks of 326 samples for 16000; 12800 and 9600 are 39 and 29 frames by receptive fields."""
    mask = (torch.arange(16_000) < torch.tensor([16_000, samples])[:, None]).long()
    assert Frames().count(by_blocks(mask, Frames()).sum(1)).tolist() == [49, frames]


def test_labels_that_do_not_fit_their_frames():
    """Infinite, as the authors leave it; nought where the config says ctc_zero_infinity."""
    labels = torch.tensor([[1] * 7, [1, -100, -100, -100, -100, -100, -100]])  # 13 frames at least, of 12
    inputs = {**speech(), "labels": labels, "generator": seeded()}
    assert training()(**inputs).loss == torch.inf
    assert torch.isfinite(training(ctc_zero_infinity=True)(**{**inputs, "generator": seeded()}).loss)


def test_padding_is_not_predicted_even_where_it_is_masked():
    model = training()
    output = model(**speech(), mask_time_indices=torch.ones(2, 12, dtype=torch.bool), generator=seeded())
    assert output.sample_size == 12 + 9 and output.mask_time_indices.all()


# Negatives


@pytest.mark.parametrize(
    ("choice", "padding", "own", "from_where"),
    [
        ("speech", "counted", False, "speech"),
        ("masked", "counted", False, "predicted"),
        ("everywhere", "ignored", True, "speech"),
        ("everywhere", "counted", True, "all"),
    ],
)
def test_where_negatives_come_from(choice, padding, own, from_where):
    """Of an utterance of 7 frames of speech, 2 of padding, in which frames 3 to 5 are masked."""
    predicted = torch.zeros(2, 9, dtype=torch.bool)
    predicted[:, 3:6] = True
    step = random_step(predicted=predicted)
    objective = Objective(blank=0, negatives_from=choice, padding=padding, num_negatives=500)
    drawn = objective.draw_negatives(step, seeded())[1, 3:6]
    where = {"speech": range(7), "predicted": range(3, 6), "all": range(9)}[from_where]
    assert set(drawn.flatten().tolist()) == set(where)
    assert (drawn == torch.arange(3, 6)[:, None]).any().item() == own


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_negative_is_never_its_own_frame_and_never_padding(data):
    batch, frames = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 25))
    lengths = torch.tensor(data.draw(st.lists(st.integers(0, frames), min_size=batch, max_size=batch)))
    heard = torch.arange(frames) < lengths[:, None]
    generator = seeded(data.draw(st.integers(0, 1000)))
    predicted = heard & (torch.rand(batch, frames, generator=generator) < 0.5)
    pool = heard if data.draw(st.booleans()) else predicted
    negatives = sample_negatives(predicted, pool, 7, generator=generator)
    assert negatives.shape == (batch, frames, 7)
    drawn = negatives >= 0
    assert not (negatives == torch.arange(frames)[:, None]).any()
    assert pool[torch.arange(batch)[:, None, None], negatives.clamp(min=0)][drawn].all()
    possible = predicted & (pool.sum(1, keepdim=True) > 1)
    assert torch.equal(drawn, possible[..., None].expand(-1, -1, 7))


@pytest.mark.parametrize("rule", ["others", "ranks"])
def test_every_frame_of_the_pool_is_as_likely(rule):
    """Frame 4 is the second predicted: it skips itself, or by the authors' rank the pool's second frame, 2."""
    predicted, pool = torch.zeros(1, 8, dtype=torch.bool), torch.ones(1, 8, dtype=torch.bool)
    predicted[0, [1, 4]] = True
    pool[0, [1, 7]] = False  # pool: 0 2 3 4 5 6
    drawn = sample_negatives(predicted, pool, 6000, rule=rule, generator=seeded())[0]
    counts = torch.bincount(drawn[4], minlength=8)
    expected = {0, 2, 3, 5, 6} if rule == "others" else {0, 3, 4, 5, 6}
    assert set(counts.nonzero()[:, 0].tolist()) == expected
    assert (counts[sorted(expected)] - 1200).abs().max() < 5 * 31  # five standard deviations
    assert set(drawn[1].tolist()) == ({0, 2, 3, 4, 5, 6} if rule == "others" else {2, 3, 4, 5, 6})  # not in the pool


def test_by_rank_all_frames_may_be_drawn_their_own_too():
    """Reference 2.3: with all frames as the pool, 8 of 360 recorded draws are the true frame."""
    predicted, pool = torch.zeros(1, 9, dtype=torch.bool), torch.ones(1, 9, dtype=torch.bool)
    predicted[0, 5:] = True
    drawn = sample_negatives(predicted, pool, 2000, rule="ranks", generator=seeded())[0]
    for rank, frame in enumerate(range(5, 9)):
        assert set(drawn[frame].tolist()) == set(range(9)) - {rank}


def test_numbers_below_a_bound():
    """Each as likely, any two of a row as if drawn apart: every pair of numbers below 5 in a 25th of 60,000 rows."""
    bounds = torch.tensor([[5], [1], [3], [748], [2**15]], dtype=torch.int32)
    numbers = below(bounds.repeat(60_000, 1), 3, seeded()).view(60_000, 5, 3)
    assert (numbers.amin((0, 2)) == 0).all()
    highest = numbers.amax((0, 2)).tolist()
    assert highest[:4] == [4, 0, 2, 747] and 2**15 - 60 < highest[4] < 2**15
    for first, second in ((0, 1), (1, 2), (0, 2)):
        pairs = torch.bincount(numbers[:, 0, first] * 5 + numbers[:, 0, second], minlength=25)
        assert (pairs - 2400).abs().max() < 5 * 48  # five standard deviations
    counts = torch.bincount(numbers[:, 3].flatten(), minlength=748)
    chi_square = ((counts - 180_000 / 748) ** 2 / (180_000 / 748)).sum().item()
    assert abs(chi_square - 747) < 5 * (2 * 747) ** 0.5


def test_under_torch_compile_the_draws_are_the_same():
    """However many frames are predicted, which a compiled graph could not follow."""
    compiled = torch.compile(lambda *given: sample_negatives(*given, 100) + 0, backend="eager")
    pool = torch.ones(2, 200, dtype=torch.bool)
    for share in (0.2, 0.5, 0.9):
        predicted = torch.rand(2, 200, generator=seeded()) < share
        torch.manual_seed(1)
        found = compiled(predicted, pool)
        torch.manual_seed(1)
        assert torch.equal(found, sample_negatives(predicted, pool, 100))


def test_negatives_in_more_frames_than_16_bits_hold():
    pool = torch.ones(1, 70_000, dtype=torch.bool)
    predicted = torch.zeros_like(pool)
    predicted[0, [0, 69_999]] = True
    drawn = sample_negatives(predicted, pool, 20_000, generator=seeded())[0, [0, 69_999]]
    assert drawn.amin(1).tolist()[0] >= 1 and drawn[0].max() > 69_900 and drawn[1].min() < 100
    assert drawn[1].max() < 69_999
    assert abs(drawn.float().mean().item() - 35_000) < 5 * 20_207 / 200


# Doors


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"alpha": 1.5}, r"expected alpha in \[0, 1\], found 1.5"),
        ({"quantizer_draws": "two"}, "expected quantizer_draws to be one of 'shared', 'separate', found 'two'"),
        ({"weights": {"contrast": 1.0}}, "expected weights of terms that Objective has a method for .* found contrast"),
    ],
)
def test_objectives_that_do_not_exist(changes, says):
    with pytest.raises(ValueError, match=says):
        Objective(**{"blank": 0, **changes})


@pytest.mark.parametrize("bad", [14, -1])
def test_a_label_that_is_no_class(bad):
    says = rf"expected labels from 0 to 13 \(num_ctc_classes=14\) or -100, found \[{bad}\]"
    with pytest.raises(ValueError, match=says):
        training()(**speech(), labels=torch.tensor([[1, 2], [3, bad]]))


def test_a_blank_that_is_no_class():
    with pytest.raises(ValueError, match=r"expected ctc_blank to be a class, 0 to 13 .*found 14"):
        training(ctc_blank=14)
    with pytest.raises(
        ValueError, match=r"expected a blank from 0 to 13 \(num_ctc_classes=14\), found 80: set ctc_blank"
    ):
        training(objective={"blank": 80})(**speech(), labels=LABELS)


def test_negatives_that_do_not_fit():
    model, hidden = training(), torch.ones(2, 12, dtype=torch.bool)
    given = {"mask_time_indices": hidden, **speech(padded=False)}
    with pytest.raises(ValueError, match=r"lie in the utterance of their frame \(utterance \* 12 .*found \[3\]"):
        model(**given, sampled_negative_indices=torch.full((2, 12, 4), 3))
    with pytest.raises(ValueError, match=r"shape \(2, 12, 'negatives'\).*found \(2, 48\)"):
        model(**given, sampled_negative_indices=torch.zeros(2, 48, dtype=torch.long))


@pytest.mark.parametrize(("changes", "says"), [({"rule": "any"}, "found 'any'"), ({"count": 0}, "found 0: set num")])
def test_rules_for_negatives_that_do_not_exist(changes, says):
    pool = torch.ones(1, 4, dtype=torch.bool)
    with pytest.raises(ValueError, match=says):
        sample_negatives(pool, pool, **{"count": 3, **changes})
