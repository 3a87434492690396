"""Run: the folder of a training run, in which whatever was begun can be read, compared or gone on with.

settings.json      what was asked for
metrics.jsonl      one JSON object a line: {"step": 10, "loss": 6.1, ...}
checkpoints/       000500/ ...: all that the next step depends on, written whole or not at all
model/             the result, for ``load``
"""

import json
import os
import shutil
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import pandas as pd


class Run:
    """A run's folder, made when it is not there.

    Raises:
        ValueError: ``settings`` differ from those it was begun with.
    """

    def __init__(self, folder: str | PathLike, settings: Mapping | None = None):
        self.folder = Path(folder)
        self.metrics = self.folder / "metrics.jsonl"
        if settings is not None:
            self._begin(json.loads(json.dumps(settings)))

    def _begin(self, settings: dict) -> None:
        file = self.folder / "settings.json"
        if file.is_file():
            before = json.loads(file.read_text(encoding="utf-8"))
            other = sorted(name for name in {**before, **settings} if before.get(name) != settings.get(name))
            if other:
                told = "; ".join(f"{name} {before.get(name)!r}, now {settings.get(name)!r}" for name in other)
                raise ValueError(
                    f"{self.folder}: expected the settings it was begun with, found {told}: "
                    "give them again, or another folder"
                )
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(settings, indent=1, ensure_ascii=False) + "\n")

    @property
    def settings(self) -> dict:
        return json.loads((self.folder / "settings.json").read_text(encoding="utf-8"))

    @property
    def table(self) -> pd.DataFrame:
        """The metrics so far: a row a line, indexed by step; a line that a stop cut short is left out."""
        rows = [row for row in self.lines() if "event" not in row]
        return pd.DataFrame(rows).groupby("step").last() if rows else pd.DataFrame()

    @property
    def events(self) -> list[dict]:
        """What happened beside the numbers: utterances left out, stops, resumes."""
        return [row for row in self.lines() if "event" in row]

    def lines(self) -> list[dict]:
        """Every whole line of the metrics."""
        if not self.metrics.is_file():
            return []
        found = []
        for line in self.metrics.read_text(encoding="utf-8").splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return found

    def log(self, **row) -> None:
        """Add a line to the metrics."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def checkpoints(self) -> list[Path]:
        """The whole ones, the oldest first."""
        return sorted(p for p in (self.folder / "checkpoints").glob("[0-9]*") if not p.suffix)

    def rewind(self, step: int) -> None:
        """Forget metrics of steps after this one: they will be made again."""
        kept = [json.dumps(row, ensure_ascii=False) + "\n" for row in self.lines() if row["step"] <= step]
        write_whole(self.metrics, "".join(kept))

    def keep(self, number: int) -> None:
        """Delete all checkpoints but the last so many, and what a stop left unfinished."""
        for old in self.checkpoints()[:-number]:
            shutil.rmtree(old)

    def __repr__(self) -> str:
        steps = self.table.index.max() if self.metrics.is_file() else 0
        return f"Run({str(self.folder)!r}: step {steps} of {self.settings.get('steps')})"


def write_whole(file: Path, text: str) -> None:
    """Write a file so that at any moment it is the old one or the new one, never a part."""
    part = file.with_name(file.name + ".part")
    with part.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(part, file)
