"""Openly: let the attention of transformers' models say its patterns.

Their attention gives what it attends to as the second thing it returns, ``attention[1]``, and only where its softmax is
an explicit one; WavLM's gives the mean over the heads. While ``openly(model)`` lasts, all give every head's own.

    with openly(model), record(model, "encoder.layers.*.attention[1]", keep=each_head) as trace:
        model(**inputs)                              # (b, h, t, t), each row sums to one
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


@contextmanager
def openly(model: nn.Module) -> Iterator[None]:
    """Explicit attention, head by head, in models of transformers; others run as they are.

    Other threads that use the model meanwhile get explicit attention as well: slower, the same but for rounding.
    """
    configs = {id(part.config): part.config for part in model.modules() if hasattr(part, "config")}
    chosen = [(config, getattr(config, "_attn_implementation", None)) for config in configs.values()]
    chosen = [(config, kind) for config, kind in chosen if kind not in (None, "eager")]
    try:
        for config, _ in chosen:
            config._attn_implementation = "eager"
        with EveryHead():
            yield
    finally:
        for config, kind in chosen:
            config._attn_implementation = kind


class EveryHead(TorchFunctionMode):
    """torch's multi-head attention, as WavLM calls it, gives each head's weights (b, h, t, t), not their mean."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if function is F.multi_head_attention_forward:
            kwargs = kwargs | {"average_attn_weights": False}
        return function(*args, **kwargs)


def each_head(pattern: Tensor) -> Tensor:
    """The pattern (b, h, t, t): WavLM takes what torch gives for a mean, and repeats it once a head."""
    return pattern[:, 0] if pattern.ndim == 5 else pattern
