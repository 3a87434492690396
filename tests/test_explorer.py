"""The explorer from Python's side: tabs that listen when they are opened, asks that are heard anew, what is painted."""

import numpy as np
import pytest
from pictures import survey, trace, utterance

from unispeech_lab import explore, load, views
from unispeech_lab.views.explorer import Explorer
from unispeech_lab.views.panel import Brush, Lasso, Moment

TABS = {"sound": ("wave", "truth"), "attention": ("attention",), "ablation": ("wave", "ablation")}


@pytest.fixture(scope="module")
def model():
    return load("tiny")


@pytest.fixture
def forwards(model):
    """Names of the modules that have run, in order."""
    ran = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: ran.append(name)) for name, module in model.named_modules()
    ]
    yield ran
    for hook in hooks:
        hook.remove()


class TestTabs:
    def test_a_tab_is_heard_when_it_is_first_opened(self, model, forwards):
        shown = Explorer(None, utterance(), TABS, model=model)
        assert not forwards  # waveform and truth need no model
        shown.open("attention").panels()
        assert forwards
        forwards.clear()
        shown.open("sound").open("attention").panels()
        assert not forwards

    def test_the_reader_opens_a_tab(self, model):
        shown = Explorer(None, utterance(), TABS, model=model)
        stage = shown.show()
        assert stage.tabs == list(TABS) and stage.tab == 0 and stage.count == 2
        stage.tab = 1
        assert shown.tab == "attention" and stage.panel_0["name"] == "attention" and "layer" in stage.knobs
        stage.tab = 0
        assert stage.count == 2 and stage.panel_1["name"] == "truth" and not stage.knobs

    def test_knobs_stay_from_tab_to_tab(self, model):
        shown = Explorer(None, utterance(), TABS, model=model).open("attention").turn(layer=3)
        assert shown.open("sound").open("attention").values["layer"] == 3
        with pytest.raises(KeyError, match="one of the tabs sound, attention, ablation, found 'heads'"):
            shown.open("heads")

    def test_one_view_by_itself_has_no_tabs(self):
        assert Explorer(trace(), utterance(), ["attention"]).show().tabs == []

    def test_views_that_compare_need_another_model(self, model):
        assert "two models" not in explore(model, utterance()).tabs
        assert "two models" in explore(model, utterance(), other=model).tabs
        with pytest.raises(KeyError, match="tabs out of sound, .*found atention"):
            explore(model, utterance(), tabs=["atention"])


def test_a_model_that_trains_is_called_that():
    """Its dropout would pass for what a knob has changed."""
    model = load("tiny").train()
    shown = Explorer(None, utterance(), ["attention"], note="random weights", model=model)
    assert shown.heading.startswith("The model is in train mode") and shown.heading.endswith("random weights")
    assert shown.show().note == shown.heading
    model.eval()
    assert shown.heading == "random weights"


class TestWhatNoDialSends:
    """What comes from the browser is not believed: it turns nothing, is told, and the next turn is as any other."""

    @pytest.mark.parametrize("sent", [99, -1, "2", None, 1.5, [1], {}, float("nan")])
    def test_a_knob_out_of_its_range(self, model, sent):
        shown = Explorer(None, utterance(), ["attention"], model=model)
        stage = shown.show()
        before, layer = dict(shown.values), stage.knobs["layer"]
        stage.knobs = {"head": 1, "layer": sent, "nobody's": 3}
        assert shown.values == before and stage.knobs["layer"] == layer
        assert stage.note.startswith("expected knob 'layer' at a place from 0 to 5, found")
        stage.knobs = stage.knobs | {"head": 1}
        assert shown.values == before | {"head": 1} and not stage.note

    @pytest.mark.parametrize("sent", [99, -1])
    def test_a_tab_that_is_not_there(self, model, sent):
        shown = Explorer(None, utterance(), TABS, model=model)
        stage = shown.show()
        stage.tab = sent
        assert shown.tab == "sound" and stage.tab == 0 and stage.note == f"expected one of 3 tabs, found number {sent}"

    @pytest.mark.parametrize("sent", [float("nan"), float("inf"), "1", None, [1.0]])
    def test_no_moment(self, sent):
        with pytest.raises(ValueError, match="expected 'sample' at a moment in seconds, found"):
            Moment("sample", 2.0).take(sent)

    @pytest.mark.parametrize("sent", [5, None, "hello", [["a", "b"]], [[0, 1, 2]], [1.0]])
    def test_no_stretches(self, sent):
        with pytest.raises(ValueError, match=r"expected stretches \(start, end\) in seconds for 'hidden'"):
            Brush("hidden", 1.0).take(sent)
        assert Brush("hidden", 1.0).take([[float("nan"), 0.5], [0.2, float("nan")]]) == ()

    @pytest.mark.parametrize("sent", [5, None, "hello", [[1]]])
    def test_no_points(self, sent):
        with pytest.raises(ValueError, match="expected positions of points for 'chosen'"):
            Lasso("chosen", 5).take(sent)

    def test_a_failure_of_ours_is_told_too(self, model, monkeypatch):
        shown = Explorer(None, utterance(), ["attention"], model=model)
        stage = shown.show()
        monkeypatch.setattr(shown, "panels", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            stage.knobs = stage.knobs | {"layer": 1}
        assert stage.note == "That did not work: division by zero"


class TestAsks:
    def test_only_a_knob_that_is_asked_about_is_heard_anew(self, model, forwards):
        shown = explore(model, utterance(), tabs=["ablation"])
        shown.panels()
        asked = [name for name in shown.knobs if name in ("layer", "edit")]
        other = [name for name in shown.knobs if name not in asked]
        assert asked and other
        forwards.clear()
        shown.turn(**{other[0]: shown.knobs[other[0]].values[-1]}).panels()
        assert not forwards
        shown.turn(layer=shown.knobs["layer"].values[-1]).panels()
        assert forwards

    def test_what_is_missing_is_said(self, model):
        with pytest.raises(ValueError, match="expected model= for the view ablation"):
            Explorer(trace(), utterance(), ["ablation"]).panels()
        with pytest.raises(ValueError, match="expected survey= for views over a corpus"):
            Explorer(trace(), utterance(), ["usage"])
        with pytest.raises(ValueError, match="expected other=, the model to compare with"):
            Explorer(None, utterance(), ["codebooks"], model=model).panels()
        with pytest.raises(ValueError, match="a trace, or model= to record one with"):
            Explorer(None, utterance(), ["wave"])


class TestPainted:
    def test_stretches_that_touch_are_one(self):
        brush = Brush("hidden", 1.0)
        assert brush.take([[0.5, 0.7], [0.1, 0.3], [0.25, 0.5], [0.9, 1.4]]) == ((0.1, 0.7), (0.9, 1.0))
        assert brush.accepts(((0.1, 0.7),)) and not brush.accepts(((0.7, 0.1),)) and not brush.accepts(((0.5, 1.2),))

    def test_points_are_in_order_and_there(self):
        lasso = Lasso("chosen", 5)
        assert lasso.take([4, 1, 1, 7, -1]) == (1, 4)
        assert lasso.accepts((0, 4)) and not lasso.accepts((5,))

    def test_a_moment_lies_in_the_utterance(self):
        moment = Moment("sample", 2.0)
        assert moment.take(3) == 2.0 and moment.take(-1) == 0.0
        assert moment.accepts(0.5) and not moment.accepts(2.5)

    def test_the_stage_is_told_what_kind_each_is(self):
        over = survey()
        stage = Explorer({}, over.utterances[0], ["embedding"], survey=over).show()
        (dial,) = [dial for dial in stage.dials if dial["kind"] == "points"]
        assert stage.knobs[dial["name"]] == [] and dial["values"] == []
        (panel,) = [pack for pack in packs(stage) if pack["paints"] == dial["name"]]
        assert panel["marks"][0]["kind"] == "points"
        stage.knobs = stage.knobs | {dial["name"]: [3, 0]}
        (panel,) = [pack for pack in packs(stage) if pack["paints"] == dial["name"]]
        assert list(np.flatnonzero(np.frombuffer(panel["marks"][0]["chosen"], np.uint8))) == [0, 3]

    def test_the_album_lies_where_its_utterances_do(self):
        over = survey()
        second = over.utterances[1]
        stage = Explorer({}, second, ["embedding"], survey=over).show()
        assert stage.place == over.utterances[0].seconds
        assert np.array_equal(np.frombuffer(stage.album, "<i2"), over.album)
        assert Explorer({}, utterance(), ["embedding"], survey=over).show().place == -1


def packs(stage) -> list[dict]:
    return [getattr(stage, f"panel_{slot}") for slot in range(stage.count)]


def test_each_view_stands_alone():
    assert views.attention(trace(), utterance(), head=1)["attention"].title == "Attention, layer 0, head 1"
    over = survey()
    assert views.usage(over).utterance is over.utterances[0]
