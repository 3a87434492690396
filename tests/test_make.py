"""A folder of made speech: the same recipe, the same bytes, however it was run."""

import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("espeakng_loader", reason="the optional extra [speech]")

from unispeech_lab import audio
from unispeech_lab.alignment import read_textgrid
from unispeech_lab.cli import app
from unispeech_lab.corpora import table
from unispeech_lab.corpus import Corpus
from unispeech_lab.espeak import Worker
from unispeech_lab.espeak.labels import LabelError
from unispeech_lab.espeak.make import make
from unispeech_lab.espeak.recipe import Job, Recipe, jobs, parse_range, read_sentences
from unispeech_lab.espeak.voices import voice
from unispeech_lab.paths import data_dir

SPEECH = data_dir() / "speech"
SENTENCES = read_sentences(SPEECH / "sentences.tsv")
FEW = {"en": ["A cat.", "Two dogs ran."], "it": ["Il gatto."]}


def same(one: Path, other: Path) -> bool:
    files = [sorted(f.relative_to(root) for f in root.rglob("*") if f.is_file()) for root in (one, other)]
    return files[0] == files[1] and all((one / f).read_bytes() == (other / f).read_bytes() for f in files[0])


RECIPE = Recipe(("en", "it"), ("f1", "m3"), number=3, room=(0.1, 0.3))


def test_the_number_of_workers_changes_no_byte(tmp_path):
    for workers in (1, 3):
        assert make(tmp_path / str(workers), RECIPE, FEW, workers) == []
    assert same(tmp_path / "1", tmp_path / "3")
    corpus = table.load(tmp_path / "1" / "manifest.tsv")
    assert list(corpus.table["id"]) == [f"{language}_{k:05d}" for k in range(3) for language in ("en", "it")]
    assert list(corpus.table["speaker"]) == ["f1", "f1", "m3", "m3", "m3", "f1"]  # in turn, and shifted every round
    assert all(len(u.phones) > 3 for u in corpus)


def test_another_seed_makes_other_sounds(tmp_path):
    for seed in (0, 1):
        make(tmp_path / str(seed), replace(RECIPE, seed=seed), FEW)
    one, other = (table.load(tmp_path / str(seed) / "manifest.tsv").table for seed in (0, 1))
    assert set(one["sha256"]).isdisjoint(other["sha256"]) and list(one["text"]) == list(other["text"])


class Stop(BaseException):
    pass


def test_a_run_that_was_stopped_goes_on_and_ends_the_same(tmp_path):
    make(tmp_path / "whole", RECIPE, FEW)

    def stop(fraction):
        if fraction > 0.6:
            raise Stop

    with pytest.raises(Stop):
        make(tmp_path / "stopped", RECIPE, FEW, progress=stop)
    kept = {f: f.stat().st_mtime_ns for f in (tmp_path / "stopped").rglob("*.flac")}
    assert 0 < len(kept) < 6 and not (tmp_path / "stopped" / "manifest.tsv").exists()
    with (tmp_path / "stopped" / "manifest.tsv.part").open("a") as part:
        part.write("it_00001\tit/it_00001.flac\tcut sh")  # the power went off in the middle of a line
    fractions = []
    make(tmp_path / "stopped", RECIPE, FEW, progress=fractions.append)
    assert same(tmp_path / "whole", tmp_path / "stopped") and fractions == sorted(fractions) and fractions[-1] == 1
    assert all(file.stat().st_mtime_ns == time for file, time in kept.items())  # what was there was not made again


def test_a_file_that_was_harmed_is_made_again(tmp_path):
    make(tmp_path / "whole", RECIPE, FEW)
    shutil.copytree(tmp_path / "whole", tmp_path / "harmed")
    (tmp_path / "harmed" / "en" / "en_00001.flac").write_bytes(b"")
    (tmp_path / "harmed" / "it" / "it_00001.TextGrid").unlink()
    make(tmp_path / "harmed", RECIPE, FEW)
    assert same(tmp_path / "whole", tmp_path / "harmed")


def test_a_folder_of_another_recipe_is_left_alone(tmp_path):
    make(tmp_path, RECIPE, FEW)
    for recipe, said, what in (
        (replace(RECIPE, seed=5), FEW, "seed"),
        (RECIPE, {**FEW, "en": ["No."]}, "sentences_sha256"),
    ):
        with pytest.raises(ValueError, match=rf"recipe\.json: expected the recipe of this run, found another {what}:"):
            make(tmp_path, recipe, said)


def test_hours_are_counted_the_same_by_any_number_of_workers(tmp_path):
    recipe = Recipe(("en", "it"), ("f1",), hours=20 / 3600, mix=True)
    for workers in (1, 4):
        make(tmp_path / str(workers), recipe, FEW, workers)
    assert same(tmp_path / "1", tmp_path / "4")
    seconds = table.load(tmp_path / "1" / "manifest.tsv").table["seconds"]
    assert 20 <= seconds.sum() < 20 + seconds.max() and seconds.iloc[:-1].sum() < 20


def test_mixed_sentences_are_drawn_from_the_words_of_a_language():
    drawn = [job.text for job in jobs(Recipe(("en",), number=30, mix=True), SENTENCES)]
    known = {word.strip(".,?").lower() for text in SENTENCES["en"] for word in text.split()}
    assert len(set(drawn)) == 30 and {w.strip(".").lower() for text in drawn for w in text.split()} <= known
    assert all(3 <= len(text.split()) <= 7 for text in drawn)
    assert len(next(jobs(Recipe(("zh",), number=1, mix=True), SENTENCES)).text) > 8


def test_what_cannot_be_labelled_is_left_out_and_named(tmp_path):
    refused = make(tmp_path, Recipe(("en",), ("f1",)), {"en": ["A cat.", "...", "A dog."]})
    assert len(refused) == 1 and refused[0].startswith("en_00001: expected something to say, found '...'")
    assert list(table.load(tmp_path / "manifest.tsv").table["id"]) == ["en_00000", "en_00002"]


def test_hours_of_nothing_come_to_an_end(tmp_path):
    with pytest.raises(LabelError, match="21 utterances refused, 0 made; the last: expected something to say"):
        make(tmp_path, Recipe(("en",), ("f1",), hours=1), {"en": ["..."]})


def test_borrowed_times_travel_in_a_tier_of_their_own():
    marked = [u for u in Corpus.bundled().where(language=["nl", "ky"]) if any(p.score == 0.0 for p in u.phones)]
    assert len(marked) > 5
    file = SPEECH / Corpus.bundled().table.set_index("id").loc[marked[0].id, "alignment"]
    assert len(read_textgrid(file)["borrowed"]) == sum(p.score == 0.0 for p in marked[0].phones)


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the bytes were made on Linux x86-64"
)
def test_the_bundled_corpus_is_made_again_byte_for_byte(tmp_path):
    from unispeech_lab.espeak.make import utterance

    recipe, done = Recipe(), Corpus.bundled().table.set_index("id")
    with Worker() as worker:
        for job in list(jobs(recipe, SENTENCES))[::13]:
            made, transcript = utterance(job, recipe.acoustics, worker)
            assert hashlib.sha256(audio.flac(made.waveform)).hexdigest() == done.loc[job.id, "sha256"], job.id
            assert transcript == done.loc[job.id, "phones"]
            assert made.phones == Corpus.bundled()[job.id].phones and made.words == Corpus.bundled()[job.id].words


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": ("de",)}, "expected a language among en es fr .*, found 'de'"),
        ({"languages": ()}, "expected at least one language and one voice"),
        ({"number": 3, "hours": 1.0}, "expected a number or hours, found both: 3 utterances and 1.0 hours"),
        ({"number": 0}, "expected something to make, found number 0"),
        ({"hours": -1.0}, "expected something to make, found number None and hours -1.0"),
        ({"rate": (120, 430)}, "expected rate as low:high within 80 to 400, found 120:430"),
        ({"pitch": (60, 50)}, "expected pitch as low:high within 0 to 99, found 60:50"),
        ({"room": (0, 9)}, "expected room as low:high within 0 to 3, found 0:9"),
        ({"level": (-20, float("nan"))}, "expected level as low:high within -60 to 0"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**options)


def test_ranges_are_read():
    assert parse_range("125:155", int) == (125, 155) and parse_range("-20") == (-20, -20)
    for wrong in ("", "a:b", "1:2:3", ":"):
        with pytest.raises(ValueError, match=f"expected a number or low:high, found '{wrong}'"):
            parse_range(wrong)


@pytest.mark.parametrize("line", ["en Good morning", "xx\tGood", "en\t", "\tGood"])
def test_a_broken_line_of_sentences_is_named(line, tmp_path):
    (tmp_path / "s.tsv").write_text(f"# ours\n\nen\tA cat.\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"s\.tsv, line 4: expected a language among en .*, a tab and a sentence"):
        read_sentences(tmp_path / "s.tsv")


def test_sentences_that_are_not_utf8_are_named(tmp_path):
    (tmp_path / "s.tsv").write_bytes(b"en\tA cat.\nfr\tO\xf9\n")
    with pytest.raises(ValueError, match=r"s\.tsv: expected UTF-8 text") as caught:
        read_sentences(tmp_path / "s.tsv")
    assert not isinstance(caught.value, UnicodeDecodeError)


def test_a_language_without_sentences_is_named(tmp_path):
    with pytest.raises(ValueError, match="expected sentences in 'fr', found them in en it"):
        make(tmp_path, Recipe(("en", "fr")), FEW)


def run(*arguments):
    return CliRunner().invoke(app, ["corpus", "make", *map(str, arguments)], env={"COLUMNS": "400", "NO_COLOR": "1"})


def test_the_command_makes_what_the_function_makes(tmp_path):
    (tmp_path / "s.tsv").write_text("en\tA cat.\nen\tTwo dogs ran.\nit\tIl gatto.\n", encoding="utf-8")
    options = ["--languages", "en it", "--voices", "f1 m3", "--number", 3, "--room", "0.1:0.3", "--workers", 2]
    done = run(tmp_path / "made", "--sentences", tmp_path / "s.tsv", *options)
    assert done.exit_code == 0 and "6 utterances" in " ".join(done.output.split())
    make(tmp_path / "expected", RECIPE, FEW)
    assert same(tmp_path / "made", tmp_path / "expected")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--voices", "f2"], "expected a voice without echo"),
        (["--voices", "nobody"], "no voice 'nobody'; it has"),
        (["--languages", "de"], "expected a language among"),
        (["--rate", "fast"], "expected a number or low:high, found 'fast'"),
        (["--sentences", "gone.tsv"], "gone.tsv"),
    ],
)
def test_the_command_says_what_is_wrong(options, message, tmp_path):
    done = run(tmp_path / "made", *options)
    assert done.exit_code == 2 and message in " ".join(done.output.split()) and "Traceback" not in done.output


def test_the_default_command_would_make_the_bundled_corpus(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("unispeech_lab.espeak.make.make", lambda *arguments: seen.append(arguments) or [])
    (tmp_path / "manifest.tsv").write_text("id\n")
    assert run(tmp_path).exit_code == 0
    assert seen[0][1:4] == (Recipe(), SENTENCES, os.cpu_count())
    assert json.loads((SPEECH / "recipe.json").read_text())["seed"] == 0


def test_a_job_knows_its_voice():
    assert Job("x", "", "fr", "f1", 150, 50, 0).voice == "roa/fr+f1" and voice("zh") == "sit/cmn"


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_control_c_stops_the_command_and_the_next_one_goes_on(tmp_path):
    command = [sys.executable, "-m", "unispeech_lab.cli", "corpus", "make", str(tmp_path / "made"), "--workers", "1"]
    command += ["--languages", "en it", "--number", "12"]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    part = tmp_path / "made" / "manifest.tsv.part"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (part.exists() and part.read_bytes().count(b"\n") > 2):
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does: to the espeak-ng processes too
    said, complaints = running.communicate(timeout=60)
    assert running.returncode == 130 and "goes on from here" in said and "Traceback" not in complaints
    assert 2 < part.read_bytes().count(b"\n") < 24
    subprocess.run(command, check=True, capture_output=True)
    make(tmp_path / "expected", Recipe(("en", "it"), number=12), SENTENCES)
    assert same(tmp_path / "made", tmp_path / "expected")
