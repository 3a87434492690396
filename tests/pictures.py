"""Plain arrays for the tests of the views: an utterance and a trace whose content is known, without any model."""

from dataclasses import replace
from types import SimpleNamespace

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


# ---- analyses -------------------------------------------------------------------------------------------------------

DEPTH = ("feature_projection.projection", *(f"encoder.layers.{k}" for k in range(LAYERS)))
MEASURED = {
    **{measure: ("phone", "voice") for measure in ("probe", "control", "selectivity")},
    **{measure: ("mfcc", "phone") for measure in ("cca", "pwcca", "cka")},
    "information": ("phone",),
    "abx": ("phone within", "phone across"),
}


def analysis(seed: int = 0, names=DEPTH, codebook: bool = True, intervals: bool = True) -> SimpleNamespace:
    """The tables of an analysis with numbers drawn at random; without intervals their ends are no numbers."""
    draw = np.random.default_rng(seed)

    def numbers(keys: list[dict]) -> pd.DataFrame:
        value = draw.uniform(0.2, 0.8, len(keys))
        off = draw.uniform(0.02, 0.1, (2, len(keys))) if intervals else np.full((2, len(keys)), np.nan)
        return pd.DataFrame(keys).assign(value=value, low=value - off[0], high=value + off[1], n=100, seed=seed)

    layers = [
        {"layer": layer, "name": name, "measure": measure, "target": target}
        for layer, name in enumerate(names)
        for measure, targets in MEASURED.items()
        for target in targets
    ]
    parts = [
        {"measure": measure, "position": position}
        for measure in ("nmi", "nmi chance", "purity", "codes")
        for position in ("all", "onset", "middle", "end")
    ]
    segments = numbers([{"method": m, "tolerance": s} for m in ("codes", "jumps", "ctc") for s in (0.01, 0.02, 0.05)])
    for name in ("precision", "recall", "f1", "r_value", "over"):
        segments = segments.assign(**{name: draw.uniform(0, 1, len(segments))})
        for end, sign in (("low", -0.05), ("high", 0.05)):
            segments[f"{name}_{end}"] = segments[name] + (sign if intervals else np.nan)
    segments = segments.assign(f1_chance=draw.uniform(0, 1, 9), r_value_chance=draw.uniform(0, 1, 9))
    half = np.tril(draw.uniform(0.1, 0.9, (len(names), len(names))), -1)
    return SimpleNamespace(
        layers=numbers(layers) if layers else pd.DataFrame(columns=LAYERED),
        similarity=pd.DataFrame(half + half.T + np.eye(len(names)), range(len(names)), range(len(names))),
        codebook=numbers(parts) if codebook else pd.DataFrame(columns=["measure", "position", "value", "low", "high"]),
        segments=segments.drop(columns=["value", "low", "high", "n", "seed"]),
        about={"provenance": "numbers drawn at random"},
        baseline=numbers(
            [{"layer": None, "name": "mfcc", "measure": "probe", "target": target} for target in ("phone", "voice")]
        ),
    )


LAYERED = ["layer", "name", "measure", "target", "value", "low", "high", "n", "seed"]


def analysed(name: str, seed: int = 0, **how):
    """What a view over an analysis is given: the tables, or the one that it reads."""
    return TABLES[name](seed, **how) if name in TABLES else analysis(seed, **how)


def stability(seed: int = 0, names=DEPTH, codebook: bool = True, intervals: bool = True) -> pd.DataFrame:
    """How alike the codes of three models are, as ``compare_all`` writes it; of none without a codebook."""
    draw = np.random.default_rng(seed)
    pairs = [("A 0", "A 1"), ("A 0", "B 0"), ("A 1", "B 0")][: len(names)] if codebook else []
    rows = [(*pair, codes, measure) for pair in pairs for codes in ("joint", "0 and 1") for measure in ("nmi", "ami")]
    table = pd.DataFrame(rows, columns=["one", "other", "codes", "measure"])
    value, off = draw.uniform(0.2, 0.8, len(rows)), 0.05 if intervals else np.nan
    return table.assign(value=value, low=value - off, high=value + off, chance=draw.uniform(0, 0.2, len(rows)), n=100)


def effects(seed: int = 0, names=DEPTH, codebook: bool = True, intervals: bool = True) -> pd.DataFrame:
    """What a recipe gives of every head, and of two layers together, which have no place of their own."""
    draw = np.random.default_rng(seed)
    places = [(f"head {layer}.{head} silent", layer, head) for layer in range(len(names) - 1) for head in range(HEADS)]
    places += [("layers 0 1 together, skip", None, None)] if names else []
    table = pd.DataFrame(places, columns=["intervention", "layer", "item"]).astype({"layer": "Int64", "item": "Int64"})
    for name in ("kl", "reading", "states"):
        value, off = draw.uniform(0, 1, len(table)), 0.1 if intervals else np.nan
        table = table.assign(**{name: value, f"{name}_low": value - off, f"{name}_high": value + off})
    return table.assign(kind=["layers" if pd.isna(item) else "heads" for item in table["item"]])


def trials(seed: int = 0, names=DEPTH, codebook: bool = True, intervals: bool = True) -> pd.DataFrame:
    """Error rates of three methods, two settings, two targets; of three seeds, or of one, which has no interval."""
    draw = np.random.default_rng(seed)
    keys = [
        (setting, method, target, number)
        for setting in ("one-to-one", "many-to-one")
        for method in ("wav2vec2", "unispeech", "supervised")
        for target in ("es", "sv")
        for number in range(3 if intervals else 1)
    ]
    table = pd.DataFrame(keys if names else [], columns=["setting", "method", "target", "seed"])
    return table.assign(per=draw.uniform(0.3, 0.9, len(table)))


TABLES = {"code_stability": stability, "interventions": effects, "paired": trials}
