"""Race: what compare does, a curve a variant on one picture, stopped and gone on with."""

import time

import pytest
from test_live import press
from test_variants import config
from training import SETTINGS, assert_same_weights, speech, vocabulary

from unispeech_lab import compare
from unispeech_lab.race import RaceCurves, race
from unispeech_lab.settings import Settings

NAMES = ["unispeech", "wav2vec2"]
HOW = {"config": config(), "valid": speech()[:2], "vocabulary": vocabulary()}
PANELS = ["ctc", "contrastive", "accuracy", "perplexity", "per"]


def begin(out, names=NAMES, seeds=(0,), **settings):
    return race(names, speech(), out, Settings(**{**SETTINGS, **settings}), seeds, **HOW)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The same comparison without curves."""
    out = tmp_path_factory.mktemp("plain")
    return compare.compare(NAMES, speech(), out, Settings(**SETTINGS), **HOW, progress=False)


def assert_as(plain, found):
    for name in NAMES:
        assert_same_weights(found.folder / name / "0", plain.folder / name / "0")
    slow = ["frames_per_second", "seconds"]
    assert found.each.drop(columns=slow).equals(plain.each.drop(columns=slow))


def test_it_compares_as_compare_does(tmp_path, plain):
    racing = begin(tmp_path)
    compared = racing.wait(300)
    assert compared.finished and racing.curves.chart.state == "done"
    assert_as(plain, compared)
    assert [panel["name"] for panel in racing.curves.chart.panels] == PANELS
    (lines,) = racing.curves.panels()[2].marks
    assert lines.names == ("unispeech", "wav2vec2") and racing.curves.note().startswith("wav2vec2, seed 0: step 6 of 6")


def test_stopped_in_the_first_run_or_the_second_it_goes_on_from_there(tmp_path, plain):
    racing = begin(tmp_path)
    for who in NAMES:
        while racing.running and not any(row["variant"] == who for row in racing.curves.rows):
            time.sleep(0.01)
        press(racing, "stop")
        compared = racing.wait(300)
        assert racing.curves.chart.state == "stopped" and not compared.finished
        assert compared.runs[NAMES[0], 0].finished == (who == NAMES[1])
        assert compared.markdown.count("\n") == 4, "a table all the same"
        press(racing, "resume")
    assert_as(plain, racing.wait(300))
    steps = [(row["variant"], row["step"]) for row in racing.curves.rows if "loss" in row]
    assert steps == [(name, step) for name in NAMES for step in range(1, 7)], "no step twice, none missing"


def test_what_is_finished_is_kept_another_variant_joins(tmp_path):
    begin(tmp_path, NAMES[:1]).wait(300)
    assert begin(tmp_path, NAMES[:1]).thread is None, "nothing is left to do"
    joined = begin(tmp_path)
    assert {row["variant"] for row in joined.curves.rows} >= {"unispeech"}
    assert joined.wait(300).finished and set(joined.curves.tables) == {*NAMES}


def test_a_curve_is_the_mean_over_seeds():
    curves = RaceCurves(4)
    for seed, value in ((0, 1.0), (1, 3.0)):
        curves({"variant": "a", "seed": seed, "step": 2, "loss": 9.0, "valid_accuracy": value})
        curves({"variant": "b", "seed": seed, "step": 2, "loss": 9.0, "frames_per_second": 50.0, "elapsed": 1.0})
    assert curves.tables["a"]["valid_accuracy"].tolist() == [2.0]
    assert curves.note() == "b, seed 1: step 2 of 4, 50 frames/s, 1 s left"
    assert [panel.name for panel in curves.panels()] == ["accuracy"], "no loss"


def test_what_goes_wrong_is_told_where_one_waits(tmp_path):
    begin(tmp_path, NAMES[:1]).wait(300)
    with pytest.raises(ValueError, match="steps 6, now 7"):
        begin(tmp_path, steps=7).wait(300)
