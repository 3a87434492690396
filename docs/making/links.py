"""Links: where a link between files of the repository leads on the site."""

import os
import re
from pathlib import Path, PurePosixPath

from .modules import PACKAGE, ROOT, Module

# Files that are pages; notebooks and modules are pages as well.
PAGES = {
    "CONTRIBUTING.md": "how-to/where-things-go.md",
    "CHANGELOG.md": "changes.md",
    "docs/gallery/README.md": "gallery.md",
    "data/models/tiny": "models/tiny.md",
    "data/models/tiny/README.md": "models/tiny.md",
}
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|#|mailto:)([^)\s]+)\)")
IMAGE = re.compile(r"!\[([^\]]*)\]\((?!https?:)([^)\s]+)\)")


def experiments() -> str:
    """The first page of the experiments: each by its title."""
    names = sorted(name for name in pages().values() if name.startswith("experiments/"))
    titles = {page: name for name, page in pages().items()}
    rows = [
        f"- [{(ROOT / titles[name]).read_text().partition(chr(10))[0].lstrip('# ')}]({name[12:]})" for name in names
    ]
    words = "What was asked of the model, on which speech, with which numbers; every run can be run again."
    return "\n".join(
        [
            "# Experiments",
            "",
            words,
            "",
            *rows,
            "",
            "```{toctree}",
            ":hidden:",
            "",
            *(n[12:-3] for n in names),
            "```",
            "",
        ]
    )


def pages() -> dict[str, str]:
    """File of the repository -> page of the site, for the texts that are taken as they are."""
    found = {f"experiments/{path.parent.name}/README.md": path for path in ROOT.glob("experiments/*/README.md")}
    return PAGES | {name: f"experiments/{path.parent.name}.md" for name, path in found.items()}


def page_of(target: Path) -> str | None:
    """The site's page for a file or a folder of the repository, if it has one."""
    name = target.relative_to(ROOT).as_posix()
    if name in pages():
        return pages()[name]
    if target.parent == ROOT / "notebooks" and target.suffix == ".ipynb":
        return f"course/{target.name}"
    if name.startswith(f"experiments/{target.name}") and f"{name}/README.md" in pages():
        return pages()[f"{name}/README.md"]
    if target.is_relative_to(PACKAGE):
        path = target / "__init__.py" if target.is_dir() else target
        if path.suffix == ".py" and path.is_file() and (not path.stem.startswith("_") or path.stem == "__init__"):
            return f"reference/modules/{Module(path).full}.rst"
    return None


def rewritten(text: str, source: Path, page: str) -> str:
    """Markdown of ``source`` with its links as they are on ``page``; what the site does not have stays as words."""

    def led(match: re.Match) -> str:
        path, _, anchor = match[2].partition("#")
        target = Path(os.path.normpath(source.parent / path))
        there = page_of(target) if target.is_relative_to(ROOT) and target.exists() else None
        if there is None:
            return f"`{match[1]}`" if match[1] == Path(path).name and "." in path else match[1]
        return f"[{match[1]}]({relative(there, page)}{'#' + anchor if anchor else ''})"

    return LINK.sub(led, text)


def pictures(text: str, source: Path) -> dict[str, Path]:
    """The local pictures of a text, as they are written; one that is not there Sphinx will name."""
    found = {match[2]: source.parent / match[2] for match in IMAGE.finditer(text)}
    return {name: path for name, path in found.items() if path.is_file()}


def relative(there: str, page: str) -> str:
    return PurePosixPath(os.path.relpath(there, PurePosixPath(page).parent)).as_posix()
