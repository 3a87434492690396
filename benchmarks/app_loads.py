"""Loads of the app: how often a fresh browser reaches its picture, how soon, what the server holds afterwards.

    python benchmarks/app_loads.py [LOADS]

Each load is a context of its own, without a cache, and waits up to a minute for the first picture; then a tab is opened
that the model has to be heard for.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Error, sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from browser import FLAGS, HERE, LabServer, find_chromium  # noqa: E402

APP = [sys.executable, "-m", "unispeech_lab.cli", "app", "--no-browser", "--port", "0"]


def megabytes(pid: int) -> float:
    """The proportional set size of a process (Linux)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1]) / 1024


def load(browser, address: str, strangers: set, errors: list) -> tuple[float, float]:
    """Seconds to the first picture, and from a click to another tab's."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.on("request", lambda request: HERE.match(request.url) or strangers.add(request.url))
    context.on("console", lambda message: message.type == "error" and errors.append(message.text))
    try:
        page, began = context.new_page(), time.perf_counter()
        page.goto(address)
        page.locator("canvas[data-panel=waveform]").wait_for(timeout=60_000)
        first, began = time.perf_counter() - began, time.perf_counter()
        page.get_by_role("tab", name="CTC", exact=True).click()
        page.locator("canvas[data-panel=posteriors]").wait_for(timeout=60_000)
        return first, time.perf_counter() - began
    finally:
        context.close()


def main(loads: int) -> None:
    took, strangers, errors = [], set(), []
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        server = LabServer(Path(home), command=APP)
        browser = playwright.chromium.launch(executable_path=find_chromium(playwright), args=FLAGS)
        before = megabytes(server.process.pid)
        for number in range(loads):
            try:
                took.append(load(browser, server.address, strangers, errors))
            except Error as error:
                print(f"load {number}: {str(error).splitlines()[0]}", flush=True)
        time.sleep(3)
        after = megabytes(server.process.pid)
        browser.close()
        server.stop()
    print(f"{len(took)} of {loads} loads; {len(strangers)} requests elsewhere, {len(errors)} errors on the console")
    for what, seconds in zip(("first picture", "another tab"), zip(*took, strict=True), strict=True):
        print(f"{what}: median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s")
    print(f"server: {before:.0f} MB before, {after:.0f} MB after")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
