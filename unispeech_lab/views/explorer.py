"""Explorer: several views of one utterance on one stage.

Knobs of one name are one knob; one playhead crosses all panels. An explorer is given what was recorded, or a model to
record it with. It shows itself in a notebook as a live canvas, and beside it as a still picture with words for every
reader without a kernel.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Timer

import numpy as np

from unispeech_lab import views as folder
from unispeech_lab.corpus import Utterance
from unispeech_lab.frames import Frames
from unispeech_lab.survey import Survey
from unispeech_lab.views import still
from unispeech_lab.views.asking import RESUMED, Hear, watched
from unispeech_lab.views.pages import pages, weight
from unispeech_lab.views.panel import Knob, Panel
from unispeech_lab.views.stage import Stage

PATIENCE = 0.4  # seconds of work after which the reader is told of it
TRAINING = "The model is in train mode: dropout makes every forward another; write model.eval()."


class Explorer:
    """Look at what a model did with an utterance.

    >>> with record(model, *watches(*Explorer.FIRST)) as trace:
    ...     model(**model.prepare([utterance]))
    >>> Explorer(trace, utterance, note=model.config.provenance)

    trace    what was recorded; None: the explorer records it with ``model``, when a tab first needs it
    views    names of files in the folder, drawn from top to bottom; a mapping of tabs to such names
    note     is written over the picture
    model    is asked what the views want to hear besides;  ``other`` is the model it is compared with
    survey   what views over a whole corpus are given: a Survey, or a function of names that makes one when it is needed
    given    sets knobs by name (``layer=3``) or what a view takes besides (``labels=``, names of the CTC classes)
    """

    MOST = 256 * 2**20  # bytes kept of what tabs have heard, beside the open one's
    FIRST = ("waveform", "features", "attention", "codes", "posteriors", "truth")

    def __init__(
        self,
        trace: Mapping | None,
        utterance,
        views: Sequence[str] | Mapping[str, Sequence[str]] = FIRST,
        note: str = "",
        *,
        model=None,
        other=None,
        survey: Survey | Callable[..., Survey] | None = None,
        **given,
    ):
        self.tabs = dict(views) if isinstance(views, Mapping) else {"": tuple(views)}
        self.folder = {name: folder.load(name) for names in self.tabs.values() for name in names}
        self.tab = next(iter(self.tabs))
        self.note, self.given = note, given
        self.model, self.other, self.made = model, other, survey
        self.stage = None
        self.values = {}
        known = {name for view in self.folder.values() for name in takes(view)}
        if unknown := sorted(set(given) - known):
            raise KeyError(f"expected one of {', '.join(sorted(known))}, found {', '.join(unknown)}")
        self.listen(trace, utterance)
        self.turn(**{name: value for name, value in given.items() if name in self.knobs})

    # ---- what it is given ---------------------------------------------------------------------------------------

    def listen(self, trace: Mapping | None, utterance) -> "Explorer":
        """Turn to another utterance, or to another recording of the same; the knobs stay where they are if they can.

        What is too long to be heard at once is shown in pages.
        """
        if trace is None and self.model is None:
            raise ValueError("expected a trace, or model= to record one with, found neither")
        self.trace = trace
        self.pages = pages(self.model, utterance) if trace is None else (utterance,)
        return self.leaf(1)

    def leaf(self, page: int) -> "Explorer":
        """Turn to a page of a long recording, counted from 1; it is heard by itself."""
        self.page, self.utterance = page, self.pages[page - 1]
        self.values["page"] = page
        self.traces: dict = {}
        self.answers: dict = {}
        self.drawn: dict = {}
        return self.open(self.tab)

    def open(self, tab: str) -> "Explorer":
        """Turn to another tab. Raises ``KeyError`` with the tabs there are."""
        if tab not in self.tabs:
            raise KeyError(f"expected one of the tabs {', '.join(self.tabs)}, found {tab!r}")
        self.tab = tab
        self.knobs = linked({name: view.knobs(*self.about(view)) for name, view in self.views.items()})
        if len(self.pages) > 1:
            self.knobs = {"page": Knob(range(1, len(self.pages) + 1), self.page, "page")} | self.knobs
        wanted = self.given | self.values
        for name, knob in self.knobs.items():
            self.values[name] = wanted[name] if name in wanted and knob.accepts(wanted[name]) else knob.default
        if self.stage:
            self.refresh()
        return self

    @property
    def views(self) -> dict:
        """The views of the open tab."""
        return {name: self.folder[name] for name in self.tabs[self.tab]}

    def seen(self, view) -> Mapping:
        """What a view is given: the survey, a forward of its own making, or the forward recorded for its tab."""
        if scope(view) == "corpus":
            return self.survey
        if self.trace is not None:
            return self.trace
        if not hasattr(view, "hear"):
            return self.recorded
        if view.hear not in self.traces:
            self.traces[view.hear] = view.hear(self.model, self.utterance)
        return self.traces[view.hear]

    def about(self, view) -> tuple:
        """What a view is told first: what it is given, with the utterance where it concerns one."""
        return (self.seen(view),) if scope(view) == "analysis" else (self.seen(view), self.utterance)

    @property
    def recorded(self) -> Mapping:
        """One forward for the open tab, with all that its views watch."""
        if self.tab not in self.traces:
            self.traces[self.tab] = self.hear(self.model, self.utterance)
            self.forget()
        return self.traces[self.tab]

    def forget(self) -> None:
        """Of what other tabs have heard the oldest goes, until the rest is small; a tab that is opened again listens
        again."""
        for tab in [tab for tab in self.traces if tab != self.tab]:
            if sum(map(weight, self.traces.values())) <= self.MOST:
                return
            del self.traces[tab]
            for name in set(self.tabs.get(tab, ())) - set(self.views):
                self.answers.pop(name, None)
                self.drawn.pop(name, None)

    @property
    def survey(self) -> Survey:
        """What the model does over the corpus, made when a view first needs it."""
        if self.made is None:
            raise ValueError("expected survey= for views over a corpus, found none: Survey.of(model, corpus, names)")
        if not isinstance(self.made, Survey):
            over = [view for view in self.folder.values() if scope(view) == "corpus"]
            self.made = self.made(*watched(self.model, over))
        return self.made

    def hear(self, model, utterance) -> Mapping:
        """One forward, with what the tab's views watch recorded; an empty trace where they watch nothing."""
        views = [view for view in self.views.values() if not (hasattr(view, "scope") or hasattr(view, "hear"))]
        names = watched(model, views)
        if any(hasattr(view, "asks") for view in views):
            names += watched(model, [], RESUMED)  # so that what is asked starts at the layer that is changed
        return Hear(utterance, names)(model) if names else {}

    def asked(self, name: str, view) -> dict[str, Mapping]:
        """What a view wants heard for the knobs as they are; heard anew only when one of those has turned."""
        if not hasattr(view, "asks"):
            return {}
        if self.model is None:
            raise ValueError(f"expected model= for the view {name}, which listens again as its knobs turn; found none")
        chosen = self.chosen(view.asks)
        key, before = tuple(map(repr, chosen.items())), self.answers.get(name)
        if not before or before[0] != key:
            asks = view.asks(*self.about(view), **chosen)
            self.answers[name] = before = (key, {what: self.answer(ask) for what, ask in asks.items()})
        return before[1]

    def answer(self, ask) -> Mapping:
        if not getattr(ask, "other", False):
            return ask(self.model)
        if self.other is None:
            raise ValueError("expected other=, the model to compare with, found none")
        return ask(self.other)

    def chosen(self, function) -> dict:
        """What one of a view's functions is told besides the trace and the utterance."""
        known = self.given | self.values
        return {name: known[name] for name in parameters(function) if name in known}

    # ---- what it shows ------------------------------------------------------------------------------------------

    def turn(self, **values) -> "Explorer":
        """Turn knobs: ``explorer.turn(layer=2, head=3)``. Raises ``ValueError`` for a value the knob does not have."""
        for name, value in values.items():
            if name not in self.knobs:
                raise KeyError(f"expected one of the knobs {', '.join(self.knobs)}, found {name!r}")
            if not self.knobs[name].accepts(value):
                raise ValueError(f"expected {name} to be one of {self.knobs[name].values}, found {value!r}")
        self.values |= values
        if self.values["page"] != self.page:
            return self.leaf(self.values["page"])
        if self.stage:
            self.refresh()
        return self

    def panels(self) -> list[Panel]:
        """The tab's panels from top to bottom; a view is computed anew only when one of its own knobs has turned."""
        made = []
        for name, view in self.views.items():
            asked = self.asked(name, view)
            chosen = self.chosen(view.panels)
            key = (*map(repr, chosen.items()), *map(id, asked.values()))
            before = self.drawn.get(name)
            if not before or before[0] != key:
                panels = view.panels(*self.about(view), **chosen, **asked)
                self.drawn[name] = before = (key, panels)
            made += before[1]
        return made

    def __getitem__(self, name: str) -> Panel:
        """One panel by its name, as it now is: ``explorer["attention"].words``."""
        panels = {panel.name: panel for panel in self.panels()}
        if name not in panels:
            raise KeyError(f"expected one of the panels {', '.join(panels)}, found {name!r}")
        return panels[name]

    @property
    def heading(self) -> str:
        """What is written over the picture: which page of a long recording it is, what to beware of, and the note."""
        note = f"{TRAINING} {self.note}".rstrip() if getattr(self.model, "training", False) else self.note
        if len(self.pages) == 1:
            return note
        start = sum(page.seconds for page in self.pages[: self.page - 1])
        which = f"Page {self.page} of {len(self.pages)}: {start:.1f} to {start + self.utterance.seconds:.1f} s"
        return f"{which} of the recording, heard by itself. {note}".rstrip()

    @property
    def clock(self) -> Frames:
        """The frames of whatever the open tab was given: what an arrow key moves by."""
        given = (self.seen(view) for view in self.views.values() if scope(view) != "corpus")
        return next((seen.frames for seen in given if getattr(seen, "frames", None)), Frames())

    def figure(self):
        """The still picture, a matplotlib figure for paper; it belongs to the caller."""
        return still.figure(self.panels(), note=self.heading)

    def words(self) -> str:
        """What the picture says, for those who do not see it."""
        return still.words(self.panels(), note=self.heading)

    # ---- live ---------------------------------------------------------------------------------------------------

    def show(self) -> Stage:
        """The live canvas. One stage serves every place it is shown in."""
        if self.stage is None:
            self.stage = Stage(note=self.note)
            self.refresh()
            self.stage.observe(self.moved, "knobs")
            self.stage.observe(self.switched, "tab")
        return self.stage

    def follow(self, source, model=None) -> "Explorer":
        """Let ``model`` hear every other utterance that ``source`` (a widget with an ``utterance``) comes to have."""

        def changed(change):
            self.model = model or self.model
            with self.working("listening …"):
                self.listen(None, change["new"])

        source.observe(changed, "utterance")
        return self

    def refresh(self) -> None:
        """Give the stage all there is; what it already has does not travel again."""
        panels = self.panels()
        with self.stage.hold_sync():
            self.stage.note = self.heading
            self.stage.step = self.clock.hop / self.utterance.rate
            self.stage.tabs, self.stage.tab = [name for name in self.tabs if name], list(self.tabs).index(self.tab)
            self.stage.dials = [
                {
                    "name": name,
                    "label": knob.label,
                    "kind": knob.kind,
                    "values": [str(value) for value in knob.values],
                }
                for name, knob in self.knobs.items()
                if len(knob.values) != 1
            ]
            self.stage.knobs = {name: knob.send(self.values[name]) for name, knob in self.knobs.items()}
            self.stage.play(self.utterance.waveform, self.utterance.rate)
            if isinstance(self.made, Survey) and any(scope(v) == "corpus" for v in self.views.values()):
                self.stage.collect(self.made.album, self.made.place(self.utterance))
            self.stage.draw(panels)

    def moved(self, change) -> None:
        """The reader has moved a knob on the stage."""
        try:
            self.values |= {
                name: self.knobs[name].take(sent) for name, sent in change["new"].items() if name in self.knobs
            }
        except ValueError as error:  # what no dial sends: nothing turns, and the stage is told where its knobs are
            self.stage.knobs = {name: knob.send(self.values[name]) for name, knob in self.knobs.items()}
            self.stage.note = str(error)
            return
        leafed = self.values["page"] != self.page
        with self.working("listening …" if leafed else "computing …"):
            if leafed:
                self.leaf(self.values["page"])
            self.stage.draw(self.panels())

    def switched(self, change) -> None:
        """The reader has chosen another tab."""
        if change["new"] not in range(len(self.tabs)):
            self.stage.tab = list(self.tabs).index(self.tab)
            self.stage.note = f"expected one of {len(self.tabs)} tabs, found number {change['new']}"
            return
        tab = list(self.tabs)[change["new"]]
        if tab != self.tab:
            with self.working("listening …"):  # the first time a tab may have much to hear
                self.open(tab)

    @contextmanager
    def working(self, words: str) -> Iterator[None]:
        """Work for the reader: what lasts longer than a moment is said, and so is what cannot be done."""
        if self.stage is None:
            yield
            return
        later = Timer(PATIENCE, setattr, (self.stage, "note", words))
        later.start()
        try:
            yield
            said = self.heading
        except ValueError as error:  # too short, empty, nothing of the kind there
            said = str(error)
        except Exception as error:  # no fault of the reader's: whoever called keeps the whole account
            later.cancel()
            self.stage.note = f"That did not work: {error}"
            raise
        finally:
            later.cancel()
        self.stage.note = said

    def _repr_mimebundle_(self, **kwargs):
        panels, said = self.panels(), self.words()
        live = self.show()._repr_mimebundle_()
        bundle, metadata = live if isinstance(live, tuple) else (live, {})
        bundle = {**bundle, "text/plain": said, "image/png": still.png(panels, note=self.heading)}
        return bundle, {**metadata, "image/png": {"alt": said}}


def alone(view, given: Mapping, utterance=None, **knobs) -> Explorer:
    """One view by itself, of a trace, a survey or an analysis; without an utterance, over silence as long as what was
    heard."""
    name = view.__name__.rpartition(".")[2]
    if scope(view) == "analysis":
        note = (getattr(given, "about", None) or {}).get("provenance", "")
        return Explorer(given, Utterance("nothing", np.zeros(0, np.float32)), (name,), note, **knobs)
    if isinstance(given, Survey):
        return Explorer({}, utterance or given.utterances[0], (name,), survey=given, **knobs)
    if utterance is None:
        samples = getattr(given, "samples", None)
        if samples is None:
            raise ValueError(f"expected an utterance beside a trace of unknown length: views.{name}(trace, utterance)")
        utterance = Utterance("silence", np.zeros(samples, np.float32))
    return Explorer(given, utterance, (name,), **knobs)


def linked(knobs: Mapping[str, Mapping[str, Knob]]) -> dict[str, Knob]:
    """Knobs of one name become one, with the values that all of its views have."""
    made: dict[str, Knob] = {}
    for view, offered in knobs.items():
        for name, knob in offered.items():
            if name in made and isinstance(knob, Knob):
                common = tuple(value for value in made[name].values if value in knob.values)
                if not common:
                    raise ValueError(
                        f"expected the views' knobs {name!r} to share a value, found {made[name].values} "
                        f"and, in {view}, {knob.values}: show them apart"
                    )
                knob = Knob(common, made[name].default if made[name].default in common else common[0], made[name].label)
            made[name] = knob
    return made


def scope(view) -> str:
    """What a view is of, where that is not a trace: ``corpus``, ``analysis``."""
    return getattr(view, "scope", "")


def takes(view) -> list[str]:
    """What a view's ``panels`` and ``asks`` can be told besides the trace and the utterance."""
    functions = [view.panels, *([view.asks] if hasattr(view, "asks") else [])]
    return list(dict.fromkeys(name for function in functions for name in parameters(function)))


def parameters(function) -> list[str]:
    return [name for name in list(inspect.signature(function).parameters)[1:] if name != "utterance"]
