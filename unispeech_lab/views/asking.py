"""Asking: what a view wants heard besides the forward it is shown.

A view may have ``asks(trace, utterance, **knobs) -> {name: ask}``: an ask is called with the model and gives arrays by
name, which ``panels`` then takes under that name. It is called again only when a knob that ``asks`` takes has turned.

    def asks(trace, utterance, layer, head):
        return {"after": Hear(utterance, ("ctc_proj",), {f"layers.{layer}.attention.pattern": silence(head)}, trace)}

    def panels(trace, utterance, layer, head, after): ...
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch

from unispeech_lab.corpus import Utterance
from unispeech_lab.trace import Trace, edit, record
from unispeech_lab.trace.openly import each_head, openly
from unispeech_lab.trace.places import find

Ask = Callable[[object], Mapping]
# What a trace must hold for a change of layer k to cost no more than the layers after it.
RESUMED = (
    "feature_extractor",
    "feature_projection.*",
    "pos_conv_embed",
    "encoder.layers.*",
    "quantizer.logits",
)


@dataclass(frozen=True, eq=False)
class Hear:
    """One forward: ``hear(model)`` is the trace of it.

    watches   names to record;  changes  what to ``edit`` while it runs, ``{}`` for nothing
    given     the trace of the same utterance without changes: layers before the first change are taken from it
    inputs    further arguments of the forward (``mask_time_indices=``, ``replaced=``, ...)
    other     hear the model that is compared with, not the one that is looked at
    """

    utterance: Utterance
    watches: Sequence[str]
    changes: Mapping[str, Callable] = field(default_factory=dict)
    given: Trace | None = None
    inputs: Mapping = field(default_factory=dict)
    other: bool = False

    def __call__(self, model) -> Trace:
        given = self.given if getattr(self.given, "whole", None) and not self.inputs else None
        changed = edit(model, self.changes, given) if self.changes else nullcontext()
        foreign = {name: each_head for name in self.watches if name.endswith("attention[1]")}
        shown = openly(model) if foreign else nullcontext()
        with torch.no_grad(), shown, record(model, *self.watches, keep=foreign or None) as trace, changed:
            model(**prepare(model, self.utterance), **self.inputs)
        if trace.blank is None:  # transformers' CTC heads pad with it
            trace.blank = getattr(getattr(model, "config", None), "pad_token_id", None)
        return trace


def prepare(model, utterance: Utterance) -> dict:
    """The model's inputs for one utterance, of our models or of others that take ``input_values``.

    Other models are given what Hugging Face's feature extractor makes by default: zero mean, unit variance.
    """
    if hasattr(model, "prepare"):
        return model.prepare([utterance])
    wave = torch.from_numpy(utterance.waveform)[None]
    wave = (wave - wave.mean()) / (wave.var(unbiased=False) + 1e-7).sqrt()
    return {"input_values": wave.to(next(model.parameters()).device)}


def watched(model, views, names: Sequence[str] = ()) -> tuple[str, ...]:
    """What to record of this model for these views (and of further names): of ``"a|b"`` the first that it has.

    Raises:
        KeyError: the model has none of them, as ``record`` says it.
    """
    chosen: dict[str, None] = {}
    for wanted in [*(name for view in views for name in view.watches), *names]:
        choices = wanted.split("|")
        there = [name for name in choices if has(model, name)]
        if there or wanted not in names:
            chosen[(there or choices)[0]] = None
    return tuple(chosen)


def has(model, name: str) -> bool:
    """Whether ``record`` would find something of that name in the model."""
    try:
        return bool(find(model, [name]))
    except KeyError:
        return False
