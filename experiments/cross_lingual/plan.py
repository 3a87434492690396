"""Plan: every run of the experiment, in an order in which each finds what it goes on from.

A *cell* is one number of the table: a method, a target, a seed. Cells share their earlier stages: what a method learned
of the source languages from one seed serves all targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from experiments.cross_lingual.methods import Method
from experiments.cross_lingual.sizes import Size

SETTINGS = ("one-to-one", "many-to-one", "many-to-many-shared", "many-to-many-separate")


@dataclass(frozen=True)
class Cell:
    """One number of the table; ``target`` is a language, or several joined by ``+`` (many-to-many)."""

    setting: str
    method: Method
    target: str
    seed: int

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(self.target.split("+"))

    @property
    def separate(self) -> bool:
        """Whether each language has phones of its own in the vocabulary."""
        return self.setting.endswith("separate")

    def sources(self, size: Size) -> tuple[str, ...]:
        return sources(size, self.setting)

    def stage1(self, size: Size) -> Path | None:
        if not self.method.variant:
            return None
        return Path("stage1", "+".join(self.sources(size)), self.method.first, str(self.seed))

    def stage2(self, size: Size) -> Path | None:
        if not self.method.plus:
            return None
        return Path("stage2", "+".join(self.sources(size)), self.target, self.method.first, str(self.seed))

    @property
    def stage3(self) -> Path:
        return Path("stage3", self.setting, self.target, self.method.name, str(self.seed))


def sources(size: Size, setting: str) -> tuple[str, ...]:
    return size.sources[:1] if setting == "one-to-one" else size.sources


def cells(size: Size, settings: Sequence[str], methods: Sequence[Method], seeds: Sequence[int] = ()) -> list[Cell]:
    """Every cell asked for: all methods of a seed before the next seed, so that a stopped night is a fair table.

    No target is among the sources: what it says would have been learned before.

    Raises:
        KeyError: no such setting.
    """
    if unknown := [setting for setting in settings if setting not in SETTINGS]:
        raise KeyError(f"expected settings out of {', '.join(SETTINGS)}, found {', '.join(unknown)}")
    targets = {}
    for setting in settings:
        fresh = tuple(target for target in size.targets if target not in sources(size, setting))
        targets[setting] = ("+".join(fresh),) if "many-to-many" in setting else fresh
    return [
        Cell(setting, method, target, seed)
        for seed, setting in product(seeds or size.seeds, settings)
        for target, method in product(targets[setting], methods)
    ]
