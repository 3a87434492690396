"""Places: how a name such as ``layers.3.attention.pattern`` becomes a layer of a model that can be watched.

A name is matched like a path, by segments, from the right: ``layers.*`` is exactly the layers, never their parts, and
``layers.3`` finds ``unispeech.encoder.layers.3``. In a segment, ``*``, ``?`` and ``[0-3]`` are the usual wildcards. A
leading dot ties the name to the model's own root: ``.dropout`` is not ``layers.0.dropout``. ``attention[1]`` is the
second thing that ``attention`` returns, where a layer returns several.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from copy import copy
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from threading import get_ident

import torch
from torch import Tensor, nn

Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Place:
    """One output of one layer. ``item`` counts among the things that the layer returns; None is its first tensor."""

    name: str
    module: nn.Module
    item: int | None = None


def _split(name: str) -> tuple[list[str], int | None]:
    """The segments of a name, and the item in brackets at its end."""
    found = re.fullmatch(r"(.*[^.])\[(\d+)\]", name)
    return (found[1].split("."), int(found[2])) if found else (name.split("."), None)


def matches(name: str, pattern: str) -> bool:
    """Whether a full name is meant by a pattern: segment by segment, from the right."""
    (segments, item), (wanted, wanted_item) = _split(name), _split(pattern)
    if wanted[0] == "" and len(wanted) > 1:
        segments = ["", *segments]
        if len(segments) != len(wanted):
            return False
    tail = segments[-len(wanted) :]
    return item == wanted_item and len(tail) == len(wanted) and all(map(fnmatchcase, tail, wanted))


def nearest(pattern: str, names: Iterable[str]) -> str:
    """Real names that look like the pattern, as words for an error message."""
    names = list(names)
    wanted, _ = _split(pattern.removeprefix("."))
    tails = dict.fromkeys(".".join(name.split(".")[-len(wanted) :]) for name in names)
    close = get_close_matches(".".join(wanted), tails, n=4, cutoff=0.4) or list(dict.fromkeys(names))[:8]
    return ", ".join(close) or "none at all"


def find(model: nn.Module, patterns: Iterable[str]) -> list[Place]:
    """Every place that a pattern means, in the order of the model's definition, each once.

    Raises KeyError when a pattern means nothing, naming the nearest real names, and ValueError without any pattern.
    """
    patterns = list(patterns)
    modules = {name: module for name, module in model.named_modules() if name}
    globs = {}  # pattern -> (pattern without its item, item)
    for pattern in patterns:
        item = _split(pattern)[1]
        globs[pattern] = (pattern if item is None else pattern[: pattern.rindex("[")], item)
    if not patterns:
        raise ValueError('expected at least one name, found none: try "*" for every layer of the model')
    for pattern, (glob, _) in globs.items():
        if not any(matches(name, glob) for name in modules):
            raise KeyError(
                f"no layer of {type(model).__name__} is called {pattern!r}; nearest: {nearest(glob, modules)}"
            )
    places = {}
    for name, module in modules.items():
        for glob, item in globs.values():
            if matches(name, glob):
                full = name if item is None else f"{name}[{item}]"
                places.setdefault(full, Place(full, module, item))
    return list(places.values())


def choices(places: list[Place], keep: Change | Mapping[str, Change] | None) -> dict[str, Change]:
    """Which part of its value each place keeps: name -> function, for those that do not keep all of it.

    Raises KeyError when ``keep`` has a pattern that means none of the places.
    """
    if not isinstance(keep, Mapping):
        return {} if keep is None else {place.name: keep for place in places}
    names = [place.name for place in places]
    for pattern in keep:
        if not any(matches(name, pattern) for name in names):
            raise KeyError(f"keep= names {pattern!r}, which is not recorded; nearest: {nearest(pattern, names)}")
    return {name: keep[pattern] for pattern in reversed(keep) for name in names if matches(name, pattern)}


def _parts(output) -> dict:
    """What a layer returned, taken apart: key -> thing."""
    if isinstance(output, Mapping):
        return dict(output)
    if is_dataclass(output):
        return {field.name: getattr(output, field.name) for field in fields(output)}
    return dict(enumerate(output)) if isinstance(output, (tuple, list)) else {0: output}


def _key(output, place: Place):
    """Under which key of ``_parts(output)`` the place's value is."""
    parts = _parts(output)
    if place.item is None:
        keys = [key for key, part in parts.items() if isinstance(part, Tensor)]
        if not keys:
            raise TypeError(f"expected a tensor from {place.name}, found {type(output).__name__} without any")
        return keys[0]
    if place.item >= len(parts):
        raise TypeError(f"expected {place.item + 1} things or more from {place.name}, found {len(parts)}")
    key = list(parts)[place.item]
    if not isinstance(parts[key], Tensor):
        raise TypeError(f"expected a tensor as {place.name}, found {type(parts[key]).__name__}")
    return key


def pick(output, place: Place) -> Tensor:
    """The place's value in what its layer returned. Raises TypeError when that is no tensor."""
    return _parts(output)[_key(output, place)]


def put(output, place: Place, value: Tensor):
    """What the layer returned, with another value at the place. The given output is not touched."""
    if isinstance(output, Tensor):
        return value
    key = _key(output, place)
    if isinstance(output, Mapping):
        changed = copy(output)
        changed[key] = value
        return changed
    if is_dataclass(output):
        return replace(output, **{key: value})
    parts = [*output[:key], value, *output[key + 1 :]]
    return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)


def leaves(thing) -> list[Tensor]:
    """All tensors in nested tuples, lists and dicts."""
    if isinstance(thing, Tensor):
        return [thing]
    inner = thing.values() if isinstance(thing, Mapping) else thing if isinstance(thing, (tuple, list)) else ()
    return [leaf for part in inner for leaf in leaves(part)]


def hook(stack: ExitStack, module: nn.Module, watcher) -> None:
    """Let ``watcher(module, args, kwargs, output)`` see this thread's calls until the stack closes, in its ``turn``.

    Edits (turn 0) come before everybody who looks (turn 1, and hooks of others), so that all see what the next layer
    sees; whoever stops the forward (turn 2) comes last. Equal turns keep the order in which they were set.
    """
    thread = get_ident()

    def watch(module, *given):
        return watcher(module, *given) if ours(thread) else None

    watch.turn, watch.watcher, watch.thread = getattr(watcher, "turn", 1), watcher, thread
    stack.callback(module.register_forward_hook(watch, with_kwargs=True).remove)
    hooks = module._forward_hooks
    for key in sorted(hooks, key=lambda key: getattr(hooks[key], "turn", 1)):
        hooks.move_to_end(key)


def ours(thread: int) -> bool:
    """Whether who watches from ``thread`` means this call: one of its own, or a layer run again by a backward.

    A model may serve several threads at once; what one of them watches or edits is not the others' business. While
    torch adds or removes a hook, these may call it without its kwargs: a hook takes whatever comes, then asks here.
    """
    return get_ident() == thread or torch._C._current_graph_task_id() != -1


def run_eagerly(stack: ExitStack) -> None:
    """Let compiled models run uncompiled until the stack closes: compiled code does not call hooks set after it."""
    if "torch._dynamo" in sys.modules:
        stack.enter_context(torch.compiler.set_stance("force_eager"))
