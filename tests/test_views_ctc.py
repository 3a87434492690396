"""The views of CTC: numbers of trellis, spikes and alignment where the answer is constructed."""

import numpy as np
import pandas as pd
import pytest
from pictures import PlainTrace, utterance

from unispeech_lab import boundaries, views
from unispeech_lab.views import alignment

NAMES = ("-", "ð", "ə", "k", "æ", "t")  # the blank first


def seen(path, sharpness: float = 8.0, names=NAMES) -> PlainTrace:
    """A trace whose head says this path, more or less sharply."""
    made = PlainTrace({"ctc_proj": sharpness * np.eye(len(NAMES))[list(path)][None]})
    made.labels, made.blank = names, 0
    return made


def heard(path):
    return utterance(320 * len(path) + 80)


SAID = [0, 0, 1, 0, 0, 2, 2, 0, 3, 0, 4, 0, 0, 5, 0]


class TestPosteriors:
    view = views.load("posteriors")

    def test_logarithms_are_those_of_the_probabilities_down_to_a_floor(self):
        p, log_p = (
            self.view.panels(seen([0, 3], 9.0), heard([0, 3]), classes=6, belief=belief)[0].marks[0]
            for belief in ("p", "log p")
        )
        assert np.allclose(log_p.values, np.log(p.values), atol=1e-5) and (log_p.unit, log_p.low) == ("nats", -12.0)
        (sharp,) = self.view.panels(seen([0, 3], 50.0), heard([0, 3]), classes=6, belief="log p")
        assert sharp.marks[0].values.min() == -12.0


class TestCollapse:
    view = views.load("collapse")

    def tiers(self, path, **given):
        (panel,) = self.view.panels(seen(path, **given), heard(path))
        return {mark.tier: [span.label for span in mark.spans] for mark in panel.marks if mark.tier != "blank"}, panel

    def test_each_step_is_a_tier(self):
        tiers, panel = self.tiers([0, 1, 1, 0, 1, 2, 0, 3, 4, 5])
        assert tiers["winners"] == ["ð", "ð", "ð", "ə", "k", "æ", "t"]
        assert tiers["runs merged"] == tiers["no blanks"] == ["ð", "ð", "ə", "k", "æ", "t"]
        assert tiers["truth"] == ["ð", "ə", "k", "æ", "t"]
        blanks = [mark.spans for mark in panel.marks if mark.tier == "blank"]
        assert [len(spans) for spans in blanks] == [3, 3]
        assert "10 winners merge into 9 runs, 3 of them blank; 6 phones are read" in panel.words

    def test_steps_lie_where_their_frames_do_and_the_text_meets_half_way(self):
        _, panel = self.tiers([0, 1, 1, 0, 0, 2, 3, 4, 5])
        marks = {mark.tier: mark.spans for mark in panel.marks}
        assert marks["runs merged"][0].start == pytest.approx(0.0225) and marks["runs merged"][0].end == pytest.approx(
            0.0625
        )
        assert marks["compared"][0].end == marks["compared"][1].start == pytest.approx((0.0625 + 0.1025) / 2)

    def test_what_is_wrong_is_written_where_it_is(self):
        tiers, panel = self.tiers([1, 0, 2, 0, 4, 0, 3, 5, 0, 5])
        assert tiers["compared"] == ["ð", "ə", "+æ", "k", "t≠æ", "t"]
        assert panel.words.startswith("40% phone errors: of 5 said 4 are right, 1 others (t for æ), 1 too many (æ).")

    def test_what_is_missed_is_named(self):
        tiers, panel = self.tiers([0, 1, 0, 4, 5])
        assert tiers["compared"] == ["ð", "æ", "t"] and "3 are right, 2 missed (ə, k)" in panel.words

    def test_without_names_it_reads_and_does_not_judge(self):
        tiers, panel = self.tiers([0, 1, 0, 4, 5], names=())
        assert tiers["text"] == ["1", "4", "5"] and "errors" not in panel.words

    def test_silence_is_no_phone(self):
        tiers, panel = self.tiers([0] * 6)
        assert tiers["no blanks"] == [] and "100% phone errors" in panel.words and "0 phones are read" in panel.words


class TestTrellis:
    view = views.load("trellis")

    def test_the_path_climbs_as_constructed(self):
        (panel,) = self.view.panels(seen(SAID), heard(SAID), cells="through")
        picture, best, tier = panel.marks
        assert best.y[0].tolist() == [0.5, 0.5, 1.5, 2.5, 2.5, 3.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 8.5, 9.5, 10.5]
        assert picture.rows == ("blank", "ð", "blank", "ə", "blank", "k", "blank", "æ", "blank", "t", "blank")
        assert [span.label for span in tier.spans] == ["ð", "ə", "k", "æ", "t"]
        assert tier.spans[1].start == pytest.approx(0.0025 + 5 * 0.02) and tier.spans[1].duration == pytest.approx(0.04)
        assert np.allclose(picture.values.sum(0), 1, atol=1e-6)
        assert "5 labels in 15 frames: 184756 paths" in panel.words  # 20 over 10

    def test_where_there_is_one_path_it_has_all(self):
        path = [1, 2, 3, 4, 5]
        (panel,) = self.view.panels(seen(path), heard(path), cells="through")
        assert "1 paths" in panel.words and "the best has 100% of that" in panel.words
        assert np.allclose(panel.marks[0].values[1::2], np.eye(5), atol=1e-6)

    def test_cells_say_other_things(self):
        frame, so_far, through = (
            self.view.panels(seen(SAID, 2.0), heard(SAID), cells=cells)[0].marks[0].values
            for cells in ("frame", "so far", "through")
        )
        belief = np.exp(2) / (np.exp(2) + 5)
        assert frame[0, 0] == pytest.approx(belief) and frame[10, 0] == pytest.approx(belief)  # both are the blank
        assert so_far[10, 0] == through[10, 0] == 0  # nobody begins at the end
        last = so_far[-2:, -1] / so_far[-2:, -1].sum()  # of what may be the end, the end is all
        assert np.allclose(last, through[-2:, -1], atol=1e-6) and (so_far[:-2, -1] > 0).any()

    def test_the_pointer_reads_where_the_best_path_comes_from(self):
        """Cells along the constructed path, then some that no path can be in."""
        (panel,) = self.view.panels(seen(SAID), heard(SAID), cells="frame")
        picture, best, _ = panel.marks
        read = np.array(picture.legend)[picture.kinds]
        along = [read[int(row), frame] for frame, row in enumerate(best.y[0])]
        assert along[:6] == [
            "begins here",
            "stays",
            "from the blank before",  # ð
            "from the phone before",  # a blank
            "stays",
            "from the blank before",  # ə
        ]
        assert along[8:11] == ["from the blank before", "from the phone before", "from the blank before"]  # k blank æ
        assert read[10, 0] == "no path" and read[0, 14] == "no path: too late to say the rest"

    def test_a_blank_between_two_others_may_be_skipped_and_between_twins_not(self):
        path = [1, 2, 0, 2, 3]
        made = utterance(320 * 5 + 80, phones=("ð", "ə", "ə", "k"))
        (panel,) = self.view.panels(seen(path), made, cells="frame")
        read = np.array(panel.marks[0].legend)[panel.marks[0].kinds]
        assert read[3, 1] == read[7, 4] == "skips the blank" and read[5, 3] == "from the blank before"

    def test_of_a_long_text_a_part_at_a_time(self):
        """Parts lie one after the other, and together they are all there is."""
        order = np.random.default_rng(0).integers(1, 6, 130)
        path = np.stack([order, 0 * order], 1).ravel().tolist()
        said = utterance(320 * len(path) + 80, phones=[NAMES[v] for v in order])
        knob = self.view.knobs(seen(path), said)["part"]
        shown = [self.view.panels(seen(path), said, cells="through", part=k)[0] for k in knob.values]
        assert knob.values == (1, 2, 3)
        pictures = [panel.marks[0] for panel in shown]
        assert [len(picture.rows) for picture in pictures] == [121, 121, 21]
        assert sum(picture.values.shape[1] for picture in pictures) == len(path)
        assert pictures[0].x[1] == pictures[1].x[0] and pictures[1].x[1] == pictures[2].x[0]
        for panel in shown:  # each path climbs from the first row to the last
            assert panel.marks[1].y[0, [0, -1]].tolist() == [1.5, len(panel.marks[0].rows) - 0.5]
        named = [span.label for panel in shown for span in panel.marks[2].spans]
        assert named == [span.label for span in said.phones]
        assert "Labels 61 to 120 of 130 in 120 frames" in shown[1].words

    def test_without_names_what_greedy_reads_is_spelt(self):
        (panel,) = self.view.panels(seen(SAID, names=()), heard(SAID), cells="through")
        assert "as greedy reads them" in panel.words and panel.marks[0].rows[1::2] == ("1", "2", "3", "4", "5")


class TestSpikes:
    view = views.load("spikes")

    def test_bias_is_taken_from_the_blank_alone(self):
        (panel,) = self.view.panels(seen(SAID), heard(SAID), bias=3, prior=0.0)
        odds = panel.marks[0].y[0] / panel.marks[0].y[1]
        assert np.allclose(np.log(odds[[0, 1]]), 8 - 3, atol=1e-5) and np.allclose(np.log(odds[2]), -8 - 3, atol=1e-5)

    def test_temperature_flattens_what_is_sure(self):
        """Twice as hot, half the lead in logs: from 8 nats to 4."""
        (panel,) = self.view.panels(seen(SAID), heard(SAID), bias=0, prior=0.0, temperature=2.0)
        blank, phone = panel.marks[0].y
        assert np.allclose(np.log(blank / phone)[:3], [4, 4, -4], atol=1e-5) and np.allclose(blank[0] + 5 * phone[0], 1)
        assert "5 phones are read" in panel.words  # who wins stays

    def test_a_whole_prior_makes_classes_equally_common(self):
        scores = np.log(np.array([[0.9, 0.05, 0.05], [0.9, 0.05, 0.05], [0.9, 0.02, 0.08]]))
        changed = self.view.recombined(scores, 0, 0, 1.0)
        assert np.allclose(np.exp(changed[:2, 0]), 0.9 / 0.9 / (1 + 0.05 / 0.04 + 0.05 / 0.06), rtol=5e-3)

    def test_errors_are_those_of_the_reading(self):
        right = self.view.panels(seen(SAID), heard(SAID), bias=0, prior=0.0)[0].words
        assert (
            "5 phones are read, 24 ms each (in truth 61); 0% phone errors" in right
            and "Blank wins 60% of the frames" in right
        )
        assert "20% phone errors" in self.view.panels(seen([0, *SAID[3:]]), heard(SAID), bias=0, prior=0.0)[0].words


class TestAlignment:
    view = views.load("alignment")

    def test_finds_what_it_is_told(self):
        """Each phone named in exactly the frames around its true place: five of ten frames in a second."""
        path = [1 + k // 10 for k in range(49)]
        (panel,) = self.view.panels(seen(path), heard(path), method="raw")
        aligned, true = panel.marks
        assert [span.label for span in aligned.spans] == [span.label for span in true.spans]
        assert "100% of 6 borders within 20 ms of the truth" in panel.words
        assert aligned.shades == pytest.approx(np.exp(8) / (np.exp(8) + 5), abs=1e-4)

    def test_what_is_far_off_is_said(self):
        path = [1, 2, 3, 4, 5, *[0] * 44]
        (panel,) = self.view.panels(seen(path), heard(path), method="raw")
        assert "17% of 6 borders within 20 ms" in panel.words

    def test_tolerance_curves_end_where_errors_do(self):
        path = [1 + k // 10 for k in range(49)]
        found = self.view.panels(seen(path), heard(path), method="raw")[0].marks[0].spans
        errors = boundaries.errors(found, heard(path).phones)
        late = errors.assign(onset=errors["onset"] + 0.05, offset=errors["offset"] + 0.05)
        (panel,) = alignment.tolerance({"now": errors, "late": late})
        assert panel.marks[0].names == ("now", "late") and "now 100%, late 0%" in panel.words
        assert (panel.marks[0].y[0, -1], panel.marks[0].y[1, -1]) == (1, 1) and panel.x.unit == "ms"

    def test_calibration_lies_on_the_diagonal_where_scores_are_true(self):
        scores, right = np.repeat([0.25, 0.75], 100), np.tile([True, False, False, False], 25).tolist()
        right = np.array(right + [not r for r in right])
        (panel,) = alignment.calibration(scores, right)
        assert np.allclose(panel.marks[0].y[0], panel.marks[0].y[1]) and "0.00 apart" in panel.words
        assert isinstance(boundaries.reliability(scores, right), pd.DataFrame)


class TestBorders:
    view = views.load("borders")

    def panels(self, late: int = 0, method: str = "raw"):
        """Five phones of ten frames each, ``late`` frames after their place; the last ends with the sound."""
        path = [0] * late + [1 + k // 10 for k in range(49 - late)]
        return self.view.panels(seen(path), heard(path), method=method)

    def test_bars_are_what_each_class_is_off(self):
        """A path of two frames late is off by 40 ms more."""
        (now, _), (late, _) = self.panels(), self.panels(2)
        names = [name.split(": ")[1] for name in now.marks[0].names]
        assert names == ["vowel", "vowel", "stop", "stop", "fricative", "fricative"]
        assert now.marks[0].names[0] == "onsets of 2 phones: vowel" and [n for _, n in now.x.ticks] == [
            "vowel",
            "stop",
            "fric.",
        ]
        found = self.view.place(seen([1 + k // 10 for k in range(49)]), heard([0] * 49), "raw")[0]["raw"]
        off = [1000 * abs(ours.start - true.start) for ours, true in zip(found, heard([0] * 49).phones, strict=True)]
        assert now.marks[0].heights[0] == pytest.approx((off[1] + off[3]) / 2)  # ə, æ
        shift = late.marks[0].heights - now.marks[0].heights
        assert shift[0] == pytest.approx(40)
        assert "of 6 borders are within" in now.words

    def test_a_click_plays_the_worst_border(self):
        bars = self.panels(2)[0].marks[0]
        phones = heard([0] * 49).phones
        middle = bars.times.mean(1)
        assert min(abs(middle[0] - phones[k].start) for k in (1, 3)) < 1e-9
        assert (np.diff(bars.times) <= 0.2 + 1e-9).all() and bars.times.min() >= 0

    def test_of_several_borders_the_farthest_off_is_played_and_half_are_within_the_median(self):
        """Onsets of three vowels, 10, 20 and 300 ms off: the mean would be 110."""
        sound = utterance(phones=("a", "i", "u"))
        errors = pd.DataFrame(
            {
                "label": ["a", "i", "u"],
                "kind": "vowel",
                "onset": [0.01, -0.3, 0.02],
                "offset": [np.nan] * 3,
                "shared": [False] * 3,
                "overlap": [1.0] * 3,
            }
        )
        assert self.view.worst(errors, sound, "vowel", "onset") == sound.phones[1].start
        panel = self.view.by_class(errors, sound, "raw", "")
        assert panel.words.startswith("Half of 3 borders are within 20 ms") and panel.marks[0].heights[0] == 20

    def test_the_curve_of_the_chosen_method_comes_first(self):
        _, curve = self.panels(2, "midpoint")
        assert curve.marks[0].names[0] == "midpoint" and len(curve.marks[0].names) == 5 and curve.x.unit == "ms"
        raw, late = self.panels()[1].marks[0].y[0], self.panels(2)[1].marks[0].y[0]
        assert raw[20] == 1 and late[20] < 0.5
        assert {panel.share for panel in self.panels()} == {0.5}

    def test_without_a_truth_it_measures_nothing(self):
        bars, curve = self.view.panels(seen(SAID, names=()), heard(SAID), method="raw")
        assert np.isnan(bars.marks[0].heights).all() and "no truth that they could be held against" in bars.words
        assert np.isnan(curve.marks[0].y).all() and "nan" not in bars.alt() + curve.alt()
