"""Live curves in a real browser: they grow while the notebook answers, a button stops the run and goes on with it."""

import re
import shutil
from pathlib import Path

import pytest
from browser import open_notebook, run_all
from playwright.sync_api import expect
from test_tour_browser import write

pytestmark = pytest.mark.browser

SHOW = """
from training import small, speech, vocabulary
from unispeech_lab import live
from unispeech_lab.settings import Settings
settings = Settings(steps=3000, batch_seconds=3, log_every=1, validate_every=50, save_every=1000)
begun = live.pretrain(small(), speech(), "live", settings, vocabulary=vocabulary(), valid=speech(number=2))
begun
"""

ALTS = """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
    .flatMap(cell => cell.type === 'code' ? cell.toJSON().outputs : [])
    .map(output => output.metadata?.['image/png']?.alt).filter(Boolean)"""


@pytest.fixture
def page(lab_server, chromium_page):
    for name in ("training.py", "models.py"):
        shutil.copy(Path(__file__).parent / name, lab_server.folder)
    open_notebook(chromium_page, write(lab_server.folder, "live.ipynb", SHOW))
    run_all(chromium_page)
    return chromium_page


def reached(page) -> int:
    """The step that is written beside the button."""
    return int(re.search(r"step (\d+) of 3000", page.locator(".us-chart .us-clock").inner_text())[1])


def state(page, wanted: str) -> None:
    page.wait_for_selector(f".us-chart[data-state={wanted}]", timeout=60_000)


def grows(page, step: int) -> None:
    script = "step => Number(document.querySelector('.us-chart .us-clock').textContent.match(/step (\\d+)/)[1]) > step"
    page.wait_for_function(script, arg=step, timeout=60_000)


@pytest.mark.slow
def test_curves_grow_and_the_button_stops_and_goes_on(page):
    state(page, "running")
    page.wait_for_selector("canvas[data-panel=loss]", timeout=60_000)
    grows(page, 2)  # though every cell is done
    loss = page.locator("canvas[data-panel=loss]")
    before = loss.evaluate("canvas => canvas.toDataURL()")
    grows(page, reached(page))
    assert loss.evaluate("canvas => canvas.toDataURL()") != before
    expect(loss).to_have_attribute("aria-label", re.compile(r"loss\. training .* at step \d+"))

    button = page.locator(".us-chart .us-ask")
    expect(button).to_have_text("■ stop")
    button.click()
    state(page, "stopped")
    stopped = reached(page)
    expect(button).to_have_text("▶ resume")
    loss.hover(position={"x": 100, "y": 60})
    words = page.locator("figure:has(canvas[data-panel=loss]) .us-words").inner_text()
    assert re.fullmatch(r"step \d+: training [\d.]+", words), words
    still = f"alts => alts.length === 1 && alts[0].includes('step {stopped} of 3000')"
    page.wait_for_function(f"({still})(({ALTS})())", timeout=60_000)  # for every reader without a kernel

    button.click()
    state(page, "running")
    grows(page, stopped)
    button.click()
    state(page, "stopped")
