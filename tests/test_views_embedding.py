"""The map and the probes of a survey, on vectors that are their phones."""

import gc
from dataclasses import replace

import numpy as np
import pytest
from pictures import FRAMES, survey, utterance

from unispeech_lab import views
from unispeech_lab.analysis import samples
from unispeech_lab.survey import Survey
from unispeech_lab.views.panel import Lines, Points, Spans, Table

SAID = ("k", "æ", "t", "s", "i")
TURN = {"method": "PCA", "layer": "layer 0", "of": "phones", "colour": "phone", "chosen": ()}


def known() -> Survey:
    """Six utterances of three voices: the states of layer 0 are one-hot phones, those of layer 1 noise."""
    made = survey(samples=(16_000,) * 6, said=tuple(SAID[k:] + SAID[:k] for k in (0, 1, 2, 3, 4, 0)))
    heard = tuple(replace(u, speaker=f"v{k % 3}") for k, u in enumerate(made.utterances))
    frames = made.frames.assign(speaker=[f"v{k % 3}" for k in made.frames["utterance"]])
    names = [SAID.index(phone) for phone in frames["phone"]]
    noise = np.random.default_rng(0).standard_normal((len(names), 5)).astype(np.float32)
    values = {"unispeech.encoder.layers.0": np.eye(5, dtype=np.float32)[names], "unispeech.encoder.layers.1": noise}
    return Survey(heard, frames, values, FRAMES)


@pytest.fixture
def given():
    return known()


def shown(view, given, who=None, **turned):
    knobs = views.load(view).knobs(given, given.utterances[0])
    return views.load(view).panels(given, who or given.utterances[0], **{name: (TURN | turned)[name] for name in knobs})


class TestMap:
    def test_equal_vectors_are_one_place_and_their_colour_is_read(self, given):
        picture, table, _ = shown("embedding", given)
        (points,) = picture.marks
        assert isinstance(points, Points) and len(points.x) == 30
        places = {(round(float(x), 4), round(float(y), 4)) for x, y in zip(points.x, points.y, strict=True)}
        assert len(places) == 5 and len(points.legend) == 5
        assert dict(table.marks[0].rows)["linear probe"] == 1 and dict(table.marks[0].rows)["silhouette"] == 1
        assert "of unheard voices right in 100%; by the commonest 20%; silhouette 1.00" in table.words

    def test_noise_is_read_no_better_than_shuffled_labels(self, given):
        _, table, _ = shown("embedding", given, layer="layer 1")
        assert isinstance(table.marks[0], Table) and dict(table.marks[0].rows)["linear probe"] < 0.5

    def test_a_click_plays_that_phone(self, given):
        (points,) = shown("embedding", given)[0].marks
        assert points.album and points.names[7] == "s, v1, it"
        start, end = points.times[7]
        assert (start, end) == (pytest.approx(1.4), pytest.approx(1.6))  # the third of the second utterance

    def test_axes_say_how_much_they_hold(self, given):
        picture = shown("embedding", given)[0]
        assert picture.x.label == "PC 1 (25% of the variance)" and picture.paints == "chosen"

    def test_too_few_for_neighbourhoods_are_drawn_by_their_components(self):
        picture = shown("embedding", survey(), method="UMAP")[0]
        assert picture.title.startswith("PCA of layer 0") and picture.x.label.startswith("PC 1")
        assert picture.words.endswith("Fewer than 30 points: PCA instead of UMAP.")

    def test_the_chosen_are_counted_and_light_up_in_their_utterance(self, given):
        (points,) = shown("embedding", given)[0].marks
        chosen = tuple(k for k, name in enumerate(points.names) if name[0] in "kt" and "v0" in name)
        picture, _, here = shown("embedding", given, chosen=chosen)
        assert picture.words.startswith(
            "Chosen: 4 phones: 2 k, 2 t. k is 2.5 times as frequent as everywhere; 1 voices"
        )
        (tier,) = here.marks
        assert isinstance(tier, Spans) and [
            s.label for s, lit in zip(tier.spans, tier.shades, strict=True) if lit == 1
        ] == ["k", "t"]
        assert "5 of this utterance's phones are on the map, 2 of them chosen" in here.words

    def test_an_utterance_from_elsewhere_is_told_so(self, given):
        assert "not in the corpus" in shown("embedding", given, who=utterance())[2].words

    def test_frames_in_pauses_have_a_name(self):
        given = survey()
        picture = shown("embedding", given, of="frames")[0]
        assert any(name.startswith("pause, ") for name in picture.marks[0].names)
        assert len(picture.marks[0].x) == len(given.frames)

    def test_of_many_points_some_are_drawn_the_same_each_time(self, monkeypatch):
        monkeypatch.setattr(samples, "MOST", 20)
        drawn = [shown("embedding", known(), of="frames")[0].marks[0] for _ in range(2)]
        assert len(drawn[0].x) == 20 and drawn[0].names == drawn[1].names

    def test_a_corpus_without_phones_says_what_to_look_at(self):
        given = survey(said=((), (), ()))
        picture, table, here = shown("embedding", given)
        assert "no phones with times: look at frames" in picture.words and len(picture.marks[0].x) == 0
        assert "No probe of phone: it takes two unheard utterances; no silhouette" in table.words
        assert "0 of this utterance's phones" in here.words

    def test_a_survey_without_layers_says_what_to_survey(self):
        given = survey()
        bare = Survey(given.utterances, given.frames, {"quantizer.codes": given["quantizer.codes"]}, FRAMES)
        with pytest.raises(KeyError, match=r"'encoder.layers.\*' in the survey, found quantizer.codes"):
            views.embedding.knobs(bare, given.utterances[0])

    def test_what_is_kept_goes_with_its_survey(self):
        counted = []
        count = samples.kept(lambda survey, what: counted.append(what) or what)
        given = known()
        assert count(given, "a") == count(given, "a") == "a" and counted == ["a"]
        memory = count.__closure__[1].cell_contents
        assert len(memory) == 1
        del given
        gc.collect()
        assert not memory


class TestProbes:
    def test_the_layer_that_holds_the_phones_is_named(self, given):
        own, every = shown("probes", given)
        (lines,) = own.marks
        assert isinstance(lines, Lines) and lines.names == ("probe", "shuffled labels", "always the commonest")
        assert lines.y[0, 0] == 1 and lines.y[0, 1] < 0.5 and lines.y[2] == pytest.approx(0.2)
        assert "Phone (5 kinds) is read best off layer 0: 100%" in own.words and "20% for the commonest" in own.words
        assert "phone in layer 0 (1.00)" in every.words and own.share + every.share == 1

    def test_voices_are_not_in_the_phones(self, given):
        own, _ = shown("probes", given, colour="voice")
        assert own.marks[0].y[0, 0] < 0.5

    def test_one_utterance_is_none_to_learn_from(self):
        given = survey(samples=(16_000,), said=(("k", "æ"),))
        own, every = shown("probes", given)
        assert "not two groups of 2 points to learn phone from" in own.words
        assert "Nothing can be read off these phones" in every.words
