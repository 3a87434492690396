"""Account: what became of every weight of a checkpoint from elsewhere."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Account:
    """Every key of theirs is ``used``, ``turned`` or ``dropped``; every key of ours that they lack is ``begun``."""

    used: dict[str, str] = field(default_factory=dict)  # their key -> our key
    turned: dict[str, tuple[str, str]] = field(default_factory=dict)  # their key -> our key, what was done to it
    dropped: dict[str, str] = field(default_factory=dict)  # their key -> why
    begun: dict[str, str] = field(default_factory=dict)  # our key -> with what

    def rows(self) -> Iterable[tuple[str, str, str, str]]:
        """Their key, our key, what became of it, why."""
        for theirs, ours in self.used.items():
            yield theirs, ours, "used", ""
        for theirs, (ours, how) in self.turned.items():
            yield theirs, ours, "turned", how
        for theirs, why in self.dropped.items():
            yield theirs, "", "dropped", why
        for ours, how in self.begun.items():
            yield "", ours, "missing", how

    def counts(self) -> dict[str, int]:
        """How many keys were used, turned, dropped, missing."""
        return dict(Counter(what for *_, what, _ in self.rows()))

    def words(self) -> str:
        """What is not simply theirs, in a sentence; empty if everything is."""
        said = [f"{module(ours)} {how}" for ours, how in self.turned.values()]
        said += [f"{theirs} left out ({why})" for theirs, why in self.dropped.items()]
        said += [f"{module(ours)} {how}" for ours, how in self.begun.items()]
        return "; ".join(dict.fromkeys(said))


def module(key: str) -> str:
    """Whose weight it is."""
    return key.removesuffix(".weight").removesuffix(".bias")
