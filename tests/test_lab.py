"""``unispeech-lab lab``: one address with a token, this machine only, the tour on the screen."""

import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from browser import LabServer, open_notebook, run_all

from unispeech_lab.lab import TOUR, prepare

ROOT = Path(__file__).parent.parent


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
    refusal.value.close()


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
    terminal, ours = pty.openpty()  # on a terminal JupyterLab would ask whether one is sure
    server = LabServer(tmp_path, stdin=ours)
    server.process.send_signal(how)
    assert server.process.wait(30) == 0
    os.close(terminal), os.close(ours)
    assert "Traceback" not in server.log.read_text()
    assert server.log.read_text().endswith("closed.\n")


def test_make_lab_opens_a_browser_unless_told():
    started = {browser: _make("--dry-run", "lab", f"BROWSER={browser}") for browser in (0, 1)}
    said = {browser: subprocess.check_output(command, text=True) for browser, command in started.items()}
    assert "unispeech-lab lab --no-browser" in said[0]
    assert "unispeech-lab lab" in said[1] and "--no-browser" not in said[1]


@pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="make's own environment .venv is not there")
def test_make_lab_prints_the_address_and_leaves_nothing_behind(tmp_path):
    server = LabServer(tmp_path, command=_make("lab", "BROWSER=0"))
    assert server.address.startswith(f"{server.url}/lab/tree/notebooks/{TOUR}?token=")
    server.stop()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(server.address, timeout=5)


@pytest.mark.parametrize("python", ["./no-python", "./old-python"])
def test_make_says_which_python_it_wants(tmp_path, python):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    old = tmp_path / "old-python"
    old.write_text(f"#!{sys.executable}\nimport sys\nsys.version_info = (3, 9)\nexec(sys.argv[2])\n")
    old.chmod(0o755)
    command = ["make", "-C", str(tmp_path), "lab", f"PYTHON={python}"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0
    assert "expected Python 3.11 or newer" in done.stderr and "make PYTHON=" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_taken_port_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "unispeech_lab.cli", "lab", "--no-browser", "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert port in done.stderr and "Leave --port away" in done.stderr


def test_no_port_beyond_the_last():
    from typer.testing import CliRunner

    from unispeech_lab.cli import app

    said = CliRunner().invoke(app, ["lab", "--port", "99999"])
    assert said.exit_code == 2 and "65535" in said.output


def test_info_says_long_paths_whole(monkeypatch):
    from typer.testing import CliRunner

    from unispeech_lab import cli

    far = "/a" * 100
    monkeypatch.setattr(cli, "_facts", lambda: {"data": far})
    said = CliRunner().invoke(cli.app, ["info"])
    assert far in said.output.replace("data", "", 1).replace(" ", "").replace("\n", "")


def test_notebooks_are_copied_but_never_overwritten(tmp_path):
    folder, tour = prepare(tmp_path / "mine")
    (folder / tour).write_text("my own words")
    prepare(folder)
    assert (folder / tour).read_text() == "my own words"


def test_links_of_a_copy_lead_somewhere(tmp_path):
    folder, tour = prepare(tmp_path / "mine")
    cells = json.loads((folder / tour).read_text())["cells"]
    links = re.findall(r"\]\(((?!https?:|#)[^)]+)\)", "".join("".join(cell["source"]) for cell in cells))
    assert links and all((folder / link).is_file() for link in links), links


@pytest.mark.browser
def test_tour_is_on_the_screen(lab_server, chromium_page):
    chromium_page.goto(f"{lab_server.address}&reset")  # a new reader: without the tabs that a test before left open
    chromium_page.wait_for_function("window.jupyterapp?.shell.currentWidget?.context?.isReady", timeout=120_000)
    assert chromium_page.evaluate("window.jupyterapp.shell.currentWidget.context.path") == TOUR
    news = "@jupyterlab/apputils-extension:announcements"
    assert chromium_page.evaluate(f"window.jupyterapp.hasPlugin('{news}')") is False


@pytest.mark.browser
def test_the_page_tells_what_it_did(chromium_page):
    chromium_page.evaluate("fetch('http://127.0.0.2:9/elsewhere').catch(() => console.error('no answer'))")
    assert chromium_page.outside == ["http://127.0.0.2:9/elsewhere"]
    assert "no answer" in chromium_page.errors
    chromium_page.outside.clear(), chromium_page.errors.clear()  # what is left in them fails a test


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


def _make(*words: str) -> list[str]:
    # the environment we run in is there; nothing has to be installed first
    return ["make", "-C", str(ROOT), "--old-file", ".venv/.ready", *words]


def _notebook(source: str) -> str:
    cell = {"cell_type": "code", "id": "one", "source": source, "metadata": {}, "outputs": [], "execution_count": None}
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})
