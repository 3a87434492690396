"""Explorer: several views of one utterance on one stage.

Knobs of one name are one knob; one playhead crosses all panels. An explorer knows no model: it is given what was
recorded. It shows itself in a notebook as a live canvas, and beside it as a still picture with words for every reader
without a kernel.
"""

import inspect
from collections.abc import Mapping, Sequence

import torch

from unispeech_lab import views as folder
from unispeech_lab.trace import record
from unispeech_lab.views import still
from unispeech_lab.views.panel import Knob, Panel
from unispeech_lab.views.reading import clock_of
from unispeech_lab.views.stage import Stage


class Explorer:
    """Look at what a model did with an utterance.

    >>> with record(model, *watches(*Explorer.FIRST)) as trace:
    ...     model(**model.prepare([utterance]))
    >>> Explorer(trace, utterance, note=model.config.provenance)

    ``views`` are names of files in the folder, drawn from top to bottom; ``note`` is written over the picture;
    ``given`` sets knobs by name (``layer=3``) or what a view takes besides (``labels=``, names of the CTC classes).
    """

    FIRST = ("waveform", "features", "attention", "codes", "posteriors", "truth")

    def __init__(self, trace: Mapping, utterance, views: Sequence[str] = FIRST, note: str = "", **given):
        self.views = {name: folder.load(name) for name in views}
        self.note = note
        self.given = given
        self.stage = None
        self.values = {}
        self.listen(trace, utterance)
        known = set(self.knobs) | {name for view in self.views.values() for name in takes(view)}
        if unknown := sorted(set(given) - known):
            raise KeyError(f"expected one of {', '.join(sorted(known))}, found {', '.join(unknown)}")
        self.turn(**{name: value for name, value in given.items() if name in self.knobs})

    def listen(self, trace: Mapping, utterance) -> "Explorer":
        """Turn to another utterance, or to another recording of the same; the knobs stay where they are if they can."""
        self.trace, self.utterance = trace, utterance
        self.knobs = linked({name: view.knobs(trace, utterance) for name, view in self.views.items()})
        at = self.values
        self.values = {n: at[n] if at.get(n) in knob.values else knob.default for n, knob in self.knobs.items()}
        self.drawn = {}
        if self.stage:
            self.refresh()
        return self

    def turn(self, **values) -> "Explorer":
        """Turn knobs: ``explorer.turn(layer=2, head=3)``. Raises ``ValueError`` for a value the knob does not have."""
        for name, value in values.items():
            if name not in self.knobs:
                raise KeyError(f"expected one of the knobs {', '.join(self.knobs)}, found {name!r}")
            if value not in self.knobs[name].values:
                raise ValueError(f"expected {name} to be one of {self.knobs[name].values}, found {value!r}")
        self.values |= values
        if self.stage:
            self.refresh()
        return self

    def panels(self) -> list[Panel]:
        """All panels from top to bottom; a view is computed anew only when one of its own knobs has turned."""
        made = []
        for name, view in self.views.items():
            known = self.given | self.values
            chosen = {key: known[key] for key in takes(view) if key in known}
            key, before = tuple(map(repr, chosen.items())), self.drawn.get(name)
            if not before or before[0] != key:
                self.drawn[name] = before = (key, view.panels(self.trace, self.utterance, **chosen))
            made += before[1]
        return made

    def __getitem__(self, name: str) -> Panel:
        """One panel by its name, as it now is: ``explorer["attention"].words``."""
        panels = {panel.name: panel for panel in self.panels()}
        if name not in panels:
            raise KeyError(f"expected one of the panels {', '.join(panels)}, found {name!r}")
        return panels[name]

    def figure(self):
        """The still picture, a matplotlib figure for paper; it belongs to the caller."""
        return still.figure(self.panels(), note=self.note)

    def words(self) -> str:
        """What the picture says, for those who do not see it."""
        return still.words(self.panels(), note=self.note)

    def show(self) -> Stage:
        """The live canvas. One stage serves every place it is shown in."""
        if self.stage is None:
            self.stage = Stage(note=self.note)
            self.refresh()
            self.stage.observe(self.moved, "knobs")
        return self.stage

    def follow(self, source, model) -> "Explorer":
        """Let ``model`` hear every other utterance that ``source`` (a widget with an ``utterance``) comes to have."""

        def changed(change):
            utterance = change["new"]
            try:
                self.listen(self.hear(model, utterance), utterance)
            except ValueError as error:  # too short, empty: the reader is told where he looks
                if self.stage:
                    self.stage.note = str(error)

        source.observe(changed, "utterance")
        return self

    def hear(self, model, utterance) -> Mapping:
        """One forward, with what the views watch recorded; an empty trace where they watch nothing."""
        names = folder.watches(*self.views)
        if not names:
            return {}
        with torch.no_grad(), record(model, *names) as trace:
            model(**model.prepare([utterance]))
        return trace

    def refresh(self) -> None:
        """Give the stage all there is; what it already has does not travel again."""
        with self.stage.hold_sync():
            self.stage.note = self.note
            self.stage.step = clock_of(self.trace).hop / clock_of(self.trace).rate
            self.stage.dials = [
                {"name": name, "label": knob.label, "values": [str(value) for value in knob.values]}
                for name, knob in self.knobs.items()
                if len(knob.values) > 1
            ]
            self.stage.knobs = {name: knob.values.index(self.values[name]) for name, knob in self.knobs.items()}
            self.stage.play(self.utterance.waveform, self.utterance.rate)
            self.stage.draw(self.panels())

    def moved(self, change) -> None:
        """The reader has moved a knob on the stage."""
        self.values |= {name: self.knobs[name].values[at] for name, at in change["new"].items() if name in self.knobs}
        self.stage.draw(self.panels())

    def _repr_mimebundle_(self, **kwargs):
        panels, said = self.panels(), self.words()
        live = self.show()._repr_mimebundle_()
        bundle, metadata = live if isinstance(live, tuple) else (live, {})
        bundle = {**bundle, "text/plain": said, "image/png": still.png(panels, note=self.note)}
        return bundle, {**metadata, "image/png": {"alt": said}}


def linked(knobs: Mapping[str, Mapping[str, Knob]]) -> dict[str, Knob]:
    """Knobs of one name become one, with the values that all of its views have."""
    made: dict[str, Knob] = {}
    for view, offered in knobs.items():
        for name, knob in offered.items():
            if name in made:
                common = tuple(value for value in made[name].values if value in knob.values)
                if not common:
                    raise ValueError(
                        f"expected the views' knobs {name!r} to share a value, found {made[name].values} "
                        f"and, in {view}, {knob.values}: show them apart"
                    )
                knob = Knob(common, made[name].default if made[name].default in common else common[0], made[name].label)
            made[name] = knob
    return made


def takes(view) -> list[str]:
    """What a view's ``panels`` can be told besides the trace and the utterance."""
    return list(inspect.signature(view.panels).parameters)[2:]
