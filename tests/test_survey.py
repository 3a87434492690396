"""A survey: a row a frame of a whole corpus, beside what was said there and the sound of it."""

import numpy as np
import pytest
import torch
from torch import nn

from unispeech_lab.alignment import Span
from unispeech_lab.corpus import Utterance
from unispeech_lab.frames import Frames
from unispeech_lab.nn.tap import Tap
from unispeech_lab.survey import Survey, described

CLOCK = Frames()


class Counting(nn.Module):
    """A model whose state at every frame says which utterance (its level) and which frame it is."""

    def __init__(self):
        super().__init__()
        self.state, self.whole = Tap(), Tap()

    def prepare(self, utterances):
        return {"input_values": torch.from_numpy(utterances[0].waveform)[None]}

    def forward(self, input_values):
        frames = torch.arange(CLOCK.count(input_values.shape[1]), dtype=torch.float32)
        level = input_values[0, 0].expand(len(frames))
        self.whole(input_values)
        return self.state(torch.stack([level, frames], -1)[None])


def spoken(level: float, samples: int, *phones: Span, id: str = "") -> Utterance:
    wave = np.full(samples, level, np.float32)
    words = [Span("ab", 0.0, samples / 16_000)]
    return Utterance(id or f"u{level}", wave, language="en", speaker="f1", phones=phones, words=words)


@pytest.fixture
def utterances():
    first = spoken(0.25, 1360, Span("a", 0.0, 0.04), Span("b", 0.04, 0.085))  # four frames
    second = spoken(0.5, 720, Span("c", 0.0, 0.001), Span("d", 0.001, 0.045))  # two; no frame's middle lies in c
    return [first, second]


@pytest.fixture
def survey(utterances):
    return Survey.of(Counting(), utterances, "state")


class TestOf:
    def test_has_a_row_a_frame_in_order(self, survey):
        assert survey["state"].tolist() == [[0.25, 0], [0.25, 1], [0.25, 2], [0.25, 3], [0.5, 0], [0.5, 1]]
        assert survey.frames["utterance"].tolist() == [0, 0, 0, 0, 1, 1]
        assert survey.frames["frame"].tolist() == [0, 1, 2, 3, 0, 1]

    def test_knows_what_is_said_at_each_frame(self, survey):
        assert survey.frames["phone"].tolist() == ["a", "a", "b", "b", "d", "d"]
        assert survey.frames["part"].iloc[0] == "onset" and set(survey.frames["language"]) == {"en"}

    def test_a_pause_is_no_phone(self):
        survey = Survey.of(Counting(), [spoken(0.1, 1360, Span("a", 0.03, 0.085))], "state")
        assert survey.frames["phone"].tolist() == [None, "a", "a", "a"] and survey.frames["part"].iloc[0] is None

    def test_frames_lie_within_their_utterance(self, survey, utterances):
        ends = survey.frames.groupby("utterance")["end"].max()
        assert (survey.frames["start"] >= 0).all()
        assert (ends <= [utterance.seconds for utterance in utterances]).all()

    def test_frames_that_hear_less_than_a_hop_end_where_the_sound_does(self):
        rows = described(0, spoken(0.1, 100), Frames((10,), (100,)), 1)
        assert rows["start"].tolist() == [0.0] and rows["end"].tolist() == [pytest.approx(55 / 16_000)]
        assert described(0, spoken(0.1, 40), Frames((10,), (100,)), 1)["end"].tolist() == [40 / 16_000]

    def test_an_unknown_name_is_answered_with_a_near_one(self, utterances, survey):
        with pytest.raises(KeyError, match="state"):
            Survey.of(Counting(), utterances, "stat")
        with pytest.raises(KeyError, match="'states' was not surveyed; nearest: state"):
            survey["states"]

    def test_what_has_no_row_a_frame_is_refused(self, utterances):
        with pytest.raises(ValueError, match=r"a row for each of 4 frames in 'whole', found shape \(1360,\)"):
            Survey.of(Counting(), utterances, "whole")

    def test_nothing_to_listen_to_is_said(self):
        with pytest.raises(ValueError, match="at least one utterance"):
            Survey.of(Counting(), [], "state")

    def test_shows_what_it_holds(self, survey):
        assert repr(survey) == "Survey of 2 utterances, 6 frames: state (2,)"
        assert list(survey) == ["state"] and len(survey) == 1


class TestPhones:
    def test_a_row_a_phone_that_holds_the_middle_of_a_frame(self, survey):
        assert survey.phones["label"].tolist() == ["a", "b", "d"]
        assert survey.phones[["first", "last"]].to_numpy().tolist() == [[0, 2], [2, 4], [4, 6]]
        assert set(survey.phones["word"]) == {"ab"}

    def test_means_over_a_phone(self, survey):
        assert survey.over_phones("state").tolist() == [[0.25, 0.5], [0.25, 2.5], [0.5, 0.5]]

    def test_without_phones_there_are_none(self):
        survey = Survey.of(Counting(), [spoken(0.1, 720)], "state")
        assert len(survey.phones) == 0 and survey.over_phones("state").shape == (0, 2)


class TestSound:
    def test_the_album_is_every_utterance_in_turn(self, survey):
        assert survey.album.dtype == np.int16 and len(survey.album) == 1360 + 720
        assert survey.album[0] == int(0.25 * 32767) and survey.album[-1] == int(0.5 * 32767)

    def test_times_of_a_row_play_that_very_stretch(self, survey):
        start, end = survey.times(survey.phones)[2]
        assert start == pytest.approx(1360 / 16_000 + 0.001) and end == pytest.approx(1360 / 16_000 + 0.045)
        assert (survey.album[int(start * 16_000) : int(end * 16_000)] == int(0.5 * 32767)).all()

    def test_an_utterance_is_found_in_the_album(self, survey, utterances):
        assert survey.place(utterances[1]) == pytest.approx(1360 / 16_000)
        assert survey.place(spoken(0.9, 720)) is None
        again = spoken(0.7, 720, id=utterances[1].id)
        assert survey.place(again) == survey.place(utterances[1]), "the same utterance, read again"
