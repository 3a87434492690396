"""Codebooks: how far two models agree on where one code ends, whatever number each gives it.

Codes have no order: those of one model are matched to those of the other one to one, so that the pairs share as many
frames as can be. With as few frames as an utterance has, some agreement is chance: the words say how much.
"""

import numpy as np

from unispeech_lab import codebook
from unispeech_lab.codebook import JOINT
from unispeech_lab.survey import Survey
from unispeech_lab.views.asking import Hear
from unispeech_lab.views.panel import Axis, Bars, Heatmap, Knob, Panel, Spans, clock, runs
from unispeech_lab.views.reading import clock_of, find

watches = ("quantizer.codes",)
compares = True

LEGEND = (("", "this"), ("▲", "other"))


def knobs(trace, utterance) -> dict[str, Knob]:
    (codes,) = find(trace, watches[0]).values()
    groups = codes.shape[1]
    return {"group": Knob((*range(groups), *([JOINT] if groups > 1 else [])), 0, "group")}


def asks(trace, utterance) -> dict:
    return {"other": Hear(utterance, watches, other=True)}


def panels(trace, utterance, group: int | str, other) -> list[Panel]:
    """Both models' codes over time, the other's under the names of this one's; which met which; who is used more."""
    (ours,), (theirs,) = (find(seen, watches[0]).values() for seen in (trace, other))
    pair = Pair(ours, theirs, group)
    edges, tiers = clock_of(trace).edges(len(ours)), []
    renamed = [pair.names[k] if k >= 0 else "–" for k in pair.back[pair.other]]
    tracks = ("this model", [pair.names[k] for k in pair.this]), ("the other, renamed", renamed)
    for row, (tier, names) in enumerate(tracks):
        spans = runs(names, edges)
        starts = np.searchsorted(edges, [span.start + 1e-9 for span in spans], side="right") - 1
        shades = np.add.reduceat(pair.same.astype(float), starts) / np.diff(starts, append=len(names))
        tiers.append(Spans(tier, spans, (1.0 - row, 2.0 - row), shades))
    words = f"Bright where both agree: in {pair.same.mean():.0%} of {len(ours)} frames, after the best renaming."
    axis = Axis("model", "", 0.0, 2.0, ((1.5, "this"), (0.5, "other")))
    time = clock(len(utterance.waveform) / utterance.rate)
    track = Panel("codebooks", f"Codes of two models, {titled(group)}", tiers, time, axis, words, weight=0.9)
    return [track, *pictures(pair, group)]


def over(survey: Survey, other: Survey, group: int | str = 0) -> list[Panel]:
    """The same over a corpus that both models have heard, without time.

    Raises:
        ValueError: they have not heard the same utterances.
    """
    ours, theirs = ([utterance.id for utterance in each.utterances] for each in (survey, other))
    if ours != theirs:
        raise ValueError(f"expected two surveys of one corpus, found {len(ours)} and {len(theirs)} utterances")
    return pictures(Pair(survey[watches[0]], other[watches[0]], group), group)


class Pair:
    """The codes of two models for the same frames (t,), ``this`` and ``other``, and who is whose partner."""

    def __init__(self, ours: np.ndarray, theirs: np.ndarray, group: int | str):
        self.this, self.names = numbered(ours, group, "this model")
        self.other, self.others = numbered(theirs, group, "the other")
        self.counts = codebook.confusion(self.this, self.other, (len(self.names), len(self.others)))
        partners = codebook.match(self.counts)
        self.back = np.full(len(self.others), -1)  # of the other's codes to this one's
        self.back[partners[partners >= 0]] = np.flatnonzero(partners >= 0)
        self.same = self.back[self.other] == self.this
        uses = self.counts.sum(1)
        order = np.lexsort((-uses, partners < 0))  # those with a partner first, the busy ones of these first
        self.columns, self.partners = order[uses[order] > 0], partners
        met = partners[self.columns]
        alone = np.setdiff1d(np.flatnonzero(self.counts.sum(0)), met)
        self.rows = np.concatenate([met[met >= 0], alone])


def numbered(codes: np.ndarray, group: int | str, whose: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """One number a frame (t,), and the names of the numbers."""
    if group == JOINT:
        return codebook.most_joint(codes, len(codes))
    if group >= codes.shape[1]:
        raise ValueError(f"expected {whose} to have a group {group}, found {codes.shape[1]} group(s): compare group 0")
    return codes[:, group], tuple(map(str, range(int(codes[:, group].max(initial=0)) + 1)))


def titled(group: int | str) -> str:
    return "joint codes" if group == JOINT else f"group {group}"


def pictures(pair: Pair, group: int | str) -> list[Panel]:
    """Which codes met which, partners on the diagonal; how much more one model uses a code than the other."""
    counts = pair.counts[np.ix_(pair.columns, pair.rows)].T
    width, height = float(len(pair.columns)), float(len(pair.rows))
    rows = tuple(pair.others[k] for k in pair.rows[::-1])
    found = {"codes": pair.this, "phones": pair.other.astype(object)}
    nmi, by_chance = codebook.agreement(**found)["nmi"], codebook.chance(**found)
    picture = Heatmap(
        counts[::-1] / pair.counts.sum(1)[pair.columns],
        (0.0, width),
        (0.0, height),
        0.0,
        1.0,
        quantity="share of this code's frames",
        rows=rows,
        columns=tuple(pair.names[k] for k in pair.columns),
    )
    met = int((pair.partners >= 0).sum())
    words = (
        f"NMI {nmi:.2f}, by chance {by_chance:.2f}; {met} of {len(pair.columns)} codes have a partner, "
        f"{pair.same.mean():.0%} of {len(pair.this)} frames the partner of their code."
    )
    heat = Panel(
        "confusion",
        f"Codes of the other by codes of this, {titled(group)}",
        (picture,),
        Axis("code of this model, most used first", "", 0.0, width),
        Axis("code of the other", "", 0.0, height, tuple((k + 0.5, name) for k, name in enumerate(rows))),
        words,
        weight=4.0,
        share=0.55,
    )
    return [heat, usages(pair)]


def usages(pair: Pair) -> Panel:
    """How much more often (in % of frames) the other model uses the partner of each code."""
    here = pair.counts.sum(1)[pair.columns]
    partners = pair.partners[pair.columns]
    there = np.where(partners >= 0, pair.counts.sum(0)[partners], 0)
    more = 100 * (there - here) / max(len(pair.this), 1)
    names = tuple(pair.names[k] for k in pair.columns)
    top = 1.2 * max(float(np.abs(more).max(initial=0)), 0.1)
    bars = Bars(more, names, (more > 0).astype(int), LEGEND, unit="%", quantity="difference of use")
    moved = np.abs(more).sum() / 2
    words = f"{moved:.0f}% of the frames are used otherwise"
    if moved > 0:
        most = int(np.abs(more).argmax())
        words += f"; most of all code {names[most]}, {more[most]:+.1f}%"
    axes = Axis("code of this model, most used first", "", 0.0, float(len(more))), Axis("frames", "%", -top, top)
    return Panel("differences", "Use, other less this", (bars,), *axes, f"{words}.", weight=4.0, share=0.45)
