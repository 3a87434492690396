"""Exercises: an answer held against the right one, in words, never with an exception.

>>> check(lambda: hidden(0.5), 0.4, within=0.01, hint="A frame stays visible if no span covers it.")
Not yet: off by 0.21. A frame stays visible if no span covers it.
>>> check(lambda: [field(10), field(3)], [400, 80], hint="By how much does one more tap reach?", unit="samples")
Not yet: off by 80 samples, 1 of 2 right. By how much does one more tap reach?

What is right should not be read beside the question. Where the library has it, hold against the library; words that
nothing computes stand sealed, as what ``seal(["wrong", "right"])`` says:

>>> check(lambda: ["wrong", "wrong"], sealed("1301149f 32c41a74"), hint="An interval is about a mean.")
Not yet: 1 of 2 right. An interval is about a mean.
"""

from collections.abc import Callable, Iterable
from hashlib import sha256

import numpy as np


def check(answer: Callable, right, within: float = 1e-3, hint: str = "", unit: str = "") -> None:
    """Print whether ``answer()`` is right, one by one; what goes wrong on the way is said, not raised.

    Args:
        answer: a function without arguments, so that a mistake in it can be told.
        right: a number, a word, an array of either, or words ``sealed``.
        within: how far off each number may be.
        hint: what to print beside "not yet".
        unit: of the numbers: "samples", "ms".
    """
    print("Right." if (wrong := mistake(answer, right, within, unit)) is None else f"Not yet: {wrong} {hint}".rstrip())


def mistake(answer: Callable, right, within: float, unit: str = "") -> str | None:
    """What is wrong with an answer, as a sentence; None if nothing is."""
    words = isinstance(right, Sealed) or np.asarray(right).dtype.kind == "U"
    expected = np.asarray(right, object if words else float)
    try:
        found = np.asarray(answer(), expected.dtype)
    except Exception as error:  # whatever a reader writes, the notebook goes on
        if "ellipsis" in str(error):
            return "the dots stand for what is to be written."
        return f"{type(error).__name__}: {error}."
    if found.shape != expected.shape:
        return f"expected {numbers(expected)}, found {numbers(found)}."
    if words:
        return words_mistake(found, expected, isinstance(right, Sealed))
    off = np.abs(found - expected)
    if (worst := off.max(initial=0.0)) <= within:
        return None
    others = f", {int((off <= within).sum())} of {off.size} right" if off.size > 1 else ""
    figure = f"{worst:.0f}" if 100 <= worst < np.inf else f"{worst:.3g}"
    unit = unit.removesuffix("s") if figure == "1" and unit != "ms" else unit
    return f"off by {figure}{' ' * bool(unit)}{unit}{others}."


def words_mistake(found: np.ndarray, expected: np.ndarray, digests: bool = False) -> str | None:
    if any(word is ... for word in found.flat):
        return "the dots stand for what is to be written."
    found = np.array(seal(found).split(), object) if digests else found
    right = int(np.sum(found == expected))
    return None if right == expected.size else f"{right} of {expected.size} right."


class Sealed(tuple):
    """Digests of words, in order."""


def sealed(digests: str) -> Sealed:
    """Words that are right, as ``seal`` wrote them: who reads the check does not read the answer."""
    return Sealed(digests.split())


def seal(words: Iterable[str]) -> str:
    """What to write into ``sealed`` for these words: eight hexadecimal digits each, others at each place."""
    return " ".join(sha256(f"{place} {word}".encode()).hexdigest()[:8] for place, word in enumerate(words))


def numbers(array: np.ndarray) -> str:
    what = "word" if array.dtype == object else "number"
    return f"one {what}" if array.ndim == 0 else f"{what}s of shape {array.shape}"
