"""The views of an analysis: what they say of tables whose answer is constructed, and how a band is drawn."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from pictures import DEPTH, analysis, stability

from unispeech_lab import views
from unispeech_lab.views import layerwise, likeness, stage, still
from unispeech_lab.views.panel import Axis, Lines, Panel

NUMBERS = ["value", "low", "high"]


def layers(measures: dict[tuple[str, str], list[tuple[float, float, float]]], names=DEPTH) -> SimpleNamespace:
    """An analysis of (measure, target) -> a number with its interval for each layer."""
    rows = [
        (layer, names[layer], measure, target, *numbers)
        for (measure, target), each in measures.items()
        for layer, numbers in enumerate(each)
    ]
    table = pd.DataFrame(rows, columns=["layer", "name", "measure", "target", *NUMBERS])
    return SimpleNamespace(layers=table, baseline=table.iloc[:0], about={"provenance": "constructed"})


def around(*values: float, off: float = 0.02) -> list[tuple[float, float, float]]:
    return [(value, value - off, value + off) for value in values]


class TestLayerwise:
    probes = layers(
        {
            ("probe", "phone"): around(0.2, 0.5, 0.52, 0.4),
            ("control", "phone"): around(0.1, 0.1, 0.1, 0.39),
            ("probe", "voice"): around(0.9, 0.8, 0.7, 0.6),
            ("abx", "phone within"): around(0.3, 0.1, 0.2, 0.25),
        }
    )

    def test_the_best_layer_of_each_target_is_named_as_in_all_views(self):
        every, _ = layerwise.panels(self.probes, "probe", "phone")
        assert every.words == (
            "Most, with 95% intervals: phone in layer 1, 0.52 [0.50, 0.54]; voice in projection, 0.90 [0.88, 0.92]."
        )
        assert [name for _, name in every.x.ticks] == ["projection", "0", "1", "2"]
        (lines,) = every.marks
        assert lines.names == ("phone", "voice") and lines.y[1] == pytest.approx([0.9, 0.8, 0.7, 0.6])
        assert lines.low[0] == pytest.approx([0.18, 0.48, 0.5, 0.38])

    def test_layers_whose_intervals_touch_are_not_told_apart(self):
        _, one = layerwise.panels(self.probes, "probe", "phone")
        assert "Best in layer 1: 0.52 [0.50, 0.54], too near to tell from layer 0." in one.words
        _, voice = layerwise.panels(self.probes, "probe", "voice")
        assert "Best in projection: 0.90 [0.88, 0.92], clear of every other layer." in voice.words

    def test_the_control_stands_beside_its_probe(self):
        _, one = layerwise.panels(self.probes, "probe", "phone")
        assert one.marks[0].names == ("this model", "control task")
        assert "Control task: 0.10 there, +0.42; apart in 3 of 4 layers." in one.words

    def test_a_claim_is_a_difference_to_another_model(self):
        untrained = layers({("probe", "phone"): around(0.2, 0.4, 0.45, 0.41)})
        _, one = layerwise.panels(self.probes, "probe", "phone", beside=untrained)
        assert one.marks[0].names[-1] == "the other model"
        assert "The other model: 0.45 there, +0.07; apart in 2 of 4 layers." in one.words

    def test_what_there_is_without_a_model_is_one_level(self):
        level = self.probes.layers.head(1).assign(layer=None, value=0.45, low=0.44, high=0.46)
        _, one = layerwise.panels(SimpleNamespace(**vars(self.probes) | {"baseline": level}), "probe", "phone")
        assert one.marks[0].names[-1] == "MFCC" and one.marks[0].y[-1] == pytest.approx(np.full(4, 0.45))
        assert "MFCC: 0.45 there, +0.07; apart in 4 of 4 layers." in one.words

    def test_of_errors_the_lowest_is_best_and_guessing_is_a_half(self):
        every, one = layerwise.panels(self.probes, "abx", "phone within")
        assert every.words == "Least, with 95% intervals: phone within in layer 0, 0.10 [0.08, 0.12]."
        assert "Best in layer 0" in one.words and one.words.endswith("Guessing: 0.50.") and one.y.stop > 0.5
        assert one.marks[0].names == ("this model", "chance") and np.allclose(one.marks[0].y[1], 0.5)

    def test_guessing_far_beyond_all_errors_is_said_and_not_drawn(self):
        small = layers({("abx", "phone within"): around(0.05, 0.03, 0.02, 0.02, off=0.005)})
        for panel in layerwise.panels(small, "abx", "phone within"):
            assert panel.words.endswith("Guessing, 0.50, is far beyond this axis.")
            assert panel.y.stop < 0.06 and "chance" not in panel.marks[0].names

    def test_what_was_not_measured_is_said(self):
        _, one = layerwise.panels(self.probes, "abx", "voice")
        assert one.words == "ABX error was not measured of voice." and not one.marks

    def test_layers_of_any_order_stand_from_the_sound_up(self):
        shuffled = SimpleNamespace(**vars(self.probes) | {"layers": self.probes.layers.sample(frac=1, random_state=0)})
        first, second = (layerwise.panels(each, "probe", "phone")[1].marks[0] for each in (self.probes, shuffled))
        assert np.array_equal(first.y, second.y)

    def test_modules_of_unknown_names_are_numbered(self):
        foreign = layers({("cka", "mfcc"): around(0.1, 0.2)}, names=("embed", "block.0"))
        assert [name for _, name in layerwise.panels(foreign, "cka", "mfcc")[0].x.ticks] == ["0", "1"]


class TestLikeness:
    steps = np.array([[1.0, 0.9, 0.3, 0.2], [0.9, 1.0, 0.4, 0.3], [0.3, 0.4, 1.0, 0.8], [0.2, 0.3, 0.8, 1.0]])

    def made(self, found) -> SimpleNamespace:
        kept = analysis()
        kept.similarity = pd.DataFrame(found, range(4), range(4))
        return kept

    def test_the_sharpest_turn_is_found(self):
        square, row = likeness.panels(self.made(self.steps), layer="layer 0")
        assert square.words == (
            "Neighbours have a CKA of 0.70 on average; least alike are layer 0 and layer 1, 0.40; "
            "projection and layer 2: 0.20."
        )
        assert row.words == "Layer 0 is likest to projection, 0.90, least to layer 2, 0.30."
        assert row.marks[0].y[0] == pytest.approx(self.steps[1])

    def test_a_click_on_a_row_opens_it(self):
        square, _ = likeness.panels(self.made(self.steps), layer="layer 2")
        assert square.marks[0].sets == ("", ("layer", ("projection", "layer 0", "layer 1", "layer 2")))

    def test_two_models_stand_side_by_side_and_across(self):
        turned = pd.DataFrame(self.steps[:, ::-1], range(4), range(4))  # the other has its layers the other way round
        panels = likeness.panels(self.made(self.steps), "layer 2", beside=self.made(self.steps**2), across=turned)
        assert [panel.name for panel in panels] == ["likeness", "likeness_beside", "likeness_across", "likeness_row"]
        assert panels[1].words.endswith("projection and layer 2: 0.04.")
        assert panels[2].words == (
            "Likest to projection is the other's layer 2, 1.00; to layer 2 its projection, 1.00. "
            "For 0 of 4 layers it is the same layer."
        )
        assert panels[3].marks[0].names == ("this model", "the other model", "this by the other")
        assert panels[3].marks[0].y[2] == pytest.approx(self.steps[3, ::-1])

    def test_layers_may_be_called_by_their_modules(self):
        kept = self.made(self.steps)
        kept.similarity = pd.DataFrame(self.steps, DEPTH, DEPTH)
        assert likeness.named(kept) == ["projection", "layer 0", "layer 1", "layer 2"]


class TestCodesByPosition:
    view = views.load("codes_by_position")

    def table(self, numbers, measure="nmi") -> pd.DataFrame:
        rows = [(measure, position, *each) for position, each in zip(("end", "middle", "onset"), numbers, strict=True)]
        return pd.DataFrame(rows, columns=["measure", "position", *NUMBERS])

    def panels(self, *tables, **given):
        return self.view.panels(SimpleNamespace(codebook=pd.concat(tables)), "nmi", **given)

    def test_positions_are_in_the_order_of_time(self):
        (panel,) = self.panels(self.table(around(0.3, 0.6, 0.4)))
        assert [name for _, name in panel.x.ticks] == ["onset", "middle", "end"]
        assert panel.marks[0].y[0] == pytest.approx([0.4, 0.6, 0.3])

    def test_what_intervals_tell_apart_is_said(self):
        (clear,) = self.panels(self.table(around(0.3, 0.6, 0.4)))
        assert clear.words.endswith("least at the end, 0.30 [0.28, 0.32]: told apart.")
        (near,) = self.panels(self.table(around(0.3, 0.6, 0.4, off=0.2)))
        assert near.words.endswith("least at the end, 0.30 [0.10, 0.50]: their intervals touch.")

    def test_chance_and_another_model_stand_beside(self):
        chance, other = self.table(around(0.1, 0.12, 0.1), "nmi chance"), self.table(around(0.2, 0.3, 0.2))
        (panel,) = self.panels(self.table(around(0.3, 0.6, 0.4)), chance, beside=SimpleNamespace(codebook=other))
        assert panel.marks[0].names == ("this model", "chance", "the other model")
        assert panel.words.endswith("By chance 0.12 there. The other model 0.30 there.")

    def test_without_a_codebook_it_says_so(self):
        (panel,) = views.codes_by_position(analysis(codebook=False)).panels()
        assert "no codebook" in panel.words and not panel.marks


class TestSegmentation:
    view = views.load("segmentation")

    def made(self) -> SimpleNamespace:
        """Codes that find all and as much again; CTC that finds half, and nothing wrong."""
        rows = []
        for method, numbers in (("codes", (0.5, 1.0, 2 / 3, 0.2, 1.0)), ("ctc", (1.0, 0.5, 2 / 3, 0.65, -0.5))):
            for tolerance in (0.01, 0.02):
                row = {"method": method, "tolerance": tolerance, "f1_chance": 0.4, "r_value_chance": 0.1}
                for name, value in zip(("precision", "recall", "f1", "r_value", "over"), numbers, strict=True):
                    row |= {name: value, f"{name}_low": value - 0.05, f"{name}_high": value + 0.05}
                rows.append(row)
        return SimpleNamespace(segments=pd.DataFrame(rows))

    def test_methods_are_told_from_the_best(self):
        over, _ = self.view.panels(self.made(), "r_value", 20, "codes")
        assert over.words == (
            "Within 20 ms: CTC spikes 0.65 [0.60, 0.70]; code changes 0.20 [0.15, 0.25]; "
            "chance, as many as code changes 0.10."
        )
        assert over.marks[0].x.tolist() == [10, 20]  # milliseconds: seconds would be the clock of an utterance

    def test_what_was_bought_with_more_borders_is_said(self):
        _, codes = self.view.panels(self.made(), "f1", 20, "codes")
        assert codes.words == (
            "50% of the borders found are true, 100% of the true ones are found; there are 100% more than in truth, "
            "which leaves an R-value of 0.20."
        )
        _, ctc = self.view.panels(self.made(), "f1", 20, "ctc")
        assert "50% fewer than in truth" in ctc.words
        assert ctc.marks[0].names == ("CTC spikes", "chance") and np.isnan(ctc.marks[0].y[0, 1::2]).all()
        assert ctc.marks[0].y[:, 0] == pytest.approx([2 / 3, 0.4])

    def test_an_r_value_far_below_nought_is_said_and_not_drawn(self):
        made = self.made()
        codes = made.segments["method"] == "codes"
        made.segments.loc[codes, ["r_value", "r_value_low", "r_value_high"]] = -2.3
        over, _ = self.view.panels(made, "r_value", 20, "codes")
        assert over.marks[0].names == ("CTC spikes", "chance, as many as code changes") and over.y.start >= 0
        assert over.words.endswith("code changes -2.30 [-2.30, -2.30]. Not drawn, since below −0.5: code changes.")

    def test_of_surplus_the_least_is_best(self):
        over, _ = self.view.panels(self.made(), "over", 10, "codes")
        assert over.words.index("CTC spikes") < over.words.index("code changes")


class TestCodeStability:
    view = views.load("code_stability")

    def test_pairs_in_order_and_beside_chance(self):
        table = pd.DataFrame(
            [
                ("A 0", "A 1", "joint", "ami", 0.6, 0.5, 0.7, 0.0),
                ("A 0", "B 0", "joint", "ami", 0.1, -0.1, 0.2, 0.0),
                ("A 1", "B 0", "joint", "ami", 0.2, 0.1, 0.3, 0.0),
            ],
            columns=["one", "other", "codes", "measure", *NUMBERS, "chance"],
        )
        square, pairs = self.view.panels(table, "ami", "joint")
        values = square.marks[0].values
        assert np.isnan(np.diagonal(values)).all() and np.array_equal(values, values.T, equal_nan=True)
        assert values[0, 1] == 0.6 and square.marks[0].rows == ("A 0", "A 1", "B 0")
        assert square.words == "Likest: A 0 and A 1, 0.60 [0.50, 0.70]; least: A 0 and B 0, 0.10 [-0.10, 0.20]."
        assert [row[:3] for row in pairs.marks[0].rows] == [
            ("A 0", "A 1", 0.6),
            ("A 1", "B 0", 0.2),
            ("A 0", "B 0", 0.1),
        ]
        assert pairs.words == "2 of 3 pairs agree beyond chance, by their 95% intervals."

    def test_a_blank_square_is_explained_and_columns_are_numbered(self):
        rows = [("A 0", "A 1", "joint", "ami", 0.6, 0.5, 0.7, 0.0), ("A 1", "B 0", "joint", "ami", 0.2, 0.1, 0.3, 0.0)]
        table = pd.DataFrame(rows, columns=["one", "other", "codes", "measure", *NUMBERS, "chance"])
        square, _ = self.view.panels(table, "ami", "joint")
        assert square.words.startswith("Blank: the diagonal, and 1 pair not compared. Likest: A 0 and A 1, 0.60")
        assert [name for _, name in square.x.ticks] == ["1", "2", "3"]
        assert [name for _, name in square.y.ticks] == ["1: A 0", "2: A 1", "3: B 0"]

    def test_one_pair(self):
        table = stability()
        square, _ = self.view.panels(table[table["other"] == "A 1"], "ami", "joint")
        assert square.words.startswith("Likest: A 0 and A 1") and "least" not in square.words


class TestInterventions:
    view = views.load("interventions")

    def table(self, kl, kind="heads", edit="silent") -> pd.DataFrame:
        names = [f"head {k // 2}.{k % 2} {edit}" for k in range(len(kl))]
        table = pd.DataFrame({"intervention": names, "kind": kind, "layer": np.arange(len(kl)) // 2})
        table = table.assign(item=table.index % 2, kl=kl, kl_low=np.subtract(kl, 0.1), kl_high=np.add(kl, 0.1))
        return table.astype({"layer": "Int64", "item": "Int64"})

    def test_the_most_first_and_each_head_in_its_place(self):
        ranked, grid = self.view.panels(self.table([0.2, 0.9, 0.1, 0.85]), "kl")
        assert ranked.words == (
            "KL: most by head 0.1 silent, 0.90 [0.80, 1.00], clear of 2 of 3 others; least by head 1.0 silent, "
            "0.10 [0.00, 0.20]."
        )
        assert [name for _, name in ranked.x.ticks] == ["0.1", "1.1", "0.0", "1.0"]
        assert ranked.x.label == "what was changed: silent"
        assert grid.marks[0].values.tolist() == [[0.2, 0.9], [0.1, 0.85]]
        assert grid.words == "On average over heads most in layer 0, 0.55, least in layer 1, 0.475."

    def test_on_another_model_the_same_change_stands_beside(self):
        ranked, _ = self.view.panels(self.table([0.2, 0.9, 0.1, 0.8]), "kl", beside=self.table([0.3, 0.1, 0.4, 0.2]))
        assert ranked.marks[0].y[1, ::2].tolist() == [0.1, 0.2, 0.3, 0.4]
        assert ranked.words.endswith("Rank correlation with the other model: -1.00.")

    def test_heads_and_layers_have_axes_of_their_own(self):
        skipped = self.table([9.0, 7.0], kind="layers", edit="skip")
        skipped["intervention"] = ["layer 0 skip", "layer 1 skip"]
        small, large, grid = self.view.panels(pd.concat([skipped, self.table([0.2, 0.9, 0.1, 0.85])]), "kl")
        assert small.y.stop < 2 < 9 < large.y.stop and (small.share, large.share + grid.share) == (1, 1)
        assert small.title.endswith("KL, heads") and large.words.startswith("KL: most by layer 0 skip, 9.00")
        assert [name for _, name in large.x.ticks] == ["layer 0", "layer 1"]

    def test_exchanged_phones_go_up_through_the_model(self):
        table = self.table([0.2, 0.9, 0.1], kind="phones")
        (ranked,) = self.view.panels(table.assign(becomes=table["kl"], becomes_low=0, becomes_high=1), "becomes")
        assert ranked.marks[0].y[0, ::2].tolist() == [0.2, 0.9, 0.1]
        assert (
            views.interventions(table.assign(becomes=1.0, becomes_low=0, becomes_high=1)).values["measure"] == "becomes"
        )

    def test_of_very_many_the_first_are_drawn(self):
        ranked, grid = self.view.panels(self.table(list(np.linspace(0, 1, 40))), "kl")
        assert "12 more are not drawn" in ranked.words and len(ranked.x.ticks) == 28
        assert grid.marks[0].values.shape == (20, 2)


class TestBand:
    x = np.arange(3.0)
    y = np.array([[0.2, 0.4, np.nan]])
    lines = Lines(x, y, ("one",), low=y - 0.1, high=y + 0.2)

    def panel(self, *lines) -> Panel:
        return Panel("p", "P", lines or (self.lines,), Axis("layer", "", -0.5, 2.5), Axis("value"))

    def test_an_end_alone_is_refused(self):
        with pytest.raises(ValueError, match=r"both ends of a band around curves \(1, 3\), or neither, found \[\(1, 3"):
            Lines(self.x, self.y, ("one",), low=self.y)
        with pytest.raises(ValueError, match=r"found \[\(1, 2\), \(1, 3\)\]"):
            Lines(self.x, self.y, ("one",), low=self.y[:, :2], high=self.y)

    def test_few_numbers_are_all_told(self):
        assert self.lines.says() == "one 0.2, 0.4"

    def test_the_still_fills_from_low_to_high(self):
        (axes,) = still.figure([self.panel()]).axes
        band, strokes, dots = axes.collections
        assert band.get_paths()[0].vertices[:, 1].min() == pytest.approx(0.1)
        assert band.get_paths()[0].vertices[:, 1].max() == pytest.approx(0.6)
        assert [path.vertices[:, 1].tolist() for path in strokes.get_paths()[:2]] == [
            pytest.approx([0.1, 0.4]),
            pytest.approx([0.3, 0.6]),
        ]
        assert dots.get_offsets()[:2, 1].tolist() == pytest.approx([0.2, 0.4])

    def test_curves_with_bands_are_named_above_them(self):
        two = Lines(self.x, np.zeros((2, 3)), ("one", "two"), low=np.zeros((2, 3)), high=np.ones((2, 3)))
        figure = still.figure([self.panel(two)])
        assert {"one", "two", "━━"} <= {text.get_text() for text in figure.texts}
        assert figure.axes[0].get_legend() is None

    def test_both_ends_travel_to_the_canvas(self):
        sent = stage.pack(self.panel())["marks"][0]
        ends = np.frombuffer(sent["ends"], "<f4").reshape(2, 1, 3)
        assert ends[:, 0, 0] == pytest.approx([0.1, 0.4]) and np.isnan(ends[:, 0, 2]).all()
        assert stage.pack(self.panel(Lines(self.x, self.y, ("one",))))["marks"][0]["ends"] is None


def test_an_analysis_is_silent_and_says_what_it_is_of():
    shown = views.layerwise(analysis(), measure="abx", target="phone across")
    assert shown.values["measure"] == "abx" and shown.heading == "numbers drawn at random"
    sent = shown.show()
    assert sent.sound == b"" and sent.seconds == 0 and sent.panel_0["name"] == "layerwise"
    assert [dial["name"] for dial in sent.dials] == ["measure", "target"]
    shown.turn(measure="probe")
    assert sent.panel_0["title"] == "Which layer knows what: share read right"
