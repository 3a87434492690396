"""Keep: what a saved notebook keeps of a live widget, its still and its words.

    python -m unispeech_lab.views.keep notebooks/*.ipynb

A widget lives as long as its kernel. In a file it is an error message where the picture should be, so the view and the
widgets' state are taken out, and what reads without a kernel stays.
"""

import json
import sys
from pathlib import Path

WIDGET = "application/vnd.jupyter.widget-view+json"


def keep(notebook: Path) -> int:
    """Take the widgets out of a notebook's file; return how many there were. A widget with nothing beside it stays."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    content["metadata"].pop("widgets", None)
    outputs = [output for cell in content["cells"] for output in cell.get("outputs", [])]
    live = [output["data"] for output in outputs if len(output.get("data", {})) > 1 and WIDGET in output["data"]]
    for data in live:
        del data[WIDGET]
    notebook.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return len(live)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"{name}: {keep(Path(name))} widgets left out")
