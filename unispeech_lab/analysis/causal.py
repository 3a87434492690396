"""Causal: what is taken away or exchanged inside a model, as changes for ``edit``; how far its output moves then.

    head      its pattern (t, t) becomes another, see ``EDITS``
    layer     skip: its output is its input         mean: every frame is the mean over the utterance's frames
    codeword  nearest: the closest other one of its group        mean: the mean of its group
    phone     its frames become those of another utterance's phone, each the one as far into it

    KL = sum_v p log(p / q)     moved = sum_v |p - q| / 2     reading: the best class changes     1 - cos of last states

Ablation of heads: Voita et al. 2019, Michel et al. 2019; what to put in the place of what is taken: Chan et al. 2022,
Zhang and Nanda 2024 (a mean keeps later layers within what they know, nought may not). Of a layer's mean, what does not
change in the utterance (its speaker, say) is left.

Shapes: ``b`` utterance, ``t`` frame, ``d`` width, ``h`` head, ``g`` group, ``v`` class or codeword, ``u`` utterance.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from unispeech_lab import ctc
from unispeech_lab.analysis.patching import moved, sources
from unispeech_lab.codebook import softmax
from unispeech_lab.error_rates import edits

Change = Callable[[Tensor], Tensor]
Changes = Mapping[str, Change]

# What becomes of a head's pattern (t, t): a row a frame that looks, a column a frame that is looked at.
EDITS: dict[str, Change] = {
    "silent": torch.zeros_like,
    "even gaze": lambda pattern: torch.full_like(pattern, 1 / len(pattern)),
    "at itself": lambda pattern: torch.eye(len(pattern), dtype=pattern.dtype, device=pattern.device),
    "a frame back": lambda pattern: torch.cat([pattern[:, 1:], 0 * pattern[:, :1]], 1) + first(pattern),
    "the strongest alone": lambda pattern: torch.zeros_like(pattern).scatter(1, pattern.argmax(1, True), 1.0),
    "the same from everywhere": lambda pattern: pattern.mean(0, keepdim=True).expand_as(pattern),
}
MEASURES = ("kl", "moved", "reading", "errors", "states")


def first(pattern: Tensor) -> Tensor:
    """The weight on the first frame, where it is, and nought elsewhere: before it there is no frame to look at."""
    return torch.cat([pattern[:, :1], 0 * pattern[:, 1:]], 1)


# ---- changes --------------------------------------------------------------------------------------------------------


def heads(numbers: Sequence[int], change: Change) -> Change:
    """Of patterns (b, h, t, t) those of some heads changed, utterance by utterance."""

    def changed(patterns: Tensor) -> Tensor:
        whole = [[change(p) if h in numbers else p for h, p in enumerate(each)] for each in patterns]
        return torch.stack([torch.stack(each) for each in whole])

    return changed


def skip(before: str, layer: str) -> Changes:
    """A layer left out: its output is what ``before``, the name of what comes before it, said in the same forward."""
    kept: list[Tensor] = []

    def keep(value: Tensor) -> Tensor:
        kept[:] = [value.clone()]
        return value

    return {before: keep, layer: lambda value: kept[0]}


def level(states: Tensor) -> Tensor:
    """States (b, t, d), every frame the mean over frames."""
    return states.mean(1, keepdim=True).expand_as(states)


def renamed(names: Tensor) -> Change:
    """Codes (b, t, g) under the names (g, v) that they get, all at once: two codes may change places."""
    return lambda codes: names.to(codes)[torch.arange(len(names), device=codes.device), codes]


def nearest(codewords: Tensor, code: int) -> int:
    """The codeword of (v, e) at the least Euclidean distance from one of them, itself apart."""
    distances = (codewords - codewords[code]).norm(dim=-1)
    distances[code] = torch.inf
    return int(distances.argmin())


def levelled(group: int, code: int, codewords: Tensor, weight: Tensor) -> Changes:
    """The mean of a group's codewords (v, e) in the place of one: changes of ``quantizer.codes`` and ``project_q``.

    ``weight`` (out, g * e) is that of ``project_q``, through which all codewords go.
    """
    width = codewords.shape[-1]
    step = weight[:, group * width : (group + 1) * width] @ (codewords.mean(0) - codewords[code])
    chose: list[Tensor] = []

    def keep(codes: Tensor) -> Tensor:
        chose[:] = [codes[..., group] == code]
        return codes

    return {"quantizer.codes": keep, "project_q": lambda value: value + chose[0][..., None] * step}


def transplant(donor: Tensor, into: range, out_of: range) -> Change:
    """States (1, t, d) whose frames ``into`` are those ``out_of`` of the donor (1, s, d), each as far into it."""

    def change(states: Tensor) -> Tensor:
        taken = torch.as_tensor(sources(states.shape[1], into, out_of)[into.start : into.stop], device=donor.device)
        there = donor[:, taken].to(states)
        return torch.cat([states[:, : into.start], there, states[:, into.stop :]], 1)

    return change


def merged(changes: Sequence[Changes]) -> Changes:
    """Several at once; of two changes of one value the former comes first."""
    found: dict[str, list[Change]] = {}
    for some in changes:
        for name, change in some.items():
            found.setdefault(name, []).append(change)
    return {name: row[0] if len(row) == 1 else in_turn(row) for name, row in found.items()}


def in_turn(changes: Sequence[Change]) -> Change:
    def change(value: Tensor) -> Tensor:
        for each in changes:
            value = each(value)
        return value

    return change


# ---- what comes of it -----------------------------------------------------------------------------------------------


def output(before: np.ndarray, after: np.ndarray) -> dict[str, tuple[float, float]]:
    """How far logits (t, v) went: ``kl`` in nats, ``moved``, ``reading``; each a sum over frames, beside how many."""
    p, q = softmax(before.astype(np.float64)), softmax(after.astype(np.float64))
    tiny = np.finfo(np.float64).tiny
    divergence = (p * (np.log(np.maximum(p, tiny)) - np.log(np.maximum(q, tiny)))).sum(-1).clip(0)
    other = before.argmax(-1) != after.argmax(-1)
    count = len(before)
    return {
        name: (float(x.sum()), count) for name, x in (("kl", divergence), ("moved", moved(p, q)), ("reading", other))
    }


def turned(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """1 - cosine of states (t, d), summed over frames, and their number."""
    lengths = np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1)
    cosine = np.divide((before * after).sum(-1), lengths, out=np.zeros(len(before)), where=lengths > 0)
    return float((1 - cosine).clip(0).sum()), len(before)


def mistakes(logits: np.ndarray, blank: int, names: Sequence[str], said: Sequence[str]) -> int:
    """How many substitutions, deletions and insertions greedy's reading of logits (t, v) is away from what was said."""
    read = [names[label] for label in ctc.greedy(logits, blank)]
    return sum(None in (j, k) or said[j] != read[k] for j, k in edits(said, read))


def interval(amounts: np.ndarray, of: np.ndarray, drawn: np.ndarray) -> tuple[float, float, float]:
    """sum of amounts (u,) / sum of (u,), with the 95 % interval over draws (k, u) of utterances; NaN of nothing, and
    an interval of NaN where there is one utterance."""
    amounts, of = np.asarray(amounts, float), np.asarray(of, float)
    if not of.sum() > 0:
        return (np.nan,) * 3
    low = high = np.nan
    if len(of) > 1:
        sums = of[drawn].sum(1)
        found = np.divide(amounts[drawn].sum(1), sums, out=np.full(len(sums), np.nan), where=sums > 0)
        low, high = np.nanquantile(found, [0.025, 0.975])
    return float(amounts.sum() / of.sum()), float(low), float(high)
