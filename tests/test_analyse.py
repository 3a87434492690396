"""Analyse: tables of a whole corpus, the same however often it is stopped, true where the truth is known."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from torch import nn
from transformers import HubertConfig, HubertModel, Wav2Vec2Config, Wav2Vec2ForCTC
from typer.testing import CliRunner

from unispeech_lab.analyse import Analysis, analyse, engine
from unispeech_lab.analyse import heard as hearing
from unispeech_lab.analyse.heard import Heard, layers
from unispeech_lab.checkpoints import load
from unispeech_lab.cli import app
from unispeech_lab.codebook import phone_of_frames
from unispeech_lab.config import UniSpeechConfig
from unispeech_lab.corpus import Corpus, Utterance
from unispeech_lab.evaluation import mfcc
from unispeech_lab.model import UniSpeechForCTC

TABLES = ("layers", "similarity", "codebook", "segments", "baseline")
TINY = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [12] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
SOME = Corpus.bundled().where(language=["en", "it"])[:16]
FEW = SOME[:8]
QUICK = ("probe", "cca", "cka", "abx", "segments")
PHONES = sorted({span.label for utterance in SOME for span in utterance.phones})
VOICES = sorted(set(SOME.table["speaker"]))


class Knows(nn.Module):
    """A model that is told: layer 0 says the phone, layer 1 the voice, layer 2 noise; its codes are the phones."""

    config = UniSpeechConfig.tiny()

    def __init__(self):
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.layers = nn.ModuleList(nn.Identity() for _ in range(3))
        self.quantizer = nn.Module()
        self.quantizer.codes = nn.Identity()
        self.weight = nn.Parameter(torch.zeros(1))

    def prepare(self, utterances):
        return {"utterance": utterances[0]}

    def forward(self, utterance):
        count = int(self.config.frames.count(len(utterance.waveform)))
        names, _ = phone_of_frames(utterance.phones, self.config.frames, count)
        spoken = torch.tensor([PHONES.index(name) + 1 if name else 0 for name in names])
        self.encoder.layers[0](torch.eye(len(PHONES) + 1)[spoken][None])
        self.encoder.layers[1](torch.eye(len(VOICES))[[VOICES.index(utterance.speaker)] * count][None])
        draw = torch.Generator().manual_seed(count)
        self.encoder.layers[2](torch.randn(1, count, 16, generator=draw))
        self.quantizer.codes(spoken[None, :, None].expand(1, count, 2))
        return SimpleNamespace()


def cell(found: Analysis, layer: int, measure: str, target: str) -> pd.Series:
    rows = found.of(measure, target)
    return rows[rows["layer"] == layer].iloc[0]


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return analyse(Knows(), SOME, tmp_path_factory.mktemp("known") / "out", progress=False)


def test_a_layer_that_is_the_phones_knows_them_wholly(known):
    for measure in ("cca", "svcca", "pwcca", "cka"):
        assert cell(known, 1, measure, "phone")["value"] > 0.97, measure
    assert cell(known, 1, "information", "phone")["value"] > 0.9
    assert cell(known, 1, "abx", "phone within")["value"] == cell(known, 1, "abx", "phone across")["value"] == 0
    probe, control = (cell(known, 1, name, "phone") for name in ("probe", "control"))
    assert probe["value"] > 0.9 and control["value"] < 0.2
    assert cell(known, 1, "probe", "voice")["value"] < 0.45


def test_a_layer_that_is_the_voice_knows_that_alone(known):
    assert cell(known, 2, "probe", "voice")["value"] == 1
    assert cell(known, 2, "control", "voice")["value"] < 0.6  # no utterance is learned from and read
    assert cell(known, 2, "probe", "phone")["value"] < 0.2
    assert cell(known, 2, "abx", "phone across")["value"] == 0.5


def test_a_layer_of_noise_is_at_chance(known):
    for measure in ("cca", "svcca", "pwcca", "cka"):
        assert abs(cell(known, 3, measure, "phone")["value"]) < 0.15, measure
    assert abs(cell(known, 3, "information", "phone")["value"]) < 0.05
    assert cell(known, 3, "abx", "phone within")["value"] == pytest.approx(0.5, abs=0.05)
    assert cell(known, 3, "probe", "phone")["value"] < 0.2


def test_codes_that_are_the_phones_agree_wholly_and_their_changes_are_borders(known):
    table = known.codebook.set_index(["measure", "position"])["value"]
    for position in ("all", "onset", "middle", "end"):
        for measure in ("nmi", "purity", "information"):
            assert table[measure, position] == pytest.approx(1), (measure, position)
        assert table["nmi chance", position] < 0.6
    rows = known.codebook[known.codebook["measure"] == "nmi"].set_index("position")["n"]
    assert rows["all"] == rows["onset"] + rows["middle"] + rows["end"]
    codes = known.segments.set_index(["method", "tolerance"]).loc["codes", 0.02]
    assert codes["recall"] > 0.85 and codes["precision"] > 0.9


def test_every_number_has_its_interval_rows_and_seed(known):
    columns = ["layer", "name", "measure", "target", "value", "low", "high", "n", "seed", "where"]
    assert list(known.layers) == columns
    assert set(known.layers["layer"]) == {1, 2, 3} and (known.layers["n"] > 0).all()
    shown = known.layers.dropna(subset=["low"])
    assert len(shown) > 0.95 * len(known.layers)
    inside = (shown["low"] <= shown["value"] + 1e-9) & (shown["value"] <= shown["high"] + 1e-9)
    assert inside.mean() > 0.9 and inside[shown["target"] == "phone"].all()
    assert known.baseline["name"].unique().tolist() == ["mfcc"]
    assert known.similarity.loc[1, 1] == pytest.approx(1) and known.similarity.shape == (3, 3)
    assert known.about["utterances"] == 16 and known.about["peak_bytes"] > 0
    assert "word" in known.about["left_out"]
    assert "Analysis of Knows" in repr(known) and "<table" in known._repr_html_()


# ---- stopping and going on ------------------------------------------------------------------------------------------


def small():
    """Few utterances of a small model with random weights, ours."""
    torch.manual_seed(0)
    return load("tiny")


def bytes_of(folder) -> dict[str, bytes]:
    return {name: (folder / f"{name}.csv").read_bytes() for name in TABLES}


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    folder = tmp_path_factory.mktemp("straight") / "out"
    analyse(small(), FEW, folder, measures=QUICK, progress=False)
    return folder


def test_a_run_that_was_stopped_gives_the_same_tables_bit_by_bit(straight, tmp_path):
    out = tmp_path / "out"
    for until in (3, 4, 8, "probe.2", "similarity", "abx.0"):
        stopped = analyse(small(), FEW, out, until=until, measures=QUICK, progress=False)
        if isinstance(until, int):
            assert stopped.about["heard"] == until and not len(stopped.layers)
    assert {"probe", "cca", "abx"} <= set(stopped.layers["measure"]) and not len(stopped.segments)
    analyse(small(), FEW, out, measures=QUICK, progress=False)
    assert bytes_of(out) == bytes_of(straight)


def test_a_run_that_was_killed_in_the_middle_of_writing_goes_on(straight, tmp_path, monkeypatch):
    out = tmp_path / "out"
    append, calls = Heard._write, []

    def killed(self, name, data):
        calls.append(name)
        if len(calls) == 130:
            append(self, name, data[: len(data) // 2])
            raise KeyboardInterrupt
        append(self, name, data)

    monkeypatch.setattr(Heard, "_write", killed)
    with pytest.raises(KeyboardInterrupt):
        analyse(small(), FEW, out, measures=QUICK, progress=False)
    monkeypatch.setattr(Heard, "_write", append)
    with (out / "heard" / "utterances.jsonl").open("a") as file:
        file.write('{"id": "half')  # a line that was not finished
    assert analyse(small(), FEW, out, until=7, measures=QUICK, progress=False).about["heard"] == 7
    (out / "parts" / "probe.0.part").write_text("half")
    analyse(small(), FEW, out, measures=QUICK, progress=False)
    assert bytes_of(out) == bytes_of(straight)


def test_what_is_done_is_not_done_again(straight, monkeypatch):
    monkeypatch.setattr(hearing, "hear", None)
    before = bytes_of(straight)
    analyse(small(), FEW, straight, measures=QUICK, progress=False)
    assert bytes_of(straight) == before


def test_some_measures_first_and_others_later(straight, tmp_path):
    first = analyse(small(), FEW, tmp_path / "out", measures=["cka"], progress=False)
    assert set(first.layers["measure"]) == {"cka"} and len(first.similarity) == 8
    analyse(small(), FEW, tmp_path / "out", measures=QUICK[::-1], progress=False)
    assert bytes_of(tmp_path / "out") == bytes_of(straight)


def test_memory_holds_what_a_measure_looks_at_not_the_corpus(straight):
    heard = Heard(straight / "heard")
    assert isinstance(heard["frames.3"], np.memmap)
    assert sum(path.stat().st_size for path in (straight / "heard").glob("*.bin")) > 2**20


def test_of_many_utterances_some_are_kept_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "FULLY", 5)
    found = analyse(small(), FEW, tmp_path / "out", measures=["information", "abx"], progress=False)
    heard = Heard(tmp_path / "out" / "heard")
    assert sum(row["fully"] for row in heard.utterances) == 5
    assert len(heard["frames.1"]) == sum(row["count"] for row in heard.utterances if row["fully"])
    assert set(found.layers["measure"]) >= {"information"}


# ---- doors ----------------------------------------------------------------------------------------------------------


def test_a_folder_of_something_else_is_refused(straight, tmp_path):
    with pytest.raises(ValueError, match="weights '.*', now '.*': give another folder, or remove this one"):
        changed = small()
        with torch.no_grad():
            changed.unispeech.encoder.layers[0].layer_norm.bias += 1
        analyse(changed, FEW, straight, progress=False)
    with pytest.raises(ValueError, match="utterances 8, now 7"):
        analyse(small(), FEW[1:], straight, progress=False)
    with pytest.raises(ValueError, match="seed 0, now 1"):
        analyse(small(), FEW, straight, seed=1, progress=False)
    (tmp_path / "letters.txt").write_text("mine")
    with pytest.raises(ValueError, match="expected a new folder or an analysis, found other files"):
        analyse(small(), FEW, tmp_path, progress=False)


def on_disk(folder, count=3) -> Corpus:
    """Utterances of which sound and TextGrids are files of one's own."""
    folder.mkdir()
    table = FEW[:count].table[["id", "path", "text", "language", "speaker", "seconds", "alignment"]].copy()
    for kind in ("path", "alignment"):
        table[kind] = [Path(shutil.copy(FEW.root / name, folder)).name for name in table[kind]]
    return Corpus(table, folder, "mine")


@pytest.mark.parametrize("changed", ["phones", "sound"])
def test_other_labels_or_sound_under_the_same_names_are_refused(changed, tmp_path):
    speech, out = on_disk(tmp_path / "speech"), tmp_path / "out"
    analyse(small(), speech, out, until=1, progress=False)
    analyse(small(), on_disk(tmp_path / "copy"), out, until=1, progress=False)  # a copy is the same speech
    if changed == "phones":
        file = speech.root / speech.table["alignment"][2]
        file.write_text(re.sub(r'text = "[^"]+"', 'text = "a"', file.read_text()))
    else:
        file = speech.root / speech.table["path"][2]
        sound, rate = soundfile.read(file)
        soundfile.write(file, sound[::-1], rate)
    with pytest.raises(ValueError, match=f"found {changed} .*'.*', now '.*': give another folder, or remove this one"):
        analyse(small(), speech, out, progress=False)


def test_samples_without_a_file_are_told_apart(tmp_path):
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    analyse(small(), Corpus.of([Utterance("a", noise)]), tmp_path / "out", until=1, progress=False)
    with pytest.raises(ValueError, match=r"found sound \(the files or samples\)"):
        analyse(small(), Corpus.of([Utterance("a", noise[::-1])]), tmp_path / "out", progress=False)


def test_a_call_that_was_killed_as_it_began_is_begun_again(tmp_path, monkeypatch):
    out = tmp_path / "out"
    (out / "heard").mkdir(parents=True)

    def killed(file, text):
        file.with_name(file.name + ".part").write_text(text[:9])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(engine, "write_whole", killed)
        analyse(small(), FEW, out, until=1, progress=False)
    assert analyse(small(), FEW, out, until=1, progress=False).about["heard"] == 1


def test_files_that_are_broken_are_named(tmp_path):
    def again(measure):
        return analyse(small(), FEW[:2], tmp_path / "out", measures=measure, progress=False)

    first, (out, parts) = again("probe"), (tmp_path / "out", tmp_path / "out" / "parts")
    assert set(first.layers["measure"]) == {"probe", "control", "selectivity"}
    shutil.rmtree(parts)
    assert again("probe").layers.equals(first.layers)
    for file, breaks, match in (
        (parts / "probe.3.csv", lambda data: data[:-9], "probe.3.csv: expected a whole table.*: remove this file"),
        (parts / "probe.3.csv", lambda data: b"", "probe.3.csv: expected a whole table.*: remove this file"),
        (out / "about.json", lambda data: data[:40], "about.json: expected JSON.*: remove .*out, and analyse again"),
        (
            out / "heard" / "utterances.jsonl",
            lambda data: data.replace(b'"', b"", 1),
            "utterances.jsonl: expected .*, found line 1 broken .*: remove .*heard, and all is heard again",
        ),
    ):
        whole = file.read_bytes()
        file.write_bytes(breaks(whole))
        with pytest.raises(ValueError, match=match):
            again("probe")
        file.write_bytes(whole)
    (out / "heard" / "units.3.bin").unlink()
    with pytest.raises(ValueError, match="units.3.bin: expected .* bytes, found fewer: remove .*heard"):
        again("cka")
    (out / "about.json").write_text("{")
    with pytest.raises(ValueError, match="about.json: expected JSON"):
        Analysis.open(out)


def test_what_cannot_be_analysed_is_said(tmp_path):
    with pytest.raises(ValueError, match="expected measures out of probe, cca, .*, found guess"):
        analyse(small(), FEW, tmp_path / "out", measures=["guess"])
    with pytest.raises(ValueError, match="found an empty corpus"):
        analyse(small(), FEW[:0], tmp_path / "out")
    with pytest.raises(ValueError, match="found none in Linear"):
        analyse(nn.Linear(2, 2), FEW, tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="unispeech-lab analyse tiny bundled -o"):
        Analysis.open(tmp_path)


def test_speech_without_phones_of_one_voice_leaves_out_what_needs_them(tmp_path):
    plain = Corpus.of([Utterance(u.id, u.waveform, speaker="one", language="en") for u in FEW[:6]], name="plain")
    found = analyse(small(), plain, tmp_path / "out", progress=False)
    assert set(found.layers["target"]) == {"mfcc"} and set(found.layers["measure"]) == {"cca", "svcca", "pwcca", "cka"}
    assert set(found.about["left_out"]) == {"phone", "voice", "language", "word"}
    assert "give TextGrids" in found.about["left_out"]["phone"]
    assert "expected two voices or more, found 1" in found.about["left_out"]["voice"]
    assert not len(found.codebook) and not len(found.segments) and len(found.similarity) == 8


def noise(milliseconds: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, 16 * milliseconds).astype(np.float32)


def test_clips_of_a_few_frames_are_measured_and_shorter_ones_left_out(tmp_path):
    clips = [Utterance(f"{k}", noise(long, k)) for k, long in enumerate((24, 600, 26, 10, 60, 600))]
    found = analyse(
        small(), Corpus.of([*clips, FEW[0]]), tmp_path / "out", measures=["cka", "segments"], progress=False
    )
    assert found.about["left_out"]["utterances"] == "2 shorter than the 25 ms that a frame hears: 0, 3"
    assert [row["count"] for row in Heard(tmp_path / "out" / "heard").utterances[:5]] == [0, 29, 1, 0, 2]
    assert found.of("cka", "mfcc")["value"].notna().all()
    with pytest.raises(ValueError, match="found neither in 2 utterances, of which 2 are shorter than the 25 ms"):
        analyse(small(), Corpus.of([clips[0], clips[3]]), tmp_path / "short", progress=False)


def test_mfcc_of_one_frame_and_of_many():
    clock = UniSpeechConfig.tiny().frames
    for long, count in ((25, 1), (60, 2), (79, 3), (80, 3), (600, 29)):
        found = mfcc(noise(long), count, clock)
        assert found.shape == (count, 39) and np.isfinite(found).all()


def test_information_needs_phones_in_what_is_kept_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "FULLY", 1)
    kept = int(np.random.default_rng(0).permutation(4)[0])
    some = [Utterance("plain", u.waveform) if k == kept else u for k, u in enumerate(FEW[:4])]
    found = analyse(small(), Corpus.of(some), tmp_path / "out", measures=["information", "abx"], progress=False)
    assert not len(found.layers)
    assert "expected 100 frames of phones among" in found.about["left_out"]["information"]


def test_a_voice_or_language_without_a_name_is_none(tmp_path):
    """Ten utterances of five voices in two languages; of six more nobody knows whose they are, or in what language."""
    some = [replace(u, speaker="", language="") if k >= 10 else u for k, u in enumerate(SOME)]
    found = analyse(small(), Corpus.of(some), tmp_path / "out", measures="probe", progress=False)
    units = Heard(tmp_path / "out" / "heard").units
    named = int((units["speaker"] != "").sum())
    assert 0 < named < len(units)
    for target in ("phone", "voice", "language"):
        assert set(found.of("probe", target)["n"]) == {named}, target
    assert f"{len(units) - named} of {len(units)} rows" in found.about["left_out"]["voices without a name"]


def test_one_utterance_gives_numbers_without_intervals(tmp_path):
    found = analyse(small(), FEW[:1], tmp_path / "out", progress=False)
    assert set(found.codebook["position"]) == {"all", "onset", "middle", "end"}
    assert found.codebook["value"].notna().all() and found.codebook["low"].isna().all()
    assert found.of("information")["value"].notna().all() and found.of("information")["low"].isna().all()


# ---- other models ---------------------------------------------------------------------------------------------------


def others():
    torch.manual_seed(0)
    return {
        "ours, for CTC": UniSpeechForCTC(UniSpeechConfig.tiny()).eval(),
        "Wav2Vec2ForCTC": Wav2Vec2ForCTC(Wav2Vec2Config(**TINY)).eval(),
        "HubertModel": HubertModel(HubertConfig(**TINY)).eval(),
    }


@pytest.mark.parametrize("name", ["ours, for CTC", "Wav2Vec2ForCTC", "HubertModel"])
def test_other_models_are_analysed_as_far_as_they_go(name, tmp_path):
    model = others()[name]
    found = analyse(model, FEW[:4], tmp_path / "out", measures=["probe", "cka", "codebook", "segments"], progress=False)
    assert found.layers["layer"].unique().tolist() == [*sorted(layers(model))]
    assert layers(model)[-1].endswith("feature_projection.layer_norm") and layers(model)[1].endswith("encoder.layers.0")
    assert not len(found.codebook) and "correlation with phones" in found.about["left_out"]
    assert set(found.segments["method"]) == ({"jumps"} if name == "HubertModel" else {"jumps", "ctc"})


def test_a_model_in_bfloat16_is_heard_in_it_and_measured_in_float32(tmp_path):
    model = small().to(torch.bfloat16)
    found = analyse(model, FEW[:2], tmp_path / "out", measures="cka", progress=False)
    assert next(model.parameters()).dtype == torch.bfloat16 and found.of("cka", "mfcc")["value"].notna().all()
    assert set(found.layers["measure"]) == {"cka"}  # one measure by its name
    other = others()["HubertModel"].to(torch.bfloat16)
    assert len(analyse(other, FEW[:2], tmp_path / "other", measures="cka", progress=False).layers)


@pytest.mark.parametrize("name", ["ours, for CTC", "HubertModel"])
def test_weights_that_are_no_numbers_name_their_layer(name, tmp_path):
    model = others()[name]
    wrong = layers(model)[2]
    with torch.no_grad():
        next(model.get_submodule(wrong).parameters()).fill_(float("nan"))
    with pytest.raises(ValueError, match=f"expected numbers in '{wrong}', found NaN or infinity"):
        analyse(model, FEW[:2], tmp_path / "out", progress=False)


# ---- command --------------------------------------------------------------------------------------------------------


def test_the_command_writes_tables_and_a_page(tmp_path):
    out = tmp_path / "out"
    asked = ["analyse", "tiny", "bundled", "-o", str(out), "--limit", "12", "--measures", "probe cka"]
    said = CliRunner().invoke(app, asked)
    assert said.exit_code == 0, said.output
    assert {f"{name}.csv" for name in TABLES} | {"about.json", "index.html"} <= {path.name for path in out.iterdir()}
    assert json.loads((out / "about.json").read_text())["utterances"] == 12
    page = (out / "index.html").read_text()
    layers = Analysis.open(out).layers
    assert dict(layers[["layer", "where"]].to_numpy())[6] == "layer 5" and layers["name"].iloc[-1].endswith("layers.5")
    for told in (said.output, page):  # everywhere a person reads, by the names that pictures use
        assert "layer 5" in " ".join(told.split()) or told.split().count("layer") >= 6
        assert "projection" in told and "features" in told and "MFCC" in told
    assert "learned by heart" in page and "prefers-color-scheme: dark" in page
    assert "data:image/png;base64," in page and "<table" in page and 'alt="' in page
    assert set(Analysis.open(out).layers["measure"]) == {"probe", "control", "selectivity", "cka"}
    wrong = CliRunner().invoke(app, [*asked[:-1], "guess"])
    assert wrong.exit_code == 2 and "found guess" in " ".join(wrong.output.split())
