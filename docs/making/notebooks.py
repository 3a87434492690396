"""Notebooks: each as a page of the course, with the outputs that it was stored with.

Pictures become files with their own words as alt text; what is not shown on a page (widgets' states) is left out.
"""

import base64
import hashlib
import json
import re
from pathlib import Path

from unispeech_lab import course

from .links import pictures, rewritten
from .modules import ROOT

NOTEBOOKS = ROOT / "notebooks"


def all_notebooks() -> list[Path]:
    return sorted(NOTEBOOKS.glob("[0-9]*.ipynb"))


def staged(path: Path) -> dict[str, bytes]:
    """The page of a notebook and its pictures: name within the course -> bytes."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    files: dict[str, bytes] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = "".join(cell["source"])
            cell["source"] = rewritten(text, path, f"course/{path.name}")
            files |= {name: picture.read_bytes() for name, picture in pictures(text, path).items()}
        for output in cell.get("outputs", []):
            still(output, files)
    notebook["metadata"].pop("widgets", None)
    heading, _, rest = notebook["cells"][0]["source"].partition("\n")
    notebook["cells"][0]["source"] = f"{heading}\n\n{stored(path)}\n{rest}"
    return files | {path.name: json.dumps(notebook, indent=1).encode()}


def stored(path: Path) -> str:
    """What a page cannot do that its notebook can."""
    return (
        ":::{container} stored\n"
        "These are the outputs that the notebook was stored with: pictures stand still, nothing plays or turns here. "
        f"`make lab` opens JupyterLab; choose `{path.name}` there, and what the words say to run, to click and to turn "
        f'is live. <a href="../_static/notebooks/{path.name}" download>Download the notebook</a>.\n'
        ":::"
    )


def still(output: dict, files: dict[str, bytes]) -> None:
    """A stored picture as Markdown that names a file."""
    data = output.get("data", {})
    if "image/png" in data and "text/html" not in data:
        picture = base64.b64decode("".join(data["image/png"]))
        name = f"pictures/{hashlib.sha256(picture).hexdigest()[:16]}.png"
        files[name] = picture
        alt = " ".join(output["metadata"].get("image/png", {}).get("alt", "").split())
        spared = re.sub(r"([][*_`<>|$\\])", r"\\\1", alt)
        output["data"] = {"text/markdown": f"![{spared}]({name})"}


def promise(path: Path, notebook: dict) -> str:
    """The first paragraph under the title, its links as they are on the course's first page."""
    return rewritten(course.promise(notebook).replace("\n", " ").strip(), path, "course/index.md")


def index() -> str:
    """The course's first page: every notebook, in order, with its promise, its time and its exercises."""
    every = {path: course.read(path) for path in all_notebooks()}
    tasks = {path: len(list(course.exercises(notebook))) for path, notebook in every.items()}
    hours = sum(map(course.minutes, every.values())) / 60
    rows = [
        "# The course",
        "",
        f"From the first sample to a representation you can argue about: {len(every)} notebooks, one after another,",
        f"{hours:.1f} hours to read and {sum(tasks.values())} exercises to do; every number visible and asserted by",
        "the cell that shows it. Here they are to read, with the outputs they were stored with; `make lab` opens them",
        "to run, with live pictures that play. Exercises check themselves, and their solutions are folded away. Dotted",
        "words lead to the [glossary](../glossary.md).",
        "",
    ]
    for path, notebook in every.items():
        length = f"{course.minutes(notebook):.0f} min to read, {tasks[path]} exercise{'s' * (tasks[path] != 1)}."
        rows += [f"**[{path.stem[:2]} · {course.title(notebook)}]({path.name})**", ""]
        rows += [f": {promise(path, notebook)} [{length}]{{.length}}", ""]
    rows += [
        "*To read*: 200 words a minute, ten seconds a cell of code or a picture; exercises take their own time.",
        "",
    ]
    return "\n".join([*rows, "```{toctree}", ":hidden:", "", *(path.stem for path in every), "```", ""])
