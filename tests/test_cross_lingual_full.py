"""The experiment at full size, as far as a laptop goes: its recipe, its parts, a dry run, two processes."""

import json
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import models
import pytest
import torch
import training
from common_voice_release import release
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent.parent))

from experiments.cross_lingual import costs, methods, mixing, plan, sizes  # noqa: E402
from experiments.cross_lingual import processes as several  # noqa: E402
from experiments.cross_lingual import run as running  # noqa: E402
from experiments.cross_lingual.__main__ import app  # noqa: E402
from experiments.cross_lingual.run import Experiment  # noqa: E402
from experiments.cross_lingual.sizes import full, full_large, gpu  # noqa: E402
from unispeech_lab.corpus import Corpus  # noqa: E402
from unispeech_lab.model import UniSpeechForPreTraining  # noqa: E402
from unispeech_lab.run import Run  # noqa: E402
from unispeech_lab.settings import FineTuneSettings, Settings  # noqa: E402
from unispeech_lab.vocabulary import transcripts  # noqa: E402

SMALL = {name: value for name, value in models.SIZES.items() if not name.startswith(("num_ctc", "vocab", "mask"))}
SMALL |= {"hidden_size": 64, "num_hidden_layers": 1}


def small(**changes):
    """The recipe in another width and depth, and nothing else."""
    return full.base(**{**SMALL, **changes})


def cell(method="unispeech", target="es", setting="one-to-one", size=full.SIZE):
    (found,) = plan.cells(replace(size, targets=tuple(target.split())), [setting], methods.load([method]), [0])
    return found


class TestRecipe:
    """Against the authors' scripts, microsoft/UniSpeech (their figures are of the large model)."""

    def test_speech_of_an_update_is_theirs_on_any_number_of_cards(self):
        for stage, minutes in ((full.SIZE.stage1, 80), (full.SIZE.stage2, 16.67), (full.SIZE.stage3, 4.17)):
            for cards in range(1, 17):
                for at_once in (None, 300, 62.5, 40, 30):
                    shared = several.shared_out(stage, cards, at_once)
                    assert shared.batch_seconds * shared.micro_batches / 60 == pytest.approx(minutes, rel=1e-3)
                    assert shared.micro_batches % cards == 0
                    assert shared.batch_seconds <= (at_once or stage.batch_seconds) + 1e-9
        assert several.shared_out(full.SIZE.stage1, 8) is full.SIZE.stage1  # a run goes on on other cards

    def test_more_cards_than_utterances_are_refused(self):
        with pytest.raises(ValueError, match=r"at least the 15.625 s .* found 250 s a step in 64 of 3.9 s"):
            several.shared_out(full.SIZE.stage3, 64)

    def test_learning_rates(self):
        one, two, three = full.SIZE.stage1, full.SIZE.stage2, full.SIZE.stage3
        assert one.rate(24_999) == pytest.approx(1e-3, rel=1e-3) and one.rate(112_500) == pytest.approx(5e-4)
        assert one.rate(199_999) == pytest.approx(0, abs=1e-8)
        assert two.rate(9_999) == pytest.approx(2e-4, rel=1e-3) and two.rate(55_000) == pytest.approx(1e-4)
        assert three.rate(1_999) == pytest.approx(2e-5, rel=1e-3) == three.rate(9_999)
        assert three.rate(15_000) == pytest.approx(2e-5 * 0.05**0.5) and three.rate(19_999) < 1.01e-6
        assert three.head_only * three.steps == 2_000

    def test_temperature(self):
        assert full.SIZE.stage1.heat(25_000) == pytest.approx(1.765, abs=1e-3)
        assert full.SIZE.stage1.heat(200_000) == pytest.approx(0.735757, abs=1e-5)

    def test_parameters(self):
        with torch.device("meta"):
            counts = [
                sum(p.numel() for p in UniSpeechForPreTraining(config).parameters())
                for config in (full.base(num_ctc_classes=80), full_large.large(num_ctc_classes=80), gpu.SIZE.config())
            ]
        assert counts == [95_106_640, 317_472_848, 95_106_640]

    def test_every_method_is_begun_with_the_authors_draws(self, monkeypatch, tmp_path):
        seen = {}

        def watch(model, corpus, out, settings, **how):
            seen.update(model=model, settings=settings, corpus=corpus)
            return Run(out, {})

        monkeypatch.setattr(running, "train", watch)
        size = replace(full.SIZE, config=small, speech=lambda *asked: training.speech())
        for method in ("unispeech", "wav2vec2", "supervised", "phone_aware_negatives"):
            assert Experiment(size, tmp_path, tmp_path).first(cell(method)) is None  # nothing was learned
            objective, config = seen["model"].objective, seen["model"].config
            assert objective.negatives_from == "everywhere" and objective.quantizer_draws == "separate"
            assert objective.alpha == {"wav2vec2": 0.0, "supervised": 1.0}.get(method, 0.5)
            assert config.mask_rule == "authors" and config.mask_time_prob == 0.5 and config.layerdrop == 0
            assert seen["settings"].feature_gradient == 1.0

    def test_no_target_is_among_the_sources(self):
        targets = {
            setting: {found.target for found in plan.cells(full.SIZE, [setting], methods.load(["unispeech"]))}
            for setting in plan.SETTINGS
        }
        assert targets["one-to-one"] == set(full.SIZE.targets)
        assert targets["many-to-one"] == {"ky", "nl", "ru", "sv", "tt"}
        assert targets["many-to-many-shared"] == {"ky+nl+ru+sv+tt"}


class TestMixing:
    def test_languages_are_heard_as_the_authors_mix_them(self):
        hours = {"en": 1350, "es": 168, "fr": 353, "it": 90}
        made = [corpus_of(language, number, 3600.0) for language, number in hours.items()]
        heard = [len(corpus) for corpus in mixing.balanced(made, 0.5)]
        assert sum(heard) == pytest.approx(sum(hours.values()), abs=2)
        assert [number / sum(heard) for number in heard] == pytest.approx([0.471, 0.166, 0.241, 0.122], abs=1e-3)
        assert heard[1] / hours["es"] == pytest.approx(1.94, abs=0.01)

    def test_repeats_all_before_any_a_third_time_and_keeps_ids_apart(self):
        one = mixing.repeated(corpus_of("it", 10, 1.0), 2.5, seed=0)
        assert len(one) == 25 and one.table["id"].is_unique
        assert one.table["path"].value_counts().tolist() == [3] * 5 + [2] * 5
        assert list(mixing.repeated(corpus_of("it", 10, 1.0), 0.3, 0).table["id"]) == list(
            mixing.repeated(corpus_of("it", 10, 1.0), 0.3, 0).table["id"]
        )

    def test_one_power_leaves_everything(self):
        made = [corpus_of("en", 3, 1.0), corpus_of("it", 1, 1.0)]
        assert mixing.balanced(made, 1.0) == made


def corpus_of(language: str, number: int, seconds: float) -> Corpus:
    import pandas as pd

    rows = {"id": [f"{language}{k}" for k in range(number)], "path": [f"{k}.flac" for k in range(number)]}
    return Corpus(pd.DataFrame(rows).assign(seconds=seconds, language=language))


@pytest.fixture(scope="module")
def common_voice(tmp_path_factory):
    """Two made-up languages, prepared."""
    pytest.importorskip("espeakng_loader", reason="the optional extra [speech]")
    from unispeech_lab.corpora._common_voice import prepare

    root = tmp_path_factory.mktemp("cv")
    for language in ("en", "es"):
        release(root / "release", language, 9, 9)
    for language in ("en", "es"):
        prepare(root / "release", root / "out", language, minutes={"labelled": 0.1, "valid": 0.05, "test": 0.05})
    return root / "out"


class TestSpeech:
    def test_parts(self, common_voice):
        found = {part: full.speech(common_voice, part, "es") for part in sizes.PARTS}
        assert len(found["source"]) == len(found["unlabelled"]) > len(found["labelled"]) > 0
        assert not any(transcripts(found["unlabelled"])) and all(transcripts(found["source"]))
        tested = {*found["valid"].table["speaker"], *found["test"].table["speaker"]}
        assert tested and not tested & set(found["source"].table["speaker"])
        assert found["source"][0].seconds == pytest.approx(found["source"].table["seconds"][0], abs=1e-3)

    def test_what_is_not_prepared_is_told_with_the_command(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="corpus common-voice RELEASE -o .* --language sv"):
            full.speech(tmp_path, "test", "sv")


@pytest.mark.slow
def test_a_dry_run_of_all_three_stages(common_voice, tmp_path, monkeypatch):
    short = {f"stage{k}": replace(getattr(full.SIZE, f"stage{k}"), workers=0) for k in (1, 2, 3)}
    monkeypatch.setattr(full, "SIZE", replace(full.SIZE, config=small, **short))
    asked = ["full", tmp_path / "out", "--speech", common_voice, "--steps", 2, "--target", "es", "--threads", 1]
    told = CliRunner().invoke(app, [*map(str, asked), "--method", "unispeech+", "--at-once", "300"])
    assert told.exit_code == 0, told.output
    found = cell("unispeech+")
    for stage, folder in enumerate((found.stage1(full.SIZE), found.stage2(full.SIZE), found.stage3), 1):
        run, asked = Run(tmp_path / "out" / folder), several.shared_out(getattr(full.SIZE, f"stage{stage}"), 1, 300)
        assert [run.settings[name] for name in ("steps", "micro_batches")] == [2, asked.micro_batches]
        assert run.finished and run.settings["batch_seconds"] == asked.batch_seconds
    config = json.loads((tmp_path / "out" / found.stage2(full.SIZE) / "model" / "config.json").read_text())
    assert config["mask_time_prob"] == 0.65 and config["layerdrop"] == 0.05 and config["alpha"] == 0
    row = json.loads((tmp_path / "out" / found.stage3 / "result.json").read_text())
    assert row["per"] > 0 and (tmp_path / "out" / "one-to-one.md").is_file()


class TestCosts:
    """The formulas against what torch counts and autograd keeps, of models whose layers are most of the work."""

    SIZES = {"hidden_size": 128, "num_attention_heads": 4, "intermediate_size": 512, "num_hidden_layers": 10}
    SIZES |= {"conv_dim": (24,) * 7, "num_conv_pos_embedding_groups": 8, "attention_dropout": 0.0}
    LARGE = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
    SECONDS = 5.0

    def step(self, config):
        """A forward pass of stage 1 on two utterances."""
        torch.manual_seed(0)
        model = UniSpeechForPreTraining(config).train()
        model.objective = replace(model.objective, **full.SIZE.rules[0])
        heard = torch.randn(2, int(self.SECONDS * 16_000))
        labels = torch.randint(0, 10, (2, 40))
        return lambda: model(input_values=heard, attention_mask=torch.ones_like(heard).long(), labels=labels), model

    @pytest.mark.parametrize("layout", [{}, LARGE], ids=["base", "large"])
    def test_operations(self, layout):
        from torch.utils.flop_counter import FlopCounterMode

        config = full.base(**self.SIZES, **layout)
        forward, _ = self.step(config)
        with FlopCounterMode(display=False) as there:
            output = forward()
        with FlopCounterMode(display=False) as back:
            output.loss.backward()
        counted = (there.get_total_flops() + back.get_total_flops()) / (2 * self.SECONDS)
        assert costs.operations(config, utterance=self.SECONDS) == pytest.approx(counted, rel=0.15)

    @pytest.mark.parametrize("layout", [{}, LARGE], ids=["base", "large"])
    @pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
    def test_bytes_kept(self, layout, half):
        config = full.base(**self.SIZES, **layout)
        forward, model = self.step(config)
        weights, seen = {p.untyped_storage().data_ptr() for p in model.parameters()}, {}

        def keep(x):
            store = x.untyped_storage()
            if store.data_ptr() not in weights:
                seen[store.data_ptr()] = store.nbytes()
            return x

        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x),
            torch.autocast("cpu", torch.bfloat16, enabled=half),
        ):
            output = forward()
        assert output.loss.isfinite()
        assert costs.kept(config, half) == pytest.approx(sum(seen.values()) / (2 * self.SECONDS), rel=0.1)

    def test_memory_is_weights_and_speech(self):
        config = full.base()
        assert costs.memory(config, 0) == 18 * 95_106_640
        assert costs.memory(config, 75) - costs.memory(config, 0) == pytest.approx(75 * costs.kept(config))
        assert costs.kept(config, frozen=True) < costs.kept(config) < costs.kept(config, half=False)
        assert all(stage.memory < 0.6 * 24e9 for stage in costs.stages(gpu.SIZE)), "fits one card of 24 GB"

    def test_the_papers_days_give_the_assumed_speed(self):
        heard, spent = 400_000 * 1.6 * 3600, 64 * 1.6 * 86_400
        assert heard / spent * costs.operations(full.base(), utterance=13.0) == pytest.approx(
            costs.CARDS["V100"], rel=0.1
        )

    def test_the_readme_shows_this_table(self):
        readme = (Path(costs.__file__).parent / "README.md").read_text(encoding="utf-8")
        assert costs.table() in readme


TWO = sizes.Size(
    config=lambda **changes: models.config("large", **changes),
    stage1=Settings(steps=2, micro_batches=2, batch_seconds=8.0, log_every=1),
    stage2=Settings(steps=1, micro_batches=2, batch_seconds=8.0, log_every=1),
    stage3=FineTuneSettings(steps=1, micro_batches=2, batch_seconds=8.0, log_every=1),
    sources=("en",),
    targets=("es",),
    seeds=(0,),
    speech=lambda folder, part, language: training.bundle().where(language=language)[slices(part)],
    begin={"mask_time_length": 3},
)


def slices(part: str) -> slice:
    return {"test": slice(5, 7), "valid": slice(4, 5)}.get(part, slice(0, 4))


def one_of(rank: int, number: int, port: int, out: Path) -> None:
    """One process of several, as ``accelerate launch`` starts them."""
    torch.set_num_threads(1)
    about = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": number, "LOCAL_WORLD_SIZE": number}
    about |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(x) for name, x in about.items()}
    row = Experiment(TWO, out, out / "runs", progress=False).cell(cell("unispeech+", size=TWO))
    assert several.agreed(rank == 1) and not several.agreed(False)
    (out / f"row{rank}.json").write_text(json.dumps(row))
    several.state().destroy_process_group()


@pytest.mark.slow
def test_two_processes_come_to_one_row_which_is_written_once(processes, tmp_path):
    (tmp_path / "2").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [processes.Process(target=one_of, args=(rank, 2, port, tmp_path / "2")) for rank in range(2)]
    for process in started:
        process.start()
    Experiment(TWO, tmp_path, tmp_path / "1" / "runs", progress=False).cell(cell("unispeech+", size=TWO))
    for process in started:
        process.join(300)
    codes = [process.exitcode for process in started]
    for process in started:
        process.kill()
    assert codes == [0, 0]
    (written,) = (tmp_path / "2").rglob("result.json")
    rows = [json.loads(file.read_text()) for file in (*sorted((tmp_path / "2").glob("row*.json")), written)]
    assert len(rows) == 3 and rows[0] == rows[1] == rows[2]
    for stage in (1, 2, 3):
        files = [next((tmp_path / name / "runs" / f"stage{stage}").rglob("metrics.jsonl")) for name in "12"]
        one, two = (Run(file.parent).table["loss"].dropna().tolist() for file in files)
        assert one == pytest.approx(two, rel=2e-4)
