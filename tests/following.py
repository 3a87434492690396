"""Following: a how-to page's boxes are run to the letter, in a copy of the repository.

    python following.py COPY PAGE...            a line of JSON for each box: page, box, output, error

A box with a file's name is written to that file (``diff``: its lines that begin with ``-`` are replaced there by those
with ``+``), ``python`` is run, box after box in one namespace, ``sh`` is run line by line; ``console`` is not run.

The libraries are imported once, here; each page, and each line that starts Python, is a fork of this process. Nothing
of ``unispeech_lab`` is imported before the fork, so that a page's own files are found.
"""

import contextlib
import io
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
import traceback
from pathlib import Path

BOX = re.compile(r"^```(?:\{code-block\} )?(\w+)\n(?::caption: (\S+)\n\n)?(.*?)^```$", re.M | re.S)
PYTHON = {
    "python": [],
    "unispeech-lab": ["-m", "unispeech_lab.cli"],
    "accelerate": ["-m", "accelerate.commands.accelerate_cli"],
}


def boxes(page: str) -> list[tuple[str, str, str]]:
    """Language, file, text of each box of a page."""
    return BOX.findall(page)


def follow(folder: Path, text: str, into: Path) -> None:
    """Run a page's boxes; one line of JSON for each box that was reached."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = str(folder)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    os.environ["PYTEST_ADDOPTS"] = "-W ignore::pytest.PytestAssertRewriteWarning"  # of libraries imported before
    names = {"__name__": "__main__"}
    with into.open("a") as told:
        for number, (language, file, code) in enumerate(boxes(text), 1):
            said, error, began = io.StringIO(), "", sum(os.times()[:4])
            try:
                with contextlib.redirect_stdout(said):
                    one(language, file, code, names, said)
            except BaseException:  # a SystemExit is an error here as well
                error = traceback.format_exc()
            told.write(
                json.dumps(
                    {
                        "box": number,
                        "code": code,
                        "said": said.getvalue(),
                        "error": error,
                        "cpu": sum(os.times()[:4]) - began,
                    }
                )
                + "\n"
            )
            told.flush()
            if error:
                return


def one(language: str, file: str, code: str, names: dict, said: io.StringIO) -> None:
    if file and language == "diff":
        old, new = (
            "".join(line[1:] for line in code.splitlines(keepends=True) if line[0] == sign) for sign in ("-", "+")
        )
        written = Path(file).read_text(encoding="utf-8")
        assert written.count(old) == 1, f"expected these lines once in {file}:\n{old}"
        Path(file).write_text(written.replace(old, new), encoding="utf-8")
    elif file:
        assert not Path(file).exists(), f"{file} is there already"
        Path(file).write_text(code, encoding="utf-8")
    elif language == "python":
        exec(compile(code, "box", "exec"), names)
    elif language == "sh":
        for line in code.strip().splitlines():
            said.write(f"$ {line}\n{shell(line)}")


def shell(line: str) -> str:
    """What a line says; a line that starts Python, and nothing else, runs in a fork."""
    words = shlex.split(line)
    if words[0] in PYTHON and not {"|", "||", "&&", ">", "&"} & set(words):
        code, said = forked(PYTHON[words[0]] + words[1:])
    else:
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=300)
        code, said = done.returncode, done.stdout + done.stderr
    if code:
        raise RuntimeError(f"{line}\nended with {code}:\n{said}")
    return said


def forked(arguments: list[str]) -> tuple[int, str]:
    """``python -m module ...`` in a child that has the libraries already, and none of this page's modules."""
    assert arguments[0] == "-m", f"expected python -m ..., found {arguments}"
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writing, 1), os.dup2(writing, 2), os.close(reading)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        code = 1
        try:
            for name in [name for name in sys.modules if name.split(".")[0] in ("unispeech_lab", "tests")]:
                del sys.modules[name]
            sys.argv = ["", *arguments[2:]]
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
    os.close(writing)
    with open(reading) as pipe:
        said = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said


def main(pairs: list[str]) -> None:
    """``COPY=PAGE=RESULT`` each; first what a page's readers have already is put into its copy (see ``brought``)."""
    import accelerate.commands.launch  # noqa: F401
    import brought
    import librosa  # noqa: F401
    import matplotlib.figure  # noqa: F401
    import pandas  # noqa: F401
    import pytest  # noqa: F401
    import scipy.signal  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    import torch
    import transformers  # noqa: F401
    from transformers import PreTrainedModel, Wav2Vec2FeatureExtractor  # noqa: F401

    torch.set_num_threads(1)  # threads do not survive a fork
    for pair in pairs:
        folder, page, result = map(Path, pair.split("="))
        if page.stem in brought.TO:
            in_child(brought.TO[page.stem], folder)
        in_child(follow, folder, page.read_text(encoding="utf-8"), result)


def in_child(function, *given) -> None:
    """A function in a fork of its own, which leaves no module behind. Raises RuntimeError if it did not end well."""
    child = os.fork()
    if not child:
        try:
            function(*given)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise RuntimeError(f"{function.__name__} ended with {code}")


if __name__ == "__main__":
    main(sys.argv[1:])
