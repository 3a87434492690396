"""The wheel works outside the checkout: the default data, the notebooks and the command travel inside it."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from browser import LabServer

ROOT = Path(__file__).parent.parent
OUTSIDE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}


def run(*command, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, env=OUTSIDE, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from the source distribution, so that this one is shown to be whole as well."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT), cwd=folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A Python that has the wheel and, beside it, our libraries; it does not know the checkout."""
    home = tmp_path_factory.mktemp("elsewhere")
    run(sys.executable, "-m", "venv", "--without-pip", str(home / "venv"), cwd=home)
    python = home / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(
        sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel), cwd=home
    )
    site = run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip()
    # a plain line: the .pth files in there, the checkout's own among them, are not read
    Path(site, "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return python


def test_holds_data_notebooks_and_licence(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for source, folder in (("data", "_data"), ("notebooks", "_notebooks")):
        tracked = run("git", "ls-files", source, cwd=ROOT).split("\n")[:-1] if (ROOT / ".git").exists() else []
        missing = {f"unispeech_lab/{folder}/{name.removeprefix(source + '/')}" for name in tracked} - set(names)
        assert not missing
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.startswith("unispeech_lab/_data/") and name.endswith(".flac") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "data/", "notebooks/"))]


def test_is_small_enough_to_send(wheel):
    assert wheel.stat().st_size < 30_000_000


def test_model_hears_the_bundled_speech(installed, tmp_path):
    program = """
import unispeech_lab, torch
from unispeech_lab import checkpoints
from unispeech_lab.corpora import bundled
utterance = bundled.load()[0]
with torch.no_grad():
    output = checkpoints.load()(**checkpoints.load().prepare([utterance]))
assert torch.isfinite(output.projected_states).all()
print(unispeech_lab.__file__)
"""
    where = run(str(installed), "-c", program, cwd=tmp_path).splitlines()[-1]
    assert Path(where).is_relative_to(installed.parent.parent), f"the checkout was found: {where}"


def test_command_says_what_is_installed(installed, tmp_path):
    command = installed.with_name("unispeech-lab")
    facts = json.loads(run(str(command), "info", "--json", cwd=tmp_path))
    assert Path(facts["data"]).is_relative_to(installed.parent.parent)
    assert facts["corpus"]["utterances"] > 0 and facts["model"]["parameters"] > 0
    assert facts["libraries"].keys() >= {"torch", "transformers"}
    assert run(str(command), "--version", cwd=tmp_path).strip() == facts["version"]


def test_command_says_it_to_people_too(installed, tmp_path):
    said = run(str(installed.with_name("unispeech-lab")), "info", cwd=tmp_path)
    assert "UniSpeechForPreTraining" in said and "torch" in said and "utterances" in said


def test_experiments_and_their_results_travel_along(installed, tmp_path):
    program = """
from unispeech_lab import paths
folder = paths.experiments()
from experiments.cross_lingual import results
print(len(results.committed()))
print(folder)
"""
    number, folder = run(str(installed), "-c", program, cwd=tmp_path).splitlines()[-2:]
    assert int(number) > 0 and Path(folder).is_relative_to(installed.parent.parent)


def test_course_is_built_from_the_wheel(installed, tmp_path):
    run(str(installed.with_name("unispeech-lab")), "course", "build", "out", cwd=tmp_path)
    shipped = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")} | {"index.ipynb"}
    assert all(
        {path.name for path in (tmp_path / "out" / who).glob("*.ipynb")} == shipped for who in ("student", "teacher")
    )
    assert (tmp_path / "out/student/source/unispeech_lab/model.py").read_bytes() == (
        ROOT / "unispeech_lab/model.py"
    ).read_bytes()


def test_lab_opens_a_copy_of_the_notebooks(installed, tmp_path):
    server = LabServer(tmp_path, python=str(installed))
    try:
        shipped = {path.name for path in (ROOT / "notebooks").glob("*.ipynb")}
        assert {path.name for path in server.folder.glob("*.ipynb")} == shipped
        assert (server.folder / "CONTRIBUTING.md").is_file() and (server.folder / "unispeech_lab/model.py").is_file()
    finally:
        assert server.stop() == 0
