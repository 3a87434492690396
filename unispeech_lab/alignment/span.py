"""Span: a labelled stretch of sound."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A labelled stretch of sound: ``start`` and ``end`` in seconds; ``score`` in [0, 1], or None when not measured."""

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
