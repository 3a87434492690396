"""Compare: the same speech, seeds and steps for each variant, a table and curves of what came out."""

import json

import pandas as pd
import pytest
import torch
from test_variants import CORPUS, config
from typer.testing import CliRunner

from unispeech_lab import Corpus, cli, compare, corpora, variants
from unispeech_lab.pretrain import Settings, Stop
from unispeech_lab.run import Run
from unispeech_lab.variants import Variant

SETTINGS = Settings(steps=4, batch_seconds=6, log_every=2, validate_every=2, save_every=100)
VALID = Corpus.bundled().where(language="en")[6:8]
COMMON = {"config": config(), "valid": VALID, "progress": False}
NAMES = ["unispeech", "wav2vec2", "supervised"]


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    return compare.compare(NAMES, CORPUS, tmp_path_factory.mktemp("compare"), SETTINGS, (0, 1), **COMMON)


def test_every_variant_from_every_seed_on_the_same_speech(compared):
    assert list(compared.runs) == [(name, seed) for seed in (0, 1) for name in NAMES]
    settings = [run.settings for run in compared.runs.values()]
    assert len({told["corpus"] for told in settings}) == 1 and {told["steps"] for told in settings} == {4}
    assert [(told["variant"], told["seed"]) for told in settings] == list(compared.runs)
    assert all(run.finished and run.table.index[-1] == 4 for run in compared.runs.values())
    audio = {key: run.table["audio"].dropna().tolist() for key, run in compared.runs.items()}
    assert audio["unispeech", 0] == audio["wav2vec2", 0] == audio["supervised", 0] != audio["unispeech", 1]


def test_seeds_begin_from_the_same_weights(tmp_path):
    begun = {}

    class Looks(Variant):
        def before(self, model, step, steps):
            begun.setdefault(self.name, []).append(model.ctc_proj.weight.detach().clone()) if step == 0 else None

    class LooksToo(Looks):
        changes = {"alpha": 0.0}

    settings = Settings(steps=1, batch_seconds=6)
    torch.manual_seed(5)
    compare.compare([Looks(), LooksToo()], CORPUS, tmp_path, settings, (3, 4), **COMMON)
    assert torch.equal(begun["Looks"][0], begun["LooksToo"][0]) and torch.equal(begun["Looks"][1], begun["LooksToo"][1])
    assert not torch.equal(begun["Looks"][0], begun["Looks"][1])


def test_table_is_mean_and_spread_over_seeds(compared):
    each, table = compared.each, compared.table
    assert list(table.index) == NAMES and (table["seeds"] == 2).all()
    last = [compared.runs["unispeech", seed].table["valid_per"].dropna().iloc[-1] for seed in (0, 1)]
    assert table["per"]["unispeech"] == pytest.approx(sum(last) / 2)
    assert table["per_spread"]["unispeech"] == pytest.approx(abs(last[0] - last[1]) / 2**0.5)
    assert len(each) == 6 and each["frames_per_second"].gt(0).all() and each["seconds"].gt(0).all()


def test_heads_that_learn_nothing_have_no_numbers(compared):
    table = compared.table
    assert pd.isna(table["per"]["wav2vec2"]) and pd.isna(table["ctc"]["wav2vec2"])
    assert pd.isna(table["perplexity"]["supervised"]) and pd.isna(table["accuracy"]["supervised"])
    assert table.loc["unispeech"].notna().all()


def test_files(compared):
    folder = compared.folder
    read = pd.read_csv(folder / "table.csv", index_col="variant")
    pd.testing.assert_frame_equal(read, compared.table, check_dtype=False)
    assert len(pd.read_csv(folder / "runs.csv")) == 6
    rows = (folder / "table.md").read_text(encoding="utf-8").splitlines()
    assert rows[0].startswith("| variant | seeds | phone error rate | accuracy |") and len(rows) == 5
    mean, spread = compared.table["per"]["unispeech"], compared.table["per_spread"]["unispeech"]
    assert f"| unispeech | 2 | {mean:.3f} ± {spread:.3f} |" in rows[2] and rows[3].startswith("| wav2vec2 | 2 |  |")
    assert (folder / "curves.png").read_bytes()[:4] == b"\x89PNG"
    said = (folder / "curves.txt").read_text(encoding="utf-8")
    assert said.startswith("loss, validation.") and "less is better" in said


def test_curves_are_means_over_seeds(compared):
    panels = {panel.name: panel for panel in compared.curves.panels}
    assert {"loss", "ctc", "contrastive", "accuracy", "perplexity", "per"} == set(panels)
    (lines,) = panels["accuracy"].marks
    assert lines.names == ("unispeech", "wav2vec2") and lines.x.tolist() == [2, 4]
    both = [compared.runs["wav2vec2", seed].table["valid_accuracy"].dropna() for seed in (0, 1)]
    assert lines.y[1] == pytest.approx(((both[0] + both[1]) / 2).tolist())
    assert panels["per"].marks[0].names == ("unispeech", "supervised")  # wav2vec2's CTC head learned nothing


def test_a_collapse_is_said(tmp_path):
    runs = {}
    for name, equal in (("unispeech", 0.97), ("equal_negatives", 0.1)):
        run = Run(tmp_path / name, {"steps": 2})
        run.log(step=2, equal_negatives=equal, frames_per_second=1.0)
        run.log(step=2, valid_accuracy=1.0, valid_contrastive=0.0)
        runs[name, 0] = run
    told = compare.Comparison(tmp_path, runs).markdown
    assert "\nunispeech: its codebook has collapsed, 97% of the negatives" in told
    assert "equal_negatives: its" not in told


def test_goes_on_and_adds(tmp_path):
    """A stopped run goes on, a finished one is kept, a new seed is added."""
    heard = []

    def stop(row):
        heard.append((row["variant"], row["seed"], row["step"]))
        if row["variant"] == "wav2vec2" and row["step"] == 2:
            raise Stop

    compare.compare(NAMES[:2], CORPUS, tmp_path, SETTINGS, watch=stop, **COMMON)
    assert heard[-1] == ("wav2vec2", 0, 2)
    heard.clear()
    again = compare.compare(
        NAMES[:2],
        CORPUS,
        tmp_path,
        SETTINGS,
        (0, 1),
        watch=lambda row: heard.append((row["variant"], row["seed"], row["step"])),
        **COMMON,
    )
    assert [step for *who, step in heard if who == ["wav2vec2", 0]][0] == 4
    assert {tuple(who) for *who, _ in heard} == {("wav2vec2", 0), ("unispeech", 1), ("wav2vec2", 1)}
    assert all(run.finished for run in again.runs.values())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"settings": Settings(steps=5, batch_seconds=6, log_every=2, validate_every=2, save_every=100)},
            "steps 4, now 5",
        ),
        ({"corpus": CORPUS[:5]}, "learns_from '6 utterances, .* now '5 utterances"),
        ({"config": config(hidden_size=16)}, "config .*'hidden_size': 32.* now .*'hidden_size': 16"),
        ({"names": []}, "expected variants, each once, and seeds, found none"),
        ({"names": ["wav2vec2", "wav2vec2"]}, "found wav2vec2, wav2vec2"),
        ({"corpus": CORPUS[:1], "valid": None}, "expected utterances to learn from and to validate on, found .*1 utt"),
        ({"seeds": []}, r"each once, and seeds, found unispeech, .* and \[\]"),
    ],
)
def test_what_does_not_fit(compared, changes, says):
    given = {"names": NAMES, "corpus": CORPUS, "out": compared.folder, "settings": SETTINGS, "seeds": (0,), **COMMON}
    with pytest.raises(ValueError, match=says):
        compare.compare(**{**given, **changes})


def test_a_tenth_is_held_out_whatever_the_order():
    corpus = Corpus.bundled()
    learned, valid = compare.held_out(corpus)
    ids = [set(part.table["id"]) for part in (learned, valid)]
    assert not ids[0] & ids[1] and ids[0] | ids[1] == set(corpus.table["id"])
    assert 0.05 < len(valid) / len(corpus) < 0.15
    turned = compare.held_out(corpus[::-1])[1]
    assert set(turned.table["id"]) == ids[1]
    assert [len(part) for part in compare.held_out(corpus[:2])] == [1, 1]


# The command


def run(*arguments):
    return CliRunner().invoke(cli.app, ["compare", *map(str, arguments)])


def test_command(tmp_path):
    model = tmp_path / "config.json"
    config().to_json_file(model)
    CORPUS.table.to_csv(tmp_path / "speech.tsv", sep="\t", index=False)
    table = CORPUS.table.assign(path=[CORPUS.root / path for path in CORPUS.table["path"]]).drop(columns="alignment")
    table.to_csv(tmp_path / "speech.tsv", sep="\t", index=False)
    told = [tmp_path / "speech.tsv", "--model", model, "--seconds", 6, "--validations", 2, "--seeds", "0 1"]
    said = run("supervised", "unispeech", "--out", tmp_path / "out", "--steps", 2, "--corpus", *told)
    assert said.exit_code == 0, said.output
    assert "| supervised | 2 |" in said.output and "curves.png" in said.output
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["validate_every"] == 1
    assert (tmp_path / "out" / "unispeech" / "1" / "model" / "model.safetensors").is_file()


def test_command_lists_variants():
    said = run("--list").output
    assert all(name in said for name in variants.names())


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ([], "expected variants out of authors"),
        (["unispech"], "did you mean 'unispeech'?"),
        (["unispeech", "--corpus", "nowhere"], "found nothing at nowhere"),
    ],
)
def test_command_that_cannot_be(told, says, tmp_path):
    said = run(*told, "--out", tmp_path)
    assert said.exit_code == 2 and says in " ".join(said.output.replace("│", " ").split())


def test_a_corpus_by_its_place(tmp_path):
    assert len(corpora.at("bundled")) == len(Corpus.bundled())
    folder = CORPUS.root
    assert list(corpora.at(folder).table["id"]) == list(Corpus.bundled().table["id"])
    assert len(corpora.at(folder / "manifest.tsv")) == len(Corpus.bundled())
    assert len(corpora.at(folder / "en")) == len(Corpus.bundled().where(language="en"))
    with pytest.raises(FileNotFoundError, match="expected 'bundled', a table or a folder of speech, found nothing at"):
        corpora.at(tmp_path / "none")


def test_vocabulary_is_of_both(tmp_path):
    heard = []
    both = {"config": config(), "valid": VALID, "watch": heard.append}
    compare.compare(["supervised"], CORPUS[:1], tmp_path, Settings(steps=1, batch_seconds=6), **both)
    vocabulary = json.loads((tmp_path / "supervised" / "0" / "model" / "vocab.json").read_text())
    said = [{span.label for utterance in corpus for span in utterance.phones} for corpus in (CORPUS[:1], VALID)]
    assert said[0] | said[1] <= set(vocabulary) and said[1] - said[0]
    assert heard[0]["variant"] == "supervised" and heard[0]["seed"] == 0
