"""The check of exercises: what a reader may write, and what it says."""

import numpy as np
import pytest
import torch

from unispeech_lab import exercises
from unispeech_lab.exercises import check, seal, sealed


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: 0.4, "Right."),
        (lambda: torch.tensor(0.4005), "Right."),
        (lambda: 0.5, "Not yet: off by 0.1. Think."),
        (lambda: float("nan"), "Not yet: off by nan. Think."),
        (lambda: [0.4, 0.4], "Not yet: expected one number, found numbers of shape (2,). Think."),
        (lambda: 1 / 0, "Not yet: ZeroDivisionError: division by zero. Think."),
    ],
)
def test_says_what_is_wrong(answer, said, capsys):
    check(answer, 0.4, hint="Think.")
    assert capsys.readouterr().out == said + "\n"


def test_nothing_written_yet_is_not_yet(capsys):
    check(lambda: ..., 0.4)
    assert capsys.readouterr().out == "Not yet: the dots stand for what is to be written.\n"


def test_every_number_must_be_near(capsys):
    check(lambda: np.array([1.0, 2.0]), [1.0, 2.2], within=0.1)
    check(lambda: np.array([1.0, 2.0]), [1.0, 2.2], within=0.3)
    check(lambda: [400, 81], [400, 1.0], unit="samples")
    check(lambda: 2, 1, unit="frames")
    check(lambda: 2, 1, unit="ms")
    said = ["Not yet: off by 0.2, 1 of 2 right.", "Right.", "Not yet: off by 80 samples, 1 of 2 right."]
    said += ["Not yet: off by 1 frame.", "Not yet: off by 1 ms."]
    assert capsys.readouterr().out.splitlines() == said


def test_words(capsys):
    right = ["cat", "mouse", "rat"]
    for answer in (right, ["cat", "rat", "mouse"], ["cat", "mouse", ...], "cat", np.array(right)):
        check(lambda answer=answer: answer, right, hint="Look.")
    assert capsys.readouterr().out.splitlines() == [
        "Right.",
        "Not yet: 1 of 3 right. Look.",
        "Not yet: the dots stand for what is to be written. Look.",
        "Not yet: expected words of shape (3,), found one word. Look.",
        "Right.",
    ]
    check(lambda: "cat", "cat")
    check(lambda: ..., "cat")
    assert capsys.readouterr().out == "Right.\nNot yet: the dots stand for what is to be written.\n"


def test_words_under_seal(capsys):
    words = ["wrong", "right", "wrong"]
    for answer in (
        words,
        ["wrong", "right", "right"],
        ["wrong", "right", ...],
        "wrong",
        np.array(words),
        1 / np.ones(3),
    ):
        check(lambda answer=answer: answer, sealed(seal(words)), hint="Look.")
    assert capsys.readouterr().out.splitlines() == [
        "Right.",
        "Not yet: 2 of 3 right. Look.",
        "Not yet: the dots stand for what is to be written. Look.",
        "Not yet: expected words of shape (3,), found one word. Look.",
        "Right.",
        "Not yet: 0 of 3 right. Look.",
    ]


def test_a_seal_shows_neither_words_nor_which_are_equal():
    made = seal(["wrong", "right", "wrong"])
    assert made == seal(["wrong", "right", "wrong"]) and len(set(made.split())) == 3
    assert "wrong" not in made and not set(made.split()) & set(seal(["right", "wrong", "right"]).split())


def test_the_examples_of_the_module_say_what_they_say(capsys):
    check(lambda: ["wrong", "wrong"], sealed("1301149f 32c41a74"), hint="An interval is about a mean.")
    assert capsys.readouterr().out in exercises.__doc__
    check(lambda: ["wrong", "right"], sealed("1301149f 32c41a74"))
    assert capsys.readouterr().out == "Right.\n"
