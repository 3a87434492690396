"""The views of the loss, on a step whose answer is constructed: what is hidden, what it is told from, what it costs."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from pictures import CLASSES, FRAMES, PlainTrace, anatomy, utterance

from unispeech_lab import views
from unispeech_lab.analysis.anatomy import step_of
from unispeech_lab.objective import Objective
from unispeech_lab.views import still
from unispeech_lab.views.panel import Axis, Bars, Panel
from unispeech_lab.views.stage import pack

COUNT = 49  # frames of a second
# frames whose middle lies in the five phones of ``utterance()``, of 0.2 s each
PHONE = np.minimum((FRAMES.centre(np.arange(COUNT)) / 0.2).astype(int), 4)


def told(frame: int, negatives, cosines, equal=()) -> PlainTrace:
    """One hidden frame: its state has cosine 1 with its own codeword, the given ones with its negatives'."""
    seen = anatomy(COUNT)
    seen["step.predicted"] = np.arange(COUNT)[None] == frame
    seen["step.negatives"] = np.full((1, COUNT, len(negatives)), -1)
    seen["step.negatives"][0, frame] = negatives
    angles = np.zeros(COUNT)
    angles[list(negatives)] = np.arccos(cosines)
    vectors = np.stack([np.cos(angles), np.sin(angles)], -1)[None].astype(np.float32)
    seen["step.states"] = np.zeros((1, COUNT, 2), np.float32) + np.array([1, 0], np.float32)
    seen["step.positives"] = seen["step.pool"] = vectors
    codes = np.arange(COUNT)[None, :, None].copy()
    codes[0, list(equal)] = frame
    seen["step.codes"] = seen["step.pool_codes"] = codes
    return seen


class TestMasks:
    view = views.load("masks")

    def test_stretches_lie_where_their_frames_do_and_name_their_phones(self):
        hidden, replaced = np.zeros((1, COUNT), bool), np.zeros((1, COUNT), bool)
        hidden[0, 8:12] = hidden[0, 40] = replaced[0, 11:13] = True
        (panel,) = self.view.panels(PlainTrace(mask=hidden, replaced=replaced), utterance())
        above, below = panel.marks
        assert [span.label for span in above.spans] == ["ð ə", "t"] and [s.label for s in below.spans] == ["ə"]
        assert above.spans[0].start == pytest.approx(8 * 0.02 + 0.0025)
        assert above.spans[0].end == pytest.approx(12 * 0.02 + 0.0025)
        assert "5 of 49 frames are hidden, to be predicted (10%), in 2 stretches of up to 80 ms" in panel.words
        assert "2 are replaced (4%), 1 of them hidden" in panel.words

    def test_reads_what_record_keeps(self):
        from models import ours, speech

        from unispeech_lab.trace import record

        model, inputs = ours("UniSpeechForPreTraining"), speech(lengths=(16_000,))
        mask = torch.arange(COUNT)[None] < 10
        with torch.no_grad(), record(model, *self.view.watches) as trace:
            model(**inputs, mask_time_indices=mask)
        (panel,) = self.view.panels(trace, utterance())
        assert panel.words.startswith("10 of 49 frames are hidden")


class TestContrast:
    view = views.load("contrast")

    def panels(self, seen, **knobs):
        start = {name: knob.default for name, knob in self.view.knobs(seen, utterance()).items()}
        return self.view.panels(seen, utterance(), **start | knobs)

    def test_bars_are_sorted_and_marked_by_the_truth(self):
        seen = told(22, [24, 5, 30, 23], [0.9, 0.8, 0.7, 1.0], equal=[23])
        bars, _ = (panel.marks[0] for panel in self.panels(seen))
        assert bars.heights == pytest.approx([1.0, 1.0, 0.9, 0.8, 0.7], abs=1e-3)
        assert bars.names == ("k", "k", "k", "ð", "æ")
        assert [bars.legend[kind][1] for kind in bars.kinds] == [
            "positive",
            "left out",
            "same phone",
            "other phone",
            "other phone",
        ]

    def test_words_are_the_loss_of_that_frame(self):
        seen = told(22, [24, 5, 30, 23], [0.9, 0.8, 0.7, 1.0], equal=[23])
        panel, _ = self.panels(seen)
        surprise = math.log(sum(math.exp((cosine - 1) / 0.1) for cosine in (1.0, 0.9, 0.8, 0.7)))
        assert f"−log p = {surprise:.2f}, guessing {math.log(4):.2f}" in panel.words
        same = np.count_nonzero(PHONE[22] == PHONE)
        assert f"2 of 4 negatives are k in truth (50%, by chance {(same - 1) / 48:.0%})" in panel.words
        assert "1 have its codes and are left out, 1 of them k" in panel.words
        colder, _ = self.panels(seen, objective=Objective(blank=0, temperature=1.0, equal_negatives="kept"))
        assert "0 have its codes" in colder.words and f"guessing {math.log(5):.2f}" in colder.words

    def test_each_bar_plays_what_its_frame_hears(self):
        seen = told(22, [24, 5], [0.9, 0.8])
        alone, _ = self.panels(seen)
        assert alone.marks[0].times[1] == pytest.approx([24 * 0.02, 24 * 0.02 + 0.025])
        around, _ = self.panels(seen, sound="125 ms")
        assert around.marks[0].times[1] == pytest.approx([24 * 0.02 - 0.05, 24 * 0.02 + 0.075])

    def test_the_positive_stays_in_sight_when_it_is_far(self):
        negatives = list(range(23, 49))
        seen = told(22, negatives, np.linspace(0.99, 0.5, 26))
        seen["step.positives"] = -seen["step.positives"]  # as far as can be
        bars = self.panels(seen, nearest=25)[0].marks[0]
        assert len(bars.heights) == 25 and bars.legend[bars.kinds[-1]][1] == "positive"
        assert "place 27 of 27" in self.panels(seen, nearest=25)[0].words

    def test_the_state_is_compared_with_every_codeword(self):
        seen = told(22, [24, 5], [0.9, 0.2])
        _, panel = self.panels(seen)
        line = panel.marks[0].y[0]
        assert line[24] == pytest.approx(0.9, abs=1e-3) and line[5] == pytest.approx(0.2, abs=1e-3)
        tiers = {mark.tier: mark.spans for mark in panel.marks[1:]}
        assert [span.label for span in tiers["same phone"]] == ["k"]
        assert tiers["other phone"][0].start == pytest.approx(5 * 0.02 + 0.0025)

    def test_without_phones_nothing_is_called_the_same(self):
        seen = told(22, [24, 5], [0.9, 0.2])
        heard = utterance(phones=())
        panel, _ = self.view.panels(seen, heard, frame=22, nearest=3)
        assert "truth" not in panel.words and "in pause" not in panel.words
        assert panel.marks[0].names == ("22", "24", "5")


class TestTerms:
    view = views.load("terms")
    objective = Objective(blank=0)

    def bars(self, seen, alpha, replace):
        panel, _ = self.view.panels(seen, utterance(), alpha, replace, objective=self.objective)
        (mark,) = panel.marks
        return dict(zip(mark.names, mark.heights, strict=True)), panel

    @pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
    @pytest.mark.parametrize("replace", [0.0, 0.4, 1.0])
    def test_is_the_loss_of_the_objective(self, alpha, replace):
        seen = anatomy(COUNT)
        bars, panel = self.bars(seen, alpha, replace)
        expected, terms = Objective(blank=0, alpha=alpha)(step_of(seen, replace))
        assert bars["loss"] == pytest.approx(expected.item(), rel=1e-5)
        if "ctc" in terms:
            assert bars["ctc"] == pytest.approx(alpha * terms["ctc"].item(), rel=1e-5)
        assert f"= {expected.item():.2f}." in panel.words

    def test_without_labels_the_rest_is_all(self):
        seen = anatomy(COUNT)
        del seen["step.labels"]
        bars, _ = self.bars(seen, 0.3, 0.5)
        expected, _ = self.objective(step_of(seen))
        assert "ctc" not in bars and bars["loss"] == pytest.approx(expected.item(), rel=1e-5)

    def test_labels_that_do_not_fit_are_said(self):
        seen = anatomy(COUNT)
        seen["step.labels"] = np.full((1, COUNT), 3)
        panel, mixture = self.view.panels(seen, utterance(), 0.5, 0.5, objective=self.objective)
        assert panel.words == "The labels do not fit the frames." and "CTC has no bound" in mixture.words

    def test_the_scale_stays_while_alpha_turns(self):
        seen = anatomy(COUNT)
        assert self.bars(seen, 0.0, 0.5)[1].y == self.bars(seen, 1.0, 0.5)[1].y

    def test_reads_the_states_before_and_the_codewords_after(self):
        seen = anatomy(COUNT)
        for name, winner in (("states", 4), ("codewords", 7)):
            seen[f"heads.{name}"] = 9 * np.eye(CLASSES, dtype=np.float32)[np.full((1, COUNT), winner)]
        labels = [f"<{v}>" for v in range(CLASSES)]
        _, panel = self.view.panels(seen, utterance(), 0.5, 1.0, objective=self.objective, labels=labels)
        replaced, before, after = panel.marks
        assert [span.label for span in before.spans] == ["<4>"] and [span.label for span in after.spans] == ["<7>"]
        assert len(replaced.spans) == 1 and "49 of 49 frames are replaced; 49 frames read otherwise" in panel.words
        assert panel.words.endswith(" Before: <4>. After: <7>.")
        _, panel = self.view.panels(seen, utterance(), 0.5, 0.0, objective=self.objective)
        assert "0 of 49 frames are replaced; 0 frames read otherwise" in panel.words


class TestBars:
    bars = Bars(np.array([0.5, -0.25, np.nan]), ("a", "b", "c"), [0, 1, 1], (("★", "one"), ("", "two")), quantity="x")

    def test_says_them_all_where_they_are_few_and_by_kind_where_many(self):
        assert self.bars.says() == "a 0.5, b -0.25"
        many = Bars(np.arange(10.0), tuple("abcdefghij"), [0] * 9 + [1], self.bars.legend, quantity="cosine", unit="m")
        assert many.says() == "10 bars, highest j 9 m; one: 9, cosine 0 to 8 m; two: 1, cosine 9 to 9 m"

    def test_refusals_say_what_was_expected(self):
        with pytest.raises(ValueError, match="expected 2 names and kinds, found 1 and 2"):
            Bars(np.zeros(2), ("a",))
        with pytest.raises(ValueError, match=r"out of a legend of 1, found \[0, 3\]"):
            Bars(np.zeros(2), ("a", "b"), [0, 3])
        with pytest.raises(ValueError, match=r"a start and an end for each of 2 bars, found \(2,\)"):
            Bars(np.zeros(2), ("a", "b"), times=np.zeros(2))

    def test_the_still_has_heights_signs_and_names(self):
        panel = Panel("p", "P", (self.bars,), Axis("bar", "", 0, 3), Axis("x", "", -1, 1))
        (axes,) = still.figure([panel]).axes
        assert [patch.get_height() for patch in axes.patches] == pytest.approx([0.5, -0.25, 0.0])
        written = [text.get_text() for text in axes.texts]
        assert {"a", "b", "★ 0.5", "-0.25", "★ one", "■ two"} <= set(written)

    def test_the_time_axis_is_named_under_the_last_panel_that_has_one(self):
        time = Panel("t", "T", (), Axis("time", "s", 0, 1), Axis("x"))
        bars = Panel("p", "P", (self.bars,), Axis("bar", "", 0, 3), Axis("x", "", -1, 1))
        above, below = still.figure([time, bars]).axes
        assert above.get_xlabel() == "time, s" and below.get_xlabel() == "bar"

    def test_travels(self):
        panel = Panel("p", "P", (self.bars,), Axis("bar", "", 0, 3), Axis("x", "", -1, 1))
        (mark,) = pack(panel)["marks"]
        assert np.frombuffer(mark["heights"], "<f4")[:2].tolist() == [0.5, -0.25]
        assert np.frombuffer(mark["kinds"], "<u2").tolist() == [0, 1, 1]
        assert mark["times"] is None and mark["legend"][0] == ["★", "one"]


def test_a_picture_stands_with_its_words():
    panel = Panel("p", "Title", (TestBars.bars,), Axis("bar", "", 0, 3), Axis("x", "", -1, 1), "Words.")
    bundle, metadata = still.Picture([panel], note="a note")._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == bundle["text/plain"] == "a note\n" + panel.alt()


def test_the_audit_is_drawn_phone_by_phone():
    table = pd.DataFrame({"frames": [9, 4, 1], "false": [0.5, 0.25, 0.0], "chance": [0.4, 0.3, 0.1]}, index=list("abc"))
    (panel,) = views.load("contrast").by_phone(table, most=2)
    bars, line = panel.marks
    assert (
        bars.names == ("a", "b")
        and bars.heights.tolist() == [50, 25]
        and line.y[0, [0, 1, 3, 4]].tolist() == [40, 40, 30, 30]
    )
    assert panel.words.startswith("The 2 most frequent of 3, a first") and still.png([panel]).startswith(b"\x89PNG")
