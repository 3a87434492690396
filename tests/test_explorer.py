"""The explorer: tabs, knobs that stay, what it hears when, what it tells of work that is long or cannot be done."""

import time

import numpy as np
import pytest
from models import SIZES
from pictures import trace, utterance

from unispeech_lab import Explorer, UniSpeechConfig, UniSpeechForPreTraining, explore, views
from unispeech_lab.views import explorer as module
from unispeech_lab.views.explore import TABS


@pytest.fixture(scope="module")
def model():
    return UniSpeechForPreTraining(UniSpeechConfig(**SIZES)).eval()


@pytest.fixture
def tabbed():
    return Explorer(trace(), utterance(), {"look": ("wave", "attention"), "codes": ("codes", "truth")})


class TestTabs:
    def test_only_the_open_one_is_shown(self, tabbed):
        assert [panel.name for panel in tabbed.panels()] == ["waveform", "attention", "gaze"]
        assert "codes" in [panel.name for panel in tabbed.open("codes").panels()]

    def test_knobs_stay_where_they_were(self, tabbed):
        tabbed.turn(layer=2, head=1).open("codes").open("look")
        assert tabbed.values["layer"] == 2 and "layer 2, head 1" in tabbed["attention"].title

    def test_the_browser_opens_one(self, tabbed):
        stage = tabbed.show()
        assert stage.tabs == ["look", "codes"] and stage.tab == 0
        stage.tab = 1
        assert tabbed.tab == "codes" and stage.panel_0["name"] == "codes"

    def test_one_that_is_not_there_is_answered_with_those_that_are(self, tabbed):
        with pytest.raises(KeyError, match="look, codes, found 'map'"):
            tabbed.open("map")
        with pytest.raises(KeyError, match="found moon"):
            explore(None, utterance(), tabs=["moon"])

    def test_all_views_are_in_one(self):
        shown = {view for names in TABS.values() for view in names}
        assert shown == set(views.names())


class TestHearing:
    def test_a_tab_is_heard_when_it_is_opened_and_once(self, model, monkeypatch):
        heard = []
        forward = model.forward
        monkeypatch.setattr(model, "forward", lambda *a, **k: heard.append(1) or forward(*a, **k))
        looking = explore(model, utterance(), tabs=["sound", "attention"])
        looking.panels()
        assert not heard
        looking.open("attention").panels()
        looking.turn(layer=1).panels()
        looking.open("sound").open("attention").panels()
        assert len(heard) == 1

    def test_an_ask_is_heard_again_only_for_its_own_knobs(self, model, monkeypatch):
        asked = []
        view = views.load("ablation")
        asks = view.asks
        monkeypatch.setattr(
            view,
            "asks",
            lambda trace, utterance, layer, edit: asked.append(layer) or asks(trace, utterance, layer, edit),
        )
        looking = explore(model, utterance(), tabs=["ablation"])
        looking.panels()
        looking.turn(head=1).panels()
        assert asked == [0]
        looking.turn(layer=1).panels()
        assert asked == [0, 1]

    def test_a_view_that_asks_needs_a_model(self):
        with pytest.raises(ValueError, match="expected model= for the view ablation"):
            Explorer(trace(), utterance(), ["ablation"]).panels()

    def test_a_view_over_a_corpus_needs_one(self):
        with pytest.raises(ValueError, match="expected survey= for views over a corpus"):
            Explorer(trace(), utterance(), ["usage"])

    def test_nothing_to_look_at_is_said(self):
        with pytest.raises(ValueError, match="expected a trace, or model="):
            Explorer(None, utterance())

    def test_another_utterance_is_heard_anew(self, model):
        looking = explore(model, utterance(), tabs=["attention"])
        first = looking["attention"].words
        assert looking.listen(None, utterance(9600, phones=("a", "u")))["attention"].words != first


class TestAlone:
    def test_a_view_is_called_with_a_trace(self):
        shown = views.attention(trace(), utterance(), head=1)
        assert isinstance(shown, Explorer) and "head 1" in shown["attention"].title
        assert shown.figure() is not None and shown.show() is shown.stage

    def test_without_an_utterance_it_is_as_long_as_what_was_heard(self, model):
        from unispeech_lab.views.asking import Hear

        heard = Hear(utterance(), views.watches("codes"))(model)
        assert views.codes(heard).utterance.seconds == 1.0
        assert not np.any(views.codes(heard).utterance.waveform)

    def test_a_trace_of_unknown_length_wants_one(self):
        with pytest.raises(ValueError, match=r"views.codes\(trace, utterance\)"):
            views.codes(trace())

    def test_the_folder_lists_its_views(self):
        assert {"attention", "codes", "embedding"} <= set(dir(views))
        with pytest.raises(AttributeError, match="no attribute 'atention'"):
            views.atention  # noqa: B018


class TestTelling:
    def test_work_that_takes_long_is_said_while_it_lasts(self, tabbed, monkeypatch):
        monkeypatch.setattr(module, "PATIENCE", 0.01)
        stage, said = tabbed.show(), []
        stage.observe(lambda change: said.append(change["new"]), "note")
        with tabbed.working("computing …"):
            time.sleep(0.2)
        assert said == ["computing …", tabbed.heading] or said == ["computing …", ""]

    def test_quick_work_is_not(self, tabbed):
        stage, said = tabbed.show(), []
        stage.observe(lambda change: said.append(change["new"]), "note")
        stage.knobs = {**stage.knobs, "layer": 1}
        assert tabbed.values["layer"] == 1 and said == []

    def test_what_cannot_be_done_is_told_where_the_reader_looks(self, tabbed, monkeypatch):
        stage = tabbed.show()

        def fail(*args, **knobs):
            raise ValueError("expected more sound")

        monkeypatch.setattr(tabbed.folder["attention"], "panels", fail)
        stage.knobs = {**stage.knobs, "layer": 1}
        assert stage.note == "expected more sound"
