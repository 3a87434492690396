"""``unispeech-lab course build``: student and teacher copies from one source, and nobody's work is lost."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from unispeech_lab import course
from unispeech_lab.cli import app
from unispeech_lab.lab import TOUR, prepare

NOTEBOOKS = course.notebooks(Path(__file__).parent.parent / "notebooks")


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("course")
    assert set(course.build(out)) == {path for path in out.rglob("*") if path.is_file()}
    return out


def sources(notebook: dict) -> list[str]:
    return [course.source(cell) for cell in notebook["cells"]]


def contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestCopies:
    def test_students_find_no_solution(self, built, path):
        given, copy = course.read(path), course.read(built / "student" / path.name)
        text = "\n".join(sources(copy))
        for exercise in course.exercises(given):
            assert exercise.solution not in text and exercise.mistake not in text and exercise.said not in text
            assert exercise.stub in sources(copy)
        assert not {"solution", "mistake"} & {course.part(cell) for cell in copy["cells"]} and "<details>" not in text

    def test_students_find_exercises_empty_and_pictures_kept(self, built, path):
        given, copy = course.read(path), course.read(built / "student" / path.name)
        for cell in copy["cells"]:
            assert course.part(cell) not in ("answer", "check") or not cell["outputs"]
        kept = {cell["id"]: cell.get("outputs") for cell in copy["cells"] if not course.part(cell)}
        assert kept == {cell["id"]: cell.get("outputs") for cell in given["cells"] if not course.part(cell)}

    def test_teachers_run_what_the_battery_ran(self, built, path):
        """Cell by cell the notebook, each answer its solution: what test_course_exercises.py finds right."""
        given, copy = course.read(path), course.read(built / "teacher" / path.name)
        solutions = {ex.cells["answer"][0]["id"]: ex.solution.rstrip("\n") for ex in course.exercises(given)}
        wanted = [solutions.get(c["id"], course.source(c)) for c in given["cells"] if c["cell_type"] == "code"]
        assert [course.source(c) for c in copy["cells"] if c["cell_type"] == "code"] == wanted
        assert len(solutions) >= 3 and "<details>" not in "\n".join(sources(copy))

    def test_teachers_read_the_mistake_and_its_hint(self, built, path):
        text = "\n".join(sources(course.read(built / "teacher" / path.name)))
        for exercise in course.exercises(course.read(path)):
            assert exercise.mistake in text and f"> {exercise.said}" in text

    def test_each_folder_stands_alone(self, built, path):
        """Where ``unispeech-lab lab`` serves it as the root: no link leaves it, each leads to something."""
        for folder in ("student", "teacher"):
            file = built / folder / path.name
            nbformat.validate(nbformat.read(file, as_version=4))
            words = [course.source(cell) for cell in course.read(file)["cells"] if cell["cell_type"] == "markdown"]
            for link in re.findall(r"\]\((?!#|https://)([^)\s]+)\)", "\n".join(words)):
                assert ".." not in Path(link).parts, f"{link} leaves {folder}/"
                assert (file.parent / link).exists(), f"{link} leads nowhere"


def test_the_same_notebooks_make_the_same_bytes(built, tmp_path):
    course.build(tmp_path / "again")
    assert contents(tmp_path / "again") == contents(built)


def test_the_index_has_order_promise_time_and_exercises(built):
    for folder in ("student", "teacher"):
        (text,) = sources(course.read(built / folder / "index.ipynb"))
        rows = re.findall(r"^\| \[(\d\d)\]\((.*?)\) \| (.*) \| (\d+)\s*min \| (.*) \| (\d+) \|$", text, re.M)
        assert [name for _, name, *_ in rows] == [path.name for path in NOTEBOOKS]
        for (_, name, said, minutes, _, count), path in zip(rows, NOTEBOOKS, strict=True):
            notebook = course.read(path)
            assert course.title(notebook) in said and course.promise(notebook).split(". ")[0][:40] in said, name
            assert 3 <= int(minutes) <= 15 and int(count) == len(list(course.exercises(notebook)))


def test_the_index_says_what_is_needed_and_how_long_exercises_take(built):
    (text,) = sources(course.read(built / "student" / "index.ipynb"))
    count = sum(len(list(course.exercises(course.read(path)))) for path in NOTEBOOKS)
    assert f"ten minutes for each, {count / 6:.0f} hours for all {count}" in text
    assert "'.[speech]'" in text and "stands by itself" in text and "`unispeech-lab lab .`" in text


def test_students_are_not_handed_the_answers(built):
    assert {path.name for path in built.iterdir()} == {"student", "teacher"}
    assert (built / "student" / "source" / "unispeech_lab" / "model.py").is_file()
    assert not list((built / "student").rglob("answers.py"))


def test_the_lab_opens_a_handed_out_folder_on_its_index_and_leaves_it_as_it_is(built, tmp_path):
    handed = tmp_path / "handed"
    shutil.copytree(built / "student", handed)
    (handed / NOTEBOOKS[0].name).unlink()
    before = contents(handed)
    assert prepare(handed) == (handed, "index.ipynb") and contents(handed) == before
    shutil.rmtree(handed / "source")  # an index of somebody else
    assert prepare(handed) == (handed, TOUR)


def test_work_is_never_written_over_unless_told(tmp_path):
    runner, out = CliRunner(), tmp_path / "out"
    made = runner.invoke(app, ["course", "build", str(out)])
    assert made.exit_code == 0 and "begin with index.ipynb; student/ may be handed out by itself" in made.output
    assert runner.invoke(app, ["course", "build", str(out)]).exit_code == 0  # nothing differs
    mine = out / "student" / NOTEBOOKS[0].name
    mine.write_text(mine.read_text().replace("return ...", "return 7"))
    (out / "student" / "notes.txt").write_text("mine")
    (out / "teacher" / NOTEBOOKS[0].name).unlink()
    refused = runner.invoke(app, ["course", "build", str(out)], env={"COLUMNS": "500"})
    said = re.sub(r"[\s│]+", " ", refused.output)
    assert refused.exit_code == 2 and "found 1 that differ" in said and f"student/{mine.name}" in said
    assert "--force" in said and "return 7" in mine.read_text()
    assert not (out / "teacher" / NOTEBOOKS[0].name).exists()  # not even what is missing
    assert runner.invoke(app, ["course", "build", str(out), "--force"]).exit_code == 0
    assert "return 7" not in mine.read_text() and (out / "student" / "notes.txt").read_text() == "mine"


def test_nothing_is_written_where_a_link_leads(tmp_path):
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere.ipynb"
    (out / "student").mkdir(parents=True)
    link = out / "student" / NOTEBOOKS[0].name
    link.symlink_to(elsewhere)
    with pytest.raises(FileExistsError, match=rf"found 1 that differ, student/{link.name} first"):
        course.build(out)
    assert not elsewhere.exists() and list(out.rglob("*.ipynb")) == [link]
    course.build(out, force=True)
    assert not elsewhere.exists() and link.is_file() and not link.is_symlink()


@pytest.mark.parametrize("force", [False, True])
def test_what_is_in_the_way_is_named(tmp_path, force):
    (tmp_path / "one" / "student" / NOTEBOOKS[0].name).mkdir(parents=True)
    with pytest.raises(FileExistsError, match=rf"{NOTEBOOKS[0].name}: expected room for a file, found a folder"):
        course.build(tmp_path / "one", force)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "teacher").write_text("mine")
    with pytest.raises(FileExistsError, match="teacher: expected room for a folder, found a file or a link"):
        course.build(tmp_path / "two", force)
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["teacher"]


class TestMarkers:
    """A notebook whose exercises are not as they should be is named, cell and all."""

    @pytest.fixture
    def notebook(self) -> dict:
        return course.read(NOTEBOOKS[1])

    def test_a_part_that_is_missing(self, notebook):
        notebook["cells"] = [cell for cell in notebook["cells"] if course.part(cell) != "mistake"]
        with pytest.raises(ValueError, match="one cell a part.*'receptive_field' has .*'mistake': 0"):
            course.exercises(notebook)

    def test_a_part_in_the_wrong_place(self, notebook):
        at = next(k for k, cell in enumerate(notebook["cells"]) if course.part(cell) == "answer")
        notebook["cells"][at : at + 2] = notebook["cells"][at : at + 2][::-1]
        with pytest.raises(
            ValueError, match="exercise, answer, check, solution, mistake; found answer too late, in cell .*answer"
        ):
            course.exercises(notebook)

    def test_a_solution_without_code(self, notebook):
        cell = next(cell for cell in notebook["cells"] if course.part(cell) == "solution")
        cell["source"] = "Think."
        with pytest.raises(ValueError, match="expected one block ```python in .*solution, found 0"):
            course.python(cell)

    def test_an_exercise_without_a_name(self, notebook):
        del next(cell for cell in notebook["cells"] if course.part(cell) == "exercise")["metadata"]["name"]
        with pytest.raises(ValueError, match="expected a name"):
            course.exercises(notebook)


def test_reading_takes_longer_with_more_to_read():
    words = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "word " * 200}
    seen = {"cell_type": "code", "id": "b", "metadata": {}, "source": "x", "outputs": [{"data": {"image/png": ""}}]}
    folded = words | {"metadata": {"tags": ["solution"]}}
    assert course.minutes({"cells": [words, folded]}) == 1
    assert course.minutes({"cells": [words, seen]}) == pytest.approx(1 + 20 / 60)


def test_a_link_to_what_is_not_shipped_stops_nothing():
    """A folder brings its text files."""
    assert list(course.linked("experiments/nowhere.md")) == []
    assert [name for name, _ in course.linked("CONTRIBUTING.md")] == ["CONTRIBUTING.md"]
    names = [name for name, _ in course.linked("unispeech_lab/ctc")]
    assert "unispeech_lab/ctc/__init__.py" in names and names == sorted(names)
