"""Posteriors: what the CTC layer believes is being said, frame by frame."""

from collections.abc import Sequence

import numpy as np

from unispeech_lab.views.panel import Axis, Heatmap, Knob, Panel, Spans, clock, runs
from unispeech_lab.views.reading import clock_of, find

watches = ("ctc_proj|lm_head",)  # of the pretraining model, of UniSpeechForCTC

SHOWN = ("p", "log p")
FLOOR = -12.0  # nats: what is rarer than one in 160,000 is drawn as that


def knobs(trace, utterance) -> dict[str, Knob]:
    classes = logits(trace).shape[1]
    shown = (*(n for n in (8, 16, 32, 64) if n < classes), classes)
    return {"classes": Knob(shown, shown[min(1, len(shown) - 1)], "classes"), "belief": Knob(SHOWN, "p", "shown as")}


def panels(
    trace, utterance, classes: int, belief: str = "p", labels: Sequence[str] | None = None, blank: int | None = None
) -> list[Panel]:
    """Probabilities (class, frame) of the ``classes`` that come nearest to winning; beneath, the winners.

    ``belief``: "p" shows who wins, "log p" (in nats, from ``FLOOR`` up) who comes second, or nowhere near.
    ``labels`` names the classes (as the trace does, if None; their numbers where nobody does); ``blank`` is CTC's empty
    class (the trace's, else 0).
    """
    labels = getattr(trace, "labels", ()) if labels is None else labels
    known = getattr(trace, "blank", None)
    blank = blank if blank is not None else 0 if known is None else known
    p = softmax(logits(trace))  # (t, vocab)
    count, vocabulary = p.shape
    names = ["blank" if v == blank else labels[v] if v < len(labels) else str(v) for v in range(vocabulary)]
    shown = np.sort(np.argsort(-p.max(0), kind="stable")[:classes])
    winners = p.argmax(1)
    edges = clock_of(trace).edges(count)
    read = [span for span in runs(winners.tolist(), edges) if int(span.label) != blank]

    picture = believed(p[:, shown], belief, edges, tuple(names[v] for v in shown))
    every = max(1, -(-len(shown) // 16))
    names_shown = [(row + 0.5, names[v]) for row, v in enumerate(shown) if row % every == 0]
    room = 0.2 * len(shown)  # beneath the picture, for the reading
    greedy = Spans("reading", [rename(span, names) for span in read], (-room, -0.15 * room))
    empty = float((winners == blank).mean()) if count else 0.0
    sure = float(p.max(1).mean()) if count else 0.0
    words = (
        f"The winner has {sure:.0%} of the belief (by chance {1 / vocabulary:.1%}); "
        f"blank wins {empty:.0%} of the frames; {len(read)} symbols are read."
    )
    axis = Axis("class", "", -room, float(len(shown)), (*names_shown, (-0.55 * room, "reading")))
    time = clock(len(utterance.waveform) / utterance.rate)
    return [Panel("posteriors", f"CTC posteriors, {belief}", (picture, greedy), time, axis, words, weight=2.2)]


def believed(p: np.ndarray, belief: str, edges: np.ndarray, rows: tuple[str, ...]) -> Heatmap:
    """Probabilities (t, rows) as a picture: as they are, or in natural logarithms."""
    place = (float(edges[0]), float(edges[-1])), (0.0, float(len(rows)))
    if belief == "p":
        return Heatmap(p.T, *place, 0.0, max(float(p.max(initial=0)), 1e-6), quantity="probability", rows=rows)
    values = np.log(np.maximum(p, np.exp(FLOOR))).T
    return Heatmap(values, *place, FLOOR, 0.0, "nats", "log p", rows)


def logits(trace) -> np.ndarray:
    """The CTC layer's output (t, vocab), under the name of either head."""
    (values,) = find(trace, "ctc_proj", "lm_head").values()
    return values


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def rename(span, names):
    return type(span)(names[int(span.label)], span.start, span.end, span.score)
