"""Curves of runs as panels: every measure that is known, in numbers that are those of the table."""

import numpy as np
import pandas as pd
import pytest

from unispeech_lab.views import curves, still


@pytest.fixture
def table():
    """Training every ten steps, validation every thirty and a bit."""
    steps = np.arange(10, 101, 10)
    trained = pd.DataFrame({"loss": 5 - steps / 50, "perplexity": 4.0, "accuracy": np.nan}, index=steps)
    valid = pd.DataFrame({"valid_loss": [4.0, 3.0, 2.5], "valid_per": [1.0, 0.8, 0.6]}, index=[35, 70, 100])
    return trained.join(valid, how="outer").rename_axis("step")


def test_a_panel_for_each_measure_that_is_known(table):
    panels = {panel.name: panel for panel in curves.panels(table, 200)}
    assert list(panels) == ["loss", "perplexity", "per"]
    assert {(panel.x.label, panel.x.start, panel.x.stop) for panel in panels.values()} == {("step", 0.0, 200.0)}
    (lines,) = panels["loss"].marks
    assert lines.names == ("training", "validation")
    for k, column in enumerate(("loss", "valid_loss")):
        known = table[column].dropna()
        assert np.allclose(lines.y[k][np.isin(lines.x, known.index)], known)
    assert panels["loss"].y.start < 2.5 and panels["loss"].y.stop > 4.8
    assert panels["loss"].words == "training 3 at step 100, validation 2.5 at step 100; less is better."


@pytest.mark.parametrize(("column", "title"), [("contrastive", "right codeword"), ("frames", "right class")])
def test_accuracy_is_of_what_was_trained(table, column, title):
    """A classifier names classes; only a contrastive loss tells codewords apart."""
    table = table.assign(accuracy=0.5, **{column: 3.0})
    (panel,) = [panel for panel in curves.panels(table, 100) if panel.name == "accuracy"]
    assert panel.title == panel.y.label == title


def test_between_two_validations_runs_a_straight_line_and_before_the_first_none(table):
    (lines,) = curves.panels(table, 100)[0].marks
    valid = dict(zip(lines.x, lines.y[1], strict=True))
    assert np.isnan(valid[30.0]) and valid[70.0] == 3.0
    assert valid[50.0] == pytest.approx(4.0 - 15 / 35)


def test_a_loss_that_is_no_number_any_more_is_told(table):
    table.loc[80:, "loss"] = np.inf
    words = curves.panels(table, 100)[0].words
    assert words.startswith("training 3.6 at step 70, infinite from step 80 on")


def test_at_first_the_axis_is_short_enough_to_see_the_curve():
    assert [curves.reach(step, 3000) for step in (0, 1, 14, 16, 17, 1400, 2000, 3000)] == [
        2, 2, 32, 32, 64, 3000, 3000, 3000,
    ]  # fmt: skip


def test_of_nothing_there_is_no_panel():
    assert curves.panels(pd.DataFrame(), 100) == []
    assert curves.panels(pd.DataFrame({"loss": [np.nan]}, index=[1]), 100) == []


def test_a_long_run_is_thinned_and_keeps_its_means():
    table = pd.DataFrame({"loss": np.random.default_rng(0).random(30_000)}, index=np.arange(1, 30_001))
    (lines,) = curves.panels(table, 30_000)[0].marks
    assert len(lines.x) == curves.POINTS and lines.y.mean() == pytest.approx(table["loss"].mean())
    assert (np.diff(lines.x) > 0).all()


def test_several_runs_have_a_curve_each(table):
    panels = {panel.name: panel for panel in curves.compare({"one": table, "other": table[["loss"]] + 1}, 100)}
    assert panels["per"].marks[0].names == ("one",) and panels["per"].title == "phone error rate, validation"
    assert panels["loss"].title == "loss, validation" and panels["loss"].marks[0].names == ("one",)
    assert panels["perplexity"].title == "codewords in use, softmax"
    trained = curves.compare({"one": table[["loss"]], "other": table[["loss"]] + 1}, 100)[0]
    assert trained.title == "loss, training" and trained.words.startswith("one 3 at step 100, other 4 at step 100")
    assert np.allclose(trained.marks[0].y[1], trained.marks[0].y[0] + 1)


def test_they_can_be_drawn_and_said(table):
    panels = curves.panels(table, 100)
    assert still.png(panels, note="step 100 of 100").startswith(b"\x89PNG")
    assert "training from 3 to 4.8" in still.words(panels)
