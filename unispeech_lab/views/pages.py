"""Pages: a long recording, cut where it is quiet into stretches that are heard and shown one at a time.

Attention is of every frame with every frame, so that memory grows with the square of what is heard at once: a page is
as long as all heads' patterns fit into ``MOST`` bytes, and what lies beyond it is not heard along.
"""

from math import ceil

import numpy as np

from unispeech_lab.corpus import Utterance
from unispeech_lab.frames import Frames

MOST = 128 * 2**20  # bytes of all heads' patterns of one page
SHORTEST, LONGEST = 5.0, 30.0  # seconds of a page
AROUND, QUIET = 0.1, 0.1  # a cut may be moved by this share of a page; to the quietest so many seconds


def pages(model, utterance: Utterance) -> tuple[Utterance, ...]:
    """The recording itself if it is short, else clips of about the same length, one after another."""
    seconds, longest = utterance.seconds, page_seconds(model)
    if seconds <= longest:
        return (utterance,)
    room = longest * (1 - AROUND)  # a page that grows at both ends is no longer than the longest
    even = np.linspace(0, seconds, ceil(seconds / room) + 1)
    reach = even[1] * AROUND / 2
    cuts = [quietest(utterance.waveform, utterance.rate, at - reach, at + reach) for at in even[1:-1]]
    return tuple(utterance.clip(*pair) for pair in zip([0.0, *cuts], [*cuts, seconds], strict=True))


def page_seconds(model) -> float:
    """Seconds that this model hears at once: fewer, the more heads it has."""
    config = getattr(model, "config", None)
    heads = getattr(config, "num_hidden_layers", 12) * getattr(config, "num_attention_heads", 12)
    frames = getattr(config, "frames", None) or Frames()
    return min(max((MOST / 4 / heads) ** 0.5 * frames.hop / frames.rate, SHORTEST), LONGEST)


def quietest(waveform: np.ndarray, rate: int, start: float, end: float) -> float:
    """The middle of the stretch of ``QUIET`` seconds with the least energy between two moments."""
    first, last, width = round(start * rate), round(end * rate), round(QUIET * rate)
    energy = np.cumsum(np.square(waveform[first:last], dtype=np.float64))
    sums = energy[width:] - energy[:-width]
    return (first + int(sums.argmin()) + width / 2) / rate if len(sums) else (start + end) / 2


def weight(trace) -> int:
    """Bytes of what was recorded."""
    return sum(value.nbytes for value in trace.values())
