"""Entropy: how much the quantizer hesitates between its codewords, frame by frame.

    H(t) = -sum_v p(v | t) log p(v | t)        exp H(t): between how many codewords
    hard perplexity = sum_g exp H(shares of the arg-max)     soft perplexity = sum_g exp H(mean over frames of p)

What training rewards (the diversity loss) is the soft perplexity. It is high for a quantizer that never makes up its
mind, too: the hard one tells those apart.
"""

import numpy as np

from unispeech_lab import codebook
from unispeech_lab.views.panel import Axis, Knob, Lines, Panel, clock
from unispeech_lab.views.reading import clock_of, find

watches = ("quantizer.codes", "quantizer.logits")

WINDOWS = (100, 200, 500, 1000, 2000, 5000)  # ms


def knobs(trace, utterance) -> dict[str, Knob]:
    seconds = len(utterance.waveform) / utterance.rate
    windows = tuple(ms for ms in WINDOWS if ms / 1000 < seconds) or WINDOWS[:1]
    return {"window": Knob(windows, windows[min(2, len(windows) - 1)], "window of perplexity, ms")}


def panels(trace, utterance, window: int) -> list[Panel]:
    """Entropy of each frame and group; beneath, both perplexities in a window that moves along."""
    (codes,) = find(trace, "quantizer.codes").values()  # (t, g)
    (logits,) = find(trace, "quantizer.logits").values()  # (t, g, v)
    groups, size = logits.shape[1:]
    frames = clock_of(trace)
    moments, time = frames.centre(np.arange(len(codes))), clock(len(utterance.waveform) / utterance.rate)
    shares = codebook.softmax(logits)
    hesitation = codebook.entropy(shares)  # (t, g)
    between = np.exp(hesitation.mean(0))
    said = ", ".join(f"{count:.1f} in group {group}" for group, count in enumerate(between))
    doubt = float(moments[hesitation.mean(1).argmax()])
    first = Panel(
        "entropy",
        "Entropy of the choice",
        (Lines(moments, hesitation.T, tuple(f"group {group}" for group in range(groups)), "nats"),),
        time,
        Axis("entropy", "nats", -0.04 * np.log(size), 1.04 * np.log(size), counted(size)),
        f"A frame hesitates between {said} of {size} codewords, exp(entropy), in parentheses; most at {doubt:.2f} s.",
        weight=1.3,
    )
    width = max(round(window / 1000 * frames.rate / frames.hop), 1)
    chosen = np.eye(size, dtype=np.float32)[codes]  # (t, g, v)
    curves = [np.exp(codebook.entropy(codebook.moving(every, width))).sum(1) for every in (chosen, shares)]
    hard, soft = codebook.perplexity(chosen.sum(0)), codebook.perplexity(shares.mean(0))
    second = Panel(
        "perplexity",
        f"Perplexity within {window} ms",
        (Lines(moments, np.stack(curves), ("hard", "soft"), "codewords"),),
        time,
        Axis("perplexity", "codewords", 0.0, 1.08 * float(max(map(np.max, curves)))),
        f"{told(hard, soft)} Summed over groups, in all the utterance: at most {groups * size}.",
        weight=1.3,
    )
    return [first, second]


def told(hard: float, soft: float) -> str:
    """Both perplexities, then what their difference means."""
    text = f"Hard {hard:.1f} (codes chosen), soft {soft:.1f} (their probabilities)"
    if soft > 1.1 * hard:
        return f"{text}: {soft / hard - 1:.0%} more get probability than are chosen."
    if hard > 1.1 * soft:
        return f"{text}: {hard / soft - 1:.0%} more are chosen than probability lets expect."
    return f"{text}: nearly the same, what gets probability is chosen."


def counted(size: int) -> tuple[tuple[float, str], ...]:
    """Places on an axis of nats, with how many codewords they are."""
    counts = [count for count in (1, 4, 16, 64, 256, 1024) if count <= size]
    return tuple((float(np.log(count)), f"{np.log(count):.1f} ({count})") for count in counts)
