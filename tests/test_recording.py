"""Recordings: read stretch by stretch, they are what they are when read whole, in a fraction of the memory."""

import tracemalloc

import numpy as np
import pytest
import soundfile
from spoken import PHONES, Ears, say

from unispeech_lab import Corpus, audio, boundaries, checkpoints
from unispeech_lab.alignment import Span, align
from unispeech_lab.alignment.change import change
from unispeech_lab.audio import AudioError
from unispeech_lab.posteriors import log_posteriors
from unispeech_lab.recording import Recording
from unispeech_lab.vocabulary import Vocabulary

VOCABULARY = Vocabulary(PHONES)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(audio, "BLOCK", 10_007)
    monkeypatch.setattr("unispeech_lab.alignment.change.BLOCK", 300)


@pytest.mark.parametrize(
    ("name", "rate", "channels"),
    [("a.wav", 16_000, 1), ("a.flac", 44_100, 2), ("a.ogg", 8_000, 1), ("a.mp3", 22_050, 2)],
)
def test_blocks_are_the_whole(name, rate, channels, tmp_path, monkeypatch):
    sound = 0.1 * np.random.default_rng(0).normal(size=(5 * rate + 17, channels))
    soundfile.write(tmp_path / name, sound, rate)
    blocks = [*audio.blocks(tmp_path / name)]
    with monkeypatch.context() as patched:
        patched.setattr(audio, "BLOCK", 10**9)
        whole = audio.read(tmp_path / name)
    assert len(blocks) > 3 and max(map(len, blocks)) <= 3 * 10_007
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=2e-7)  # an MP3's decoder rounds by where it begins
    recording = Recording(tmp_path / name)
    assert len(recording) == len(whole) and recording.seconds == len(whole) / 16_000
    assert recording.level == pytest.approx((whole.mean(), whole.var()), abs=1e-7)
    stretches = [(0, 10), (5, 30_000), (29_000, 29_500), (40_000, 79_000)]
    for (start, stop), cut in zip(stretches, recording.cut(stretches), strict=True):
        np.testing.assert_allclose(cut, whole[start:stop], atol=2e-7)


def test_a_file_that_is_cut_short_says_so_at_its_end(tmp_path):
    soundfile.write(tmp_path / "a.flac", 0.1 * np.random.default_rng(0).normal(size=50_000), 16_000)
    (tmp_path / "a.flac").write_bytes((tmp_path / "a.flac").read_bytes()[:40_000])
    with pytest.raises(AudioError, match=r"a\.flac: expected"):
        len(Recording(tmp_path / "a.flac"))


@pytest.mark.parametrize("sound", [np.zeros((2, 100)), type("Old", (), {"waveform": np.zeros(9), "rate": 8000})()])
def test_what_is_no_recording_is_refused(sound):
    with pytest.raises(AudioError, match=r"expected a file, or a waveform of shape \(n,\) at 16000 samples per second"):
        Recording(sound)


@pytest.mark.parametrize("norm", ["group", "layer"])
def test_a_stretch_is_normalised_as_the_whole(norm):
    model = checkpoints.untrained(feat_extract_norm=norm)
    sound = (
        np.random.default_rng(0).normal(size=60_000).astype(np.float32) * np.linspace(1, 0.01, 60_000, dtype="f") + 3
    )
    whole = model.prepare(sound)["input_values"][0]
    part = model.prepare(sound[20_000:50_000], level=Recording(sound).level)["input_values"][0]
    np.testing.assert_allclose(part, whole[20_000:50_000], atol=1e-5)
    assert abs(float(model.prepare(sound[20_000:50_000])["input_values"][0].mean() - part.mean())) > 0.001


def test_three_minutes_take_no_more_memory_than_their_windows(tmp_path):
    """Phones every 0.1 s come back where they were; never does more than a window lie in memory, beside the result."""
    spans = [(PHONES[k * 5 % 6], 0.1 * k, 0.1 * k + 0.06) for k in range(1_800)]
    soundfile.write(tmp_path / "a.wav", say(VOCABULARY, spans, 180), 16_000, subtype="FLOAT")
    ears, recording = Ears(VOCABULARY), Recording(tmp_path / "a.wav")
    assert len(recording) * 4 > 11e6  # bytes of the whole
    change(np.zeros(400), 1)  # librosa is imported now
    tracemalloc.start()
    try:
        heard = log_posteriors(ears, recording, window=5, context=1)
        seen = change(recording, len(heard))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert max(ears.heard) <= 7.1 * 16_000 and len(ears.heard) == 36
    assert most < heard.nbytes + seen.nbytes + 9e6
    found = align(heard, [[label for label, _, _ in spans]], VOCABULARY, waveform=recording, method="raw")
    times = np.array([(span.start, span.end) for span in found.phones])
    assert np.abs(times - np.array([(start, end) for _, start, end in spans])).max() < 0.02


def test_change_of_a_file_is_that_of_its_waveform(tmp_path):
    sound = (0.1 * np.random.default_rng(0).normal(size=50_000)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", sound, 16_000, subtype="FLOAT")
    assert np.allclose(change(Recording(tmp_path / "a.wav"), 156), change(sound, 156), atol=1e-6)


@pytest.fixture(scope="module")
def minute():
    """Sentences on end, and the truth."""
    known, parts, truth, at = set(checkpoints.load().vocabulary.phones), [], [], 0.0
    for said in Corpus.bundled():
        if at < 40 and said.phones and all(span.label in known for span in said.phones):
            parts += [said.waveform, np.zeros(4800, np.float32)]
            truth += [Span(span.label, span.start + at, span.end + at, span.score) for span in said.phones]
            at += said.seconds + 0.3
    return np.concatenate(parts), truth


def test_windows_of_the_trained_model_move_few_borders(minute):
    """Scores differ, for a norm over time hears other surroundings: the best class of some frames, few borders."""
    sound, truth = minute
    model = checkpoints.load()
    words, place = [[span.label for span in truth]], {"frames": model.frames, "seconds": len(sound) / 16_000}
    whole, parts = log_posteriors(model, sound, window=100), log_posteriors(model, sound)
    assert (whole.argmax(1) != parts.argmax(1)).mean() < 0.06
    one, two = (
        align(scores, words, model.vocabulary, method="spectral", waveform=sound, **place).phones
        for scores in (whole, parts)
    )
    apart = np.abs([(a.start - b.start, a.end - b.end) for a, b in zip(one, two, strict=True)])
    assert (apart <= 0.01).mean() > 0.9
    rates = [boundaries.hit_rates(boundaries.borders(boundaries.errors(found, truth)))[1] for found in (one, two)]
    assert min(rates) > 0.75 and abs(rates[0] - rates[1]) < 0.02, rates
