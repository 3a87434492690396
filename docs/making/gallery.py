"""Gallery: the pictures of docs/gallery, each with what its views teach."""

import ast
import re
from pathlib import Path

from .modules import PACKAGE, ROOT, Module
from .rooms import markdown

GALLERY = ROOT / "docs" / "gallery"
SECTION = re.compile(r'^## (.+?)\n+(.+?)\n+<img src="(.+?)"[^>]* alt="(.*?)">', re.M)


def tabs() -> dict[str, tuple[str, ...]]:
    """Tab -> views, as explore.py says."""
    for node in Module(PACKAGE / "views" / "explore.py").tree.body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "TABS":
            return ast.literal_eval(node.value)
    raise LookupError("expected TABS in unispeech_lab/views/explore.py, found none")


def page() -> str:
    rows = [
        "# Gallery",
        "",
        'Every tab of `explore(load("tiny"), utterance)`, as the browser shows it. There, each picture is live: it',
        "plays, and its knobs turn what is computed. Under each picture, what its views teach.",
        "",
    ]
    for name, sentence, file, alt in SECTION.findall((GALLERY / "README.md").read_text(encoding="utf-8")):
        rows += [f"## {name}", "", sentence, "", f"![{alt}](gallery/{file})", ""]
        rows += [f"- {taught(view)}" for view in tabs().get(name, ())]
        rows.append("")
    return "\n".join(rows)


def taught(view: str) -> str:
    """A link to the view's page, then what it says of itself."""
    module = Module(PACKAGE / "views" / f"{view}.py")
    return f"[{view}](reference/modules/{module.full}.rst): {markdown(module.first_line.partition(': ')[2])}"


def pictures() -> list[Path]:
    return sorted(GALLERY.glob("*.png"))
