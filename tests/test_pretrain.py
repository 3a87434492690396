"""Pretraining: what a run learns, keeps and says; what it refuses; where it goes on."""

import json
import resource
import shutil
import signal
import threading
import time
import warnings

import numpy as np
import pytest
import torch
from accelerate.tracking import GeneralTracker
from models import STILL, Bomb
from safetensors.torch import save_file
from training import SETTINGS, assert_same_weights, metrics, run, small, speech, vocabulary, weights

import unispeech_lab
from unispeech_lab import Utterance, health, pretrain, saving
from unispeech_lab.corpus import Corpus
from unispeech_lab.preparation import at_prior, fading, optimizer
from unispeech_lab.run import Run
from unispeech_lab.settings import Settings
from unispeech_lab.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole")
    run(out, given={"valid": speech(number=2)})
    return out


class TestWhatItMakes:
    def test_the_model_can_be_loaded_and_says_where_it_comes_from(self, whole):
        model = unispeech_lab.load(whole / "model")
        assert "6 steps" in model.config.provenance and "8 utterances" in model.config.provenance
        assert not model.training
        for name, weight in weights(whole).items():
            assert torch.equal(weight, model.state_dict()[name]), name

    def test_the_vocabulary_lies_beside_it(self, whole):
        assert vocabulary().load(whole / "model") == vocabulary()

    def test_the_metrics_have_a_line_a_step_and_its_validation(self, whole):
        found = Run(whole)
        assert list(found.table.index) == [1, 2, 3, 4, 5, 6] and found.step == 6 and found.finished
        said = {"loss", "ctc", "contrastive", "diversity", "accuracy", "perplexity", "code_perplexity", "blank"}
        said |= {"equal_negatives", "temperature", "lr", "grad_norm", "replace", "sample_size", "audio"}
        said |= {"frames_per_second", "elapsed", "valid_loss", "valid_per", "valid_accuracy", "valid_perplexity"}
        assert said <= set(found.table)
        assert list(found.table["valid_per"].dropna().index) == [3, 6]
        lines = [json.loads(line) for line in (whole / "metrics.jsonl").read_text().splitlines()]
        assert all(line["loss"] > 0 for line in lines if "loss" in line) and not found.events

    def test_it_learns(self, tmp_path):
        table = run(tmp_path, steps=40, augment=False, learning_rate=5e-3, log_every=1, save_every=40).table
        assert table["ctc"][-8:].mean() < 0.6 * table["ctc"][:4].mean()
        assert table["lr"].max() == pytest.approx(5e-3, rel=0.1) and table["lr"].iloc[-1] < 2e-4

    def test_the_loss_is_the_objectives_and_the_gradient_a_mean_over_predicted_frames(self, tmp_path):
        """Two micro-batches of a step, by hand."""
        model, seen = small(feat_quantizer_dropout=0.0), []
        settings = Settings(**{**SETTINGS, "steps": 1, "micro_batches": 2, "clip": 1e9, "augment": False})
        loop = pretrain.Loop(
            model, speech(), tmp_path, settings, vocabulary(), None, None, seen.append, False,
            pretrain.accelerate(settings, tmp_path),
        )  # fmt: skip
        batches = [loop.batches[0], loop.batches[1]]
        with torch.random.fork_rng():
            expected, frames = 0.0, 0
            for m, batch in enumerate(batches):
                torch.manual_seed(pretrain.seed_of(0, "step", 0, m))
                model.set_gumbel_temperature(2.0)
                output = model(**{name: x for name, x in batch.items() if isinstance(x, torch.Tensor)})
                expected, frames = expected + output.loss * output.sample_size, frames + output.sample_size
            (expected / frames).backward()
        gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        model.zero_grad()
        norm = torch.stack([g.norm() for g in gradients]).norm()
        loop.go()
        assert seen[0]["loss"] == pytest.approx((expected / frames).item(), rel=1e-5)
        assert seen[0]["grad_norm"] == pytest.approx(float(norm), rel=1e-4)
        assert seen[0]["sample_size"] == frames.item()

    def test_each_step_draws_anew(self, tmp_path):
        same = {"learning_rate": 0.0, "temperature": (2.0, 2.0, 1.0), "augment": False, "batch_seconds": 30.0}
        table = run(tmp_path, corpus=speech(number=1), steps=4, **same).table  # one utterance, weights that stay
        assert table["audio"].diff().round(1).nunique() == 1 and table["loss"].nunique() == 4

    def test_without_vocabulary_nothing_is_labelled(self, tmp_path):
        found = run(tmp_path, words=False, steps=3, given={"valid": speech(number=2)}).table
        assert "ctc" not in found and "valid_per" not in found
        assert np.isfinite(found["contrastive"]).all() and np.isfinite(found["valid_loss"]).any()

    def test_no_gradient_for_the_convolutions_leaves_them_as_they_are(self, tmp_path):
        before = small().state_dict()
        run(tmp_path, steps=2, feature_gradient=0.0)
        after = weights(tmp_path)
        still = [name for name in before if name.startswith("unispeech.feature_extractor")]
        assert still and all(torch.equal(before[name], after[name]) for name in still)
        assert not torch.equal(before["ctc_proj.weight"], after["ctc_proj.weight"])

    def test_half_a_gradient_for_the_convolutions_is_half_of_it(self):
        x, said = torch.randn(1, 4000), []
        for share in (1.0, 0.5):
            model = small()
            with fading(model, share):
                model.unispeech.feature_extractor(x).square().sum().backward()
            said.append(model.unispeech.feature_extractor.conv_layers[0].conv.weight.grad)
        assert torch.allclose(said[1], 0.5 * said[0])
        assert not model.unispeech.feature_extractor._forward_hooks

    @pytest.mark.parametrize("layerdrop", [1.0])
    def test_layers_that_are_skipped_have_no_gradient_and_stop_nothing(self, tmp_path, layerdrop):
        model = small(layerdrop=layerdrop)
        before = model.unispeech.encoder.layers[0].attention.q_proj.weight.clone()
        found = run(tmp_path, model, steps=2, weight_decay=0.0)
        assert found.finished and torch.equal(before, model.unispeech.encoder.layers[0].attention.q_proj.weight)

    def test_the_variant_is_called_around_each_step(self, tmp_path):
        class Told:
            name, heard = "told", []

            def before(self, model, step, steps):
                self.heard.append(("before", step, steps))

            def after(self, model, step, steps):
                self.heard.append(("after", step, steps))

        run(tmp_path, steps=2, given={"variant": Told()})
        assert Told.heard == [("before", 0, 2), ("after", 0, 2), ("before", 1, 2), ("after", 1, 2)]
        assert Run(tmp_path).settings["variant"] == "told"

    def test_half_precision_learns_too(self, tmp_path):
        settings = {"steps": 30, "augment": False, "learning_rate": 5e-3, "save_every": 30}
        table = run(tmp_path, mixed_precision="bf16", **settings).table
        assert table["ctc"][-6:].mean() < 0.7 * table["ctc"][:4].mean()
        assert all(weight.dtype == torch.float32 for weight in weights(tmp_path).values() if weight.is_floating_point())
        run(tmp_path / "whole", steps=1)  # and the next run in this process is not rounded
        assert Run(tmp_path / "whole").settings["mixed_precision"] == "no"

    @pytest.mark.slow
    def test_compiled_it_does_the_same(self, tmp_path, monkeypatch):
        """Traced and differentiated ahead of time; without the C++ compiler, which not every machine has."""
        traced, real = [], torch.compile
        monkeypatch.setattr(torch, "compile", lambda f: traced.append(f) or real(f, backend="aot_eager"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run(tmp_path / "compiled", small(**STILL), steps=2, compile=True, given={"until": lambda: True})
            run(tmp_path / "compiled", small(seed=3, **STILL), steps=2, compile=True)  # goes on where it was stopped
        run(tmp_path / "plain", small(**STILL), steps=2)  # without dropout, whose draws the compiler orders anew
        assert weights(tmp_path / "compiled").keys() == weights(tmp_path / "plain").keys()
        assert traced, "no layer was compiled"
        compiled, plain = (Run(tmp_path / name).table["loss"] for name in ("compiled", "plain"))
        assert np.allclose(compiled, plain, rtol=1e-3)


class TestGoingOn:
    def test_stopped_after_any_step_it_goes_on_to_the_same(self, whole, tmp_path):
        for last in (1, 3, 4):
            out = tmp_path / str(last)

            def watch(row, last=last):
                if row["step"] == last:
                    raise pretrain.Stop

            run(out, watch=watch, given={"valid": speech(number=2)})
            assert Run(out).step == last and not Run(out).finished
            run(out, small(seed=5), given={"valid": speech(number=2)})  # whatever weights it is given
            assert_same_weights(out, whole)
            assert metrics(out) == metrics(whole)

    def test_it_stops_when_asked_to(self, tmp_path):
        asked = threading.Event()
        run(tmp_path, watch=lambda row: asked.set(), log_every=3, given={"until": asked.is_set})
        assert [int(folder.name) for folder in Run(tmp_path).checkpoints()] == [1]

    def test_a_run_that_is_done_is_done(self, whole):
        before = metrics(whole)
        assert run(whole, small(seed=3), given={"valid": speech(number=2)}).finished
        assert metrics(whole) == before

    def test_the_first_ctrl_c_finishes_the_step_and_saves(self, whole, tmp_path, capsys):
        def watch(row):
            if row["step"] == 3 and "loss" in row:
                signal.raise_signal(signal.SIGINT)

        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt, match=r"stopped after step 3 of 6, saved in .*the same call goes on"):
            run(tmp_path, watch=watch, given={"valid": speech(number=2)})
        assert "once more: at once" in capsys.readouterr().err
        assert [int(folder.name) for folder in Run(tmp_path).checkpoints()] == [2, 3]
        assert signal.getsignal(signal.SIGINT) is before
        run(tmp_path, given={"valid": speech(number=2)})
        assert_same_weights(tmp_path, whole)

    def test_the_second_ctrl_c_stops_at_once(self, tmp_path, monkeypatch):
        monkeypatch.setattr("unispeech_lab.interrupt.ECHO", 0.0)

        def watch(row):
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.01)
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("the second one came back")

        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores Ctrl-C
        try:
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path, watch=watch)
        finally:
            signal.signal(signal.SIGINT, before)
        assert not Run(tmp_path).checkpoints()

    def test_a_checkpoint_holds_what_is_needed_and_no_code(self, whole):
        (checkpoint,) = Run(whole).checkpoints()[-1:]
        assert sorted(file.name for file in checkpoint.iterdir()) == ["loop.json", "model.safetensors", "optimizer.bin"]
        assert len(Run(whole).checkpoints()) == 2

    def test_code_in_a_checkpoint_is_not_run(self, tmp_path):
        run(tmp_path, steps=4, given={"until": lambda: True})
        torch.save({"state": Bomb(tmp_path / "boom")}, Run(tmp_path).checkpoints()[-1] / "optimizer.bin")
        with pytest.raises(ValueError, match=r"found a pickle that runs code, .*nothing of it was run: delete"):
            run(tmp_path, steps=4)
        assert not (tmp_path / "boom").exists()

    @pytest.mark.parametrize("name", ["loop.json", "model.safetensors", "optimizer.bin"])
    @pytest.mark.parametrize("how", ["gone", "half", "another"])
    def test_a_damaged_checkpoint_is_named_and_nothing_is_lost(self, whole, tmp_path, name, how):
        shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
        file = Run(tmp_path).checkpoints()[-1] / name
        if how == "gone":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:500] if how == "half" and name != "loop.json" else b"[]")
        with pytest.raises(ValueError, match=rf"in .*{file.parent.name}, found .*delete"):
            run(tmp_path)
        assert metrics(tmp_path) == metrics(whole)
        shutil.rmtree(file.parent)
        run(tmp_path, given={"valid": speech(number=2)})
        assert_same_weights(tmp_path, whole)

    def test_a_run_of_another_model_is_refused(self, whole):
        with pytest.raises(ValueError, match=r"found another \((?s:.*)size mismatch(?s:.*)train into another folder"):
            run(whole, small(hidden_size=64))

    def test_what_a_stop_left_is_cleared_away(self, tmp_path):
        run(tmp_path, given={"until": lambda: True})
        part = tmp_path / "checkpoints" / "00000002.part"
        part.mkdir()
        (part / "model.safetensors").write_bytes(b"half of it")
        with (tmp_path / "metrics.jsonl").open("a") as file:
            file.write('{"step": 9, "loss": 1.0}\n{"step": 2, "lo')
        run(tmp_path)
        assert not part.exists() and max(line["step"] for line in metrics(tmp_path)) == 6

    def test_other_settings_or_other_speech_are_refused(self, whole):
        with pytest.raises(ValueError, match=r"learning_rate 0.001, now 0.002: give them again, or another folder"):
            run(whole, learning_rate=2e-3)
        with pytest.raises(ValueError, match=r"corpus '8 utterances, .*now '7 utterances"):
            run(whole, corpus=speech(number=7))
        with pytest.raises(ValueError, match=r"found alpha 0.5, now 0.9: give them again"):
            run(whole, small(alpha=0.9))

    def test_loading_ahead_makes_the_same_batches(self, whole, tmp_path):
        run(tmp_path, workers=2, given={"valid": speech(number=2)})
        assert_same_weights(tmp_path, whole)


class TestFullDisk:
    def test_a_checkpoint_less_is_warned_of_and_training_goes_on(self, whole, tmp_path, monkeypatch):
        def full(weights, file, metadata):
            if "00000004" in str(file):
                raise OSError(28, "No space left on device")
            save_file(weights, file, metadata)

        monkeypatch.setattr(saving, "save_file", full)
        with pytest.warns(RuntimeWarning, match=r"no checkpoint of step 4: .*No space left.*that of step 2 is whole"):
            run(tmp_path, given={"valid": speech(number=2)})
        assert_same_weights(tmp_path, whole)
        (event,) = Run(tmp_path).events
        assert event["event"] == "not saved" and event["step"] == 4
        assert not list(tmp_path.rglob("*.part"))

    def test_without_room_for_the_last_one_it_says_so_and_goes_on_later(self, whole, tmp_path):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        def watch(row):
            if row["step"] == 5:  # from now on no file may be larger than this
                resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))

        try:
            with pytest.raises(OSError, match=r"no checkpoint of step 6: .*that of step 4 is whole: make room"):
                run(tmp_path, watch=watch, given={"valid": speech(number=2)})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        assert not list(tmp_path.rglob("*.part"))
        run(tmp_path, given={"valid": speech(number=2)})
        assert_same_weights(tmp_path, whole)

    def test_no_room_for_the_metrics_stops_nothing(self, tmp_path, monkeypatch):
        def full(self, **row):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Run, "log", full)
        with pytest.warns(RuntimeWarning, match="not in the metrics: .*'loss'.*No space left"):
            assert run(tmp_path, steps=2).finished


class TestBadInput:
    def test_an_unreadable_file_is_named_and_left_out(self, tmp_path):
        corpus = speech()
        corpus.table.loc[2, "path"] = "nowhere.flac"
        found = run(tmp_path, corpus=corpus, steps=8, batch_seconds=30.0)
        assert found.finished and found.step == 8
        left_out = [event for event in found.events if event["event"] == "left out"]
        assert left_out and all("nowhere.flac" in event["what"] for event in left_out)
        assert corpus.table["id"][2] in left_out[0]["what"]

    def test_what_is_too_short_or_too_long_for_its_labels_is_named_and_left_out(self, tmp_path):
        spoken = speech()[0]
        short = Utterance("a blink", spoken.waveform[:4000])
        crowded = Utterance("a gabble", spoken.waveform[:8000], phones=spoken.phones * 3)
        endless = Utterance("a speech", np.tile(spoken.waveform, 9))
        corpus = Corpus.of([*speech(), short, crowded, endless])
        found = run(tmp_path, corpus=corpus, steps=1)
        said = [event["what"] for event in found.events]
        assert len(said) == 3
        assert "a blink: expected 0.4 to 5 s, found 0.25 s" in said
        assert any(what.startswith("a gabble: expected frames for ") and "(0.4" in what for what in said)
        assert any(what.startswith("a speech: expected 0.4 to 5 s, found ") for what in said)

    def test_of_many_the_first_are_named_and_the_others_counted(self, tmp_path):
        blinks = [Utterance(f"blink {k}", np.zeros(100, np.float32)) for k in range(300)]
        corpus = Corpus.of([*speech(), *blinks])
        held = Corpus.of([*speech(number=2), blinks[0]])
        found = run(tmp_path, corpus=corpus, steps=2, given={"valid": held, "until": lambda: True})
        assert len(found.events) == pretrain.FEW + 1 and found.events[0]["what"].startswith("blink 0: expected 0.4")
        assert found.events[-1] == {"step": 0, "event": "left out", "what": "281 more", "count": 281}
        assert "301 utterances were left out" in health.examine(tmp_path).text
        assert run(tmp_path, corpus=corpus, steps=2, given={"valid": held}).events == found.events
        found = run(tmp_path / "held", steps=1, given={"valid": held})
        assert [event["what"].partition(":")[0] for event in found.events] == ["held-out blink 0"]

    def test_a_sound_shorter_than_the_table_says_is_left_out_when_it_is_met(self, tmp_path):
        corpus = speech()
        true = corpus.table["seconds"][1]
        corpus._made = {corpus.table["id"][1]: Utterance(corpus.table["id"][1], corpus.sound(1)[:2000])}
        found = run(tmp_path, corpus=corpus, steps=8, batch_seconds=30.0)
        assert true > 1 and found.finished
        assert "found 5 (0.1" in found.events[0]["what"] or "found 6 (0.1" in found.events[0]["what"]

    def test_a_step_without_anything_to_hear_updates_nothing(self, tmp_path):
        corpus = speech(number=1)
        corpus.table.loc[0, "path"] = "nowhere.flac"
        model = small()
        before = model.ctc_proj.weight.clone()
        found = run(tmp_path, model, corpus, steps=2)
        assert [event["event"] for event in found.events] == ["left out", "no update", "no update"]  # it is said once
        assert "frames 0" in found.events[1]["what"] and torch.equal(before, model.ctc_proj.weight)

    def test_what_is_not_a_number_updates_nothing(self, tmp_path):
        model = small()
        model.unispeech.encoder.layers[0].attention.q_proj.weight.data[0, 0] = torch.nan
        before = model.ctc_proj.weight.clone()
        found = run(tmp_path, model, steps=2)
        assert [event["event"] for event in found.events] == ["no update"] * 2
        assert "gradient nan" in found.events[0]["what"] and torch.equal(before, model.ctc_proj.weight)

    def test_validation_of_a_model_that_is_no_number_is_an_event(self, tmp_path):
        model = small()
        model.ctc_proj.weight.data[0, 0] = torch.nan
        found = run(tmp_path, model, steps=2, validate_every=2, given={"valid": speech(number=2)})
        assert found.finished and found.events[-1]["event"] == "no number"
        assert found.events[-1]["what"].startswith("validation: loss nan, ctc nan, contrastive ")
        assert found.table["valid_per"].iloc[-1] == 1.0  # nothing can be read off it

    def test_unknown_phones_are_all_named(self, tmp_path):
        corpus = Corpus.of([*speech(), *speech("zh", 3)])
        with pytest.raises(ValueError, match=r"expected phones out of the \d+ of this vocabulary, found .+ \(zh_0"):
            run(tmp_path, corpus=corpus)
        assert not tmp_path.joinpath("settings.json").exists()

    def test_nothing_to_learn_from_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match="expected utterances to learn from, found none: the corpus is empty"):
            run(tmp_path, corpus=speech()[:0])
        with pytest.raises(ValueError, match=r"found none: en_\w+: expected 0.4 to 0.5 s"):
            run(tmp_path, batch_seconds=0.5)

    def test_masks_that_fit_into_no_utterance_are_refused_before_the_first_step(self, tmp_path):
        settings = Settings(**SETTINGS)
        with pytest.raises(
            ValueError, match=r"expected batches that a mask of 900 frames fits .* set mask_time_length"
        ):
            pretrain.train(small(mask_time_length=900), speech(), tmp_path, settings, progress=False)
        assert not (tmp_path / "settings.json").exists()

    def test_a_folder_in_which_somebody_trains_is_refused(self, tmp_path):
        settings, heard = Settings(**SETTINGS), []

        def watch(row):
            with pytest.raises(ValueError, match="found one that is being trained") as caught:
                pretrain.train(small(), speech(), tmp_path, settings, progress=False)
            heard.append(caught)
            raise pretrain.Stop

        pretrain.train(small(), speech(), tmp_path, settings, watch=watch, progress=False)
        assert len(heard) == 1

    def test_utterances_without_labels_teach_a_supervised_model_nothing(self, tmp_path):
        silent = Corpus.of(Utterance(u.id, u.waveform) for u in speech(number=2))
        found = run(tmp_path, small(alpha=1.0, replace_prob=0.0), silent, steps=1)
        assert found.events[-1]["event"] == "no update"

    def test_another_vocabulary_than_the_models_is_refused(self, tmp_path):
        with pytest.raises(ValueError, match=r"expected a model of \d+ CTC classes.*found num_ctc_classes=9: make"):
            run(tmp_path, small(num_ctc_classes=9))
        blank_first = Vocabulary.in_order(vocabulary().phones)
        blank_first._number({name: k for k, name in enumerate(["<pad>", *vocabulary().phones, "<s>", "</s>"])}, "<pad>")
        with pytest.raises(ValueError, match="blank is the vocabulary's '<pad>', class 0, found .*with ctc_blank=0"):
            run(tmp_path, small(num_ctc_classes=len(blank_first)), words=False, given={"vocabulary": blank_first})
        with pytest.raises(ValueError, match=r"expected phones out of the \d+ of this vocabulary, found .*: make"):
            at_prior(small(), speech("zh", 3), vocabulary())
        with pytest.raises(ValueError, match=r"expected a model of \d+ CTC classes.*found num_ctc_classes=9: make"):
            at_prior(small(num_ctc_classes=9), speech(), vocabulary())

    def test_an_accelerator_of_another_mind_is_refused(self, tmp_path):
        from accelerate import Accelerator

        with pytest.raises(ValueError, match="gradient_accumulation_steps=1, found 3: say micro_batches instead"):
            run(tmp_path, given={"accelerator": Accelerator(gradient_accumulation_steps=3)})
        with pytest.raises(ValueError, match="mixed_precision 'bf16', found 'no'"):
            run(tmp_path, mixed_precision="bf16", given={"accelerator": Accelerator(mixed_precision="no")})


class TestWhatItSays:
    def test_the_bar_shows_means_speed_and_time_left(self, tmp_path, capsys):
        pretrain.train(small(), speech(), tmp_path, Settings(**SETTINGS), vocabulary=vocabulary())
        said = capsys.readouterr().err
        for part in ("loss=", "perplexity=", "accuracy=", "frames/s=", "6/6", "step/s"):
            assert part in said or part == "step/s" and "s/step" in said, part

    def test_a_tracker_of_ones_own_hears_settings_and_metrics(self, tmp_path):
        class Told(GeneralTracker):
            name, requires_logging_directory, tracker, main_process_only = "told", False, None, True

            def __init__(self):
                super().__init__()
                self.settings, self.lines, self.finished = {}, [], False

            def store_init_configuration(self, values):
                self.settings = values

            def log(self, values, step=None, **more):
                self.lines.append((step, values))

            def finish(self):
                self.finished = True

        told = Told()
        run(tmp_path, steps=2, given={"log_with": told})
        assert told.settings["steps"] == 2 and told.settings["corpus"].startswith("8 utterances") and told.finished
        said = [{"step": step, **values} for step, values in told.lines]
        assert said == Run(tmp_path).lines()

    def test_tensorboard_hears_the_metrics(self, tmp_path):
        reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
        run(tmp_path, steps=3, given={"log_with": "tensorboard"})
        (file,) = (tmp_path / "pretrain").glob("events*")
        events = reading.EventAccumulator(str(file)).Reload()
        heard = [(event.step, event.value) for event in events.Scalars("loss")]
        said = Run(tmp_path).table["loss"]
        assert [step for step, _ in heard] == [1, 2, 3] and np.allclose([value for _, value in heard], said)


def test_nothing_is_drawn_from_the_callers_generator(tmp_path):
    torch.manual_seed(1)
    expected = torch.rand(3)
    model = small()
    torch.manual_seed(1)
    run(tmp_path, model, steps=2, given={"valid": speech(number=2)})
    assert torch.equal(torch.rand(3), expected)


def test_a_head_at_the_prior_says_each_phone_as_often_as_the_corpus():
    model, words = at_prior(small(), speech(), vocabulary(), blank=0.7), vocabulary()
    said = [span.label for utterance in speech() for span in utterance.phones]
    model.ctc_proj.weight.data.zero_()
    shares = model.ctc_proj(torch.zeros(model.config.hidden_size)).softmax(-1)
    assert shares[words.blank].item() == pytest.approx(0.7, abs=1e-3)
    for phone in ("ə", "t"):
        expected = 0.3 * said.count(phone) / len(said)
        assert shares[words.classes[phone]].item() == pytest.approx(expected, rel=1e-2) and expected > 0


def test_matrices_decay_and_vectors_do_not():
    model = small()
    model.freeze_feature_encoder()
    made = optimizer(model, Settings(weight_decay=0.5, betas=(0.8, 0.9), eps=1e-3))
    matrices, vectors = made.param_groups
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.5, 0.0)
    assert {p.ndim for p in vectors["params"]} == {1} and min(p.ndim for p in matrices["params"]) == 2
    learned = [p for p in model.parameters() if p.requires_grad]
    assert len(matrices["params"]) + len(vectors["params"]) == len(learned) < len(list(model.parameters()))
    assert matrices["betas"] == (0.8, 0.9) and matrices["eps"] == 1e-3
