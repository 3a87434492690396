"""Reading: how a view takes plain arrays out of a trace.

A view is given whatever was recorded: names to tensors or arrays, of one utterance (b = 1).
"""

from collections.abc import Mapping

import numpy as np

from unispeech_lab.frames import Frames
from unispeech_lab.trace.places import matches

# Who attends to what, in a model of ours or of transformers'.
PATTERN = "encoder.layers.*.attention.pattern|encoder.layers.*.attention[1]"


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
    """The same, keyed by the number at the pattern's ``*``: ``layers(trace, "encoder.layers.*.attention.pattern")``.

    Conv layers are (t, c), whosever they are: transformers' own say (c, t).
    """
    found = {}
    for choice in pattern.split("|"):
        back = choice.split(".")[::-1].index("*") + 1
        there = [name for name in trace if matches(name, choice)]
        found |= {int(name.split(".")[-back]): single(name, trace[name]) for name in there}
    if not found:
        find(trace, pattern)  # says what is wanted
    return upright(trace, {number: found[number] for number in sorted(found)}, pattern)


def upright(trace: Mapping, found: dict[int, np.ndarray], pattern: str) -> dict[int, np.ndarray]:
    """Conv layers' values with time first; what they say as (c, t) is told by the number of frames."""
    samples = getattr(trace, "samples", None)
    if "conv_layers" not in pattern or samples is None:
        return found
    counts = {number: clock_of(trace).up_to(number + 1).count(samples) for number in found}
    # All layers of a front end are of one mind; where there are as many channels as frames, the others tell.
    sideways = any(len(value) != counts[k] == value.shape[1] for k, value in found.items())
    return {k: value.T if sideways else value for k, value in found.items()}


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
