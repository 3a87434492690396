"""Estimate: what a recording will take, before the forward is run.

The model runs on tensors that have a shape and no numbers. Only what depends on neither the weights nor the waveform
(masks, lengths, draws) is computed, because a forward may look at it to decide what to do.
"""

from collections.abc import Mapping
from contextlib import ExitStack

import pandas as pd
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from unispeech_lab.trace.places import Change, Place, choices, find, hook, pick, run_eagerly


def estimate(model: nn.Module, *names: str, inputs, keep: Change | Mapping[str, Change] | None = None) -> pd.DataFrame:
    """What ``record`` with the same names would keep: one row a value, with its shape, dtype and bytes.

    >>> estimate(model, "attention.pattern", inputs=batch).bytes.sum()

    ``inputs`` is what the model will be given: a dict of arguments, a tuple of them, or one tensor. Raises what
    ``record`` raises for its names, and ValueError where the forward looks at a number that the weights decide.
    """
    places = find(model, names)
    keeps = choices(places, keep)
    hollow = _Hollow()
    inputs = tree_map(hollow.empty, dict(inputs) if isinstance(inputs, Mapping) else inputs)
    rows: dict[str, dict] = {}
    with ExitStack() as stack:
        run_eagerly(stack)
        for place in places:
            hook(stack, place.module, _measure(rows, place, keeps.get(place.name)))
        stack.enter_context(torch.no_grad())
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(hollow)
        try:
            if isinstance(inputs, dict):
                model(**inputs)
            else:
                model(*(inputs if isinstance(inputs, (tuple, list)) else [inputs]))
        except DataDependentOutputException as error:
            raise ValueError(
                f"{type(model).__name__} looks at a number that only the real forward knows ({error}): "
                f"record one short utterance and scale its trace.table"
            ) from error
    return pd.DataFrame(rows.values(), columns=["name", "shape", "dtype", "bytes"]).set_index("name")


def _measure(rows: dict, place: Place, choose: Change | None):
    def measure(module, args, kwargs, output):
        value = pick(output, place)
        value = value if choose is None else choose(value)
        dtype = str(value.dtype).removeprefix("torch.")
        size = value.numel() * value.element_size()
        rows.pop(place.name, None)
        rows[place.name] = {"name": place.name, "shape": tuple(value.shape), "dtype": dtype, "bytes": size}

    return measure


class _Hollow(TorchDispatchMode):
    """Operations on weights, and on what came of them, yield tensors without numbers; all others are computed."""

    def __init__(self):
        super().__init__()
        self.fake = FakeTensorMode(allow_non_fake_inputs=True)

    def empty(self, thing):
        """The same tensor without its numbers, where those are a signal; anything else (a mask) as it is."""
        if isinstance(thing, torch.Generator):
            return thing.clone_state()  # what is drawn here is not spent
        return self.fake.from_tensor(thing) if isinstance(thing, Tensor) and thing.is_floating_point() else thing

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if any(isinstance(thing, (FakeTensor, nn.Parameter)) for thing in tree_leaves((args, kwargs))):
            drawn = {
                key: None if isinstance(thing, torch.Generator) else thing for key, thing in (kwargs or {}).items()
            }
            with self.fake:  # no numbers, so no draws either
                return func(*args, **drawn)
        return func(*args, **(kwargs or {}))
