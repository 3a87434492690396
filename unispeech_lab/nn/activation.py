"""Activations by name: the four that the documentation promises, with a few neighbours checkpoints use."""

from collections.abc import Callable
from copy import deepcopy
from functools import partial

from torch import nn

ACTIVATIONS = {
    "gelu": nn.GELU,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "gelu_new": partial(nn.GELU, approximate="tanh"),
    "gelu_pytorch_tanh": partial(nn.GELU, approximate="tanh"),
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "mish": nn.Mish,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "leaky_relu": nn.LeakyReLU,
    "linear": nn.Identity,
}


class Pointwise(nn.Module):
    """A plain function in a layer's clothes, so that it has a name to record."""

    def __init__(self, function: Callable):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def activation(named: str | Callable) -> nn.Module:
    """The layer that a config's ``hidden_act`` or ``feat_extract_activation`` names.

    Raises:
        ValueError: the name is not known; the message lists those that are.
    """
    if isinstance(named, nn.Module):
        return deepcopy(named)  # each place has its own: one name, one set of weights
    if callable(named):
        return Pointwise(named)
    if named not in ACTIVATIONS:
        raise ValueError(f"expected an activation out of {', '.join(ACTIVATIONS)} or a function, found {named!r}")
    return ACTIVATIONS[named]()
