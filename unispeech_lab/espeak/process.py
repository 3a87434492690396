"""Worker: a process in which espeak-ng speaks, seen from outside.

espeak-ng is not thread-safe (it crashes, or gives wrong labels without a word), so it never runs here: each worker is a
process that answers one request at a time.
"""

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

import numpy as np

SLOWEST, FASTEST = 80, 400  # words per minute: exact in between, wrong from 430 on


class EspeakError(RuntimeError):
    """espeak-ng could not do what was asked; the message says what, and what exists."""


@dataclass(frozen=True, slots=True)
class Speech:
    """What espeak-ng said: (n,) int16 ``samples`` at ``rate``, its events, and the phone names of each clause."""

    samples: np.ndarray
    rate: int
    events: list[list]  # [type, text position, length, sample, name]
    names: list[str]


class Worker:
    """A process of espeak-ng, for the length of a ``with``; safe to share between threads (they wait for each other).

    >>> with Worker() as worker:
    ...     speech = worker.speak("Good morning.", voice="gmw/en-US+f1", seed=7)
    """

    def __init__(self):
        if find_spec("espeakng_loader") is None:
            raise EspeakError("making speech needs espeak-ng, an optional extra: pip install 'unispeech-lab[speech]'")
        command = [sys.executable, str(Path(__file__).with_name("worker.py"))]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._lock = Lock()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):  # it may have died with a request half written
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def speak(self, text: str, voice: str, seed: int = 0, rate: int = 175, pitch: int = 50, volume: int = 50) -> Speech:
        """Say it: ``rate`` 80 to 400 words per minute, ``pitch`` 0 to 99, ``volume`` 0 to 100 (some clip at 100).

        The same arguments give the same samples, whatever was said before. Raises EspeakError for a voice that is not
        there (naming those that are), ValueError for a value out of range.
        """
        for name, value, low, high in (
            ("rate", rate, SLOWEST, FASTEST),
            ("pitch", pitch, 0, 99),
            ("volume", volume, 0, 100),
        ):
            if not low <= value <= high:
                raise ValueError(f"expected a {name} from {low} to {high}, found {value}")
        request = {"text": text, "voice": voice, "seed": seed, "rate": rate, "pitch": pitch, "volume": volume}
        reply, samples = self._ask(_clean(text), request)
        return Speech(np.frombuffer(samples, "<i2"), reply["rate"], reply["events"], reply["names"])

    def names(self, texts: list[str], voice: str) -> list[list[str]]:
        """The phones of each text, clause by clause, as espeak-ng writes them. Raises EspeakError as ``speak`` does."""
        for text in texts:
            _clean(text)
        return self._ask("", {"texts": texts, "voice": voice})[0]["names"]

    def voices(self) -> tuple[list[str], list[str]]:
        """The exact identifiers of the languages, and the names of the variants."""
        reply, _ = self._ask("", {})
        return reply["voices"], reply["variants"]

    def _ask(self, about: str, request: dict) -> tuple[dict, bytes]:
        with self._lock:
            try:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                pass  # it died: the empty answer says so
            line = self._process.stdout.readline()
            if not line:
                raise EspeakError(f"the espeak-ng process ended with code {self._process.wait()} on {about!r}")
            reply = json.loads(line)
            samples = self._process.stdout.read(reply["bytes"])
        if "error" in reply:
            raise EspeakError(reply["error"])
        return reply, samples


def _clean(text: str) -> str:
    """The text, if espeak-ng can be given it at all."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"expected text, found {text!r}: {error.reason}") from error
    if "\0" in text:
        raise ValueError(f"expected text without NUL characters, found {text!r}")
    return text
