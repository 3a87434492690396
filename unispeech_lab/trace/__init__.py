"""Look inside any model in a forward: record its values, edit them, resume from them."""

from .estimate import estimate
from .trace import Trace, edit, record

__all__ = ["Trace", "edit", "estimate", "record"]
