"""The tour and the stage in a real browser: cells run, knobs change pixels, sound plays, a phone is heard alone."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import soundfile
from browser import FLAGS, find_chromium, open_notebook, run_all
from playwright.sync_api import expect
from screen import Screen

pytestmark = pytest.mark.browser

HERE = Path(__file__).parent
PLAIN = """
from pictures import trace, utterance
from unispeech_lab import Explorer
explorer = Explorer(trace(), utterance(), note="a note")
explorer
"""
SLOW = """
import time
quick, made = explorer.views["attention"].panels, []
def slow(trace, utterance, layer, head):
    time.sleep(0.2)
    made.append(layer)
    return quick(trace, utterance, layer, head)
explorer.views["attention"].panels = slow
"""
FOUR_CELLS = """
import numpy as np
from unispeech_lab.views.panel import Axis, Heatmap, Panel, clock
from unispeech_lab.views.stage import Stage
cells = Heatmap(np.array([[0, 1], [0.5, np.nan]]), (0, 1), (0, 2), 0, 1, unit="dB", rows=("low", "high"))
four = Stage()
four.play(np.zeros(16_000), 16_000)
four.draw([Panel("four", "Four", (cells,), clock(1), Axis("row", "", 0, 2))])
four
"""
SPEAK = """
from pictures import utterance
from unispeech_lab import Source
source = Source([utterance(), utterance(8000)])
source
"""
CHOSEN = "print(source.utterance.id, len(source.utterance.waveform), abs(source.utterance.waveform).max() > 0.01)"


def write(folder: Path, name: str, *cells: str) -> str:
    """A notebook for the server to open; beside it, the arrays that it shows."""
    shutil.copy(HERE / "pictures.py", folder)
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source.strip()) for source in cells])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, folder / name)
    return name


def test_tour(chromium_page):
    page = chromium_page
    open_notebook(page, "00_tour.ipynb")
    run_all(page)
    first = Screen(page)
    first.noted("trained on")

    # move layer and head: by keyboard, and only that picture changes
    before = {name: first.pixels(name) for name in ("attention", "codes", "truth")}
    first.root.locator("input[name=layer]").press("ArrowRight")
    first.changes("attention", before["attention"])
    first.captioned("attention", "layer 1, head 0")
    turned = first.pixels("attention")
    first.root.locator("input[name=head]").press("ArrowRight")
    first.changes("attention", turned)
    assert first.pixels("codes") == before["codes"] and first.pixels("truth") == before["truth"]

    # press play: time advances, and what is decoded is no silence
    first.listen()
    first.root.get_by_role("button", name="play").click()
    first.settles("root => Number(root.dataset.time) > 0.3 && root.dataset.playing === 'true'")
    assert first.root.evaluate("root => Math.max(...root.sound.decoded.getChannelData(0))") > 0.05
    earlier = first.time
    first.settles(f"root => Number(root.dataset.time) > {earlier} + 0.2")
    first.root.get_by_role("button", name="pause").click()

    # choose another sentence: the second explorer hears it
    second = Screen(page, 1)
    seen = second.pixels("truth")
    length = second.root.locator(".us-clock").inner_text()
    page.locator(".unispeech-source select").select_option(index=12)
    second.changes("truth", seen)
    second.settles(f"root => root.querySelector('.us-clock').textContent !== '{length}'")


def test_a_phone_is_heard_alone(lab_server, chromium_page):
    page = chromium_page
    open_notebook(page, write(lab_server.folder, "plain.ipynb", PLAIN))
    run_all(page)
    stage = Screen(page)
    stage.listen()

    # five phones of 0.2 s: the third is from 0.4 to 0.6, on the lower tier
    stage.root.evaluate(
        """root => {
            window.times = [];
            new MutationObserver(() => root.dataset.playing === 'true' && window.times.push(Number(root.dataset.time)))
                .observe(root, { attributes: true, attributeFilter: ['data-time'] });
        }"""
    )
    stage.click("truth", 0.5, 0.25)
    ((when, offset, duration),) = stage.heard()
    assert when == 0 and offset == pytest.approx(0.4, abs=1e-4) and duration == pytest.approx(0.2, abs=1e-4)
    stage.settles("root => root.dataset.playing === 'false'")
    times = page.evaluate("window.times")
    assert times and min(times) >= 0.4 and max(times) <= 0.6001
    assert stage.time == pytest.approx(0.4, abs=1e-3)  # back at its beginning, to be heard again

    # the word above it holds the third to the fifth; with shift it sounds again and again
    stage.click("truth", 0.5, 0.75, modifiers=["Shift"])
    assert stage.heard()[-1][1] == pytest.approx(0.4, abs=1e-4)
    assert stage.root.evaluate("root => [root.sound.playing.loop, root.sound.playing.stop]") == [True, 1]
    page.keyboard.press("Escape")
    stage.settles("root => root.dataset.playing === 'false'")

    # elsewhere a click moves the playhead, a drag chooses a stretch
    stage.click("waveform", 0.75)
    stage.settles("root => Math.abs(Number(root.dataset.time) - 0.75) < 0.005")
    box, start, end = (
        stage.panel("waveform").bounding_box(),
        stage.at("waveform", 0.1, 0.5),
        stage.at("waveform", 0.3, 0.5),
    )
    page.mouse.move(box["x"] + start["x"], box["y"] + start["y"])
    page.mouse.down()
    page.mouse.move(box["x"] + end["x"], box["y"] + end["y"], steps=4)
    page.mouse.up()
    assert stage.heard()[-1][1:] == [pytest.approx(0.1, abs=0.005), pytest.approx(0.2, abs=0.005)]
    stage.settles("root => root.dataset.playing === 'false'")

    # where motion is unwelcome the playhead takes five steps a second
    page.emulate_media(reduced_motion="reduce")
    page.evaluate("window.times.length = 0")
    stage.root.get_by_role("button", name="play").focus()
    stage.root.locator(".us-stack").press("Escape")
    stage.click("truth", 0.9, 0.75)
    stage.settles("root => root.dataset.playing === 'true'")
    stage.settles("root => root.dataset.playing === 'false'")
    assert 2 <= len(set(page.evaluate("window.times"))) <= 5

    # what the stage has opened it closes when it goes
    page.evaluate("window.sound = document.querySelector('.unispeech-stage').sound")
    page.evaluate("window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.wait_for_function("window.sound.context.state === 'closed'")


def test_keys_pointer_and_theme(lab_server, chromium_page):
    page = chromium_page
    open_notebook(page, write(lab_server.folder, "keys.ipynb", PLAIN, SLOW))
    run_all(page)
    stage = Screen(page)
    stack = stage.root.locator(".us-stack")

    # arrows move the playhead by a frame, and say where it is to who listens
    stack.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    stage.settles("root => Math.abs(Number(root.dataset.time) - 0.06) < 1e-6")
    page.keyboard.press("Shift+ArrowRight")
    stage.settles("root => Math.abs(Number(root.dataset.time) - 0.26) < 1e-6")
    assert "phones ə" in stage.root.locator("[aria-live]").text_content()
    assert stack.evaluate("stack => stack.matches(':focus-visible')")
    page.keyboard.press("Space")
    stage.settles("root => root.dataset.playing === 'true' && Number(root.dataset.time) > 0.3")
    page.keyboard.press("Space")

    # every knob is reached by Tab
    stage.root.get_by_role("button", name="play").focus()
    reached = set()
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.name ?? ''"))
    assert {"frequency", "conv", "layer", "head", "classes"} <= reached

    # the pointer reads a value with its unit, and the phone beneath
    point = stage.at("spectrogram", 0.5, 0.5)
    stage.panel("spectrogram").hover(position=point, force=True)
    told = stage.root.locator(".us-tip").inner_text()
    assert "0.5" in told and "Hz: power" in told and "dB" in told and "phones k" in told

    # zoom draws the same data anew
    whole = stage.pixels("waveform")
    stack.focus()
    page.keyboard.press("+")
    stage.changes("waveform", whole)
    moment = stage.root.locator(".us-tip").inner_text().splitlines()[0]
    assert moment != told.splitlines()[0]  # another moment lies under the pointer that stayed
    page.keyboard.press("0")
    page.wait_for_function(
        "([c, before]) => c.toDataURL() === before", arg=[stage.panel("waveform").element_handle(), whole]
    )

    # a burst of 60 moves, each taking Python 0.2 s, does not queue up: the last one is what stays
    slider = stage.root.locator("input[name=layer]")
    lasted = slider.evaluate(
        """async input => {
            const began = performance.now();
            for (let k = 0; k < 60; k++) {
                input.value = k % 3;
                input.dispatchEvent(new Event('input', { bubbles: true }));
                await new Promise((next) => setTimeout(next, 2));
            }
            return performance.now() - began;
        }"""
    )
    page.wait_for_function("() => document.querySelector('input[name=layer]').value === '2'")
    page.wait_for_function(
        "canvas => canvas.closest('figure').textContent.includes('layer 2, head 0')",
        arg=stage.panel("attention").element_handle(),
    )
    page.wait_for_timeout(500)  # time for a late answer, if one were still under way
    stage.captioned("attention", "Attention, layer 2, head 0")
    assert slider.input_value() == "2"
    most = 6 + round(lasted / 200)  # a slow browser takes longer over its 60 moves
    assert ask(page, f"print(len(made) <= {most}, made[-1])") == "True 2" and most < 60

    # in the dark the ink is light
    ink = "root => getComputedStyle(root).getPropertyValue('--us-wave')"
    light, seen = stage.root.evaluate(ink), stage.pixels("waveform")
    page.evaluate("window.jupyterapp.commands.execute('apputils:change-theme', { theme: 'JupyterLab Dark' })")
    stage.changes("waveform", seen)
    stage.settles(f"root => ({ink})(root) !== {light!r}")  # a slow page paints before its style has changed

    # every picture has its words
    for canvas in stage.root.locator(".us-panel canvas").all():
        assert canvas.get_attribute("role") in ("img", "application") and len(canvas.get_attribute("aria-label")) > 40


def test_the_browser_draws_the_cells_it_was_sent(lab_server, chromium_page):
    from matplotlib import colormaps

    page = chromium_page
    open_notebook(page, write(lab_server.folder, "four.ipynb", FOUR_CELLS))
    run_all(page)
    stage = Screen(page)

    def colour(seconds, height):
        point = stage.at("four", seconds, height)
        return stage.panel("four").evaluate(
            "(canvas, at) => [...canvas.getContext('2d').getImageData(at.x, at.y, 1, 1).data]",
            point,
        )

    viridis = [[*(round(255 * v) for v in colormaps["viridis"](n)[:3]), 255] for n in (0, 127, 254)]
    assert colour(0.25, 0.25) == viridis[0]  # row 0 is at the bottom
    assert colour(0.75, 0.25) == viridis[2]
    assert colour(0.25, 0.75) == viridis[1]
    assert colour(0.75, 0.75)[3] == 0  # nothing there
    stage.panel("four").hover(position=stage.at("four", 0.25, 0.75), force=True)
    expect(stage.root.locator(".us-tip")).to_contain_text("high: value 0.5 dB")


def open_source(lab_server, page):
    open_notebook(page, write(lab_server.folder, "source.ipynb", SPEAK))
    run_all(page)
    source = page.locator(".unispeech-source")
    source.wait_for(timeout=60_000)
    return source


def ask(page, code: str = CHOSEN) -> str:
    """What the notebook's Python prints."""
    page.evaluate(
        """async code => {
            const panel = window.jupyterapp.shell.currentWidget;
            const future = panel.sessionContext.session.kernel.requestExecute({ code });
            window.printed = '';
            future.onIOPub = (message) => { window.printed += message.content.text ?? ''; };
            await future.done;
        }""",
        code,
    )
    return page.evaluate("window.printed").strip()


def test_a_file_of_ones_own(lab_server, chromium_page, tmp_path):
    page = chromium_page
    source = open_source(lab_server, page)
    file = source.locator("input[type=file]")

    # any rate and any channels become 16 kHz mono
    tone = 0.4 * np.sin(2 * np.pi * 440 * np.arange(22_050) / 44_100)
    soundfile.write(tmp_path / "mine.flac", np.stack([tone, tone], 1), 44_100)
    file.set_input_files(tmp_path / "mine.flac")
    source.get_by_text("mine.flac: 0.50 s").wait_for(timeout=20_000)
    assert ask(page) == "mine.flac 8000 True"

    # what is no sound is said, and the choice stays
    (tmp_path / "no.wav").write_bytes(b"no sound at all")
    file.set_input_files(tmp_path / "no.wav")
    source.get_by_text("no.wav is no sound that this browser can read").wait_for(timeout=20_000)
    # without a microphone the clips are still there
    source.get_by_role("button", name="record").click()
    source.get_by_text("no microphone, or no leave to use it").wait_for(timeout=20_000)
    assert ask(page) == "mine.flac 8000 True"
    source.locator("select").select_option(index=2)
    page.wait_for_function("document.querySelector('.uc-status').textContent === ''")
    assert ask(page) == "glide 8000 True"

    # the same file again is a choice again
    file.set_input_files(tmp_path / "mine.flac")
    source.get_by_text("mine.flac: 0.50 s").wait_for(timeout=20_000)
    assert ask(page) == "mine.flac 8000 True"


def test_ones_own_voice(lab_server, chromium_page):
    kind = chromium_page.context.browser.browser_type
    beeping = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]  # a microphone that hears beeps
    browser = kind.launch(executable_path=find_chromium(SimpleNamespace(chromium=kind)), args=[*FLAGS, *beeping])
    page = browser.new_context(base_url=lab_server.url).new_page()
    page.goto(lab_server.address)
    source = open_source(lab_server, page)
    source.get_by_role("button", name="record").click()
    source.get_by_text("listening, 1.").wait_for(timeout=20_000)
    source.get_by_role("button", name="stop").click()
    source.get_by_text("my voice: 1.").wait_for(timeout=20_000)
    name, samples, loud = ask(page).rsplit(" ", 2)
    assert name == "my voice" and 12_000 < int(samples) < 48_000 and loud == "True"
    browser.close()
