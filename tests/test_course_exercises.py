"""The exercises of the course: every folded solution is right, a typical mistake is caught and told what is off."""

import io
import re
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import pytest
from slices import needed

from unispeech_lab import course

NOTEBOOKS = course.notebooks(Path(__file__).parent.parent / "notebooks")
DOTS = "Not yet: the dots stand for what is to be written."
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?|…")


@cache
def answered(path: Path) -> dict[str, dict[str, str]]:
    """What the checks say, by exercise, to the dots, the mistake and the solution.

    A notebook is run once, and of its cells those alone that the exercises need. Each answer begins from the same
    names; those of the solution go on.
    """
    notebook = course.read(path)
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    kept = needed([course.source(cell) for cell in code], {k for k, cell in enumerate(code) if course.part(cell)})
    said: dict[str, dict[str, str]] = {}
    names: dict = {}
    todo = course.exercises(notebook)
    with redirect_stdout(io.StringIO()):
        for cell in (code[k] for k in kept):
            if course.part(cell) is None:
                exec(course.source(cell), names)
            elif course.part(cell) == "answer":
                exercise = next(todo)
                said[exercise.name] = {kind: heard(exercise, kind, dict(names)) for kind in ("stub", "mistake")}
                said[exercise.name]["solution"] = heard(exercise, "solution", names)
    return said


def heard(exercise: course.Exercise, kind: str, names: dict) -> str:
    """What an exercise's checks print when its answer cell holds the stub, the mistake or the solution."""
    with redirect_stdout(io.StringIO()) as lines:
        for source in (getattr(exercise, kind), *map(course.source, exercise.cells["check"])):
            exec(source, names)
    return lines.getvalue()


def verdicts(said: str) -> list[str]:
    return re.findall(r"^(?:Right\.|Not yet: .*)$", said, re.M)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestExercises:
    def test_three_at_least(self, path):
        assert len(list(course.exercises(course.read(path)))) >= 3

    def test_the_dots_are_not_an_answer(self, path):
        for name, said in answered(path).items():
            told = verdicts(said["stub"])
            assert told and all(line.startswith(("Not yet: ", DOTS)) for line in told), f"{name}: {told}"

    def test_solutions_are_right(self, path):
        for name, said in answered(path).items():
            told = verdicts(said["solution"])
            assert told and set(told) == {"Right."}, f"{name}: {told}"

    def test_a_typical_mistake_is_told_what_is_off(self, path):
        """As it stands under it: words to the letter, numbers within 2 %, what differs from run to run written …"""
        for exercise in course.exercises(course.read(path)):
            told, written = "\n".join(verdicts(answered(path)[exercise.name]["mistake"])), exercise.said
            assert "Not yet: " in told, f"{exercise.name}: the mistake passes"
            assert NUMBER.sub("#", told) == NUMBER.sub("#", written), f"{exercise.name}: {told}"
            for found, given in zip(NUMBER.findall(told), NUMBER.findall(written), strict=True):
                assert given == "…" or float(found) == pytest.approx(float(given), rel=0.02), f"{exercise.name}: {told}"

    def test_every_check_gives_a_hint(self, path):
        """Beside what is off: what to think of."""
        for name, said in answered(path).items():
            for line in verdicts(said["stub"]):
                assert len(line.removeprefix(DOTS)) > 10, f"{name}: {line}"

    def test_what_is_stored_is_what_is_said(self, path):
        """The notebook as it is shipped has the dots, and shows what the check says to them."""
        for exercise in course.exercises(course.read(path)):
            outputs = [output for cell in exercise.cells["check"] for output in cell["outputs"]]
            stored = "".join("".join(output.get("text", "")) for output in outputs)
            assert verdicts(stored) == verdicts(answered(path)[exercise.name]["stub"])
