"""Resume: a forward that takes from a trace what its layers would compute again, up to the first edit.

A layer may be left out only where that cannot change a number: nothing has been edited before it in this forward,
nobody looks or edits inside it, and the trace holds all that it returned, which was a tensor of its own (a tap or an
idle dropout hands on its input, which others may write on). Whatever else there is simply runs.
"""

import hashlib
import inspect
from contextlib import ExitStack
from dataclasses import dataclass
from functools import wraps
from threading import Lock, get_ident
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unispeech_lab.trace.places import Place, leaves, ours, pick, put

CHANGING = Lock()  # held while a module's ``forward`` is exchanged


@dataclass(frozen=True)
class Run:
    """One forward of one model, as far as it decides the numbers: its arguments, the weights, the mode."""

    arguments: dict[str, str]  # argument -> what it was, in words, with a checksum
    weights: str  # a checksum over some numbers of every parameter and buffer
    versions: int | None  # how often torch saw them written to; None once the trace was read from a folder
    training: bool
    edited: bool
    samples: int | None  # the length of the waveform, if one went in

    @classmethod
    def of(cls, model: nn.Module, args: tuple, kwargs: dict) -> "Run":
        try:
            given = inspect.signature(model.forward).bind(*args, **kwargs).arguments
        except TypeError:  # a wrong call: the forward itself says so better
            given = {}
        weights = [*model.parameters(), *model.buffers()]
        some = [weight.detach().flatten()[:: max(1, weight.numel() // 8)].double().cpu() for weight in weights]
        kind = weights[0].device.type if weights else "cpu"
        waves = [thing for thing in leaves(given) if thing.is_floating_point() and thing.ndim in (1, 2)]
        return cls(
            arguments={
                **{name: _say(thing) for name, thing in given.items() if thing is not None and thing != {}},
                **({"autocast": str(torch.get_autocast_dtype(kind))} if torch.is_autocast_enabled(kind) else {}),
            },
            weights=_checksum(torch.cat(some)) if some else "",
            versions=sum(weight._version for weight in weights if not weight.is_inference()),
            training=any(module.training for module in model.modules()),
            edited=bool(edits(model)),
            samples=waves[0].shape[-1] if waves else None,
        )

    def difference(self, now: "Run") -> str | None:
        """In words, why this run's values cannot stand in for another's; None when they can."""
        if self.training or now.training:
            return "in train mode every forward draws its own dropout and masks: call model.eval() and record again"
        if self.edited:
            return "the trace was recorded under an edit: record it without"
        if self.weights != now.weights or self.versions not in (None, now.versions):
            return "the weights have changed since the trace was recorded: record it again"
        for name in self.arguments | now.arguments:
            expected, found = self.arguments.get(name, "nothing"), now.arguments.get(name, "nothing")
            if expected != found:
                return f"it was recorded with another {name}: expected {expected}, found {found}"
        return None


class Whole(NamedTuple):
    """How a layer that returned one tensor of its own was called, and how it laid that tensor out in memory."""

    stride: tuple[int, ...]
    shapes: str  # of the tensors that went in

    @classmethod
    def of(cls, output, args: tuple, kwargs: dict) -> "Whole | None":
        """None where the output is not one tensor, or is an input handed on, on which others may write."""
        inputs = leaves([args, kwargs])
        if not isinstance(output, Tensor) or output.untyped_storage().data_ptr() in {
            value.untyped_storage().data_ptr() for value in inputs
        }:
            return None
        return cls(tuple(output.stride()), cls.say(inputs))

    @staticmethod
    def say(inputs: list[Tensor]) -> str:
        return str([tuple(value.shape) for value in inputs])


def _checksum(value: Tensor) -> str:
    return hashlib.blake2b(value.detach().cpu().flatten().view(torch.uint8).numpy(), digest_size=8).hexdigest()


def _say(thing) -> str:
    if isinstance(thing, Tensor):
        dtype = str(thing.dtype).removeprefix("torch.")
        return f"{dtype} {tuple(thing.shape)} with checksum {_checksum(thing)}"
    if isinstance(thing, dict):
        return str({key: _say(part) for key, part in thing.items()})
    if isinstance(thing, (tuple, list)):
        return str([_say(part) for part in thing])
    return repr(thing) if isinstance(thing, (bool, int, float, str)) else type(thing).__name__


class Edit:
    """A forward hook that puts ``change(value)`` in the value's place."""

    turn = 0  # before everybody who looks

    def __init__(self, place: Place, change):
        self.place, self.change, self.done = place, change, False

    def __call__(self, module, args, kwargs, output):
        value = pick(output, self.place)
        new = self.change(value.clone())  # the layer may have returned a tensor that others still read
        name = self.place.name
        if not isinstance(new, Tensor):
            raise TypeError(
                f"expected the edit of {name} to return a tensor, found {type(new).__name__}: "
                f"end the function with `return value`"
            )
        if new.shape != value.shape or new.dtype != value.dtype:
            raise ValueError(
                f"expected the edit of {name} to return {tuple(value.shape)} {value.dtype}, "
                f"found {tuple(new.shape)} {new.dtype}"
            )
        self.done = True
        return put(output, self.place, new)


def edits(model: nn.Module) -> list[Edit]:
    """The edits in force on a model in this thread, by whomever."""
    # Lists, since other threads come and go meanwhile.
    hooks = [
        hook for part in model.modules() for hook in list(part._forward_hooks.values()) if hasattr(hook, "watcher")
    ]
    return [hook.watcher for hook in hooks if isinstance(hook.watcher, Edit) and ours(hook.thread)]


class Resume:
    """Leave out, in every forward of ``model``, the layers whose outputs ``trace`` holds. ``skipped`` says which."""

    def __init__(self, model: nn.Module, trace, skipped: list[str]):
        """Raises ValueError when the trace holds nothing that could be used."""
        self.model, self.trace, self.skipped = model, trace, skipped
        self.running, self.edits, self.seen, self.thread = False, [], set(), get_ident()
        if trace.run is None or not trace.whole:
            raise ValueError(
                f"expected a trace of a forward with whole outputs of layers, found {len(trace)} values, none of them "
                f'whole: record "layers.*" and the like, without keep= and without [item]'
            )

    def start(self, stack: ExitStack) -> None:
        """Set up, until the stack closes."""
        stack.callback(self.model.register_forward_pre_hook(self._begin, with_kwargs=True).remove)
        stack.callback(self.model.register_forward_hook(self._end, always_call=True).remove)
        for name, module in self.model.named_modules():
            if name in self.trace.whole:
                self._shorten(stack, name, module)

    def _begin(self, module, *given):
        if not ours(self.thread):
            return
        self._end()
        difference = self.trace.run.difference(Run.of(self.model, *given))
        if difference:
            raise ValueError(f"the given trace does not fit this forward: {difference}")
        self.edits = edits(self.model)
        for edit in self.edits:
            edit.done = False
        self.seen.clear()
        self.skipped.clear()
        self.running = True

    def _end(self, *_):
        self.running = self.running and not ours(self.thread)

    def _shorten(self, stack: ExitStack, name: str, module: nn.Module) -> None:
        @wraps(module.forward)
        def shortened(*args, **kwargs):
            if not ours(self.thread):
                return shortened.below(*args, **kwargs)
            inputs, whole = leaves([args, kwargs]), self.trace.whole[name]
            if not self._may_skip(name, module) or Whole.say(inputs) != whole.shapes:
                return shortened.below(*args, **kwargs)
            self.skipped.append(name)
            return _as_it_was(self.trace[name].to(inputs[0].device if inputs else None), whole.stride)

        put_on(module, shortened)
        stack.callback(take_off, module, shortened)

    def _may_skip(self, name: str, module: nn.Module) -> bool:
        first_call = name not in self.seen
        self.seen.add(name)
        inside = (part for part in module.modules() if part is not module)
        return (
            self.running
            and first_call
            and self.trace.calls[name] == 1
            and not any(edit.done for edit in self.edits)
            and not any(part._forward_hooks for part in inside)
        )


def put_on(module: nn.Module, forward) -> None:
    """Let ``forward`` stand in the module's place; ``forward.below`` is what stood there."""
    with CHANGING:
        forward.own, forward.below = vars(module).get("forward"), module.forward
        module.forward = forward


def take_off(module: nn.Module, forward) -> None:
    """Undo ``put_on``, in whatever order threads come and go: who was put on later stays."""
    with CHANGING:
        above = vars(module).get("forward")
        if above is forward:
            if forward.own is None:
                del module.forward
            else:
                module.forward = forward.own
            return
        while above is not None and getattr(above, "own", None) is not forward:
            above = getattr(above, "own", None)
        if above is not None:
            above.own, above.below = forward.own, forward.below


def _as_it_was(value: Tensor, stride: tuple[int, ...]) -> Tensor:
    """A copy laid out in memory as the layer had laid it out: the next layer's sums then round the same way."""
    if any(step == 0 and size > 1 for step, size in zip(stride, value.shape, strict=True)):
        return value.clone()
    return torch.empty_strided(value.shape, stride, dtype=value.dtype, device=value.device).copy_(value)
