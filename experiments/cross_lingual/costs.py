"""Costs: what a stage of a size asks for on paper, memory and hours, from the config alone.

    operations a second of speech    2 x (multiplications of the forward pass) x 3, the backward pass being two of them
    hours of a card                  steps x speech of a step x operations / operations the card sustains
    memory of a card                 18 bytes a weight + bytes kept for the backward pass x speech at once

``python -m experiments.cross_lingual.costs`` writes the table of README.md, which says what was counted and what is
assumed. Tests hold the operations against torch's own count, the bytes against what autograd keeps of small models.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

import torch

from experiments.cross_lingual import sizes
from unispeech_lab.audio import RATE
from unispeech_lab.config import UniSpeechConfig
from unispeech_lab.model import UniSpeechForPreTraining
from unispeech_lab.settings import FineTuneSettings, Settings

UTTERANCE = 5.0  # seconds, about the mean of Common Voice; attention alone depends on it

# Sustained operations a second. V100: wav2vec 2.0 in fairseq (arXiv 2006.11477, section 4.2: base, 400,000 updates of
# 1.6 hours on 64 cards in 1.6 days) by the formula here: 9 % of its peak. The others: 15 % of it, assumed.
CARDS = {"V100": 11e12, "RTX 4090": 0.15 * 165e12, "A100": 0.15 * 312e12, "H100": 0.15 * 989e12}

# Bytes that autograd keeps, counted on small models: a frame and layer's width, a frame and layer's feed-forward width,
# a frame's width outside the layers, a frame's codeword, and a second's conv channel (by where the front end norms).
KEPT = {
    "no": {"width": 35, "inner": 8, "outside": 49, "code": 16, "group": 64_808, "layer": 76_961},
    "half": {"width": 25, "inner": 5, "outside": 39, "code": 17.5, "group": 39_005, "layer": 38_901},
}
REST = 8_000  # bytes a frame: negatives, labels, masks
WEIGHT = {"no": 16, "half": 18}  # bytes: weight, gradient, two moments of Adam; a copy in half precision


def parameters(config: UniSpeechConfig) -> int:
    """Weights of the pretraining model."""
    with torch.device("meta"):
        return sum(p.numel() for p in UniSpeechForPreTraining(config).parameters())


def front_end(config: UniSpeechConfig) -> float:
    """Multiplications of the convolutions in a second of speech."""
    total, rate, channels = 0.0, float(RATE), 1
    for width, kernel, stride in zip(config.conv_dim, config.conv_kernel, config.conv_stride, strict=True):
        rate /= stride
        total += rate * channels * kernel * width
        channels = width
    return total


def encoder(config: UniSpeechConfig, utterance: float = UTTERANCE) -> float:
    """Multiplications of projection, positions, layers, quantizer (two draws) and heads in a second of speech."""
    d, f, z = config.hidden_size, config.intermediate_size, config.conv_dim[-1]
    frames = RATE / config.inputs_to_logits_ratio
    taps = config.num_conv_pos_embeddings * d // config.num_conv_pos_embedding_groups
    layer = 4 * d * d + 2 * d * f + 2 * frames * utterance * d
    codes = config.num_codevectors_per_group * config.num_codevector_groups
    quantizer = z * codes + config.codevector_dim * config.proj_codevector_dim + config.proj_codevector_dim * d
    heads = d * config.num_ctc_classes + frames * utterance * d  # of every state with every codeword of its utterance
    return frames * (z * d + d * taps + config.num_hidden_layers * layer + 2 * quantizer + heads)


def operations(config: UniSpeechConfig, frozen: bool = False, utterance: float = UTTERANCE) -> float:
    """Floating-point operations of training on a second of speech; ``frozen``: the convolutions do not learn."""
    return 2 * (front_end(config) * (1 if frozen else 3) + 3 * encoder(config, utterance))


def kept(config: UniSpeechConfig, half: bool = True, frozen: bool = False) -> float:
    """Bytes kept for the backward pass of a second of speech (fused attention keeps no pattern)."""
    by, frames = KEPT["half" if half else "no"], RATE / config.inputs_to_logits_ratio
    layer = by["width"] * config.hidden_size + by["inner"] * config.intermediate_size
    codes = config.num_codevectors_per_group * config.num_codevector_groups
    frame = config.num_hidden_layers * layer + by["outside"] * config.hidden_size + by["code"] * codes + REST
    return frames * frame + (0 if frozen else by[config.feat_extract_norm] * config.conv_dim[0])


def memory(config: UniSpeechConfig, seconds: float, half: bool = True, frozen: bool = False) -> float:
    """Bytes of a card that takes so many seconds at once, without what the allocator leaves unused (a fifth, say)."""
    return WEIGHT["half" if half else "no"] * parameters(config) + seconds * kept(config, half, frozen)


@dataclass(frozen=True)
class Stage:
    """What one run of a stage asks for."""

    name: str
    updates: int
    speech: float  # hours heard
    operations: float
    at_once: float  # seconds
    memory: float  # bytes
    hours: dict[str, float]  # of one card, by its name


def stages(size: sizes.Size) -> Iterable[Stage]:
    """Stage 1, 2 and 3 of a size."""
    config = size.config()
    for name, settings in (("1", size.stage1), ("2", size.stage2), ("3", size.stage3)):
        heard = settings.steps * settings.batch_seconds * settings.micro_batches
        work = heard * of_a_second(config, settings)
        at_once, frozen = settings.batch_seconds, settings.feature_gradient == 0
        hours = {card: work / sustained / 3600 for card, sustained in CARDS.items()}
        asked = memory(config, at_once, frozen=frozen)
        yield Stage(name, settings.steps, heard / 3600, work, at_once, asked, hours)


def of_a_second(config: UniSpeechConfig, settings: Settings) -> float:
    """Operations; where the head alone learns for a while, the rest is heard forwards only."""
    whole = operations(config, settings.feature_gradient == 0)
    if not isinstance(settings, FineTuneSettings):
        return whole
    forwards = 2 * (front_end(config) + encoder(config))
    return settings.head_only * forwards + (1 - settings.head_only) * whole


def table(names: Iterable[str] = ("gpu", "full", "full_large")) -> str:
    """As people read it."""
    head = ["size", "stage", "updates", "speech heard, h", "10^18 operations", "at once, s", "memory, GB"]
    lines = [head + [f"{card}, h" for card in CARDS], ["---", *["---:"] * (len(head) + len(CARDS) - 1)]]
    for name in names:
        for stage in stages(sizes.load(name)):
            figures = [f"{stage.updates:,}", f"{stage.speech:,.0f}", f"{stage.operations / 1e18:.2f}"]
            figures += [f"{stage.at_once:g}", f"{stage.memory / 1e9:.1f}"]
            lines.append([name, stage.name, *figures, *(f"{ceil(hours):,}" for hours in stage.hours.values())])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    print(table())
