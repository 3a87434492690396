"""Run notebooks again, in place, and keep what reads without a kernel: ``make notebooks``, or this with their names.

Written besides: how long it took, the line that leads on to the next, and the picture that each promises.
"""

import sys
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

from unispeech_lab import course

FOLDER = Path(__file__).parent.parent / "notebooks"
VIEW = "application/vnd.jupyter.widget-view+json"  # of a kernel that is gone: nothing but an error to a reader
SPENT = "import resource as r; print(sum(sum(r.getrusage(w)[:2]) for w in (r.RUSAGE_SELF, r.RUSAGE_CHILDREN)))"
SIZE = 640  # pixels, of a promised picture's longer side


def run(path: Path) -> None:
    """Every cell again; how many seconds of processor that took stands in the notebook's metadata."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(SPENT))
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(
        notebook, kernel_name="python3", timeout=600, resources=where, store_widget_state=False, record_timing=False
    ).execute()
    spent = float(notebook.cells.pop().outputs[0].text)
    print(f"{path.name}: {spent:.0f} s of processor", flush=True)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if {"image/png", "text/html"} & output.get("data", {}).keys():
                output.data.pop(VIEW, None)
    notebook.metadata.language_info.pop("version", None)  # of this machine's Python
    notebook.metadata["course"] = {"seconds": 5 * round(spent / 5)}
    nbformat.write(notebook, path)


def lead(path: Path, whole: list[Path]) -> None:
    """The last cell says where to go from here."""
    notebook = nbformat.read(path, as_version=4)
    if "navigation" not in course.tags(notebook.cells[-1]):
        last = nbformat.v4.new_markdown_cell(id=f"{path.stem[:2]}-navigation", metadata={"tags": ["navigation"]})
        notebook.cells.append(last)
    notebook.cells[-1].source = course.navigation(path, whole)
    nbformat.write(notebook, path)


def promise(path: Path) -> None:
    """The picture of the cell tagged ``reached``, small, as the file that the promise shows."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if "reached" in course.tags(cell)]
    shown = [
        output.data["image/png"] for cell in cells for output in cell.outputs if "image/png" in output.get("data", {})
    ]
    for png in shown[:1]:
        picture = Image.open(BytesIO(b64decode(png))).convert("RGB")
        picture.thumbnail((SIZE, SIZE), Image.Resampling.LANCZOS)
        (path.parent / "pictures").mkdir(exist_ok=True)
        picture = picture.quantize(256, kmeans=1, dither=Image.Dither.NONE)
        picture.save(path.parent / "pictures" / f"{path.stem}.png", optimize=True)


if __name__ == "__main__":
    everything = course.notebooks(FOLDER)
    asked = [path for path in everything if not sys.argv[1:] or path.name in sys.argv[1:] or path.stem in sys.argv[1:]]
    for path in asked:
        run(path)
        promise(path)
    for path in everything:
        lead(path, everything)
