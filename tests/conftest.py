"""Fixtures that several test files share: a JupyterLab of its own, a Chromium that tells what it did."""

import multiprocessing
import os
import sys

import pytest
import torch
from browser import LabServer, watched_page


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
    with watched_page(lab_server) as page:
        yield page


@pytest.fixture(autouse=True)
def as_many_threads():
    """A test begins with as many of torch's threads in each thread, and ends with as many: others round otherwise."""
    before = torch.get_num_threads()
    torch.set_num_threads(before)  # of this thread, and of all that begin from now on
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def processes():
    """Fresh processes that begin at once: torch is loaded once, by the server that they are forked from."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # or the server does not find what to load, and is silent
        yield context
