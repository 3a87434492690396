"""What becomes of the experiment's runs: cells, a fair table, a figure, a folder of a few kB."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent.parent))

from experiments.cross_lingual import asking, figure, methods, results, tables  # noqa: E402
from unispeech_lab.views import still  # noqa: E402


@pytest.fixture
def cells():
    rows = [
        ("one-to-one", method, target, seed, base + 0.1 * (target == "sv") + 0.01 * seed)
        for method, base in (("wav2vec2", 0.4), ("unispeech", 0.3), ("scratch", 0.5))
        for target in ("es", "sv")
        for seed in (0, 1, 2)
    ]
    return pd.DataFrame(rows, columns=["setting", "method", "target", "seed", "per"])


class TestTable:
    def test_means_intervals_and_pairs(self, cells):
        found = tables.table(cells, "one-to-one")
        assert list(found.index) == ["scratch", "wav2vec2", "unispeech"]
        assert found.loc["unispeech", ["es", "sv", "average"]].tolist() == pytest.approx([0.31, 0.41, 0.36])
        assert found.loc["unispeech", "half"] == pytest.approx(4.303 * 0.01 / np.sqrt(3), rel=1e-3)
        assert found.loc["wav2vec2", ["difference", "pairs"]].tolist() == pytest.approx([0.1, 3])
        assert found.loc["wav2vec2", "difference_half"] == pytest.approx(0, abs=1e-9)  # the same at every seed
        assert found.loc["wav2vec2", "p"] < 1e-9
        assert np.isnan(found.loc["unispeech", "p"]) and found.loc["wav2vec2", "paper"] == 16.4

    def test_a_seed_without_all_targets_counts_for_no_average(self, cells):
        stopped = cells.drop(cells[(cells.method == "wav2vec2") & (cells.target == "sv") & (cells.seed == 2)].index)
        found = tables.table(stopped, "one-to-one")
        assert found.loc["wav2vec2", ["average", "seeds", "pairs"]].tolist() == pytest.approx([0.455, 2, 3])
        assert found.loc["wav2vec2", ["es", "sv"]].tolist() == pytest.approx([0.405, 0.505])  # of the same seeds
        assert found.loc["wav2vec2", "paired"] == pytest.approx((0.45 + 0.46 + 0.42) / 3)  # a seed counts once

    def test_what_is_compared_is_told_of_the_runs_that_are_compared(self, cells):
        stopped = cells.drop(cells[(cells.method == "unispeech") & (cells.seed > 0)].index)
        found = tables.table(stopped, "one-to-one").loc["wav2vec2"]
        assert found[["average", "seeds"]].tolist() == pytest.approx([0.46, 3])  # of three seeds, and its pairs of one:
        assert found[["paired", "ours", "difference", "pairs"]].tolist() == pytest.approx([0.45, 0.35, 0.1, 1])
        lines = tables.markdown(tables.table(stopped, "one-to-one")).splitlines()
        assert lines[3].endswith("| 46.0 ± 2.5 (3) | 45.0 to 35.0: +10.0 (1) |  | 16.4 |")

    def test_the_targets_of_a_seed_are_one_pair(self, cells):
        draw = np.random.default_rng(0)
        moved = cells.assign(per=cells["per"] + draw.normal(0, 0.02, len(cells)))
        found = tables.table(moved, "one-to-one").loc["wav2vec2", "p"]
        means = moved.groupby(["method", "seed"])["per"].mean().unstack()
        assert found == pytest.approx(stats.ttest_rel(means.loc["wav2vec2"], means.loc["unispeech"]).pvalue)

    def test_targets_that_were_learned_together_come_apart(self):
        row = {"setting": "many-to-many-shared", "method": "unispeech", "target": "es+sv", "seed": 0, "per": 0.35}
        cells = pd.DataFrame([row | {"per_es": 0.3, "per_sv": 0.4}])
        found = tables.table(cells, "many-to-many-shared").loc["unispeech"]
        assert found[["es", "sv", "average"]].tolist() == pytest.approx([0.3, 0.4, 0.35])
        assert list(tables.by_seed(cells, "many-to-many-shared")) == ["es, 0", "sv, 0"]

    def test_shared_are_the_cells_that_all_have(self, cells):
        stopped = cells.drop(cells[(cells.method == "unispeech") & (cells.seed > 0) & (cells.target == "sv")].index)
        found = tables.shared(stopped, "one-to-one", ["unispeech", "wav2vec2", "supervised"])
        assert set(found["method"]) == {"unispeech", "wav2vec2"} and len(found) == 2 * 4

    def test_another_setting_is_another_table(self, cells):
        other = cells.assign(setting="many-to-one", per=cells["per"] / 2)
        found = tables.table(pd.concat([cells, other]), "many-to-one")
        assert found.loc["unispeech", "average"] == pytest.approx(0.18)
        with pytest.raises(ValueError, match="expected cells of .* in many-to-many-shared, found none"):
            tables.table(cells, "many-to-many-shared")

    def test_ablations_are_compared_where_all_were_run(self, cells):
        one = pd.DataFrame([("one-to-one", "alpha_0.25", "es", 1, 0.2)], columns=cells.columns)
        found = tables.ablations(pd.concat([cells, one]))
        assert list(found.index) == ["wav2vec2", "unispeech", "alpha_0.25"]
        assert found["average"].tolist() == pytest.approx([0.41, 0.31, 0.2]) and set(found["seeds"]) == {1}
        assert "alpha_0.25" not in tables.table(pd.concat([cells, one]), "one-to-one").index

    def test_reads_as_people_write(self, cells):
        lines = tables.markdown(tables.table(cells, "one-to-one")).splitlines()
        assert lines[0] == "| method | es | sv | average | in pairs with UniSpeech | p | paper's average |"
        assert lines[3] == "| wav2vec2 | 41.0 | 51.0 | 46.0 ± 2.5 (3) | 46.0 to 36.0: +10.0 ± 0.0 (3) | 0.000 | 16.4 |"
        assert lines[4] == "| unispeech | 31.0 | 41.0 | 36.0 ± 2.5 (3) |  |  | 14.2 |"

    def test_kinds_of_phones_are_means_over_seeds_of_means_over_targets(self, cells):
        known, new = cells["per"] / 2, cells["per"] * 2
        some = cells.assign(known=known, new=new).drop(cells[(cells.target == "sv") & (cells.seed == 2)].index)
        found = tables.by_kind(some[some["method"] != "scratch"], "one-to-one")
        assert list(found.index) == ["wav2vec2", "unispeech"]
        assert found.loc["unispeech", ["known", "new"]].tolist() == pytest.approx([0.355 / 2, 0.355 * 2])  # two seeds
        assert found.loc["unispeech", "new_half"] == pytest.approx(12.706 * 0.02 / 2, rel=1e-3)
        lines = tables.markdown_of_kinds(found).splitlines()
        assert lines[3] == "| unispeech | 17.8 ± 3.2 | 71.0 ± 12.7 |"
        assert tables.by_kind(cells.assign(known=np.nan, new=np.nan), "one-to-one").empty

    def test_by_seed_says_what_was_not_run(self, cells):
        each = tables.by_seed(cells[(cells["method"] != "scratch") | (cells["seed"] == 0)], "one-to-one")
        assert list(each) == ["es, 0", "es, 1", "es, 2", "sv, 0", "sv, 1", "sv, 2"]
        lines = tables.plain(each).splitlines()
        assert lines[2] == "| scratch | 50.0 |  |  | 60.0 |  |  |"
        assert lines[4] == "| unispeech | 30.0 | 31.0 | 32.0 | 40.0 | 41.0 | 42.0 |"


class TestFigure:
    def test_says_who_is_best_here_and_there(self, cells):
        here, there = figure.panels(tables.table(cells, "one-to-one"))
        assert here.words == "Of 3 seeds: unispeech 36.0 %, wav2vec2 46.0 %"
        assert "Lowest: unispeech, 14.2 %" in there.words

    def test_compares_averages_of_as_many_seeds_alone(self, cells):
        fewer = cells[(cells["method"] != "unispeech") | (cells["seed"] == 0)]
        here, _ = figure.panels(tables.table(fewer, "one-to-one"))
        assert here.words == "Of 3 seeds: wav2vec2 46.0 %, scratch 56.0 %"
        assert [name for _, name in here.y.ticks] == ["scratch (3)", "wav2vec2 (3)", "unispeech (1)"]

    def test_shows_every_mean_and_both_ends_of_its_interval(self, cells):
        here, there = figure.panels(tables.table(cells, "one-to-one"))
        *strokes, means, dots = here.marks
        assert means.x.tolist() == pytest.approx([56, 46, 36]) and list(means.y) == sorted(means.y)[::-1]
        assert [float(np.diff(mark.x)[0]) for mark in strokes] == pytest.approx([2 * 4.303 / np.sqrt(3)] * 3, rel=1e-3)
        assert [mark.y[0, 0] for mark in strokes] == list(means.y)
        assert dict(zip(dots.names, dots.x, strict=True))["wav2vec2, sv"] == pytest.approx(51)
        assert len(set(dots.kinds)) == 2  # colour and shape tell targets apart
        assert there.marks[0].y.tolist() == means.y.tolist() and there.marks[0].x[1] == 16.4  # in the same rows

    def test_shows_every_cell_where_it_is_given_them(self, cells):
        each = tables.by_seed(cells, "one-to-one")
        dots = figure.panels(tables.table(cells, "one-to-one"), each)[0].marks[-1]
        shown = dict(zip(dots.names, dots.x, strict=True))
        assert len(shown) == len(cells) and shown["wav2vec2, sv, 2"] == pytest.approx(52)
        assert len(set(dots.kinds)) == 2

    def test_of_one_seed_has_no_interval(self, cells):
        panels = figure.panels(tables.table(cells[cells["seed"] == 0], "one-to-one"))
        assert [mark.kind for mark in panels[0].marks] == ["points", "points"]
        assert still.png(panels)[:4] == b"\x89PNG"

    def test_of_what_the_paper_has_not_is_one_panel(self, cells):
        assert len(figure.panels(tables.table(cells, "one-to-one").drop(["wav2vec2", "unispeech"]))) == 1


class TestFolder:
    @pytest.fixture
    def out(self, tmp_path, cells):
        for row in cells.assign(stage="stage3").to_dict("records"):
            folder = tmp_path / "out" / "stage3" / row["setting"] / row["target"] / row["method"] / str(row["seed"])
            (folder / "model").mkdir(parents=True)
            told = {**row, "each": {row["target"]: row["per"]}}
            (folder / "result.json").write_text(json.dumps(told), encoding="utf-8")
            shared = {"batch_seconds": 4.0 * (1 + row["seed"]), "micro_batches": 6 // (1 + row["seed"])}
            asked = json.dumps({"steps": 40, "seed": row["seed"], **shared})
            (folder / "settings.json").write_text(asked, encoding="utf-8")
            steps = [{"step": k, "loss": 1.0 + k, "elapsed": 3.0 * k, "audio": 6.0 * k} for k in range(1, 41)]
            lines = [
                *steps,
                {"step": 40, "valid_per": 0.5},
                {"step": 40, "event": "left out", "what": "es_1: too long"},
            ]
            (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        return tmp_path / "out"

    def test_cells_are_those_that_were_run(self, out, cells):
        found = results.read(out)
        for name in ("method", "target", "seed"):
            assert sorted(found[name]) == sorted(cells[name])
        spanish = found[found["target"] == "es"]
        assert (spanish["per_es"] == spanish["per"]).all() and spanish["per_sv"].isna().all()

    def test_keeps_a_few_kilobytes(self, out, tmp_path, monkeypatch):
        results.write(out, tmp_path / "laptop")
        assert sum(file.stat().st_size for file in (tmp_path / "laptop").iterdir()) < 300_000
        monkeypatch.setattr(results, "COMMITTED", tmp_path)
        kept = tables.table(results.committed("laptop"), "one-to-one")
        pd.testing.assert_frame_equal(kept, tables.table(results.read(out), "one-to-one"))
        assert (tmp_path / "laptop" / "one-to-one.md").read_text(encoding="utf-8") == tables.markdown(kept)

    def test_costs_and_curves_are_those_logged(self, out):
        cost = results.runs(out).iloc[0]
        assert (cost["stage"], cost["steps"], cost["minutes"], cost["audio"]) == ("stage3", 40, 2.0, 4.0)
        curve = results.curves(out, points=4)
        first = curve[curve["run"] == cost["run"]]
        assert first["step"].tolist() == [6, 16, 26, 36]
        assert first["loss"].tolist() == pytest.approx([7, 16.5, 26.5, 36.5])
        assert first["valid_per"].tolist()[-1] == 0.5 and first["valid_per"].isna().sum() == 3

    def test_a_run_that_was_stopped_costs_nothing_yet(self, out):
        (out / "stage3" / "one-to-one" / "es" / "scratch" / "0" / "model").rmdir()
        assert len(results.runs(out)) == len(results.read(out)) - 1

    def test_what_goes_on_for_a_share_of_the_steps_is_a_stage_of_its_own(self):
        runs = ("stage1/en/unispeech/0", "stage1/en/unispeech_further/0", "stage2/en/es/wav2vec2/1")
        assert [results.stage_of(run) for run in runs] == ["stage1", "stage1, further", "stage2"]

    def test_runs_of_other_settings_make_no_table(self, out):
        file = out / "stage3" / "one-to-one" / "sv" / "unispeech" / "1" / "settings.json"
        assert results.settings(out) == {"stage3": {"steps": 40, "batch_seconds": 24.0}}
        file.write_text(file.read_text(encoding="utf-8").replace("40", "80"), encoding="utf-8")
        with pytest.raises(ValueError, match=r"runs of stage3 to be alike, found steps 40 and 80 .*: keep them apart"):
            results.settings(out)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ('{"setting": "one', "expected a finished cell, found JSONDecodeError"),
            ("[]", "expected a finished cell, found TypeError"),
            ('{"per": 0.3}', r"expected a finished cell, found KeyError\('each'\)"),
            ('"per": 7,', "expected per as a share, from 0 to 5, found 7"),
            ('"per": NaN,', "expected per as a share, from 0 to 5, found nan"),
        ],
    )
    def test_a_broken_cell_is_named(self, out, text, told):
        file = out / "stage3" / "one-to-one" / "sv" / "unispeech" / "1" / "result.json"
        whole = json.loads(file.read_text(encoding="utf-8"))
        if text.endswith(","):
            text = "{" + text + json.dumps({name: value for name, value in whole.items() if name != "per"})[1:]
        file.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=f"sv.unispeech.1.result.json: {told}"):
            results.read(out)

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("", "expected a table of cells, found No columns"),
            ("setting,method,target,seed,per\n", "found no row"),
            ("setting,method,target,seed,rate\na,b,es,0,0.3\n", "setting, method, target, seed, per, found no per"),
            ("setting,method,target,seed,per\na,b,es,0,7\n", "expected per as a share, from 0 to 5, found 7"),
            ("setting,method,target,seed,per\na,b,es,0,0.3x\n", "expected per as a share, .* found '0.3x'"),
            ("setting,method,target,seed,per,per_es\na,b,es,0,0.3,-1\n", "expected per_es as a share, .* found -1"),
        ],
    )
    def test_a_broken_table_of_cells_is_named(self, tmp_path, monkeypatch, text, told):
        monkeypatch.setattr(results, "COMMITTED", tmp_path)
        (tmp_path / "laptop").mkdir()
        (tmp_path / "laptop" / "cells.csv").write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=f"laptop.cells.csv: .*{told}"):
            results.committed("laptop")

    def test_nothing_done_is_said(self, tmp_path):
        with pytest.raises(ValueError, match="expected finished cells"):
            results.read(tmp_path)
        with pytest.raises(ValueError, match="expected a size with committed cells .*found 'phone'"):
            results.committed("phone")


class TestCommitted:
    """What lies in the repository, where it does."""

    @pytest.fixture(params=sorted(file.parent.name for file in results.COMMITTED.glob("*/cells.csv")))
    def size(self, request):
        return request.param

    def test_each_cell_once_of_methods_there_are(self, size):
        cells = results.committed(size)
        assert not cells.duplicated(["setting", "method", "target", "seed"]).any()
        assert set(cells["method"]) <= set(methods.METHODS) and cells["per"].between(0, 2).all()

    def test_tables_are_those_of_the_cells(self, size):
        cells, folder = results.committed(size), results.COMMITTED / size
        for setting in sorted(set(cells["setting"])):
            written = (folder / f"{setting}.md").read_text(encoding="utf-8")
            assert written == tables.markdown(tables.table(cells, setting))

    def test_the_readme_shows_them_as_they_are(self, size):
        readme = (results.COMMITTED.parent / "README.md").read_text(encoding="utf-8")
        for file in sorted((results.COMMITTED / size).glob("*.md")):
            assert file.read_text(encoding="utf-8") in readme, f"{file.name} is not what README.md shows"


def test_curves_keep_a_method_s_colour_in_every_panel():
    panels = asking.drawn(asking.begun())
    names = [[name.removesuffix(" (has none)") for name in panel.marks[0].names] for panel in panels]
    assert len(panels) > 3 and all(each == names[0] for each in names)
    ctc = next(panel.marks[0] for panel in panels if panel.name == "ctc")
    silent = [name for name, y in zip(ctc.names, ctc.y, strict=True) if np.isnan(y).all()]
    assert silent == ["wav2vec2 (has none)"]
