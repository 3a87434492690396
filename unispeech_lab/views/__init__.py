"""The views of the lab: one file a view, and the folder is the list of them.

A view is a module with

- ``watches``: the names that must be in the trace (what to give to ``record``); ``"ctc_proj|lm_head"`` is one of two;
- ``knobs(trace, utterance) -> {name: Knob}``: the choices it offers for what was recorded;
- ``panels(trace, utterance, **knobs) -> [Panel, ...]``: the pictures, a pure function of plain arrays.

A view may also have

- ``scope = "corpus"``: instead of a trace it is given a ``Survey``, with what it watches of every frame of a corpus;
- ``scope = "analysis"``: it is given tables that were measured before (an ``Analysis``, or one DataFrame), and no
  utterance: ``panels(analysis, **knobs)``; it watches nothing;
- ``hear(model, utterance) -> arrays``: what it is given in place of a recorded forward (a training step, say);
- ``asks(trace, utterance, **knobs) -> {name: ask}``: further forwards it wants; ``panels`` takes each by its name
  (see ``asking``);
- ``compares = True``: some of its asks are of another model.

Each stands alone, too: ``views.attention(trace).show()``, ``views.attention(trace, utterance, head=2).figure()``.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

MACHINERY = {
    *("__init__", "panel", "marks", "reading", "asking", "pages", "tables"),
    *("still", "still_marks", "lettering", "stage", "explorer", "explore", "source", "chart", "curves"),
}


class View(ModuleType):
    """A view's module, which can be called: an Explorer of this view alone."""

    def __call__(self, trace: Mapping, utterance=None, **given):
        """``trace`` is what the view is given: a trace, a survey; without an utterance its sound is silent."""
        from unispeech_lab.views.explorer import alone

        return alone(self, trace, utterance, **given)


class Folder(ModuleType):
    """This package: a view that Python binds to it becomes callable, one not yet imported is when it is asked for."""

    def __setattr__(self, name, value):
        if isinstance(value, ModuleType) and name in names():
            value.__class__ = View
        super().__setattr__(name, value)

    def __getattr__(self, name):
        if name in names():
            return load(name)
        raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")

    def __dir__(self):
        return sorted([*super().__dir__(), *names()])


def names() -> list[str]:
    """Every view there is."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in MACHINERY)


def load(name: str) -> View:
    """A view by name. Raises ``KeyError`` with the names there are."""
    if name not in names():
        raise KeyError(f"expected one of the views {', '.join(names())}, found {name!r}")
    return import_module(f"{__name__}.{name}")


def watches(*views: str) -> tuple[str, ...]:
    """What to record for these views: ``with record(model, *watches("attention", "codes")) as trace: ...``.

    Where a view can do with one of several names, that is the first, as the pretraining model has it.
    """
    return tuple(dict.fromkeys(name.split("|")[0] for view in views for name in load(view).watches))


sys.modules[__name__].__class__ = Folder
