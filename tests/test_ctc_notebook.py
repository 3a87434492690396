"""The exercises of the CTC notebook: the folded solutions are right, what is written there is not."""

import json
from pathlib import Path

from test_pretraining_notebook import SOLUTION, STUB

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "04_ctc.ipynb"


def test_solutions_are_right(capsys):
    """The small lattice and the exercises; no model is needed."""
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    solutions = [found[1] for text in texts if (found := SOLUTION.search(text))]
    code = [text for text, cell in zip(texts, cells, strict=True) if cell["cell_type"] == "code"]
    assert len(solutions) == len([text for text in code if STUB.search(text)]) == 3
    first = next(k for k, text in enumerate(code) if "checkpoints" in text)
    small = [text for text in code[:first] if "she" not in text and "tiny" not in text]
    namespace = {}
    for source in [*small, *(text for text in code[first:] if STUB.search(text))]:
        if found := STUB.search(source):
            (solution,) = [text for text in solutions if f"def {found[1]}(" in text]
            source = STUB.sub(lambda _, solution=solution: solution, source)
        exec(source, namespace)
    said = capsys.readouterr().out
    assert said.count("Right.\n") == 3 and "Not yet" not in said
