"""The notebook of variants: its folded solutions are right, its class does what its words say."""

import json
import re
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "06_variants.ipynb"
SOLUTION = re.compile(r"<details>.*?```python\n(.*?)```", re.S)
TRAINED = ("racing.", "compared.table[", "seeds=(0, 1)")  # cells about what a hundred steps brought


def cells(kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == kind]


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """The names of the notebook with each solution in place of its dots; a comparison of five steps for a hundred."""
    from unispeech_lab.compare import compare

    solutions = [found[1] for text in cells("markdown") if (found := SOLUTION.search(text))]
    code, names = [source for source in cells("code") if not any(word in source for word in TRAINED)], {}
    dots = [k for k, source in enumerate(code) if re.search(r"\.\.\.( |,|$)", source, re.M)]
    assert len(dots) == len(solutions) == 4
    for k, source in enumerate(code):
        source = source.replace("steps=100", "steps=5").replace("log_every=5", "log_every=1")
        if "import race" in source:
            two = [names["variants"].load("unispeech"), names["OpenFirst"]()]
            given = (names["speech"], tmp_path_factory.mktemp("compared"), names["settings"], (0, 1))
            names["compared"] = compare(two, *given, **names["how"], progress=False)
            continue
        if k in dots:
            source = put(source, solutions[dots.index(k)])
        exec(source, names)
    return names


def put(source: str, solution: str) -> str:
    """A cell with the solution for what it leaves open: the statement of the same name."""
    first = re.match(r"(class \w+|def \w+|A, B, C)", solution)[0]
    begin = source.index(first)
    rest = re.search(r"\n\n(?=\S)", source[begin:])
    return source[:begin] + solution + (source[begin + rest.start() :] if rest else "")


def test_solutions_are_right(solved, capsys):
    for source in cells("code"):
        for said in re.findall(r"^check\(.*\)$", source, re.M):
            exec(said, solved)
    assert capsys.readouterr().out == 4 * "Right.\n"


def test_nothing_is_right_as_it_stands(solved, capsys):
    """What the reader is given to begin with is not taken for an answer."""
    stored = json.loads(NOTEBOOK.read_text())["cells"]
    said = ["".join(output.get("text", "")) for cell in stored for output in cell.get("outputs", [])]
    assert sum(text.startswith("Not yet: ") for text in said) == 4 and not any("Right." in text for text in said)


def test_the_diversity_term_weighs_what_the_formula_says(solved):
    model = solved["OpenFirst"]().model(solved["config"])
    weights = []
    for step in (0, 25, 50, 99):
        solved["OpenFirst"]().before(model, step, 100)
        weights.append(model.objective.weights["diversity"])
    assert weights == pytest.approx([1.0, 0.55, 0.1, 0.1])
