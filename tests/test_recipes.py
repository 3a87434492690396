"""Recipes: what a file says is what is done to the model, and nothing else; another file is refused."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import transformers
from models import LAYOUTS, SIZES, ours, settings, wake
from torch import nn
from typer.testing import CliRunner

import unispeech_lab
from unispeech_lab import ctc
from unispeech_lab.alignment import Span
from unispeech_lab.analysis import causal, minimal, patching
from unispeech_lab.cli import app
from unispeech_lab.corpus import Utterance
from unispeech_lab.recipes import Codewords, Heads, Layers, Phones, Recipe, pairs
from unispeech_lab.views.asking import Hear
from unispeech_lab.vocabulary import Vocabulary

VOCABULARY = Vocabulary("abcdefghij")  # with the special symbols the 14 classes of the small model
EVERYTHING = Recipe(
    [
        Heads(["1.*", "50%.0"], "silent"),
        Layers(["*"], "mean", together=True),
        Codewords(["0.0", "1.7"], "nearest"),
        Phones(["projection", "100%"], phone="a", by="b", source="corpus", most=2),
    ],
    "all kinds",
    ["kl", "states"],
    3,
)


def speech(seed, phones="abcab", speaker="f1", id=None):
    wave = (0.1 * np.random.default_rng(seed).normal(size=1600 * len(phones))).astype(np.float32)
    spans = tuple(Span(label, 0.1 * k, 0.1 * (k + 1)) for k, label in enumerate(phones))
    return Utterance(id or f"u{seed}", wave, "", "en", speaker, spans)


def pretrained(**changes):
    model = ours("UniSpeechForPreTraining", **changes)
    model.vocabulary = VOCABULARY
    return model


@pytest.fixture(scope="module")
def model():
    return pretrained()


@pytest.fixture(scope="module")
def corpus():
    return [speech(k) for k in range(3)]


def logits(model, utterance, changes=None):
    trace = Hear(utterance, ("ctc_proj",), changes or {})(model)
    return trace["ctc_proj"][0]


def expected(model, other, corpus, **changes):
    """KL, share moved and readings changed from one model's output to another's, over all frames."""
    found = [causal.output(logits(model, u, changes).numpy(), logits(other, u, changes).numpy()) for u in corpus]
    return {name: sum(x[name][0] for x in found) / sum(x[name][1] for x in found) for name in found[0]}


def assert_row(row, answer):
    for name, value in answer.items():
        assert row[name] == pytest.approx(value, rel=1e-3, abs=1e-6), name


# ---- the file -------------------------------------------------------------------------------------------------------


def test_a_recipe_is_read_as_it_was_written(tmp_path):
    EVERYTHING.save(tmp_path / "all.json")
    assert Recipe.load(tmp_path / "all.json") == EVERYTHING
    said = json.loads((tmp_path / "all.json").read_text())
    assert said["version"] == 1 and said["interventions"][0] == {
        "kind": "heads",
        "at": ["1.*", "50%.0"],
        "edit": "silent",
        "together": False,
    }


GOOD = {
    "format": "unispeech-lab recipe",
    "version": 1,
    "interventions": [{"kind": "heads", "at": ["3.5"], "edit": "silent"}],
}


def one(**changes):
    row = {"kind": "heads", "at": ["*.*"], "edit": "silent", **changes}
    return {**GOOD, "interventions": [{name: value for name, value in row.items() if value is not None}]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "expected a recipe"),
        ({**GOOD, "format": "other"}, "expected a recipe"),
        ({**GOOD, "version": 2}, "expected version 1, found 2"),
        ({**GOOD, "code": "import os"}, "of a recipe, found code"),
        ({**GOOD, "interventions": []}, "at least one intervention"),
        ({**GOOD, "interventions": {}}, "expected lists"),
        ({**GOOD, "measures": ["kl", "bleu"]}, "measures out of kl, .* found bleu"),
        ({**GOOD, "version": True}, "expected version 1, found True"),
        ({**GOOD, "version": 1.0}, "expected version 1, found 1.0"),
        ({**GOOD, "about": []}, "words for about"),
        ({**GOOD, "seed": "0"}, "whole number from 0 on for seed"),
        ({**GOOD, "seed": -1}, "from 0 on for seed, found -1"),
        (one(kind=["layers"]), "kind out of heads, .* found \\['layers'\\]"),
        (one(kind="lambda"), "kind out of heads, layers, codewords, phones, found 'lambda'"),
        (one(fn="x"), "keys at, edit, together of heads, found fn"),
        (one(edit=None), "expected at, edit, together of heads, found at"),
        (one(edit="louder"), "edit of heads out of silent, even gaze.*found 'louder'"),
        (one(at=[]), "list of places such as \"3.5\""),
        (one(at=["3"]), "such as \"3.5\", \"50%.0\" or \"\\*.\\*\", found '3'"),
        (one(at=[3.5]), "found 3.5"),
        (one(together=1), "together of heads to be true or false"),
        (one(kind="layers", edit="skip", at=["1.1"]), "such as \"3\", \"50%\" or \"\\*\", found '1.1'"),
        (one(kind="phones", edit=None, at=["*"], phone="s"), "by of phones to be a phone"),
        (one(kind="phones", edit=None, at=["*"], phone="s", by="s"), "another phone by which 's'"),
        (one(kind="phones", edit=None, at=["*"], phone="s", by="z", source="web"), "source of phones out of"),
        (one(kind="phones", edit=None, at=["*"], phone="s", by="z", most=0), "whole number from 1 on"),
    ],
)  # fmt: skip
def test_what_is_no_recipe_is_refused(tmp_path, given, message):
    (tmp_path / "r.json").write_text(json.dumps(given))
    with pytest.raises(ValueError, match=f"r.json: .*{message}"):
        Recipe.load(tmp_path / "r.json")


def test_no_file_no_json(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected a recipe"):
        Recipe.load(tmp_path / "none.json")
    (tmp_path / "r.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="r.json"):
        Recipe.load(tmp_path / "r.json")


def test_the_examples_are_recipes():
    examples = sorted((Path(__file__).parent.parent / "experiments" / "recipes").glob("*.json"))
    assert [file.stem for file in examples] == ["every_head", "every_layer", "s_by_z"]
    kinds = [{each.kind for each in Recipe.load(file).interventions} for file in examples]
    assert kinds == [{"heads"}, {"layers"}, {"phones"}]


# ---- taking away ----------------------------------------------------------------------------------------------------


def test_a_head_that_does_nothing_moves_nothing_and_others_do(corpus):
    model = pretrained()
    attention = model.unispeech.encoder.layers[1].attention
    with torch.no_grad():
        attention.v_proj.weight[8:16] = 0
        attention.v_proj.bias[8:16] = 0
    rows = Recipe([Heads(["1.*"], "silent")]).run(model, corpus)
    assert rows["item"].tolist() == [0, 1, 2, 3] and rows["layer"].eq(1).all()
    assert rows.loc[1, "kl"] == pytest.approx(0, abs=1e-9) and rows.loc[1, "states"] == pytest.approx(0, abs=1e-6)
    assert (rows.loc[[0, 2, 3], ["kl", "moved", "states"]] > 1e-6).all(axis=None)
    assert (rows["kl_low"] <= rows["kl"]).all() and (rows["kl"] <= rows["kl_high"]).all()


@pytest.mark.parametrize("layout", ["large", "base"])
def test_a_silent_head_is_one_masked_off(corpus, layout):
    model = pretrained(layout=layout)
    mask = torch.ones(3, 4)
    mask[2, 1] = mask[0, 3] = 0
    rows = Recipe([Heads(["2.1", "0.3"], "silent", together=True)]).run(model, corpus)
    assert rows["intervention"].tolist() == ["heads 2.1 0.3 together, silent"]
    found = []
    for utterance in corpus:
        with torch.no_grad():
            masked = model(**model.prepare([utterance]), head_mask=mask).ctc_logits[0]
        found.append(causal.output(logits(model, utterance).numpy(), masked.numpy())["kl"])
    assert rows["kl"][0] == pytest.approx(sum(x for x, _ in found) / sum(n for _, n in found), rel=1e-3)


@pytest.mark.parametrize("layout", ["large", "base"])
@pytest.mark.parametrize("gone", [[0], [2], [1, 2]])
def test_a_skipped_layer_is_one_that_is_not_there(corpus, layout, gone):
    model = pretrained(layout=layout)
    shorter = deepcopy(model)
    layers = shorter.unispeech.encoder.layers
    shorter.unispeech.encoder.layers = nn.ModuleList(layer for k, layer in enumerate(layers) if k not in gone)
    rows = Recipe([Layers([str(k) for k in gone], "skip", together=True)]).run(model, corpus)
    assert rows["kl"][0] > 1e-4
    assert_row(rows.iloc[0], expected(model, shorter, corpus))


def test_a_levelled_layer_says_one_thing_all_along(model, corpus):
    (row,) = Recipe([Layers(["2"], "mean")]).run(model, corpus).to_dict("records")
    seen = []
    logits(model, corpus[0], {"layers.2": lambda value: seen.append(causal.level(value)) or seen[0]})
    assert torch.allclose(seen[0], seen[0][:, :1].expand_as(seen[0]))
    assert row["kl"] > 1e-4
    said = causal.level(torch.tensor([[[1.0], [3.0]]]))
    assert said.tolist() == [[[2.0], [2.0]]]


@pytest.mark.parametrize("edit", ["nearest", "mean"])
def test_a_codeword_taken_away_is_a_row_of_the_table_changed(corpus, edit):
    model = pretrained()
    with torch.no_grad():
        for part in (model.project_q, model.project_hid, model.ctc_proj):
            part.weight *= 10  # or a codeword is worth next to nothing
    codes = np.concatenate([Hear(u, ("quantizer.codes",))(model)["quantizer.codes"][0] for u in corpus])
    used = int(np.bincount(codes[:, 1]).argmax())
    other = deepcopy(model)
    with torch.no_grad():
        table = other.quantizer.codevectors[0, 8:]
        rows = torch.cdist(table, table).fill_diagonal_(torch.inf)
        table[used] = table[rows[used].argmin()] if edit == "nearest" else table.mean(0)
    unused = next(iter(set(range(8)) - set(codes[:, 1].tolist())), None)
    row, *rest = Recipe([Codewords([f"1.{used}"] + ([f"1.{unused}"] if unused is not None else []), edit)]).run(
        model, corpus
    ).to_dict("records")  # fmt: skip
    assert row["kl"] > 1e-5 and row["states"] == pytest.approx(0, abs=1e-6)
    assert_row(row, expected(model, other, corpus, replaced=torch.ones_like))
    assert all(other["kl"] == pytest.approx(0, abs=1e-9) for other in rest)


def test_codewords_taken_away_together_do_not_follow_one_another():
    model = pretrained()
    table = model.quantizer.codevectors.detach()[0, :8]
    near = torch.cdist(table, table).fill_diagonal_(torch.inf).argmin(1).tolist()
    one = next(k for k in range(8) if near[near[k]] == k)  # the closest two: each is the other's nearest
    (trial,) = Codewords([f"0.{one}", f"0.{near[one]}"], "nearest", together=True).trials(model)
    codes = torch.tensor([[[one, one], [near[one], near[one]]]])
    assert trial.changes["quantizer.codes"](codes).tolist() == [[[near[one], one], [one, near[one]]]]
    (trial,) = Codewords(["0.*"], "nearest", together=True).trials(model)
    every = torch.arange(8).repeat(2, 1).T[None]
    assert trial.changes["quantizer.codes"](every)[0].T.tolist() == [near, list(range(8))]


def test_phone_errors_before_and_after_are_those_of_the_readings(model, corpus):
    row = Recipe([Layers(["0"], "skip")]).run(model, [*corpus, speech(9, "xyz")]).iloc[0]
    changes = causal.skip("encoder.dropout", "layers.0")
    read = [[ctc.greedy(logits(model, u, c).numpy(), VOCABULARY.blank) for u in corpus] for c in ({}, changes)]
    rates = []
    for hypotheses in read:
        spelt = [[VOCABULARY[k] for k in each] for each in hypotheses]
        said = [[span.label for span in u.phones] for u in corpus]
        rates.append(unispeech_lab.error_rates.phone_error_rate(said, spelt))
    assert row["errors_before"] == pytest.approx(rates[0]) and row["errors_after"] == pytest.approx(rates[1])
    assert row["errors"] == pytest.approx(rates[1] - rates[0]) and row["utterances"] == 4


def test_how_far_a_known_output_goes():
    before, after = np.log([[0.5, 0.5], [0.9, 0.1]]), np.log([[0.25, 0.75], [0.9, 0.1]])
    found = causal.output(before, after)
    assert found["kl"] == (pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3)), 2)  # of what was, not of what is
    assert found["moved"] == (pytest.approx(0.25), 2) and found["reading"] == (1, 2)
    assert causal.turned(np.array([[1.0, 0], [1, 0]]), np.array([[0, 2.0], [3, 0]])) == (1, 2)


def test_intervals_are_of_utterances():
    drawn = np.array([[0, 0], [0, 1], [1, 1]])
    assert causal.interval([1, 9], [10, 30], drawn) == pytest.approx((0.25, 0.1075, 0.2975))  # of 0.1, 0.25, 0.3
    assert np.isnan(causal.interval([1], [10], np.zeros((3, 1), int))[1:]).all()
    assert np.isnan(causal.interval([0], [0], drawn)).all()


# ---- one phone by another -------------------------------------------------------------------------------------------


def test_a_patch_at_the_last_layer_says_what_the_donor_said(model):
    """Behind the last layer every frame is on its own, so the belief moves over whole."""
    one, other = speech(1, "cacc", id="one"), speech(2, "ddbd", id="other")
    recipe = Recipe([Phones(["*", "projection"], phone="a", by="b", source="corpus")])
    rows = recipe.run(model, [one, other]).set_index("intervention")
    assert rows.index.tolist() == [
        "a by b at layer 0",
        "a by b at layer 1",
        "a by b at layer 2",
        "a by b at projection",
    ]
    assert rows["pairs"].eq(1).all() and rows["source"].eq("corpus").all()
    frames = patching.frames_of(one.phones[1], model.frames, 19), patching.frames_of(other.phones[2], model.frames, 19)
    assert len(frames[0]) == len(frames[1]) == 5
    said = [torch.softmax(logits(model, u), -1).numpy() for u in (one, other)]
    share = patching.shares(said[1], frames[1], VOCABULARY.blank)
    row = rows.loc["a by b at layer 2"]
    assert row["belief"] == pytest.approx(share[VOCABULARY.encode(["b"])[0]], rel=1e-4)
    assert row["becomes"] == row["donor"]
    after = said[0].copy()
    after[frames[0]] = said[1][frames[1]]
    assert row["moved"] == pytest.approx(patching.moved(said[0], after).mean(), rel=1e-3)
    assert rows.loc["a by b at layer 0", "moved"] != pytest.approx(row["moved"], rel=1e-3)


def test_two_texts_in_one_voice_are_two_utterances(model):
    """What espeak-ng says is named after its voice."""
    heard = [replace(speech(k, "cab", id="en-f1"), text=text) for k, text in enumerate(("one", "other"))]
    row = Recipe([Phones(["1"], phone="a", by="b", source="corpus")]).run(model, heard).iloc[0]
    assert (row["utterances"], row["pairs"]) == (2, 2) and row["belief_low"] < row["belief_high"]


def test_a_patch_stretches_the_donor_to_the_phone():
    states, donor = torch.zeros(1, 6, 1), torch.arange(4.0)[None, :, None]
    patched = causal.transplant(donor, range(1, 5), range(2, 4))(states)
    assert patched[0, :, 0].tolist() == [0, 2, 2, 3, 3, 0]


def test_pairs_of_the_corpus_are_of_one_speaker_and_neighbourhood():
    heard = [
        speech(0, "cad", "f1", "one"),
        speech(1, "cbe", "f1", "same speaker"),
        speech(2, "cbd", "f1", "and same neighbours"),
        speech(3, "cbd", "m1", "same neighbours"),
        speech(4, "aeeae", "m1", "two"),
    ]
    found, source = pairs.find(heard, "a", "b", "corpus", 2)
    told = {pair.utterance.id: (pair.phone, pair.donor.id, pair.other) for pair in found}
    assert told == {"one": (1, "and same neighbours", 1), "two": (0, "same neighbours", 1)} and source == "corpus"
    assert len(pairs.find(heard, "a", "b", "corpus", 9)[0]) == 3
    with pytest.raises(ValueError, match="expected a and q among the phones of the corpus, found a b c d e"):
        pairs.find(heard, "a", "q", "corpus", 9)


def test_minimal_pairs_differ_in_the_one_phone_alone():
    pytest.importorskip("espeakng_loader", reason="the extra speech is not installed")
    heard = [replace(speech(0, "", id="bus"), text="The bus is at the sea.", phones=())]
    (pair,), source = pairs.find(heard, "s", "z", "minimal pairs", 5)
    labels = [[span.label for span in utterance.phones] for utterance in (pair.utterance, pair.donor)]
    differ = [k for k, (a, b) in enumerate(zip(*labels, strict=True)) if a != b]
    assert differ == [pair.phone] == [pair.other] and source == "minimal pairs"
    assert (labels[0][pair.phone], labels[1][pair.other]) == ("s", "z")
    with pytest.raises(ValueError, match='expected a text in which ʒ becomes q.*"source": "corpus"'):
        pairs.find(heard, "ʒ", "q", "minimal pairs", 5)


def test_without_the_synthesiser_pairs_are_of_the_corpus(monkeypatch):
    monkeypatch.setattr(minimal, "find_spec", lambda name: None)
    heard = [replace(speech(k), text="The bus is at the sea.") for k in range(2)]
    assert pairs.find(heard, "a", "b", "either", 5)[1] == "corpus"


# ---- other models ---------------------------------------------------------------------------------------------------


def test_half_way_up_is_half_way_up_in_any_model(corpus):
    recipe = Recipe([Heads(["50%.0"], "even gaze"), Layers(["0%", "100%"], "skip")])
    for depth in (1, 3, 5):
        rows = recipe.run(pretrained(num_hidden_layers=depth), corpus[:1])
        assert rows["layer"].tolist() == [(depth - 1) // 2] + ([0, depth - 1] if depth > 1 else [0])


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (Heads(["5.0"], "silent"), "a layer in '5.0' among 0 to 2.*found 5: write \"\\*\" for each"),
        (Heads(["1.4"], "silent"), "a head in '1.4' among 0 to 3"),
        (Layers(["101%"], "skip"), "a layer from 0% to 100%"),
        (Codewords(["2.0"], "mean"), "a group in '2.0' among 0 to 1"),
        (Codewords(["0.8"], "mean"), "a codeword in '0.8' among 0 to 7"),
        (Phones(["*"], phone="a", by="q"), "expected a model that reads q, found UniSpeechForPreTraining with 14"),
    ],
)
def test_what_a_model_lacks_is_said_before_it_hears_anything(model, step, message):
    with pytest.raises(ValueError, match=message):
        Recipe([step]).run(model, [speech(0)])


def test_a_model_without_a_head_has_states(corpus):
    model = ours("UniSpeechModel")
    rows = Recipe([Layers(["1"], "skip")]).run(model, corpus)
    assert rows["states"][0] > 1e-3 and "kl" not in rows
    with pytest.raises(ValueError, match="expected a CTC head for the measure 'kl', found UniSpeechModel"):
        Recipe([Layers(["1"], "skip")], measures=["kl"]).run(model, corpus)
    with pytest.raises(ValueError, match="expected a pretraining model with codewords, found UniSpeechModel"):
        Recipe([Codewords(["0.0"], "mean")]).run(model, corpus)
    nameless = ours("UniSpeechForPreTraining")
    with pytest.raises(ValueError, match="whose classes have names.*leave errors out of measures"):
        Recipe([Layers(["1"], "skip")], measures=["kl", "errors"]).run(nameless, corpus)
    with pytest.raises(ValueError, match="a vocab.json beside it names them"):
        Recipe([Phones(["1"], phone="a", by="b")]).run(nameless, corpus)
    with pytest.raises(ValueError, match="at least one utterance"):
        Recipe([Layers(["1"], "skip")]).run(model, [])


def test_recipes_run_on_wav2vec2_checkpoints(tmp_path, corpus):
    torch.manual_seed(0)
    sizes = {name: value for name, value in {**SIZES, **LAYOUTS["base"]}.items() if name != "num_ctc_classes"}
    wake(transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**sizes)).eval()).save_pretrained(tmp_path)
    rows = Recipe([Heads(["*.*"], "silent"), Layers(["*"], "skip")]).run(unispeech_lab.load(tmp_path), corpus[:2])
    assert len(rows) == 12 + 3 and (rows["states"] > 0).all()


def test_the_models_weights_and_mode_are_as_they_were(model, corpus):
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    rows = EVERYTHING.run(model, corpus)
    assert len(rows) == 4 + 1 + 2 + 2 and set(rows.columns) & {"moved", "errors"} == set()
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert not any(part._forward_hooks for part in model.modules())
    pd.testing.assert_frame_equal(rows, EVERYTHING.run(model, corpus))


def test_the_command_has_a_place_for_rows_before_it_hears_anything(tmp_path, monkeypatch):
    Recipe([Layers(["50%"], "skip")]).save(tmp_path / "r.json")
    given = ["recipe", str(tmp_path / "r.json"), "tiny", "bundled", "--number", "2", "-o"]
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("mine")
    with monkeypatch.context() as patch:
        patch.setattr(Recipe, "run", lambda *_, **__: pytest.fail("heard"))
        for place, said in (("folder.csv", "for the rows, found a folder"), ("file/x.csv", "File exists")):
            told = CliRunner().invoke(app, [*given, str(tmp_path / place)], env={"COLUMNS": "400"})
            assert told.exit_code == 2 and said in " ".join(told.output.split()), told.output
    rows = pd.DataFrame({"intervention": ["a"], "kl": [0.0], "kl_low": [0.0], "kl_high": [0.0]})
    monkeypatch.setattr(Recipe, "run", lambda *_, **__: rows)
    told = CliRunner().invoke(app, [*given, str(tmp_path / "new" / "x.csv")])
    assert told.exit_code == 0 and (tmp_path / "new" / "x.csv").is_file()


def test_the_command_writes_rows(tmp_path):
    Recipe([Heads(["100%.0"], "silent"), Layers(["50%"], "skip")]).save(tmp_path / "r.json")
    unispeech_lab.UniSpeechForPreTraining(unispeech_lab.UniSpeechConfig(**settings())).save_pretrained(tmp_path / "m")
    given, output = [str(tmp_path / name) for name in ("r.json", "m")], ["-o", str(tmp_path / "o.csv")]
    told = CliRunner().invoke(app, ["recipe", *given, "bundled", *output, "--number", "2"])
    assert told.exit_code == 0, told.output
    rows = pd.read_csv(tmp_path / "o.csv")
    assert rows["intervention"].tolist() == ["head 2.0 silent", "layer 1 skip"] and rows["utterances"].eq(2).all()
    assert "2 interventions over 2 utterances" in " ".join(told.output.split())
    told = CliRunner().invoke(app, ["recipe", str(tmp_path / "no.json"), "tiny", "bundled", *output])
    assert told.exit_code == 2 and "expected a recipe" in " ".join(told.output.split())
