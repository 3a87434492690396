"""The rules of the course, over every notebook in the folder: each stands alone, is read in order, leads on."""

import ast
import base64
import io
import keyword
import re
import tokenize
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from slices import names

from unispeech_lab import course

ROOT = Path(__file__).parent.parent
NOTEBOOKS = course.notebooks(ROOT / "notebooks")
IDS = [path.stem for path in NOTEBOOKS]

# Opened at its first use in each notebook: "CTC (connectionist temporal classification)", or the other way round.
ACRONYMS = {
    "ABX": "discrimination",
    "ASR": "automatic speech recognition",
    "AUC": "area under the curve",
    "CCA": "canonical correlation analysis",
    "CER": "character error rate",
    "CKA": "cent(ered|red) kernel alignment",
    "CTC": "connectionist temporal classification",
    "DTW": "dynamic time warping",
    "GELU": "Gaussian error linear unit",
    "IPA": "International Phonetic Alphabet",
    "KL": "Kullback-Leibler",
    "LN": "layer norm",
    "MFCC": "mel-frequency cepstral coefficients",
    "NMI": "normalised mutual information",
    "PCA": "principal component analysis",
    "PER": "phone error rate",
    "PWCCA": "projection-weighted CCA",
    "SVCCA": "singular vector CCA",
    "SVD": "singular value decomposition",
    "UMAP": "uniform manifold approximation and projection",
    "WER": "word error rate",
}
# Known by these letters better than by what they stand for; venues; names.
NAMES = set(
    re.findall(r"\w+", "CPU GPU RAM MB GB WAV FLAC MP3 OGG CSV JSON HTML PNG ELAN GPL ICML ICASSP XLSR SUPERB OK")
)

RANDOM = re.compile(
    r"np\.random\.(?!default_rng\(\d)|torch\.rand(?!.*generator)|random\.random\(|\btime\b|perf_counter"
)
VARIES = re.compile(r"/tmp/|0x[0-9a-f]{6}|\d (ms|s)/|it/s|frames/s")


def words(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]


def code(notebook: dict) -> list[str]:
    return [course.source(cell) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def prose(text: str, headings: bool = False) -> str:
    """Words as they are read: no code, no formulas, no addresses, no list of stops."""
    text = re.sub(r"```.*?```|\$\$.*?\$\$|`[^`]*`|\$[^$\n]*\$", " ", text, flags=re.S)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    kept = [line for line in text.split("\n") if not line.startswith("Stops:")]
    return "\n".join(line for line in kept if headings or not line.startswith("#"))


def headings(notebook: dict) -> list[tuple[int, str]]:
    text = "\n".join(re.sub(r"```.*?```", "", course.source(cell), flags=re.S) for cell in words(notebook))
    return [(len(marks), title) for marks, title in re.findall(r"^(#+) (.*)$", text, re.M)]


@pytest.fixture(params=NOTEBOOKS, ids=IDS)
def path(request) -> Path:
    return request.param


@pytest.fixture
def notebook(path) -> dict:
    return course.read(path)


class TestStandsAlone:
    def test_every_name_is_defined_above(self, notebook):
        known: set[str] = set()
        for source in code(notebook):
            bound, used = names(source)
            assert not used - bound - known, f"{sorted(used - bound - known)} come from nowhere:\n{source}"
            known |= bound

    def test_no_magic_carries_anything_over(self, notebook):
        for source in code(notebook):
            assert not re.search(r"^\s*[%!]|get_ipython|importlib|(?<![.\w])(exec|eval|globals)\(", source, re.M), (
                source
            )

    def test_imports_no_notebook(self, notebook):
        stems = {name.stem for name in NOTEBOOKS}
        for source in code(notebook):
            for node in ast.walk(ast.parse(source)):
                modules = [alias.name for alias in getattr(node, "names", [])] if isinstance(node, ast.Import) else []
                modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not {part for name in modules for part in name.split(".")} & (stems | {"import_ipynb"}), source
            assert ".ipynb" not in source

    def test_writes_and_reads_only_in_a_folder_of_its_own(self, notebook):
        """Of a file no more is named than its end, after a ``/``: what stands before is a folder made here."""
        for source in code(notebook):
            tree = ast.parse(source)
            joined = {id(node.right) for node in ast.walk(tree) if isinstance(node, ast.BinOp)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant | ast.JoinedStr) and not isinstance(node, ast.FormattedValue):
                    text = node.value if isinstance(node, ast.Constant) else ast.unparse(node)
                    file = isinstance(text, str) and re.search(
                        r"\.(csv|tsv|npy|npz|pt|json|wav|mp3|flac|TextGrid)['\"]?$", text
                    )
                    assert not file or id(node) in joined or text == "mine.mp3", source

    def test_defines_no_class_but_a_variant(self, notebook):
        for source in code(notebook):
            for node in ast.walk(ast.parse(source)):
                bases = {getattr(base, "id", "") for base in getattr(node, "bases", [])}
                assert not isinstance(node, ast.ClassDef) or "UniSpeech" in bases, source

    def test_was_run_in_order(self, notebook):
        counts = [cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
        assert counts == list(range(1, len(counts) + 1)), "run it again: make notebooks"


class TestReads:
    def test_one_title_and_no_level_skipped(self, notebook):
        levels = [level for level, _ in headings(notebook)]
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False)), levels

    def test_sections_are_numbered_in_order(self, notebook):
        sections = [int(title.split(".")[0]) for level, title in headings(notebook) if level == 2]
        assert sections == list(range(1, len(sections) + 1)) and len(sections) >= 4

    def test_begins_with_a_promise(self, notebook):
        said = course.promise(notebook)
        assert 20 <= len(said.split()) <= 90 and "$" not in said and not said.startswith(("#", "*No", "!"))

    def test_a_picture_stands_before_the_first_formula(self, notebook):
        for cell in notebook["cells"]:
            text = course.source(cell)
            drawn = any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
            first = re.search(r"!\[|\$[^$]+\$" if cell["cell_type"] == "markdown" else "$^", text, re.S)
            if drawn or first:
                assert drawn or first[0].startswith("!"), f"a formula before any picture: {text[:200]}"
                return
        pytest.fail("no picture at all")

    def test_the_promised_picture_is_the_one_that_is_reached(self, path, notebook):
        """Within what another version of the drawing library may differ by."""
        links = re.findall(r"!\[([^\]]{60,})\]\(([^)]*)\)", "\n".join(map(course.source, words(notebook))))
        every = re.findall(r"!\[[^\]]*\]\(", "\n".join(map(course.source, words(notebook))))
        assert len(links) == len(every), "a picture without words for those who do not see it"
        for _, link in links:
            assert link == f"pictures/{path.stem}.png"
            (reached,) = [cell for cell in notebook["cells"] if "reached" in course.tags(cell)]
            (png,) = [o["data"]["image/png"] for o in reached["outputs"] if "image/png" in o.get("data", {})]
            small = Image.open(path.parent / link).convert("RGB")
            shown = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").resize(small.size)
            apart = np.abs(np.asarray(small, float) - np.asarray(shown, float)).mean()
            assert apart < 12, f"{apart:.0f} of 255 apart: make notebooks"

    def test_says_what_it_does_not_show(self, notebook):
        caveats = [course.source(cell) for cell in notebook["cells"] if "caveat" in course.tags(cell)]
        assert caveats and all("caveat" in text for text in caveats)

    def test_is_read_in_a_quarter_of_an_hour(self, notebook):
        assert 3 < course.minutes(notebook) <= 15

    def test_acronyms_are_opened_at_their_first_use(self, notebook):
        """In the paragraph that has it first; a title may come before."""
        paragraphs = [part for cell in words(notebook) for part in prose(course.source(cell)).split("\n\n")]
        seen: set[str] = set()
        for paragraph in paragraphs:
            for found in re.findall(r"\b[A-Z][A-Z0-9]+(?=s?\b)(?![\w.-]*\.md)", paragraph):
                if found not in seen | NAMES:
                    assert found in ACRONYMS, f"what is {found}? Open it, and add it to ACRONYMS or NAMES:\n{paragraph}"
                    assert re.search(ACRONYMS[found], paragraph, re.I), f"{found} is not opened here:\n{paragraph}"
                seen.add(found)


class TestLeadsOn:
    def test_the_last_line_goes_back_and_forward(self, path, notebook):
        last = notebook["cells"][-1]
        assert course.tags(last) == ["navigation"]
        assert course.source(last) == course.navigation(path, NOTEBOOKS), "python .ci/notebooks.py writes it"

    def test_links_resolve(self, path, notebook):
        text = "\n".join(map(course.source, words(notebook)))
        anchors = {title.replace(" ", "-") for _, title in headings(notebook)}
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if link.startswith("#"):
                assert link[1:] in anchors, f"{link} leads to no heading"
            elif not link.startswith("https://"):
                assert (path.parent / link).exists(), f"{link} leads nowhere"

    def test_stops_are_the_sections(self, notebook):
        first = course.source(notebook["cells"][0])
        stops = re.findall(r"\]\(#([^)]*)\)", first.partition("Stops:")[2].partition("\n")[0])
        assert stops == [title.replace(" ", "-") for level, title in headings(notebook) if level == 2]


class TestForEverybody:
    def test_no_colour_map_that_misleads(self, notebook):
        for source in code(notebook):
            assert not re.search(r"jet|rainbow|hsv|nipy|RdYlGn|cmap *=", source), source

    def test_live_pictures_are_the_stage(self, notebook):
        """Every control of the stage is reached by the keyboard (test_explorer_browser.py); no other widget is used."""
        for source in code(notebook):
            assert not re.search(r"ipywidgets|interact\(|plotly|bokeh|matplotlib|plt\.|%matplotlib", source), source


def spelled(source: str) -> list[str]:
    """Its tokens; names that a reader chooses are all one, and so are quotes."""
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(source).readline) if t.string.strip()]
    found = []
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        given = token.type != tokenize.NAME or keyword.iskeyword(token.string) or (before and before.string == ".")
        if token.type != tokenize.COMMENT and token.string != "return":
            found.append(token.string.replace('"', "'") if given or (after and after.string == "(") else "_")
    return found


def lines(solution: str) -> list[list[str]]:
    """What takes the dots' place, line by line: of a function its body, of names a list of what they are given."""
    kept: list[ast.AST] = []
    for node in ast.parse(solution).body:
        inner = [n for n in ast.walk(node) if isinstance(n, ast.FunctionDef)]
        values = getattr(node.value, "elts", [node.value]) if isinstance(node, ast.Assign) else []
        kept += inner[0].body if inner else [ast.List(values)] if values else []
    return [spelled(line) for node in kept for line in ast.unparse(node).split("\n")]


def given_away(solution: str, check: str) -> float:
    """The share of a solution that a check holds, in runs of four tokens or more; 1 if one of its lines is there."""
    said, wanted = spelled(check), lines(solution)
    whole = [token for line in wanted for token in line]
    runs = SequenceMatcher(None, said, whole, autojunk=False).get_matching_blocks()
    text = f" {' '.join(said)} "
    line = any(len(line) > 5 and f" {' '.join(line)} " in text for line in wanted)
    return max(float(line), sum(run.size for run in runs if run.size > 3) / len(whole))


class TestGivesNothingAway:
    def test_no_check_holds_its_solution(self, notebook):
        """Students see it one cell below the dots. The library computes what is right, or it stands sealed."""
        for exercise in course.exercises(notebook):
            for cell in exercise.cells["check"]:
                share = given_away(exercise.solution, course.source(cell))
                assert share < 0.5, f"{exercise.name}: {share:.0%} of the solution stands in the check"

    @pytest.mark.parametrize(
        ("solution", "check"),
        [
            ("def one(sound):\n    return sound.mean(1)", "right = np.stack([s.mean(1) for s in both])"),
            ("def gazed(p):\n    return int(p.sum(0).argmax())", "right = [head.sum(0).argmax() for head in heads]"),
            ("def f(x):\n    x = x - x.mean(0)\n    y = x @ x.T @ x\n    return norm(y) / 2", "right = norm(z) / 2"),
            ('a, b, c = "wrong", "right", "wrong"', 'check(lambda: [a, b, c], ["wrong", "right", "wrong"])'),
        ],
    )
    def test_would_be_noticed(self, solution, check):
        assert given_away(solution, check) >= 0.5


class TestStrict:
    def test_some_cells_must_print_what_they_printed(self, notebook):
        checked = [cell for cell in notebook["cells"] if "nbval-check-output" in course.tags(cell)]
        assert len(checked) >= 4 and sum(course.part(cell) is None for cell in checked) >= 1
        assert all(cell["outputs"] for cell in checked)

    def test_what_must_be_the_same_is_not_random(self, notebook):
        for cell in notebook["cells"]:
            if "nbval-check-output" in course.tags(cell):
                said = "".join("".join(output.get("text", "")) for output in cell["outputs"])
                assert not RANDOM.search(course.source(cell)), course.source(cell)
                assert not VARIES.search(said), said
                assert all(output["output_type"] != "display_data" for output in cell["outputs"])

    def test_checks_of_exercises_are_compared(self, notebook):
        for exercise in course.exercises(notebook):
            assert all("nbval-check-output" in course.tags(cell) for cell in exercise.cells["check"])


def test_runs_in_reasonable_time(notebook):
    """Processor seconds, as measured when it was run last; the table of all is in benchmarks/README.md."""
    assert 0 < notebook["metadata"]["course"]["seconds"] < 300
