"""Build the site from the pages here, the notebooks, the package and the command: ``make docs``.

Everything is staged in ``_build/source``, then written by Sphinx to ``_build/html``; a warning is an error.
"""

import sys
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from making import commands, gallery, links, notebooks, rooms  # noqa: E402
from making.modules import ROOT, modules  # noqa: E402


def staged() -> dict[str, bytes]:
    """Every file of the site's source: name -> bytes."""
    files = {path.relative_to(HERE).as_posix(): path.read_bytes() for path in sorted(HERE.rglob("*.md"))}
    files = {name: text for name, text in files.items() if not name.startswith(("_build/", "gallery/"))}
    files |= {f"_static/{path.name}": path.read_bytes() for path in (HERE / "look").iterdir()}
    files |= {"conf.py": (HERE / "conf.py").read_bytes(), "first-screen.png": (HERE / "first-screen.png").read_bytes()}
    files["_static/mathjax.js"] = mathjax()
    files |= {f"gallery/{path.name}": path.read_bytes() for path in gallery.pictures()}
    made = {"gallery.md": gallery.page(), "course/index.md": notebooks.index(), "reference/index.md": rooms.index()}
    made["experiments/index.md"] = links.experiments()
    made |= {f"reference/{slug}.md": rooms.page(slug) for slug in rooms.ROOMS} | {
        "reference/commands.md": commands.page()
    }
    made |= {f"reference/modules/{module.full}.rst": rooms.page_of(module) for module in modules()}
    for path in notebooks.all_notebooks():
        files |= {f"course/{name}": content for name, content in notebooks.staged(path).items()}
        files[f"_static/notebooks/{path.name}"] = path.read_bytes()
    for name, page in links.pages().items():
        source = ROOT / name
        if source.suffix == ".md" and page not in made:
            text = source.read_text(encoding="utf-8")
            made[page] = links.rewritten(text, source, page)
            for written, picture in links.pictures(text, source).items():
                files[f"{page.rpartition('/')[0]}/{Path(written).name}".lstrip("/")] = picture.read_bytes()
                made[page] = made[page].replace(f"]({written})", f"]({Path(written).name})")
    return files | {name: text.encode() for name, text in made.items()}


def mathjax() -> bytes:
    """MathJax in one file that draws formulas as SVG, out of the package that brings it: no font, no network."""
    package = distribution("sphinx-mathjax-offline")
    (file,) = (file for file in package.files or () if file.name == "tex-svg.js")
    return Path(package.locate_file(file)).read_bytes()


def write(files: Mapping[str, bytes], folder: Path) -> None:
    """Make the folder hold these files; what has not changed keeps its time, so that Sphinx reads only what has."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).as_posix() not in files:
            path.unlink()
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def build(out: Path = HERE / "_build") -> int:
    """0 if the site was written to ``out/html`` without a warning."""
    from sphinx.cmd.build import main

    write(staged(), out / "source")
    quiet = ["-q", "-W", "--keep-going", "-b", "html", "-d", str(out / "doctrees")]
    return main([*quiet, str(out / "source"), str(out / "html")])


if __name__ == "__main__":
    code = build(*map(Path, sys.argv[1:]))
    if not code:
        print(f"{Path(sys.argv[1]) if sys.argv[1:] else HERE / '_build'}/html/index.html")
    sys.exit(code)
