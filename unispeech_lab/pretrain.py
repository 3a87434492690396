"""Pretrain: one step, one loop, stopped and gone on with at will, on one process or many.

    gradient of a step = sum over its micro-batches of d(loss * predicted frames) / sum of their predicted frames

as the authors' trainer divides: over processes and accumulated micro-batches alike. All that is random in micro-batch
m of step n is drawn from ``seed_of(seed, "step", n, m)``: a step depends on the weights, the optimiser and its own
number alone.

Recipe: Adam and schedules of arXiv 2101.07597 as released (microsoft/UniSpeech), scaled by ``Settings``.
"""

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from os import PathLike

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import nn
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from .augment import Augment
from .batches import Batches
from .corpus import Corpus
from .measures import Sums, evaluate
from .model import UniSpeechForPreTraining
from .run import Run, write_whole
from .seeds import seed_of
from .vocabulary import Vocabulary

SCHEDULES = ("linear", "tri-stage", "constant")


@dataclass(frozen=True)
class Settings:
    """What decides a run, beside the model, the corpus and the variant. Defaults: the small model on two cores.

    ``micro_batches`` of ``batch_seconds`` make a step, over all processes together: their number has to be a multiple
    of the processes'. ``warmup`` is a share of the steps; ``"linear"`` falls to 0 from there, ``"tri-stage"`` holds
    for as long as 40 % of the steps, then falls exponentially to 0.05 of the peak. ``temperature`` is the Gumbel
    temperature at the start, its floor, and what an update multiplies it by. ``feature_gradient`` scales what reaches
    the convolutions; 0 leaves them as they are. ``clip`` is the largest norm of a gradient.

    Raises:
        ValueError: a schedule that does not exist, or no step.
    """

    steps: int = 2000
    seed: int = 0
    batch_seconds: float = 27.0
    micro_batches: int = 1
    learning_rate: float = 1e-3
    warmup: float = 0.1
    schedule: str = "linear"
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    weight_decay: float = 0.01
    clip: float = 25.0
    temperature: tuple[float, float, float] = (2.0, 0.5, 0.999)
    feature_gradient: float = 1.0
    least_seconds: float = 0.4
    most_seconds: float = 20.0
    augment: bool = True
    mixed_precision: str = "no"
    compile: bool = False
    log_every: int = 10
    validate_every: int = 250
    save_every: int = 250
    keep: int = 2
    workers: int = 0

    def __post_init__(self):
        if self.schedule not in SCHEDULES:
            raise ValueError(f"expected a schedule out of {', '.join(SCHEDULES)}, found {self.schedule!r}")
        if self.steps < 1 or self.micro_batches < 1:
            raise ValueError(
                f"expected steps and micro_batches of at least 1, found {self.steps}, {self.micro_batches}"
            )

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        start, hold = self.warmup * self.steps, (self.warmup + 0.4) * self.steps
        if step < start:
            return self.learning_rate * (step + 1) / (start + 1)
        if self.schedule == "linear":
            return self.learning_rate * (self.steps - step) / max(self.steps - start, 1)
        if self.schedule == "tri-stage" and step > hold:
            return self.learning_rate * 0.05 ** ((step - hold) / max(self.steps - hold, 1))
        return self.learning_rate

    def heat(self, step: int) -> float:
        """The Gumbel temperature of a step, counted from 0."""
        start, floor, decay = self.temperature
        return max(start * decay**step, floor)


class Stop(Exception):  # noqa: N818 (no error: a wish)
    """Raise it in ``watch`` to end a run after a checkpoint: the same call goes on from there."""


def train(
    model: UniSpeechForPreTraining,
    corpus: Corpus,
    out: str | PathLike,
    settings: Settings | None = None,
    *,
    vocabulary: Vocabulary | None = None,
    valid: Corpus | None = None,
    variant=None,
    watch: Callable[[dict], None] = lambda row: None,
    progress: bool = True,
    accelerator: Accelerator | None = None,
) -> Run:
    """Train a model in place; a folder that holds an unfinished run of the same settings is gone on with.

    Args:
        out: the run's folder (see ``Run``).
        vocabulary: of the model's CTC classes; None: no labels are used.
        valid: speech to validate on, every ``validate_every`` steps.
        variant: has ``before(model, step, steps)`` and ``after(model, step, steps)``, called around each step.
        watch: hears each line of the metrics as it is logged.
        accelerator: yours (trackers, FSDP, ...); else one by ``mixed_precision``.

    Raises:
        ValueError: other settings than the folder's; nothing to learn from; a vocabulary that is not the model's.
    """
    settings = settings or Settings()
    if vocabulary is not None and len(vocabulary) != model.config.num_ctc_classes:
        raise ValueError(
            f"expected a model of {len(vocabulary)} CTC classes, one a name of the vocabulary, found "
            f"num_ctc_classes={model.config.num_ctc_classes}: make the config with that number"
        )
    loop = Loop(model, corpus, out, settings, vocabulary, valid, variant, watch, progress, accelerator)
    return loop.go()


class Loop:
    """The state of a run between two steps; ``go`` takes them all."""

    def __init__(self, model, corpus, out, settings, vocabulary, valid, variant, watch, progress, accelerator):
        self.settings, self.variant, self.watch, self.progress = settings, variant, watch, progress
        self.accelerator = accelerator or Accelerator(
            mixed_precision=settings.mixed_precision,
            kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
        )
        self.main, self.processes = self.accelerator.is_main_process, self.accelerator.num_processes
        if settings.micro_batches % self.processes:
            raise ValueError(
                f"expected micro_batches to be a multiple of the {self.processes} processes, "
                f"found {settings.micro_batches}"
            )
        listen = (model.feature_extractor_settings(), model.config.frames)
        limits = {"least": settings.least_seconds, "most": settings.most_seconds}
        augment = Augment() if settings.augment else None
        self.batches = Batches(corpus, vocabulary, *listen, settings.batch_seconds, settings.seed, augment, **limits)
        self.valid = valid and Batches(valid, vocabulary, *listen, settings.batch_seconds, shuffle=False, **limits)
        groups, codewords = model.config.num_codevector_groups, model.config.num_codevectors_per_group
        facts = {"variant": getattr(variant, "name", None), "groups": groups, "num_codewords": groups * codewords}
        self.run = Run(out, {**asdict(settings), **facts} if self.main else None)
        self.vocabulary, self.plain = vocabulary, model.train()
        if settings.feature_gradient == 0:
            model.freeze_feature_encoder()
        self.optimizer = optimizer(model, settings)
        self.model, self.optimizer = self.accelerator.prepare(
            torch.compile(model) if settings.compile else model, self.optimizer
        )
        self.step, self.audio, self.spent = 0, 0.0, 0.0

    def go(self) -> Run:
        """Every step from the last checkpoint to the end; then the model is written beside it."""
        self.resume()
        settings, begun = self.settings, time.monotonic() - self.spent
        numbers = range(self.accelerator.process_index, settings.micro_batches, self.processes)
        numbers = [step * settings.micro_batches + m for step in range(self.step, settings.steps) for m in numbers]
        loader = iter(DataLoader(self.batches, sampler=numbers, batch_size=None, num_workers=settings.workers))
        bar = tqdm(total=settings.steps, initial=self.step, disable=not (self.progress and self.main), unit="step")
        fade = fading(self.plain, settings.feature_gradient)
        with bar, fade, torch.random.fork_rng():
            while self.step < settings.steps:
                row = self.take([next(loader) for _ in range(settings.micro_batches // self.processes)])
                self.step, self.spent = self.step + 1, time.monotonic() - begun
                bar.update()
                try:
                    self.tell(row, bar)
                except Stop:
                    self.save()
                    return self.run
                if self.step % settings.save_every == 0 or self.step == settings.steps:
                    self.save()
        self.finish()
        return self.run

    def take(self, batches: list[dict]) -> dict:
        """One step: the gradient of every micro-batch, one update; what there is to say about it."""
        settings, step = self.settings, self.step
        self.plain.set_gumbel_temperature(settings.heat(step))
        for group in self.optimizer.param_groups:
            group["lr"] = settings.rate(step)
        if self.variant is not None:
            self.variant.before(self.plain, step, settings.steps)
        started, sums = time.monotonic(), Sums()
        logs = (step + 1) % settings.log_every == 0 or step == 0
        for m, batch in enumerate(batches):
            number = m * self.processes + self.accelerator.process_index
            torch.manual_seed(seed_of(settings.seed, "step", step, number))
            for what in batch["left_out"]:
                self.run.log(step=step + 1, event="left out", what=what)
            if "input_values" not in batch:
                continue
            last = m == len(batches) - 1
            given = {name: x.to(self.accelerator.device) for name, x in batch.items() if isinstance(x, torch.Tensor)}
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                output = self.model(**given)
                self.accelerator.backward(output.loss * output.sample_size)
            sums.add(output, self.plain, batch["audio"], given["attention_mask"] if logs else None)
        total = self.accelerator.reduce(sums.tensor(self.accelerator.device))
        row = sums.row(total)
        for p in self.plain.parameters():
            if p.grad is not None:
                p.grad *= self.processes / max(row["sample_size"], 1)
        norm = float(self.accelerator.clip_grad_norm_(self.model.parameters(), settings.clip))
        if math.isfinite(norm) and row["sample_size"]:
            self.optimizer.step()
        elif self.main:
            self.run.log(step=step + 1, event="no update", what=f"gradient {norm}, frames {row['sample_size']:.0f}")
        self.optimizer.zero_grad()
        if self.variant is not None:
            self.variant.after(self.plain, step, settings.steps)
        self.audio += row.pop("audio")
        frames = row.pop("frames") / max(time.monotonic() - started, 1e-9)
        about = {"temperature": settings.heat(step), "lr": settings.rate(step), "grad_norm": norm}
        about |= {"replace": self.plain.config.replace_prob, "audio": round(self.audio, 3)}
        return {**row, **about, "frames_per_second": round(frames, 1)}

    def tell(self, row: dict, bar) -> None:
        """Log a step, and a validation where one is due."""
        settings, step = self.settings, self.step
        logs = step % settings.log_every == 0 or step == 1
        if logs:
            row = {"step": step, **row, "elapsed": round(self.spent, 2)}
            shown = {name: f"{row[name]:.2f}" for name in ("loss", "perplexity", "accuracy") if name in row}
            bar.set_postfix(shown | {"frames/s": f"{row['frames_per_second']:.0f}"})
            self.say(row)
        if self.valid and (step % settings.validate_every == 0 or step == settings.steps):
            found = evaluate(self.plain, self.valid, self.vocabulary)
            self.say({"step": step, **{f"valid_{name}": value for name, value in found.items()}})

    def say(self, row: dict) -> None:
        if self.main:
            self.run.log(**row)
        self.watch(row)

    def save(self) -> None:
        """A checkpoint, whole or not at all; the older ones go."""
        name = self.run.folder / "checkpoints" / f"{self.step:08d}"
        part = name.with_suffix(".part")
        self.accelerator.save_state(str(part))
        if self.main:
            write_whole(part / "loop.json", json.dumps({"step": self.step, "audio": self.audio, "spent": self.spent}))
            os.replace(part, name)
            self.run.keep(self.settings.keep)
        self.accelerator.wait_for_everyone()

    def resume(self) -> None:
        """Take up the last whole checkpoint, if there is one."""
        checkpoints = self.run.checkpoints()
        if not checkpoints:
            self.run.rewind(0)
            return
        self.accelerator.load_state(str(checkpoints[-1]))
        kept = json.loads((checkpoints[-1] / "loop.json").read_text(encoding="utf-8"))
        self.step, self.audio, self.spent = kept["step"], kept["audio"], kept["spent"]
        if self.main:
            self.run.rewind(self.step)

    def finish(self) -> None:
        """The result as Hugging Face's folder: weights, config, preprocessor, vocabulary."""
        weights = self.accelerator.get_state_dict(self.model)
        if self.main:
            folder = self.run.folder / "model"
            self.plain.save_pretrained(folder, state_dict=weights)
            self.plain.feature_extractor_settings().save_pretrained(folder)
            if self.vocabulary is not None:
                self.vocabulary.save(folder)
        self.plain.eval()


def optimizer(model: nn.Module, settings: Settings) -> torch.optim.AdamW:
    """AdamW; biases, norms and other vectors do not decay."""
    learned = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1]},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, settings.learning_rate, settings.betas, settings.eps, settings.weight_decay)


@contextmanager
def fading(model: UniSpeechForPreTraining, share: float) -> Iterator[None]:
    """A ``with`` in which so much of the gradient reaches the convolutions."""
    if share in (0, 1):
        yield
        return

    def scale(module, args, said):
        if said.requires_grad:
            said.register_hook(lambda gradient: gradient * share)

    hook = model.unispeech.feature_extractor.register_forward_hook(scale)
    try:
        yield
    finally:
        hook.remove()
