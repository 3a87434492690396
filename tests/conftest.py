"""Fixtures that several test files share: a JupyterLab of its own, a Chromium that tells what it did."""

import multiprocessing
import os
import sys

import pytest
from browser import FLAGS, HERE, LabServer, find_chromium
from playwright.sync_api import sync_playwright

os.environ.setdefault("UNISPEECH_LAB_FAST", "1")  # of the kernels, too: notebooks train a tenth of their steps


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory):
    """A running ``unispeech-lab lab`` with a temporary copy of the notebooks: ``url``, ``token``, ``folder``."""
    server = LabServer(tmp_path_factory.mktemp("lab"))
    yield server
    server.stop()


@pytest.fixture
def chromium_page(lab_server):
    """A page logged in to ``lab_server``, for ``open_notebook`` and ``run_all`` of ``browser.py``.

    ``page.outside`` lists the requests that left 127.0.0.1, ``page.errors`` the console's errors and uncaught
    exceptions: the test fails at its end when either holds anything.
    """
    # One playwright a test: while it runs, nothing else in this process can run an event loop, and nbval wants to.
    with sync_playwright() as playwright:
        executable = find_chromium(playwright)
        if executable is None:
            where = "UNISPEECH_LAB_CHROMIUM, the PATH and playwright's own folder"
            report = pytest.fail if os.environ.get("REQUIRE_BROWSER") == "1" else pytest.skip
            report(f"no Chromium found in {where}. Debian: apt-get install chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        context = browser.new_context(base_url=lab_server.url, viewport={"width": 1280, "height": 900})
        outside, errors = [], []
        context.on("request", lambda request: HERE.match(request.url) or outside.append(request.url))
        context.on("console", lambda message: message.type == "error" and errors.append(message.text))
        context.on("weberror", lambda error: errors.append(str(error.error)))
        context.request.get(lab_server.address)  # logs in: the cookie stays in the context
        page = context.new_page()
        page.on("websocket", lambda socket: HERE.match(socket.url) or outside.append(socket.url))
        page.outside, page.errors = outside, errors
        yield page
        browser.close()
    assert not outside, f"expected every request to stay on 127.0.0.1, found {outside}"
    assert not errors, f"expected no error on the console, found {errors}"


@pytest.fixture(scope="module")
def processes():
    """Fresh processes that begin at once: torch is loaded once, by the server that they are forked from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # or the server does not find what to load, and is silent
        yield context
