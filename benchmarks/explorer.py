"""Explorer: how long a person waits, in a real browser: for the first picture, for pixels after a knob, for sound.

Times are of the browser's own clock: a knob's from its event to the last canvas drawn with Python's answer, a click's
from its event to the start of the sound, the first picture's from the call of ``explore`` to its pixels.
"""

import re
import statistics
import sys
import tempfile
from pathlib import Path

import nbformat
from playwright.sync_api import Page, sync_playwright

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from browser import FLAGS, LabServer, find_chromium, open_notebook, run_all

CELLS = (
    """
import time
from unispeech_lab import Corpus, explore, load
model, corpus = load("tiny"), Corpus.bundled()
longest = max(corpus.where(language="tr"), key=lambda utterance: utterance.seconds)
""",
    "began = time.time()\nexplorer = explore(model, longest, corpus=corpus[:12])\nexplorer",
    "print(began)",
)
# A tab, one of its knobs, whether a turn hears layers anew.
TURNS = (
    ("sound", "frequency", False),
    ("convolutions", "conv", False),
    ("attention", "head", False),
    ("heads", "head", False),
    ("alignment", "bias", False),
    ("codebook", "codeword", False),
    ("map", "colour", False),
    ("ablation", "layer", True),
    ("flow", "layer", True),
    ("masks", "share", True),
)
TURN = """async ([root, name, turns]) => {
    const dial = root.querySelector(`.us-knob [name="${name}"]`);
    const last = dial.tagName === 'SELECT' ? dial.options.length - 1 : Number(dial.max);
    const waited = [];
    for (let turn = 0; turn < turns; turn++) {
        const before = root.dataset.drawn, at = Number(dial.value);
        const began = performance.now();
        dial.value = at < last ? at + 1 : 0;
        dial.dispatchEvent(new Event('input', { bubbles: true }));
        const stop = began + 5000;
        while (root.dataset.drawn === before && performance.now() < stop) await new Promise(requestAnimationFrame);
        waited.push(root.dataset.drawn === before ? NaN : Number(root.dataset.drawn) - began);
        await new Promise((next) => setTimeout(next, 150));
    }
    return waited.slice(1); // the first turn warms up
}"""
CLICKED = """() => {
    const start = AudioBufferSourceNode.prototype.start;
    let pressed = 0;
    window.waited = [];
    addEventListener('pointerup', (event) => { pressed = event.timeStamp; }, true);
    AudioBufferSourceNode.prototype.start = function (...when) {
        window.waited.push(performance.now() - pressed);
        return start.apply(this, when);
    };
}"""


def explorer(runs: int) -> list[dict]:
    """An utterance of about 5 s, the model that ships, every view that can be turned."""
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        server = LabServer(Path(home))
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=FLAGS)
        try:
            context = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 900})
            context.request.get(server.address)
            return measured(opened(context.new_page(), server.folder), runs)
        finally:
            browser.close()
            server.stop()


def opened(page: Page, folder: Path) -> Page:
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in CELLS]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "explorer.ipynb")
    open_notebook(page, "explorer.ipynb")
    run_all(page)
    page.wait_for_selector(".unispeech-stage[data-drawn]")
    return page


def measured(page: Page, runs: int) -> list[dict]:
    root = page.locator(".unispeech-stage")
    drawn = page.evaluate("performance.timeOrigin + Number(document.querySelector('.unispeech-stage').dataset.drawn)")
    began = float(re.search(r"\d{10}\.\d+", page.locator(".jp-OutputArea-output pre").last.inner_text())[0])
    rows = [row("explorer, first picture", [drawn - 1000 * began], 3000)]
    page.evaluate(CLICKED)
    for tab, knob, hears in TURNS:
        root.get_by_role("tab", name=tab, exact=True).click()
        root.locator(f".us-knob [name={knob}]").wait_for(timeout=60_000)
        page.wait_for_timeout(1500)
        times = page.evaluate(TURN, [root.element_handle(), knob, 2 * runs + 1])
        what = f"{tab}, {knob}, from knob to pixels" + (", layers heard anew" if hears else "")
        rows.append(row(what, times, 100 if hears else 50))
    root.get_by_role("tab", name="sound", exact=True).click()
    truth = root.locator("figure:not([hidden]) canvas[data-panel=truth]")
    truth.wait_for()
    for turn in range(2 * runs + 1):
        box = truth.bounding_box()
        truth.click(position={"x": box["width"] * (0.3 + 0.4 * turn / (2 * runs)), "y": 30}, force=True)
        page.wait_for_timeout(200)
    rows.append(row("from click to sound", page.evaluate("window.waited")[1:], 30))
    return rows


def row(what: str, milliseconds: list[float], target: float) -> dict:
    """A line of the table: the median, and from the least to the most."""
    low, middle, high = min(milliseconds), statistics.median(milliseconds), max(milliseconds)
    spread = f" ({low:.0f} to {high:.0f})" if len(milliseconds) > 1 else ""
    return {
        "what": what,
        "ours": f"{middle:.0f} ms{spread}",
        "theirs": "",
        "ratio": "",
        "target": f"{target:g} ms",
        "operations": None,
        "seconds": middle / 1000,
    }
