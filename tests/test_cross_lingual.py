"""The paper's experiment: its plan, one cell of each kind on a handful of sentences, its arithmetic on made numbers."""

import json
import sys
from pathlib import Path

import models
import numpy as np
import pytest
import torch
from training import bundle

sys.path.insert(0, str(Path(__file__).parent.parent))

from experiments.cross_lingual import methods, plan, sizes  # noqa: E402
from experiments.cross_lingual.judging import judge, missed  # noqa: E402
from experiments.cross_lingual.mixing import together  # noqa: E402
from experiments.cross_lingual.run import Experiment, learned, tagged  # noqa: E402
from unispeech_lab import finetune  # noqa: E402
from unispeech_lab.checkpoints import load  # noqa: E402
from unispeech_lab.run import Run  # noqa: E402
from unispeech_lab.settings import FineTuneSettings, Settings  # noqa: E402
from unispeech_lab.vocabulary import transcripts  # noqa: E402

PARTS = {"source": slice(0, 5), "labelled": slice(0, 4), "unlabelled": slice(4, 7), "valid": slice(7, 9)}
SHORT = {"batch_seconds": 5.0, "log_every": 1, "validate_every": 10, "save_every": 10}


def speech(folder, part, language):
    return bundle().where(language=language)[PARTS.get(part, slice(9, 12))]


def config(**changes):
    return models.config("large", **changes)


SMALL = sizes.Size(
    config=config,
    stage1=Settings(steps=2, **SHORT),
    stage2=Settings(steps=1, **SHORT),
    stage3=FineTuneSettings(steps=2, **SHORT),
    sources=("en", "it"),
    targets=("es", "sv"),
    seeds=(0, 1),
    speech=speech,
    begin={"mask_time_length": 3},
)


@pytest.fixture
def experiment(tmp_path):
    return Experiment(SMALL, tmp_path, tmp_path / "out", progress=False)


class TestPlan:
    def test_every_cell_once_a_seed_before_the_next(self):
        found = plan.cells(SMALL, ["one-to-one"], methods.load([]))
        assert len(found) == len({cell.stage3 for cell in found}) == 2 * 2 * len(methods.TABLE)
        assert [cell.seed for cell in found] == sorted(cell.seed for cell in found)

    def test_targets_share_what_was_learned_of_the_sources(self):
        es, sv = plan.cells(SMALL, ["one-to-one"], methods.load(["unispeech"]), [0])
        assert es.stage1(SMALL) == sv.stage1(SMALL) and es.stage3 != sv.stage3

    def test_a_plus_goes_on_from_the_method_without(self):
        (plain, *_), (plus, *_) = (
            plan.cells(SMALL, ["one-to-one"], methods.load([name]), [0]) for name in ("wav2vec2", "wav2vec2+")
        )
        assert plus.stage1(SMALL) == plain.stage1(SMALL)
        assert plain.stage2(SMALL) is None and plus.stage2(SMALL) is not None

    def test_settings_decide_sources_and_targets(self):
        one, many, both = (
            plan.cells(SMALL, [name], methods.load(["unispeech"]), [0])[0]
            for name in ("one-to-one", "many-to-one", "many-to-many-separate")
        )
        assert one.sources(SMALL) == ("en",) and many.sources(SMALL) == ("en", "it")
        assert both.targets == ("es", "sv") and both.separate and not many.separate

    def test_what_does_not_exist_is_answered_with_what_does(self):
        with pytest.raises(KeyError, match="many-to-one.*found few-to-one"):
            plan.cells(SMALL, ["few-to-one"], [])
        with pytest.raises(KeyError, match="unispeech_r0.*found bert"):
            methods.load(["bert"])
        with pytest.raises(KeyError, match="laptop.*found 'phone'"):
            sizes.load("phone")


class TestMethods:
    def test_the_table_is_the_papers(self):
        assert {method.paper for method in methods.TABLE if method.paper} == set(methods.PAPER)

    def test_each_is_a_variant_with_settings_that_a_config_has(self):
        for method in methods.METHODS.values():
            if method.variant:
                from unispeech_lab import variants

                assert variants.load(method.variant).config(config(**method.changes))


class TestCells:
    def test_runs_all_three_stages_and_is_not_run_twice(self, experiment, monkeypatch):
        (cell, *_) = plan.cells(SMALL, ["one-to-one"], methods.load(["unispeech+"]), [0])
        row = experiment.cell(cell)
        assert row["target"] == "es" and row["per"] > 0 and row["phones"]["es"] > 50
        for folder in (cell.stage1(SMALL), cell.stage2(SMALL), cell.stage3):
            assert Run(experiment.out / folder).finished
        monkeypatch.setattr(experiment, "first", lambda cell: pytest.fail("ran again"))
        assert experiment.cell(cell) == row

    @pytest.mark.parametrize(("name", "steps"), [("unispeech_after_supervised", 2), ("unispeech_further", 1)])
    def test_a_method_after_another_goes_on_from_its_weights(self, experiment, monkeypatch, name, steps):
        (cell,) = plan.cells(SMALL, ["one-to-one"], methods.load([name]), [0])[:1]
        begun, pretrain = {}, experiment.pretrain

        def heard(model, variant, corpus, folder, *rest):
            begun[folder] = {name: weight.clone() for name, weight in model.state_dict().items()}
            assert model.config.alpha == (1.0 if variant.name == "supervised" else 0.5)
            return pretrain(model, variant, corpus, folder, *rest)

        monkeypatch.setattr(experiment, "pretrain", heard)
        assert experiment.first(cell)
        before = Run(experiment.out / cell.stage1(SMALL).parent.parent / "supervised" / "0")
        learned = load(before.folder / "model").state_dict()
        assert all(torch.equal(weight, learned[name]) for name, weight in begun[cell.stage1(SMALL)].items())
        assert (before.settings["steps"], Run(experiment.out / cell.stage1(SMALL)).settings["steps"]) == (2, steps)

    def test_a_variant_with_an_architecture_of_its_own_is_fine_tuned_too(self, experiment):
        (cell, *_) = plan.cells(SMALL, ["one-to-one"], methods.load(["finite_scalar"]), [0])
        assert experiment.cell(cell)["per"] > 0
        body = load(experiment.out / cell.stage3 / "model").unispeech.state_dict()
        before = learned(cell, experiment.out / cell.stage1(SMALL) / "model").unispeech.state_dict()
        same = [
            name for name in before if name.startswith("feature_extractor") and torch.equal(body[name], before[name])
        ]
        assert len(same) == sum(name.startswith("feature_extractor") for name in before)  # what stage 3 does not teach

    def test_begins_from_nothing_where_there_is_no_variant(self, experiment):
        (cell, *_) = plan.cells(SMALL, ["one-to-one"], methods.load(["scratch"]), [0])
        assert experiment.cell(cell)["method"] == "scratch" and not (experiment.out / "stage1").exists()

    def test_separate_vocabularies_have_classes_for_each_language(self, experiment):
        (cell,) = plan.cells(SMALL, ["many-to-many-separate"], methods.load(["supervised"]), [0])
        row = experiment.cell(cell)
        assert set(row["each"]) == {"es", "sv"}
        assert row["per"] == pytest.approx(np.mean(list(row["each"].values())))
        assert 0 < row["known"] <= 1 and 0 < row["new"] <= 1
        names = json.loads((experiment.out / cell.stage3 / "model" / "vocab.json").read_text(encoding="utf-8"))
        assert any(name.startswith("(es)") for name in names) and any(name.startswith("(sv)") for name in names)

    def test_stops_when_it_is_told_to_and_goes_on(self, tmp_path):
        asked = []
        stopping = Experiment(SMALL, tmp_path, tmp_path / "out", until=lambda: asked.append(1) or True, progress=False)
        (cell, *_) = plan.cells(SMALL, ["one-to-one"], methods.load(["supervised"]), [0])
        assert stopping.cell(cell) is None and asked
        assert Experiment(SMALL, tmp_path, tmp_path / "out", progress=False).cell(cell)["per"] > 0


class TestJudging:
    def test_a_phone_is_missed_where_another_is_heard_or_none(self):
        said, heard = [["a", "b", "a"], ["y", "y"]], [["a", "c", "a", "a"], ["y"]]
        assert missed(said, heard, ["a", "b"]) == pytest.approx({"known": 1 / 3, "new": 1 / 2})
        tags = [[f"(es){phone}" for phone in row] for row in said], [[f"(es){phone}" for phone in row] for row in heard]
        assert missed(*tags, ["a", "b"]) == missed(said, heard, ["a", "b"])

    def test_no_phone_of_a_kind_is_no_share_of_it(self):
        assert np.isnan(missed([["a"]], [["b"]], ["a"])["new"])

    def test_rates_are_those_of_an_evaluation(self):
        model, test = finetune.begin("tiny", bundle(), seed=1), bundle().where(language="sv")
        found = judge(model, test, FineTuneSettings(), [])
        assert found["per"] == pytest.approx(finetune.evaluate(model, test, FineTuneSettings())["per"])
        assert np.isnan(found["known"]) and 0 < found["new"] <= 1


class TestSpeech:
    def test_languages_together_keep_their_sound(self):
        parts = [speech(None, "source", language) for language in ("en", "sv")]
        joined = together(parts, "both")
        assert len(joined) == 10 and np.array_equal(joined[7].waveform, parts[1][2].waveform)
        assert transcripts(joined) == [said for part in parts for said in transcripts(part)]

    def test_tags_name_the_language(self):
        corpus = speech(None, "valid", "sv")
        for said, plain in zip(transcripts(tagged(corpus)), transcripts(corpus), strict=True):
            assert said == [f"(sv){phone}" for phone in plain]

    def test_no_speaker_of_the_test_is_heard_before(self):
        from experiments.cross_lingual.synthetic import VOICES

        voices = {part: set(named.split()) for part, named in VOICES.items()}
        for held in ("valid", "test"):
            others = set().union(*(names for part, names in voices.items() if part != held))
            assert voices[held] and not voices[held] & others
