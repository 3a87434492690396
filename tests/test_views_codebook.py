"""The views of the codebook: numbers where codes, probabilities or phones are constructed."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from models import SIZES
from pictures import CODEWORDS, FRAMES, GROUPS, PlainTrace, survey, utterance
from PIL import Image

from unispeech_lab import UniSpeechConfig, UniSpeechForPreTraining, codebook, views
from unispeech_lab.analysis.codewords import CLASSES, PAUSE, Codewords, labelled
from unispeech_lab.views import codebooks, stage, still
from unispeech_lab.views.explorer import Explorer
from unispeech_lab.views.panel import Heatmap

LONG = (320_000, 160_000, 240_000)


def with_codes(codes: np.ndarray, logits: np.ndarray | None = None, of=None):
    """A survey in which both groups choose these codes (f,), surely if no logits (f, v) say otherwise."""
    of = of or survey()
    codes = np.repeat(codes[:, None], GROUPS, 1)
    logits = 20.0 * np.eye(CODEWORDS)[codes] if logits is None else np.repeat(logits[:, None], GROUPS, 1)
    return replace(of, values={"quantizer.codes": codes, "quantizer.logits": logits.astype(np.float32)})


def spelling(of=None):
    """A survey whose codes are its phones, numbered by the alphabet, the pause first."""
    of = of or survey()
    labels = labelled(of)
    names = [PAUSE, *sorted(set(labels) - {PAUSE})]
    return with_codes(np.array([names.index(label) for label in labels]), of=of), names


def shown(view, of, **knobs):
    view = views.load(view)
    defaults = {name: knob.default for name, knob in view.knobs(of, of.utterances[0]).items()}
    return view.panels(of, of.utterances[0], **defaults | knobs)


class TestUsage:
    def test_even_use_has_the_perplexity_of_all(self):
        count = len(survey().frames) // CODEWORDS * CODEWORDS
        even = np.arange(len(survey().frames)) % CODEWORDS
        even[count:] = even[:1]
        of = with_codes(even, np.zeros((len(even), CODEWORDS)))
        (panel,) = shown("usage", of)
        hard = np.exp(-sum(n / len(even) * np.log(n / len(even)) for n in np.bincount(even)))
        assert f"16 of 16 in use (none dead), perplexity {hard:.1f} hard, 16.0 soft" in panel.words
        assert panel.marks[1].y[0, ::3] == pytest.approx(100 / 16)

    def test_dead_codewords_are_named_and_signed(self):
        of = with_codes(np.arange(len(survey().frames)) % 4 * 2)  # 0 2 4 6
        (panel,) = shown("usage", of, order="by number")
        assert "4 of 16 in use (dead: 1, 3, 5, 7, 8, 9, 10, 11 …), perplexity 4.0 hard" in panel.words
        (bars, _) = panel.marks
        assert [bars.legend[kind] for kind in bars.kinds[[1, 15]]] == [("×", "unused")] * 2
        assert bars.heights[[0, 2, 4, 6]] == pytest.approx(25, abs=1) and bars.heights.sum() == pytest.approx(100)

    def test_orders_are_orders_of_the_same_codewords(self):
        of = survey()
        for order in ("by class", "clustered", "by use", "by number"):
            bars = shown("usage", of, order=order)[0].marks[0]
            assert sorted(each["codeword"] for each in bars.sets) == list(range(CODEWORDS))
            if order == "by use":
                assert (np.diff(bars.heights) <= 0).all()
            soft = codebook.softmax(of["quantizer.logits"][:, 0]).mean(0)
            places = [each["codeword"] for each in bars.sets]
            assert shown("usage", of, order=order)[0].marks[1].y[0, ::3] == pytest.approx(100 * soft[places])

    def test_a_language_counts_its_own_frames(self):
        of, names = spelling()
        (panel,) = shown("usage", of, language="it", codeword=names.index("s"), order="by number")
        heights = panel.marks[0].heights
        assert heights[names.index("s")] == pytest.approx(100 * 8 / 24) and heights[names.index("k")] == 0
        assert (
            f"Codeword {names.index('s')} of group 0: 8 frames, 100% of them /s/" in panel.words
            and panel.title.endswith("group 0, it")
        )

    def test_combinations_are_counted_beyond_those_shown(self):
        (panel,) = shown("usage", survey(), group="joint")
        codes = survey()["quantizer.codes"]
        occurring, counts = np.unique(codes, axis=0, return_counts=True)
        assert f"{len(occurring)} of 256 combinations occur" in panel.words
        assert f"the 16 most frequent, shown, have {np.sort(counts)[-16:].sum() / len(codes):.0%}" in panel.words


class TestCodesByPhone:
    def test_codes_that_are_phones(self):
        of, names = spelling()
        heat, listed = shown("codes_by_phone", of, codeword=names.index("ð"))
        assert "NMI (the V-measure) 1.00" in heat.words and "purity 100%" in heat.words
        cells = heat.marks[0].values
        used = np.isfinite(cells).all(0)
        assert used.sum() == len(names) and (np.sort(cells[:, used], axis=0)[-1] == 1).all()
        # by class, the diagonal falls: a codeword lies under its phone
        assert (np.diff(cells[:, used].argmax(0)) < 0).all()
        rows = {row[0]: row for row in listed.marks[0].rows}
        assert rows[names.index("ð")][2:] == ("ð", 100.0, "fricative") and rows[15][4] == "dead"
        assert listed.marks[0].chosen == names.index("ð")

    def test_codes_that_know_nothing(self):
        of = survey(samples=LONG)
        of = with_codes(np.random.default_rng(0).integers(0, CODEWORDS, len(of.frames)), of=of)
        found = Codewords.of(of).agreement
        assert found["nmi"] < 0.03 and found["nmi"] == pytest.approx(found["chance"], abs=0.01)

    def test_pauses_count_for_nothing(self):
        """All that codes of chance know here is which frames are pauses."""
        of = survey()
        pauses = labelled(of) == PAUSE
        codes = np.where(pauses, 0, np.random.default_rng(0).integers(1, CODEWORDS, len(of.frames)))
        found = Codewords.of(with_codes(codes, of=of)).agreement
        assert found["frames"] == (~pauses).sum() < len(pauses)
        assert found == pytest.approx(
            codebook.agreement(codes[~pauses], labelled(of)[~pauses])
            | {"chance": codebook.chance(codes[~pauses], labelled(of)[~pauses])}
        )

    def test_a_click_on_a_column_means_its_codeword(self):
        """Whatever the order: the browser is told which value of the knob each column is."""
        of = survey()
        for order in ("clustered", "by use"):
            heat = shown("codes_by_phone", of, order=order)[0]
            places = Codewords.of(of).arranged(order).tolist()
            assert stage.pack(heat)["marks"][0]["sets"] == [["codeword", list(map(str, places))], ""]
            assert heat.marks[0].columns == tuple(map(str, places)) and places != sorted(places)
        with pytest.raises(ValueError, match="a value of knob 'codeword' for each of 2, found 1"):
            Heatmap(np.eye(2), (0, 1), (0, 1), 0, 1, sets=(("codeword", (3,)), ""))

    def test_either_share_sums_to_one(self):
        by_code, by_phone = (
            shown("codes_by_phone", survey(), shares=shares)[0].marks[0].values
            for shares in ("P(phone | codeword)", "P(codeword | phone)")
        )
        assert np.nansum(by_code, 0) == pytest.approx(1) and by_phone.sum(1) == pytest.approx(1)

    def test_alike_codewords_are_neighbours(self):
        """Codes 0 and 9 share one half of the phones, 4 and 7 the other."""
        of = survey()
        halves = np.isin(labelled(of), ["ð", "ə", "k", "i"])
        codes = np.where(
            halves, np.array([0, 9])[np.arange(len(halves)) % 2], np.array([4, 7])[np.arange(len(halves)) % 2]
        )
        columns = [each for each in Codewords.of(with_codes(codes, of=of)).arranged("clustered")[:4].tolist()]
        assert {*columns[:2]} in ({0, 9}, {4, 7}) and {*columns} == {0, 4, 7, 9}

    def test_a_part_of_the_phones_leaves_pauses_out(self):
        of = survey()
        panel = shown("codes_by_phone", of, part="onset")[0]
        assert PAUSE not in panel.marks[0].rows and PAUSE in shown("codes_by_phone", of)[0].marks[0].rows
        assert f"of {(of.frames['part'] == 'onset').sum()} frames" in panel.words

    def test_without_phones_nobody_says_which(self):
        heat, listed = shown("codes_by_phone", survey(said=((), (), ())))
        assert heat.words.startswith("Nobody says which phones") and listed.marks[0].rows[0][2] == "?"

    def test_unknown_choices_are_answered_with_those_there_are(self):
        with pytest.raises(ValueError, match="group to be one of 0, 1, joint, found 2"):
            Codewords.of(survey(), 2)
        with pytest.raises(ValueError, match="language to be one of all, en, it, found 'fi'"):
            Codewords.of(survey(), language="fi")
        with pytest.raises(ValueError, match="part to be one of all, onset, middle, end, found 'start'"):
            Codewords.of(survey(), part="start")


class TestPiano:
    def test_a_key_plays_the_frames_that_chose_it(self):
        """Code 5 at three frames in the middle of the second utterance, twice at an edge; all else is code 0."""
        of = survey()
        codes, logits = np.zeros(len(of.frames), int), np.zeros((len(of.frames), CODEWORDS))
        second = int((of.frames["utterance"] == 0).sum())
        last = len(codes) - 1
        for places, sure in (([second + 10, second + 11, second + 12], 3.0), ([0], 5.0), ([last], 9.0), ([20], 8.0)):
            codes[places] = 5
            logits[places, 5] = sure
        (keyboard, _) = shown("piano", with_codes(codes, logits, of), order="by number", codeword=5)
        keys = keyboard.marks[0]
        end, middle, start, second_of_first = (keys.sounds[5][k] for k in (0, 2, 3, 1))
        edges = of.offsets[1] + FRAMES.edges(24)
        assert len(keys.sounds[5]) == 4 and keys.chosen == 5
        # the first utterance's surest is frame 20; its other comes when every utterance has had its turn
        assert middle == pytest.approx([edges[10], edges[13]])
        assert end[1] == pytest.approx(of.offsets[2] + of.utterances[2].seconds) and end[1] - end[0] == pytest.approx(
            0.06
        )
        assert second_of_first.mean() == pytest.approx(FRAMES.centre(20)) and np.ptp(second_of_first) == pytest.approx(
            0.06
        )
        assert start == pytest.approx([0, 0.06])
        assert "It plays 4 stretches" in keyboard.words

    def test_no_key_plays_more_than_it_should(self):
        of = survey(samples=LONG)
        sounds = Codewords.of(of).sounds(5)
        assert {len(each) for each in sounds} == {5}
        starts = np.append(of.offsets, of.offsets[-1] + of.utterances[-1].seconds)
        for each in sounds:
            assert (np.diff(each, axis=1) > 0.06 - 1e-9).all()
            inside = np.searchsorted(starts, each[:, 0] + 1e-6)
            assert (inside == np.searchsorted(starts, each[:, 1] - 1e-6)).all()

    def test_keys_are_named_coloured_and_as_tall_as_they_are_used(self):
        of, names = spelling()
        keyboard, where = shown("piano", of, order="by number", codeword=names.index("k"))
        keys = keyboard.marks[0]
        assert keys.labels[: len(names)] == tuple(names) and set(keys.labels[len(names) :]) == {""}
        kinds = [keys.legend[kind][1] for kind in keys.kinds]
        expected = {"–": "pause", "s": "fricative", "ð": "fricative", "k": "stop", "t": "stop", "m": "nasal"}
        assert [kinds[names.index(name)] for name in expected] == list(expected.values())
        assert kinds[names.index("æ")] == "vowel" and kinds[-1] == "unused"
        assert keys.heights.max() == 1 and keys.heights[len(names) :].max() == 0
        assert f"Codeword {names.index('k')} of group 0: 8 frames, 100% of them /k/" in keyboard.words
        assert where.marks[0].names[:2] == ("k", "") and where.marks[0].heights[0] == 100
        assert np.isnan(where.marks[0].heights[1:]).all() and "1 phone in all" in where.words

    def test_its_words_end_inside_the_still(self):
        panels = [replace(panel, words="word " * 100) for panel in shown("piano", survey())]
        figure = still.figure(panels)
        ends = [figure.transFigure.inverted().transform(text.get_window_extent())[1, 0] for text in figure.texts]
        assert max(ends) < 1

    def test_by_class_keys_of_one_class_are_neighbours(self):
        said = Codewords.of(survey()).said
        kinds = said["kind"].to_numpy()[Codewords.of(survey()).arranged("by class")]
        assert (np.diff(kinds) >= 0).all() and len(CLASSES) > kinds.max()

    def test_of_very_many_the_busy_have_keys_and_the_one_looked_at(self, monkeypatch):
        monkeypatch.setattr(views.piano, "KEYS", 4)
        of, names = spelling()
        keys = shown("piano", of, codeword=15)[0].marks[0]
        assert len(keys.names) == 4 and keys.names[keys.chosen] == "15: dead"
        assert all(" frames" in name for k, name in enumerate(keys.names) if k != keys.chosen)


def test_views_of_codewords_turn_together():
    of = survey()
    explorer = Explorer({}, of.utterances[0], ("usage", "codes_by_phone", "piano"), survey=of)
    assert {"group", "language", "order", "codeword", "part", "shares"} == set(explorer.knobs)
    explorer.turn(codeword=3, group="joint", order="by use")
    name = Codewords.of(of, "joint").names[3]
    for panel in ("usage", "codes_by_phone", "piano"):
        assert f"Codeword {name} of joint codes" in explorer[panel].words
    assert explorer["piano"].marks[0].chosen == 3


def test_no_colour_of_a_tall_still_is_lost():
    """A heat map has more colours than a palette; those of a legend are few pixels, and must stay theirs."""
    panels = [panel for view in ("usage", "codes_by_phone", "piano") for panel in shown(view, survey(samples=LONG))]
    small = np.asarray(Image.open(io.BytesIO(still.png(panels, dpi=60))).convert("RGB"), int)
    whole = io.BytesIO()
    still.figure(panels).savefig(whole, dpi=60)
    assert np.abs(small - np.asarray(Image.open(whole).convert("RGB"), int)).max() < 48


class TestEntropy:
    def test_even_logits_hesitate_between_all(self):
        codes = np.zeros((1, 49, GROUPS), int)
        seen = PlainTrace({"quantizer.codes": codes, "quantizer.logits": np.zeros((1, 49, GROUPS, CODEWORDS))})
        entropy, perplexity = views.load("entropy").panels(seen, utterance(), window=200)
        assert entropy.marks[0].y == pytest.approx(np.log(16)) and "between 16.0 in group 0, 16.0" in entropy.words
        assert perplexity.marks[0].y[0] == pytest.approx(2) and perplexity.marks[0].y[1] == pytest.approx(32)
        assert "Hard 2.0 (codes chosen), soft 32.0" in perplexity.words and "1500% more get" in perplexity.words

    def test_a_window_counts_the_codes_in_it(self):
        """A code held for two frames: five frames hold three of them, in each group; what is sure is not soft."""
        codes = np.repeat(np.arange(25) % CODEWORDS, 2)[None, :49, None].repeat(GROUPS, 2)
        seen = PlainTrace({"quantizer.codes": codes, "quantizer.logits": 40.0 * np.eye(CODEWORDS)[codes]})
        entropy, perplexity = views.load("entropy").panels(seen, utterance(), window=100)
        hard, soft = perplexity.marks[0].y
        expected = 2 * np.exp(-(2 * 0.4 * np.log(0.4) + 0.2 * np.log(0.2)))
        assert hard[10:-10] == pytest.approx(expected) and soft == pytest.approx(hard, rel=1e-4)
        assert entropy.marks[0].y == pytest.approx(0, abs=1e-4) and "nearly the same" in perplexity.words


def test_codes_are_as_bright_as_the_softmax_was_sure():
    codes = np.array([[[3], [3], [5]]])
    logits = np.log(np.full((1, 3, 1, 16), 0.1 / 15))
    logits[0, [0, 1, 2], 0, [3, 3, 5]] = np.log([0.9, 0.5, 0.25])
    for t, p in enumerate((0.9, 0.5, 0.25)):
        rest = np.arange(16) != codes[0, t, 0]
        logits[0, t, 0, rest] = np.log((1 - p) / 15)
    (panel,) = views.load("codes").panels(
        PlainTrace({"quantizer.codes": codes, "quantizer.logits": logits}), utterance(320 * 3 + 80)
    )
    assert panel.marks[0].shades == pytest.approx([0.7, 0.25]) and "gave the chosen ones 55%" in panel.words


class TestCodebooks:
    def panels(self, one, other, group=0, samples=160_000):
        seen = [PlainTrace({"quantizer.codes": codes[None]}) for codes in (one, other)]
        return codebooks.panels(seen[0], utterance(samples), group, seen[1])

    codes = np.random.default_rng(0).integers(0, CODEWORDS, (FRAMES.count(160_000), 2))

    @pytest.mark.parametrize("group", [0, 1, "joint"])
    def test_the_same_under_other_numbers_is_found_the_same(self, group):
        renamed = np.random.default_rng(1).permutation(CODEWORDS)[self.codes]
        track, confusion, differences = self.panels(self.codes, renamed, group)
        assert "in 100% of 499 frames" in track.words and "NMI 1.00" in confusion.words
        first, second = track.marks
        assert [span.label for span in first.spans] == [span.label for span in second.spans]
        assert (first.shades == 1).all() and (second.shades == 1).all()
        cells = confusion.marks[0].values
        assert (cells[::-1] == np.eye(len(cells))).all() and (differences.marks[0].heights == 0).all()

    def test_what_has_nothing_in_common(self):
        other = np.random.default_rng(2).integers(0, CODEWORDS, self.codes.shape)
        pair = codebooks.Pair(self.codes, other, 0)
        assert pair.same.mean() < 0.2  # an even guess is 1/16; the best renaming of 499 frames makes somewhat more
        of, others = (survey(seed, LONG) for seed in (0, 1))
        confusion, _ = codebooks.over(of, others)
        nmi, by_chance = (float(confusion.words.split(before)[1][:4]) for before in ("NMI ", "by chance "))
        assert nmi < 0.05 and abs(nmi - by_chance) <= 0.02

    def test_a_code_split_in_two_keeps_its_larger_half(self):
        one = np.repeat([0, 1], [60, 40])[:, None]
        other = np.concatenate([np.repeat([3, 5], [40, 20]), np.full(40, 4)])[:, None]
        track, confusion, differences = self.panels(one, other, samples=320 * 100 + 80)
        assert "in 80% of 100 frames" in track.words and "2 of 2 codes have a partner" in confusion.words
        assert [span.label for span in track.marks[1].spans] == ["0", "–", "1"]
        assert differences.marks[0].heights.tolist() == [-20, 0] and confusion.marks[0].rows == ("5", "4", "3")
        assert "code 0, -20.0%" in differences.words

    def test_codes_with_a_partner_come_first(self):
        one, other = np.repeat([0, 1, 2], [50, 30, 20])[:, None], np.repeat([7, 8], [80, 20])[:, None]
        pair = codebooks.Pair(one, other, 0)
        assert pair.columns.tolist() == [0, 2, 1] and pair.rows.tolist() == [7, 8]

    def test_refusals_say_what_is_there(self):
        with pytest.raises(ValueError, match=r"expected the other to have a group 1, found 1 group\(s\)"):
            self.panels(self.codes, self.codes[:, :1], 1)
        with pytest.raises(ValueError, match=r"the same frames, found \(499,\) and \(498,\) codes"):
            self.panels(self.codes, self.codes[1:])
        with pytest.raises(ValueError, match="two surveys of one corpus, found 3 and 2 utterances"):
            codebooks.over(survey(), survey(samples=(800, 800), said=((), ())))

    def test_two_models_are_heard(self):
        """The second has the first one's quantizer with its codewords in another order."""
        torch.manual_seed(0)
        one, other = (UniSpeechForPreTraining(UniSpeechConfig(**SIZES)).eval() for _ in range(2))
        other.load_state_dict(one.state_dict())
        logits, size = other.quantizer.weight_proj, other.quantizer.codewords
        turned = torch.cat([torch.randperm(size) + group * size for group in range(other.quantizer.groups)])
        with torch.no_grad():
            logits.weight.copy_(logits.weight[turned])
            logits.bias.copy_(logits.bias[turned])
        noise = utterance(16_000)
        explorer = Explorer(None, noise, ("codebooks",), model=one, other=other)
        assert "in 100% of 49 frames" in explorer["codebooks"].words
        assert explorer.turn(group="joint")["confusion"].title.endswith("joint codes")
