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
MODULES = [
    path
    for path in sorted((ROOT / "unispeech_lab").rglob("*.py"))
    if not re.search(r"/(\.|_(?!_init__))", path.relative_to(ROOT).as_posix())
]
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


def test_a_notebooks_page_says_what_it_is_and_gives_the_notebook(built, pages):
    for path in NOTEBOOKS:
        page = pages[f"course/{path.stem}.html"]
        (note,) = re.findall(r'<div class="stored[^>]*>(.*?)</div>', page.html, flags=re.S)
        words = re.sub(r"<[^>]+>", "", note)
        assert "make lab" in words and path.name in words
        assert page.html.index('class="stored') < page.html.index('class="cell_input'), "at the top"
        (given,) = [said["href"] for tag, said in page.tags if tag == "a" and said.get("href", "").endswith(".ipynb")]
        assert (page.path.parent / given).read_bytes() == path.read_bytes()


def test_tables_that_cells_put_out_are_tables(pages):
    told = pages["course/06_variants.html"].html
    assert "| ---" not in told
    assert "phone error rate" in re.sub(r"<[^>]+>", "", "".join(re.findall(r"<thead>.*?</thead>", told, flags=re.S)))


def test_the_course_says_how_long_it_takes(pages):
    from unispeech_lab import course

    said = unescape(re.sub(r"<[^>]+>", "", pages["course/index.html"].html))
    for path in NOTEBOOKS:
        notebook = course.read(path)
        told = said.partition(f"{path.stem[:2]} · {course.title(notebook)}".replace("'", "’"))[2]
        length = f"{course.minutes(notebook):.0f} min to read, {len(list(course.exercises(notebook)))} exercise"
        assert re.search(r"\d+ min to read, \d+ exercise", told)[0] == length, path.stem


def test_everyday_words_lead_nowhere(pages):
    """A word of the glossary that is meant in another sense; the field's own compounds go to their own entries."""
    linked = re.compile(r'<a [^>]*href="../glossary.html#([^"]*)"[^>]*><span class="term">([^<]+)</span>')
    found = [
        (name, (page.html[match.start() - 40 : match.start()].split() or [""])[-1], *match.groups())
        for name, page in pages.items()
        if name.startswith("course/")
        for match in linked.finditer(page.html)
    ]
    assert len(found) > 100
    assert not [each for each in found if each[3].lower().rstrip("s") in ("recipe", "score", "tap", "code")]
    assert ("kernel", "alignment") not in [(before, term) for _, before, _, term in found]
    assert {name for name, _, _, term in found if term.lower().startswith("sample")} <= {"course/01_frontend.html"}
    assert "term-CKA" in {place for name, _, place, _ in found if "10_" in name}


def test_files_that_are_no_pages_are_code(pages):
    html = pages["experiments/cross_lingual.html"].html
    assert '<span class="pre">methods.py</span>' in html and not re.search(r"<p>methods.py</p>", html)


def test_a_package_shows_what_it_hands_on(pages):
    """With its signature, and the way to where it is written; and which files it has."""
    for path in [path for path in MODULES if path.name == "__init__.py" and path.parent.name != "unispeech_lab"]:
        name = ".".join(path.parent.relative_to(ROOT).parts)
        page, tree = pages[f"reference/modules/{name}.html"], ast.parse(path.read_text(encoding="utf-8"))
        links = {said.get("href") for tag, said in page.tags if tag == "a"}
        files = [file.stem for file in path.parent.glob("[!_.]*.py")]
        assert {f"{name}.{file}.html#module-{name}.{file}" for file in files} <= links, name
        own = re.findall(r"^__all__ = (\[.*?\])$", path.read_text(encoding="utf-8"), flags=re.M)
        public = ast.literal_eval(own[0]) if own else []
        shown = re.findall(r'<span class="sig-name descname"><span class="pre">(\w+)</span>', page.html)
        assert set(public) <= set(shown), name
        for node in [node for node in tree.body if isinstance(node, ast.ImportFrom)]:
            home = f"{name}.{(node.module or '').rpartition('.')[2]}"
            if {alias.name for alias in node.names} & set(public):
                assert f"{home}.html#module-{home}" in links, home
    page = pages["reference/modules/unispeech_lab.analyse.html"]
    words = unescape(re.sub(r"<[^>]+>", "", page.html))
    assert re.search(r"analyse\(\s*model,\s*corpus: Corpus,\s*out: str \| PathLike", words)
    assert all(name in words for name in ("layers.csv", "segments.csv", "r_value"))


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
    shown = {(page.path.parent / said["src"]).read_bytes() for tag, said in page.tags if tag == "img"}
    lost = [path.name for path in (ROOT / "docs" / "gallery").glob("*.png") if path.read_bytes() not in shown]
    assert not lost, "Sphinx may name a file anew, its bytes stay"
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


CUT = """[...document.querySelectorAll("article pre")]
    .filter(box => box.clientWidth && box.scrollWidth > box.clientWidth + 1)
    .map(box => box.innerText.slice(0, 80))"""


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
                    cut = page.evaluate(CUT)
                    assert not cut, f"{name}, {width} px: code or output cut at the right: {cut[:3]}"
            page.goto("/index.html")
            picture = page.locator("img.first-screen")
            assert picture.bounding_box()["width"] > 0.7 * page.locator("article").bounding_box()["width"] > 500
            whole = page.locator("a:has(> img.first-screen)").evaluate("link => link.href")
            assert whole.endswith("/first-screen.png") and page.request.get(whole).ok, "a click opens it whole"
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
            copied = shutil.copytree if source.is_dir() else shutil.copy2  # with times: what is compiled stays so
            copied(source, copy / name)
        for name in LINKED:
            (copy / name).symlink_to(ROOT / name)
        pairs.append(f"{copy}={page}={home / page.stem}.json")
    env = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "tests" / "following.py"), *pairs]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=1800)
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
