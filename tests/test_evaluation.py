"""Evaluation, by a stand-in whose answers are the truth: its figures are then known."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from unispeech_lab import Utterance
from unispeech_lab.codebook import phone_of_frames
from unispeech_lab.config import UniSpeechConfig
from unispeech_lab.corpora import bundled
from unispeech_lab.corpus import Corpus
from unispeech_lab.evaluation import clusters, evaluate, mfcc
from unispeech_lab.vocabulary import Vocabulary

CORPUS = bundled.load().where(language="es")[:4]
VOCABULARY = Vocabulary.of(CORPUS)


class Knows:
    """Says each frame's true phone and has it for a code; ``deaf``: says nothing but blank, code 0."""

    config = UniSpeechConfig.tiny(num_codevectors_per_group=128)

    def __init__(self, deaf=False):
        self.deaf = deaf

    def eval(self):
        return self

    def prepare(self, utterance):
        return {"utterance": utterance}

    def __call__(self, utterance):
        count = int(self.config.frames.count(len(utterance.waveform)))
        names, _ = phone_of_frames(utterance.phones, self.config.frames, count)
        classes = [VOCABULARY.blank if n is None or self.deaf else VOCABULARY.classes[n] for n in names]
        logits = torch.full((1, count, len(VOCABULARY)), -20.0)
        logits[0, range(count), classes] = 0.0
        codes = torch.tensor(classes)[None, :, None].expand(1, count, 2) * (not self.deaf)
        return SimpleNamespace(ctc_logits=logits, codes=codes)


def test_who_knows_every_frame_makes_no_error_that_frames_can_avoid():
    found = evaluate(Knows(), CORPUS, VOCABULARY)
    twice = sum(a.label == b.label for u in CORPUS for a, b in zip(u.phones, u.phones[1:], strict=False))
    # two alike in a row collapse, and the shortest fall between two frames
    assert found["per"] <= (twice + 2) / found["phones"]
    assert found["onset_20ms"] > 0.95 and found["borders_20ms"] > 0.9
    assert found["nmi"] == pytest.approx(1) and found["purity"] == 1
    assert 0.1 < found["mfcc_nmi"] < 0.9  # a real k-means on real sound
    assert (found["utterances"], found["left_out"]) == (4, 0)


def test_who_hears_nothing_misses_every_phone_and_knows_nothing_by_its_codes():
    found = evaluate(Knows(deaf=True), CORPUS, VOCABULARY, baseline=False)
    assert found["per"] == 1 and found["nmi"] == pytest.approx(0) and found["perplexity"] == pytest.approx(2)


def test_more_phones_than_frames_are_refused_in_words():
    crowded = Utterance("a gabble", CORPUS[0].waveform[:4000], phones=CORPUS[0].phones * 3)
    with pytest.raises(ValueError, match="that fit their frames, found none in .*: give TextGrids, or a model"):
        evaluate(Knows(), Corpus.of([crowded]), VOCABULARY)


def test_utterances_with_foreign_phones_are_counted_and_nothing_left_is_refused():
    few = Vocabulary({"a", "e"})
    with pytest.raises(ValueError, match="expected utterances of phones with times, in this vocabulary, .*found none"):
        evaluate(Knows(), CORPUS, few)


def test_clusters_of_mfcc_tell_a_tone_from_noise():
    clock, generator = UniSpeechConfig.tiny().frames, np.random.default_rng(0)
    tone = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000).astype(np.float32)
    noise = generator.standard_normal(16000).astype(np.float32)
    sound = np.concatenate([tone, noise])
    count = int(clock.count(len(sound)))
    features = mfcc(sound, count, clock)
    assert features.shape == (count, 39)
    found = clusters(features, 2)
    middle = count // 2
    assert len(set(found[5 : middle - 5])) == 1 and len(set(found[middle + 5 : -5])) == 1
    assert found[10] != found[-10]


def test_the_command_says_what_the_library_finds(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from unispeech_lab import checkpoints, corpora
    from unispeech_lab.cli import app

    monkeypatch.setattr(corpora, "at", lambda place: CORPUS[:2])
    result = CliRunner().invoke(
        app, ["evaluate", "tiny", "here", "--languages", "es", "-o", str(tmp_path / "found.json")]
    )
    assert result.exit_code == 0, result.output
    model = checkpoints.load()
    found = json.loads((tmp_path / "found.json").read_text())["here"]
    assert found == pytest.approx(evaluate(model, CORPUS[:2], model.vocabulary))
    assert f"{100 * found['per']:.1f} %" in result.output


def test_the_command_wants_a_model_with_phones(tmp_path):
    from typer.testing import CliRunner

    from unispeech_lab import checkpoints
    from unispeech_lab.cli import app

    checkpoints.untrained().save_pretrained(tmp_path)
    result = CliRunner().invoke(app, ["evaluate", str(tmp_path), "bundled"])
    assert result.exit_code == 2 and "vocab.json beside it" in result.output
