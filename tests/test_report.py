"""The report: a page of one file, with every view's still picture, the sound, the phones."""

import re
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from unispeech_lab import Corpus, checkpoints, cli
from unispeech_lab.report import page


class Page(HTMLParser):
    """What a page holds: pictures, sounds, links, scripts, headings, cells."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            continue

    def handle_data(self, data):
        self.text.append(((self.open or [""])[-1], data))

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]

    def within(self, tag):
        return [data for name, data in self.text if name == tag]


@pytest.fixture(scope="module")
def utterance():
    return Corpus.bundled()[0]


@pytest.fixture(scope="module")
def whole(utterance):
    return Page(page(checkpoints.load("tiny"), utterance, tabs=("sound", "CTC", "alignment")))


def command(*arguments, code=0) -> str:
    result = CliRunner().invoke(cli.app, ["report", *map(str, arguments)], env={"COLUMNS": "4000"})
    assert result.exit_code == code, result.output
    return re.sub(r"[│\s]+", " ", result.output)


def test_every_tab_is_a_picture_with_words(whole):
    assert whole.within("h2") == ["Sound", "CTC", "Alignment"]
    pictures = [image for image in whole.all("img") if image["src"].startswith("data:image/png")]
    assert len(pictures) == 3 and all(len(image["alt"]) > 100 for image in pictures)
    for image in pictures:
        assert b64decode(image["src"].partition(",")[2]).startswith(b"\x89PNG")


def test_the_sound_is_the_utterance(whole, utterance):
    (sound,) = whole.all("audio")
    samples, rate = soundfile.read(BytesIO(b64decode(sound["src"].partition(",")[2])))
    assert rate == 16_000 and np.abs(samples - utterance.waveform).max() < 1e-4


def test_every_phone_is_a_row(whole, utterance):
    cells = np.array(whole.within("td")).reshape(len(utterance.phones), -1)
    assert cells[:, 0].tolist() == [span.label for span in utterance.phones]
    assert cells[:, 1].astype(float) == pytest.approx([span.start for span in utterance.phones], abs=5e-4)


def test_nothing_is_fetched_and_nothing_runs(whole):
    assert not whole.all("script") and not whole.all("link")
    places = [attrs[key] for _, attrs in whole.tags for key in ("src", "href") if key in attrs]
    assert places and all(place.startswith(("data:", "#")) for place in places)
    anchors = {attrs["id"] for attrs in whole.all("section")}
    assert {attrs["href"][1:] for attrs in whole.all("a")} == anchors


def test_what_is_said_in_markup_is_text(utterance):
    from dataclasses import replace

    odd = replace(utterance, text="<script>alert(1)</script>", id="<b>")
    assert not Page(page(checkpoints.load("tiny"), odd, tabs=("sound",))).all("script")


def test_what_is_too_short_for_one_view_is_shown_by_the_others(utterance):
    short = Page(page(checkpoints.load("tiny"), utterance.clip(0.2, 0.25), tabs=("sound", "loss")))
    assert short.within("h2") == ["Sound", "Loss"] and any(
        "expected spans that fit" in said for said in short.within("p")
    )
    assert len([image for image in short.all("img") if image["src"].startswith("data:image/png")]) == 1


class TestCommand:
    @pytest.fixture
    def sound(self, tmp_path, utterance):
        soundfile.write(tmp_path / "said.wav", utterance.waveform, 16_000)
        return tmp_path / "said.wav"

    def test_phones_that_are_given_are_placed(self, sound, utterance):
        said = " ".join(span.label for span in utterance.phones)
        assert "placed where the model hears them" in command(sound, "--phones", said)
        made = Page(sound.with_suffix(".html").read_text(encoding="utf-8"))
        cells = np.array(made.within("td")).reshape(len(utterance.phones), -1)
        off = cells[:, 1].astype(float) - [span.start for span in utterance.phones]
        assert np.median(np.abs(off)) < 0.02
        assert "Alignment" not in made.within("h2") and "Sound" in made.within("h2")

    def test_without_a_text_it_says_that_nobody_told(self, sound, tmp_path):
        assert "Nobody said what is spoken" in command(sound, "-o", tmp_path / "deep" / "page.html")
        assert (tmp_path / "deep" / "page.html").stat().st_size > 100_000

    def test_silence_is_called_that(self, tmp_path):
        soundfile.write(tmp_path / "still.wav", np.zeros(16_000), 16_000)
        said = command(tmp_path / "still.wav")
        assert "The model hears no phone in it" in said

    def test_two_truths_are_one_too_many(self, sound):
        assert "expected one of --text, --phones and --tiers" in command(sound, "--text", "a", "--phones", "a", code=2)

    def test_a_file_that_is_no_sound_is_named(self, tmp_path):
        (tmp_path / "no.wav").write_text("no sound")
        assert "no.wav" in command(tmp_path / "no.wav", code=2)
        assert not (tmp_path / "no.html").exists()

    def test_what_is_read_is_never_written_over(self, sound, tmp_path):
        before = sound.read_bytes()
        assert "expected a file of its own for the page" in command(sound, "-o", sound, code=2)
        assert "expected a file of its own for the page" in command(sound, "-o", tmp_path, code=2)
        assert sound.read_bytes() == before
