"""The readers: one battery over every source in the folder, then what is particular to each."""

import hashlib
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unispeech_lab import corpora
from unispeech_lab.alignment import Span, write_textgrid
from unispeech_lab.audio import RATE, AudioError
from unispeech_lab.corpora import bundled, common_voice, folder, librispeech, table
from unispeech_lab.corpus import Corpus
from unispeech_lab.paths import data_dir

SPEECH = data_dir() / "speech"
BESIDE = Path(__file__).parents[2] / "shared" / "speech"  # a folder that some checkouts lie beside


def sound(file: Path, seconds=0.3, rate=RATE) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, 0.1 * np.sin(np.arange(round(seconds * rate)) / 9), rate)
    return file


def example_folder(root: Path) -> tuple:
    sound(root / "a.wav", rate=44_100)
    sound(root / "deep" / "b.flac")
    (root / "a.txt").write_text("Good\r\nmorning. \n", encoding="utf-8")
    write_textgrid(root / "a.TextGrid", {"phones": [Span("ɡ", 0, 0.1)], "words": [Span("good", 0, 0.3)]}, 0.3)
    (root / "notes.md").write_text("not a sound")
    return (root,)


def example_librispeech(root: Path) -> tuple:
    for speaker, chapter in ((19, 198), (26, 495)):
        here = root / "dev-clean" / str(speaker) / str(chapter)
        ids = [f"{speaker}-{chapter}-000{k}" for k in range(2)]
        for id in ids:
            sound(here / f"{id}.flac")
        text = "".join(f"{id} CHAPTER {k}\n" for k, id in enumerate(ids))
        (here / f"{speaker}-{chapter}.trans.txt").write_text(text)
    return (root,)


def example_common_voice(root: Path) -> tuple:
    sound(root / "clips" / "common_voice_tt_1.mp3", rate=48_000)
    sound(root / "clips" / "common_voice_tt_2.mp3", rate=48_000)
    lines = ["client_id\tpath\tsentence\tup_votes\tlocale", 'c1\tcommon_voice_tt_1.mp3\t"Исәнме" диде\t2\ttt']
    (root / "train.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (root / "dev.tsv").write_text("\n".join([lines[0], "c2\tcommon_voice_tt_2\tРәхмәт\t2\ttt", ""]), encoding="utf-8")
    return (root,)


def example_table(root: Path) -> tuple:
    sound(root / "x" / "a.ogg", rate=24_000)
    sound(root / "x" / "b.wav")
    (root / "list.csv").write_text(
        'path,text,lang,score\nx/a.ogg,"Yes, ""now""",en,3\nx/b.wav,,nl,4\n', encoding="utf-8"
    )
    return (root / "list.csv",)


def example_bundled(_) -> tuple:
    return ()


def example_espeak(_) -> tuple:
    pytest.importorskip("espeakng_loader", reason="the optional extra [speech]")
    return (["Good morning.", "Good night."],)


EXAMPLES = {
    name.removeprefix("example_"): make for name, make in list(globals().items()) if name.startswith("example_")
}


def test_every_source_is_in_the_battery():
    assert set(EXAMPLES) == set(corpora.names()), (
        "a new source wants an example here: example_<source>(root) -> arguments"
    )


@pytest.mark.parametrize("source", corpora.names())
def test_every_source(source, tmp_path):
    arguments = EXAMPLES[source](tmp_path)
    corpus = corpora.load(source, *arguments)
    assert isinstance(corpus, Corpus) and len(corpus) > 0 and corpus.name
    assert set(corpus.table) >= {"id", "text", "language", "speaker", "seconds", "path", "alignment"}
    for utterance in corpus[:5]:
        assert utterance.waveform.dtype == np.float32 and utterance.waveform.ndim == 1
        assert np.abs(utterance.waveform).max() > 0.01
        assert utterance.seconds == pytest.approx(corpus.table.set_index("id").loc[utterance.id, "seconds"], abs=0.05)
        assert all(isinstance(x, str) for x in (utterance.id, utterance.text, utterance.language, utterance.speaker))
        for spans in (utterance.phones, utterance.words):
            assert all(a.end <= b.start + 1e-9 for a, b in zip(spans, spans[1:], strict=False))
            assert not spans or (spans[0].start >= 0 and spans[-1].end <= utterance.seconds + 1e-3)
        assert "<audio" in utterance._repr_mimebundle_()["text/html"]
    again = corpora.load(source, *arguments)
    assert list(again.table["id"]) == list(corpus.table["id"])
    np.testing.assert_array_equal(again[0].waveform, corpus[0].waveform)


@pytest.mark.parametrize("source", ["folder", "librispeech", "common_voice", "table"])
def test_every_reader_names_broken_sound_and_skips_or_raises_as_asked(source, tmp_path):
    arguments = EXAMPLES[source](tmp_path)
    whole = corpora.load(source, *arguments)
    broken = tmp_path / whole.table["path"][0]
    broken.write_bytes(b"this is no sound at all")
    with pytest.raises(AudioError, match=rf"{broken.name}: expected a sound file that soundfile reads"):
        corpora.load(source, *arguments)
    with pytest.warns(UserWarning, match=rf"left out .*{broken.name}"):
        rest = corpora.load(source, *arguments, on_error="skip")
    assert list(rest.table["id"]) == list(whole.table["id"])[1:]


@pytest.mark.parametrize("source", ["librispeech", "common_voice", "table"])
def test_every_reader_names_sound_that_is_not_there(source, tmp_path):
    arguments = EXAMPLES[source](tmp_path)
    gone = tmp_path / corpora.load(source, *arguments).table["path"][0]
    gone.unlink()
    with pytest.raises(AudioError, match=gone.name):
        corpora.load(source, *arguments)


@pytest.mark.parametrize("source", ["folder", "librispeech", "common_voice"])
def test_every_reader_of_a_folder_wants_one(source, tmp_path):
    with pytest.raises(FileNotFoundError, match="gone: expected a folder, found nothing"):
        corpora.load(source, tmp_path / "gone")
    (tmp_path / "file").write_text("x")
    with pytest.raises(FileNotFoundError, match="file: expected a folder, found a file"):
        corpora.load(source, tmp_path / "file")


def test_an_unknown_source_is_named():
    with pytest.raises(ValueError, match="expected a source among bundled, .*, found 'timit'"):
        corpora.load("timit")


def test_a_new_file_in_the_folder_is_a_source(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "from unispeech_lab.corpus import Corpus\ndef load(): return Corpus.of([], name='mine')\n"
    )
    (tmp_path / "_help.py").write_text("")
    monkeypatch.setattr(corpora, "__path__", [*corpora.__path__, str(tmp_path)])
    assert "mine" in corpora.names() and "_help" not in corpora.names()
    assert corpora.load("mine").name == "mine"


# --- untrusted text: the file and the line are named, whatever is in it


CASES = {
    "table": ("list.csv", "path,text\n"),
    "common_voice": ("train.tsv", "client_id\tpath\tsentence\n"),
    "librispeech": ("dev-clean/19/198/19-198.trans.txt", ""),
}


@pytest.mark.parametrize("source", CASES)
@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"too,many,cells,here\tof\tthem\tall\n", True),
        (b"\xff\xfe\xff\n", True),
        (b"\n\n\nx\n", True),
        (b'"open\n', True),
    ],
    ids=["cells", "not UTF-8", "short", "quote"],
)
def test_a_broken_line_is_named_by_file_and_number(source, content, line, tmp_path):
    arguments = EXAMPLES[source](tmp_path)
    name, header = CASES[source]
    (tmp_path / name).write_bytes(header.encode() + content)
    expected = header.count("\n") + content.rstrip(b"\n").count(b"\n") + 1
    with pytest.raises(ValueError, match=rf"{Path(name).name}, line {expected}: expected") as caught:
        corpora.load(source, *arguments)
    assert not isinstance(caught.value, UnicodeDecodeError)


@pytest.mark.parametrize("source", CASES)
def test_random_bytes_never_end_in_a_bare_traceback(source, tmp_path):
    arguments = EXAMPLES[source](tmp_path)
    name, header = CASES[source]
    draw = np.random.default_rng(0)
    for length in (0, 1, 5, 40, 300):
        for _ in range(8):
            (tmp_path / name).write_bytes(header.encode() + draw.integers(0, 256, length, dtype=np.uint8).tobytes())
            try:
                corpora.load(source, *arguments)
            except ValueError as error:
                assert Path(name).name in str(error) or isinstance(error, AudioError)


def test_a_table_needs_its_columns(tmp_path):
    (tmp_path / "a.csv").write_text("file,text\nx.wav,hello\n")
    with pytest.raises(ValueError, match=r"a\.csv, line 1: expected columns path, each once, found \['file', 'text'\]"):
        table.load(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("path,text\nx.wav,hello\n ,empty\n")
    sound(tmp_path / "x.wav")
    with pytest.raises(ValueError, match=r"b\.csv, line 3: expected something in path, found nothing"):
        table.load(tmp_path / "b.csv")
    with pytest.raises(FileNotFoundError, match=r"gone\.csv: expected a text file, found none"):
        table.load(tmp_path / "gone.csv")


# --- one by one


def test_folder(tmp_path):
    corpus = folder.load(*example_folder(tmp_path), language="en", speaker="me")
    assert list(corpus.table["id"]) == ["a", "deep/b"]
    a, b = corpus
    assert (a.text, a.language, a.speaker) == ("Good morning.", "en", "me") and b.text == ""
    assert a.phones == (Span("ɡ", 0, 0.1),) and a.words == (Span("good", 0, 0.3),) and b.phones == ()
    sound(tmp_path / "a.ogg")
    assert list(folder.load(tmp_path).table["id"]) == ["a.ogg", "a.wav", "deep/b"]
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"none: expected sound files \(.*\.wav.*\), found none"):
        folder.load(tmp_path / "none")


def test_a_broken_textgrid_beside_a_sound_is_named(tmp_path):
    corpus = folder.load(*example_folder(tmp_path))
    (tmp_path / "a.TextGrid").write_text("nonsense")
    with pytest.raises(ValueError, match=r"a\.TextGrid.*: expected a TextGrid"):
        corpus["a"]
    assert corpus["deep/b"].seconds > 0


def test_librispeech(tmp_path):
    (root,) = example_librispeech(tmp_path)
    corpus = librispeech.load(root)
    assert list(corpus.table["id"]) == ["19-198-0000", "19-198-0001", "26-495-0000", "26-495-0001"]
    assert (corpus[1].text, corpus[1].speaker, corpus[1].language) == ("CHAPTER 1", "19", "en")
    assert list(corpus.table["chapter"]) == ["198", "198", "495", "495"] and set(corpus.table["part"]) == {"dev-clean"}
    assert len(librispeech.load(root, part="dev-clean/26")) == 2
    with pytest.raises(FileNotFoundError, match="test-clean: expected a folder"):
        librispeech.load(root, part="test-clean")
    (root / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: expected LibriSpeech's \*\.trans\.txt, found none"):
        librispeech.load(root, part="empty")


def test_common_voice(tmp_path):
    (root,) = example_common_voice(tmp_path)
    (train,) = common_voice.load(root)
    assert (train.id, train.text) == ("common_voice_tt_1", '"Исәнме" диде')
    assert (train.language, train.speaker) == ("tt", "c1")
    (dev,) = common_voice.load(root, split="dev")
    assert (dev.id, dev.text) == ("common_voice_tt_2", "Рәхмәт")  # a path without its .mp3, as in older releases
    with pytest.raises(FileNotFoundError, match="expected this split, found no file; the splits here are: dev, train"):
        common_voice.load(root, split="test")


@pytest.mark.parametrize("path", ["../../secret.mp3", "/secret.mp3", "..\\secret.mp3", ".."])
def test_common_voice_stays_in_its_folder(tmp_path, path):
    root = tmp_path / "release" / "tt"
    root.mkdir(parents=True)
    (root / "clips").mkdir()
    sound(tmp_path / "release" / "secret.mp3", rate=48_000)
    (root / "train.tsv").write_text(f"client_id\tpath\tsentence\nc\t{path}\tHello\n")
    with pytest.raises(ValueError, match=r"train.tsv: expected the name of a clip in clips/ as path, found"):
        common_voice.load(root, on_error="skip")


def test_table(tmp_path):
    corpus = table.load(*example_table(tmp_path))
    assert list(corpus.table["id"]) == ["x/a", "x/b"] and list(corpus.table["score"]) == ["3", "4"]
    (tmp_path / "list.csv").write_bytes(b"\xef\xbb\xbf" + (tmp_path / "list.csv").read_bytes())  # as Excel saves it
    assert list(table.load(tmp_path / "list.csv").table["id"]) == ["x/a", "x/b"]
    assert corpus["x/a"].text == 'Yes, "now"' and list(corpus.table["language"]) == ["en", "nl"]
    absolute = tmp_path / "elsewhere" / "list.tsv"
    absolute.parent.mkdir()
    absolute.write_text(f'id\tpath\tsentence\n7\t{tmp_path / "x" / "b.wav"}\tsaid "so"\n')
    assert table.load(absolute)["7"].text == 'said "so"' and table.load(absolute)["7"].seconds == pytest.approx(0.3)


def test_an_alignment_that_a_table_names_must_be_there(tmp_path):
    sound(tmp_path / "a.wav")
    (tmp_path / "l.tsv").write_text("path\talignment\na.wav\tgone.TextGrid\n")
    with pytest.raises(AudioError, match=r"gone\.TextGrid: expected the alignment of a, found no file"):
        table.load(tmp_path / "l.tsv")
    with pytest.warns(UserWarning, match=r"left out .*gone\.TextGrid"):
        assert len(table.load(tmp_path / "l.tsv", on_error="skip")) == 0


# --- the bundled corpus


def test_bundled_is_what_was_promised():
    corpus = Corpus.bundled()
    assert " ".join(sorted(set(corpus.table["language"]))) == "en es fr it ky nl ru sv tr tt zh"
    assert corpus.table["language"].value_counts().min() >= 10 and corpus.table["speaker"].nunique() >= 5
    assert corpus.table["seconds"].between(1.5, 5).all() and 2 < corpus.table["seconds"].mean() < 4
    assert sum(file.stat().st_size for file in SPEECH.rglob("*")) < 12e6


def test_bundled_sounds_are_16_khz_flac_of_16_bits_and_every_checksum_holds():
    for row in Corpus.bundled().table.to_dict("records"):
        info = soundfile.info(SPEECH / row["path"])
        assert (info.format, info.subtype, info.samplerate, info.channels) == ("FLAC", "PCM_16", RATE, 1)
        for file, expected in ((row["path"], row["sha256"]), (row["alignment"], row["alignment_sha256"])):
            assert hashlib.sha256((SPEECH / file).read_bytes()).hexdigest() == expected, file


def test_bundled_manifest_and_files_are_the_same_set():
    table = Corpus.bundled().table
    named = {*table["path"], *table["alignment"]}
    there = {file.relative_to(SPEECH).as_posix() for file in SPEECH.glob("*/*")}
    assert named == there and len(named) == 2 * len(table)


def test_bundled_phones_agree_with_their_transcript_and_cover_the_speech():
    for utterance, transcript in zip(Corpus.bundled(), Corpus.bundled().table["phones"], strict=True):
        spoken = [phone for phone in transcript.split() if phone != "|" and not phone.startswith("(")]
        assert [span.label for span in utterance.phones] == spoken
        assert 0.1 < utterance.phones[0].start < 0.4 and 0.1 < utterance.seconds - utterance.phones[-1].end < 0.6
        covered = sum(span.duration for span in utterance.phones)
        assert covered > 0.75 * (utterance.phones[-1].end - utterance.phones[0].start)
        assert all(0.004 < span.duration < 0.6 for span in utterance.phones)
        assert utterance.words[0].start == utterance.phones[0].start


def test_bundled_phones_are_louder_than_what_is_around_them():
    for utterance in Corpus.bundled():
        inside = np.zeros(len(utterance.waveform), bool)
        for span in utterance.phones:
            inside[round(span.start * RATE) : round(span.end * RATE)] = True
        power = utterance.waveform.astype(float) ** 2
        assert 10 * np.log10(power[inside].mean() / power[~inside].mean()) > 20, utterance.id


def test_bundled_speech_never_holds_digital_silence():
    for utterance in Corpus.bundled():
        still = np.flatnonzero(np.diff(utterance.waveform) != 0)
        assert np.diff(still).max() < 0.01 * RATE, f"{utterance.id}: a stretch of 10 ms without any change"
        assert 0.05 < np.abs(utterance.waveform).max() < 0.99


def test_bundled_has_minimal_pairs_in_english():
    said = {u.text: [p.label for p in u.phones] for u in Corpus.bundled().where(language="en")}
    for one, other in (
        ("They bought a red pen.", "They bought a red pan."),
        ("He put the pin in the box.", "He put the bin in the box."),
    ):
        assert len(said[one]) == len(said[other])
        assert sum(a != b for a, b in zip(said[one], said[other], strict=True)) == 1


def test_bundled_says_its_licence():
    note = (data_dir() / "LICENCE.md").read_text(encoding="utf-8")
    assert "GNU General Public License, version 3 or later" in note and "Apache-2.0" in note and "espeak-ng" in note
    assert "GNU GENERAL PUBLIC LICENSE" in (SPEECH / "COPYING").read_text(encoding="utf-8")


def test_bundled_was_made_by_the_default_recipe_from_the_committed_sentences():
    from dataclasses import asdict

    from unispeech_lab.espeak.recipe import Recipe, jobs, read_sentences

    sentences = read_sentences(SPEECH / "sentences.tsv")
    committed = json.loads((SPEECH / "recipe.json").read_text(encoding="utf-8"))
    digest = hashlib.sha256(json.dumps(sentences, sort_keys=True).encode()).hexdigest()
    assert committed == json.loads(json.dumps({**asdict(Recipe()), "sentences_sha256": digest}))
    made = Corpus.bundled().table[["id", "text", "voice"]].to_dict("records")
    assert made == [{"id": job.id, "text": job.text, "voice": job.voice} for job in jobs(Recipe(), sentences)]


def test_bundled_needs_no_espeak():
    code = "import sys; sys.modules['espeakng_loader'] = None\n"
    code += "from unispeech_lab.corpus import Corpus; print(len(Corpus.bundled()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(bundled.load())


@pytest.mark.skipif(not BESIDE.is_dir(), reason="needs a folder of human recordings beside the checkout")
def test_human_recordings_are_read():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        corpus = table.load(BESIDE / "manifest.tsv")
        assert len(corpus) == 730 and len(corpus[::40].check()) == 19
    assert corpus["kathleen_a0001"].text.startswith("Author of the danger trail")
    assert len(folder.load(BESIDE / "en_read")) == (corpus.table["part"] == "en_read").sum()
