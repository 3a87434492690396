"""The questions asked of models trained alike: on untrained ones, two of which are the same."""

import sys
from pathlib import Path

import models as small
import numpy as np
import pandas as pd
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from experiments.inside import measure, models, tables  # noqa: E402
from unispeech_lab.corpora import bundled  # noqa: E402
from unispeech_lab.frames import Frames  # noqa: E402
from unispeech_lab.vocabulary import Vocabulary  # noqa: E402

CORPUS = bundled.load().where(language="es")[:4]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """``unispeech`` and ``wav2vec2`` are one model under two names, ``r_1`` another."""
    folder, vocabulary = tmp_path_factory.mktemp("runs"), Vocabulary.of(CORPUS)
    for method, seed in (("unispeech", 0), ("wav2vec2", 0), ("r_1", 3)):
        model = small.ours("UniSpeechForPreTraining", seed=seed, num_ctc_classes=len(vocabulary), num_hidden_layers=2)
        model.save_pretrained(folder / method / "0" / "model")
        vocabulary.save(folder / method / "0" / "model")
    (folder / "supervised" / "0").mkdir(parents=True)  # not finished yet
    return folder


@pytest.fixture(scope="module")
def found(runs, tmp_path_factory):
    """The tables, and the folder that they were made in; of the measures by layer the quickest."""
    out, there = tmp_path_factory.mktemp("out"), models.find(runs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "MEASURES", ("probe", "codebook", "segments"))
        patch.setattr(measure, "LAST", ())
        measure.measure(there, CORPUS, out, lambda text: None, progress=False)
        yield measure.gather(there, out), out


def test_models_are_found_by_method_and_seed(runs, tmp_path):
    there = models.find(runs)
    assert [model.name for model in there] == ["unispeech.0", "untrained.0", "wav2vec2.0", "r_1.0"]
    taught, untaught = there[0].load(), there[1].load()
    assert taught.config.hidden_size == untaught.config.hidden_size and not untaught.training
    assert not torch.equal(taught.ctc_proj.bias, untaught.ctc_proj.bias)
    with pytest.raises(ValueError, match="expected models as <method>/<seed>/model under"):
        models.find(tmp_path)


def test_pairs_are_seeds_of_a_method_or_main_methods_of_a_seed():
    there = [
        models.Model(*about, Path()) for about in (("unispeech", 0), ("unispeech", 1), ("wav2vec2", 0), ("r_1", 0))
    ]
    named = {(one.name, other.name) for one, other in measure.pairs(there)}
    assert named == {("unispeech.0", "unispeech.1"), ("unispeech.0", "wav2vec2.0")}


def test_a_model_under_another_name_is_the_same(found):
    tables_of, _ = found
    codes = tables_of["stability"].set_index(["one", "other", "codes", "measure"])["value"]
    assert codes["unispeech", "wav2vec2", "joint", "rand"] == pytest.approx(1)
    assert codes["unispeech", "untrained", "joint", "rand"] < 0.9
    states = tables_of["similarity"].set_index(["one", "other", "layer"])["value"]
    assert states["unispeech", "wav2vec2"].to_numpy() == pytest.approx(np.ones(4), abs=1e-6)
    assert states["unispeech", "untrained", 2] < 0.999


def test_tables_hold_every_model_and_mfcc(found):
    tables_of, _ = found
    layers = tables_of["layers"]
    assert set(layers["method"]) == {"unispeech", "wav2vec2", "untrained", "mfcc"}  # r_1 for its codes alone
    assert set(tables_of["codebook"]["method"]) == {"unispeech", "wav2vec2", "untrained", "r_1"}
    same = layers[layers["method"].isin(["unispeech", "wav2vec2"])]
    wide = same.pivot_table("value", ["layer", "measure", "target"], "method")
    assert wide["unispeech"].to_numpy() == pytest.approx(wide["wav2vec2"].to_numpy(), nan_ok=True)
    codes = tables_of["codes"]
    assert set(codes["measure"]) == {"abx", "steady", "forced"} and codes["value"].notna().all()
    assert codes[codes["measure"] == "abx"]["value"].between(0, 1).all()


def test_what_was_measured_is_not_measured_again(found, runs, monkeypatch):
    tables_of, out = found
    monkeypatch.setattr(measure, "codes_of", None)
    monkeypatch.setattr(measure, "states_beside", None)
    there = models.find(runs)
    measure.measure(there, CORPUS, out, lambda text: None, progress=False)
    for name, table in measure.gather(there, out).items():
        pd.testing.assert_frame_equal(table, tables_of[name])


def test_written_tables_and_figure(found, tmp_path):
    tables_of, _ = found
    tables.write(tables_of, tmp_path)
    told = (tmp_path / "tables.md").read_text()
    assert "| unispeech | wav2vec2 | 1.000" in told and "| mfcc | – |" in told
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")
    assert {f"{name}.csv" for name in tables_of} <= {file.name for file in tmp_path.iterdir()}


def test_half_widths_are_of_seeds_where_there_are_any():
    rows = pd.DataFrame({"run": [0, 1, 2], "value": [1.0, 2.0, 3.0], "low": 0.0, "high": 4.0})
    assert tables.mean(rows) == pytest.approx((2.0, 4.303 / np.sqrt(3)), rel=1e-3)  # t with two degrees of freedom
    assert tables.mean(rows[:1]) == (1.0, 2.0)
    assert [tables.cell(*each) for each in ((0.1234, 0.01), (123.4, np.nan), (np.nan, 0.1))] == [
        "0.123 ± 0.010",
        "123",
        "",
    ]


def test_steady_prices_are_chosen_on_the_other_half():
    """Even utterances flicker where odd ones do not: what suits one half is used for the other."""
    clock = Frames()
    codes = np.repeat([0, 1, 2, 0], 6)
    logits = 40.0 * np.eye(3)[codes][:, None]
    flicker = logits.copy()
    flicker[3], flicker[9] = flicker[9].copy(), flicker[3].copy()
    true = [clock.edges(24)[[6, 12, 18]]] * 4
    borders, setting = measure.steady([flicker, logits, flicker, logits], true, clock)
    assert setting.startswith("price ") and " and " in setting
    assert [len(each) for each in borders] == [7, 3, 7, 3]
