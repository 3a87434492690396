"""Convolutions that do not learn: the same features, each waveform once; those that learn, every time."""

import sys
from pathlib import Path

import models
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from experiments.cross_lingual.frozen import heard_once  # noqa: E402


@pytest.fixture
def encoder():
    found = models.ours("UniSpeechModel").feature_extractor
    found.freeze()
    found.runs = []
    through = found.through
    found.through = lambda samples, *rest: found.runs.append(samples.shape[-1]) or through(samples, *rest)
    return found


@pytest.fixture
def batch():
    sound = torch.randn(3, 6000, generator=torch.Generator().manual_seed(0))
    lengths = torch.tensor([6000, 5000, 3000])
    return sound * (torch.arange(6000) < lengths[:, None]), lengths


def test_gives_the_same_numbers_in_whatever_batch(encoder, batch):
    sound, lengths = batch
    wanted = encoder(sound, lengths)
    with heard_once(encoder):
        for order in ([0, 1, 2], [2, 1, 0], [1, 0]):
            assert torch.equal(encoder(sound[order], lengths[order]), wanted[order])
        alone = encoder(sound[2:, :3000], lengths[2:])
    assert torch.equal(alone[0], wanted[2, : alone.shape[1]])


def test_runs_once_for_each_waveform(encoder, batch):
    with heard_once(encoder):
        encoder(*batch)
        begun = len(encoder.runs)
        encoder(*batch)
        assert len(encoder.runs) == begun > 0
        encoder(2 * batch[0], batch[1])
        assert len(encoder.runs) == 2 * begun
    encoder(*batch)
    assert len(encoder.runs) == 3 * begun  # no longer remembered


def test_convolutions_that_learn_run_every_time(encoder, batch):
    encoder.requires_grad_(True)
    with heard_once(encoder):
        encoder(*batch)
        begun = len(encoder.runs)
        assert encoder(*batch).requires_grad and len(encoder.runs) == 2 * begun
