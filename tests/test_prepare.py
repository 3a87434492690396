"""Prepare: from utterances to a batch in one call; what cannot be a batch is named."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from models import assert_near, ours

import unispeech_lab
from unispeech_lab import Utterance


@dataclass
class Spoken:
    """What prepare asks of an utterance."""

    waveform: np.ndarray
    rate: int = 16_000
    id: str = "the third"


def noise(samples, seed=0, scale=3.0, offset=0.7):
    return (np.random.default_rng(seed).standard_normal(samples) * scale + offset).astype(np.float32)


def test_one_and_many():
    model, one = ours(), noise(4000)
    single = model.prepare(one)
    assert single["input_values"].shape == (1, 4000) and single["attention_mask"].shape == (1, 4000)
    for same in (
        torch.from_numpy(one),
        Spoken(one),
        [one],
        (Spoken(one),),
        [torch.from_numpy(one)],
        [one.tolist()],
        iter([one]),
    ):
        assert torch.equal(model.prepare(same)["input_values"], single["input_values"])
    assert_near(model.prepare(np.stack([one, one]))["input_values"], single["input_values"].expand(2, -1), 0)
    assert_near(model.prepare(torch.from_numpy(np.stack([one, one])))["input_values"][1:], single["input_values"], 0)
    with torch.no_grad():
        assert model(**single).last_hidden_state.shape == (1, 12, 32)


def test_a_list_of_numbers_is_one_waveform():
    model, one = ours(), noise(800)
    assert torch.equal(model.prepare(one.tolist())["input_values"], model.prepare(one)["input_values"])


def test_each_utterance_over_its_own_samples():
    """Reference 4.11: mean 0 and variance 1 over speech, padding exactly 0; the usual default lets padding in."""
    long, short = noise(16_000), noise(9600, 1, scale=0.01)
    batch = ours().prepare([long, short])
    values, mask = batch["input_values"], batch["attention_mask"]
    assert mask.sum(1).tolist() == [16_000, 9600]
    for row, length in zip(values, (16_000, 9600), strict=True):
        assert abs(row[:length].mean()) < 1e-5 and row[:length].var(correction=0).item() == pytest.approx(1, abs=2e-3)
        assert (row[length:] == 0).all()
    assert_near(values[1:, :9600], ours().prepare(short)["input_values"], 1e-6)
    usual = transformers.Wav2Vec2FeatureExtractor(return_attention_mask=False)(
        [long, short], sampling_rate=16_000, padding=True, return_tensors="pt"
    )["input_values"]
    assert (usual[1, 9600:] != 0).all()  # statistics over padding


def test_a_mask_exactly_where_the_model_was_trained_with_one():
    waves = [noise(4000), noise(3000, 1)]
    assert set(ours(layout="large").prepare(waves)) == {"input_values", "attention_mask"}
    grouped = ours(layout="base").prepare(waves)
    assert set(grouped) == {"input_values"}
    assert (grouped["input_values"][1, 3000:] == 0).all()
    assert abs(grouped["input_values"][1, :3000].var(correction=0) - 1) < 1e-3


def test_utterances_of_any_rate_and_any_number_of_channels():
    """A corpus reads whatever it finds as mono at 16 kHz, so the model takes it as it comes."""
    stereo = np.stack([noise(8000), noise(8000)], 1) / 10
    batch = ours().prepare([Utterance("u1", noise(4000) / 10), Utterance("u2", stereo, source_rate=32_000)])
    assert batch["input_values"].shape == (2, 4000) and batch["attention_mask"].all()


def test_to_the_models_dtype_and_device():
    model = ours().to(torch.bfloat16)
    batch = model.prepare(noise(4000))
    assert batch["input_values"].dtype == torch.bfloat16 and batch["attention_mask"].dtype != torch.bfloat16
    with torch.no_grad():
        assert model(**batch).last_hidden_state.dtype == torch.bfloat16
    assert ours().to("meta").prepare(noise(4000))["input_values"].device.type == "meta"


@pytest.mark.parametrize(
    "sound, says",
    [
        (
            Spoken(noise(4000), rate=8000),
            "expected 16000 samples per second, found 8000 in utterance 'the third': resample",
        ),
        (
            Spoken(np.stack([noise(4000)] * 2)),
            r"mono waveform of shape \(n,\), found \(2, 4000\) in utterance 'the third'",
        ),
        (
            Spoken(np.array([0.0, np.nan] * 300, np.float32)),
            "finite samples, found 300 that are not in utterance 'the third'",
        ),
        (Spoken(np.array([0.0, np.inf] * 300, np.float32)), "finite samples, found 300 that are not"),
        (
            Spoken(noise(399)),
            r"at least 400 samples \(25 ms, one receptive field\), found 399 in utterance 'the third'",
        ),
        (Spoken(noise(0)), "at least 400 samples .*found 0"),
        (noise(12), "found 12 in utterance 0"),
        ([noise(4000), noise(399)], "found 399 in utterance 1"),
        ([noise(4000), np.stack([noise(4000)] * 2)], r"found \(2, 4000\) in utterance 1: take one channel"),
        ([], "expected at least one utterance, found none"),
        (np.zeros((1, 2, 4000), np.float32), r"mono waveform of shape \(n,\), found \(2, 4000\)"),
        ("a.wav", "expected an utterance or a waveform of numbers, found 'a.wav'.*soundfile"),
        (Path("a.wav"), "expected an utterance or a waveform of numbers, found 'a.wav'"),
        ([noise(4000), "b.wav"], "expected an utterance or a waveform of numbers, found 'b.wav'"),
    ],
)
def test_refused(sound, says):
    with pytest.raises(ValueError, match=says):
        ours().prepare(sound)


def test_another_rate_is_said():
    with pytest.raises(ValueError, match="found 44100 in utterance 0: resample it.*orig_sr=44100"):
        ours().prepare(noise(4000), sampling_rate=44_100)


def test_whole_numbers_are_samples_too():
    whole = (noise(4000) * 1000).astype(np.int16)
    assert_near(ours().prepare(whole)["input_values"], ours().prepare(whole.astype(np.float32))["input_values"], 1e-6)


def test_silence_is_silent():
    values = ours().prepare(np.zeros(4000, np.float32))["input_values"]
    assert (values == 0).all()


def test_the_checkpoints_own_preprocessor_has_a_say(tmp_path):
    ours().save_pretrained(tmp_path)
    waveform = noise(4000)
    plain = unispeech_lab.load(tmp_path).prepare(waveform)["input_values"]
    assert abs(plain.mean()) < 1e-5
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True).save_pretrained(tmp_path)
    kept = unispeech_lab.load(tmp_path).prepare(waveform)["input_values"]
    assert_near(kept[0], torch.from_numpy(waveform), 0)
    words = json.loads((tmp_path / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**words, "return_attention_mask": False}))
    short = unispeech_lab.load(tmp_path).prepare([waveform, noise(1000)])
    assert "attention_mask" in short  # the model's norm decides, not the file


def test_inputs_are_not_written_to():
    waveform = noise(4000)
    before = waveform.copy()
    ours().prepare([waveform, noise(3000)])
    assert np.array_equal(waveform, before)
