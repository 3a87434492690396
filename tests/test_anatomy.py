"""The anatomy of a step: the loss put together again is the model's own, whatever share of frames is replaced."""

import numpy as np
import pytest
import torch
from models import ours
from pictures import utterance

from unispeech_lab import views
from unispeech_lab.analysis.anatomy import classes, dissect, in_the_open, keep_step, step_of, training_step
from unispeech_lab.checkpoints import load
from unispeech_lab.objective import AUTHORS, Objective
from unispeech_lab.vocabulary import Vocabulary

LABELS = [3, 1, 4, 1, 5]


@pytest.fixture(scope="module")
def model():
    return ours("UniSpeechForPreTraining")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def mask():
    return (torch.arange(49)[None] // 10) % 2 == 0


@torch.no_grad()
def loss_of(model, mask, replaced, seed=0, labels=LABELS):
    """The model's own, its negatives drawn after the 49 numbers that ``dissect`` draws first."""
    drawn = generator(seed)
    torch.rand(1, 49, generator=drawn)
    return model(
        **model.prepare([utterance()]),
        mask_time_indices=mask,
        labels=torch.tensor([labels]),
        replaced=replaced,
        generator=drawn,
    )


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_parts_make_the_models_own_loss(model, mask, share):
    anatomy = dissect(model, utterance(), mask, LABELS, replace=0.5, generator=generator())
    step = step_of(anatomy, share)
    loss, terms = model.objective(step)
    expected = loss_of(model, mask, torch.from_numpy(anatomy["draws"] < share))
    assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-5)
    assert {name: term.item() for name, term in terms.items()} == pytest.approx(
        {name: term.item() for name, term in expected.terms.items()}, rel=1e-5
    )
    assert torch.equal(step.replaced, expected.replaced)


def test_as_it_was_without_a_share(model, mask):
    anatomy = dissect(model, utterance(), mask, LABELS, replace=0.2, generator=generator())
    step = step_of(anatomy)
    assert torch.equal(step.replaced, torch.from_numpy(anatomy["draws"] < 0.2))
    assert torch.equal(step_of(anatomy, 0.2).ctc_logits, step.ctc_logits)
    assert step.labels.tolist() == [LABELS] and torch.equal(step.predicted, mask)


def test_more_is_replaced_as_r_grows_and_none_comes_back(model, mask):
    anatomy = dissect(model, utterance(), mask, generator=generator())
    less, more = (step_of(anatomy, share).replaced for share in (0.3, 0.6))
    assert (less & ~more).sum() == 0 and less.sum() < more.sum()


def test_the_authors_rules_are_kept_too(mask):
    model = ours("UniSpeechForPreTraining")
    model.objective = Objective.from_config(model.config, **AUTHORS)
    anatomy = dissect(model, utterance(), mask, LABELS, generator=generator())
    expected = loss_of(model, mask, torch.from_numpy(anatomy["draws"] < 0.5))
    assert model.objective(step_of(anatomy))[0].item() == pytest.approx(expected.loss.item(), rel=1e-5)


def test_hides_as_in_training():
    model, heard = ours("UniSpeechForPreTraining", mask_time_prob=0.5, mask_time_length=10), utterance(160_000)
    anatomy = dissect(model, heard, generator=generator())
    assert 0.3 < anatomy["step.predicted"].mean() < 0.5
    again = dissect(model, heard, generator=generator())
    assert all(np.array_equal(anatomy[name], again[name]) for name in anatomy)


def test_nothing_stays_on_the_model(model, mask):
    before = model.objective
    with pytest.raises(RuntimeError, match="stop"), keep_step(model) as kept:
        assert kept.alpha == before.alpha
        raise RuntimeError("stop")
    assert model.objective is before


def test_a_model_in_training_is_refused(mask):
    model = ours("UniSpeechForPreTraining").train()
    with pytest.raises(ValueError, match=r"in eval mode, found one in training: write model.eval\(\)"):
        dissect(model, utterance(), mask)


def test_the_model_names_its_classes(mask, tmp_path):
    model = ours("UniSpeechForPreTraining", num_ctc_classes=9)
    assert dissect(model, utterance(), mask).labels == ()
    model.save_pretrained(tmp_path)
    Vocabulary("abcde").save(tmp_path)
    anatomy = dissect(load(tmp_path), utterance(), mask)
    assert anatomy.labels[:5] == tuple("abcde") and anatomy.changed({}).labels == anatomy.labels
    _, panel = views.load("terms").panels(anatomy, utterance(), 0.5, 1.0)
    assert set(panel.words.split("After: ")[1].rstrip(".").split()) <= {*anatomy.labels, "–"}


def test_what_a_view_hears_is_the_same_each_time(tmp_path):
    """Of a training step frames are hidden, in the open none; labels are there where the model names the phones."""
    ours("UniSpeechForPreTraining", num_ctc_classes=9, mask_time_prob=0.5).save_pretrained(tmp_path)
    Vocabulary(["ð", "ə", "k", "æ", "t"]).save(tmp_path)
    model = load(tmp_path)
    said = model.vocabulary.encode(span.label for span in utterance().phones)
    for hear, hidden in ((training_step, True), (in_the_open, False)):
        once, again = hear(model, utterance()), hear(model, utterance())
        assert all(np.array_equal(once[name], again[name]) for name in once)
        assert once["step.predicted"].any() == hidden and once["step.labels"].tolist() == [said]
        assert once.objective is model.objective and once.blank == once.changed({}).blank == model.vocabulary.blank
    assert classes(model, utterance(phones=("ð", "x"))) == [] and classes(model, utterance(1360)) == []
    assert classes(ours("UniSpeechForPreTraining"), utterance()) == []  # no names at all


def test_of_an_objective_without_contrast_negatives_are_drawn_all_the_same(mask):
    model = ours("UniSpeechForPreTraining")
    model.objective = Objective.from_config(model.config, alpha=1.0)
    anatomy = dissect(model, utterance(), mask, LABELS, generator=generator())
    assert (anatomy["step.negatives"][0, mask[0].numpy()] >= 0).all()


def test_a_model_in_bfloat16_is_laid_open(mask):
    """numpy has no such type: the numbers come as they are, in another."""
    made = ours("UniSpeechForPreTraining").to(torch.bfloat16)
    found = dissect(made, utterance(), mask, LABELS, generator=generator())
    states = found["step.states"]
    assert states.dtype == np.float32
    assert np.array_equal(torch.from_numpy(states).bfloat16().float().numpy(), states)
