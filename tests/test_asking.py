"""What a view may ask of a model: another forward, of the same sound or of another, changed or not."""

import numpy as np
import pytest
import torch
from models import SIZES

from unispeech_lab import UniSpeechConfig, UniSpeechForPreTraining
from unispeech_lab.corpus import Utterance
from unispeech_lab.views import load
from unispeech_lab.views.asking import RESUMED, Hear, has, prepare, watched

SOUND = Utterance("noise", np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.1)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return UniSpeechForPreTraining(UniSpeechConfig(**SIZES)).eval()


def silence(pattern):
    return torch.zeros_like(pattern)


def test_hears_what_is_watched(model):
    heard = Hear(SOUND, ("ctc_proj",))(model)
    assert list(heard) == ["ctc_proj"] and heard.samples == 8000


def test_a_change_is_heard_and_gone_afterwards(model):
    before = Hear(SOUND, ("ctc_proj",))(model)["ctc_proj"]
    changed = Hear(SOUND, ("ctc_proj",), {"layers.1.attention.pattern": silence})(model)["ctc_proj"]
    after = Hear(SOUND, ("ctc_proj",))(model)["ctc_proj"]
    assert not torch.allclose(before, changed) and torch.equal(before, after)


def test_given_a_trace_only_the_layers_after_the_change_run(model, monkeypatch):
    names = ("ctc_proj", "layers.*.attention.pattern", *watched(model, [], RESUMED))
    given = Hear(SOUND, names)(model)
    changes = {"layers.1.attention.pattern": silence}
    ran = []
    for k, layer in enumerate(model.unispeech.encoder.layers):
        whole = layer.feed_forward.forward
        monkeypatch.setattr(layer.feed_forward, "forward", lambda x, k=k, whole=whole: ran.append(k) or whole(x))
    short = Hear(SOUND, ("ctc_proj",), changes, given)(model)["ctc_proj"]
    assert ran == [1, 2]
    full = Hear(SOUND, names, changes)(model)["ctc_proj"]
    assert ran == [1, 2, 0, 1, 2] and torch.allclose(short, full, atol=1e-6)


def test_further_inputs_reach_the_forward(model):
    frames = model.config.frames.count(8000)
    hidden = torch.zeros(1, frames, dtype=torch.bool)
    hidden[:, 3:7] = True
    heard = Hear(SOUND, ("mask",), inputs={"mask_time_indices": hidden})(model)
    assert torch.equal(heard["mask"].bool(), hidden)


def test_of_two_names_the_one_the_model_has_is_watched(model):
    posteriors = load("posteriors")
    assert has(model, "ctc_proj") and not has(model, "lm_head")
    assert watched(model, [posteriors]) == ("ctc_proj",)
    assert watched(model, [], ("lm_head|ctc_proj", "nowhere")) == ("ctc_proj",)


def test_a_name_the_model_lacks_is_left_to_record_to_refuse(model):
    bare = model.unispeech
    with pytest.raises(KeyError, match="ctc_proj"):
        Hear(SOUND, watched(bare, [load("posteriors")]))(bare)


def test_other_models_hear_zero_mean_and_unit_variance():
    inputs = prepare(torch.nn.Linear(1, 1), SOUND)["input_values"]
    assert inputs.shape == (1, 8000)
    assert inputs.mean().item() == pytest.approx(0, abs=1e-5) and inputs.std().item() == pytest.approx(1, abs=1e-3)
