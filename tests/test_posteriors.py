"""Posteriors: a recording in windows is the recording whole, and no window is longer than was said."""

import numpy as np
import pytest
import torch
from spoken import PHONES, Ears, say

from unispeech_lab import UniSpeechForCTC, UniSpeechForSequenceClassification, checkpoints
from unispeech_lab.alignment import align
from unispeech_lab.config import UniSpeechConfig
from unispeech_lab.posteriors import log_posteriors
from unispeech_lab.vocabulary import Vocabulary

VOCABULARY = Vocabulary(PHONES)


@pytest.fixture(scope="module")
def sound():
    return np.random.default_rng(0).normal(size=40_000).astype(np.float32)


def test_it_is_what_the_model_says(sound):
    model = checkpoints.load()
    with torch.inference_mode():
        expected = model(**model.prepare(sound)).ctc_logits[0].log_softmax(-1).numpy()
    assert np.array_equal(log_posteriors(model, sound), expected)
    config = UniSpeechConfig.tiny(vocab_size=7, feat_extract_norm="layer")
    model = UniSpeechForCTC(config).eval()
    with torch.inference_mode():
        expected = model(**model.prepare(sound)).logits[0].log_softmax(-1).numpy()
    assert np.array_equal(log_posteriors(model, sound), expected)


@pytest.mark.parametrize(("window", "context"), [(0.02, 0), (0.5, 0), (0.3, 0.1), (0.5, 1.0), (5, 1)])
def test_windows_meet_without_a_frame_lost_or_moved(sound, window, context):
    ears, seen = Ears(VOCABULARY), []
    told = say(VOCABULARY, [(PHONES[k % 6], 0.1 * k, 0.1 * k + 0.06) for k in range(25)], 2.51)
    whole = log_posteriors(Ears(VOCABULARY), told, window=100)
    parts = log_posteriors(ears, told, window, context, seen.append)
    assert np.array_equal(parts, whole)
    assert max(ears.heard) <= (window + 2 * context + 0.02) * 16_000 + 400 or len(ears.heard) == 1
    assert seen == sorted(seen) and seen[-1] == 1


def test_windows_of_a_real_model_agree_but_at_their_seams(sound):
    model = checkpoints.load()
    whole, parts = log_posteriors(model, sound), log_posteriors(model, sound, window=1.0, context=0.5)
    assert whole.shape == parts.shape and not np.array_equal(whole, parts)
    assert np.abs(whole - parts).mean() < 0.05 * whole.std()


@pytest.mark.slow
def test_twenty_minutes_are_aligned_in_bounded_memory():
    """Phones every 0.1 s for twenty minutes come back where they were; windows of 20 s, whatever the recording."""
    spans = [(PHONES[k * 5 % 6], 0.1 * k, 0.1 * k + 0.06) for k in range(12_000)]
    ears = Ears(VOCABULARY)
    heard = log_posteriors(ears, say(VOCABULARY, spans, 1200))
    assert max(ears.heard) < 25 * 16_000
    found = align(heard, [[label for label, _, _ in spans]], VOCABULARY, method="raw")
    times = np.array([(span.start, span.end) for span in found.phones])
    assert np.abs(times - np.array([(start, end) for _, start, end in spans])).max() < 0.02


def test_a_model_without_a_ctc_head_is_refused(sound):
    model = UniSpeechForSequenceClassification(UniSpeechConfig.tiny()).eval()
    with pytest.raises(ValueError, match="expected a model that scores phones frame by frame .* found one whose outp"):
        log_posteriors(model, sound)
