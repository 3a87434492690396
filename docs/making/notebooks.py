"""Notebooks: each as a page of the course, with the outputs that it was stored with.

Pictures become files with their own words as alt text; what is not shown on a page (widgets' states) is left out.
"""

import base64
import hashlib
import json
import re
from pathlib import Path

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
    return files | {path.name: json.dumps(notebook, indent=1).encode()}


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


def title(path: Path) -> str:
    first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    return first.partition("\n")[0].lstrip("# ").strip()


def promise(path: Path) -> str:
    """The first paragraph under the title."""
    first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
    return rewritten(first.split("\n\n")[1].replace("\n", " ").strip(), path, "course/index.md")


def index() -> str:
    """The course's first page: every notebook, in order, with its promise."""
    rows = [
        "# The course",
        "",
        "From the first sample to a representation you can argue about: one notebook after another, a quarter of an",
        "hour each, every number visible and asserted by the cell that shows it. Here they are to read, with the",
        "outputs they were stored with; `make lab` opens them to run, with live pictures that play. Exercises check",
        "themselves, and their solutions are folded away. Dotted words lead to the [glossary](../glossary.md).",
        "",
    ]
    for path in all_notebooks():
        rows += [f"**[{path.stem[:2]} · {title(path)}]({path.name})**", "", f": {promise(path)}", ""]
    return "\n".join([*rows, "```{toctree}", ":hidden:", "", *(path.stem for path in all_notebooks()), "```", ""])
