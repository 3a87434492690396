"""Trace: what the layers of a model said in one forward, watched from outside.

    with record(model, "layers.*", "attention.pattern", "quantizer.codes") as trace:
        model(**inputs)
    trace["layers.3"]                                    # (b, t, d)

    with edit(model, {"layers.3.attention.pattern": fn}):
        model(**inputs)                                  # now layer 3 attends as fn says

Names are those of ``model.named_modules()``, matched from the right (``places.py``). It works on any ``nn.Module``.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from html import escape
from threading import get_ident

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from unispeech_lab.frames import Frames
from unispeech_lab.trace.places import (
    Change,
    Place,
    choices,
    find,
    hook,
    matches,
    nearest,
    ours,
    pick,
    put,
    run_eagerly,
)
from unispeech_lab.trace.resume import Edit, Resume, Run, Whole
from unispeech_lab.trace.shelf import Shelf, facts


class Trace(Mapping):
    """Values by full name, in the order in which the layers finished: a dict, first of all.

    ``asked``   every name that was asked for; one that did not run (LayerDrop) is in ``asked`` and not in the trace
    ``calls``   how often each layer ran in the forward; of several values the last is kept
    ``frames``  the model's clock, or None; ``samples`` how long the waveform was; ``seconds(name)`` uses both
    ``labels``  what the model calls its CTC classes, as far as it knows; ``blank`` which of them says nothing, or None
    """

    def __init__(
        self,
        values: Mapping[str, Tensor] | None = None,
        asked: Iterable[str] | None = None,
        frames: Frames | None = None,
        samples: int | None = None,
    ):
        self._values = {} if values is None else values
        self.asked = list(self._values if asked is None else asked)
        self.frames, self.samples = frames, samples
        self.labels: tuple[str, ...] = ()
        self.blank: int | None = None
        self.calls = Counter({name: 1 for name in self._values})
        self.whole: dict[str, Whole] = {}  # what a resumed forward can take instead of running the layer
        self.run: Run | None = None

    @classmethod
    def open(cls, folder) -> "Trace":
        """Read what ``record(..., to=folder)`` wrote; each value is read when it is asked for, and not kept.

        Raises FileNotFoundError where no trace is, ValueError for a foreign, unfinished or truncated folder.
        """
        try:
            return cls._read(folder)
        except (TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"{folder}: expected an index as record writes it, found {error!r}") from error

    @classmethod
    def _read(cls, folder) -> "Trace":
        shelf, end = Shelf.open(folder)
        trace = cls(shelf, end["asked"], Frames(**end["frames"]) if end["frames"] else None)
        trace.labels, trace.blank = tuple(end.get("labels", ())), end.get("blank")
        trace.calls = Counter(end["calls"])
        trace.whole = {name: Whole(tuple(stride), said) for name, (stride, said) in end["whole"].items()}
        if end["run"]:
            trace.run = Run(**end["run"])
            trace.samples = trace.run.samples
        return trace

    # ---- a dict -------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Tensor:
        """The value of a full name, or of the one name that ends so. Raises KeyError, naming what there is."""
        return self._values[self._full(name)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def _full(self, name: str) -> str:
        found = [name] if name in self._values else [full for full in self._values if matches(full, name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise KeyError(f"{name!r} can be {', '.join(found)}: use one of these, or trace.match({name!r})")
        if any(matches(full, name) for full in self.asked):
            raise KeyError(f"{name!r} was asked for, but did not run in this forward")
        raise KeyError(f"{name!r} was not recorded; nearest: {nearest(name, self._values)}")

    # ---- many at once -------------------------------------------------------------------------------------------

    def match(self, pattern: str) -> dict[str, Tensor]:
        """All values whose names a pattern means. Raises KeyError when none was even asked for."""
        if not any(matches(full, pattern) for full in self.asked):
            raise KeyError(f"{pattern!r} was not recorded; nearest: {nearest(pattern, self._values)}")
        return {full: self._values[full] for full in self._values if matches(full, pattern)}

    def stack(self, pattern: str, fill: float | None = None) -> tuple[Tensor, list[str]]:
        """One tensor (l, ...) of all values that a pattern means, in the model's order, beside their names.

        Raises ValueError when some did not run, naming them, unless ``fill`` says what to put in their place (NaN,
        say): position ``l`` always means the same layer. Raises ValueError when the shapes differ.
        """
        values = self.match(pattern)
        names = [full for full in self.asked if matches(full, pattern)]
        missing = [full for full in names if full not in values]
        if missing and (fill is None or not values):
            raise ValueError(
                f"expected {len(names)} values, found {len(values)}: {', '.join(missing)} did not run (LayerDrop?); "
                f"write stack({pattern!r}, fill=float('nan')) to have NaN in their place"
            )
        shapes = {full: tuple(value.shape) for full, value in values.items()}
        if len(set(shapes.values())) > 1:
            raise ValueError(f"expected values of one shape, found {shapes}: take fewer names")
        like = next(iter(values.values()))
        if missing and isinstance(fill, float) and not like.is_floating_point():
            raise ValueError(f"expected a fill that {like.dtype} can hold, found {fill}: write an integer")
        return torch.stack([values[full] if full in values else torch.full_like(like, fill) for full in names]), names

    # ---- time ---------------------------------------------------------------------------------------------------

    def seconds(self, name: str) -> np.ndarray:
        """The middle of every frame of a value, in seconds (t,).

        Raises ValueError when the model has no clock, saw no waveform, or the value has no axis of that many frames.
        """
        full = self._full(name)
        shape = self._facts(full)["shape"]
        if self.frames is None:
            raise ValueError("expected a model whose config has conv_kernel and conv_stride, found none: no clock")
        if self.samples is None:
            raise ValueError("expected a forward over a waveform (b, n) or (n,), found none: its length is not known")
        layer = re.search(r"(?:^|\.)conv_layers\.(\d+)(?:\.|$)", full)
        frames = self.frames.up_to(int(layer[1]) + 1) if layer else self.frames
        count = frames.count(self.samples)
        if count not in shape:
            raise ValueError(f"expected an axis of {count} frames in {full}, found the shape {shape}")
        return frames.centre(np.arange(count))

    # ---- to look at ---------------------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """Bytes of all values together."""
        return sum(self._facts(name)["bytes"] for name in self)

    @property
    def table(self) -> pd.DataFrame:
        """One row a value: shape, dtype, bytes, calls, min, mean, max. A trace in a folder is not read for it."""
        rows = [{"name": name, **self._facts(name), "calls": self.calls[name]} for name in self]
        columns = ["name", "shape", "dtype", "bytes", "calls", "min", "mean", "max"]
        return pd.DataFrame(rows, columns=columns).set_index("name")

    def _facts(self, name: str) -> dict:
        return self._values.facts(name) if isinstance(self._values, Shelf) else facts(self._values[name])

    def _summary(self) -> str:
        silent = [name for name in self.asked if name not in self._values]
        ending = f"; did not run: {', '.join(silent)}" if silent else ""
        return f"Trace of {len(self)} values, {self.nbytes:,} bytes{ending}"

    def __repr__(self) -> str:
        return f"{self._summary()}\n{self.table.to_string()}"

    def _repr_html_(self) -> str:
        return f"<p>{escape(self._summary())}</p>{self.table.to_html(float_format='{:.4g}'.format)}"

    # ---- written by record --------------------------------------------------------------------------------------

    def _begin(self, run: Run) -> None:
        """A new forward: what an earlier one left is gone, so that all values belong together."""
        self._values.clear()
        self.calls.clear()
        self.whole.clear()
        self.run, self.samples = run, run.samples

    def _keep(self, name: str, value: Tensor, whole: Whole | None) -> None:
        self.calls[name] += 1
        if whole is not None:
            self.whole[name] = whole
        if name in self._values and isinstance(self._values, dict):
            del self._values[name]  # the order is that of the values kept
        self._values[name] = value

    def _close(self) -> None:
        if isinstance(self._values, Shelf):
            run = self.run and {**asdict(self.run), "versions": None}
            frames = self.frames and asdict(self.frames)
            end = {"asked": self.asked, "calls": self.calls, "whole": self.whole, "run": run, "frames": frames}
            end |= {"labels": self.labels, "blank": self.blank}
            self._values.close(end)


class _Stop(BaseException):
    """Ends a forward. No Exception: a model that catches its own errors must not catch this one."""


@contextmanager
def record(
    model: nn.Module,
    *names: str,
    keep: Change | Mapping[str, Change] | None = None,
    to=None,
    stop: bool = False,
    detach: bool = True,
    device=None,
) -> Iterator[Trace]:
    """Keep what the named layers return, as the next layer sees it, while the ``with`` lasts.

    >>> with record(model, "layers.*", "attention.pattern", keep={"attention.pattern": lambda p: p[:, 3]}) as trace:
    ...     model(**inputs)

    Values are copies: nothing that happens later changes them. Of a layer that returns several things (a tuple, an
    output object) the first tensor is kept; ``"attention[1]"`` names the second thing. The trace is of one forward: the
    next one inside the same ``with`` starts it afresh, and of a layer that runs several times in one forward the last
    value stays (``trace.calls`` counts). What gradient checkpointing computes again in the
    backward is not recorded, nor are forwards of other threads.

    keep    what to keep of a value, e.g. one head: ``keep=lambda pattern: pattern[:, 3]``; only that takes memory.
            A dict gives patterns their own; a value that several mean takes the first.
    to      a new folder; every value is written there as it appears, and ``Trace.open(folder)`` reads it
    stop    end the forward once all names have run: the ``with`` ends there too, later layers do not run. Where a
            name never runs (LayerDrop), the forward ends by itself.
    detach  False keeps the very tensors of the graph: ``torch.autograd.grad(loss, trace["layers.3"])``
    device  where to keep the values, e.g. "cpu"

    Raises, before any hook is set, KeyError for an unknown name (with the nearest real ones), ValueError for none.
    """
    places = find(model, names)
    keeps = choices(places, keep)
    if to is not None and not detach:
        raise ValueError("expected to= or detach=False, found both: a folder keeps no graph")
    trace = Trace({} if to is None else Shelf(to), [place.name for place in places], _clock(model))
    vocabulary = getattr(model, "vocabulary", None)
    if vocabulary is not None:
        trace.labels, trace.blank = vocabulary.names, vocabulary.blank
    waiting = set(trace.asked)

    thread = get_ident()

    def begin(module, *given):
        if not ours(thread):
            return
        trace._begin(Run.of(model, *given))
        waiting.update(trace.asked)

    with ExitStack() as stack:
        run_eagerly(stack)
        stack.callback(model.register_forward_pre_hook(begin, with_kwargs=True).remove)
        for place in places:
            hook(stack, place.module, _recorder(trace, place, keeps.get(place.name), detach, device))
            if stop:
                hook(stack, place.module, _stopper(trace, place.name, waiting))
        try:
            yield trace
        except _Stop as reached:
            if reached.args[0] is not trace:  # an outer record's
                raise
    trace._close()


def _recorder(trace: Trace, place: Place, choose: Change | None, detach: bool, device):
    def record_value(module, args, kwargs, output):
        if torch._C._current_graph_task_id() != -1:  # inside a backward: gradient checkpointing runs the layer again
            return None
        value = pick(output, place)
        kept = value if choose is None else choose(value)
        if not isinstance(kept, Tensor):
            raise TypeError(f"expected keep= to return a tensor for {place.name}, found {type(kept).__name__}")
        whole = Whole.of(output, args, kwargs) if choose is None and place.item is None else None
        if detach:
            trace._keep(place.name, kept.detach().to(device or kept.device, copy=True), whole)
            return None
        # What is kept must lie on the way to the loss; so the next layer gets the copy, on which it may write.
        trace._keep(place.name, kept.to(device or kept.device), whole)
        return put(output, place, value.clone())

    return record_value


def _stopper(trace: Trace, name: str, waiting: set[str]):
    def stop_forward(module, args, kwargs, output):
        waiting.discard(name)
        if not waiting:
            raise _Stop(trace)

    stop_forward.turn = 2  # after everybody who looks
    return stop_forward


def _clock(model: nn.Module) -> Frames | None:
    config = getattr(model, "config", None)
    if hasattr(config, "frames"):
        return config.frames
    kernel, stride = getattr(config, "conv_kernel", None), getattr(config, "conv_stride", None)
    return Frames(kernel, stride) if kernel and stride else None


@contextmanager
def edit(model: nn.Module, changes: Mapping[str, Change], given: Trace | None = None) -> Iterator[list[str]]:
    """Change what the named layers return, for all who come after, while the ``with`` lasts.

    >>> with edit(model, {"layers.3.attention.pattern": lambda pattern: pattern.roll(1, -1)}):
    ...     model(**inputs)

    Each function takes the value (a copy) and returns one of the same shape and dtype. Several edits of one value are
    applied in the order given, outer ``with`` first. ``record`` sees the edited value, whichever was entered first.
    Under gradient checkpointing keep the backward inside the ``with``: it runs the layers again.

    given   a trace of this very forward without edits: layers whose outputs it holds are left out up to the first edit
            (an edited layer's own value too), so that moving a slider on layer k costs the layers after k. What is
            not recorded, what was recorded with keep= or as one item of several, and a layer with a hook on one of its
            parts, runs as usual: slower, never different. Record the front end too ("feature_extractor",
            "feature_projection.*", "pos_conv_embed") or it runs each time. The numbers are those of the full
            forward, bit for bit (a trace that watched ``attention.pattern`` holds the explicit softmax's, which rounds
            otherwise than the fused kernel); gradients stop at a left-out layer. Layers must speak to each other
            through what they return, not through attributes that they set. The ``with`` gives the names left out in
            the last forward.

    Raises, before any hook is set, KeyError for an unknown name, ValueError for a trace without whole outputs. The
    forward raises TypeError or ValueError when a function returns no tensor, or one of another shape or dtype, and
    ValueError when the trace is of other inputs, other weights, train mode or an edited forward.
    """
    places = [(place, change) for name, change in changes.items() for place in find(model, [name])]
    if not places:
        raise ValueError('expected at least one edit, found none: {"layers.3": function}')
    skipped: list[str] = []
    resume = None if given is None else Resume(model, given, skipped)
    with ExitStack() as stack:
        run_eagerly(stack)
        for place, change in places:
            hook(stack, place.module, Edit(place, change))
        if resume is not None:
            resume.start(stack)
        yield skipped
