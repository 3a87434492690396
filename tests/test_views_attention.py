"""The views of attention: what they say of patterns and of models whose answer is constructed."""

import numpy as np
import pytest
import torch
from models import ours, theirs
from pictures import FRAMES, PlainTrace, utterance
from torch import nn

from unispeech_lab import views
from unispeech_lab.alignment import Span
from unispeech_lab.corpus import Utterance
from unispeech_lab.views import still
from unispeech_lab.views.asking import Hear
from unispeech_lab.views.explorer import Explorer
from unispeech_lab.views.panel import Heatmap, Matrix, Table

COUNT = 40
SAMPLES = 320 * (COUNT - 1) + 400
BORDERS = FRAMES.edges(COUNT)[::10]  # four phones of ten frames
PHONES = ("s", "a", "t", "a")
HEARD = Utterance(
    "four",
    np.random.default_rng(0).standard_normal(SAMPLES).astype(np.float32) * 0.1,
    "sata",
    phones=[Span(label, max(BORDERS[k], 0), BORDERS[k + 1]) for k, label in enumerate(PHONES)],
    words=[Span("sata", max(BORDERS[0], 0), BORDERS[4])],
)
IDENTITY, EVEN = np.eye(COUNT), np.full((COUNT, COUNT), 1 / COUNT)
BLOCKS = np.kron(np.eye(4), np.full((10, 10), 0.1))
BACK = np.eye(COUNT)[np.maximum(np.arange(COUNT) - 3, 0)]
AGAIN = np.kron(np.eye(4)[[2, 3, 0, 1]], np.full((10, 10), 0.1))  # a looks at the other a


def seen(*of_layers) -> PlainTrace:
    """A trace of layers, each a list of its heads' patterns."""
    return PlainTrace(
        {
            f"encoder.layers.{k}.attention.pattern": np.stack(heads)[None].astype(np.float32)
            for k, heads in enumerate(of_layers)
        }
    )


TRACE = seen([IDENTITY, EVEN], [BLOCKS, BACK], [AGAIN, np.tile(IDENTITY[7], (COUNT, 1))])


@pytest.fixture(scope="module")
def model():
    return ours("UniSpeechForPreTraining")


class TestAttention:
    view = views.load("attention")

    def test_weight_at_the_same_phone_beside_what_nearness_gives(self):
        picture, _ = self.view.panels(TRACE, HEARD, layer=1, head=0)
        assert "looks as far back as ahead on average, 66 ms away, 100% of it at the same phone" in picture.words
        picture, _ = self.view.panels(TRACE, HEARD, layer=0, head=0)
        assert "100% of it at the same phone (by nearness alone 100%)" in picture.words
        picture, _ = self.view.panels(TRACE, HEARD, layer=2, head=0)
        assert "0% of it at the same phone" in picture.words

    def test_the_sound_of_what_looks_lies_along_the_side(self):
        picture, _ = self.view.panels(TRACE, HEARD, layer=1, head=0)
        _, spectrogram = views.load("waveform").panels({}, HEARD)
        assert np.array_equal(picture.margin.values, spectrogram.marks[0].values)
        assert picture.margin.x == spectrogram.marks[0].x

    def test_nothing_of_phones_where_nobody_knows_them(self):
        picture, _ = self.view.panels(TRACE, utterance(SAMPLES, phones=()), layer=1, head=0)
        assert "phone" not in picture.words and "66 ms away; " in picture.words


class TestHeads:
    view = views.load("heads")

    def test_each_tile_is_its_head_and_lies_in_its_part(self):
        glance, _ = self.view.panels(TRACE, HEARD, layer=0, head=1, measure="distance")
        (picture,) = glance.marks
        assert picture.values.shape == (3 * 44, 2 * 44) and picture.sets == ("head", "layer")
        assert (picture.x, picture.y) == ((0, 2), (0, 3))
        tiles = picture.values.reshape(3, 44, 2, 44).transpose(0, 2, 1, 3)
        for layer, heads in enumerate([[IDENTITY, EVEN], [BLOCKS, BACK], [AGAIN, None]]):
            for head, pattern in enumerate(heads):
                if pattern is not None:
                    assert np.allclose(tiles[layer, head, 2:-2, 2:-2], pattern / pattern.max(), atol=1e-6)
        assert picture.rows == ("layer 0", "layer 1", "layer 2") and picture.columns == ("head 0", "head 1")
        assert picture.tiles == (3, 2), "a click means a tile"

    def test_the_open_head_is_framed(self):
        glance, _ = self.view.panels(TRACE, HEARD, layer=2, head=1, measure="distance")
        tiles = glance.marks[0].values.reshape(3, 44, 2, 44).transpose(0, 2, 1, 3)
        assert (tiles[2, 1, :2] == 1).all() and np.isnan(tiles[[0, 0, 1, 1, 2], [0, 1, 0, 1, 0], :2]).all()

    def test_beside_it_one_number_a_head(self):
        _, grid = self.view.panels(TRACE, HEARD, layer=0, head=0, measure="distance")
        assert np.allclose(grid.marks[0].values[0], [0, 20 * (COUNT**2 - 1) / (3 * COUNT)], rtol=1e-4)
        assert "least: 0.0, 0 ms" in grid.words
        _, grid = self.view.panels(TRACE, HEARD, layer=0, head=0, measure="again")
        assert "Most: 2.0" in grid.words and grid.marks[0].map == "RdBu_r"

    def test_phones_are_asked_for_only_where_they_are_known(self):
        known = self.view.knobs(TRACE, HEARD)["measure"].values
        unknown = self.view.knobs(TRACE, utterance(SAMPLES, phones=()))["measure"].values
        assert {"phone", "word", "border"} <= set(known) and "distance" in unknown
        assert not {"phone", "word", "border", "again", "same phone"} & set(unknown)


class TestMeasures:
    view = views.load("measures")

    def table(self, heard=HEARD, **chosen) -> Table:
        (panel,) = self.view.panels(TRACE, heard, **{"layer": 1, "head": 1} | chosen)
        (table,) = panel.marks
        return table

    def test_known_heads_have_known_numbers(self):
        table = self.table()
        names = [name for name, _ in table.columns]
        assert len(table.meanings) == len(names) and "beyond what nearness" in table.meanings[names.index("phone")]
        rows = {row[0]: dict(zip(names, row, strict=True)) for row in table.rows}
        assert rows["0.0"]["diagonality"] == pytest.approx(1) and rows["0.1"]["globalness"] == pytest.approx(1)
        assert rows["2.1"]["verticality"] == pytest.approx(1)
        assert rows["1.1"]["offset"] == pytest.approx(-20 * (37 * 3 + 3) / 40)
        assert rows["1.0"]["same phone"] == pytest.approx(100, abs=1e-3) and rows["1.0"]["phone"] > 20
        assert rows["0.1"]["phone"] == pytest.approx(0, abs=1e-3), "even everywhere: nothing known"
        assert rows["2.0"]["again"] > 20 and rows["2.0"]["same phone"] == 0
        assert rows["0.1"]["word"] == pytest.approx(0, abs=1e-3)

    def test_a_border_is_seen_by_who_looks_at_it(self):
        edges = FRAMES.edges(COUNT)
        heard = Utterance("two", HEARD.waveform, phones=[Span("a", 0.1, 0.305), Span("b", 0.305, 0.5)])
        pairs = self.view.pairs_of(heard, FRAMES, COUNT)["border"]
        expected = {k for k in range(COUNT) for at in (0.1, 0.305, 0.5) if edges[k] < at <= edges[k + 1]}
        assert set(np.flatnonzero(pairs[0])) == expected and len(expected) == 3 and (pairs == pairs[0]).all()

    def test_a_click_opens_a_head_and_the_open_one_is_marked(self):
        table = self.table(layer=1, head=1)
        assert table.rows[table.chosen][0] == "1.1" and table.sets[table.chosen] == {"layer": 1, "head": 1}
        assert table.rows[table.ordered()[0]][0] == "1.0", "who knows phones comes first"

    def test_without_truth_the_columns_of_phones_are_left_out(self):
        table = self.table(utterance(SAMPLES, phones=()))
        assert [name for name, _ in table.columns] == [
            *("head", "distance", "offset", "diagonality", "verticality", "globalness")
        ]


class TestPooled:
    view = views.load("pooled")

    @pytest.mark.parametrize("pool", ["as spoken", "phone", "class"])
    def test_rows_sum_to_one(self, pool):
        draws = np.random.default_rng(0).random((COUNT, COUNT))
        trace = seen([draws / draws.sum(1, keepdims=True)])
        weights, beyond = self.view.panels(trace, HEARD, layer=0, head=0, pool=pool)
        assert np.allclose(weights.marks[0].values.sum(1), 1)
        assert np.allclose(beyond.marks[0].values.sum(1), 0, atol=1e-6)

    def test_blocks_stay_in_their_phone(self):
        weights, _ = self.view.panels(TRACE, HEARD, layer=1, head=0, pool="as spoken")
        assert np.allclose(weights.marks[0].values, np.eye(4), atol=1e-6) and "100% stays" in weights.words
        assert weights.marks[0].columns == PHONES

    def test_beside_it_what_nearness_does_not_explain(self):
        _, beyond = self.view.panels(TRACE, HEARD, layer=1, head=0, pool="as spoken")
        picture = beyond.marks[0]
        assert (np.diag(picture.values) > 15).all() and (picture.values[~np.eye(4, dtype=bool)] <= 1e-6).all()
        assert picture.map == "RdBu_r" and picture.unit == "%"
        for head in (0, 1):  # the same gaze from everywhere
            _, beyond = self.view.panels(TRACE, HEARD, layer=0, head=head, pool="as spoken")
            assert np.allclose(beyond.marks[0].values, 0, atol=1e-4)

    def test_equal_phones_fall_together(self):
        weights, _ = self.view.panels(TRACE, HEARD, layer=2, head=0, pool="phone")
        picture = weights.marks[0]
        at = [picture.columns.index(name) for name in "ast"]
        assert picture.columns[0] == "a", "vowels first"
        assert np.allclose(picture.values[np.ix_(at, at)], [[1, 0, 0], [0, 0, 1], [0, 1, 0]], atol=1e-6)
        weights, _ = self.view.panels(TRACE, HEARD, layer=2, head=0, pool="class")
        assert weights.marks[0].columns == ("vowel", "stop", "fricative")

    def test_pauses_are_parts_too(self):
        heard = Utterance("two", HEARD.waveform, phones=[Span("a", 0.1, 0.305), Span("b", 0.4, 0.5)])
        groups, names = self.view.parts(heard, FRAMES.centre(np.arange(COUNT)))
        assert names == ["–", "a", "–", "b", "–"] and (np.diff(groups) >= 0).all()
        assert self.view.parts(heard, FRAMES.centre(np.arange(COUNT)), "phone")[1] == ["a", "b", "–"]

    def test_without_phones_it_is_tenths_of_a_second(self):
        weights, _ = self.view.panels(TRACE, utterance(SAMPLES, phones=()), layer=0, head=1, pool="as spoken")
        assert weights.marks[0].columns[:2] == ("0.0 s", "0.1 s") and weights.marks[0].values.shape == (8, 8)
        assert np.allclose(weights.marks[0].values, 1 / 8, atol=1e-6) and "stretches of 100 ms" in weights.title


class Looks(nn.Module):
    """A layer of one head that looks as it is told; what it sees is added to what was there."""

    def __init__(self, pattern):
        super().__init__()
        self.encoder = nn.Module()
        layer = nn.Module()
        layer.attention = nn.Module()
        layer.attention.v_proj = nn.Linear(8, 8, bias=False)
        layer.forward = lambda states: states + pattern @ layer.attention.v_proj(states)
        self.encoder.layers = nn.ModuleList([layer])
        self.register_buffer("states", torch.randn(1, COUNT, 8, generator=torch.Generator().manual_seed(0)))

    def prepare(self, utterances):
        return {"input_values": torch.zeros(1, 1)}

    def forward(self, input_values):
        return self.encoder.layers[0](self.states)


class TestRollout:
    view = views.load("rollout")

    def zeroed(self, pattern):
        ask = self.view.asks(seen([pattern]), HEARD, layer=0)["without"]
        return ask(Looks(torch.from_numpy(pattern).float()))

    def test_who_looks_at_one_phone_alone_owes_to_it_alone(self):
        owed = self.zeroed(np.tile(IDENTITY[27], (COUNT, 1)))["owed"]
        assert owed.shape == (COUNT, 4) and (owed[:, 2] > 1e-3).all() and not owed[:, [0, 1, 3]].any()

    def test_identity_stays_where_it_is_by_all_three(self):
        trace = seen([IDENTITY], [IDENTITY])
        panels = self.view.panels(trace, HEARD, layer=1, without=self.zeroed(IDENTITY))
        assert [panel.title.split(",")[0] for panel in panels] == ["Attention", "Rollout", "Value-zeroing"]
        for panel in panels:
            assert np.allclose(panel.marks[0].values, np.eye(4), atol=1e-5) and "100% stays" in panel.words

    def test_rollout_stops_at_the_layer(self):
        trace = seen([BLOCKS], [AGAIN], [EVEN])
        _, rollout, _ = self.view.panels(trace, HEARD, layer=1, without=self.zeroed(EVEN))
        expected = (0.5 * np.eye(4) + 0.5 * np.eye(4)[[2, 3, 0, 1]]) @ np.eye(4)
        assert np.allclose(rollout.marks[0].values, 0.5 * expected + 0.5 * expected @ np.eye(4), atol=1e-5)
        assert "layers 0 to 1" in rollout.title

    @pytest.mark.parametrize("whose", ["ours", "transformers'"])
    @pytest.mark.parametrize("layer, versions", [(0, 99), (2, 3)])
    def test_all_at_once_is_as_one_by_one(self, model, whose, layer, versions):
        model = model if whose == "ours" else theirs("UniSpeechModel", "base")
        explorer = Explorer(None, HEARD, ("rollout",), model=model)
        ask = self.view.asks(explorer.recorded, HEARD, layer=layer)["without"]
        owed = type(ask)(HEARD, layer, ask.groups, versions, explorer.recorded)(model)["owed"]
        name = f"encoder.layers.{layer}"
        for group in range(4):
            gone = torch.from_numpy(np.asarray(ask.groups) == group)[None, :, None]
            change = {f"{name}.attention.v_proj": lambda values, gone=gone: values.masked_fill(gone, 0.0)}
            before, after = (Hear(HEARD, (name,), changes)(model)[name][0] for changes in ({}, change))
            expected = 1 - torch.cosine_similarity(before, after, dim=-1)
            assert np.allclose(owed[:, group], expected, atol=1e-5) and expected.max() > 1e-3

    def test_where_values_cannot_be_taken_away_two_maps_are_left(self):
        panels = self.view.panels(TRACE, HEARD, layer=2, without={})
        assert [panel.share for panel in panels] == [0.5, 0.5]


class TestDifference:
    view = views.load("attention_difference")

    def panel(self, one, other):
        (panel,) = self.view.panels(TRACE, HEARD, *one, *other)
        return panel

    def test_of_a_head_with_itself_is_nothing(self):
        panel = self.panel((1, 1), (1, 1))
        assert not panel.marks[0].values.any() and "The same to the last digit" in panel.words

    def test_of_two_known_heads(self):
        panel = self.panel((1, 1), (0, 0))
        (picture,) = panel.marks
        assert isinstance(picture, Matrix) and picture.map == "RdBu_r" and picture.low == -picture.high == -1
        assert np.allclose(picture.values, BACK - IDENTITY)
        assert "98% of the weight lies elsewhere" in panel.words  # all but the first of 40 frames
        assert "Head 1.1 looks 57 ms back, head 0.0 looks at itself." in panel.words

    def test_frames_must_be_the_same(self):
        with pytest.raises(ValueError, match="same frames, found 40 and 3 frames: compare models with the same"):
            self.view.difference("d", "t", IDENTITY, np.eye(3), ("a", "b"), TRACE, HEARD)


class TestOfTwoModels:
    view = views.load("attention_of_two")

    def test_the_other_model_is_heard(self, model):
        other = ours("UniSpeechForCTC", seed=5)
        explorer = Explorer(None, HEARD, ("attention_of_two",), model=model, other=other, layer=2, head=3)
        patterns = [Explorer(None, HEARD, ("attention",), model=m).recorded for m in (model, other)]
        one, two = (self.view.layers(trace, self.view.watches[0])[2][3] for trace in patterns)
        assert np.allclose(explorer["attention_of_two"].marks[0].values, one - two, atol=1e-6)
        same = Explorer(None, HEARD, ("attention_of_two",), model=model, other=model)
        assert "The same" in same["attention_of_two"].words

    def test_a_head_that_the_other_has_not(self):
        with pytest.raises(ValueError, match="layer 2, head 1 in the other model too, found 1 layers with 1 heads"):
            self.view.panels(TRACE, HEARD, layer=2, head=1, theirs=seen([IDENTITY]))


class TestEdited:
    view = views.load("attention_edited")

    def test_what_lies_before_or_beside_the_silent_head_stays(self, model):
        explorer = Explorer(None, HEARD, ("attention_edited",), model=model, silent="1.2")
        for layer, head, moved in ((0, 0, False), (1, 1, False), (2, 0, True), (2, 3, True)):
            shown = explorer.turn(layer=layer, head=head)["attention_edited"].marks[0].values
            assert (np.abs(shown).max() > 1e-3) == moved, (layer, head)
        shown = explorer.turn(layer=1, head=2)["attention_edited"].marks[0].values
        before = views.reading.layers(explorer.recorded, "layers.*.attention.pattern")[1][2]
        assert np.allclose(shown, -before), "the silent head itself is gone"

    def test_says_where_nothing_can_change(self, model):
        explorer = Explorer(None, HEARD, ("attention_edited",), model=model, silent="1.2")
        places = ((1, 2), (1, 0), (0, 2), (2, 0))
        said = {at: explorer.turn(layer=at[0], head=at[1])["attention_edited"].words for at in places}
        assert said[1, 2] == "This is the silent head itself: now it looks nowhere."
        assert said[1, 0] == "Layer 1 hears nothing of it: head 1.2 falls silent beside it."
        assert said[0, 2] == "Layer 0 hears nothing of it: head 1.2 falls silent after it."
        assert "of the weight lies elsewhere" in said[2, 0]


class TestAblation:
    view = views.load("ablation")
    PATH = [0, 1, 0, 2, 0, 3, 0, 2] * 5  # blank, s, a, t

    def panels(self, changed, **chosen):
        trace = seen([IDENTITY, EVEN])
        trace["ctc_proj"] = 8.0 * np.eye(4)[self.PATH][None]
        trace.labels, trace.blank = ("-", "s", "a", "t"), 0
        answer = {"logits": np.stack(changed)}
        return self.view.panels(trace, HEARD, **{"layer": 0, "head": 0, "edit": "silent"} | chosen, changed=answer)

    def test_a_head_that_does_nothing_changes_nothing(self):
        model = ours("UniSpeechForPreTraining")
        attention = model.unispeech.encoder.layers[1].attention
        with torch.no_grad():
            attention.v_proj.weight[8:16] = 0  # the second of four heads
            attention.v_proj.bias[8:16] = 0
        explorer = Explorer(None, HEARD, ("ablation",), model=model, layer=1, head=1)
        (bars,) = explorer["each_head"].marks
        assert bars.heights[1] == pytest.approx(0, abs=1e-6) and (bars.heights[[0, 2, 3]] > 1e-5).all()
        assert bars.sets[2] == {"head": 2} and bars.legend[bars.kinds[1]][1] == "open"
        assert "0% of the frames name another class" in explorer["ablation"].words

    @pytest.mark.parametrize("versions", [1, 3, 9])
    def test_each_head_is_changed_alone(self, model, versions):
        explorer = Explorer(None, HEARD, ("ablation",), model=model)
        even = self.view.EDITS["even gaze"]
        ask = self.view.EachHead(HEARD, 1, 4, even, versions, explorer.recorded)
        logits = ask(model)["logits"]
        for head in range(4):

            def change(patterns, head=head):
                return torch.cat([even(p)[None] if k == head else p[None] for k, p in enumerate(patterns[0])])[None]

            alone = Hear(HEARD, ("ctc_proj",), {"layers.1.attention.pattern": change})(model)["ctc_proj"]
            assert np.allclose(logits[head], alone[0], atol=1e-4)

    def test_edits_are_what_they_are_called(self):
        pattern = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.0, 1.0, 0.0]])
        made = {name: edit(pattern) for name, edit in self.view.EDITS.items()}
        assert torch.allclose(made["a frame back"], torch.tensor([[0.5, 0.5, 0], [0.9, 0.1, 0], [1.0, 0, 0]]))
        assert torch.equal(made["the strongest alone"], torch.eye(3)[[2, 0, 1]])
        assert torch.equal(made["at itself"], torch.eye(3)) and not made["silent"].any()
        assert torch.allclose(made["even gaze"], torch.full((3, 3), 1 / 3))
        assert torch.allclose(made["the same from everywhere"][2], pattern.mean(0))
        for name, after in made.items():
            assert name == "silent" or torch.allclose(after.sum(1), torch.ones(3)), name
            assert after.shape == (3, 3) and edit_of_one_frame(self.view.EDITS[name]) in (0.0, 1.0)

    def test_divergence_and_errors_are_those_of_the_reading(self):
        changed = 8.0 * np.eye(4)[self.PATH]
        changed[1] = 4.0 * np.eye(4)[3]  # in the second frame t, not s, and less sure of it
        reading, effect, bars = self.panels([changed, 8.0 * np.eye(4)[self.PATH]])
        before, after = (np.exp(row) / np.exp(row).sum() for row in (8.0 * np.eye(4)[1], changed[1]))
        expected = (before * np.log(before / after)).sum()
        assert effect.marks[0].y[0, 1] == pytest.approx(expected, rel=1e-5)
        assert np.allclose(np.delete(effect.marks[0].y[0], 1), 0)
        assert bars.marks[0].heights == pytest.approx([expected / 40, 0], abs=1e-9)
        assert "2% of the frames name another class" in reading.words
        before, after, truth = reading.marks
        assert [span.label for span in before.spans[:2]] == ["s", "a"] and after.spans[0].label == "t"
        assert after.shades[0] == 1 and not after.shades[1:].any()
        assert [span.label for span in truth.spans] == list(PHONES)

    def test_errors_are_counted_where_the_truth_is_known(self):
        """Four phones are said, twenty are read: s a t a and sixteen too many."""
        reading, *_ = self.panels([8.0 * np.eye(4)[[0] * 40]] * 2)
        assert "400% phone errors before, 100% after" in reading.words

    def test_a_symbol_has_room_for_its_name_and_no_more(self):
        scores = np.log(np.full((COUNT, 4), 0.01) + np.eye(4)[[0] * 10 + [1, 0, 2] + [0] * 27])
        edges = FRAMES.edges(COUNT)
        one, two = self.view.read(scores, 0, ["-", "s", "a", "t"], edges, HEARD.seconds)
        assert one.start == pytest.approx(edges[10] - 0.04) and two.end == pytest.approx(edges[13] + 0.04)
        assert one.end == two.start == pytest.approx((edges[11] + edges[12]) / 2)


def edit_of_one_frame(change) -> float:
    return float(change(torch.ones(1, 1)))


@pytest.mark.parametrize("name", ["rollout", "ablation", "attention_edited", "attention_of_two"])
@pytest.mark.parametrize(
    "heard",
    [utterance(), utterance(400), utterance(720), utterance(silent=True), utterance(phones=())],
    ids=["a second", "one frame", "two frames", "silence", "no phones"],
)
def test_what_asks_the_model_says_something_true_of_any_sound(name, heard, model):
    explorer = Explorer(None, heard, (name,), model=model, other=model)
    assert still.png(explorer.panels(), dpi=40).startswith(b"\x89PNG")
    said = explorer.words()
    assert "nan" not in said.lower().split() and "inf" not in said.lower().split()
    for panel in explorer.panels():
        for mark in panel.marks:
            if isinstance(mark, Heatmap) and panel.name.startswith("flow") and mark.values.any():
                assert np.allclose(mark.values.sum(1), 1, atol=1e-5), "rows are shares"
