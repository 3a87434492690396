"""The site: it builds without a warning, every link leads somewhere, nothing is asked from outside, how-tos hold."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parent.parent
HOW_TO = sorted(path for path in (ROOT / "docs" / "how-to").glob("*.md") if path.stem != "index")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
MODULES = [path for path in sorted((ROOT / "unispeech_lab").rglob("*.py")) if not re.match(r"_(?!_init__)", path.stem)]
COPIED = ("unispeech_lab", "tests", "conftest.py", "pyproject.toml", "constraints.txt", "environment.yml")
LINKED = ("data", "notebooks", "docs", "README.md", "CONTRIBUTING.md", "LOG.md", "CHANGELOG.md", "experiments")
TAG = re.compile(r"""<([a-z][a-z0-9]*)((?:\s+[\w:.-]+(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'>]+))?)*)\s*/?>""")
ATTRIBUTE = re.compile(r"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (find_spec("myst_nb") and find_spec("furo")), reason="the extra docs: pip install -e '.[docs]'"
    ),
]


class Page:
    """A page of the site as its tags: what it asks for, where it leads, the places in it."""

    def __init__(self, path: Path):
        self.path, self.html = path, path.read_text(encoding="utf-8")
        found = re.sub(r"<(script|style)\b([^>]*)>.*?</\1>", r"<\1\2>", self.html, flags=re.S)
        self.tags = [(name, attributes(said)) for name, said in TAG.findall(found)]
        self.ids = {value for _, said in self.tags for key, value in said.items() if key in ("id", "name")}


def attributes(said: str) -> dict[str, str]:
    return {key: unescape(a or b or c) for key, a, b, c in ATTRIBUTE.findall(said)}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, str]:
    """The site, made as ``make docs`` makes it, and what was said meanwhile."""
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "build.py"), str(out)],
        cwd=out,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
    return out / "html", done.stderr


@pytest.fixture(scope="module")
def pages(built) -> dict[str, Page]:
    return {path.relative_to(built[0]).as_posix(): Page(path) for path in sorted(built[0].rglob("*.html"))}


def test_no_warning(built):
    assert "WARNING" not in built[1] and "ERROR" not in built[1], built[1]


def test_every_link_leads_somewhere(built, pages):
    """Pages, files and places within pages; what lies outside is only listed."""
    lost, outside = [], set()
    for name, page in pages.items():
        for tag, said in page.tags:
            for key in {"a": ["href"], "link": ["href"], "img": ["src"], "script": ["src"], "audio": ["src"]}.get(
                tag, []
            ):
                target = said.get(key, "")
                if re.match(r"(https?|mailto):", target):
                    outside.add(target)
                elif target and not target.startswith(("data:", "javascript:")):
                    path, _, place = target.partition("#")
                    path = unquote(path.partition("?")[0])
                    file = (page.path.parent / path).resolve() if path else page.path
                    there = pages.get(file.relative_to(built[0]).as_posix()) if file.is_relative_to(built[0]) else None
                    if not file.exists() or (place and there and unquote(place) not in there.ids):
                        lost.append((name, target))
    assert not lost, f"{len(lost)} links lead nowhere: {lost[:20]}"
    assert {"https://arxiv.org/abs/2101.07597", "https://arxiv.org/abs/2006.11477"} <= outside


def test_nothing_is_asked_from_outside(built, pages):
    """No script, style, font, picture or frame from elsewhere; links are for the reader to follow, or not."""
    for name, page in pages.items():
        asked = [
            said.get(key, "")
            for tag, said in page.tags
            for key in ("src", "href", "srcset", "data", "poster", "action")
            if key in said and not (tag == "a" or (tag == "link" and said.get("rel") in ("author", "canonical")))
        ]
        assert not [target for target in asked if re.match(r"(https?:)?//", target)], name
        assert not re.findall(r"<script>[^<]*(?:https?:)?//(?:cdn|unpkg|cdnjs)", page.html), name
        assert "requirejs" not in page.html and "cdn.jsdelivr" not in page.html, name
    for style in built[0].rglob("*.css"):
        assert not re.findall(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", style.read_text(encoding="utf-8")), style


def test_every_picture_has_words(pages):
    for name, page in pages.items():
        for tag, said in page.tags:
            if tag == "img":
                assert len(said.get("alt", "")) > 20, f"{name}: {said.get('src', '')[:80]}"


def test_every_notebook_is_a_page_in_order(pages):
    for before, path, after in zip([None, *NOTEBOOKS], NOTEBOOKS, [*NOTEBOOKS[1:], None], strict=False):
        page = pages[f"course/{path.stem}.html"]
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        assert page.html.count('class="cell_input') == sum(
            cell["cell_type"] == "code" for cell in cells if cell["source"]
        )
        stored = sum("image/png" in out.get("data", {}) for cell in cells for out in cell.get("outputs", []))
        assert sum(tag == "img" for tag, _ in page.tags) >= stored
        shown = ["".join(out.get("data", {}).get("text/html", "")) for cell in cells for out in cell.get("outputs", [])]
        solutions = sum(text.count("<details>") for text in [*("".join(cell["source"]) for cell in cells), *shown])
        assert page.html.count("<details>") == solutions, "solutions are folded"
        for class_, other in (("prev-page", before), ("next-page", after)):
            (link,) = [said["href"] for tag, said in page.tags if tag == "a" and class_ in said.get("class", "")]
            assert other is None or link == f"{other.stem}.html"
        assert any("term" in said.get("class", "") for _, said in page.tags), "words of the glossary lead there"


def test_every_public_name_has_its_place(pages):
    sys.path.insert(0, str(ROOT / "docs"))
    from making.modules import Module
    from making.rooms import ROOMS, room_of

    for path in MODULES:
        module = Module(path)
        page = pages[f"reference/modules/{module.full}.html"]
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                assert f"{module.full}.{node.name}" in page.ids
                public = (m for m in node.body if isinstance(node, ast.ClassDef) and isinstance(m, ast.FunctionDef))
                for member in public:
                    if not member.name.startswith("_"):
                        assert f"{module.full}.{node.name}.{member.name}" in page.ids
        assert not module.public or f"_modules/{module.full.replace('.', '/')}.html" in pages, "its source"
        if module.name:
            assert module.full in pages[f"reference/{room_of(module)}.html"].html
    assert {f"reference/{slug}.html" for slug in ROOMS} <= set(pages)


def test_names_at_the_door_lead_to_what_they_are(pages):
    import unispeech_lab

    page = pages["reference/index.html"]
    links = [said["href"] for tag, said in page.tags if tag == "a" and "reference" in said.get("class", "")]
    for name in unispeech_lab.__all__:
        assert any(link.endswith(f".{name}") or link.endswith(f"#module-unispeech_lab.{name}") for link in links), name


def test_every_command_is_there(pages):
    from typer.main import get_command

    from unispeech_lab.cli import app

    html = unescape(re.sub(r"<[^>]+>", "", pages["reference/commands.html"].html))
    for name, command in get_command(app).commands.items():
        assert f"unispeech-lab {name}" in html
        for option in [flag for param in command.params for flag in param.opts if flag.startswith("--")]:
            assert option in html, f"{name} {option}"


def test_gallery_shows_every_picture_and_leads_to_every_view(pages):
    from unispeech_lab.views.explore import TABS

    page = pages["gallery.html"]
    links = {said.get("href", "") for tag, said in page.tags if tag == "a"}
    shown = {Path(said["src"]).name for tag, said in page.tags if tag == "img"}
    assert {path.name for path in (ROOT / "docs" / "gallery").glob("*.png")} <= shown
    for views in TABS.values():
        assert {f"reference/modules/unispeech_lab.views.{view}.html" for view in views} <= links


def test_every_word_of_the_glossary_leads_to_where_it_is_seen():
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    entries = re.findall(r"^((?:\S.*\n)+)((?:  .*\n)+)", text.split("```{glossary}\n")[1], flags=re.M)
    assert len(entries) > 80
    for terms, said in entries:
        assert re.search(r"\]\([\w/-]+\.(ipynb|md)\)|\{py:", said), f"{terms.split()} leads nowhere"
    names = {term.lower() for terms, _ in entries for term in terms.splitlines()}
    wanted = "frame state feature code codeword phone knob width ctc per nmi perplexity alpha r abx cka pwcca blank"
    assert set(wanted.split()) | {"gumbel softmax", "contrastive loss"} <= names


# ---- in a browser ---------------------------------------------------------------------------------------------------


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *said):
        pass


@pytest.mark.browser
def test_reads_well_narrow_and_wide_in_the_light_and_in_the_dark(built, pages):
    """Formulas are drawn, nothing is wider than the screen, nobody else is asked (``watched_page`` sees to that)."""
    from browser import watched_page

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(built[0])))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    seen = ["index", "gallery", "glossary", "how-to/add-a-view", "reference/modules/unispeech_lab.corpus"]
    try:
        with watched_page(SimpleNamespace(url=url, address=url)) as page:
            for name in [*seen, *(f"course/{path.stem}" for path in NOTEBOOKS)]:
                for width, scheme in ((400, "dark"), (1280, "light")):
                    page.set_viewport_size({"width": width, "height": 900})
                    page.emulate_media(color_scheme=scheme)
                    if width == 400:
                        page.goto(f"/{name}.html")
                    formulas = pages[f"{name}.html"].html.count('class="math ')
                    page.wait_for_function(f"document.querySelectorAll('mjx-container').length >= {formulas}")
                    assert page.locator("mjx-merror").count() == 0, f"{name}: a formula that MathJax does not read"
                    over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                    assert over <= 0, f"{name}, {width} px: {over} px too wide"
    finally:
        server.shutdown(), server.server_close()


# ---- how-to pages ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> dict[str, list[dict]]:
    """What came of each page's boxes, each page in a copy of the repository of its own."""
    home, pairs = tmp_path_factory.mktemp("how-to"), []
    for page in HOW_TO:
        copy = home / page.stem
        copy.mkdir()
        for name in COPIED:
            source = ROOT / name
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__")) if source.is_dir() else (
                shutil.copy(source, copy / name)
            )
        for name in LINKED:
            (copy / name).symlink_to(ROOT / name)
        pairs.append(f"{copy}={page}={home / page.stem}.json")
    env = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    tools = ROOT / "tests"
    for command in (
        [str(tools / "brought.py"), str(home / "bring-a-checkpoint")],
        [str(tools / "following.py"), *pairs],
    ):
        done = subprocess.run([sys.executable, *command], env=env, capture_output=True, text=True, timeout=1800)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    told = {page.stem: (home / f"{page.stem}.json").read_text(encoding="utf-8") for page in HOW_TO}
    return {name: [json.loads(line) for line in lines.splitlines()] for name, lines in told.items()}


@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_how_to_holds_to_the_letter(page, followed):
    from following import boxes

    for box in followed[page.stem]:
        assert not box["error"], f"{box['code']}\n{box['said'][-2000:]}\n{box['error'][-4000:]}"
    assert len(followed[page.stem]) == len(boxes(page.read_text(encoding="utf-8"))) > 0


def test_a_page_that_does_not_hold_is_told(tmp_path):
    from following import boxes

    text = "```python\nassert 1 == 2\n```\n"
    assert boxes(text) == [("python", "", "assert 1 == 2\n")]
    code = "import sys; from following import *; follow(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))"
    said = tmp_path / "said.json"
    subprocess.run([sys.executable, "-c", code, str(tmp_path), text, str(said)], cwd=ROOT / "tests", check=True)
    (box,) = map(json.loads, said.read_text().splitlines())
    assert "AssertionError" in box["error"]


def test_a_box_that_is_not_run_says_so():
    for page in HOW_TO:
        for language, file, _ in re.findall(
            r"^```(?:\{code-block\} )?(\w+)\n(?::caption: (\S+)\n)?()", page.read_text(), re.M
        ):
            assert language in ("python", "sh", "diff", "console"), f"{page.name}: {language}"
            assert language != "diff" or file
