"""A release of Common Voice becomes corpora: sound, phones, splits; what is untidy is told."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from common_voice_release import release, waveform
from typer.testing import CliRunner

pytest.importorskip("espeakng_loader", reason="the optional extra [speech]")

from unispeech_lab import corpora
from unispeech_lab.audio import AudioError
from unispeech_lab.cli import app
from unispeech_lab.corpora import _common_voice, _splits
from unispeech_lab.corpora._common_voice import agreement, prepare
from unispeech_lab.vocabulary import transcripts

AUTHORS = Path(__file__).parents[2] / "shared" / "phones"  # 200 of their lines a language: beside some checkouts
MINUTES = {"labelled": 0.2, "valid": 0.05, "test": 0.1}
TELL = CliRunner(env={"COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made")
    sizes = prepare(release(root / "cv", "sv", 12, 6, "sv-SE"), root / "out", "sv", minutes=MINUTES)
    return root, sizes


class TestCorpus:
    def test_is_one_of_this_project(self, made):
        root, sizes = made
        corpus = corpora.at(root / "out" / "sv")
        assert len(corpus) == 12 == sizes["utterances"].sum()
        assert set(corpus.table["language"]) == {"sv"} and corpus.table["speaker"].nunique() == 6
        assert corpus.table["seconds"].sum() / 3600 == pytest.approx(sizes["hours"].sum(), abs=1e-3)

    def test_sounds_as_the_clips_do(self, made):
        found, clip = corpora.at(made[0] / "out" / "sv")["common_voice_sv-SE_00003"].waveform, waveform("sv", 3)
        later = np.correlate(found[:40_000], clip[:32_000], "valid").argmax()  # what MP3 puts before
        assert np.corrcoef(found[later : later + 30_000], clip[:30_000])[0, 1] > 0.98

    def test_is_written_down_as_the_authors_do(self, made):
        corpus = corpora.at(made[0] / "out" / "sv")
        assert corpus.table["phones"][0].endswith(" |") and len(transcripts(corpus)[0]) > 10
        plain = corpora.bundled.load().where(language="sv")
        assert transcripts(corpus)[0] == transcripts(plain)[0]  # of the same sentence

    def test_says_where_it_comes_from(self, made):
        about = json.loads((made[0] / "out" / "sv" / "about.json").read_text(encoding="utf-8"))
        assert about["release"] == "cv" and about["clips"] == 12 and about["left_out"] == 0
        assert about["splits"] == "drawn by speaker, seed 0: the sizes of Rivière et al. 2020, not their lists"

    def test_leaves_no_half_written_files(self, made):
        assert not list(made[0].rglob("*.part"))


class TestGoingOn:
    def test_does_nothing_twice_and_only_new_splits_anew(self, made, monkeypatch):
        root, _ = made
        before = corpora.at(root / "out" / "sv").table
        monkeypatch.setattr(_common_voice, "flac", lambda *_: pytest.fail("decoded again"))
        prepare(root / "cv", root / "out", "sv", minutes=MINUTES)
        pd.testing.assert_frame_equal(corpora.at(root / "out" / "sv").table, before)
        prepare(root / "cv", root / "out", "sv", minutes=MINUTES, seed=3)
        after = corpora.at(root / "out" / "sv").table
        assert list(after["id"]) == list(before["id"]) and list(after["part"]) != list(before["part"])
        prepare(root / "cv", root / "out", "sv", minutes=MINUTES)

    def test_goes_on_after_a_stop_with_the_same_result(self, tmp_path, monkeypatch):
        monkeypatch.setattr(_common_voice, "CHUNK", 2)
        cv, real, calls = release(tmp_path / "cv", clips=9, speakers=9), _common_voice.flac, []
        prepare(cv, tmp_path / "whole", "es", minutes=MINUTES)

        def stopping(sound, file):
            calls.append(sound)
            if len(calls) == 6:
                raise KeyboardInterrupt
            return real(sound, file)

        monkeypatch.setattr(_common_voice, "flac", stopping)
        with pytest.raises(KeyboardInterrupt):
            prepare(cv, tmp_path / "out", "es", minutes=MINUTES)
        begun = tmp_path / "out" / "es" / "manifest.tsv.part"
        begun.write_text(begun.read_text(encoding="utf-8")[:-5], encoding="utf-8")  # the stop cut a line short
        prepare(cv, tmp_path / "out", "es", minutes=MINUTES)
        assert 6 + 5 <= len(calls) < 6 + 9
        one, other = (tmp_path / name / "es" / "manifest.tsv" for name in ("whole", "out"))
        assert one.read_bytes() == other.read_bytes()

    def test_what_a_release_has_corrected_is_made_anew(self, tmp_path, monkeypatch):
        cv, real, calls = release(tmp_path / "cv"), _common_voice.flac, []
        prepare(cv, tmp_path / "out", "es", minutes=MINUTES)
        monkeypatch.setattr(_common_voice, "flac", lambda *given: calls.append(given[1].stem) or real(*given))
        table = cv / "es" / "validated.tsv"
        header, *lines = [line.split("\t") for line in table.read_text(encoding="utf-8").splitlines()]
        lines[1][2], lines[4][0] = "perro", "client0"
        table.write_text("\n".join("\t".join(cells) for cells in [header, *lines]) + "\n", encoding="utf-8")
        for _ in range(2):
            prepare(cv, tmp_path / "out", "es", minutes=MINUTES)
        assert calls == [lines[1][1][:-4], lines[4][1][:-4]]  # once, and no other
        found = corpora.at(tmp_path / "out" / "es").table.set_index("id")
        assert found.loc[calls[0], ["text", "phones"]].tolist() == ["perro", "p e ɾ ɾ o |"]
        assert found.loc[calls[1], "speaker"] == "client0"

    def test_threads_change_nothing(self, tmp_path, monkeypatch):
        monkeypatch.setattr(_common_voice, "CHUNK", 2)
        cv = release(tmp_path / "cv", clips=9, speakers=9)
        for threads in (1, 3):
            prepare(cv, tmp_path / str(threads), "es", minutes=MINUTES, workers=threads)
        assert (tmp_path / "1/es/manifest.tsv").read_bytes() == (tmp_path / "3/es/manifest.tsv").read_bytes()


class TestSplits:
    ROWS = [
        {"id": f"{s}-{k}", "speaker": f"s{s}", "seconds": 6.0, "phones": "a |"} for s in range(100) for k in range(40)
    ]

    def test_drawn_parts_have_their_minutes_and_no_speaker_in_two(self):
        rows = pd.DataFrame(self.ROWS)
        rows["part"] = _splits.everyone(self.ROWS, _splits.drawn(self.ROWS, _splits.MINUTES, 0))
        for part, minutes in _splits.MINUTES.items():
            chosen = rows[rows["part"] == part]
            assert chosen["seconds"].sum() / 60 == pytest.approx(minutes, abs=0.1)
            assert chosen["speaker"].nunique() >= _splits.VOICES
        tested = set(rows[rows["part"].isin(["valid", "test"])]["speaker"])
        assert set(rows[rows["part"] == "held out"]["speaker"]) <= tested
        assert not tested & set(rows[rows["part"].isin(["labelled", "rest"])]["speaker"])

    def test_the_seed_decides(self):
        one, same, other = (_splits.drawn(self.ROWS, _splits.MINUTES, seed) for seed in (0, 0, 1))
        assert one == same != other

    def test_too_little_speech_is_told(self):
        with pytest.raises(ValueError, match=r"60 \+ 20 \+ 60 minutes, found 5 speakers .*: ask for fewer --minutes"):
            _splits.drawn(self.ROWS[:200], _splits.MINUTES, 0)

    def test_what_has_no_phones_is_for_no_part(self):
        silent = [{**row, "phones": ""} for row in self.ROWS]
        with pytest.raises(ValueError, match="found 0 speakers with phones"):
            _splits.drawn(silent, _splits.MINUTES, 0)

    @pytest.fixture
    def lists(self, tmp_path):
        here = tmp_path / "lists" / "es"
        here.mkdir(parents=True)
        (here / "trainSeqs_1.0_uniform_new_version.txt").write_text("0-0\n0-1\n")
        (here / "trainSeqs_5.0_uniform_new_version.txt").write_text("5-0\n")
        (here / "valSeqs_1.0_uniform_new_version.txt").write_text("1-0\n")
        (here / "testSeqs_1.0_uniform_new_version_16k.tsv").write_text("/a/folder\n2-0.mp3\t96000\t16000\n")
        return here

    def test_lists_are_the_papers_hour_or_the_authors_manifests(self, lists):
        parts = _splits.listed(lists.parent, "es")
        assert parts == {"0-0": "labelled", "0-1": "labelled", "1-0": "valid", "2-0": "test"}
        found = dict(zip((row["id"] for row in self.ROWS), _splits.everyone(self.ROWS, parts), strict=True))
        assert found["2-0"] == "test" and found["2-1"] == "held out" and found["0-2"] == found["9-9"] == "rest"

    def test_a_speaker_in_two_parts_of_the_lists_is_told(self, tmp_path):
        cv, here = release(tmp_path / "cv", clips=9, speakers=3), tmp_path / "lists"
        here.mkdir()
        for name, clips in (("train", (0, 1)), ("val", (2,)), ("test", (3, 5))):  # client0 and client2 are in two
            (here / f"{name}.txt").write_text("".join(f"common_voice_es_{k:05d}\n" for k in clips))
        with pytest.warns(UserWarning, match="lists in lists: expected each speaker in one .* 2 in more.*client0"):
            prepare(cv, tmp_path / "out", "es", splits=here)
        about = json.loads((tmp_path / "out" / "es" / "about.json").read_text(encoding="utf-8"))
        assert about["speakers_in_two_parts"] == 2 and about["splits"] == "lists in lists"
        assert not _splits.mixed(self.ROWS, _splits.drawn(self.ROWS, _splits.MINUTES, 0))

    def test_lists_that_do_not_fit_are_told(self, lists):
        with pytest.raises(ValueError, match=r"found 1 of 1 \(test\) missing: the lists are of the release of June"):
            _splits.everyone([row for row in self.ROWS if row["id"] != "2-0"], _splits.listed(lists, "es"))
        (lists / "valSeqs_1.0_uniform_new_version.txt").write_text("0-0\n")
        with pytest.raises(ValueError, match="expected ids of one part, found 0-0 in labelled and valid"):
            _splits.listed(lists, "es")
        (lists / "dev_1.0.txt").write_text("1-0\n")
        with pytest.raises(ValueError, match="one list that begins with val or dev, found dev_1.0.txt, valSeqs_1.0"):
            _splits.listed(lists, "es")


class TestUntidyFolders:
    def test_a_missing_clip(self, tmp_path):
        cv = release(tmp_path / "cv")
        (cv / "es" / "clips" / "common_voice_es_00002.mp3").unlink()
        with pytest.raises(AudioError, match="expected 12 clips, found 1 missing, such as common_voice_es_00002.mp3"):
            prepare(cv, tmp_path / "out", "es", minutes=MINUTES)
        with pytest.warns(UserWarning, match="left out .*found 1 missing"):
            sizes = prepare(cv, tmp_path / "out", "es", minutes=MINUTES, on_error="skip")
        assert sizes["utterances"].sum() == 11

    def test_a_broken_clip(self, tmp_path):
        cv = release(tmp_path / "cv")
        (cv / "es" / "clips" / "common_voice_es_00002.mp3").write_bytes(b"this is no sound")
        with pytest.raises(AudioError, match="common_voice_es_00002.mp3: expected a sound file"):
            prepare(cv, tmp_path / "out", "es", minutes=MINUTES)
        with pytest.warns(UserWarning, match="left out .*common_voice_es_00002.mp3"):
            prepare(cv, tmp_path / "out", "es", minutes=MINUTES, on_error="skip")
        about = json.loads((tmp_path / "out" / "es" / "about.json").read_text(encoding="utf-8"))
        assert about["left_out"] == 1 and len(corpora.at(tmp_path / "out" / "es")) == 11

    def test_a_clip_that_stands_there_twice(self, tmp_path):
        cv = release(tmp_path / "cv")
        table = cv / "es" / "validated.tsv"
        header, *lines = table.read_text(encoding="utf-8").splitlines()
        cells = lines[2].split("\t")
        cells[2] = "Otra"
        table.write_text("\n".join([header, *lines, lines[0]]) + "\n", encoding="utf-8")
        assert len(_common_voice.validated(cv / "es")) == 12  # twice the same is once
        table.write_text("\n".join([header, *lines, "\t".join(cells)]) + "\n", encoding="utf-8")
        with pytest.raises(ValueError, match=r"one text and speaker, found 1 with two, such as .*00002.mp3 .*'Otra'"):
            prepare(cv, tmp_path / "out", "es", minutes=MINUTES)
        with pytest.warns(UserWarning, match="left out .*with two, such as .*00002.mp3"):
            assert len(_common_voice.validated(cv / "es", "skip")) == 11

    def test_a_sentence_without_a_phone(self, tmp_path):
        cv = release(tmp_path / "cv")
        for name in ("validated", "train"):
            table = cv / "es" / f"{name}.tsv"
            header, first, *lines = table.read_text(encoding="utf-8").splitlines()
            cells = first.split("\t")
            cells[2] = "... ¿?"
            table.write_text("\n".join([header, "\t".join(cells), *lines]) + "\n", encoding="utf-8")
        prepare(cv, tmp_path / "out", "es", minutes=MINUTES)
        row, *others = corpora.at(tmp_path / "out" / "es").table.to_dict("records")
        assert row["phones"] == "" and row["part"] in ("rest", "held out") and all(other["phones"] for other in others)

    def test_other_columns_no_table_no_clips(self, tmp_path):
        cv = release(tmp_path / "cv", clips=2)
        for text, told in (
            (
                "client_id\tpath\ttext\nc\ta.mp3\tHola\n",
                "expected columns client_id, path, sentence, found no sentence",
            ),
            ("client_id\tpath\tsentence\n", "expected clips in validated.tsv, found none"),
            ("client_id\tpath\tsentence\nc\ta.mp3\n", "line 2: expected 3 cells as in the header, found 2"),
        ):
            (cv / "es" / "validated.tsv").write_text(text)
            with pytest.raises(ValueError, match=told):
                prepare(cv, tmp_path / "out", "es", minutes=MINUTES)
        for name in ("validated", "train"):
            (cv / "es" / f"{name}.tsv").unlink()
        with pytest.raises(FileNotFoundError, match=r"expected validated.tsv, or train.tsv, .* found none"):
            prepare(cv, tmp_path / "out", "es", minutes=MINUTES)

    def test_languages(self, tmp_path):
        cv = release(tmp_path / "cv", clips=1)
        with pytest.raises(FileNotFoundError, match=r"with it/clips or it-.../clips, found es"):
            prepare(cv, tmp_path / "out", "it")
        with pytest.raises(ValueError, match="expected a language among en es .*, found 'de'"):
            prepare(cv, tmp_path / "out", "de")
        assert _common_voice.find(cv / "es", "es") == cv / "es"

    def test_older_releases_have_no_validated_table_and_no_endings(self, tmp_path):
        cv = release(tmp_path / "cv", clips=4)
        (cv / "es" / "validated.tsv").unlink()
        (cv / "es" / "train.tsv").write_text("client_id\tpath\tsentence\nc\tcommon_voice_es_00001\tHola  tú\n")
        (cv / "es" / "test.tsv").write_text("client_id\tpath\tsentence\nd\tcommon_voice_es_00002\tHola\n")
        rows = _common_voice.validated(cv / "es")
        assert [row["clip"] for row in rows] == ["common_voice_es_00001.mp3", "common_voice_es_00002.mp3"]
        assert rows[0]["text"] == "Hola tú" and rows[0]["speaker"] == "c"


class TestAgreement:
    def test_is_a_share_of_lines_before_and_after_the_rules(self, tmp_path):
        file = tmp_path / "es.tsv"
        file.write_text("id\ttext\tphones\n1\tNo.\tn o |\n2\tperro\tp e ɾ ɾ o |\n3\tno\tn a |\n", encoding="utf-8")
        assert agreement(file, "es") == (pytest.approx(1 / 3), pytest.approx(2 / 3))

    @pytest.mark.skipif(not AUTHORS.is_dir(), reason="needs the authors' phone strings beside the checkout")
    def test_with_the_authors_strings(self):
        found = {path.stem: agreement(path, path.stem) for path in AUTHORS.glob("*.tsv")}
        percent = {language: (round(100 * plain), round(100 * ruled)) for language, (plain, ruled) in found.items()}
        assert {language: percent[language] for language in ("sv", "ky", "fr", "nl")} == dict.fromkeys(
            ("sv", "ky", "fr", "nl"), (100, 100)
        )
        assert percent["es"] == (77, 100) and 83 <= percent["it"][1] <= 90 and 5 <= percent["ru"][1] <= 15


class TestCommand:
    def test_makes_languages_and_says_how_well_they_agree(self, tmp_path):
        cv = release(tmp_path / "cv", "es")
        (tmp_path / "es.tsv").write_text("id\ttext\tphones\n1\tperro\tp e ɾ ɾ o |\n", encoding="utf-8")
        asked = ["corpus", "common-voice", cv, "-o", tmp_path / "out", "--language", "es", "--minutes", ".2 .05 .1"]
        told = TELL.invoke(app, [*map(str, asked), "--check", str(tmp_path), "--workers", "1"])
        assert told.exit_code == 0, told.output
        assert "phones: 100% of their strings agree (0% before the rules for es)" in told.output
        assert "splits drawn here by speaker" in told.output and "held out" in told.output

    def test_errors_are_told(self, tmp_path):
        asked = ["corpus", "common-voice", str(tmp_path), "-o", str(tmp_path), "--language", "es"]
        told = TELL.invoke(app, asked)
        assert told.exit_code == 2 and "expected a release of Common Voice with es/clips" in told.output
