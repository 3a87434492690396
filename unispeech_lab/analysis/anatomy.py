"""Anatomy: one training step laid open as plain arrays, so that its loss can be put together anew.

    loss = alpha * ctc(where(replaced, head(q), head(c))) + (1 - alpha) * (contrastive(c, q) + 0.1 * diversity)

The CTC head looks at one frame at a time, so ``head(where(replaced, q, c)) = where(replaced, head(q), head(c))``: with
both kept, any share of replaced frames costs one ``where`` and one CTC loss, any ``alpha`` nothing but a sum.

Shapes: ``b`` utterance (1 here), ``t`` frame, ``d`` width, ``u`` label, as in ``objective.Step``.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields

import numpy as np
import torch

from unispeech_lab.ctc.forced import needed
from unispeech_lab.frames import Frames
from unispeech_lab.objective import Objective, Step

SEED = 0  # of what a view is shown when nobody says what to draw


class Anatomy(dict):
    """Names to arrays of one utterance, as a view takes them; ``frames`` is their clock, ``labels`` name CTC's classes.

    ``objective`` is the model's own, and ``blank`` the class that says nothing to it; None where nobody told.

    ``step.<field>``: every field of the ``Step`` that the objective was given. ``heads.states`` and ``heads.codewords``
    (1, t, classes): what the CTC head says of either. ``draws`` (1, t) in [0, 1): a frame is replaced where its draw
    is below r, so that more are replaced as r grows, and none comes back.
    """

    def __init__(
        self,
        arrays: Mapping[str, np.ndarray],
        frames: Frames,
        labels: Sequence[str] = (),
        objective: Objective | None = None,
    ):
        super().__init__(arrays)
        self.frames, self.labels, self.objective = frames, tuple(labels), objective
        self.blank = getattr(objective, "blank", None)

    def changed(self, arrays: Mapping[str, np.ndarray]) -> "Anatomy":
        """The same step with other arrays under some names: ``anatomy.changed({"step.negatives": negatives})``."""
        return Anatomy({**self, **arrays}, self.frames, self.labels, self.objective)


class Kept:
    """An objective that keeps the last ``Step`` it was given, in ``step``; all else is the objective's own."""

    def __init__(self, objective: Objective):
        self.objective, self.step = objective, None

    def __call__(self, step: Step):
        self.step = step
        return self.objective(step)

    def __getattr__(self, name: str):
        return getattr(self.objective, name)


@contextmanager
def keep_step(model) -> Iterator[Kept]:
    """Keep what the model's objective is given, while the ``with`` lasts.

    >>> with keep_step(model) as kept:
    ...     model(**inputs, mask_time_indices=mask, labels=labels)
    >>> kept.step.cosines
    """
    objective = model.objective
    model.objective = Kept(objective)
    try:
        yield model.objective
    finally:
        model.objective = objective


@torch.no_grad()
def dissect(
    model,
    utterance,
    mask: torch.Tensor | None = None,
    labels: Sequence[int] = (),
    replace: float = 0.5,
    generator: torch.Generator | None = None,
) -> Anatomy:
    """One forward of one utterance, with everything that its loss is made of.

    The model is in eval mode: no dropout, codes without noise. So the same generator gives the same numbers, and the
    parts can be put together anew.

    Args:
        mask: (1, t) bool, the frames to hide; drawn as in this model's training if None.
        labels: classes of its phones; none: an utterance without labels.
        replace: r, the share of frames whose state is replaced by its codeword before the CTC head.
        generator: where draws and negatives come from.

    Raises:
        ValueError: a model in training mode; alpha=1 without labels.
    """
    if model.training:
        raise ValueError("expected a model in eval mode, found one in training: write model.eval()")
    inputs = model.prepare([utterance])
    frames = model.frames.count(inputs["input_values"].shape[1])
    if mask is None:
        mask = model.unispeech.draw_time_mask(1, frames, None, generator)
    draws = torch.rand(1, frames, generator=generator)
    with keep_step(model) as kept:
        model(
            **inputs,
            mask_time_indices=mask,
            labels=torch.tensor([list(labels)]) if len(labels) else None,
            replaced=draws < replace,
            generator=generator,
        )
    if kept.step.negatives is None:  # of an objective without contrast: what it would be told from
        kept.step.negatives = model.objective.draw_negatives(kept.step, generator)
    heads = {"heads.states": model.ctc_proj(kept.step.states), "heads.codewords": model.ctc_proj(kept.step.pool)}
    values = {f"step.{field.name}": getattr(kept.step, field.name) for field in fields(Step)}
    values |= {"step.perplexity": kept.step.perplexity[None], "step.codewords": torch.tensor([kept.step.codewords])}
    values |= heads | {"draws": draws}
    values = {name: value for name, value in values.items() if value is not None}
    arrays = {name: (v.float() if v.is_floating_point() else v).numpy() for name, v in values.items()}  # bfloat16 too
    return Anatomy(arrays, model.frames, model.vocabulary or (), model.objective)


def training_step(model, utterance) -> Anatomy:
    """What ``dissect`` finds in a step as in training, the same each time: masks, replaced frames, labels if known."""
    return dissect(model, utterance, labels=classes(model, utterance), generator=torch.Generator().manual_seed(SEED))


def in_the_open(model, utterance) -> Anatomy:
    """What ``dissect`` finds where nothing is hidden, the same each time."""
    nothing = torch.zeros(1, model.frames.count(len(utterance.waveform)), dtype=torch.bool)
    generator = torch.Generator().manual_seed(SEED)
    return dissect(model, utterance, nothing, classes(model, utterance), generator=generator)


def classes(model, utterance) -> list[int]:
    """Classes of an utterance's phones; none where the model does not name them all, or they do not fit its frames."""
    said, known = [span.label for span in utterance.phones], model.vocabulary
    if known is None or not set(said) <= set(known.phones):
        return []
    labels = known.encode(said)
    return labels if needed(labels) <= model.frames.count(len(utterance.waveform)) else []


def step_of(anatomy: Mapping[str, np.ndarray], replace: float | None = None) -> Step:
    """The ``Step`` put together again, as it was, or with the share r = ``replace`` of its frames replaced."""
    known = {field.name: anatomy.get(f"step.{field.name}") for field in fields(Step)}
    made = {name: None if value is None else torch.from_numpy(np.asarray(value)) for name, value in known.items()}
    made |= {"perplexity": made["perplexity"][0], "codewords": int(made["codewords"][0])}
    if replace is not None:
        made["replaced"] = torch.from_numpy(anatomy["draws"] < replace)
        heads = [torch.from_numpy(anatomy[name]) for name in ("heads.codewords", "heads.states")]
        made["ctc_logits"] = torch.where(made["replaced"][..., None], *heads)
    return Step(**made)
