"""Bring your own, in a browser: what was aligned is heard, two checkpoints are seen, a file of one's own is taken."""

import numpy as np
import pytest
import soundfile
from browser import open_notebook, run_all
from screen import Screen

pytestmark = pytest.mark.browser


def test_the_notebook(chromium_page, tmp_path):
    page = chromium_page
    open_notebook(page, "11_bring_your_own.ipynb")
    run_all(page)

    # what was aligned is heard from where it was put
    aligned = Screen(page)
    aligned.listen()
    aligned.click("truth", 0.2, 0.25)
    ((_, start, duration),) = aligned.heard()
    assert 0.1 < start < 0.2 and 0.03 < duration < 0.3
    aligned.captioned("truth", "23 phones")

    # two checkpoints, each with its own knobs
    for which, name in ((1, "UniSpeech"), (2, "Wav2Vec2")):
        screen = Screen(page, which)
        screen.noted(name)
        before = screen.pixels("attention")
        screen.root.locator("input[name=layer]").press("ArrowRight")
        screen.changes("attention", before)

    # a file of one's own; run again, and nothing stops on the way
    soundfile.write(tmp_path / "hum.wav", 0.3 * np.sin(np.arange(88_200) / 30), 44_100)
    source = page.locator(".unispeech-source")
    source.locator("input[type=file]").set_input_files(tmp_path / "hum.wav")
    source.get_by_text("hum.wav: 2.00 s").wait_for(timeout=20_000)
    page.evaluate(
        """() => {
            const { content } = window.jupyterapp.shell.currentWidget;
            content.activeCellIndex = content.widgets.findIndex((cell) =>
                cell.model.sharedModel.source.startsWith('utterance = source.utterance'));
            content.deselectAll();
            window.ran = null;
            window.jupyterapp.commands.execute('notebook:run-all-below').then(() => { window.ran = true; });
        }"""
    )
    page.wait_for_function("window.ran === true", timeout=120_000)
    outputs = page.evaluate(
        """() => [...window.jupyterapp.shell.currentWidget.content.model.cells]
            .flatMap((cell) => cell.type === 'code' ? cell.toJSON().outputs : [])"""
    )
    assert not [output["evalue"] for output in outputs if output["output_type"] == "error"]
    said = "".join("".join(output.get("text", "")) for output in outputs)
    assert "23 phones in 2.00 s, 0% of them heard; low confidence" in said
