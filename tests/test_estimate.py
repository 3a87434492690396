"""The estimate, held against the real recording to the byte."""

import pytest
import torch
from watched_models import hooks, hugging_face, speech, tower

from unispeech_lab.config import UniSpeechConfig
from unispeech_lab.model import UniSpeechForPreTraining
from unispeech_lab.trace import record
from unispeech_lab.trace.estimate import estimate


def same(model, inputs, *names, keep=None):
    table = estimate(model, *names, inputs=inputs, keep=keep)
    with torch.no_grad(), record(model, *names, keep=keep) as trace:
        model(**inputs) if isinstance(inputs, dict) else model(*inputs)
    real = trace.table[["shape", "dtype", "bytes"]]
    assert table.sort_index().equals(real.sort_index())
    assert table["bytes"].sum() == trace.nbytes == sum(v.numel() * v.element_size() for v in trace.values()) > 0
    return table


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("norm, stable", [("group", False), ("layer", True)])
@pytest.mark.parametrize("training", [False, True])
def test_bytes_are_those_of_the_recording(norm, stable, attention, training):
    model = hugging_face(norm, stable, attention, layerdrop=0.0).train(training)
    names = ["*", "attention[1]"] if attention == "eager" else ["*"]
    same(model, speech(), *names)
    assert hooks(model) == 0


def test_one_head_is_a_quarter_of_four():
    model, batch = hugging_face(), speech()
    whole = same(model, batch, "attention[1]")
    head = same(model, batch, "attention[1]", keep=lambda pattern: pattern[:, 3])
    assert 4 * head["bytes"].sum() == whole["bytes"].sum()
    same(model, batch, "attention[1]", "layers.*", keep={"layers.*": lambda x: x.half(), "layers.2": lambda x: x})


def test_other_dtypes_and_kinds_of_input():
    x = torch.randn(2, 5, 6)
    same(tower(), (x,), "*")
    same(tower().to(torch.bfloat16), (x.bfloat16(), 2.0), "layers.*", "split[1]")
    assert estimate(tower(), "stem", inputs=x).loc["stem", "bytes"] == 2 * 5 * 6 * 4


def test_nothing_is_computed_and_no_draw_is_spent():
    model = tower().train()
    before, state = model.stem.weight.clone(), torch.get_rng_state()
    table = estimate(model, "layers.*", inputs=torch.zeros(()).expand(10**6, 10**4, 6))  # 240 GB a layer
    assert table.loc["layers.3", "shape"] == (10**6, 10**4, 6) and table["bytes"].sum() == 4 * 24 * 10**10
    assert torch.equal(torch.get_rng_state(), state) and torch.equal(model.stem.weight, before)


def test_draws_are_made_and_not_spent():
    model, state = hugging_face(layerdrop=0.5).train(), torch.get_rng_state()
    assert 0 < len(estimate(model, "layers.*", inputs=speech())) < 4  # LayerDrop draws
    assert torch.equal(torch.get_rng_state(), state)
    ours = UniSpeechForPreTraining(UniSpeechConfig.tiny(layerdrop=0.5)).train()
    batch = dict(ours.prepare(torch.randn(8000)), generator=torch.Generator().manual_seed(3))
    table = estimate(ours, "layers.*", "mask", inputs=batch)
    with record(ours, "layers.*", "mask") as trace:
        ours(**batch)
    assert list(trace) == list(table.index) and 1 < len(trace) < 7


def test_errors():
    with pytest.raises(KeyError, match="nearest: stem"):
        estimate(tower(), "stm", inputs=torch.randn(1, 2, 6))
    model = tower()
    model.norm.forward = lambda x: x if x.sum() > 0 else -x
    with pytest.raises(ValueError, match="Tower looks at a number that only the real forward knows"):
        estimate(model, "stem", inputs=torch.randn(1, 2, 6))
    assert hooks(model) == 1  # the forward replaced above
