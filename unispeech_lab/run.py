"""Run: the folder of a training run, in which whatever was begun can be read, compared or gone on with.

settings.json      what was asked for
metrics.jsonl      one JSON object a line: {"step": 10, "loss": 6.1, ...}
checkpoints/       00000500/ ...: all that the next step depends on, written whole or not at all
model/             the result, for ``load``

What a stop leaves half written bears the ending ``.part`` and is never read.
"""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path

import pandas as pd

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class Run:
    """A run's folder, made when it is not there.

    ``settings``: what to begin it with; None: look at what is there.

    Raises:
        ValueError: ``settings`` differ from those it was begun with (what only one of the two names is left open).
    """

    def __init__(self, folder: str | PathLike, settings: Mapping | None = None):
        self.folder = Path(folder)
        self.metrics = self.folder / "metrics.jsonl"
        if settings is not None:
            self._begin(json.loads(json.dumps(settings)))

    def _begin(self, settings: dict) -> None:
        file = self.folder / "settings.json"
        if file.is_file():
            before = self.settings
            other = sorted(name for name in {*before} & {*settings} if before[name] != settings[name])
            if other:
                told = "; ".join(f"{name} {before[name]!r}, now {settings[name]!r}" for name in other)
                raise ValueError(
                    f"{self.folder}: expected the settings it was begun with, found {told}: "
                    "give them again, or another folder"
                )
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(settings, indent=1, ensure_ascii=False) + "\n")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """A ``with`` in which nobody else trains here; the lock lies on settings.json, and ends with the process.

        Raises:
            ValueError: somebody does already. (Windows has no such locks: there nobody is kept out.)
        """
        with (self.folder / "settings.json").open("rb") as file:
            try:
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                raise ValueError(
                    f"{self.folder}: expected a run that nobody is at, found one that is being trained: wait for it, "
                    "stop it, or give another folder"
                ) from error
            yield

    @property
    def settings(self) -> dict:
        """What it was begun with. Raises FileNotFoundError where no run was begun, ValueError where it is damaged."""
        file = self.folder / "settings.json"
        if not file.is_file():
            raise FileNotFoundError(f"expected settings.json in {self.folder}, found none: give the folder of a run")
        try:
            said = json.loads(file.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            said = error
        if not isinstance(said, dict):
            raise ValueError(
                f"expected a JSON object of settings in {file}, found {str(said)[:60]!r}: give another folder, or "
                "delete that file to begin it anew"
            )
        return said

    @property
    def table(self) -> pd.DataFrame:
        """The metrics so far: a row a step, indexed by it; a line that a stop cut short is left out."""
        rows = [row for row in self.lines() if "event" not in row]
        return pd.DataFrame(rows).groupby("step").last() if rows else pd.DataFrame()

    @property
    def events(self) -> list[dict]:
        """What happened beside the numbers: utterances left out, steps without an update, checkpoints not written."""
        return [row for row in self.lines() if "event" in row]

    @property
    def step(self) -> int:
        """The last step that the metrics know, 0 before the first."""
        return max((row["step"] for row in self.lines()), default=0)

    @property
    def finished(self) -> bool:
        """Whether all steps were taken and the model is written."""
        return (self.folder / "model").is_dir()

    def lines(self) -> list[dict]:
        """Every whole line of the metrics."""
        if not self.metrics.is_file():
            return []
        found = []
        for line in self.metrics.read_bytes().split(b"\n"):  # not at what Unicode takes for the end of a line, too
            with suppress(ValueError, RecursionError):
                found.append(json.loads(line))
        return [row for row in found if isinstance(row, dict) and type(row.get("step")) is int]

    def log(self, **row) -> None:
        """Add a line to the metrics, whole or not at all. Raises OSError where there is no room for it."""
        line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
        with self.metrics.open("ab", buffering=0) as file:
            size = file.tell()
            if file.write(line) != len(line):
                file.truncate(size)
                raise OSError(f"{self.metrics}: expected room for a line, found none: the disk is full")

    def checkpoints(self) -> list[Path]:
        """The whole ones, the oldest first."""
        return sorted(p for p in (self.folder / "checkpoints").glob("[0-9]*") if p.name.isdigit() and p.is_dir())

    def rewind(self, step: int) -> None:
        """Forget metrics of steps after this one: they will be made again."""
        kept = [json.dumps(row, ensure_ascii=False) + "\n" for row in self.lines() if row["step"] <= step]
        write_whole(self.metrics, "".join(kept))

    def keep(self, number: int, best: int | None = None) -> None:
        """Delete all checkpoints but the last so many, and the best step's; also what a stop left half written."""
        for old in self.checkpoints()[:-number]:
            if int(old.name) != best:
                os.replace(old, part_of(old))  # half deleted, it is no checkpoint
        for part in (self.folder / "checkpoints").glob("*.part"):
            shutil.rmtree(part, ignore_errors=True)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}: step {self.step} of {self.settings.get('steps')})"


def part_of(path: Path) -> Path:
    """What a file or folder is called until it is whole."""
    return path.with_name(path.name + ".part")


def write_whole(file: Path, text: str) -> None:
    """Write a file so that at any moment it is the old one or the new one, never a part."""
    part = part_of(file)
    try:
        part.write_text(text, encoding="utf-8")
        synced(part)
        os.replace(part, file)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    synced(file.parent)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A folder to write into, that takes its name once all in it is on the disk; on an error nothing of it is left."""
    part = part_of(folder)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        for file in [*part.rglob("*"), part]:
            synced(file)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(part, folder)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    synced(folder.parent)


def synced(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    number = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
