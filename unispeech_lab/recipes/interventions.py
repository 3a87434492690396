"""Interventions: what a recipe does inside a model, each kind with its ``trials`` in a model at hand.

    heads      {"kind": "heads", "at": ["*.*"], "edit": "silent"}            edit: out of ``causal.EDITS``
    layers     {"kind": "layers", "at": ["50%"], "edit": "skip"}             edit: skip, mean
    codewords  {"kind": "codewords", "at": ["0.*"], "edit": "nearest"}       edit: nearest, mean; CTC reads codes alone
    phones     {"kind": "phones", "phone": "s", "by": "z", "at": ["*"]}      phone's frames become by's

Each place is a trial of its own; ``"together": true`` makes one trial of all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar

import torch
from torch import nn

from unispeech_lab.analysis import causal
from unispeech_lab.recipes import places
from unispeech_lab.trace.places import find
from unispeech_lab.views.asking import has

LAYERS, ENTRY, PROJECTION = "encoder.layers.*", "encoder.dropout", "feature_projection.projection"
SOURCES = ("minimal pairs", "corpus", "either")


@dataclass(frozen=True)
class Trial:
    """One thing that is done to a model: a row of the result.

    ``changes`` for ``edit``; ``always`` is changed in the forward that it is compared with, too. ``at``: the value that
    phones are exchanged in.
    """

    intervention: str
    kind: str
    edit: str
    layer: int | None = None
    item: int | None = None
    changes: causal.Changes = field(default_factory=dict)
    always: causal.Changes = field(default_factory=dict)
    at: str = ""


@dataclass(frozen=True)
class Intervention:
    """What the kinds share: the places that are changed, and how they are written down."""

    kind: ClassVar[str]
    parts: ClassVar[int] = 2  # of a place: a layer, or a layer and a head

    at: tuple[str, ...]

    def __post_init__(self):
        object.__setattr__(self, "at", tuple(self.at) if isinstance(self.at, list) else self.at)
        example = '"3", "50%" or "*"' if self.parts == 1 else '"3.5", "50%.0" or "*.*"'
        if not isinstance(self.at, tuple) or not self.at:
            raise ValueError(f"expected at of {self.kind} to be a list of places such as {example}, found {self.at!r}")
        for place in self.at:
            if not isinstance(place, str) or not self.understood(place):
                raise ValueError(f"expected a place of {self.kind} such as {example}, found {place!r}")

    def understood(self, place: str) -> bool:
        return places.written(place, self.parts)

    def written(self) -> dict:
        """As it stands in the file."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return {"kind": self.kind} | {name: list(x) if isinstance(x, tuple) else x for name, x in given.items()}

    def one_of(self, name: str, choices) -> None:
        if getattr(self, name) not in choices:
            raise ValueError(
                f"expected {name} of {self.kind} out of {', '.join(choices)}, found {getattr(self, name)!r}"
            )


@dataclass(frozen=True)
class Ablation(Intervention):
    """An intervention by which something is taken away: by what ``edit``, each place alone or all ``together``."""

    edits: ClassVar[tuple[str, ...]]

    edit: str
    together: bool = False

    def __post_init__(self):
        super().__post_init__()
        self.one_of("edit", self.edits)
        if not isinstance(self.together, bool):
            raise ValueError(f"expected together of {self.kind} to be true or false, found {self.together!r}")

    def gathered(self, trials: list[Trial], changes: causal.Changes | None = None) -> list[Trial]:
        """As they are, or one trial of all of them, of ``changes`` where it is not one trial's after another's."""
        if not self.together or len(trials) < 2:
            return trials
        changes = changes or causal.merged([trial.changes for trial in trials])
        name = f"{self.kind} {' '.join(self.at)} together, {self.edit}"
        return [Trial(name, self.kind, self.edit, changes=changes, always=trials[0].always)]


@dataclass(frozen=True)
class Heads(Ablation):
    kind = "heads"
    edits = tuple(causal.EDITS)

    def trials(self, model: nn.Module) -> list[Trial]:
        """Raises ValueError for a layer or a head that the model does not have, or patterns that cannot be edited."""
        names = layers(model)
        if not has(model, f"{names[0]}.attention.pattern"):
            raise ValueError(
                f"expected attention whose pattern can be edited, found {type(model).__name__} without: load the "
                f"checkpoint with unispeech_lab.load, or have a recipe of layers"
            )
        found: dict[tuple[int, int], None] = {}
        for place in self.at:
            which, head = places.split(place)
            for layer in places.numbers(which, len(names), f"a layer in {place!r}"):
                count = model.get_submodule(names[layer]).attention.heads
                found |= dict.fromkeys((layer, h) for h in places.numbers(head, count, f"a head in {place!r}"))
        change = causal.EDITS[self.edit]
        return self.gathered(
            [
                Trial(
                    f"head {layer}.{head} {self.edit}",
                    self.kind,
                    self.edit,
                    layer,
                    head,
                    {f"{names[layer]}.attention.pattern": causal.heads([head], change)},
                )
                for layer, head in found
            ]
        )


@dataclass(frozen=True)
class Layers(Ablation):
    kind = "layers"
    parts = 1
    edits = ("skip", "mean")

    def trials(self, model: nn.Module) -> list[Trial]:
        """Raises ValueError for a layer that the model does not have."""
        names = layers(model)
        wanted = sorted(dict.fromkeys(n for at in self.at for n in places.numbers(at, len(names), "a layer")))
        before = [only(model, ENTRY), *names]
        return self.gathered(
            [
                Trial(
                    f"layer {layer} {self.edit}",
                    self.kind,
                    self.edit,
                    layer,
                    changes=causal.skip(before[layer], names[layer])
                    if self.edit == "skip"
                    else {names[layer]: causal.level},
                )
                for layer in wanted
            ]
        )


@dataclass(frozen=True)
class Codewords(Ablation):
    kind = "codewords"
    edits = ("nearest", "mean")

    def trials(self, model: nn.Module) -> list[Trial]:
        """Raises ValueError for a model without a codebook, or a codeword that it does not have."""
        if not has(model, "replaced") or not hasattr(getattr(model, "quantizer", None), "codevectors"):
            raise ValueError(
                f"expected a pretraining model with codewords, found {type(model).__name__}: load the checkpoint that "
                f"it was fine-tuned from, or have a recipe of heads, layers or phones"
            )
        quantizer = model.quantizer
        tables = quantizer.codevectors.detach()[0].unflatten(0, (quantizer.groups, quantizer.codewords))
        found: dict[tuple[int, int], None] = {}
        for place in self.at:
            which, code = places.split(place)
            for group in places.numbers(which, len(tables), f"a group in {place!r}"):
                codes = places.numbers(code, quantizer.codewords, f"a codeword in {place!r}")
                found |= dict.fromkeys((group, k) for k in codes)
        weight = model.project_q.weight.detach()
        own = torch.arange(quantizer.codewords).expand(len(tables), -1)
        trials, names = [], own.clone()
        for group, code in found:
            if self.edit == "nearest":
                names[group, code] = other = causal.nearest(tables[group], code)
                alone = own.index_put((torch.tensor(group), torch.tensor(code)), torch.tensor(other))
                changes = {"quantizer.codes": causal.renamed(alone)}
            else:
                changes = causal.levelled(group, code, tables[group], weight)
            about = (f"codeword {group}.{code} {self.edit}", self.kind, self.edit, group, code)
            trials.append(Trial(*about, changes, {"replaced": torch.ones_like}))
        return self.gathered(trials, {"quantizer.codes": causal.renamed(names)} if self.edit == "nearest" else None)


@dataclass(frozen=True)
class Phones(Intervention):
    """``most`` pairs at most, from ``source``: minimal pairs of the synthesiser, or phones found in the corpus."""

    kind = "phones"
    parts = 1

    phone: str = ""
    by: str = ""
    source: str = "either"
    most: int = 40

    def __post_init__(self):
        super().__post_init__()
        for name in ("phone", "by"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                raise ValueError(f"expected {name} of phones to be a phone such as 's', found {getattr(self, name)!r}")
        if self.phone == self.by:
            raise ValueError(f"expected another phone by which {self.phone!r} is replaced, found the same")
        self.one_of("source", SOURCES)
        if type(self.most) is not int or self.most < 1:
            raise ValueError(f"expected most of phones to be a whole number from 1 on, found {self.most!r}")

    def understood(self, place: str) -> bool:
        return place == "projection" or super().understood(place)

    def trials(self, model: nn.Module) -> list[Trial]:
        """Raises ValueError for a layer that the model does not have."""
        names = layers(model)
        found: dict[tuple[str, int | None], str] = {}
        for at in self.at:
            if at == "projection":
                found["projection", None] = only(model, PROJECTION)
            else:
                found |= {(f"layer {n}", n): names[n] for n in places.numbers(at, len(names), "a layer")}
        edit = f"{self.phone} by {self.by}"
        return [Trial(f"{edit} at {at}", self.kind, edit, layer, at=name) for (at, layer), name in found.items()]


KINDS: Mapping[str, type[Intervention]] = {kind.kind: kind for kind in (Heads, Layers, Codewords, Phones)}


def layers(model: nn.Module) -> list[str]:
    """Full names of the encoder's layers. Raises ValueError for a model without."""
    if not has(model, LAYERS):
        raise ValueError(f"expected a model with an encoder of layers, found {type(model).__name__}")
    return [place.name for place in find(model, [LAYERS])]


def only(model: nn.Module, name: str) -> str:
    return find(model, [name])[0].name
