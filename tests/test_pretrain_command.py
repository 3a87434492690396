"""The command pretrain: speech in, a folder out that says where things are."""

import re

import pytest
import soundfile
import torch
from models import SIZES
from training import SETTINGS, speech
from typer.testing import CliRunner

import unispeech_lab
from unispeech_lab.audio import RATE
from unispeech_lab.cli import app
from unispeech_lab.commands import pretrain as command
from unispeech_lab.run import Run
from unispeech_lab.settings import Settings
from unispeech_lab.vocabulary import Vocabulary


@pytest.fixture
def here(tmp_path):
    """Two places of speech, one with phones, and a small model's config."""
    for name, column in (("labelled", "phones"), ("plain", "note")):
        folder, rows = tmp_path / name, [f"id\tpath\ttext\t{column}"]
        folder.mkdir()
        for k, utterance in enumerate(speech(number=4)):
            soundfile.write(folder / f"{k}.flac", utterance.waveform, RATE)
            rows.append(f"u{k}\t{k}.flac\t{utterance.text}\t{' '.join(span.label for span in utterance.phones)}")
        (folder / "manifest.tsv").write_text("\n".join(rows) + "\n")
    unispeech_lab.UniSpeechConfig(**{**SIZES, "feat_extract_norm": "layer", "do_stable_layer_norm": True}).to_json_file(
        tmp_path / "small.json"
    )
    return tmp_path


def tell(here, *places, out="run", **options):
    options = {"config": here / "small.json", **SETTINGS, "steps": 2, **options}
    told = [word for name, x in options.items() for word in (f"--{name.replace('_', '-')}", str(x))]
    result = CliRunner().invoke(app, ["pretrain", *map(str, places), "--out", str(here / out), *told])
    return result.exit_code, re.sub(r"[\s│]+", " ", result.output)


def test_it_trains_and_says_where_things_are(here):
    code, said = tell(here, here / "labelled", valid=here / "labelled")
    assert code == 0, said
    assert re.search(r"unispeech, \d\d,\d{3} parameters; Corpus\(manifest, 4 utterances.*; into ", said)
    assert "step 2, loss" in said and "valid_per" in said
    assert f"model {here}/run/model" in said and "metrics.jsonl" in said
    assert unispeech_lab.load(here / "run" / "model").config.hidden_size == 32
    assert Run(here / "run").settings["variant"] == "unispeech"
    assert set(Vocabulary.load(here / "run" / "model").phones) == set(Vocabulary.of(speech(number=4)).phones)


def test_several_places_are_one_corpus(here):
    corpus = command.joined([str(here / "labelled"), str(here / "plain")])
    assert len(corpus) == 8 and corpus.table["id"].is_unique
    assert corpus.table["id"][0] == f"{here}/labelled/u0"
    assert len(corpus.sound(7)) == len(corpus.sound(3))
    code, said = tell(here, here / "labelled", here / "plain", variant="wav2vec2")
    assert code == 0 and Run(here / "run").settings["corpus"].startswith("8 utterances")


def test_it_begins_with_the_weights_it_is_given(here):
    tell(here, here / "labelled", out="first")
    code, _ = tell(here, here / "labelled", out="second", init=here / "first" / "model", steps=1, learning_rate=0.0)
    assert code == 0
    first, second = (unispeech_lab.load(here / name / "model").state_dict() for name in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_is_wrong_is_said_in_words(here):
    for wrong, says in (
        ({"variant": "unispech"}, "did you mean 'unispeech'?"),
        ({"config": "huge"}, "expected tiny, base, large or a config.json, found 'huge'"),
        ({"schedule": "cosine"}, "expected schedule out of linear, tri-stage, constant, found 'cosine'"),
        ({"steps": 0}, "expected steps as a whole number from 1 on, found 0"),
        ({"valid": here / "nowhere"}, "found nothing at"),
    ):
        code, said = tell(here, here / "labelled", **wrong)
        assert code == 2 and says in said, said
    assert not (here / "run").exists()


def test_an_interrupt_says_how_to_go_on(here, monkeypatch):
    def stopped(*args, **how):
        raise KeyboardInterrupt("stopped after step 1 of 2, saved in run: the same call goes on from there")

    monkeypatch.setattr("unispeech_lab.pretrain.train", stopped)
    code, said = tell(here, here / "labelled")
    assert code == 130 and "the same call goes on from there" in said


def test_every_setting_is_an_option_with_words_and_its_default():
    assert list(command.HELP) == Settings.names()
    parameters = command.pretrain.__signature__.parameters
    for name in Settings.names():
        assert parameters[name].default == getattr(Settings(), name)


def test_settings_reach_the_run(here):
    code, said = tell(here, here / "labelled", betas="0.8", out="a")
    assert code == 2  # two numbers
    result = CliRunner().invoke(
        app,
        [
            "pretrain",
            str(here / "labelled"),
            "--out",
            str(here / "b"),
            "--config",
            str(here / "small.json"),
            "--steps",
            "1",
        ]
        + ["--betas", "0.8", "0.9", "--temperature", "1", "0.4", "0.9", "--no-augment", "--workers", "0"],
    )
    assert result.exit_code == 0, result.output
    found = Run(here / "b").settings
    assert (found["betas"], found["temperature"], found["augment"]) == ([0.8, 0.9], [1.0, 0.4, 0.9], False)


def test_a_model_is_that_of_its_seed(here):
    words = Vocabulary.of(speech())
    small = str(here / "small.json")
    same = [command.model_of("unispeech", small, None, words, speech(), seed)[1] for seed in (0, 0, 1)]
    weights = [model.ctc_proj.weight for model in same]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert same[0].config.num_ctc_classes == len(words) and same[0].objective.blank == words.blank
