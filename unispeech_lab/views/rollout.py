"""Rollout: three answers to the question which phones a state is made of, side by side.

Raw attention is one layer's mixing and nothing else. Rollout follows all layers down to the sound, residual paths
included. Value-zeroing asks the layer itself: how far does its output move when the values of one phone are taken away?
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from unispeech_lab.analysis import attention
from unispeech_lab.trace import edit, record
from unispeech_lab.trace.widen import widen
from unispeech_lab.views.asking import prepare
from unispeech_lab.views.attention import watches
from unispeech_lab.views.panel import Knob, Panel
from unispeech_lab.views.pooled import parts, square
from unispeech_lab.views.reading import clock_of, layers

MOST = 20_000_000  # cells of all patterns at once: 80 MB


def knobs(trace, utterance) -> dict[str, Knob]:
    found = tuple(layers(trace, watches[0]))
    return {"layer": Knob(found, found[-1], "layer")}


def asks(trace, utterance, layer: int) -> dict:
    """What the layer's states are without the values of each phone."""
    pattern = layers(trace, watches[0])[layer]  # (h, t, t)
    groups, _ = parts(utterance, clock_of(trace).centre(np.arange(pattern.shape[-1])))
    return {"without": Zeroing(utterance, layer, groups, max(1, MOST // pattern.size), trace)}


def panels(trace, utterance, layer: int, without: Mapping) -> list[Panel]:
    """Maps from phone to phone, rows that sum to one: attention, rollout, and value-zeroing where it was possible."""
    found = layers(trace, watches[0])
    groups, names = parts(utterance, clock_of(trace).centre(np.arange(found[layer].shape[-1])))
    means = np.stack([patterns.mean(0) for k, patterns in found.items() if k <= layer])  # (l, t, t)
    maps = {
        "attention": attention.pool(means[-1], groups),
        "rollout": attention.pool(attention.rollout(means), groups),
    }
    said = {
        "attention": (f"Attention, layer {layer}", f"Mean of the heads; {stays(maps['attention'])} stays."),
        "rollout": (f"Rollout, layers {min(found)} to {layer}", f"With residuals; {stays(maps['rollout'])} stays."),
    }
    if "owed" in without:
        shares = attention.shares(np.asarray(without["owed"]))  # (t, g)
        maps["zeroing"] = np.stack([shares[groups == k].mean(0) for k in range(len(names))])
        said["zeroing"] = f"Value-zeroing, layer {layer}", compared(maps["zeroing"], maps["attention"])
    else:
        title, words = said["rollout"]
        said["rollout"] = title, f"{words} No value-zeroing: this model has its values made elsewhere than by v_proj."
    return [
        square(f"flow-{name}", title, maps[name], names, words, "share", share=int(100 / len(maps)) / 100)
        for name, (title, words) in said.items()
    ]


def stays(shares: np.ndarray) -> str:
    """How much of what the parts (g, g) are made of is their own."""
    return f"{np.trace(shares) / len(shares):.0%}"


def compared(zeroing: np.ndarray, raw: np.ndarray) -> str:
    """What value-zeroing says (g, g), and how far raw attention says so too."""
    if not zeroing.any():
        return "Without any of them the layer says the same."
    alike = f"; r = {np.corrcoef(zeroing.ravel(), raw.ravel())[0, 1]:.2f} with attention" if len(raw) > 1 else ""
    return f"{stays(zeroing)} stays{alike}."


@dataclass(frozen=True, eq=False)
class Zeroing:
    """A layer without the values of one group of frames after another: ``owed`` (t, g), cosine distances.

    ``groups`` (t,) are numbers from 0 on; ``versions`` of the layer run at once. Nothing is owed where no ``v_proj``
    makes the values: WavLM hands its weights to torch.
    """

    utterance: object
    layer: int
    groups: Sequence[int]
    versions: int
    given: object = None

    def __call__(self, model) -> dict[str, np.ndarray]:
        name = f"encoder.layers.{self.layer}"
        groups = torch.as_tensor(self.groups)
        given = self.given if getattr(self.given, "whole", None) else None
        columns, ran = [], []
        for some in torch.arange(int(groups.max()) + 1).split(self.versions):

            def change(values, some=some):  # (1 + versions, t, d), the first stays as it is
                ran.append(some)
                gone = torch.cat([groups[None] < 0, groups == some[:, None]]).to(values.device)
                return values.masked_fill(gone[..., None], 0.0)

            changed = edit(model, {f"{name}.attention.v_proj": change}, given)
            with torch.no_grad(), record(model, name, stop=True) as heard, widen(model, name, len(some) + 1), changed:
                try:
                    model(**prepare(model, self.utterance))
                except RuntimeError:  # WavLM has a bias for one utterance, and goes no wider
                    if ran:
                        raise
            if not ran:
                return {}
            states = heard[name].float().cpu().numpy()
            columns.append(attention.owed(states[0], states[1:]))
        return {"owed": np.concatenate(columns, axis=1)}
