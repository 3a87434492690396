"""The model that comes along: small, plain files, and it knows what its page says it knows."""

import json

import pytest
import torch
from safetensors.torch import load_file

from unispeech_lab import checkpoints, paths
from unispeech_lab.corpora import bundled
from unispeech_lab.evaluation import evaluate

TINY = paths.data_dir() / "models" / "tiny"
SAID = json.loads((TINY / "evaluation.json").read_text())


def test_it_is_small_and_nothing_of_it_is_a_pickle():
    files = sorted(file.name for file in TINY.iterdir())
    assert files == [
        "README.md",
        "calibration.json",
        "config.json",
        "evaluation.json",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer_config.json",
        "vocab.json",
    ]
    assert sum(file.stat().st_size for file in TINY.iterdir()) <= 10e6
    weights = load_file(TINY / "model.safetensors")
    assert 1e6 <= sum(weight.numel() for weight in weights.values()) <= 4e6
    assert all(torch.isfinite(weight).all() for weight in weights.values())


def test_it_knows_the_phones_of_the_bundled_sentences_as_its_page_says():
    model = checkpoints.load("tiny")
    corpus = bundled.load().where(language=["en", "es", "fr", "it"])
    found = evaluate(model, corpus, model.vocabulary, baseline=False)
    for name, value in found.items():
        assert value == pytest.approx(SAID["bundled"][name], abs=0.003), name
    assert found["per"] < 0.15 and found["borders_20ms"] > 0.75 and found["perplexity"] > found["codewords"] / 2


def test_its_page_shows_the_figures_of_its_evaluation():
    page = (TINY / "README.md").read_text()
    for place, figures in SAID.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| {place} "))
        for name in ("per", "onset_20ms", "borders_20ms"):
            assert f"{100 * figures[name]:.1f} %" in row, (place, name)
        assert f"{figures['nmi']:.2f}" in row and f"{figures['mfcc_nmi']:.2f}" in row
