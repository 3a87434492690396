"""The views: one battery over the folder, then each view's numbers on data whose answer is constructed."""

import io
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pictures import (
    CLASSES,
    CODEWORDS,
    DEPTH,
    FRAMES,
    PlainTrace,
    analysed,
    bare,
    spoilt,
    survey,
    trace,
    utterance,
    with_pattern,
)

from unispeech_lab import load, views
from unispeech_lab.alignment import Span
from unispeech_lab.views import stage, still
from unispeech_lab.views.explorer import Explorer
from unispeech_lab.views.panel import (
    Axis,
    Brush,
    Heatmap,
    Knob,
    Lasso,
    Lines,
    Matrix,
    Moment,
    Panel,
    Spans,
    clock,
    runs,
)
from unispeech_lab.views.reading import find, layers

CASES = {
    "a second": (trace(), utterance()),
    "one frame": (trace(400), utterance(400)),
    "two frames": (trace(720), utterance(720)),
    "silence": (trace(), utterance(silent=True)),
    "no phones": (trace(), utterance(phones=())),
    "no labels": (bare(trace()), utterance()),
}
STILL = {  # without phones there are no points to choose, no frames to put in others' place
    *(("embedding", case, "chosen") for case in ("silence", "no phones")),
    ("patching", "no phones", "at"),
}
FEW = ("one frame", "two frames")  # so short that a choice may have nothing to choose from
SURVEYS = {
    "one frame": survey(samples=(400,), said=(("a",),)),
    "two frames": survey(samples=(720,), said=(("a", "u"),)),
    "silence": survey(samples=(16_000, 8_000), said=(("", ""), ())),
    "no phones": survey(samples=(16_000, 8_000), said=((), ())),
}


ANALYSES = {  # what differs between the tables of analyses
    "a second": {},
    "one layer": {"names": DEPTH[:1]},
    "no layers": {"names": ()},
    "no codebook": {"codebook": False},
    "no intervals": {"intervals": False},
}
FEW = (*FEW, "one layer", "no layers")


def scope(name: str) -> str:
    return getattr(views.load(name), "scope", "")


def listens(name: str) -> bool:
    """Whether a view asks a model for further forwards; the others are given plain arrays."""
    return hasattr(views.load(name), "asks")


def applies(name: str, case: str) -> bool:
    """What CTC's classes mean concerns those who read them; a model that has learned knows it."""
    return case != "no labels" or (any("lm_head" in one for one in views.load(name).watches) and not listens(name))


def cases(name: str) -> list[str]:
    return list(ANALYSES) if scope(name) == "analysis" else [case for case in CASES if applies(name, case)]


PAIRS = [(name, case) for name in views.names() for case in cases(name)]
every_case = pytest.mark.parametrize(("name", "case"), PAIRS, ids=[", ".join(pair) for pair in PAIRS])


@pytest.fixture(scope="module")
def models():
    """The model that ships, and another of its shape."""
    model = load("tiny")
    torch.manual_seed(0)
    return model, type(model)(model.config).eval()


def look(name: str, case: str, models) -> Explorer:
    """A view by itself: of plain arrays, of a survey, or of a model where it listens by itself."""
    if scope(name) == "analysis":
        return views.load(name)(analysed(name, **ANALYSES[case]))
    seen, heard = CASES[case]
    if scope(name) == "corpus":
        over = SURVEYS.get(case, survey())
        return Explorer({}, heard if case == "a second" else over.utterances[0], (name,), survey=over)
    if not listens(name):
        return Explorer(seen, heard, (name,))
    model, other = models
    return Explorer(None, heard, (name,), model=model, other=other)


def settings(knob) -> list:
    """Where a knob is turned to: the ends of a choice; some moment, stretch, points."""
    if isinstance(knob, Moment):
        return [knob.default, knob.stop / 3]
    if isinstance(knob, Brush):
        return [(), ((knob.stop / 4, knob.stop / 2),)]
    if isinstance(knob, Lasso):
        return [(), tuple(range(min(knob.count, 3)))]
    return list(dict.fromkeys((knob.default, knob.values[0], knob.values[-1])))


def plain(value) -> np.ndarray:
    return value.numpy(force=True) if isinstance(value, torch.Tensor) else value


def contents(seen) -> dict:
    """What a view was given, by name: arrays of a trace or a survey, columns of an analysis' tables."""
    if isinstance(seen, Mapping):
        return seen
    tables = {"": seen} if isinstance(seen, pd.DataFrame) else vars(seen)
    frames = {name: table for name, table in tables.items() if isinstance(table, pd.DataFrame)}
    return {(name, column): table[column].to_numpy() for name, table in frames.items() for column in table}


def drawn(shown: Explorer) -> list[dict]:
    return [stage.pack(panel) for panel in shown.panels()]


class TestEveryView:
    @every_case
    def test_is_pure(self, name, case, models):
        shown = look(name, case, models)
        seen = shown.seen(views.load(name))
        before = {key: plain(value).copy() for key, value in contents(seen).items()}
        once = drawn(shown)
        shown.drawn.clear(), shown.answers.clear()
        assert drawn(shown) == once
        after = contents(seen)
        assert after.keys() == before.keys()
        assert all(pd.Series(plain(after[key]).ravel()).equals(pd.Series(before[key].ravel())) for key in before)

    @every_case
    def test_speaks_in_seconds_over_the_whole_utterance(self, name, case, models):
        """What has seconds along x is the utterance from end to end; what can be heard lies in it, or in the album."""
        shown = look(name, case, models)
        heard, over = shown.utterance, shown.made
        album = len(over.album) / heard.rate if over else 0.0
        names = [panel.name for panel in shown.panels()]
        assert len(set(names)) == len(names) and any(panel.words for panel in shown.panels())
        for panel in shown.panels():
            assert panel.title and panel.name
            if panel.x.is_time:
                assert (panel.x.start, panel.x.stop) == (0.0, pytest.approx(heard.seconds, abs=1e-3))
                assert panel.y.label
            for mark in panel.marks:
                stop = album if getattr(mark, "album", mark.kind == "keys") else heard.seconds
                for start, end in sounds(mark):
                    assert -1e-6 <= start < end <= stop + 1e-6
            assert not panel.paints or not isinstance(shown.knobs[panel.paints], Knob)
            for turn in [turn for mark in panel.marks for turn in getattr(mark, "sets", ()) if isinstance(turn, dict)]:
                for knob, value in turn.items():
                    assert shown.knobs[knob].accepts(value), f"{knob} has no {value!r}"

    @every_case
    def test_says_what_it_shows(self, name, case, models):
        shown = look(name, case, models)
        for panel in shown.panels():
            alt = panel.alt()
            assert panel.title in alt and (f"{shown.utterance.seconds:.2f} s" in alt or not panel.x.is_time)
            assert not {"nan", "inf", "-inf", "nan%"} & set(re.split(r"[\s,;()]+", alt.lower()))

    @pytest.mark.parametrize("name", views.names())
    def test_what_is_not_a_number_is_drawn_or_refused(self, name):
        """Of a model that has diverged a view shows what there is, or says what it was given."""
        if listens(name) or scope(name):
            return
        try:
            assert still.png(Explorer(spoilt(trace()), utterance(), (name,)).panels(), dpi=40)
        except ValueError as error:
            assert re.search("(?i)nan|not a number", str(error))

    @pytest.mark.parametrize("name", views.names())
    def test_words_are_from_the_data(self, name, models):
        shown = look(name, "a second", models)
        seen, heard = trace(seed=1), utterance(9600, phones=("a", "u"))
        if scope(name) == "analysis":
            shown_too = views.load(name)(analysed(name, seed=1))
        elif scope(name) == "corpus":
            shown_too = Explorer({}, heard, (name,), survey=survey(1, (9_600, 6_400), (("a", "u"), ("u", "a", "s"))))
        elif shown.model:
            shown_too = Explorer(None, heard, (name,), model=models[1], other=models[0])
        else:
            shown_too = Explorer(seen, heard, (name,))
        pairs = zip(shown.panels(), shown_too.panels(), strict=False)
        assert any(one.alt() != two.alt() for one, two in pairs)

    @every_case
    def test_every_knob_moves_the_picture(self, name, case, models):
        """Each by itself; where it cannot be seen from where the others begin, from where they end."""
        shown = look(name, case, models)
        for knob, choice in shown.knobs.items():
            start, values = {other: shown.values[other] for other in shown.knobs}, settings(choice)
            pictures = [drawn(shown.turn(**{knob: value})) for value in values]
            shown.turn(**start)
            assert all(pictures)
            if len(values) > 1 and case not in FEW and (name, case, knob) not in STILL:
                assert any(picture != pictures[0] for picture in pictures[1:]), f"{knob} changes nothing"

    @every_case
    def test_both_renderers_draw_the_same_axes(self, name, case, models):
        from matplotlib import pyplot

        panels = look(name, case, models).panels()
        figure = still.figure(panels)
        for panel, axes in zip(panels, figure.axes, strict=True):
            sent = stage.pack(panel)
            assert axes.get_xlim() == pytest.approx((sent["x"]["start"], sent["x"]["stop"]))
            assert axes.get_ylim() == pytest.approx((sent["y"]["start"], sent["y"]["stop"]))
            assert [mark["kind"] for mark in sent["marks"]] == [mark.kind for mark in panel.marks]
        picture = io.BytesIO()
        figure.savefig(picture, dpi=40)
        assert picture.getvalue().startswith(b"\x89PNG") and len(picture.getvalue()) > 1000
        assert not pyplot.get_fignums()


def sounds(mark) -> np.ndarray:
    """All stretches (s, 2) that a mark's items play."""
    if mark.kind == "keys":
        return np.concatenate([np.zeros((0, 2)), *mark.sounds])
    times = getattr(mark, "times", None)
    return np.zeros((0, 2)) if times is None else times[np.isfinite(times).all(1)]


def test_no_view_needs_a_model():
    code = (
        "import sys\nfrom unispeech_lab import views\n"
        "for name in views.names(): views.load(name)\n"
        "import unispeech_lab.views.explorer\n"
        "print([m for m in sys.modules if m == 'transformers' or m.startswith('unispeech_lab.model')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_view_is_answered_with_the_names():
    with pytest.raises(KeyError, match="ablation, alignment, attention.*found 'atention'"):
        views.load("atention")


class TestAttention:
    """How far a head looks is known where the pattern is constructed."""

    view = views.load("attention")

    def words(self, pattern):
        samples = 320 * (len(pattern) - 1) + 400
        return self.view.panels(with_pattern(pattern), utterance(samples), layer=0, head=0)

    def test_the_diagonal_looks_at_itself(self):
        picture, gaze = self.words(np.eye(40))
        assert "looks at itself" in picture.words and "100% of its weight" in picture.words
        assert np.allclose(gaze.marks[0].y, 0)

    def test_three_frames_back_are_sixty_milliseconds(self):
        back = np.eye(40, k=-3)
        back[:3, 0] = 1  # before the first frame there is nothing
        picture, gaze = self.words(back)
        assert "57 ms back" in picture.words  # (37 * 60 + 40 + 20 + 0) / 40
        assert np.allclose(gaze.marks[0].y[0, 3:], -60)

    def test_an_even_gaze_is_called_even(self):
        picture, _ = self.words(np.full((40, 40), 1 / 40))
        assert "looks as far back as ahead on average" in picture.words
        share = np.mean([np.mean(np.abs(np.arange(40) - q) * 20 <= 100) for q in range(40)])
        assert f"{share:.0%} of its weight lies within 100 ms (an even gaze: {share:.0%})" in picture.words

    def test_both_axes_are_seconds_and_cells_lie_where_frames_do(self):
        picture, _ = self.words(np.eye(40))
        (matrix,) = picture.marks
        assert isinstance(matrix, Matrix) and picture.y.is_time
        assert matrix.x == matrix.y == (FRAMES.edges(40)[0], FRAMES.edges(40)[-1])


class TestCodes:
    view = views.load("codes")

    def test_equal_neighbours_are_one_span(self):
        codes = np.array([[[3, 1], [3, 1], [3, 2], [5, 2]]])
        seen = PlainTrace({"quantizer.codes": codes, "quantizer.logits": np.zeros((1, 4, 2, CODEWORDS))})
        (panel,) = self.view.panels(seen, utterance(1360))
        first, second = panel.marks
        assert [span.label for span in first.spans] == ["3", "5"]
        assert [span.label for span in second.spans] == ["1", "2"]
        assert [span.start for span in first.spans] == pytest.approx([0.0025, 0.0625])
        assert second.spans[0].end == pytest.approx(0.0425)
        for tier, (at, name) in zip(panel.marks, panel.y.ticks, strict=True):
            assert tier.y[0] < at < tier.y[1] and tier.tier.startswith(name)
        assert "group 0 uses 2, group 1 uses 2 of 16 codes; a code is held 40 ms" in panel.words


class TestPosteriors:
    view = views.load("posteriors")

    def seen(self, path, sharpness=20.0):
        return PlainTrace({"ctc_proj": sharpness * np.eye(CLASSES)[path][None]})

    def test_reads_a_known_path(self):
        path = [0, 4, 4, 0, 4, 7, 0, 0]
        panel = self.panel(path, labels=[f"<{v}>" for v in range(CLASSES)])
        picture, reading = panel.marks
        assert [span.label for span in reading.spans] == ["<4>", "<4>", "<7>"]
        assert [span.duration for span in reading.spans] == pytest.approx([0.04, 0.02, 0.02])
        assert "blank wins 50% of the frames; 3 symbols are read" in panel.words
        assert picture.rows[0] == "blank" and "<7>" in picture.rows

    def test_shows_the_classes_that_come_nearest_to_winning(self):
        panel = self.panel([0, 4, 7, 11, 4], classes=8)
        assert {"blank", "4", "7", "11"} <= set(panel.marks[0].rows) and len(panel.marks[0].rows) == 8

    def test_probabilities_sum_to_one(self):
        panel = self.panel([0, 1, 2], sharpness=1.0)
        assert np.allclose(panel.marks[0].values.sum(0), 1)

    def test_a_trace_that_knows_its_classes_names_them(self):
        seen = self.seen([0, 4, 4, 1])
        seen.labels, seen.blank = tuple("abcdefghijklmnopqrstuvwxyz"[:CLASSES]), 4
        (panel,) = self.view.panels(seen, utterance(320 * 4 + 80), classes=CLASSES)
        assert [span.label for span in panel.marks[1].spans] == ["a", "b"] and panel.marks[0].rows[4] == "blank"

    def test_reads_the_other_head_too(self):
        seen = PlainTrace({"lm_head": self.seen([0, 1])["ctc_proj"]})
        assert self.view.panels(seen, utterance(720), classes=CLASSES)

    def panel(self, path, sharpness=20.0, classes=CLASSES, **given):
        (panel,) = self.view.panels(
            self.seen(path, sharpness), utterance(320 * len(path) + 80), classes=classes, **given
        )
        return panel


class TestFeatures:
    view = views.load("features")

    def test_each_layer_keeps_its_own_clock(self):
        seen, heard = trace(), utterance()
        (first,) = self.view.panels(seen, heard, conv=0)
        (last,) = self.view.panels(seen, heard, conv=6)
        assert "one every 0.312 ms, each hearing 0.625 ms" in first.words
        assert "49 frames, one every 20 ms, each hearing 25 ms" in last.words
        assert last.marks[0].values.shape == (8, 49)

    def test_pooling_keeps_the_mean_and_the_time(self):
        values = np.arange(2501, dtype=np.float32)[:, None]
        pooled, group = self.view.pool(values, 1200)
        assert group == 3 and len(pooled) == 834
        assert pooled[0, 0] == 1 and pooled[-1, 0] == pytest.approx(2499.5)  # the last holds two frames

    def test_silent_channels_are_counted(self):
        seen = trace()
        seen["unispeech.feature_extractor.conv_layers.6"][..., :3] = 0
        assert "3 of them silent" in self.view.panels(seen, utterance(), conv=6)[0].words


def test_spectrogram_finds_a_tone():
    heard = utterance()
    heard.waveform[:] = np.sin(2 * np.pi * 2000 * np.arange(16_000) / 16_000)
    _, picture = views.load("waveform").panels({}, heard, frequency="linear")
    assert "loudest near 2000 Hz" in picture.words
    (tick,) = [at for at, name in picture.y.ticks if name == "2"]
    assert picture.marks[0].values[:, 50].argmax() == int(tick)


def test_times_that_nobody_measured_are_named():
    heard = utterance()
    first, *others = heard.phones
    borrowed = replace(heard, phones=(replace(first, score=0.0), *others))
    (panel,) = views.load("truth").panels({}, borrowed)
    assert panel.words.endswith("The times of ð are a convention, not measured.")
    assert "convention" not in views.load("truth").panels({}, heard)[0].words


class TestPanel:
    def test_a_diverging_map_is_fixed_around_zero(self):
        with pytest.raises(ValueError, match="fixed around zero, found -1 to 2"):
            Heatmap(np.zeros((2, 2)), (0, 1), (0, 1), -1, 2, map="RdBu_r")

    def test_refusals_say_what_was_expected(self):
        with pytest.raises(ValueError, match=r"2 dimension\(s\), found shape \(3,\)"):
            Heatmap(np.zeros(3), (0, 1), (0, 1), 0, 1)
        with pytest.raises(ValueError, match="low < high, found 1 to 1"):
            Heatmap(np.zeros((1, 1)), (0, 1), (0, 1), 1, 1)
        with pytest.raises(ValueError, match="one of the maps viridis.*found 'jet'"):
            Heatmap(np.zeros((1, 1)), (0, 1), (0, 1), 0, 1, map="jet")
        with pytest.raises(ValueError, match=r"2 rows\), found 1 names"):
            Heatmap(np.zeros((2, 1)), (0, 1), (0, 1), 0, 1, rows=("a",))
        with pytest.raises(ValueError, match=r"\(names, moments\) = \(1, 3\), found \(2, 3\)"):
            Lines(np.zeros(3), np.zeros((2, 3)), ("one",))
        with pytest.raises(ValueError, match="smaller to a larger"):
            Axis("level", "", 1, 1)
        with pytest.raises(ValueError, match=r"among \(1, 2\), found 3"):
            Knob((1, 2), 3, "layer")
        with pytest.raises(ValueError, match=r"one shade a span \(1\), found 2"):
            Spans("phones", [Span("a", 0, 1)], shades=np.zeros(2))
        matrix = Matrix(np.eye(2), (0, 1), (0, 1), 0, 1)
        with pytest.raises(ValueError, match="seconds on both axes, found 'channel' upright"):
            Panel("m", "M", (matrix,), clock(1), Axis("channel"))

    def test_runs_join_equal_neighbours(self):
        spans = runs(["a", "a", "b", "a"], np.arange(5) / 10)
        assert [(s.label, s.start, s.end) for s in spans] == [("a", 0, 0.2), ("b", 0.2, 0.3), ("a", 0.3, 0.4)]
        assert runs([], np.zeros(1)) == ()


class TestReading:
    def test_a_missing_name_says_what_to_record(self):
        with pytest.raises(KeyError, match=r"found ctc_proj: with record\(model, 'quantizer.codes'\)"):
            find({"ctc_proj": np.zeros((1, 2, 3))}, "quantizer.codes")

    def test_one_utterance_at_a_time(self):
        with pytest.raises(ValueError, match="found a batch of 2: record one utterance"):
            find({"ctc_proj": np.zeros((2, 2, 3))}, "ctc_proj")

    def test_layers_are_in_numerical_order(self):
        seen = {f"encoder.layers.{k}.attention.pattern": np.full((1, 1), k) for k in (10, 2, 0)}
        assert list(layers(seen, "layers.*.attention.pattern")) == [0, 2, 10]

    def test_half_precision_tensors_are_read(self):
        import torch

        (found,) = find({"ctc_proj": torch.ones(1, 2, 3, dtype=torch.bfloat16)}, "ctc_proj").values()
        assert found.dtype == np.float32 and found.shape == (2, 3)


class TestStill:
    def test_all_languages_are_written_without_a_warning(self):
        """Letters that no font has are boxes; the phonetic alphabet and Cyrillic are there everywhere."""
        phones = ("ɔːɹ", "tɕʰ", "ʈʂ", "ø̞", "ŋ")
        heard = utterance(phones=phones)
        panels = views.load("truth").panels({}, heard)
        assert still.png(panels, note="тымызык кечки шамал, 你好")
        assert all(still.written(phone) == phone for phone in phones)
        assert still.written("Кыргызча ғүңө") == "Кыргызча ғүңө"
        assert still.written("\U0010ffff") == "▯"

    def test_long_words_end_inside_the_picture(self):
        panel = Panel("p", "Title", (), clock(1), Axis("level"), "word " * 100)
        figure = still.figure([panel])
        title, words = figure.texts[1:]
        right = figure.transFigure.inverted().transform(words.get_window_extent())[1, 0]
        assert right < 1 and words.get_text().endswith("…") and title.get_text() == "Title"

    @pytest.mark.parametrize("text", ["$\\frac$", "$x$", "from $5 to $6", "\\$"])
    def test_a_dollar_begins_no_formula(self, text):
        phones = (Span(text, 0.0, 0.5),)
        panel = Panel("p", text, (Spans("t", phones),), clock(1), Axis("level", ticks=((0.5, text),)), text)
        assert still.png([panel], note=text)
        assert text in still.words([panel])

    def test_words_without_end_are_drawn_at_once(self):
        """Each try to make them fit measures them whole: 100,000 letters took longer than anyone waits."""
        panel = Panel("p", "Title", (), clock(1), Axis("level"), "word " * 20_000)
        words = still.figure([panel]).texts[2].get_text()
        assert words.endswith("…") and len(words) < 300

    def test_the_note_may_be_missing(self):
        panel = Panel("p", "Title", (), clock(1), Axis("level"))
        assert "random" in still.words([panel], note="random weights") and "random" not in still.words([panel])
