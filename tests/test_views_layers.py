"""What moves between the two of a pair, and what a patched model says, where the answer is constructed."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from pictures import CHANNELS, FRAMES, PlainTrace, trace, utterance
from torch import nn

from unispeech_lab import views
from unispeech_lab.analysis import minimal, movement, patching, resynthesis, stimuli
from unispeech_lab.analysis.depth import layers
from unispeech_lab.nn.tap import Tap
from unispeech_lab.views.asking import Hear

PHONES = ("ð", "ə", "k", "æ", "t")
SPEAKS = pytest.mark.skipif(find_spec("espeakng_loader") is None, reason="needs the extra [speech]")


def one_hot(heard, vectors: dict[str, int]) -> PlainTrace:
    """Every layer says which phone a frame is in: phone ``label`` is direction ``vectors[label]``."""
    made = PlainTrace()
    names = [f"feature_extractor.conv_layers.{k}" for k in range(2)] + ["encoder.layers.0", "encoder.layers.1"]
    for name in names:
        clock = FRAMES.up_to(int(name[-1]) + 1) if "conv" in name else FRAMES
        values = np.zeros((clock.count(len(heard.waveform)), CHANNELS), np.float32)
        centres = clock.centre(np.arange(len(values)))
        for span in heard.phones:
            values[(centres >= span.start) & (centres < span.end), vectors[span.label]] = 1
        made[name] = values[None]
    return made


class TestMovement:
    view = views.load("movement")
    own = {label: k for k, label in enumerate(PHONES)}

    def panels(self, seen, heard, other, change="pitch +4 semitones", distance="cosine"):
        return self.view.panels(seen, heard, change=change, distance=distance, other=other)

    @pytest.mark.parametrize("distance", movement.DISTANCES)
    def test_the_same_again_moves_nothing(self, distance):
        seen, heard = trace(), utterance()
        curves, picture = self.panels(seen, heard, seen, distance=distance)
        assert np.allclose(picture.marks[0].values, 0, atol=1e-6) and np.allclose(curves.marks[0].y[0], 0, atol=1e-6)
        assert curves.words == "pitch +4 semitones: nothing moves in any layer."

    @pytest.mark.parametrize("distance", movement.DISTANCES)
    def test_a_phone_that_becomes_another_moves_as_far_as_another(self, distance):
        heard = utterance()
        seen, other = one_hot(heard, self.own), one_hot(heard, {**self.own, "k": self.own["æ"]})
        curves, picture = self.panels(seen, heard, other, distance=distance)
        (heat,) = picture.marks
        moved = np.array(heat.columns) == "k"
        assert np.allclose(heat.values[:, moved], 1) and np.allclose(heat.values[:, ~moved], 0)
        assert heat.rows == ("conv 0", "conv 1", "layer 0", "layer 1")
        assert np.allclose(curves.marks[0].y[0], 1 / 5) and picture.words.startswith("k at 0.40 s moves most: 1.00")

    def test_phones_are_found_where_a_faster_one_has_them(self):
        heard = utterance()
        faster = minimal.pair(heard, "rate × 1.25").second
        spans = [replace(span, start=0.8 * span.start, end=0.8 * span.end) for span in heard.phones]
        seen, other = one_hot(heard, self.own), one_hot(replace(faster, phones=spans), self.own)
        curves, _ = self.panels(seen, heard, other, "rate × 1.25")
        assert faster.seconds == pytest.approx(0.8) and np.allclose(curves.marks[0].y[0], 0)

    def test_the_changed_phone_has_a_curve_of_its_own(self, monkeypatch):
        heard = utterance()
        exchanged = replace(heard, phones=[replace(s, label="ɛ") if s.label == "æ" else s for s in heard.phones])
        monkeypatch.setattr(self.view, "paired", lambda *_: minimal.Pair(heard, exchanged))
        seen, other = one_hot(heard, self.own), one_hot(exchanged, {**self.own, "ɛ": 6})
        curves, _ = self.panels(seen, heard, other)
        assert curves.marks[0].names == ("the phone that changed", "the others")
        assert np.allclose(curves.marks[0].y, [[1.0] * 4, [0.0] * 4])
        assert "The phone that changed moves most in conv 0: 1.00, the others 0.00" in curves.words

    @pytest.mark.parametrize("heard", [utterance(400), utterance(phones=()), utterance(phones=("a", "a"))])
    def test_without_two_different_phones_there_is_no_yardstick(self, heard):
        seen = trace(len(heard.waveform))
        for change in minimal.changes(heard):
            other = trace(len(minimal.pair(heard, change).second.waveform), seed=1)
            curves, picture = self.panels(seen, heard, other, change)
            if len({span.label for span in heard.phones}) < 2:
                assert "no two different phones" in picture.words and "Nothing can be compared" in curves.words

    def test_asks_for_the_other_alone_where_the_first_is_the_utterance(self):
        heard = utterance()
        asked = self.view.asks(trace(), heard, "level -12 dB")
        assert list(asked) == ["other"] and isinstance(asked["other"], Hear)
        assert np.allclose(asked["other"].utterance.waveform, heard.waveform * 10 ** (-12 / 20))


def harmonics(sound: np.ndarray, hertz: float) -> np.ndarray:
    """How loud its harmonics are, in dB, up to 3.5 kHz."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    places = hertz * np.arange(1, int(3500 / hertz)) * len(sound) / 16_000
    return 20 * np.log10([spectrum[round(place) - 2 : round(place) + 3].max() for place in places])


class TestPairs:
    @pytest.mark.parametrize("semitones", [4, -4])
    def test_a_higher_voice_has_the_formants_of_the_same_vowel_made_at_that_pitch(self, semitones):
        hertz = 110 * 2 ** (semitones / 12)
        vowel, ideal = (stimuli.make("vowel ɑ", f, seconds=0.6) for f in (110, hertz))
        higher = resynthesis.pitch(vowel, semitones)
        assert len(higher) == len(vowel)
        found, wanted = harmonics(higher, hertz), harmonics(ideal, hertz)
        off = (found - wanted)[wanted > wanted.max() - 30]
        assert np.std(off) < 4.5  # 6.4 and 9.3 with the formants moved along, 30 at the pitch before

    def test_a_longer_tone_is_the_same_tone(self):
        tone = stimuli.make("tone", 800, seconds=0.5)
        for length in (0.8, 1.25):
            other = resynthesis.stretch(tone, length)
            assert len(other) == round(len(tone) * length) and np.abs(other).max() == pytest.approx(0.5, rel=0.1)
            peak = np.abs(np.fft.rfft(other)).argmax() * 16_000 / len(other)
            assert peak == pytest.approx(800, abs=3)

    @pytest.mark.parametrize("samples", [1, 400])
    def test_a_sound_shorter_than_a_window_is_changed_too(self, samples):
        sound = utterance(samples, phones=()).waveform
        assert len(resynthesis.stretch(sound, 1.25)) == round(samples * 1.25)
        assert np.isfinite(resynthesis.pitch(sound, 4)).all()

    def test_too_short_to_be_made_shorter(self):
        assert "rate × 1.25" in minimal.changes(utterance()) and "rate × 1.25" not in minimal.changes(utterance(400))
        with pytest.raises(ValueError, match="a change among pitch .*found 'rate × 1.25'"):
            minimal.pair(utterance(400), "rate × 1.25")

    def test_partners_stand_between_the_same_neighbours(self):
        assert minimal.partners("kæt", "kɛt") == [(0, 0), (1, 1), (2, 2)]
        assert minimal.partners("kæt", "kæst") == [(0, 0), (1, 1), (2, 3)]
        assert minimal.partners("abc", "xyzw") == []

    @SPEAKS
    def test_a_phone_is_exchanged_in_the_spelling(self):
        heard = replace(utterance(), text="The cat sat.", language="en", speaker="m3")
        swaps = [change for change in minimal.changes(heard) if "→" in change]
        assert 1 < len(swaps) <= minimal.SWAPS
        pair = minimal.pair(heard, swaps[1])
        (k,) = pair.changed
        first, second = (utterance.phones for utterance in (pair.first, pair.second))
        assert swaps[1].startswith(f"{first[k].label} → {second[k].label} in ") and len(first) == len(second)
        assert pair.first.speaker == pair.second.speaker == "m3"

    @SPEAKS
    def test_another_voice_says_the_same_phones(self):
        heard = replace(utterance(), text="The cat sat.", language="en", speaker="somebody")
        pair = minimal.pair(heard, "voice linda")
        assert (pair.first.speaker, pair.second.speaker) == (minimal.BUNDLED_VOICES[0], "linda") and not pair.changed
        assert len(pair.first.phones) == len(pair.partners) == 8

    def test_without_text_nobody_says_it_anew(self):
        assert set(minimal.changes(replace(utterance(), text=""))) == set(minimal.SOUND)


class Layered(nn.Module):
    """Every frame says which fifth of the sound it is in; the second layer listens to the first, or past it."""

    def __init__(self, past: bool = False):
        super().__init__()
        self.feature_projection, self.encoder = nn.Module(), nn.Module()
        self.feature_projection.projection, self.ctc_proj = Tap(), Tap()
        self.encoder.layers = nn.ModuleList([Tap(), Tap(), Tap()])
        self.past = past

    def prepare(self, utterances):
        return {"input_values": torch.from_numpy(utterances[0].waveform)[None]}

    def forward(self, input_values):
        count = FRAMES.count(input_values.shape[1])
        fifth = torch.from_numpy((FRAMES.centre(np.arange(count)) * 16_000 / input_values.shape[1] * 5).astype(int))
        given = self.feature_projection.projection(torch.eye(6)[fifth + 1][None] * 20)
        first, second, third = self.encoder.layers
        passed = first(given)
        return self.ctc_proj(third(second(given if self.past else passed)))


class TestPatching:
    view = views.load("patching")

    def look(self, model, heard=None, phone="4 æ in cat", by="3 k in cat", at="layer 1"):
        heard = heard or utterance()
        seen = Hear(heard, self.view.watches[1:] + ("ctc_proj",))(model)
        seen.labels, seen.blank = ("", *PHONES), 0
        (sweep,) = self.view.asks(seen, heard, phone, by).values()
        return self.view.panels(seen, heard, phone=phone, by=by, at=at, patched=sweep(model))

    def test_where_layers_pass_on_what_they_get_the_output_says_exactly_the_other(self):
        contest, spread, reading = self.look(Layered())
        (lines,) = contest.marks
        assert lines.names == ("says æ", "says k", "says something else")
        assert np.allclose(lines.y, [[1, 0, 0, 0, 0], [0, 1, 1, 1, 1], [0] * 5], atol=1e-6)
        assert "k wins wherever it is patched, by 100% at projection already" in contest.words
        moved = spread.marks[0].values
        inside = patching.frames_of(utterance().phones[3], FRAMES, moved.shape[1])
        assert np.allclose(moved[:, inside.start : inside.stop], 1, atol=1e-6)
        assert np.allclose(np.delete(moved, inside, axis=1), 0)
        assert "so many move by 10%: 0 at projection, 0 at layer 1" in spread.words
        before, after, replaced = (tier.spans for tier in reading.marks)
        assert [s.label for s in before] == list(PHONES) and [s.label for s in after] == ["ð", "ə", "k", "t"]
        assert replaced[0].label == "k for æ" and reading.words.endswith(": ð ə k t.")

    def test_a_layer_that_listens_past_the_patch_is_found(self):
        contest, spread, _ = self.look(Layered(past=True))
        assert np.allclose(contest.marks[0].y[1], [0, 1, 0, 1, 1], atol=1e-6)
        assert "Patched at layer 0, k has 0%; from layer 1 on it wins, by 100%" in contest.words
        assert np.allclose(spread.marks[0].values[1], 0) and spread.marks[0].sets == ("", "at")

    def test_a_phone_for_itself_changes_nothing(self):
        contest, spread, reading = self.look(Layered(), by="4 æ in cat")
        assert np.allclose(spread.marks[0].values, 0) and "are heard alike" in contest.words
        assert reading.words.endswith("the reading stays as it is.")

    def test_without_phones_nothing_can_be_replaced(self):
        (reading,) = self.look(Layered(), utterance(phones=()), self.view.NOTHING, self.view.NOTHING)
        assert "Nobody knows this utterance's phones" in reading.words and len(reading.marks) == 1

    def test_in_one_frame_every_phone_is_that_frame(self):
        contest, spread, _ = self.look(Layered(), utterance(400))
        assert "are heard alike" in contest.words and spread.marks[0].values.shape == (4, 1)

    def test_frames_are_taken_at_the_same_fraction(self):
        assert patching.sources(8, range(2, 5), range(5, 7)).tolist() == [0, 1, 5, 6, 6, 5, 6, 7]
        assert patching.sources(4, range(0, 1), range(1, 4)).tolist() == [2, 1, 2, 3]

    def test_shares_leave_the_blank_out(self):
        belief = np.array([[0.8, 0.15, 0.05], [0.2, 0.6, 0.2], [0.0, 0.0, 1.0]])
        assert patching.shares(belief, range(0, 2), 0).tolist() == pytest.approx([0.5, 0.75, 0.25])
        assert np.isnan(patching.shares(np.eye(3)[[0, 0]], range(0, 2), 0)[1:]).all()

    def test_a_flip_counts_when_it_lasts(self):
        assert patching.flips([1, 1, 1, 0], [0, 2, 0, 1]) == 3
        assert patching.flips([0, 0], [1, 1]) == 0 and patching.flips([0, 1], [1, 0]) is None


def test_layers_stand_in_their_order():
    names = [
        "ctc_proj",
        "unispeech.encoder.layers.10",
        "unispeech.encoder.layers.2",
        "encoder.layers.2.attention.pattern",
    ]
    names += ["unispeech.feature_projection.projection", "unispeech.feature_extractor.conv_layers.6"]
    assert [layer.label for layer in layers(names)] == ["conv 6", "projection", "layer 2", "layer 10"]


def test_means_and_distances_leave_what_is_not_known_open():
    spans = [replace(span, start=k * 0.2, end=k * 0.2 + 0.1) for k, span in enumerate(utterance().phones[:2])]
    means = movement.over_spans(np.arange(4.0)[:, None], np.array([0.0, 0.05, 0.15, 0.25]), spans)
    assert means.tolist() == [[0.5], [3.0]]
    assert np.isnan(movement.over_spans(np.ones((1, 1)), np.array([0.15]), spans)).all()
    assert np.isnan(movement.distances(np.zeros(3), np.ones(3), "cosine"))
    with pytest.raises(ValueError, match="cosine, Euclid, found 'cos'"):
        movement.distances(np.ones(3), np.ones(3), "cos")
