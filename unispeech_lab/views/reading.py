"""Reading: how a view takes plain arrays out of a trace.

A view is given whatever was recorded: names to tensors or arrays, of one utterance (b = 1).
"""

from collections.abc import Mapping

import numpy as np

from unispeech_lab.frames import Frames
from unispeech_lab.trace.places import matches


def find(trace: Mapping, *patterns: str) -> dict[str, np.ndarray]:
    """The arrays that one of the patterns means (matched as ``record`` matches names), without their batch axis.

    ``"a|b"`` is two patterns.

    Raises ``KeyError`` where there is none, and says what to record; ``ValueError`` for several utterances at once.
    """
    patterns = tuple(pattern for several in patterns for pattern in several.split("|"))
    found = {name: trace[name] for name in trace if any(matches(name, pattern) for pattern in patterns)}
    if not found:
        wanted = " or ".join(repr(pattern) for pattern in patterns)
        names = ", ".join(map(str, trace)) or "nothing"
        raise KeyError(
            f"expected {wanted} in the trace, found {names}: with record(model, {patterns[0]!r}) as trace: ..."
        )
    return {name: single(name, value) for name, value in found.items()}


def layers(trace: Mapping, pattern: str) -> dict[int, np.ndarray]:
    """The same, keyed by the number at the pattern's ``*``: ``layers(trace, "encoder.layers.*.attention.pattern")``."""
    back = pattern.split(".")[::-1].index("*") + 1
    found = find(trace, pattern)
    return {int(name.split(".")[-back]): found[name] for name in sorted(found, key=lambda n: int(n.split(".")[-back]))}


def clock_of(trace: Mapping) -> Frames:
    """The frames of whatever was watched; UniSpeech's own where the trace does not say."""
    return getattr(trace, "frames", None) or Frames()


def single(name: str, value) -> np.ndarray:
    """One utterance's array: the batch axis dropped, on the CPU, in a type numpy knows."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = (value.float() if value.is_floating_point() else value).numpy()
    if len(value) != 1:
        raise ValueError(
            f"expected one utterance in {name!r}, found a batch of {len(value)}: record one utterance to look at it"
        )
    return value[0]
