"""The stage and the explorer, from Python's side: what travels, what turns, what a reader without a kernel gets."""

from functools import wraps

import numpy as np
import pytest
import torch
from pictures import HEADS, LAYERS, PlainTrace, trace, utterance
from torch import nn
from traitlets import All

from unispeech_lab.corpus import Utterance
from unispeech_lab.frames import Frames
from unispeech_lab.views import stage
from unispeech_lab.views.explorer import Explorer, linked
from unispeech_lab.views.panel import Axis, Heatmap, Keys, Knob, Matrix, Panel, Points, Table, Wave, clock, nowhere
from unispeech_lab.views.source import Source
from unispeech_lab.views.stage import NOTHING, SLOTS, Stage, pack


@pytest.fixture
def explorer():
    return Explorer(trace(), utterance(), note="random weights (seed 0): nothing has been learned yet")


def heatmap(values, **options) -> dict:
    values = np.asarray(values, float)
    mark = Heatmap(values, (0, 1), (0, 1), options.pop("low", 0.0), options.pop("high", 1.0), **options)
    return pack(Panel("p", "P", (mark,), clock(1), Axis("row")))["marks"][0]


class TestPacking:
    def test_a_cell_is_a_byte_within_half_a_step(self):
        values = np.random.default_rng(0).uniform(-3, 5, (7, 11))
        sent = heatmap(values, low=-3.0, high=5.0)
        cells = np.frombuffer(sent["cells"], np.uint8).reshape(sent["shape"])
        back = sent["low"] + cells / (NOTHING - 1) * (sent["high"] - sent["low"])
        assert np.abs(back - values).max() <= 8 / (NOTHING - 1) / 2 + 1e-6

    def test_beyond_the_scale_is_its_end_and_nan_is_nothing(self):
        sent = heatmap([[-1, 2, np.nan]])
        assert list(sent["cells"]) == [0, NOTHING - 1, NOTHING]

    def test_zero_of_a_diverging_map_is_its_middle(self):
        assert list(heatmap([[0.0]], low=-2.0, high=2.0, map="RdBu_r")["cells"]) == [(NOTHING - 1) // 2]

    def test_a_wave_keeps_its_samples(self):
        samples = np.array([0, 0.25, -0.5], np.float32)
        sent = pack(Panel("w", "W", (Wave(samples, 16_000),), clock(1), Axis("level")))["marks"][0]
        back = np.frombuffer(sent["samples"], "<i2") / 32767 * sent["peak"]
        assert back == pytest.approx(samples, abs=1e-4)

    def test_sound_is_the_waveform(self):
        stage = Stage()
        stage.play(np.array([0, 1, -1, 2], np.float32), 16_000)
        assert list(np.frombuffer(stage.sound, "<i2")) == [0, 32767, -32767, 32767]
        assert stage.seconds == 4 / 16_000

    def test_the_browser_has_the_colours_of_the_still(self):
        from matplotlib import colormaps

        table = np.frombuffer(Stage().maps["cividis"], np.uint8).reshape(-1, 3)
        assert len(table) == NOTHING
        assert np.abs(table[127] / 255 - colormaps["cividis"](127)[:3]).max() < 1 / 255

    def test_too_many_panels_are_refused(self):
        panel = Panel("w", "W", (), clock(1), Axis("level"))
        with pytest.raises(ValueError, match=f"at most {SLOTS} panels.*show them on two"):
            Stage().draw([panel] * (SLOTS + 1))


class TestItems:
    """What a click plays and turns travels with the marks."""

    def test_keys_know_where_each_ones_stretches_end(self):
        sounds = (np.array([[1.0, 1.5], [2.0, 2.25]]), np.zeros((0, 2)), np.array([[700.125, 700.5]]))
        keys = Keys(("a", "b", "c"), ("1", "2", "3"), sounds, np.array([1.0, 0.5, np.nan]), np.zeros(3), (("", "x"),))
        sent = pack(Panel("k", "K", (keys,), *nowhere()))["marks"][0]
        stretches = np.frombuffer(sent["sounds"], "<f8").reshape(-1, 2)
        assert list(np.frombuffer(sent["ends"], "<u4")) == [2, 2, 3]
        assert stretches[2:].tolist() == [[700.125, 700.5]]  # the album is long: no time is rounded

    def test_names_of_many_points_travel_once(self):
        points = Points(np.arange(4.0), np.zeros(4), ("a", "b", "a", "a"), chosen=np.array([True, False, False, True]))
        sent = pack(Panel("p", "P", (points,), Axis("x", "", 0, 4), Axis("y")))["marks"][0]
        assert sent["names"] == ["a", "b"] and list(np.frombuffer(sent["which"], "<u4")) == [0, 1, 0, 0]
        assert list(sent["chosen"]) == [1, 0, 0, 1]

    def test_values_are_sent_as_the_dials_write_them(self):
        knobs = {"layer": np.int64(3), "alpha": 0.5, "painted": ((0.1, 0.2),), "word": "the"}
        table = Table((("name", ""), ("value", "ms")), (("a", np.float32(2.5)), ("b", np.nan)), sets=(knobs, {}))
        sent = pack(Panel("t", "T", (table,), *nowhere()))["marks"][0]
        assert sent["sets"] == [{"layer": "3", "alpha": "0.5", "painted": [(0.1, 0.2)], "word": "the"}, {}]
        assert sent["rows"] == [["a", 2.5], ["b", None]]

    def test_each_column_of_a_table_says_what_it_means(self):
        columns, rows = (("name", ""), ("value", "ms")), (("a", 2.5),)
        panel = Panel("t", "T", (Table(columns, rows, meanings=("who", "how long")),), *nowhere())
        assert pack(panel)["marks"][0]["meanings"] == ["who", "how long"]
        with pytest.raises(ValueError, match="expected a meaning for each of 2 columns, found 1"):
            Table(columns, rows, meanings=("who",))

    def test_a_panel_that_stays_is_not_packed_again(self, monkeypatch):
        stay, go = (Panel(name, name, (), clock(1), Axis("level")) for name in "ab")
        shown = Stage()
        shown.draw([stay, go])
        packed = []
        monkeypatch.setattr(stage, "pack", lambda panel: packed.append(panel.name) or pack(panel))
        shown.draw([stay, Panel("c", "c", (), clock(1), Axis("level"))])
        assert packed == ["c"] and shown.panel_1["name"] == "c"

    def test_a_margin_and_a_share_travel(self):
        over = Heatmap(np.zeros((2, 3)), (0, 1), (0, 2), 0, 1)
        square = Matrix(np.zeros((3, 3)), (0, 1), (0, 1), 0, 1)
        sent = pack(Panel("m", "M", (square,), clock(1), clock(1, "from"), margin=over, paints="hidden"))
        assert sent["margin"]["shape"] == [2, 3] and sent["paints"] == "hidden" and sent["share"] == 1


class TestKnobs:
    def changed(self, explorer, act) -> set[str]:
        """Names of the panels that travel while ``act`` runs."""
        stage, travelled = explorer.show(), []
        stage.observe(lambda change: travelled.append(change), All)
        act()
        return {change["new"]["name"] for change in travelled if change["name"].startswith("panel_")}

    def test_only_what_a_knob_changes_travels(self, explorer):
        assert self.changed(explorer, lambda: self.move(explorer, head=1)) == {"attention", "gaze"}
        assert self.changed(explorer, lambda: self.move(explorer, conv=0)) == {"features"}
        assert self.changed(explorer, lambda: self.move(explorer, conv=0)) == set()

    def test_only_the_view_of_that_knob_is_computed(self, explorer, monkeypatch):
        explorer.show()
        computed = []

        def counted(name, panels):
            return wraps(panels)(lambda *args, **knobs: computed.append(name) or panels(*args, **knobs))

        for name, view in explorer.views.items():
            monkeypatch.setattr(view, "panels", counted(name, view.panels))
        self.move(explorer, layer=2)
        assert computed == ["attention"] and explorer["attention"].title == "Attention, layer 2, head 0"

    def test_turning_from_python_moves_the_stage(self, explorer):
        stage = explorer.show()
        explorer.turn(layer=LAYERS - 1, head=HEADS - 1)
        assert stage.knobs["layer"] == LAYERS - 1 and stage.knobs["head"] == HEADS - 1
        assert stage.panel_3["title"] == f"Attention, layer {LAYERS - 1}, head {HEADS - 1}"

    def test_wrong_turns_are_answered(self, explorer):
        with pytest.raises(ValueError, match=r"head to be one of \(0, 1\), found 7"):
            explorer.turn(head=7)
        with pytest.raises(KeyError, match="one of the knobs .*layer.*found 'haed'"):
            explorer.turn(haed=1)
        with pytest.raises(KeyError, match="one of .*labels.*found colour"):
            Explorer(trace(), utterance(), colour="red")
        with pytest.raises(KeyError, match="one of the panels waveform.*found 'tensions'"):
            explorer["tensions"]

    def test_knobs_of_one_name_are_one_knob(self):
        one, two = Knob((0, 1, 2), 0, "layer"), Knob((1, 2, 3), 3, "layer")
        assert linked({"a": {"layer": one}, "b": {"layer": two}})["layer"] == Knob((1, 2), 1, "layer")
        with pytest.raises(ValueError, match=r"share a value, found \(0, 1, 2\) and, in b, \(5,\)"):
            linked({"a": {"layer": one}, "b": {"layer": Knob((5,), 5, "layer")}})

    def test_what_was_given_is_where_the_knob_begins_not_where_it_stays(self):
        given = Explorer(trace(), utterance(), layer=1)
        assert given["attention"].title == "Attention, layer 1, head 0"
        assert given.turn(layer=2)["attention"].title == "Attention, layer 2, head 0"
        assert given.listen(trace(8000), utterance(8000))["attention"].title == "Attention, layer 2, head 0"
        with pytest.raises(ValueError, match=r"layer to be one of \(0, 1, 2\), found 9"):
            Explorer(trace(), utterance(), layer=9)

    def test_labels_reach_the_view_that_takes_them(self):
        named = Explorer(trace(), utterance(), views=["posteriors"], labels=[f"<{v}>" for v in range(12)], classes=12)
        assert named["posteriors"].marks[0].rows == ("blank", *(f"<{v}>" for v in range(1, 12)))

    def move(self, explorer, **values):
        """What the browser does: it sets positions, not values."""
        at = {name: explorer.knobs[name].values.index(value) for name, value in values.items()}
        explorer.stage.knobs = explorer.stage.knobs | at


class TestWithoutKernel:
    def test_still_and_words_stand_beside_the_widget(self, explorer):
        bundle, metadata = explorer._repr_mimebundle_()
        assert bundle["image/png"].startswith(b"\x89PNG") and "application/vnd.jupyter.widget-view+json" in bundle
        assert bundle["text/plain"] == metadata["image/png"]["alt"] == explorer.words()
        assert explorer.words().startswith("random weights (seed 0): nothing has been learned yet\n")

    def test_the_note_is_on_the_stage_and_on_the_still(self, explorer):
        assert explorer.show().note == explorer.note
        assert explorer.figure().texts[0].get_text() == explorer.note


class Ear(nn.Module):
    """One convolution's worth of a model: it hears windows of 10 samples, and nothing under 400."""

    def __init__(self):
        super().__init__()
        self.feature_extractor = nn.ModuleDict({"conv_layers": nn.ModuleList([nn.Identity()])})

    def prepare(self, utterances):
        (heard,) = utterances
        if len(heard.waveform) < 400:
            raise ValueError(f"expected at least 400 samples, found {len(heard.waveform)}: leave it out")
        return {"input_values": torch.from_numpy(heard.waveform)[None]}

    def forward(self, input_values):
        return self.feature_extractor["conv_layers"][0](input_values.unfold(1, 10, 5))


class TestSource:
    def test_begins_with_the_first(self):
        first, second = utterance(), utterance(8000)
        source = Source([first, second])
        assert source.utterance is first and source.clips == ["the cat", "the cat"]
        source.chosen = 1
        assert source.utterance is second

    def test_a_menu_needs_something_on_it(self):
        with pytest.raises(ValueError, match=r"none: try Corpus.bundled\(\)"):
            Source([])

    def test_takes_what_the_browser_decoded(self):
        source = Source([utterance()])
        pcm = np.linspace(-1, 1, 3200, dtype="<f4")
        source.sound = {"name": "my voice", "pcm": memoryview(pcm.tobytes())}
        assert isinstance(source.utterance, Utterance) and source.utterance.id == "my voice"
        assert np.array_equal(source.utterance.waveform, pcm)
        assert source.chosen == -1 and source.note == "my voice: 0.20 s"

    def test_says_what_it_cut(self):
        source = Source([utterance()])
        source.sound = {"name": "talk.wav", "seconds": 120.2, "pcm": bytes(4 * 30 * 16_000)}
        assert source.note == "talk.wav: the first 30 s of 120"

    @pytest.mark.parametrize("samples", [[], [0.1, np.nan]])
    def test_no_sound_is_said_and_the_choice_stays(self, samples):
        source = Source([utterance()])
        before = source.utterance
        source.sound = {"name": "empty.wav", "pcm": np.array(samples, "<f4").tobytes()}
        assert source.utterance is before
        assert source.note == "expected sound in empty.wav, found none: choose another"

    def test_reads_as_text_without_a_kernel(self):
        bundle, _ = Source([utterance()])._repr_mimebundle_()
        assert "1 clips, a file of your own, or your microphone" in bundle["text/html"]


class TestFollowing:
    @pytest.mark.parametrize("views", [["waveform", "features"], ["waveform"]])
    def test_another_choice_is_heard(self, views):
        source = Source([utterance(), utterance(8000), utterance(100)])
        seen = {"feature_extractor.conv_layers.0": np.ones((1, 10, 4))}
        explorer = Explorer(seen, source.utterance, views=views, note="a note").follow(source, Ear().eval())
        stage = explorer.show()
        source.chosen = 1
        assert stage.seconds == 0.5
        source.chosen = 2
        if "features" in views:  # what cannot be heard is said where the reader looks
            assert stage.note == "expected at least 400 samples, found 100: leave it out" and stage.seconds == 0.5
        source.chosen = 0
        assert stage.seconds == 1.0 and stage.note == "a note"

    def test_another_utterance_keeps_the_knobs_that_it_can(self, explorer):
        stage = explorer.show()
        explorer.turn(head=1, conv=2)
        explorer.listen(trace(8000), utterance(8000))
        assert stage.seconds == 0.5 and explorer.values["head"] == 1 and explorer.values["conv"] == 2
        assert stage.panel_0["x"]["stop"] == 0.5

    def test_the_arrow_keys_move_by_the_frame_of_the_trace(self):
        slow = PlainTrace({"feature_extractor.conv_layers.0": np.ones((1, 10, 4))})
        slow.frames = Frames((10,), (160,))
        assert Explorer(slow, utterance(1600), views=["waveform"]).show().step == 0.01
