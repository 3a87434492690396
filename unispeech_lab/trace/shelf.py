"""Shelf: a folder that holds tensors by name, each in a safetensors file of its own.

    index.jsonl             one line a value, as it comes, then a closing line; a folder without one is unfinished
    layers.3.safetensors    the value, under the key "value"; the file's name is the value's, percent-encoded

Values are written as they appear and read when asked for: neither way holds more than one in memory. Nothing is
pickled.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

FORMAT = {"format": "unispeech-lab trace", "version": 1}
INDEX = "index.jsonl"


def facts(value: Tensor) -> dict:
    """What a table says of a tensor: shape, dtype, bytes, least, mean, greatest."""
    low = mean = high = math.nan
    if value.numel() and not value.is_complex():
        number = value.detach().to(torch.uint8) if value.dtype == torch.bool else value.detach()
        low, high, mean = number.min().item(), number.max().item(), number.mean(dtype=torch.float64).item()
    return {
        "shape": tuple(value.shape),
        "dtype": str(value.dtype).removeprefix("torch."),
        "bytes": value.numel() * value.element_size(),
        "min": low,
        "mean": mean,
        "max": high,
    }


class Shelf(Mapping):
    """A folder of tensors, used like a dict: ``Shelf(folder)`` starts an empty one, ``Shelf.open(folder)`` reads one.

    Values are put on it one by one, or all taken off.
    """

    def __init__(self, folder):
        """Raises FileExistsError when the folder already holds something: nothing is overwritten."""
        self.folder, self.lines = Path(folder), {}
        if self.folder.exists() and any(self.folder.iterdir()):
            raise FileExistsError(f"expected a new or empty folder, found files in {folder}: name another one")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write(FORMAT)

    @classmethod
    def open(cls, folder) -> tuple["Shelf", dict]:
        """The shelf in a folder, with what its closing line says; no value is read yet.

        Raises FileNotFoundError where no index is, ValueError for a foreign, unfinished or truncated folder.
        """
        shelf = cls.__new__(cls)
        shelf.folder, shelf.lines = Path(folder), {}
        if not (shelf.folder / INDEX).is_file():
            raise FileNotFoundError(
                f"expected a folder written by record(..., to=folder), found no {INDEX} in {folder}"
            )
        try:
            first, *lines = map(json.loads, (shelf.folder / INDEX).read_text(encoding="utf-8").splitlines())
            foreign = first != FORMAT
        except ValueError:
            first, lines, foreign = None, [], True
        if foreign:
            raise ValueError(f"{folder}: expected an index that begins with {FORMAT}, found something else")
        if not lines or "end" not in lines[-1]:
            raise ValueError(f"{folder}: the recording did not finish ({len(lines)} values are there): record it again")
        for line in lines[:-1]:
            shelf.lines[line["name"]] = line
        for name, line in shelf.lines.items():
            path = shelf._path(name)
            found = path.stat().st_size if path.is_file() else 0
            if found != line["size"]:
                raise ValueError(f"{path}: expected {line['size']} bytes, found {found}: truncated, record it again")
        return shelf, lines[-1]["end"]

    def close(self, end: dict) -> None:
        """Write the closing line: from here on the folder can be opened."""
        self._write({"end": end})

    def _write(self, line: dict) -> None:
        with open(self.folder / INDEX, "a", encoding="utf-8") as index:
            index.write(json.dumps(line) + "\n")

    def _path(self, name: str) -> Path:
        return self.folder / f"{quote(name, safe='')}.safetensors"

    def __setitem__(self, name: str, value: Tensor) -> None:
        path = self._path(name)
        part = path.with_suffix(".part")
        save_file({"value": value.detach().cpu().contiguous()}, part)
        os.replace(part, path)  # a file is there whole, or not at all
        self.lines.pop(name, None)
        self.lines[name] = {"name": name, "size": path.stat().st_size, **facts(value)}
        self._write(self.lines[name])

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.lines:
            raise KeyError(name)
        try:
            return load_file(self._path(name))["value"]
        except (SafetensorError, KeyError, OSError) as error:
            raise ValueError(f"{self._path(name)}: expected a safetensors file, found {error}") from error

    def clear(self) -> None:
        """Take every value off the shelf, and start its index anew."""
        for name in self.lines:
            self._path(name).unlink()
        self.lines.clear()
        (self.folder / INDEX).unlink()
        self._write(FORMAT)

    def __contains__(self, name) -> bool:  # Mapping's own would read the value
        return name in self.lines

    def __iter__(self) -> Iterator[str]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    def facts(self, name: str) -> dict:
        """What ``facts`` said when the value was written: nothing is read."""
        line = self.lines[name]
        return {key: line[key] for key in ("dtype", "bytes", "min", "mean", "max")} | {"shape": tuple(line["shape"])}
