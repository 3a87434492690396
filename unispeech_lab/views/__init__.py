"""The views of the lab: one file a view, and the folder is the list of them.

A view is a module with

- ``watches``: the names that must be in the trace (what to give to ``record``);
- ``knobs(trace, utterance) -> {name: Knob}``: the choices it offers for what was recorded;
- ``panels(trace, utterance, **knobs) -> [Panel, ...]``: the pictures, a pure function of plain arrays.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

MACHINERY = {"__init__", "panel", "reading", "still", "stage", "explorer", "source", "chart", "curves"}


def names() -> list[str]:
    """Every view there is."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in MACHINERY)


def load(name: str) -> ModuleType:
    """A view by name. Raises ``KeyError`` with the names there are."""
    if name not in names():
        raise KeyError(f"expected one of the views {', '.join(names())}, found {name!r}")
    return import_module(f"{__name__}.{name}")


def watches(*views: str) -> tuple[str, ...]:
    """What to record for these views: ``with record(model, *watches("attention", "codes")) as trace: ...``."""
    return tuple(dict.fromkeys(name for view in views for name in load(view).watches))
