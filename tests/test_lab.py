"""``unispeech-lab lab``: one address with a token, this machine only, the tour on the screen."""

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from browser import LabServer, open_notebook, run_all

from unispeech_lab.lab import TOUR, prepare


def test_address_has_a_token_and_opens_the_tour(lab_server):
    assert len(lab_server.token) >= 32
    assert lab_server.address.startswith(f"{lab_server.url}/lab/tree/{TOUR}?")
    with urllib.request.urlopen(lab_server.address) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("token", ["", "?token=wrong"])
def test_refuses_without_the_token(lab_server, token):
    with pytest.raises(urllib.error.HTTPError) as refusal:
        urllib.request.urlopen(f"{lab_server.url}/api/contents{token}")
    assert refusal.value.code == 403


def test_answers_with_the_token(lab_server):
    with urllib.request.urlopen(f"{lab_server.url}/api/contents?token={lab_server.token}") as answer:
        names = {file["name"] for file in json.load(answer)["content"]}
    assert TOUR in names


def test_listens_on_this_machine_only(lab_server):
    port = int(lab_server.url.rpartition(":")[2])
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} | {"127.0.0.2"}
    for address in others - {"127.0.0.1"}:
        with socket.socket() as probe:
            assert probe.connect_ex((address, port)) != 0, f"{address} answers"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stops_cleanly(tmp_path, how):
    server = LabServer(tmp_path)
    server.process.send_signal(how)
    assert server.process.wait(30) == 0
    assert "Traceback" not in server.log.read_text()
    assert server.log.read_text().endswith("closed.\n")


def test_a_taken_port_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "unispeech_lab.cli", "lab", "--no-browser", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert port in done.stderr and "Leave --port away" in done.stderr


def test_notebooks_are_copied_but_never_overwritten(tmp_path):
    folder, tour = prepare(tmp_path / "mine")
    (folder / tour).write_text("my own words")
    prepare(folder)
    assert (folder / tour).read_text() == "my own words"


@pytest.mark.browser
def test_tour_is_on_the_screen(lab_server, chromium_page):
    chromium_page.goto(lab_server.address)
    chromium_page.wait_for_function("window.jupyterapp?.shell.currentWidget?.context?.isReady", timeout=120_000)
    assert chromium_page.evaluate("window.jupyterapp.shell.currentWidget.context.path") == TOUR
    assert chromium_page.get_by_text("get notified about official Jupyter news").count() == 0


@pytest.mark.browser
def test_cells_run_and_errors_are_noticed(lab_server, chromium_page):
    (lab_server.folder / "sum.ipynb").write_text(_notebook("print(6 * 7)"))
    open_notebook(chromium_page, "sum.ipynb")
    run_all(chromium_page)
    assert chromium_page.locator(".jp-OutputArea-output").inner_text().strip() == "42"

    (lab_server.folder / "broken.ipynb").write_text(_notebook("1 / 0"))
    open_notebook(chromium_page, "broken.ipynb")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_all(chromium_page)


def _notebook(source: str) -> str:
    cell = {"cell_type": "code", "id": "one", "source": source, "metadata": {}, "outputs": [], "execution_count": None}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})
