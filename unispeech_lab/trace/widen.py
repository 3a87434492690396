"""Widen: one utterance until a layer, from there on several versions of it side by side, as a batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident

import torch
from torch import Tensor, nn

from unispeech_lab.trace.places import find, ours


@contextmanager
def widen(model: nn.Module, name: str, versions: int) -> Iterator[None]:
    """Give the named layer its one utterance ``versions`` times, so that it and all after it run for each.

    With an ``edit`` of something inside the layer each version can have a change of its own, at the price of one
    forward with a batch:

    >>> with widen(model, "layers.3", 4), edit(model, {"layers.3.attention.pattern": silence_head_i_in_version_i}):
    ...     model(**inputs).ctc_logits  # (4, t, classes)

    Of the layer's arguments, tensors (1, t, d) become (versions, t, d); a mask (1, t) holds for all of them.

    Raises KeyError for an unknown name, ValueError for one that several layers have.
    """
    places = find(model, [name])
    if len(places) != 1:
        raise ValueError(f"expected one layer to widen, found {', '.join(place.name for place in places)}")
    thread = get_ident()

    def several(value):
        wide = isinstance(value, Tensor) and value.ndim == 3 and len(value) == 1 and value.dtype != torch.bool
        return value.expand(versions, *value.shape[1:]) if wide else value

    def begin(module, *given):
        if not ours(thread):
            return None
        args, kwargs = given
        return tuple(map(several, args)), {key: several(value) for key, value in kwargs.items()}

    handle = places[0].module.register_forward_pre_hook(begin, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()
