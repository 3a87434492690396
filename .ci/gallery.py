"""Take a picture of every tab of the explorer in a browser, into docs/gallery: ``make gallery``."""

import sys
import tempfile
from io import BytesIO
from pathlib import Path

import nbformat
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from browser import FLAGS, LabServer, find_chromium, open_notebook, run_all  # noqa: E402

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
PANELS = "[...document.querySelectorAll('.us-panel:not([hidden])')].map((panel) => panel.dataset.panel).join()"
WHOLE = """
from unispeech_lab import Corpus, checkpoints, explore
untrained = checkpoints.untrained(seed=0)
explorer = explore(checkpoints.load("tiny"), Corpus.bundled()[0], other=untrained)
explorer
"""


def main(folder: Path = ROOT / "docs" / "gallery") -> None:
    """A PNG a tab, in 128 colours: small enough to be kept."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        server = LabServer(Path(home))
        try:
            cell = nbformat.v4.new_code_cell(WHOLE.strip())
            notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": KERNEL})
            nbformat.write(notebook, server.folder / "gallery.ipynb")
            browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=FLAGS)
            page = browser.new_page(base_url=server.url, viewport={"width": 1280, "height": 2400})
            page.goto(f"/lab?token={server.token}")
            open_notebook(page, "gallery.ipynb")
            run_all(page)
            stage = page.locator(".unispeech-stage").first
            stage.wait_for()
            shown = ""
            for tab in page.locator(".unispeech-stage [role=tab]").all():
                name = tab.inner_text()
                tab.click()
                page.wait_for_function(f"before => {PANELS} !== before", arg=shown, timeout=120_000)
                page.wait_for_timeout(1500)
                shown = page.evaluate(PANELS)
                shot = Image.open(BytesIO(stage.screenshot())).convert("RGB")
                shot.quantize(128, dither=Image.Dither.NONE).save(
                    folder / f"{name.lower().replace(' ', '-')}.png", optimize=True
                )
                print(name, shot.size, flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
