"""align, transcribe, rescore: whole commands on files, by a model that knows nothing or one that is always right."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from spoken import PHONES, Ears, say
from typer.testing import CliRunner

from unispeech_lab import UniSpeechConfig, UniSpeechForPreTraining, cli
from unispeech_lab.alignment import formats
from unispeech_lab.commands import recordings
from unispeech_lab.vocabulary import Vocabulary

VOCABULARY = Vocabulary(PHONES)
SAID = [("k", 0.2, 0.3), ("a", 0.3, 0.5), ("t", 0.5, 0.6)]


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A folder with a model that knows nothing, and its vocabulary."""
    folder = tmp_path_factory.mktemp("models") / "untrained"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        UniSpeechForPreTraining(UniSpeechConfig.tiny(num_ctc_classes=len(VOCABULARY))).save_pretrained(folder)
    VOCABULARY.save(folder)
    recordings.ears.cache_clear()
    return folder


@pytest.fixture
def right(monkeypatch):
    """Whatever model is asked for is always right."""
    monkeypatch.setattr(recordings, "ears", lambda name: (Ears(VOCABULARY), VOCABULARY))


@pytest.fixture
def cat(tmp_path):
    soundfile.write(tmp_path / "cat.wav", say(VOCABULARY, SAID, 0.8), 16_000, subtype="FLOAT")
    return tmp_path / "cat.wav"


def command(*arguments, code=0) -> str:
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments], env={"COLUMNS": "4000"})
    assert result.exit_code == code, result.output
    return re.sub(r"[│\s]+", " ", result.output)


def test_align_writes_where_it_was_said(cat, right):
    said = command("align", cat, "--phones", "k a t")
    assert "cat.TextGrid: 3 phones in 0.80 s, 100% of them heard" in said and "low confidence" not in said
    tiers = formats.read(cat.with_suffix(".TextGrid"))
    assert [word.label for word in tiers["words"]] == ["kat"]
    for span, (label, start, end) in zip(tiers["phones"], SAID, strict=True):
        assert span.label == label
        assert label == "k" or span.start == pytest.approx(start, abs=0.011)
        assert label == "t" or span.end == pytest.approx(end, abs=0.011)


@pytest.mark.parametrize("name", ["cat.json", "cat.ctm", "cat.eaf", "cat.srt", "deep/er/cat.vtt"])
def test_align_writes_every_format_anywhere(name, cat, right, tmp_path):
    command("align", cat, "--phones", "k a t", "-o", tmp_path / name)
    assert (tmp_path / name).stat().st_size > 30


def test_align_says_when_it_is_not_to_be_trusted(cat, untrained):
    said = command("align", cat, "--phones", "k a t ʙ | m", "--model", untrained)
    assert "low confidence: " in said and "the model knows no ʙ: taken for any sound" in said


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.flac", {}), ("a.ogg", {}), ("a.mp3", {}), ("a.wav", {"samplerate": 44_100}), ("b.wav", {"channels": 2})],
)
def test_any_rate_channels_and_format(name, options, untrained, tmp_path):
    rate = options.get("samplerate", 16_000)
    tone = 0.1 * np.sin(np.arange(rate) / 20)
    sound = np.stack([tone] * options.get("channels", 1), axis=-1)
    soundfile.write(tmp_path / name, sound, rate)
    assert "3 phones in 1.0" in command("align", tmp_path / name, "--phones", "k a t", "--model", untrained)


def folder_of(tmp_path, count=3) -> Path:
    for k in range(count):
        place = tmp_path / "in" / f"s{k % 2}"
        place.mkdir(parents=True, exist_ok=True)
        soundfile.write(place / f"{k}.wav", say(VOCABULARY, SAID, 0.8), 16_000, subtype="FLOAT")
        (place / f"{k}.phones").write_text("k a t\n")
    return tmp_path / "in"


def test_a_folder_goes_on_where_it_was_stopped(untrained, tmp_path):
    folder, out = folder_of(tmp_path), tmp_path / "out"
    ask = ("align", folder, "-o", out, "--model", untrained, "--workers", 1, "--format", "json")
    command(*ask)
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.json")) == ["s0/0.json", "s0/2.json", "s1/1.json"]
    first = (out / "s0/0.json").read_bytes()
    (out / "s0/0.json").write_text("mine")
    (out / "s1/1.json").unlink()
    assert "2 of 3 were there already" in command(*ask)
    assert (out / "s1/1.json").exists() and (out / "s0/0.json").read_text() == "mine"
    command(*ask, "--again")
    assert (out / "s0/0.json").read_bytes() == first


@pytest.mark.parametrize("workers", [1, 2])
def test_what_cannot_be_aligned_is_left_out_and_named(workers, untrained, tmp_path):
    folder = folder_of(tmp_path, 5)
    (folder / "s0/0.phones").write_text("k a t " * 50)
    (folder / "s1/1.phones").unlink()
    (folder / "s0/2.wav").write_bytes(b"no sound")
    (folder / "s1/3.phones").write_text(" | \n")
    said = command("align", folder, "--model", untrained, "--workers", workers, code=1)
    assert re.search(r"left out \S+0\.wav: expected at least 150 frames .* the text is longer than the sound", said)
    assert re.search(r"left out \S+1\.wav: expected 1\.txt \(text\) or 1\.phones beside it, found neither", said)
    assert re.search(r"left out \S+2\.wav: \S+2\.wav: expected a sound file", said)
    assert re.search(r"left out \S+3\.wav: \S+3\.phones: expected what is said, .* found nothing to say in it", said)
    assert "4 of 5 were left out" in said
    assert [path.name for path in folder.rglob("*.TextGrid")] == ["4.TextGrid"]


def test_text_is_read_aloud_by_espeak(right, tmp_path):
    pytest.importorskip("espeakng_loader", reason="making speech: pip install 'unispeech-lab[speech]'")
    spans = [("s", 0.1, 0.2), ("a", 0.2, 0.3), ("t", 0.3, 0.4), ("k", 0.6, 0.7), ("a", 0.7, 0.8), ("t", 0.8, 0.9)]
    soundfile.write(tmp_path / "a.wav", say(VOCABULARY, spans, 1.0), 16_000, subtype="FLOAT")
    command("align", tmp_path / "a.wav", "-t", "Sata, * cata!", "--language", "it")
    tiers = formats.read(tmp_path / "a.TextGrid")
    assert [span.label for span in tiers["words"]] == ["Sata", "*", "cata"]
    assert [span.label for span in tiers["phones"]] == ["s", "a", "t", "a", "*", "k", "a", "t", "a"]
    (tmp_path / "a.txt").write_text("sata cata", encoding="utf-8")
    command("align", tmp_path / "a.wav", "--language", "it", "--again")
    assert [span.label for span in formats.read(tmp_path / "a.TextGrid")["words"]] == ["sata", "cata"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cat.wav"], r"expected cat\.txt \(text\) or cat\.phones beside it, found neither"),
        (["gone.wav", "--phones", "k"], r"gone\.wav: expected a sound file or a folder of them, found nothing there"),
        (["cat.wav", "--phones", "k", "--text", "k"], "expected --text or --phones, found both"),
        (["cat.wav", "cat.wav", "--phones", "k"], "expected one recording with --text or --phones, found 2"),
        (["cat.wav", "--phones", " | "], "expected phones separated by blanks, such as 'h ə l oʊ', found ' | '"),
        (["cat.wav", "--phones", "k", "--method", "x"], "expected a method out of raw, midpoint, .*, found 'x'"),
        (["cat.wav", "--phones", "k", "--format", "doc"], "expected a file that ends in .textgrid, .* found '.doc'"),
        (["cat.wav", "--phones", "k " * 99], "expected at least 197 frames .* the text is longer than the sound"),
        (["cat.wav", "--phones", "k", "--model", "nowhere"], "expected 'tiny', a folder or a hub name"),
        (["empty", "--phones", "k"], "empty: expected sound files .* in the folder, found none"),
    ],
)
def test_what_cannot_be_asked_of_align(arguments, message, cat, untrained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    model = [] if "--model" in arguments else ["--model", untrained]
    assert re.search(message, command("align", *arguments, *model, code=2))


def test_a_model_without_names_for_its_classes_is_refused(cat, tmp_path):
    UniSpeechForPreTraining(UniSpeechConfig.tiny()).save_pretrained(tmp_path / "nameless")
    said = command("transcribe", cat, "--model", tmp_path / "nameless", code=2)
    assert re.search(r"expected vocab\.json beside the model .*, which says what its classes are, found none", said)


def test_transcribe_says_the_phones(cat, right, tmp_path):
    assert "cat.wav: k a t" in command("transcribe", cat)
    assert "cat.wav: k a t" in command("transcribe", cat, "--beam", 4, "-o", tmp_path / "heard.json")
    assert [span.label for span in formats.read(tmp_path / "heard.json")["phones"]] == ["k", "a", "t"]
    soundfile.write(tmp_path / "quiet.wav", np.zeros(16_000), 16_000)
    said = command("transcribe", tmp_path / "quiet.wav", "-o", tmp_path / "quiet.TextGrid")
    assert "quiet.wav: (no phone is heard: silence, or no speech)" in said
    assert formats.read(tmp_path / "quiet.TextGrid") == {"phones": ()}


def test_transcribe_listens_to_a_language_model(cat, right, tmp_path):
    pytest.importorskip("kenlm", reason="language models: pip install 'unispeech-lab[lm]'")
    ones = "-99\t<s>\t0\n-1\t</s>\n-0.1\tm\t0\n-9\t<unk>\n"
    arpa = f"\\data\\\nngram 1=4\nngram 2=1\n\n\\1-grams:\n{ones}\n\\2-grams:\n-0.1\t<s> m\n\n\\end\\\n"
    (tmp_path / "a.arpa").write_text(arpa, encoding="utf-8")
    assert "cat.wav: k a t" in command("transcribe", cat, "--beam", 4, "--lm", tmp_path / "a.arpa", "--lm-weight", 0)
    assert "cat.wav: k a t" not in command(
        "transcribe", cat, "--beam", 4, "--lm", tmp_path / "a.arpa", "--lm-weight", 9
    )
    said = command("transcribe", cat, "--lm", tmp_path / "a.arpa", code=2)
    assert "expected --beam 2 or more with --lm, found 1" in said


def test_rescore_scores_a_tier_where_it_stands(cat, right, tmp_path):
    command("align", cat, "--phones", "k a t")
    tiers = formats.read(cat.with_suffix(".TextGrid"))
    k, a, t = tiers["phones"]
    moved = {"words": tiers["words"], "phones": (k, type(a)("m", a.start, a.end), t)}
    formats.write(tmp_path / "mine.TextGrid", moved, 0.8)
    said = command("rescore", cat, tmp_path / "mine.TextGrid", "-o", tmp_path / "scored.json")
    assert "3 phones, mean score 0.66 0.00 m 0.30" in said
    scored = formats.read(tmp_path / "scored.json")
    assert [round(span.score, 2) for span in scored["phones"]] == [1, 0, 1] and scored["words"] == tiers["words"]
    assert "expected a file that ends in .json, .ctm" in command(
        "rescore", cat, tmp_path / "mine.TextGrid", "-o", "a.eaf", code=2
    )
    formats.write(tmp_path / "words.TextGrid", {"words": tiers["words"]}, 0.8)
    assert "expected a tier of phones, found words" in command("rescore", cat, tmp_path / "words.TextGrid", code=2)
