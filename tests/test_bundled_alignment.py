"""The model that comes with the lab against the exact phone times of the corpus that comes with it."""

import numpy as np
import pandas as pd
import pytest

from unispeech_lab import Corpus, boundaries
from unispeech_lab.alignment import align
from unispeech_lab.commands.recordings import ears
from unispeech_lab.posteriors import log_posteriors


@pytest.fixture(scope="module")
def heard():
    """(utterance, log-probabilities) of utterances whose every phone the model knows, and its vocabulary and clock."""
    try:
        model, vocabulary = ears("tiny")
    except ValueError as error:
        pytest.skip(f"the model that comes along has not been trained: {error}")
    known = set(vocabulary.phones)
    spoken = [u for u in Corpus.bundled() if all(phone.label in known for phone in u.phones)][::4]
    assert len(spoken) >= 10
    return [(u, log_posteriors(model, u)) for u in spoken], vocabulary, model.frames


def within(heard, method) -> np.ndarray:
    """Shares of borders within 10, 20 and 50 ms."""
    spoken, vocabulary, frames = heard
    tables = []
    for utterance, scores in spoken:
        phones = [[phone.label for phone in utterance.phones]]
        found = align(
            scores, phones, vocabulary, (), frames, utterance.seconds, method=method, waveform=utterance.waveform
        )
        tables.append(boundaries.errors(found.phones, utterance.phones))
    return boundaries.hit_rates(boundaries.borders(pd.concat(tables)))


def test_borders_lie_where_they_were_measured(heard):
    rates = {method: within(heard, method) for method in ("raw", "midpoint", "centroid", "spectral")}
    assert rates["spectral"][1] > 0.75 and rates["spectral"][2] > 0.9, rates
    assert rates["raw"][1] < rates["midpoint"][1] < rates["spectral"][1], rates
    assert rates["midpoint"][0] < rates["centroid"][0] < rates["spectral"][0], rates


def test_a_text_that_was_not_said_is_heard_less_than_the_right_one(heard):
    """Reversed, the same phones are the wrong text."""
    spoken, vocabulary, frames = heard
    right, wrong = [], []
    for utterance, scores in spoken[:12]:
        phones = [phone.label for phone in utterance.phones]
        right.append(align(scores, [phones], vocabulary, frames=frames))
        wrong.append(align(scores, [phones[::-1]], vocabulary, frames=frames))
    assert np.mean([bool(found.remarks) for found in wrong]) > 0.9
    assert np.mean([found.heard for found in right]) > 2 * np.mean([found.heard for found in wrong])
