"""Alignment: made spans are found again, and what is wrong says so."""

import numpy as np
import pytest
import torch
from spoken import PHONES, Ears, say

from unispeech_lab.alignment import METHODS, Span, align, rescore
from unispeech_lab.alignment.change import FINE, change
from unispeech_lab.alignment.forced import fit
from unispeech_lab.alignment.methods import GAP, INTO_PAUSE
from unispeech_lab.frames import Frames
from unispeech_lab.posteriors import log_posteriors
from unispeech_lab.vocabulary import Vocabulary

VOCABULARY = Vocabulary(PHONES)
HALF = 0.5 * Frames().hop / 16_000 + 1e-6  # seconds: what a clock of 20 ms can miss

# the cat sat: k and t released into each other, a pause before the last word
SAID = [("ə", 0.2, 0.28), ("k", 0.28, 0.34), ("a", 0.34, 0.5), ("t", 0.5, 0.56), ("s", 0.9, 1.0), ("a", 1.0, 1.1)]
SAID.append(("t", 1.1, 1.16))
WORDS = [["ə"], ["k", "a", "t"], ["s", "a", "t"]]


@pytest.fixture
def sound():
    return say(VOCABULARY, SAID, 1.5)


@pytest.fixture
def heard(sound):
    return log_posteriors(Ears(VOCABULARY), sound)


@pytest.mark.parametrize("method", METHODS)
def test_what_was_said_is_found_where_it_was_said(heard, sound, method):
    found = align(heard, WORDS, VOCABULARY, ["the", "cat", "sat"], seconds=1.5, method=method, waveform=sound)
    assert [span.label for span in found.phones] == [label for label, _, _ in SAID]
    after, before = (0.02 * (frames + 0.5) if method != "raw" else 0 for frames in INTO_PAUSE)
    for k, (span, (_, start, end)) in enumerate(zip(found.phones, SAID, strict=True)):
        early, late = before if k in (0, 4) else 0, after if k in (3, 6) else 0  # next to a pause
        assert -early - HALF <= span.start - start <= HALF
        assert -HALF <= span.end - end <= late + HALF
        assert 0.9 < span.score <= 1
    assert [(w.label, w.start, w.end) for w in found.words] == [
        (label, found.phones[i].start, found.phones[j].end)
        for label, i, j in [("the", 0, 0), ("cat", 1, 3), ("sat", 4, 6)]
    ]
    assert all(0.9 < word.score <= 1 for word in found.words)
    assert found.heard == 1 and found.remarks == () and (found.margins > 2).all() and found.seconds == 1.5
    assert list(found.tiers) == ["words", "phones"]
    for one, two in zip(found.phones, found.phones[1:], strict=False):
        assert one.end <= two.start


def peaky(count, peaks, classes=3, blank=2, near=(), strength=2):
    """Log-probabilities (t, v) all blank but for peaks {frame: class}; ``near``: (frames, class) likelier under it."""
    scores = np.zeros((count, classes))
    scores[:, blank] = 6
    for frame, label in peaks.items():
        scores[frame] = 0
        scores[frame, label] = 6
    for frames, label in near:
        scores[frames, label] += strength
    return torch.tensor(scores).log_softmax(-1).numpy().astype(np.float32)


def borders(method, scores, **options):
    return METHODS[method](scores, [0, 1], 2, **options)[1].tolist()


def test_the_methods_differ_as_they_say():
    """Two phones with blanks between, where the second one is the likelier for most of them."""
    scores = peaky(30, {10: 0, 16: 1}, near=[(slice(11, 12), 0), (slice(12, 16), 1)], strength=5)
    change = np.zeros(30 * FINE + 1)
    change[15 * FINE] = 9  # of the sound itself, one frame before the second peak
    assert borders("raw", scores) == [[10, 11], [16, 17]]
    (_, end), (start, _) = borders("midpoint", scores)
    assert end == start == 13.5
    (_, end), (start, _) = borders("centroid", scores)
    assert end == start == pytest.approx(12.2, abs=0.3)
    (_, end), (start, _) = borders("spectral", scores, change=change)
    assert end == start and 12.5 < end < 15
    flat = peaky(30, {10: 0, 16: 1})
    assert np.allclose(borders("centroid", flat), borders("midpoint", flat))  # nothing tells them apart
    (_, end), (start, _) = borders("spectral", flat, change=change)
    assert end == start == pytest.approx(15, abs=0.1)


@pytest.mark.parametrize("method", ["midpoint", "centroid", "label_prior", "spectral"])
def test_a_long_stretch_of_blank_is_a_pause(method):
    change = np.zeros(60 * FINE + 1)
    for gap in range(30):
        (_, end), (start, _) = borders(method, peaky(60, {10: 0, 11 + gap: 1}), change=change)
        if gap <= GAP:
            assert end == start == pytest.approx(11 + gap / 2)
        else:
            assert (end, start) == pytest.approx((11 + INTO_PAUSE[0], 11 + gap - INTO_PAUSE[1]))


def test_change_is_where_the_sound_changes():
    rng = np.random.default_rng(0)
    count, at = 50, 25.25  # frames; the border x lies at 40 + 320 x samples
    sound = rng.normal(size=Frames().samples(count - 1)[1]).astype(np.float32)
    place = round(40 + 320 * at)
    sound[:place] = np.cumsum(sound[:place]) / 20  # dull before, bright after
    seen = change(sound, count)
    assert seen.shape == (count * FINE + 1,) and abs(seen.argmax() / FINE - at) <= 0.5
    assert seen.max() > 3 * np.median(seen)
    assert np.allclose(change(1e-3 * sound, count), seen, atol=1e-3)  # however loud
    assert np.isfinite(change(np.zeros(400), 1)).all() and change(np.zeros(400), 1).shape == (FINE + 1,)


def test_change_in_blocks_is_change_at_once(monkeypatch):
    sound = np.random.default_rng(0).normal(size=8_000).astype(np.float32)
    whole = change(sound, 24)
    monkeypatch.setattr("unispeech_lab.alignment.change.BLOCK", 7)
    assert np.allclose(change(sound, 24), whole)


def test_spectral_wants_the_sound(heard):
    with pytest.raises(ValueError, match="expected the sound for the method 'spectral', found none: give waveform="):
        align(heard, WORDS, VOCABULARY, method="spectral")


def test_a_label_prior_makes_blank_pay_for_being_common():
    scores = peaky(40, {10: 0, 30: 1}, near=[(slice(8, 14), 0), (slice(28, 33), 1)], strength=5)
    taken = [METHODS[method](scores, [0, 1], 2)[0].owner for method in ("raw", "label_prior")]
    assert (taken[0] >= 0).sum() == 2 < (taken[1] >= 0).sum()


def test_a_star_takes_what_nobody_wrote_down(heard):
    found = align(heard, [["ə"], ["*"], ["s", "a", "t"]], VOCABULARY, ["the", "*", "sat"])
    assert [span.label for span in found.phones] == ["ə", "*", "s", "a", "t"]
    assert found.phones[1].score is None and found.words[1].score is None
    assert found.phones[2].start == pytest.approx(align(heard, WORDS, VOCABULARY).phones[4].start, abs=0.1)
    assert found.phones[1].start < 0.34 < 0.5 < found.phones[1].end and not found.remarks


def test_wrong_text_is_said_aloud(heard):
    found = align(heard, [["m", "m", "s", "m"], ["k", "m"]], VOCABULARY)
    assert found.heard < 0.5 and min(span.score for span in found.phones) < 0.01
    (remark,) = found.remarks
    assert remark == "low confidence: of 6 phones the model hears 1 where they are put: is this what is said?"
    assert remark in repr(found)


def test_silence_is_said_aloud():
    found = align(log_posteriors(Ears(VOCABULARY), np.zeros(16_000)), WORDS, VOCABULARY)
    assert found.remarks == ("low confidence: the model hears no phone at all: is this speech?",)
    assert max(span.score for span in found.phones) < 0.01 and found.heard == 0


def test_a_score_is_the_mean_over_the_frames_that_name_it():
    probabilities = np.array([[0.1, 0.1, 0.8], [0.5, 0.2, 0.3], [0.8, 0.1, 0.1], [0.1, 0.7, 0.2]])
    vocabulary = type("Two", (), {"blank": 2, "phones": ("a", "b"), "__len__": lambda self: 3})()
    vocabulary.encode = lambda phones: ["ab".index(phone) for phone in phones]
    found = align(np.log(probabilities), [["a", "b"]], vocabulary)
    assert [span.score for span in found.phones] == pytest.approx([(0.5 * 0.8) ** 0.5, 0.7])
    assert found.margins == pytest.approx([np.log([0.5 / 0.3, 0.8 / 0.1]).mean(), np.log(0.7 / 0.2)], abs=1e-5)
    assert found.words[0].score == pytest.approx(np.exp((np.log(0.4) / 2 + np.log(0.7)) / 2))


def test_a_corrected_tier_is_scored_again(heard):
    right = [Span(label, start, end) for label, start, end in SAID]
    moved = [Span("a", 0.6, 0.8), Span("ʙ", 0.2, 0.3), Span("*", 0.2, 0.3), Span("ə", 0.2, 0.2)]
    assert all(span.score > 0.9 for span in rescore(heard, right, VOCABULARY))
    assert [(s.label, s.start, s.end) for s in rescore(heard, moved, VOCABULARY)] == [
        (s.label, s.start, s.end) for s in moved
    ]
    wrong, unknown, star, short = rescore(heard, moved, VOCABULARY)
    assert wrong.score < 0.01 and unknown.score == 0 and star.score is None and short.score is not None


def test_unknown_phones_become_stars_and_are_named():
    assert fit([["k", "ʙ"], ["*", "ɬ"]], VOCABULARY) == ([["k", "*"], ["*", "*"]], ["ɬ", "ʙ"])


@pytest.mark.parametrize(
    ("phones", "options", "message"),
    [
        ([], {}, "expected at least one phone to align, found none"),
        ([["k"] * 50], {}, "expected at least 99 frames for 50 labels .* the text is longer than the sound"),
        ([["ʙ"]], {}, "expected phones out of the 6 of this vocabulary, found ʙ"),
        (
            [["k"]],
            {"method": "best"},
            "expected a method out of raw, midpoint, centroid, label_prior, spectral, found 'best'",
        ),
        ([["k"]], {"words": ["a", "b"]}, "expected a label for each of 1 words of phones, found 2"),
    ],
)
def test_what_cannot_be_aligned_is_refused(heard, phones, options, message):
    with pytest.raises(ValueError, match=message):
        align(heard, phones, VOCABULARY, **options)


def test_logits_are_no_log_probabilities():
    with pytest.raises(ValueError, match=r"expected log-probabilities, which sum to one.*log_softmax\(-1\)"):
        align(np.zeros((9, len(VOCABULARY))), WORDS, VOCABULARY)
    with pytest.raises(ValueError, match="expected scores of the 10 classes of the vocabulary, found 3"):
        align(np.zeros((9, 3)), WORDS, VOCABULARY)
