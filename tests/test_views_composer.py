"""The mask composer: masks that hide just what was meant, judged on steps whose answer is constructed."""

import numpy as np
import pytest
import torch
from models import ours
from pictures import FRAMES, PlainTrace, anatomy, utterance

from unispeech_lab import views
from unispeech_lab.analysis.anatomy import step_of
from unispeech_lab.analysis.composing import PAINTED, PHONES, SPANS, WORDS, compose
from unispeech_lab.objective import Objective
from unispeech_lab.views.explorer import Explorer

VIEW = views.load("composer")
COUNT = 49  # frames of a second
PHONE = np.minimum((FRAMES.centre(np.arange(COUNT)) / 0.2).astype(int), 4)  # which of the five each frame lies in


def step(right, hidden=None, negatives: int = 9) -> PlainTrace:
    """A step whose state points to its own codeword where ``right`` (t,), to that of all negatives elsewhere.

    Codewords take turns between three directions, so that a frame's negatives are never its own.
    """
    made = anatomy(COUNT)
    place = np.arange(COUNT)
    codewords = np.eye(3, dtype=np.float32)[place % 3]
    made["step.pool"] = made["step.positives"] = codewords[None]
    made["step.states"] = np.where(np.asarray(right)[:, None], codewords, codewords[(place + 1) % COUNT])[None]
    made["step.codes"] = made["step.pool_codes"] = (place % 3)[None, :, None]
    made["step.negatives"] = ((place[:, None] + 1 + 3 * np.arange(negatives)) % 48)[None]
    made["step.predicted"] = np.ones((1, COUNT), bool) if hidden is None else np.asarray(hidden)[None]
    return made


def panels(made, painted=(), how=PAINTED, share=0.5, phone="any", heard=None):
    return VIEW.panels({}, heard or utterance(), painted, how, share, phone, step=made)


class TestCompose:
    def test_what_is_painted_over_a_phone_is_that_phone(self):
        third = utterance().phones[2]
        hidden = compose(FRAMES, utterance(), [(third.start, third.end)])
        assert np.array_equal(hidden, PHONE == 2)
        assert not compose(FRAMES, utterance()).any()

    def test_every_phone_of_a_name(self):
        heard = utterance(phones=("ð", "ə", "ð", "ə", "t"))
        hidden = compose(FRAMES, heard, how=PHONES, phone="ə", share=0.1)
        assert np.array_equal(hidden, np.isin(PHONE, [1, 3]))

    def test_every_word_that_holds_a_phone(self):
        heard = utterance(phones=("ð", "ə", "ð", "s", "t"))  # words: the first two, the last three
        hidden = compose(FRAMES, heard, how=WORDS, phone="s", share=0.1)
        assert np.array_equal(hidden, np.isin(PHONE, [2, 3, 4]))
        assert compose(FRAMES, heard, how=WORDS, phone="ð", share=0.1).all()

    @pytest.mark.parametrize(("how", "of"), [(PHONES, [[0], [1], [2], [3], [4]]), (WORDS, [[0, 1], [2, 3, 4]])])
    def test_phones_and_words_are_hidden_whole(self, how, of):
        hidden = compose(FRAMES, utterance(), how=how, share=0.4)
        covered = [hidden[np.isin(PHONE, each)] for each in of]
        assert all(part.all() or not part.any() for part in covered)
        assert sum(part.all() for part in covered) == max(round(0.4 * len(of)), 1)

    @pytest.mark.parametrize("how", [SPANS, PHONES, WORDS])
    def test_with_p_more_is_hidden_and_none_comes_back(self, how):
        masks = [compose(FRAMES, utterance(), how=how, share=share) for share in VIEW.SHARES]
        assert all((less <= more).all() for less, more in zip(masks, masks[1:], strict=False))
        assert 0 < masks[0].sum() < masks[-1].sum()
        if how != SPANS:
            assert masks[-1].all()

    def test_spans_are_ten_frames(self):
        one = compose(FRAMES, utterance(), how=SPANS, share=0.1)
        assert one.sum() == 10 and np.ptp(np.flatnonzero(one)) == 9
        assert compose(FRAMES, utterance(400), how=SPANS).tolist() == [True]

    def test_what_is_painted_stays_beside_what_is_drawn(self):
        drawn = compose(FRAMES, utterance(), how=WORDS)
        both = compose(FRAMES, utterance(), [(0.0, 1.0)], how=WORDS)
        assert drawn.sum() < both.sum() == COUNT

    def test_an_unknown_way_is_refused(self):
        with pytest.raises(
            ValueError, match="a way to mask out of painted alone, random spans, phones, words, found 'all'"
        ):
            compose(FRAMES, utterance(), how="all")


class TestAccuracy:
    def test_is_one_where_all_states_are_their_codewords(self):
        picture, bars = panels(step(np.ones(COUNT, bool)))
        marks = {mark.tier: mark.spans for mark in picture.marks}
        assert len(marks["nearest"]) == COUNT and marks["not nearest"] == ()
        assert "In 100% of 49 hidden frames the positive is nearest (by chance 10.0%)" in picture.words
        assert bars.marks[0].heights.tolist() == [1] * 5 and bars.marks[0].names == ("ð", "ə", "k", "æ", "t")

    def test_is_that_of_each_phone_by_its_hidden_frames(self):
        """Hidden is the third phone and half of the fourth; told is the third alone."""
        hidden = (PHONE == 2) | ((PHONE == 3) & (np.arange(COUNT) % 2 == 0))
        made = step(PHONE == 2, hidden)
        picture, panel = panels(made)
        bars, chance = panel.marks
        assert bars.names == ("k", "æ") and bars.heights.tolist() == [1, 0]
        assert [bars.legend[kind][1] for kind in bars.kinds] == ["all hidden", "in part"]
        assert np.allclose(chance.y, 0.1) and np.allclose(bars.times[0], [0.4, 0.6], atol=0.02)
        marks = {mark.tier: mark.spans for mark in picture.marks}
        assert {span.label for span in marks["nearest"]} == {"k"} and {s.label for s in marks["not nearest"]} == {"æ"}
        expected = Objective(blank=0).accuracy(step_of(made)).item()
        assert f"In {expected:.0%} of {hidden.sum()} hidden frames" in picture.words
        assert panel.words == "Of 2 hidden, k (100%) is told best, æ (0%) worst."

    def test_a_bar_counts_hidden_frames_alone(self):
        """Of the fourth phone half is hidden, and told; the other half would not be."""
        hidden = (PHONE == 3) & (np.arange(COUNT) % 2 == 0)
        _, panel = panels(step(hidden, hidden))
        assert panel.marks[0].heights.tolist() == [1]

    def test_where_all_are_equally_near_nothing_is_told(self):
        made = step(np.ones(COUNT, bool))
        made["step.states"] = np.ones_like(made["step.states"])
        picture, _ = panels(made)
        assert "In 0% of 49 hidden frames" in picture.words

    def test_words_are_the_loss(self):
        made = step(np.arange(COUNT) % 2 == 0, PHONE < 3)
        objective = Objective(blank=0)
        loss = (objective.contrastive(step_of(made)).sum() / (PHONE < 3).sum()).item()
        assert f"−log p = {loss:.2f} on average, guessing {np.log(10):.2f}" in panels(made)[0].words

    def test_where_nothing_is_hidden_it_says_so(self):
        picture, bars = panels(step(np.ones(COUNT, bool), np.zeros(COUNT, bool)))
        assert picture.words.startswith("None of 49 frames is hidden, so there is nothing to tell: paint")
        assert bars.words == "No phone is hidden." and np.isnan(bars.marks[0].heights).all()
        assert "nan" not in picture.alt() + bars.alt()

    def test_many_phones_share_the_bars_of_their_names(self, monkeypatch):
        monkeypatch.setattr(VIEW, "MOST", 4)
        _, panel = panels(step(PHONE != 3), heard=utterance(phones=("ð", "ə", "ð", "ə", "t")))
        assert panel.marks[0].names == ("ð", "ə", "t") and panel.marks[0].heights.tolist() == [1, 0.5, 1]

    def test_pauses_are_bars_of_their_own(self):
        _, panel = panels(step(np.ones(COUNT, bool)), heard=utterance(phones=()))
        assert panel.marks[0].names == ("pause",)


class TestWithAModel:
    def test_hides_what_was_composed_and_nothing_else(self):
        model, heard = ours("UniSpeechForPreTraining"), utterance()
        knobs = {"painted": ((0.0, 0.1),), "how": PHONES, "share": 0.2, "phone": "t"}
        made = VIEW.asks({}, heard, **knobs)["step"](model)
        expected = compose(FRAMES, heard, **knobs)
        assert np.array_equal(made["step.predicted"][0], expected)
        with torch.no_grad():
            states = model(
                **model.prepare([heard]), mask_time_indices=torch.from_numpy(expected)[None]
            ).projected_states.numpy()
        assert np.allclose(made["step.states"], states, atol=1e-5)

    def test_a_turn_of_a_knob_is_one_forward(self, monkeypatch):
        model = ours("UniSpeechForPreTraining")
        explorer = Explorer(None, utterance(), ("composer",), model=model)
        first = explorer["composer"].words
        heard, forward = [], type(model).forward
        monkeypatch.setattr(type(model), "forward", lambda self, *a, **k: heard.append(1) or forward(self, *a, **k))
        explorer.turn(share=1.0)
        assert explorer["composer"].words != first and len(heard) == 1
        assert explorer.turn(how=PAINTED)["composer"].words.startswith("None of 49 frames is hidden")
        painted = explorer.turn(painted=((0.4, 0.6),))["composer"]
        assert painted.paints == "painted" and [span.label for span in painted.marks[0].spans] == ["k"]
        assert np.array_equal(explorer.answers["composer"][1]["step"]["step.predicted"][0], PHONE == 2)
