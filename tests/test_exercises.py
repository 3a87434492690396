"""The check of exercises: what a reader may write, and what it says."""

import numpy as np
import pytest
import torch

from unispeech_lab.exercises import check


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
