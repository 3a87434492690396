"""Tap: an identity layer that gives a name to a value no layer outputs.

A hook can watch any layer's output; a tap makes an inner value (an attention pattern, the codes, the mask) such an
output. It owns no parameter, so it adds no key to a checkpoint.
"""

from torch import Tensor, nn


class Tap(nn.Module):
    """Return the value unchanged, under a name that ``record`` and ``edit`` can reach.

    >>> self.pattern = Tap()                  # in a layer's __init__
    >>> pattern = self.pattern(pattern)       # in its forward: now "....pattern" can be recorded and edited
    """

    def forward(self, value: Tensor) -> Tensor:
        return value

    @property
    def watched(self) -> bool:
        """Whether somebody looks at this value: a layer may take a faster way when nobody does."""
        return bool(self._forward_hooks)
