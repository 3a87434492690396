"""Contrast: one hidden frame against its negatives, each to be heard, those of the same phone marked."""

import math
from dataclasses import dataclass

import numpy as np

from unispeech_lab.alignment import Span
from unispeech_lab.analysis.anatomy import step_of
from unispeech_lab.analysis.anatomy import training_step as hear
from unispeech_lab.analysis.negatives import PAUSE, chance, phones
from unispeech_lab.objective import Objective, Step, unit
from unispeech_lab.views.panel import Axis, Bars, Knob, Lines, Panel, Spans, clock
from unispeech_lab.views.reading import clock_of, find

__all__ = ["by_phone", "hear", "knobs", "panels", "watches"]

watches = ("replaced", "ctc_proj")  # what a model must have to be laid open; an Anatomy has all that is drawn

LEGEND = (("★", "positive"), ("", "other phone"), ("●", "same phone"), ("×", "left out"))
POSITIVE, OTHER, SAME, LEFT_OUT = range(4)
NAMES = ("positive", "other", "same", "left out")  # where there is little room
ALONE, AROUND = "25 ms", "125 ms"  # what a frame hears is hardly speech: with 50 ms on either side it is
BESIDE = {ALONE: 0.0, AROUND: 0.05}


def knobs(trace, utterance) -> dict[str, Knob]:
    (predicted,) = find(trace, "step.predicted").values()
    (negatives,) = find(trace, "step.negatives").values()
    told = np.flatnonzero(predicted & (negatives >= 0).any(1)).tolist() or [0]
    count = 1 + int((negatives[told] >= 0).sum(1).max())
    shown = (*(n for n in (25, 50) if n < count), count)
    heard = (ALONE, AROUND) if len(utterance.waveform) > clock_of(trace).receptive_field else (ALONE,)
    return {
        "frame": Knob(told, told[len(told) // 2], "frame"),
        "nearest": Knob(shown, shown[min(1, len(shown) - 1)], "nearest"),
        "sound": Knob(heard, ALONE, "a bar plays"),
    }


def panels(
    trace, utterance, frame: int, nearest: int, sound: str = ALONE, objective: Objective | None = None
) -> list[Panel]:
    """The frame's cosines as bars, nearest first; beneath, where in time its negatives lie.

    ``objective`` says what is left out, at what temperature; the anatomy's if None, or UniSpeech's own.
    """
    objective = objective or getattr(trace, "objective", None) or Objective(blank=0)
    step, frames = step_of(trace), clock_of(trace)
    time = clock(len(utterance.waveform) / utterance.rate)
    said = phones(utterance.phones, frames.centre(np.arange(step.speech.shape[1])))
    told = Candidates.of(step, frame, said if utterance.phones else None, objective)
    names = np.where(said == PAUSE, "–", said) if utterance.phones else np.arange(len(said)).astype(str)

    order = np.argsort(-told.cosines, kind="stable")
    rank = 1 + int(np.flatnonzero(order == 0)[0])
    shown = order[:nearest] if rank <= nearest else np.append(order[: nearest - 1], 0)
    bars = Bars(
        told.cosines[shown],
        tuple(names[told.frames[shown]]),
        told.kinds[shown],
        LEGEND,
        stretches(told.frames[shown], frames, time.stop, BESIDE[sound]),
        quantity="cosine",
    )
    low, high = min(float(bars.heights.min()), 0.0), max(float(bars.heights.max()), 0.0)
    room = 0.2 * (high - low) or 0.1
    place = f", in {said[frame]}" if utterance.phones else ""
    words = (
        f"At {frames.centre(frame):.2f} s{place}: the positive (★) has cosine {told.cosines[0]:.2f}, place {rank} of "
        f"{len(order)}; −log p = {told.surprise:.2f}, guessing {math.log(told.counts.sum()):.2f}."
    )
    if utterance.phones:
        words += f" {told.truth(said[frame], chance(said)[frame])}"
    contrast = Panel(
        "contrast",
        f"Frame {frame} against its negatives, nearest first",
        (bars,),
        Axis("candidates", "", 0.0, float(len(shown))),
        Axis("cosine", "", low - 1.2 * room, high + room),
        words,
        weight=2.6,
    )
    return [contrast, nearness(step, frame, told, names, frames, time)]


@dataclass(frozen=True, eq=False)
class Candidates:
    """What one state is told from: its positive, then its negatives, (m,) each."""

    frames: np.ndarray  # where they lie
    cosines: np.ndarray  # of the state with their codewords
    same: np.ndarray  # bool: the frame's own phone in truth
    counts: np.ndarray  # bool: in the loss; the others have the positive's codes
    surprise: float  # -log p of the positive

    @classmethod
    def of(cls, step: Step, frame: int, said: np.ndarray | None, objective: Objective) -> "Candidates":
        """Of one frame; ``said`` (t,) is the phone of each frame, None where nobody knows."""
        frames = np.array([frame, *step.negatives[0, frame].tolist()])
        there = frames >= 0  # an utterance of one frame has no negative
        frames, cosines = frames[there], step.cosines[0, frame].numpy()[there]
        logits = objective.contrastive_logits(step)[0, frame]
        counts = np.isfinite(logits.numpy()[there])
        same = np.zeros(len(frames), bool) if said is None else said[frames] == said[frame]
        return cls(frames, cosines, same, counts, -float(logits.log_softmax(-1)[0]))

    @property
    def kinds(self) -> np.ndarray:
        """(m,) which entry of ``LEGEND`` each is."""
        kinds = np.where(self.counts, np.where(self.same, SAME, OTHER), LEFT_OUT)
        return np.append(POSITIVE, kinds[1:])

    def truth(self, phone: str, chance: float) -> str:
        """How many negatives are the frame's phone, and how many of these the rule of equal codes takes away."""
        same, left_out = self.same[1:], ~self.counts[1:]
        return (
            f"{same.sum()} of {len(same)} negatives are {phone} in truth ({same.sum() / max(len(same), 1):.0%}, by "
            f"chance {chance:.0%}); {left_out.sum()} have its codes and are left out, {(same & left_out).sum()} of "
            f"them {phone}."
        )


def by_phone(table, most: int = 24) -> list[Panel]:
    """An ``Audit``'s table as bars: of each frequent phone's negatives, how many are false; the line is chance."""
    shown = table[:most]
    false, expected = (100 * shown[name].to_numpy(float) for name in ("false", "chance"))
    legend = (("—", "chance"), ("", "false"))
    names = tuple("–" if phone == PAUSE else phone for phone in shown.index)
    bars = Bars(false, names, np.ones(len(shown), int), legend, unit="%", quantity="false negatives")
    sides = np.arange(len(shown))[:, None] + np.array([0.05, 0.95, 1.0])  # over each bar a stroke, then a break
    line = Lines(sides.ravel(), (expected[:, None] + np.array([0, 0, np.nan])).reshape(1, -1), ("chance",), "%")
    top = 1.2 * max(float(false.max()), float(expected.max()), 1.0)
    words = f"The {len(shown)} most frequent of {len(table)}, {shown.index[0]} first (– is the pause)."
    axes = Axis("phone", "", 0.0, float(len(shown))), Axis("negatives", "%", -0.12 * top, top)
    return [Panel("false", "False negatives by phone", (bars, line), *axes, words, weight=2.2)]


def nearness(step: Step, frame: int, told: Candidates, names: np.ndarray, frames, time: Axis) -> Panel:
    """The state's cosine with the codeword of every frame; beneath, what it is told from, a tier a kind."""
    line = (unit(step.pool[0]) @ unit(step.states[0, frame])).numpy()  # (t,)
    low, high = float(line.min()), float(line.max())
    tier = 0.22 * (high - low) or 0.1  # its height
    brightness = (line - low) / ((high - low) or 1.0)
    edges = frames.edges(len(line)).clip(0.0, time.stop).tolist()
    marks = [Lines(frames.centre(np.arange(len(line))), line[None], ("cosine",))]
    ticks = [(at, f"{round(at, 2) + 0:.2f}") for at in (low, high)]
    for place, kind in enumerate((POSITIVE, SAME, OTHER, LEFT_OUT)):
        name, drawn = NAMES[kind], np.unique(told.frames[told.kinds == kind])
        top = low - (place + 0.6) * tier
        spans = [Span(names[k], edges[k], edges[k + 1]) for k in drawn]
        marks.append(Spans(LEGEND[kind][1], spans, (top - 0.9 * tier, top), brightness[drawn]))
        ticks.append((top - 0.45 * tier, name))
    best = float(frames.centre(int(line.argmax())))
    words = f"Nearest to the state is the codeword at {best:.2f} s; where its negatives come from lies beneath, bright "
    words += "what is near."
    axis = Axis("cosine", "", low - 4.7 * tier, high + 0.3 * tier, ticks)
    return Panel("drawn", "Its cosine with every frame's codeword", marks, time, axis, words, weight=2.2)


def stretches(candidates: np.ndarray, frames, seconds: float, beside: float) -> np.ndarray:
    """(m, 2) what each frame hears, in seconds, and so much beside it; nothing beyond the utterance."""
    ends = np.array([frames.samples(int(k)) for k in candidates]).reshape(-1, 2) / frames.rate
    return (ends + np.array([-beside, beside])).clip(0.0, seconds)
