"""Plain arrays for the tests of the views: an utterance and a trace whose content is known, without any model."""

from dataclasses import replace

import numpy as np
import pandas as pd

from unispeech_lab.alignment import Span
from unispeech_lab.analysis.stimuli import HERTZ
from unispeech_lab.corpus import Utterance
from unispeech_lab.frames import Frames
from unispeech_lab.survey import Survey, described

FRAMES = Frames()
NAMES = ("-", "ð", "ə", "k", "æ", "t", "a", "u", "m", "s", "i", "o")  # of the classes, the blank first
LAYERS, HEADS, GROUPS, CODEWORDS, CLASSES, CHANNELS, NEGATIVES, WIDTH = 3, 2, 2, 16, 12, 8, 30, 6


class PlainTrace(dict):
    """What a view is given: names to arrays, with a clock, and maybe names for CTC's classes."""

    frames = FRAMES
    labels: tuple[str, ...] = ()
    blank: int | None = None


def utterance(samples: int = 16_000, phones=("ð", "ə", "k", "æ", "t"), silent: bool = False) -> Utterance:
    """A gliding tone over known phones, which fill it from end to end."""
    time = np.arange(samples) / 16_000
    wave = np.zeros(samples) if silent else 0.5 * np.sin(2 * np.pi * (300 + 400 * time) * time)
    borders = np.linspace(0, samples / 16_000, len(phones) + 1)
    spans = [
        Span(label, *pair) for label, pair in zip(phones, zip(borders[:-1], borders[1:], strict=True), strict=True)
    ]
    words = [Span("the", borders[0], borders[2]), Span("cat", borders[2], borders[5])] if len(phones) == 5 else []
    return Utterance("glide", wave.astype(np.float32), "the cat" if phones else "", phones=spans, words=words)


def trace(samples: int = 16_000, seed: int = 0) -> PlainTrace:
    """Random arrays of the shapes that a pretraining model gives for so many samples."""
    draw = np.random.default_rng(seed)
    count = FRAMES.count(samples)
    made = PlainTrace()
    for layer in range(7):
        shape = (1, FRAMES.up_to(layer + 1).count(samples), CHANNELS)
        made[f"unispeech.feature_extractor.conv_layers.{layer}"] = draw.standard_normal(shape).astype(np.float32)
    for layer in range(LAYERS):
        pattern = draw.random((1, HEADS, count, count)).astype(np.float32)
        made[f"unispeech.encoder.layers.{layer}.attention.pattern"] = pattern / pattern.sum(-1, keepdims=True)
        made[f"unispeech.encoder.layers.{layer}"] = draw.standard_normal((1, count, WIDTH)).astype(np.float32)
    made["unispeech.feature_projection.projection"] = draw.standard_normal((1, count, WIDTH)).astype(np.float32)
    made["quantizer.logits"] = draw.standard_normal((1, count, GROUPS, CODEWORDS)).astype(np.float32)
    made["quantizer.codes"] = made["quantizer.logits"].argmax(-1)
    made["ctc_proj"] = draw.standard_normal((1, count, CLASSES)).astype(np.float32)
    made["filters"] = draw.standard_normal((1, CHANNELS, FRAMES.kernel[0])).astype(np.float32)
    for layer in range(7):
        made[f"tuning.{layer}"] = draw.random((1, len(HERTZ), CHANNELS)).astype(np.float32)
    made = PlainTrace(made | anatomy(count, seed))
    made.labels, made.blank = NAMES, 0
    return made


def anatomy(count: int, seed: int = 0) -> PlainTrace:
    """A training step of so many frames laid open: about half of them hidden, ten codes, labels that fit."""
    draw = np.random.default_rng(seed)
    made = PlainTrace()
    for name in ("states", "positives", "pool"):
        made[f"step.{name}"] = draw.standard_normal((1, count, WIDTH)).astype(np.float32)
    made["step.codes"] = made["step.pool_codes"] = draw.integers(0, 10, (1, count, 1)).repeat(GROUPS, -1)
    made["step.speech"] = np.ones((1, count), bool)
    made["step.predicted"] = draw.random((1, count)) < 0.5
    made["step.predicted"][:, 0] = True
    made["step.perplexity"], made["step.codewords"] = np.array([5.0], np.float32), np.array([GROUPS * CODEWORDS])
    others = (np.arange(count)[:, None] + draw.integers(1, max(count, 2), (count, NEGATIVES))) % count
    made["step.negatives"] = np.where(made["step.predicted"][..., None] & (count > 1), others, -1)
    made["draws"] = draw.random((1, count)).astype(np.float32)
    made["step.replaced"] = made["draws"] < 0.5
    for name in ("states", "codewords"):
        made[f"heads.{name}"] = draw.standard_normal((1, count, CLASSES)).astype(np.float32)
    logits = (made["heads.codewords"], made["heads.states"])
    made["step.ctc_logits"] = np.where(made["step.replaced"][..., None], *logits)
    made["step.labels"] = np.arange(1, 2 + min(count // 4, 5))[None]
    return made


SAID = (("", "ð", "ə", "k", "æ", "t"), ("s", "i", ""), ("ə", "m", "", "æ"))  # nothing is a pause


def survey(seed: int = 0, samples=(16_000, 8_000, 11_200), said=SAID) -> Survey:
    """Random codes, logits and states for every frame of a few utterances, by turns of two languages and voices."""
    draw, utterances = np.random.default_rng(seed), []
    for k, (length, phones) in enumerate(zip(samples, said, strict=True)):
        heard = utterance(length, phones)
        spans, language = [span for span in heard.phones if span.label], ("en", "it")[k % 2]
        utterances.append(replace(heard, id=f"u{k}", phones=spans, words=(), language=language, speaker=f"f{k % 2}"))
    counts = [FRAMES.count(length) for length in samples]
    rows = pd.concat([described(k, u, FRAMES, n) for k, (u, n) in enumerate(zip(utterances, counts, strict=True))])
    count = sum(counts)
    values = {
        f"unispeech.encoder.layers.{layer}": draw.standard_normal((count, WIDTH), np.float32) for layer in range(LAYERS)
    }
    values["quantizer.logits"] = draw.standard_normal((count, GROUPS, CODEWORDS), np.float32)
    values["quantizer.codes"] = values["quantizer.logits"].argmax(-1)
    return Survey(tuple(utterances), rows.reset_index(drop=True), values, FRAMES)


def with_pattern(pattern: np.ndarray) -> PlainTrace:
    """A trace of one head that attends as ``pattern`` (t, t) says."""
    return PlainTrace({"encoder.layers.0.attention.pattern": pattern[None, None].astype(np.float32)})


def bare(trace: PlainTrace) -> PlainTrace:
    """The same where nobody knows what the classes mean, which of them is the blank."""
    trace.labels, trace.blank = (), None
    return trace


def spoilt(trace: PlainTrace) -> PlainTrace:
    """The same of a model that has diverged at one frame: whatever is computed there is not a number."""
    for value in trace.values():
        if value.dtype.kind == "f" and value.ndim > 2:
            value[:, value.shape[1] // 2] = np.nan
    return trace
