"""The rules of the house, read off the source: who imports whom, what is declared, how notebooks look."""

import ast
import json
import re
import statistics
import sys
import tomllib
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "unispeech_lab"
MODULES = sorted(PACKAGE.rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Imports only go down. A room is a module or a folder; whatever is not named here stands on the ground.
FLOORS = {
    5: {"", "cli", "commands", "lab", "app"},  # "" is the package itself: its public names
    4: {"views", "variants", "compare", "live", "race", "report", "recipes"},
    3: {"pretrain", "finetune", "gallery"},
    2: {"model", "doors", "config", "checkpoints", "convert", "heads", "hearing"},
    1: {"nn.frontend", "nn.encoder", "nn.quantizer"},
}

COME_ALONG = {"ipython", "huggingface_hub"}  # part of what any notebook, any model of transformers is


def room(path: Path) -> str:
    """``unispeech_lab/nn/tap.py`` -> ``nn.tap``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def floor(name: str) -> int:
    segments = name.split(".")
    above = {".".join(segments[: n + 1]) for n in range(len(segments))}
    return next((level for level, rooms in FLOORS.items() if above & rooms), 0)


def is_room(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Absolute names of all that a file imports, inside functions as well; a name of ours ends at its module."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = ["unispeech_lab", *path.relative_to(PACKAGE).parts[:-1]]
                base = ".".join([*here[: len(here) - node.level + 1], *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{base}.{alias.name}".removeprefix("unispeech_lab").lstrip(".")
                ours = base.split(".")[0] == "unispeech_lab"
                found.append(f"{base}.{alias.name}" if ours and is_room(inner) else base)
    return tuple(found)


def ours(path: Path) -> list[str]:
    """The rooms of this package that a file imports."""
    inside = [name for name in imports(path) if name.split(".")[0] == "unispeech_lab"]
    return [name.removeprefix("unispeech_lab").lstrip(".") for name in inside]


@pytest.mark.parametrize("path", MODULES, ids=room)
def test_imports_only_go_down(path):
    here = floor(room(path))
    up = {name or "unispeech_lab itself": floor(name) for name in ours(path) if floor(name) > here}
    assert not up, f"{room(path)} stands on floor {here} but imports from above: {up} (FLOORS in {__file__})"


def test_only_floor_two_imports_transformers():
    guests = {
        room(path).split(".")[0]
        for path in MODULES
        if any(name.split(".")[0] == "transformers" for name in imports(path))
    }
    assert guests <= FLOORS[2], f"expected transformers only in {FLOORS[2]}, found it also in {guests - FLOORS[2]}"


def test_views_see_a_trace_and_never_the_model():
    for path in MODULES:
        if room(path).startswith("views"):
            seen = {name for name in ours(path) if not name.startswith("views") and floor(name) > 0}
            assert not seen, f"{room(path)} imports {seen}: between a view and the model stands a Trace"


def test_renderers_know_panels_and_no_view():
    drawing = {"views.panel", "views.still_marks", "views.lettering"}
    for renderer in ("views.still", "views.still_marks", "views.lettering", "views.stage"):
        path = PACKAGE.joinpath(*renderer.split(".")).with_suffix(".py")
        assert {name for name in ours(path) if name.startswith("views.")} <= drawing, renderer


def test_the_floors_are_read_as_meant():
    assert floor("nn.tap") == floor("corpora.folder") == 0
    assert (floor("nn.encoder"), floor("model"), floor("views.truth"), floor("")) == (1, 2, 4, 5)
    missing = {name for rooms in (FLOORS[1], FLOORS[2], FLOORS[5]) for name in rooms if not is_room(name)}
    assert not missing, f"FLOORS names rooms that are gone: {missing}"


@pytest.mark.parametrize("path", MODULES, ids=room)
def test_first_line_says_one_thing(path):
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]
    assert first.endswith((".", ":")), f"expected a first line that is a sentence, found {first!r}"
    assert " and " not in first.partition(":")[0], f"a file that is one thing AND another wants to be two: {first!r}"


def requirements(*extras: str) -> list[str]:
    lists = [PROJECT["dependencies"], *(PROJECT["optional-dependencies"][extra] for extra in extras)]
    return [line for lines in lists for line in lines if not line.startswith(PROJECT["name"])]


def name_of(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower()


def test_every_import_is_declared():
    sold_as = packages_distributions()
    declared = {name_of(line) for line in requirements("speech", "lm", "lora", "scatter")} | COME_ALONG
    for path in MODULES:
        roots = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names) - {"unispeech_lab"}
        unknown = {root for root in roots if not {n.lower() for n in sold_as.get(root, [root])} & declared}
        assert not unknown, f"{room(path)} imports {unknown}, which pyproject.toml does not name"


def test_environment_and_pyproject_ask_for_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = [entry["pip"] for entry in environment if isinstance(entry, dict)]
    conda = [entry for entry in environment if isinstance(entry, str) and entry != "pip"]
    pypi = {"pytorch": "torch", "pysoundfile": "soundfile", "soxr-python": "soxr", "python-build": "build"}
    asked = {re.sub(r"^[\w.-]+", lambda m: pypi.get(m[0], m[0]), line) for line in conda + pip}
    expected = {*requirements("speech", "test", "docs", "dev"), f"python{PROJECT['requires-python']}", "--editable ."}
    assert asked == expected


def test_constraints_pin_everything_declared():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.lower().split("==") for line in lines if not line.startswith("#"))
    wanted = {name_of(line) for line in requirements("speech", "scatter", "test", "docs", "dev")}
    assert {name.replace("_", "-") for name in wanted} <= {name.replace("_", "-") for name in pins}
    assert pins["torch"] == "2.13.0"  # without "+cpu": every platform has it


def test_the_tour_is_there():
    assert "00_tour.ipynb" in {path.name for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    """A notebook imports, calls and shows; what is used twice lives in the library."""

    def test_cells_are_thin(self, path):
        sources = [source.strip().splitlines() for source in code(path)]
        assert statistics.median(map(len, sources)) <= 4
        assert max(map(len, sources)) <= 12

    def test_defines_nothing_but_exercises_and_variants(self, path):
        """A variant is a class: a notebook that teaches how to write one has to show one."""
        own_turn = False
        for cell in cells(path):
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown" and "Your turn" in source:
                own_turn = True
            if cell["cell_type"] == "code":
                body = ast.parse(re.sub(r"^[%!].*$", "pass", source, flags=re.M)).body
                nodes = [node for top in body if not is_variant(top) for node in ast.walk(top)]
                assert not any(isinstance(node, ast.ClassDef) for node in nodes), f"a class in a cell:\n{source}"
                assert own_turn or not any(isinstance(node, ast.FunctionDef) for node in nodes), f"a def:\n{source}"

    def test_was_run_from_top_to_bottom_without_error(self, path):
        counts = [cell["execution_count"] for cell in cells(path) if cell["cell_type"] == "code"]
        assert counts == list(range(1, len(counts) + 1)), "run it again: make notebooks"
        assert not [output for output in outputs(path) if output["output_type"] == "error"]

    def test_pictures_have_words(self, path):
        for output in outputs(path):
            if "image/png" in output.get("data", {}):
                alt = output["metadata"].get("image/png", {}).get("alt", "")
                assert len(alt) > 20, "a picture without alt text"
            for image in re.findall(r"<img\b[^>]*>", "".join(output.get("data", {}).get("text/html", ""))):
                assert re.search(r'alt="[^"]{20,}', image), f"an image without alt text: {image[:80]}"
        for source in ("".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "markdown"):
            assert "![](" not in source

    def test_reads_without_a_kernel(self, path):
        view = "application/vnd.jupyter.widget-view+json"
        dead = [
            cell for cell in cells(path) if any(view in output.get("data", {}) for output in cell.get("outputs", []))
        ]
        sources = ["".join(cell["source"]) for cell in dead]
        assert not dead, f"a widget without a still or words beside it, or make notebooks was not run: {sources}"

    def test_is_small(self, path):
        assert "widgets" not in json.loads(path.read_text())["metadata"], "run it again: make notebooks"
        assert path.stat().st_size < 5_000_000


def is_variant(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and "UniSpeech" in {getattr(base, "id", "") for base in node.bases}


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text())["cells"]


def code(path: Path) -> list[str]:
    return ["".join(cell["source"]) for cell in cells(path) if cell["cell_type"] == "code"]


def outputs(path: Path) -> list[dict]:
    return [output for cell in cells(path) for output in cell.get("outputs", [])]
