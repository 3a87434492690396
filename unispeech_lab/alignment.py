"""Alignment: which stretch of sound each phone or word owns.

A ``Span`` is a label with a start and an end in seconds; tiers of spans come from a TextGrid and go back to one.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled stretch of sound: ``start`` and ``end`` in seconds, ``score`` in [0, 1] or None where nobody measured it."""

    label: str
    start: float
    end: float
    score: float | None = None

    def __post_init__(self):
        if not self.start <= self.end:
            raise ValueError(f"expected start <= end in seconds, found {self.label!r} from {self.start} to {self.end}")

    @property
    def duration(self) -> float:
        return self.end - self.start
