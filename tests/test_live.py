"""Live: curves while a run goes on, a button that stops it, the same that goes on."""

import threading
import time

import pytest
import training
from training import SETTINGS, assert_same_weights, small, speech, vocabulary

from unispeech_lab import live
from unispeech_lab.live import LiveCurves, Training
from unispeech_lab.run import Run
from unispeech_lab.settings import Settings


def begin(out, corpus=None, **settings):
    chosen = Settings(**{**SETTINGS, **settings})
    return live.pretrain(small(), corpus or speech(), out, chosen, vocabulary=vocabulary())


@pytest.fixture
def shown(monkeypatch):
    """What the notebook is given: (display or update, bundle, metadata, place)."""
    heard = []
    for name in ("display", "update_display"):
        monkeypatch.setattr(
            live, name, lambda bundle, display_id=None, metadata=None, raw=False, name=name: heard.append(
                (name, bundle, metadata, display_id)
            ),
        )  # fmt: skip
    return heard


def test_it_trains_in_the_background_to_the_same_weights(tmp_path, shown):
    training.run(tmp_path / "plain")
    begun = begin(tmp_path / "live")
    assert begun.thread is not threading.current_thread()
    run = begun.wait(300)
    assert run.finished and not begun.running
    assert_same_weights(tmp_path / "live", tmp_path / "plain")
    chart = begun.curves.chart
    assert chart.state == "done" and "step 6 of 6" in chart.note
    assert [panel["name"] for panel in chart.panels] == ["loss", "ctc", "contrastive", "accuracy", "perplexity"]


def test_the_button_stops_and_goes_on(tmp_path, shown):
    training.run(tmp_path / "plain", steps=12)
    begun = begin(tmp_path / "live", steps=12)
    while begun.running and not begun.curves.rows:
        time.sleep(0.01)
    press(begun, "stop")
    run = begun.wait(300)
    assert begun.curves.chart.state == "stopped" and 0 < run.step < 12 and not run.finished
    assert int(run.checkpoints()[-1].name) == run.step
    press(begun, "resume")
    assert begun.curves.chart.state in ("running", "done")
    assert begun.wait(300).finished
    assert_same_weights(tmp_path / "live", tmp_path / "plain")
    assert list(begun.curves.table.index) == list(range(1, 13)), "no step twice, none missing"
    press(begun, "resume")
    assert not begun.running, "what is done is done"


def press(begun: Training, what: str) -> None:
    """As the browser says it."""
    begun.curves.chart._handle_msg({"content": {"data": {"method": "custom", "content": {"ask": what}}}, "buffers": []})


def test_what_goes_wrong_is_told_where_one_looks_and_where_one_waits(tmp_path, shown):
    begun = begin(tmp_path, corpus=speech("zh", 2))
    with pytest.raises(ValueError, match="expected phones out of the"):
        begun.wait(300)
    assert begun.curves.chart.state == "failed" and "ValueError: expected phones" in begun.curves.chart.note


def test_a_run_that_is_done_is_shown_as_it_is(tmp_path, shown):
    training.run(tmp_path)
    begun = begin(tmp_path)
    assert begun.thread is None and begun.curves.chart.state == "done"
    assert begun.wait().finished and begun.curves.table.equals(Run(tmp_path).table)


def test_a_still_picture_with_words_stays(tmp_path, shown):
    begun = begin(tmp_path)
    begun._ipython_display_()
    begun.wait(300)
    (first, *_, last) = shown
    assert first[0] == "display" and last[0] == "update_display" and first[3] == last[3]
    bundle, metadata = last[1:3]
    assert bundle["image/png"].startswith(b"\x89PNG") and "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == metadata["image/png"]["alt"] and "step 6 of 6" in bundle["text/plain"]


def test_pictures_come_at_most_twice_a_second(monkeypatch, shown):
    now = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    curves, drawn = LiveCurves(1000), []
    curves.chart.observe(lambda change: drawn.append(change["new"]), "panels")
    for step in range(1, 101):
        now[0] += 0.1
        curves({"step": step, "loss": 1.0 / step, "elapsed": step / 10, "frames_per_second": 10.0})
    assert 15 <= len(drawn) <= 20  # in ten seconds
    assert curves.note() == "step 100 of 1000, 10 frames/s, 90 s left"


def test_a_cell_that_waits_sees_the_curves_without_a_button(tmp_path, shown):
    curves = LiveCurves(SETTINGS["steps"])
    training.run(tmp_path, watch=curves)
    assert curves.chart.state == "done" and not curves.chart.heard
    assert curves.table.equals(Run(tmp_path).table)
    assert [name for name, *_ in shown].count("display") == 1 and shown[-1][0] == "update_display"


def test_waiting_has_an_end(tmp_path, shown):
    begun = begin(tmp_path, steps=500)
    with pytest.raises(TimeoutError, match=r"still training after 0.2 s: step \d+ of 500"):
        begun.wait(0.2)
    assert not begun.stop().finished
