"""The course, written out: student copies without solutions, teacher copies with them in place, from the notebooks.

An exercise is a run of cells, each with one tag (``metadata.tags``), in this order; cells in between prepare it:

    exercise   the question; ``metadata.name`` is the exercise's name
    answer     what is left open, with dots, and nothing else
    check      holds the answer against the right one, and says what is off; there may be several. The right one is
               computed by the library (``answers.py`` has the rest) or ``sealed``, never spelt out: students see it
    solution   folded; its one block of Python takes the answer's place
    mistake    folded; a typical wrong answer, and after ``> `` what the check says to it

``navigation`` tags the line that leads to the notebooks before and after, ``caveat`` what a notebook does not show,
``reached`` the code cell whose picture stands in the promise.
"""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from unispeech_lab import paths

PARTS = ("exercise", "answer", "check", "solution", "mistake")
BLOCK = re.compile(r"```python\n(.*?)```", re.S)
OUTSIDE = re.compile(r"\]\(\.\./([^)#]+)")  # a link that leaves the folder of the notebooks
SECONDS = 10  # to look at a cell of code, or at a picture


@dataclass
class Exercise:
    """One exercise: its name, and its cells by their part (``PARTS``); of checks there may be several."""

    name: str
    cells: dict[str, list[dict]]

    @property
    def stub(self) -> str:
        """The code of the answer cell as the reader finds it."""
        return source(self.cells["answer"][0])

    @property
    def solution(self) -> str:
        return python(self.cells["solution"][0])

    @property
    def mistake(self) -> str:
        return python(self.cells["mistake"][0])

    @property
    def said(self) -> str:
        """What the check says to the mistake, as it is written there."""
        return "\n".join(re.findall(r"^> (.*)$", source(self.cells["mistake"][0]), re.M))


def read(path: str | PathLike) -> dict:
    """A notebook as nbformat 4 has it."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def written(notebook: dict) -> str:
    """The text of a notebook's file, as nbformat writes it."""
    return json.dumps(notebook, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def notebooks(folder: str | PathLike | None = None) -> list[Path]:
    """The notebooks of the course in order; those shipped if no folder is given."""
    return sorted(Path(folder or paths.notebooks_dir()).glob("*.ipynb"))


def source(cell: dict) -> str:
    return "".join(cell["source"])


def tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def part(cell: dict) -> str | None:
    """Which part of an exercise a cell is; None if of none."""
    return next((tag for tag in tags(cell) if tag in PARTS), None)


def python(cell: dict) -> str:
    """The one block of Python in a cell of words. Raises ValueError where there is none, or more."""
    blocks = BLOCK.findall(source(cell))
    if len(blocks) != 1:
        raise ValueError(f"expected one block ```python in {cell['id']}, found {len(blocks)}")
    return blocks[0]


def exercises(notebook: dict) -> Iterator[Exercise]:
    """The exercises of a notebook in order. Raises ValueError for a part that is missing, or not in its place."""
    found: list[Exercise] = []
    for cell in notebook["cells"]:
        kind = part(cell)
        if kind == "exercise":
            found.append(Exercise(cell["metadata"].get("name", ""), {name: [] for name in PARTS}))
        if kind is None:
            continue
        if not found or any(found[-1].cells[later] for later in PARTS[PARTS.index(kind) + 1 :]):
            order = ", ".join(PARTS)
            raise ValueError(
                f"expected the parts of an exercise as {order}; found {kind} too late, in cell {cell['id']}"
            )
        found[-1].cells[kind].append(cell)
    for exercise in found:
        counts = {kind: len(cells) for kind, cells in exercise.cells.items()}
        if not exercise.name or counts != dict.fromkeys(PARTS, 1) | {"check": max(counts["check"], 1)}:
            raise ValueError(f"expected a name and one cell a part, several of check; {exercise.name!r} has {counts}")
    return iter(found)


def title(notebook: dict) -> str:
    return source(notebook["cells"][0]).partition("\n")[0].removeprefix("# ")


def promise(notebook: dict) -> str:
    """The paragraph under the title."""
    return source(notebook["cells"][0]).split("\n\n")[1]


def minutes(notebook: dict) -> float:
    """How long it takes to read: 200 words a minute, ten seconds a cell of code or a picture; solutions left out."""
    cells = [cell for cell in notebook["cells"] if part(cell) not in ("solution", "mistake")]
    said = [word for cell in cells if cell["cell_type"] == "markdown" for word in source(cell).split()]
    words = sum(any(letter.isalpha() for letter in word) for word in said)
    pictures = sum("image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", []))
    return words / 200 + SECONDS / 60 * (sum(cell["cell_type"] == "code" for cell in cells) + pictures)


def navigation(path: Path, course: list[Path]) -> str:
    """The last line of a notebook: where one comes from, where one goes."""
    k = course.index(path)
    ways = [("Previous", course[k - 1] if k else None), ("Next", course[k + 1] if k + 1 < len(course) else None)]
    return " · ".join(f"{way}: [{there.stem}]({there.name})" for way, there in ways if there)


# --- copies --------------------------------------------------------------------------------------------------------


def student(notebook: dict) -> dict:
    """A copy to be filled in: no solutions, no mistakes, nothing printed in the exercises; pictures stay."""
    made = deepcopy(notebook)
    made["cells"] = [empty(cell) for cell in made["cells"] if part(cell) not in ("solution", "mistake")]
    return led_inside(made)


def teacher(notebook: dict) -> dict:
    """A copy with the solutions in place, and unfolded beneath each: why, a typical mistake, what the check says."""
    made = deepcopy(notebook)
    for exercise in exercises(made):
        exercise.cells["answer"][0]["source"] = exercise.solution.rstrip("\n")
        why, mistake = exercise.cells["solution"][0], exercise.cells["mistake"][0]
        words = BLOCK.sub("", unfolded(why)).strip()
        why["source"] = f"**For the teacher.** {words}" if words else ""
        mistake["source"] = f"**A typical mistake**, and what the check says to it:\n\n{unfolded(mistake)}"
    made["cells"] = [empty(cell) for cell in made["cells"] if source(cell)]
    return led_inside(made)


def unfolded(cell: dict) -> str:
    return re.sub(r"</?details>|<summary>.*?</summary>", "", source(cell)).strip()


def empty(cell: dict) -> dict:
    """The cell; without what was printed, if it belongs to an exercise."""
    return cell | {"outputs": [], "execution_count": None} if part(cell) in ("answer", "check") else cell


def led_inside(notebook: dict) -> dict:
    """The notebook with links out of its folder led to the copies in ``source/``, beside it."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = OUTSIDE.sub(r"](source/\1", source(cell))
    return notebook


# --- the folder ----------------------------------------------------------------------------------------------------


def build(out: str | PathLike, force: bool = False) -> list[Path]:
    """Write ``student/`` and ``teacher/``, each whole: notebooks, index, and in ``source/`` what they link to.

    Either may be handed out by itself. The same notebooks make the same bytes. A file that is there and differs is
    somebody's work.

    Returns:
        What was written.

    Raises:
        FileExistsError: there is such a file or a link to nowhere, and ``force`` is False; or a folder is in a file's
            place, a file in a folder's. Then nothing at all is written.
    """
    out, course = Path(out), {path: read(path) for path in notebooks()}
    files: dict[Path, bytes] = {}
    links = sorted({link for notebook in course.values() for link in outside(notebook)})
    sources = {name: text for link in links for name, text in linked(link)}
    for folder, copy in (("student", student), ("teacher", teacher)):
        for path, notebook in course.items():
            files[Path(folder, path.name)] = written(copy(notebook)).encode()
        for picture in sorted((paths.notebooks_dir() / "pictures").glob("*.png")):
            files[Path(folder, "pictures", picture.name)] = picture.read_bytes()
        files[Path(folder, "index.ipynb")] = written(index(course, folder)).encode()
        files |= {Path(folder, "source", name): text for name, text in sources.items()}
    folders = {folder for name in files for folder in name.parents}
    blocked = [name for name in files if (out / name).is_dir()]
    blocked += [name for name in sorted(folders) if is_something(out / name) and not (out / name).is_dir()]
    if blocked:
        wanted, found = ("a folder", "a file or a link to nowhere") if blocked[0] in folders else ("a file", "a folder")
        raise FileExistsError(f"{out / blocked[0]}: expected room for {wanted}, found {found}: move it away")
    there = [name for name in files if is_something(out / name)]
    differing = [name for name in there if not (out / name).exists() or (out / name).read_bytes() != files[name]]
    if differing and not force:
        raise FileExistsError(
            f"expected nothing but this course's own files in {out}, found {len(differing)} that differ, "
            f"{differing[0]} first: somebody has worked there. Choose another folder, or write over it with --force"
        )
    for name, text in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        if (out / name).is_symlink():
            (out / name).unlink()  # or what it leads to, somewhere else, would be written over
        (out / name).write_bytes(text)
    return [out / name for name in files]


def is_something(place: Path) -> bool:
    """Whether something is there, be it a link to nowhere."""
    return place.is_symlink() or place.exists()


def outside(notebook: dict) -> set[str]:
    """What the words of a notebook link to outside its folder, from the folder above."""
    return {
        link for cell in notebook["cells"] if cell["cell_type"] == "markdown" for link in OUTSIDE.findall(source(cell))
    }


def linked(link: str) -> Iterator[tuple[str, bytes]]:
    """The file of a link, or the text files of its folder, by name and content; nothing if no wheel has it."""
    room, _, rest = link.partition("/")
    rooms = {"unispeech_lab": paths.PACKAGE, "data": paths.data_dir(), "experiments": paths.experiments()}
    whole = (rooms | {"CONTRIBUTING.md": paths.contributing()}).get(room, paths.PACKAGE.parent / room) / rest
    if whole.is_file():
        yield link, whole.read_bytes()
    elif whole.is_dir():
        for file in sorted(file for file in whole.iterdir() if file.suffix in (".py", ".md", ".json")):
            yield f"{link}/{file.name}", file.read_bytes()


def index(course: dict[Path, dict], folder: str) -> dict:
    """The page to begin with: every notebook with its promise, its time and the number of its exercises."""
    rows = [
        f"| [{path.stem[:2]}]({path.name}) | **{title(notebook)}.** {promise(notebook)} | "
        f"{minutes(notebook):.0f}\u00a0min | {length(notebook)} | {len(list(exercises(notebook)))} |"
        for path, notebook in course.items()
    ]
    whole = sum(map(minutes, course.values()))
    count = sum(len(list(exercises(notebook))) for notebook in course.values())
    how = {
        "student": "Where a cell says `...`, write what is missing and run it: the cell beneath says whether it is "
        "right, and if it is not, by how much.",
        "teacher": "The solutions are in the cells; beneath each, why, and what the check says to a typical mistake.",
    }[folder]
    text = (
        f"# The course\n\nFrom the first sample to a representation you can argue about, in {len(course)} notebooks, "
        f"{whole / 60:.1f} hours to read. {how} Each notebook stands alone, runs from top to bottom without a network, "
        f"and leads to the next.\n\n| | what you will do | to read | to run | exercises |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
        + "\n\n*To read*: 200 words a minute, ten seconds a cell or picture; the exercises are not in it. Allow ten "
        f"minutes for each, {count / 6:.0f} hours for all {count}. *To run*: all cells, on two cores, without GPU.\n\n"
        "*Needed*: this folder, which stands by itself, and UniSpeech Lab, installed with what makes speech "
        "(`pip install -c constraints.txt '.[speech]'` where its source lies; Python 3.11 or newer). Then, in a "
        "terminal here, `unispeech-lab lab .` opens this page."
    )
    cell = {"cell_type": "markdown", "id": "index", "metadata": {}, "source": text}
    kernel = {"kernelspec": next(iter(course.values()))["metadata"]["kernelspec"]}
    return {"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}


def length(notebook: dict) -> str:
    """How long all cells take, in words, by the processor seconds in its metadata; "–" if nobody measured."""
    seconds = notebook["metadata"].get("course", {}).get("seconds")
    if seconds is None:
        return "–"
    return "under a minute" if seconds < 60 else f"{seconds / 60:.0f}\u00a0min"
