"""Health: every disease is found where it is, none where it is not, whoever wrote the log."""

import json
import math
from base64 import b64decode
from xml.dom import minidom

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from unispeech_lab import health
from unispeech_lab.cli import app
from unispeech_lab.health.conditions import CONDITIONS
from unispeech_lab.run import Run

GALLERY = ("healthy", "collapse", "ctc_blank", "diversity", "equal_negatives", "learning_rate", "nan")
GUESS = math.log(101)


def rows(steps=2000, every=20, seed=0, groups=2, codewords=64, weight=0.3, alpha=0.5, noise=0.05, **changes):
    """A healthy run's lines, as a formula; ``changes`` replace columns by functions of the share of the run done."""
    rng = np.random.default_rng(seed)
    curves = {
        "ctc": lambda t: 0.8 + 8 * math.exp(-25 * t) + 1.5 * max(0.0, 1 - 1.4 * t),
        "contrastive": lambda t: GUESS - 2 * max(0.0, t - 0.15),
        "perplexity": lambda t: groups + (codewords - groups) * min(0.9, 0.3 + 4 * t),
        "accuracy": lambda t: 0.01 + 0.4 * max(0.0, t - 0.15),
        "equal_negatives": lambda t: 0.02,
        "blank": lambda t: 1.0 if 0.01 < t < 0.3 else 0.85,
        "grad_norm": lambda t: 0.5 + 6 * math.exp(-20 * t) + 2 * t,
        "temperature": lambda t: max(0.5, 2 * 0.25 ** (t / 0.7)),
        "lr": lambda t: 1e-3 * min(1.0, 10 * t, 1.1 * (1 - t)),
    } | changes
    table = []
    for step in range(every, steps + 1, every):
        row = {
            name: f(step / steps) * (1 + noise * rng.standard_normal() * (name in "ctc")) for name, f in curves.items()
        }
        row["diversity"] = 1 - row["perplexity"] / codewords
        rest = row["contrastive"] + weight * row["diversity"]
        row["loss"] = changes["loss"](step / steps) if "loss" in changes else alpha * row["ctc"] + (1 - alpha) * rest
        table.append({"step": step} | row)
    return table


def names(table, steps=2000, groups=2, codewords=64, **facts):
    return health.examine(table, steps=steps, groups=groups, num_codewords=codewords, **facts).names


SICK = {
    "collapse": {"perplexity": lambda t: 2 + 20 * math.exp(-60 * t), "contrastive": lambda t: GUESS},
    "few_codewords": {"perplexity": lambda t: 6 + 20 * math.exp(-60 * t)},
    "equal_negatives": {
        "perplexity": lambda t: 2 + 20 * math.exp(-60 * t),
        "contrastive": lambda t: GUESS * math.exp(-60 * t),
        "equal_negatives": lambda t: 1 - math.exp(-60 * t),
    },
    "diversity": {"perplexity": lambda t: 63.9, "contrastive": lambda t: GUESS, "weight": 30.0},
    "guessing": {"contrastive": lambda t: GUESS},
    "learning_rate": {"ctc": lambda t: 8 - 6 * t if t < 0.4 else 30.0},
    "ctc_blank": {"blank": lambda t: 1.0, "ctc": lambda t: 1.6 + 8 * math.exp(-25 * t)},
    "clipped": {"grad_norm": lambda t: 40.0},
    "temperature": {"temperature": lambda t: 2 * 0.999995 ** (2000 * t)},
    "nan": {"loss": lambda t: math.nan if t > 0.5 else 3.0},
}


class TestConstructed:
    @settings(max_examples=30, deadline=None)
    @given(
        st.sampled_from([400, 1000, 2000, 100_000]),
        st.integers(0, 10**6),
        st.sampled_from([(1, 100), (2, 32), (2, 128), (2, 640), (4, 64)]),
        st.floats(0.05, 1.0),
        st.floats(0.0, 0.9),
    )
    def test_a_healthy_run_has_no_finding(self, steps, seed, codebook, weight, alpha):
        groups, codewords = codebook
        table = rows(steps, max(20, steps // 200), seed, groups, codewords, weight, alpha)
        assert names(table, steps, groups, codewords, clip=25.0) == []

    @pytest.mark.parametrize("name", SICK)
    @settings(max_examples=8, deadline=None)
    @given(seed=st.integers(0, 10**6), steps=st.sampled_from([2000, 4000, 50_000]))
    def test_a_sick_run_has_its_own_finding_alone(self, name, seed, steps):
        changes = dict(SICK[name])
        table = rows(steps, steps // 100, seed, noise=0.03, **changes)
        assert names(table, steps, clip=25.0) == [name]

    @pytest.mark.parametrize("name", sorted(set(SICK) - {"nan"}))
    def test_nothing_is_said_of_the_first_steps(self, name):
        table = rows(2000, 5, **SICK[name])
        assert names([row for row in table if row["step"] <= 60], clip=25.0) == []

    @pytest.mark.parametrize("name", SICK)
    def test_a_finding_says_cause_cure_and_lines(self, name):
        card = health.examine(
            rows(**SICK[name]), groups=2, num_codewords=64, steps=2000, clip=25.0, learning_rate=0.001
        )
        (finding,) = card.findings
        assert finding.cause and finding.cure and finding.lines
        assert finding.lines[0].startswith("step ")
        assert finding.steps[0] <= finding.steps[1] == 2000
        assert finding.name in card.text and finding.cure in card.text and finding.lines[0] in card.text

    def test_the_lines_quote_the_log(self):
        card = health.examine(rows(**SICK["collapse"]), groups=2, num_codewords=64)
        assert "step 2000: perplexity 2, equal_negatives 0.02" in card.findings[0].lines
        assert "perplexity 2 of 64" in card.findings[0].title

    def test_the_cure_names_what_the_log_betrays(self):
        """The weight is nowhere in the log: loss and terms are, and there is one weight that fits them."""
        card = health.examine(rows(weight=0.07, **SICK["collapse"]), groups=2, num_codewords=64, learning_rate=0.002)
        assert "diversity_loss_weight (now 0.07)" in card.findings[0].cure
        assert "learning_rate (now 0.002)" in card.findings[0].cure

    @settings(max_examples=30, deadline=None)
    @given(st.floats(0.01, 60), st.floats(0.0, 0.95))
    def test_weights_are_solved_for(self, weight, alpha):
        found = health.read(rows(weight=weight, alpha=alpha)).weights
        assert found == pytest.approx({"alpha": alpha, "diversity": weight}, rel=1e-6, abs=1e-9)

    def test_weights_of_another_loss_are_not_made_up(self):
        table = rows(loss=lambda t: 3 + math.sin(40 * t))
        assert health.read(table).weights == {}

    def test_blank_is_normal_early_and_a_disease_late(self):
        table = rows(4000, 20, blank=lambda t: 1.0)
        early = health.examine([row for row in table if row["step"] <= 900], steps=4000)
        assert early.names == [] and "normal before about step 1000" in early.looked["ctc_blank"]
        assert names([row for row in table if row["step"] <= 1200], 4000) == ["ctc_blank"]

    def test_a_full_codebook_and_guessing_are_a_plateau_where_the_weight_is_small(self):
        plateau = {"perplexity": lambda t: 63.9, "contrastive": lambda t: GUESS}
        assert names(rows(weight=0.3, **plateau)) == ["guessing"]
        assert names(rows(1000, weight=0.3, **plateau)) == []

    def test_a_run_that_ends_on_the_plateau_was_too_short(self):
        assert names(rows(600, 10, blank=lambda t: 1.0), 600) == ["too_short"]

    def test_phones_in_validation_overrule_the_blank(self):
        table = [*rows(blank=lambda t: 1.0), *({"step": s, "valid_per": 0.6} for s in range(200, 2001, 200))]
        assert names(table) == []

    def test_overfitting(self):
        valid = [{"step": s, "valid_loss": 2 + abs(s - 800) / 1000} for s in range(200, 2001, 200)]
        card = health.examine([*rows(), *valid], steps=2000, groups=2, num_codewords=64)
        assert card.names == ["overfitting"] and "stop at steps=800" in card.findings[0].cure

    def test_files_left_out(self):
        events = [{"step": 3, "event": "left out", "what": f"u{k}: unreadable"} for k in range(12)]
        card = health.examine([*rows(), *events], groups=2, num_codewords=64)
        assert card.names == ["left_out"] and card.findings[0].lines[0] == "step 3: u0: unreadable"
        assert names([*rows(), *events[:9]]) == []

    def test_a_loss_scaler_may_overflow_now_and_then(self):
        events = [{"step": s, "event": "no update", "what": "gradient inf"} for s in range(1, 6)]
        assert names([*rows(), *events]) == []
        many = [{"step": s, "event": "no update", "what": "gradient inf"} for s in range(1, 200)]
        assert names([*rows(), *many]) == ["nan"]

    def test_one_infinite_batch_is_no_broken_run(self):
        table = rows()
        table[50] |= {"loss": math.inf, "ctc": math.inf}
        (finding,) = health.examine(table, groups=2, num_codewords=64).findings
        assert (finding.name, finding.severity) == ("nan", "watch") and "ctc_zero_infinity" in finding.cure

    def test_what_comes_before_nan_is_judged_and_what_comes_after_is_not(self):
        """Of NaN weights every frame takes codeword 0: no collapse."""
        table = rows()
        for row in table[60:]:
            row |= {"loss": math.nan, "contrastive": math.nan, "perplexity": math.nan, "code_perplexity": 2.0}
            row |= {"equal_negatives": 1.0, "blank": 1.0}
        assert names(table) == ["nan"]
        assert names(rows(**SICK["collapse"])[:60] + table[60:]) == ["nan", "collapse"]

    def test_nan_after_a_growing_gradient_blames_the_learning_rate(self):
        table = rows(grad_norm=lambda t: 10 ** (12 * max(0, t - 0.4)), loss=lambda t: 3.0 if t < 0.5 else math.nan)
        (finding,) = health.examine(table, groups=2, num_codewords=64, learning_rate=0.5).findings
        assert "a tenth of learning_rate (now 0.5)" in finding.cure
        at_once = health.examine(rows(**SICK["nan"]), groups=2, num_codewords=64).findings[0]
        assert at_once.cure.startswith("eps=1e-6")

    def test_what_follows_from_a_learning_rate_stands_under_it(self):
        table = rows(**SICK["learning_rate"], perplexity=lambda t: 2.0)
        (finding,) = health.examine(table, groups=2, num_codewords=64).findings
        assert finding.name == "learning_rate" and finding.also == ("collapse",)

    def test_the_codes_of_a_supervised_run_are_not_judged(self):
        table = rows(perplexity=lambda t: 2.0)
        for row in table:
            row.pop("contrastive")
        assert names(table) == []

    def test_spikes(self):
        table = rows(20_000, 50)
        for k in (100, 160, 220, 300):
            table[k]["loss"] *= 8
        card = health.examine(table, groups=2, num_codewords=64)
        assert card.names == ["learning_rate"] and "step 5050" in card.findings[0].lines[1]


@pytest.fixture(scope="module")
def shown():
    return health.gallery()


class TestGallery:
    def test_it_holds_one_healthy_run_first_and_six_sick(self, shown):
        assert tuple(shown) == GALLERY

    @pytest.mark.parametrize("name", GALLERY)
    def test_each_is_diagnosed_rightly(self, shown, name):
        run, card = shown[name]
        assert card.names == ([] if name == "healthy" else [name]), card.text
        assert all(finding.severity == "ill" for finding in card.findings)
        assert len(run.settings["gallery"]["why"]) > 10

    @pytest.mark.parametrize("name", GALLERY)
    def test_each_took_less_than_three_minutes_of_two_cores(self, shown, name):
        assert shown[name][0].settings["gallery"]["process_seconds"] < 180

    def test_the_healthy_one_learned(self, shown):
        run, card = shown["healthy"]
        table = run.table
        assert table["perplexity"].iloc[-1] > run.settings["num_codewords"] / 2
        assert table["accuracy"].iloc[-1] > 0.15 > table["accuracy"].iloc[2]
        assert table["ctc"].iloc[-1] < 0.25 * table["ctc"].iloc[0]
        assert set(card.looked) >= {"nan", "learning_rate", "collapse", "equal_negatives", "ctc_blank", "temperature"}

    @pytest.mark.parametrize("name", GALLERY)
    def test_no_false_alarm_in_its_first_steps(self, shown, name):
        """Cut short at step 60, only NaN may be said, and only where it is."""
        lines = [line for line in shown[name][0].lines() if line["step"] <= 60]
        assert health.examine(lines, steps=800).names == (["nan"] if name == "nan" else [])

    @pytest.mark.slow
    def test_a_run_can_be_made_again(self, tmp_path, shown):
        """The same seed makes the same losses; another seed falls ill of the same."""
        from unispeech_lab.gallery import make

        again = make("nan", tmp_path / "again")
        columns = ["loss", "ctc", "contrastive", "perplexity", "grad_norm"]
        tables = (run.table[columns] for run in (again, shown["nan"][0]))
        pd.testing.assert_frame_equal(*tables, rtol=1e-3)
        other = make("collapse", tmp_path / "other", seed=5)
        assert health.examine(other).names == ["collapse"]

    def test_an_unknown_name_is_named(self, tmp_path):
        from unispeech_lab.gallery import make

        with pytest.raises(ValueError, match="expected a run out of healthy, .*found 'flu'"):
            make("flu", tmp_path)


def hydra(k, prefix="train_inner", **values):
    said = {"epoch": 1, "num_updates": str(200 * k)} | {name: f"{value:.5g}" for name, value in values.items()}
    if prefix == "valid":
        said = {f"valid_{name}": value for name, value in said.items()}
    return f"[2024-01-0{1 + k // 10} 10:00:{k % 60:02d},123][{prefix}][INFO] - {json.dumps(said)}"


FAIRSEQ = {
    "loss": 4.8, "loss_0": 4.6, "loss_1": 0.138, "prob_perplexity": 26.0, "code_perplexity": 25.0, "temp": 1.9,
    "accuracy": 0.3, "lr": 1e-4, "gnorm": 1.3, "clip": 0,
}  # fmt: skip
BITS = math.log(2)


class TestOtherLogs:
    def written(self, tmp_path, text, name="train.log"):
        file = tmp_path / name
        file.write_text(text, encoding="utf-8")
        return file

    @pytest.mark.parametrize("form", ["hydra", "json", "simple", "epoch"])
    def test_fairseq_in_each_of_its_formats(self, tmp_path, form):
        values = {name: f"{value:g}" for name, value in FAIRSEQ.items()}
        equals = ", ".join(f"{name}={value}" for name, value in values.items())
        bars = " | ".join(f"{name} {value}" for name, value in values.items())
        line = {
            "hydra": lambda k: hydra(k, **FAIRSEQ),
            "json": lambda k: (
                "2021-01-01 10:00:00 | INFO | train_inner | "
                + json.dumps({"epoch": 1, "num_updates": str(200 * k)} | values)
            ),
            "simple": lambda k: (
                f"2021-01-01 10:00:00 | INFO | train_inner | epoch 001:  {200 * k} / 9000 {equals}, "
                f"wps=6723.9, num_updates={200 * k}, train_wall=12, wall=0"
            ),
            "epoch": lambda k: (
                f"2021-01-01 10:00:00 | INFO | train | epoch 001 | {bars} | num_updates {200 * k} | wall 9"
            ),
        }[form]
        header = "fairseq_cli.train | Namespace(latent_vars=320, latent_groups=2, num_negatives=100, max_update=9000)\n"
        log = health.read(self.written(tmp_path, header + "\n".join(map(line, range(1, 9)))))
        assert list(log.series("step").index) == [200 * k for k in range(1, 9)]
        row = {name: log.series(name).iloc[0] for name in ("loss", "contrastive", "perplexity", "grad_norm", "lr")}
        want = {"loss": 4.8 * BITS, "contrastive": 4.6 * BITS, "perplexity": 26, "grad_norm": 1.3, "lr": 1e-4}
        assert row == pytest.approx(want)
        assert (log.facts["num_codewords"], log.facts["groups"], log.facts["steps"]) == (640, 2, 9000)
        assert log.weights["diversity"] == pytest.approx(0.1, rel=0.01)
        assert log.skipped == 0

    def test_fairseq_validation(self, tmp_path):
        lines = [hydra(k, **FAIRSEQ) for k in (1, 2)]
        lines += [hydra(2, "valid", loss=4.0, accuracy=0.5, prob_perplexity=300.0, code_perplexity=20.0, uer=80.0)]
        log = health.read(self.written(tmp_path, "\n".join(lines)))
        assert log.series("valid_loss")[400] == pytest.approx(4.0 * BITS)
        assert (log.series("valid_perplexity")[400], log.series("valid_per")[400]) == (20, 0.8)

    def test_a_fairseq_run_on_its_way_is_healthy(self, tmp_path):
        """Few codewords after the first updates, accuracy already above chance: as in fairseq #3391."""
        lines = [hydra(k, **FAIRSEQ | {"loss_0": 6.4 - 0.03 * k, "prob_perplexity": 20 + k / 10}) for k in range(1, 90)]
        assert health.examine(self.written(tmp_path, "\n".join(lines))).names == []

    def test_a_fairseq_run_of_even_codes_and_no_learning(self, tmp_path):
        """The numbers of fairseq #3109: 639.979 of 640, a loss of log2(101) bits, an accuracy that ties made."""
        sick = {"loss": 6.658, "loss_0": 6.658, "loss_1": 0, "prob_perplexity": 639.979, "accuracy": 0.42, "gnorm": 0}
        lines = [hydra(1000 + k, **FAIRSEQ | sick) for k in range(9)]
        assert health.examine(self.written(tmp_path, "\n".join(lines))).names == ["diversity"]

    def test_overflows_of_fairseq(self, tmp_path):
        lines = [hydra(k, **FAIRSEQ | {"loss_0": 6.4 - 0.3 * k}) for k in range(1, 9)]
        note = (
            "[fairseq.trainer][INFO] - NOTE: gradient overflow detected, ignoring gradient, setting loss scale to: 32.0"
        )
        log = health.read(self.written(tmp_path, "\n".join([lines[0], note, *lines[1:]])))
        assert log.events == [{"step": 200, "event": "no update", "what": "gradient overflow, loss scale 32.0"}]
        assert health.examine(log).names == []

    def test_the_pretraining_script_of_hugging_face(self, tmp_path):
        """The numbers of transformers #14387: contrastive 0, perplexity 2, (640 - 2) / 640."""
        line = (
            "| loss: 9.969e-02| constrast_loss: 0.000e+00| div_loss: 9.969e-01| %_mask_idx: 5.137e-01| "
            "ppl: 2.000e+00| lr: 1.572e-03| temp: 1.902e+00| grad_norm: 8.068e-19"
        )
        card = health.examine(self.written(tmp_path, "\n".join([line] * 6)))
        assert card.names == ["equal_negatives"] and card.findings[0].also == ("collapse",)
        assert any("500 steps a line" in note for note in card.notes)
        assert card.log.facts["num_codewords"] == pytest.approx(640, rel=0.02)

    def test_trainer_state(self, tmp_path):
        history = [{"step": k * 100, "loss": 5 - k / 9, "grad_norm": 1.0, "learning_rate": 1e-4} for k in range(1, 21)]
        history += [{"step": k * 500, "eval_loss": 3.0, "eval_wer": 1.0, "eval_runtime": 3.2} for k in range(1, 5)]
        folder = tmp_path / "checkpoint-2000"
        folder.mkdir()
        self.written(folder, json.dumps({"log_history": history, "max_steps": 2000}), "trainer_state.json")
        card = health.examine(tmp_path)
        assert card.names == ["ctc_blank"]
        assert card.log.series("valid_wer").iloc[-1] == 1.0 and card.log.series("lr").iloc[0] == 1e-4

    def test_what_a_trainer_prints(self, tmp_path):
        lines = [f"{{'loss': {9 - k}, 'grad_norm': nan, 'learning_rate': 1e-4, 'step': {k}}}" for k in range(1, 5)]
        log = health.read(self.written(tmp_path, "\n".join(["Some weights were not used", *lines])))
        assert list(log.series("loss").items()) == [(1, 8), (2, 7), (3, 6), (4, 5)]
        assert log.series("grad_norm", finite=False).isna().all() and log.skipped == 0

    def test_what_a_trainer_prints_without_steps(self, tmp_path):
        """Only epochs: each line stands for the Trainer's 500 steps, a validation belongs to the line before it."""
        lines = ["{'loss': '4.5', 'epoch': '0.5'}", "{'loss': 4.1, 'epoch': 1.0}", "{'eval_loss': 4.0, 'epoch': 1.0}"]
        log = health.read(self.written(tmp_path, "\n".join(lines)))
        assert list(log.series("loss").items()) == [(500, 4.5), (1000, 4.1)]
        assert list(log.series("valid_loss").items()) == [(1000, 4.0)]

    def test_a_table(self):
        table = pd.DataFrame(rows(**SICK["collapse"])).set_index("step")
        assert names(table) == ["collapse"]
        assert names(pd.DataFrame([*rows(), {"step": 2000, "valid_loss": 2.0}])) == []
        assert names(pd.DataFrame(rows(**SICK["nan"]))) == ["nan"]

    def test_a_run_and_its_folder(self, tmp_path):
        run = Run(tmp_path / "mine", {"groups": 2, "num_codewords": 64, "steps": 2000, "clip": 25.0})
        for row in rows(**SICK["collapse"]):
            run.log(**row)
        with run.metrics.open("a") as file:
            file.write('{"step": 2020, "loss": 3.1, "per')
        for source in (run, run.folder, str(run.metrics)):
            card = health.examine(source)
            assert card.names == ["collapse"] and "1 lines could not be read" in card.notes[0]

    def test_a_step_written_twice_counts_once(self):
        table = rows()
        again = [row | {"loss": 7.0} for row in table[40:45]]
        log = health.read([*table, *again])
        assert len(log.series("loss")) == len(table) and log.series("loss")[again[0]["step"]] == 7.0

    def test_what_validations_say_of_one_step_is_put_together(self):
        log = health.read([*rows(), {"step": 2000, "valid_loss": 2.0}, {"step": 2000, "valid_per": 0.5}])
        assert (log.series("valid_loss")[2000], log.series("valid_per")[2000]) == (2.0, 0.5)


class TestAnyInput:
    def test_nothing_there(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="expected a run's folder with metrics.jsonl"):
            health.examine(tmp_path)

    def test_no_log(self, tmp_path):
        (tmp_path / "x.log").write_text("hello\nworld\n")
        with pytest.raises(ValueError, match="x.log: expected lines of a training log"):
            health.examine(tmp_path / "x.log")

    LINE = st.one_of(
        st.text(max_size=80),
        st.sampled_from(
            [
                '{"step": 1, "loss": NaN}',
                '{"step": "x"}',
                '{"step": NaN, "loss": 1}',
                '{"step": 3, "loss": "abc", "perplexity": null, "blank": [1]}',
                '{"step": 1e999, "loss": 2}',
                '{"step": 5, "event": "left out"}',
                '{"event": 5}',
                '{"step": 1' + "0" * 400 + ', "loss": 1}', '{"step": 4, "loss": 1' + "0" * 400 + "}",
                "[]", "7", "null", "{}", '{"step": true, "loss": true}',
                "[x][train_inner][INFO] - {",
                '| train_inner | {"num_updates": "7", "loss": "inf"}',
                "| valid | epoch 001 | loss nan | num_updates 7",
                "| loss: nan| constrast_loss: inf| div_loss: 1.0e+00| ppl: 0.0e+00",
                "epoch 001: 3 / 4 loss=--, num_updates=",
                "overflow detected, setting loss scale to: .",
                '{"log_history": [1, {"step": 2, "loss": 3}, null], "max_steps": "x"}',
                json.dumps(rows(40, 20)[0]),
            ]
        ),
    )  # fmt: skip

    @settings(max_examples=80, deadline=None)
    @given(st.lists(LINE, max_size=30), st.booleans())
    @example(['{"step": 5, "event": "left out"}'] * 12, True)
    def test_broken_lines_never_break_it(self, tmp_path_factory, lines, repeated):
        file = tmp_path_factory.mktemp("log") / "train.log"
        file.write_text("\n".join(lines * (20 if repeated else 1)), encoding="utf-8", errors="replace")
        try:
            card = health.examine(file)
        except ValueError as error:
            assert "expected lines of a training log" in str(error)
            return
        assert card.text and card.alt() and card._repr_html_()

    FACTS = ("groups", "num_codewords", "num_negatives", "steps", "clip", "learning_rate", "diversity_loss_weight")

    @pytest.mark.parametrize("value", ['"two"', "null", "-1", "NaN", "1e999", "[1]", "true", "{}"])
    @pytest.mark.parametrize("name", FACTS)
    def test_settings_of_another_type_are_not_reckoned_with(self, tmp_path, name, value):
        lines = "\n".join(map(json.dumps, rows(**SICK["collapse"])))
        (tmp_path / "metrics.jsonl").write_text(lines)
        (tmp_path / "settings.json").write_text(f'{{"{name}": {value}}}')
        card = health.examine(tmp_path)
        assert "collapse" in card.names and card._repr_html_()

    @pytest.mark.parametrize("written", ["[]", "7", '"x"', '{"groups": 2', "[" * 100_000])
    def test_damaged_settings_are_not_read(self, tmp_path, written):
        (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows(**SICK["collapse"]))))
        (tmp_path / "settings.json").write_text(written)
        assert "collapse" in health.examine(tmp_path).names

    def test_facts_that_make_no_sense_are_refused(self):
        for name, value in (("groups", 0), ("num_codewords", "x"), ("steps", -1)):
            with pytest.raises(ValueError, match=rf"expected {name} as a number from \d on, found {value!r}"):
                health.examine(rows(), **{name: value})

    def test_an_event_may_hold_what_unicode_takes_for_the_end_of_a_line(self, tmp_path):
        event = json.dumps({"step": 1, "event": "left out", "what": "a\u2028b"}, ensure_ascii=False)
        (tmp_path / "metrics.jsonl").write_text(event, encoding="utf-8")
        assert health.read(tmp_path).events[0]["what"] == "a\u2028b"

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_any_numbers_make_a_card(self, data):
        number = st.one_of(st.floats(width=32), st.sampled_from([0.0, 1.0, 2.0, math.nan, math.inf]))
        columns = data.draw(st.lists(st.sampled_from([*rows(40)[0], "valid_loss", "valid_per"]), unique=True))
        table = [
            {"step": 50 * k} | {c: data.draw(number) for c in columns} for k in range(data.draw(st.integers(0, 12)))
        ]
        card = health.examine(table, clip=1.0)
        assert card.text and card.alt() and card._repr_html_()


class TestCard:
    def test_a_healthy_one_says_what_it_looked_at(self):
        card = health.examine(rows(), groups=2, num_codewords=64, steps=2000, clip=25.0)
        assert card.healthy and "healthy, as far as 2000 steps" in card.verdict
        assert (
            {"nan", "collapse", "ctc_blank", "temperature", "clipped"}
            <= set(card.looked)
            <= {condition.__name__ for condition in CONDITIONS}
        )
        assert "perplexity" in str(card)

    def test_an_empty_log_is_not_called_healthy_for_nothing(self):
        assert "nothing to judge" in health.examine([]).verdict

    def test_the_page_stays_whole(self):
        events = [{"step": 3, "event": "left out", "what": f"<script>{k}</script>&"} for k in range(12)]
        page = health.examine([*rows(**SICK["collapse"]), *events], groups=2, num_codewords=64)._repr_html_()
        assert "<script>" not in page and "&lt;script&gt;0" in page
        picture = minidom.parseString(b64decode(page.split("base64,")[1].split('"')[0]))
        drawn = picture.getElementsByTagName("polyline")
        assert len(drawn) == 7 and len(drawn[0].getAttribute("points").split()) == 100
        assert len(page.split('alt="')[1].split('"')[0]) > 20

    def test_the_picture_in_words(self):
        said = health.examine(rows(**SICK["collapse"]), groups=2, num_codewords=64).alt()
        assert "perplexity from" in said and "Marked: collapse from step" in said

    def test_the_command(self, tmp_path):
        run = Run(tmp_path / "mine", {"groups": 2, "num_codewords": 64, "steps": 2000})
        for row in rows(**SICK["collapse"]):
            run.log(**row)
        said = CliRunner().invoke(app, ["health", str(run.folder)])
        assert said.exit_code == 1 and "✗ collapse" in said.output
        parsed = json.loads(CliRunner().invoke(app, ["health", str(run.folder), "--json"]).output)
        assert parsed["findings"][0]["name"] == "collapse" and "nan" in parsed["looked"]
        lost = CliRunner().invoke(app, ["health", str(tmp_path / "none")])
        assert lost.exit_code == 2 and "expected a run's folder" in " ".join(lost.output.replace("│", "").split())
