"""Run every notebook again, in place, and keep what reads without a kernel: ``make notebooks``."""

from pathlib import Path

import nbformat
from nbclient import NotebookClient

VIEW = "application/vnd.jupyter.widget-view+json"  # of a kernel that is gone: nothing but an error to a reader

for path in sorted(Path(__file__).parent.parent.joinpath("notebooks").glob("*.ipynb")):
    print(path.name, flush=True)
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(
        notebook, kernel_name="python3", timeout=600, resources=where, store_widget_state=False, record_timing=False
    ).execute()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if {"image/png", "text/html"} & output.get("data", {}).keys():
                output.data.pop(VIEW, None)
    notebook.metadata.language_info.pop("version", None)  # of this machine's Python
    nbformat.write(notebook, path)
