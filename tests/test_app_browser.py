"""The app in a real browser: it opens each time, plays, turns its knobs, takes one's own sound, asks nobody else."""

import re
import wave

import numpy as np
import pytest
from browser import LabServer, watched_page
from playwright.sync_api import expect
from screen import Screen
from test_app import start

from unispeech_lab.corpus import Corpus

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    server = start(tmp_path_factory.mktemp("app"))
    yield server
    server.stop()


@pytest.fixture
def page(app):
    with watched_page(app) as page:
        yield page


@pytest.fixture
def screen(app, page) -> Screen:
    page.goto(app.address)
    return Screen(page)


def sound(path, seconds: float) -> str:
    """Bundled speech, again and again, in a file."""
    speech = np.concatenate([utterance.waveform for utterance in Corpus.bundled()[:20]])
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((np.resize(speech, round(seconds * 16_000)) * 32767).astype("<i2").tobytes())
    return str(path)


def open_tab(screen: Screen, name: str, panel: str) -> None:
    screen.root.get_by_role("tab", name=name, exact=True).click()
    screen.panel(panel).wait_for(timeout=60_000)


def says(page, selector: str, words: str) -> None:
    page.locator(selector).filter(has_text=re.compile(words)).wait_for(timeout=60_000)


def test_it_opens_each_time(app, page):
    """Three times here; fifty times: benchmarks/app_loads.py."""
    for _ in range(3):
        page.goto(app.address)
        screen = Screen(page)
        assert screen.caption("waveform")
        expect(page.locator("#state")).to_be_empty()


def test_a_knob_moved_by_keyboard_changes_pixels(page, screen):
    open_tab(screen, "attention", "attention")
    before = screen.pixels("attention")
    page.locator("input[name=layer]").focus()
    page.keyboard.press("ArrowRight")
    screen.changes("attention", before)
    says(page, "figure figcaption strong", "Attention, layer 1, head 0")


def test_it_plays(page, screen):
    page.locator(".us-stack").focus()
    page.keyboard.press("Space")
    screen.settles("root => Number(root.dataset.time) > 0.3")
    first = screen.time
    screen.settles(f"root => Number(root.dataset.time) > {first} + 0.1")
    page.keyboard.press("Space")


def test_another_utterance_is_chosen(page, screen):
    before = screen.pixels("waveform")
    page.locator("#source select").select_option(index=3)
    screen.changes("waveform", before)


def test_ones_own_sound_broken_short_and_whole(page, screen, tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"RIFF no sound")
    page.locator("#source input[type=file]").set_input_files(tmp_path / "broken.wav")
    says(page, ".uc-status", "broken.wav is no sound")
    page.locator("#source input[type=file]").set_input_files(sound(tmp_path / "short.wav", 0.01))
    open_tab(screen, "attention", "waveform")
    says(page, ".us-note", "expected")
    page.locator("#source input[type=file]").set_input_files(sound(tmp_path / "mine.wav", 3))
    says(page, ".uc-status", r"mine.wav: 3.00 s")
    screen.panel("attention").wait_for(timeout=60_000)
    screen.settles("root => Math.abs(root.sound.seconds - 3) < 0.01")


def test_two_minutes_are_turned_page_by_page(page, screen, tmp_path):
    page.locator("#source input[type=file]").set_input_files(sound(tmp_path / "long.wav", 120))
    says(page, ".us-note", r"Page 1 of \d+: 0.0 to [\d.]+ s of the recording")
    before = screen.pixels("waveform")
    page.locator("input[name=page]").focus()
    page.keyboard.press("ArrowRight")
    says(page, ".us-note", r"Page 2 of \d+")
    screen.changes("waveform", before)


def test_two_pages_are_apart(app, page, screen):
    other = page.context.new_page()
    other.goto(app.address)
    beside = Screen(other)
    before = beside.pixels("waveform")
    open_tab(screen, "CTC", "posteriors")
    page.locator("#source select").select_option(index=5)
    says(page, ".us-note", ".")
    assert beside.root.get_by_role("tab", selected=True).inner_text() == "sound" and beside.pixels("waveform") == before


def test_a_page_is_told_when_the_app_is_closed(tmp_path):
    server: LabServer = start(tmp_path)
    with watched_page(server) as page:
        page.goto(server.address)
        Screen(page)
        assert server.stop() == 0
        says(page, "#state", "The app is closed. Start it again")
