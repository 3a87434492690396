"""The fine-tuning notebooks: folded solutions of exercises are right, likely mistakes are not; the fast pace."""

import importlib
import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from test_pretraining_notebook import SOLUTION, STUB

from unispeech_lab import pace

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
COUNTS = [pd.DataFrame(rows) for rows in ([[3, 1, 0], [0, 4, 0], [2, 0, 2]], [[1, 0], [2, 5]])]

LIKELY = {  # what a reader may well write first
    "collapsed": """
from itertools import groupby


def collapsed(frames, blank):  # blanks dropped before repeats are merged: "aa" becomes "a"
    return [label for label, _ in groupby(frame for frame in frames if frame != blank)]
""",
    "distance": """
def distance(said, heard):  # place by place: one phone left out spoils all after it
    return sum(a != b for a, b in zip(said, heard)) + abs(len(said) - len(heard))
""",
    "accuracy": """
def accuracy(table):  # the mean over classes, whatever their number
    counts = table.to_numpy()
    return (counts.diagonal() / counts.sum(axis=1)).mean()
""",
    "pooled": """
def pooled(states, speech):  # padding counts
    return states.mean(0)
""",
}


def exercises(name):
    """Of one notebook, exercise by exercise: the function's name, its cell, the cell that checks it, a solution."""
    cells = json.loads((NOTEBOOKS / name).read_text())["cells"]
    texts = ["".join(cell["source"]) for cell in cells]
    solutions = [found[1] for text in texts if (found := SOLUTION.search(text))]
    for k, text in enumerate(texts):
        if found := STUB.search(text):
            (solution,) = [solution for solution in solutions if f"def {found[1]}(" in solution]
            yield found[1], text, texts[k + 1], solution


def said_of(stub, check, answer, capsys) -> str:
    """What the notebook's check says of an answer in the place of the dots."""
    right, found = (counts.to_numpy().trace() / counts.to_numpy().sum() for counts in COUNTS)
    names = {"table": COUNTS[0], "right": right, "found": found, "sorter": None, "unheard": None}
    names["finetune"] = SimpleNamespace(confusion=lambda model, speech: COUNTS[1])
    exec("from unispeech_lab.exercises import check\nfrom unispeech_lab.ctc import collapse", names)
    exec(STUB.sub(lambda _: answer, stub) if answer else stub, names)
    exec(check, names)
    return capsys.readouterr().out


CASES = [case for name in ("08_finetune_asr.ipynb", "09_finetune_classification.ipynb") for case in exercises(name)]


def test_every_exercise_is_here():
    assert [name for name, *_ in CASES] == list(LIKELY)


@pytest.mark.parametrize(("name", "stub", "check", "solution"), CASES, ids=[name for name, *_ in CASES])
def test_the_solution_is_right_and_a_likely_mistake_is_not(name, stub, check, solution, capsys):
    assert said_of(stub, check, solution, capsys) == "Right.\n"
    assert said_of(stub, check, LIKELY[name], capsys).startswith("Not yet: ")
    assert said_of(stub, check, "", capsys) == "Not yet: the dots stand for what is to be written.\n"


def test_a_tenth_of_the_steps_in_a_hurry(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setenv("UNISPEECH_LAB_FAST", "1")
        assert importlib.reload(pace).FAST and [pace.steps(n) for n in (120, 30, 5)] == [12, 3, 1]
        patched.setenv("UNISPEECH_LAB_FAST", "0")
        assert not importlib.reload(pace).FAST and pace.steps(120) == 120
    importlib.reload(pace)
