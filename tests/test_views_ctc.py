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

    def test_without_names_what_greedy_reads_is_spelt(self):
        (panel,) = self.view.panels(seen(SAID, names=()), heard(SAID), cells="through")
        assert "as greedy reads them" in panel.words and panel.marks[0].rows[1::2] == ("1", "2", "3", "4", "5")


class TestSpikes:
    view = views.load("spikes")

    def test_bias_is_taken_from_the_blank_alone(self):
        (panel,) = self.view.panels(seen(SAID), heard(SAID), bias=3, prior=0.0)
        odds = panel.marks[0].y[0] / panel.marks[0].y[1]
        assert np.allclose(np.log(odds[[0, 1]]), 8 - 3, atol=1e-5) and np.allclose(np.log(odds[2]), -8 - 3, atol=1e-5)

    def test_a_whole_prior_makes_classes_equally_common(self):
        scores = np.log(np.array([[0.9, 0.05, 0.05], [0.9, 0.05, 0.05], [0.9, 0.02, 0.08]]))
        changed = self.view.recombined(scores, 0, 0, 1.0)
        assert np.allclose(np.exp(changed[:2, 0]), 0.9 / 0.9 / (1 + 0.05 / 0.04 + 0.05 / 0.06), rtol=5e-3)

    def test_errors_are_those_of_the_reading(self):
        right = self.view.panels(seen(SAID), heard(SAID), bias=0, prior=0.0)[0].words
        assert "5 phones are read, 24 ms each (in truth 61); 0% phone errors" in right and "Blank wins 60% of the frames" in right
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
