"""How long each notebook takes in a hurry: processor seconds of its kernel, a table for benchmarks/README.md.

    python benchmarks/notebooks.py              all of them; or their names

Every cell runs, from the first to the last, with UNISPEECH_LAB_FAST=1 as in the tests. Processor seconds, not those of
a clock: what else the machine does meanwhile counts for little. On two cores a notebook takes at most as long.
"""

import os
import sys

import nbformat
from nbclient import NotebookClient

from unispeech_lab import course

LIMIT = 90  # seconds
SPENT = "import resource as r; print(sum(sum(r.getrusage(w)[:2]) for w in (r.RUSAGE_SELF, r.RUSAGE_CHILDREN)))"


def seconds(path) -> float:
    """Of the processor, for every cell and for the start of the kernel. Raises CellExecutionError if one stops."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(SPENT))
    NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}}).execute()
    return float(notebook.cells[-1].outputs[0].text)


if __name__ == "__main__":
    os.environ["UNISPEECH_LAB_FAST"] = "1"  # the kernels inherit it
    print(f"| notebook | processor seconds, at most {LIMIT} |\n|---|---|")
    for path in course.notebooks():
        if not sys.argv[1:] or path.stem in sys.argv[1:]:
            print(f"| `{path.stem}` | {seconds(path):.0f} |", flush=True)
