"""The notebook of variants: its class does what its words say."""

from pathlib import Path

import pytest
from slices import names, needed

from unispeech_lab import course

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "06_variants.ipynb"


def test_the_diversity_term_weighs_what_the_formula_says():
    """Ten times the paper's 0.1 at first, back at it from half time on."""
    code = [course.source(cell) for cell in course.read(NOTEBOOK)["cells"] if cell["cell_type"] == "code"]
    wanted = {k for k, source in enumerate(code) if {"OpenFirst", "config"} & names(source)[0]}
    shown: dict = {}
    for k in needed(code, wanted):
        exec(code[k], shown)
    model, weights = shown["OpenFirst"]().model(shown["config"]), []
    for step in (0, 25, 50, 99):
        shown["OpenFirst"]().before(model, step, 100)
        weights.append(model.objective.weights["diversity"])
    assert weights == pytest.approx([1.0, 0.55, 0.1, 0.1])
