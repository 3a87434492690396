"""The exercises of the course: every folded solution is right, a typical wrong answer is caught and told why."""

import json
import re
from functools import cache
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
SOLUTION = re.compile(r"<details>.*?```python\n(.*?)```", re.S)
STUB = re.compile(r"^def (\w+)\(.*\):\n    return \.\.\..*\n?", re.M)

# What people write at first, by notebook and exercise, and what they are then told.
WRONG = {
    "01_frontend": {
        "receptive_field": (
            "def receptive_field(kernels, strides):\n    hop = field = 1\n    for k, s in zip(kernels, strides):\n"
            "        hop *= s\n        field += (k - 1) * hop\n    return field\n",
            "off by 426",
        ),
        "count": ("def count(samples):\n    return samples // 320\n", "off by 1"),
        "middle": ("def middle(phone):\n    return int((phone.start + phone.end) / 2 / 0.02)\n", "off by 1"),
    },
    "02_encoder": {
        "attend": ("def attend(q, k):\n    return torch.softmax(q @ k.T, dim=-1)\n", "What tames the product?"),
        "reach": (
            "def reach(pattern):\n    at = torch.arange(len(pattern)).numpy()\n"
            "    return 20 * (pattern * abs(at[:, None] - at)).sum()\n",
            "off by",
        ),
        "parameters": (
            "def parameters(d, f):\n    return 4 * d * d + 2 * d * f + 4 * d\n",
            "Every matrix here has a bias.",
        ),
    },
    "07_look_inside": {
        "silence": (
            "def silence(pattern, head):\n    pattern = pattern.clone()\n    pattern[:, :, head] = 0\n"
            "    return pattern\n",
            "Which axis is the head?",
        ),
        "pooled": (
            "def pooled(pattern, groups):\n    member = (groups[:, None] == range(groups.max() + 1)).astype(float)\n"
            "    member /= member.sum(0)\n    return member.T @ pattern @ member\n",
            "Rows must still sum to one.",
        ),
        "taken": (
            "def taken(count, into, out_of):\n    frames = list(range(count))\n"
            "    for k, frame in enumerate(into):\n        frames[frame] = out_of.start + len(out_of) - 1 - k\n"
            "    return frames\n",
            "The k-th of n frames",
        ),
    },
    "03_quantizer": {
        "perplexity": (
            "def perplexity(counts):\n    p = counts[counts > 0] / counts.sum()\n"
            "    return np.exp(-(p * np.log2(p)).sum())\n",
            "off by",
        ),
        "draw": ("def draw(logits, u):\n    return (logits + u).argmax(1)\n", "Gumbel noise is -log(-log u)."),
        "purity": (
            "def purity(codes, phones):\n    return max(map(codes.count, set(codes))) / len(codes)\n",
            "off by",
        ),
    },
}


@cache
def cells(name: str) -> tuple[list[str], dict[str, str]]:
    """The code of a notebook, pictures left out, and its solutions by the function that they define."""
    whole = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in whole if cell["cell_type"] == "code"]
    folded = [SOLUTION.search("".join(cell["source"])) for cell in whole if cell["cell_type"] == "markdown"]
    solutions = {re.search(r"def (\w+)", found[1])[1]: found[1] for found in folded if found}
    return [text for text in code if not re.search(r"explore\(|explorer\b|patched\[", text)], solutions


def run(name: str, answers: dict[str, str]) -> None:
    """The notebook from top to bottom with answers in the place of the dots."""
    names: dict = {}
    for source in cells(name)[0]:
        if found := STUB.search(source):
            source = STUB.sub(lambda _, answer=answers[found[1]]: answer, source)
        exec(source, names)


@pytest.mark.parametrize("name", WRONG)
def test_three_exercises_with_a_solution_each(name):
    code, solutions = cells(name)
    stubs = [found[1] for text in code if (found := STUB.search(text))]
    assert len(stubs) >= 3 and set(stubs) == set(solutions) == set(WRONG[name])


@pytest.mark.parametrize("name", WRONG)
def test_solutions_are_right(name, capsys):
    run(name, cells(name)[1])
    said = capsys.readouterr().out
    assert said.count("Right.\n") == len(cells(name)[1]) and "Not yet" not in said


@pytest.mark.parametrize("name", WRONG)
def test_typical_mistakes_are_caught(name, capsys):
    run(name, {exercise: answer for exercise, (answer, _) in WRONG[name].items()})
    told = re.findall(r"^(Right\.|Not yet: .*)$", capsys.readouterr().out, re.M)
    assert "Right." not in told
    for (exercise, (_, hint)), said in zip(WRONG[name].items(), told, strict=True):
        assert hint in said, f"{exercise}: {said}"
