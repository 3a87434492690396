"""How the tests drive JupyterLab in a Chromium: where it is found, how a notebook is opened and run."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
from playwright.sync_api import Page, Playwright, expect, sync_playwright

# Without these the browser rings home at every start, and a page may not play sound before a click.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]
expect.set_options(timeout=30_000)  # what a page is about to say is waited for: a machine may be slow
HERE = re.compile(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:|about:|chrome")


def find_chromium(playwright: Playwright) -> str | None:
    """A Chromium to test with: UNISPEECH_LAB_CHROMIUM, else one on the PATH, else playwright's own."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    candidates = [
        os.environ.get("UNISPEECH_LAB_CHROMIUM"),
        *map(shutil.which, names),
        playwright.chromium.executable_path,
    ]
    return next((path for path in candidates if path and Path(path).exists()), None)


@contextmanager
def watched_page(server: "LabServer") -> Iterator[Page]:
    """A page logged in to a server; ``AssertionError`` at the end if it has asked anybody else or shown an error.

    ``page.outside`` lists the requests that left 127.0.0.1, ``page.errors`` the console's errors and uncaught
    exceptions.
    """
    # One playwright a test: while it runs, nothing else in this process can run an event loop, and nbval wants to.
    with sync_playwright() as playwright:
        executable = find_chromium(playwright)
        if executable is None:
            where = "UNISPEECH_LAB_CHROMIUM, the PATH and playwright's own folder"
            report = pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip
            report(f"no Chromium found in {where}. Debian: apt-get install chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        context = browser.new_context(base_url=server.url, viewport={"width": 1280, "height": 900})
        outside, errors = [], []
        context.on("request", lambda request: HERE.match(request.url) or outside.append(request.url))
        context.on("console", lambda message: message.type == "error" and errors.append(message.text))
        context.on("weberror", lambda error: errors.append(str(error.error)))
        context.request.get(server.address)  # logs in: the cookie stays in the context
        page = context.new_page()
        page.on("websocket", lambda socket: HERE.match(socket.url) or outside.append(socket.url))
        page.outside, page.errors = outside, errors
        yield page
        browser.close()
    assert not outside, f"expected every request to stay on 127.0.0.1, found {outside}"
    assert not errors, f"expected no error on the console, found {errors}"


class LabServer:
    """A ``unispeech-lab lab`` of its own: temporary copy of the notebooks, free port, fresh token, own settings.

    ``python`` is whose it is; ``command`` starts it in another way altogether, e.g. ``["make", "lab", "BROWSER=0"]``.
    """

    def __init__(self, home: Path, python: str = sys.executable, command: Sequence[str] = (), stdin=subprocess.DEVNULL):
        self.folder = home / "notebooks"
        dirs = {f"JUPYTER_{name}_DIR": str(home / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
        lab = {f"JUPYTERLAB_{name}_DIR": str(home / name.lower()) for name in ("SETTINGS", "WORKSPACES")}
        self.log = home / "server.log"
        ours = (python, "-m", "unispeech_lab.cli", "lab", str(self.folder), "--no-browser", "--port", "0")
        environment = os.environ | dirs | lab | {"IPYTHONDIR": str(home / "ipython")}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command or ours,
                cwd=home,
                env=environment,
                stdin=stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.address = self._announced()
        self.url, self.token = re.fullmatch(r"(http://127\.0\.0\.1:\d+)/.*\?token=(.+)", self.address).groups()

    def _announced(self, seconds: float = 120) -> str:
        deadline = monotonic() + seconds
        while monotonic() < deadline:
            if found := re.search(r"http://127\S+", self.log.read_text()):
                return found[0]
            if self.process.poll() is not None:
                break
            try:
                self.process.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
        self.stop()
        raise RuntimeError(f"expected JupyterLab to say its address, found:\n{self.log.read_text()}")

    def stop(self) -> int:
        """Stop the server and its kernels; return the exit status."""
        self.process.terminate()
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def open_notebook(page: Page, name: str) -> None:
    """Open a notebook in a fresh workspace; return when it is on the screen with an idle kernel."""
    page.goto(f"/lab/tree/{name}?reset")
    page.wait_for_function("window.jupyterapp?.shell.currentWidget?.context?.isReady", timeout=120_000)
    _wait_for_kernel(page)


def run_all(page: Page, seconds: float = 300) -> None:
    """Run every cell; return when the last is done. Raises ``AssertionError`` with the text of the first error."""
    # not awaited in the page: a navigation inside would lose the promise
    page.evaluate(
        """() => {
            window.ran = null;
            window.jupyterapp.commands.execute('notebook:run-all-cells').then(() => { window.ran = true; });
        }"""
    )
    page.wait_for_function("window.ran === true", timeout=seconds * 1000)
    _wait_for_kernel(page)
    errors = page.evaluate(
        """() => {
            const cells = window.jupyterapp.shell.currentWidget.content.model.cells;
            return [...cells].flatMap(cell => cell.type !== 'code' ? [] : cell.toJSON().outputs)
                .filter(output => output.output_type === 'error')
                .map(output => `${output.ename}: ${output.evalue}`);
        }"""
    )
    assert not errors, f"the notebook stopped: {errors[0]}"


def _wait_for_kernel(page: Page) -> None:
    page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.context.sessionContext.session?.kernel?.status === 'idle'",
        timeout=120_000,
    )
