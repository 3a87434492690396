"""Pretrain: one step, one loop, stopped and gone on with at will, on one process or many.

    gradient of a step = sum over its micro-batches of d(loss * predicted frames) / sum of their predicted frames

as the authors' trainer divides: over processes and accumulated micro-batches alike. All that is random in micro-batch
m of step n is drawn from ``seed_of(seed, "step", n, m)``: a step depends on the weights, the optimiser and its own
number alone.

Recipe: Adam and schedules of arXiv 2101.07597 as released (microsoft/UniSpeech), scaled by ``Settings``.
"""

import math
import time
import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, nullcontext
from dataclasses import asdict
from os import PathLike
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch.utils.data import DataLoader

from .audio import RATE
from .augment import Augment
from .batches import Batches, ahead, alone
from .corpus import Corpus
from .interrupt import Interrupt
from .measures import Sums, evaluate
from .model import UniSpeechForPreTraining
from .preparation import at_prior, compiling, fading, optimizer
from .progress import Progress
from .run import Run
from .saving import Keeper, agree, is_sharded
from .seeds import seed_of
from .settings import Settings
from .vocabulary import Vocabulary

__all__ = ["Settings", "Stop", "at_prior", "train"]

FEW = 20  # utterances left out that the metrics name; the others are counted


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
    until: Callable[[], bool] = lambda: False,
    progress: bool = True,
    log_with=None,
    accelerator: Accelerator | None = None,
) -> Run:
    """Train a model in place; a folder that holds an unfinished run of the same settings is gone on with.

    Ctrl-C finishes the step, saves, and raises KeyboardInterrupt: the same call goes on from there. A second Ctrl-C
    stops at once, and the same call goes on from the last checkpoint.

    Args:
        out: the run's folder (see ``Run``).
        vocabulary: of the model's CTC classes; None: no labels are used.
        valid: speech to validate on, every ``validate_every`` steps.
        variant: has ``before(model, step, steps)`` and ``after(model, step, steps)``, called around each step.
        watch: hears each line of the metrics as it is logged; ``Stop`` raised in it ends the run after a checkpoint.
        until: asked after each step; True ends the run there, as ``Stop`` does.
        log_with: a tracker beside ``metrics.jsonl`` that Accelerate knows and you have installed, ``"tensorboard"``
            for instance, which writes into ``out``; or an ``accelerate.tracking.GeneralTracker`` of your own.
        accelerator: yours (trackers, FSDP, ...); else one by ``mixed_precision`` and, under ``accelerate launch``, by
            what that was told.

    Raises:
        ValueError: other settings or speech than the folder's; nothing to learn from; a vocabulary that is not the
            model's, or lacks a phone; an accelerator that accumulates or rounds otherwise than the settings say.
        OSError: the disk is too full for the last checkpoint or the model. One that it is too full for on the way is
            warned of, the one before stays, and training goes on.
    """
    settings = settings or Settings()
    if vocabulary is not None and len(vocabulary) != model.config.num_ctc_classes:
        raise ValueError(
            f"expected a model of {len(vocabulary)} CTC classes, one a name of the vocabulary, found "
            f"num_ctc_classes={model.config.num_ctc_classes}: make the config with that number"
        )
    if vocabulary is not None and vocabulary.blank != model.objective.blank:
        raise ValueError(
            f"expected a model whose CTC blank is the vocabulary's {vocabulary[vocabulary.blank]!r}, class "
            f"{vocabulary.blank}, found class {model.objective.blank}: make the config with "
            f"ctc_blank={vocabulary.blank}"
        )
    accelerator = accelerator or accelerate(settings, out, log_with)
    loop = Loop(model, corpus, out, settings, vocabulary, valid, variant, watch, progress, accelerator)
    return loop.go(until)


def accelerate(settings: Settings, out: str | PathLike, log_with=None) -> Accelerator:
    """The accelerator of a run: processes and FSDP are what ``accelerate launch`` or ``torchrun`` says."""
    if AcceleratorState._shared_state.get("_mixed_precision", settings.mixed_precision) != settings.mixed_precision:
        AcceleratorState._reset_state()  # of a run before in this process: else Accelerate keeps to its precision
    return Accelerator(
        cpu=not torch.accelerator.is_available(),  # else Accelerate takes torchrun's processes for one each
        mixed_precision=settings.mixed_precision,
        log_with=log_with,
        project_dir=out,
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )


class Loop:
    """The state of a run between two steps; ``go`` takes them all.

    What is particular to pretraining has methods of its own: ``listen``, ``facts``, ``prepare``, ``forward``,
    ``silence``, ``about``, ``validate``, ``provenance``, ``more``. ``finetune`` has others.
    """

    name, sums = "pretrain", Sums

    def __init__(self, model, corpus, out, settings, vocabulary, valid, variant, watch, progress, accelerator):
        self.settings, self.variant, self.watch, self.accelerator = settings, variant, watch, accelerator
        self.main, self.processes = accelerator.is_main_process, accelerator.num_processes
        self.check(model)
        self.vocabulary, self.plain = vocabulary, model.train()
        augment = Augment() if settings.augment else None
        self.batches = self.listen(corpus, seed=settings.seed, augment=augment)
        self.valid = None if valid is None else self.listen(valid, shuffle=False)
        self.refuse_short()
        facts = {**self.facts(), "corpus": self.batches.description}
        self.run = Run(out, {**asdict(settings), **facts} if self.main else None)
        if settings.feature_gradient == 0:
            model.freeze_feature_encoder()
        if is_sharded(accelerator):
            model.get_input_embeddings = lambda: None  # Accelerate asks; speech has none
        self.optimizer = optimizer(model, settings)
        self.model, self.optimizer = accelerator.prepare(model, self.optimizer)
        self.keeper = Keeper(self.run, settings.keep, accelerator, self.plain, self.model, self.optimizer)
        self.step, self.audio, self.spent = 0, 0.0, 0.0
        self.missed: set[str] = set()  # who was left out so far
        self.best: dict | None = None  # what is said of the best checkpoint, where one is kept
        self.bar = Progress(settings.steps, shown=progress and self.main)
        if accelerator.log_with and not accelerator.trackers:
            told = {**asdict(settings), **facts}
            plain = {name: x if isinstance(x, int | float | str) else str(x) for name, x in told.items()}
            accelerator.init_trackers(self.name, plain)

    def check(self, model) -> None:
        """Refuse what would train otherwise than the settings say."""
        micro_batches, accelerator = self.settings.micro_batches, self.accelerator
        if micro_batches % self.processes:
            raise ValueError(
                f"expected micro_batches to be a multiple of the {self.processes} processes, found {micro_batches}"
            )
        if accelerator.gradient_accumulation_steps != 1:
            raise ValueError(
                "expected an accelerator with gradient_accumulation_steps=1, found "
                f"{accelerator.gradient_accumulation_steps}: say micro_batches instead"
            )
        if accelerator.mixed_precision != self.settings.mixed_precision:
            raise ValueError(
                f"expected an accelerator of the settings' mixed_precision {self.settings.mixed_precision!r}, "
                f"found {accelerator.mixed_precision!r}"
            )
        if is_sharded(accelerator) and model.config.layerdrop > 0:
            raise ValueError(
                f"expected layerdrop=0 under FSDP, whose processes visit every layer together, found "
                f"{model.config.layerdrop}: set it in the config"
            )

    def refuse_short(self) -> None:
        """Refuse, before anything is learned, speech in which no mask has room."""
        config, batches = self.plain.config, self.batches
        if config.mask_rule != "huggingface" or config.mask_time_prob == 0:
            return  # the authors' rule shortens its spans
        longest = min(batches.lengths[batch].max() for batch in batches.plan(0))
        frames, span = int(config.frames.count(int(longest * RATE))), config.mask_time_length
        if frames < span:
            raise ValueError(
                f"expected batches that a mask of {span} frames fits into, found one whose longest utterance has "
                f"{frames}: set mask_time_length to {frames} or less, or least_seconds to "
                f"{config.frames.samples(span)[1] / RATE:.2f} or more"
            )

    def listen(self, corpus: Corpus, **how) -> Batches:
        """A corpus in batches, as the model hears it."""
        how |= {"least": self.settings.least_seconds, "most": self.settings.most_seconds}
        extract, clock = self.plain.feature_extractor_settings(), self.plain.config.frames
        return Batches(corpus, self.vocabulary, extract, clock, self.settings.batch_seconds, **how)

    def facts(self) -> dict:
        """What decides a run beside its settings and its speech."""
        groups, codewords = self.plain.config.num_codevector_groups, self.plain.config.num_codevectors_per_group
        decides = ("alpha", "diversity_loss_weight", "num_negatives", "mask_time_prob", "mask_time_length")
        said = {name: getattr(self.plain.config, name) for name in decides}
        said |= {"groups": groups, "num_codewords": groups * codewords}
        return {"variant": getattr(self.variant, "name", None), **said}

    def go(self, until: Callable[[], bool] = lambda: False) -> Run:
        """Every step from the last checkpoint to the end; then the model is written beside it."""
        with self.run.alone() if self.main else nullcontext():
            return self._go(until)

    def _go(self, until: Callable[[], bool]) -> Run:
        self.resume()
        settings, begun = self.settings, time.monotonic() - self.spent
        each, device = settings.micro_batches // self.processes, self.accelerator.device
        devices = [device] if device.type == "cuda" else []
        with (
            self.bar,
            fading(self.plain, settings.feature_gradient),
            compiling(self.plain, settings.compile),
            torch.random.fork_rng(devices),
            Interrupt() as ask,
            closing(self.load()) as loader,
        ):
            while self.step < settings.steps:
                row = self.take([next(loader) for _ in range(each)])
                self.step, self.spent = self.step + 1, time.monotonic() - begun
                self.bar.step(row)
                stops, asked = agree(self.accelerator, self.tell(row) or until(), bool(ask))
                last = self.step == settings.steps
                best = self.best is not None and self.best["step"] == self.step
                if last or stops or asked or best or self.step % settings.save_every == 0:
                    self.save(must=last or stops or asked)
                if asked and not last:
                    raise KeyboardInterrupt(
                        f"stopped after step {self.step} of {settings.steps}, saved in {self.run.folder}: "
                        "the same call goes on from there"
                    )
                if stops and not last:
                    return self.run
        self.finish()
        return self.run

    def load(self) -> Generator[dict]:
        """This process's micro-batches from here on, each by its number."""
        mine = range(self.accelerator.process_index, self.settings.micro_batches, self.processes)
        steps = range(self.step, self.settings.steps)
        numbers = [step * self.settings.micro_batches + m for step in steps for m in mine]
        if self.settings.workers == 0:
            return ahead(self.batches, numbers)
        workers = {"num_workers": self.settings.workers, "worker_init_fn": alone}
        return (batch for batch in DataLoader(self.batches, sampler=numbers, batch_size=None, **workers))

    def take(self, batches: list[dict]) -> dict:
        """One step: the gradient of every micro-batch, one update; what there is to say about it."""
        settings, step = self.settings, self.step
        self.prepare(step)
        for group in self.optimizer.param_groups:
            group["lr"] = settings.rate(step)
        if self.variant is not None:
            self.variant.before(self.plain, step, settings.steps)
        sums = self.sums(self.terms)
        logs = (step + 1) % settings.log_every == 0 or step == 0
        for m, batch in enumerate(batches):
            number = m * self.processes + self.accelerator.process_index
            torch.manual_seed(seed_of(settings.seed, "step", step, number))
            self.leave_out(step + 1, batch["left_out"])
            given = {name: x.to(self.accelerator.device) for name, x in batch.items() if isinstance(x, torch.Tensor)}
            empty = "input_values" not in given or (self.needs_labels and "labels" not in given)
            if empty and self.processes == 1:
                continue
            last = m == len(batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                # Processes meet in every backward pass: one that has nothing to learn from comes along with silence.
                output = self.forward(self.silence() if empty else given)
                self.accelerator.backward(output.loss * (0 if empty else output.sample_size))
            if not empty:
                sums.add(output, self.plain, batch["audio"], given["attention_mask"] if logs else None)
        total = self.accelerator.reduce(sums.tensor(self.accelerator.device))
        row = sums.row(total)
        for p in self.model.parameters():
            if p.grad is not None:
                p.grad *= self.processes / max(row["sample_size"], 1)
        norm = float(self.accelerator.clip_grad_norm_(self.model.parameters(), settings.clip))
        scaler = self.accelerator.scaler
        if (math.isfinite(norm) and row["sample_size"]) or scaler is not None:  # the scaler skips, and scales less
            self.optimizer.step()
        if not (math.isfinite(norm) and row["sample_size"]) and self.main:
            self.note(step + 1, "no update", f"gradient {norm}, frames {row['sample_size']:.0f}")
        self.optimizer.zero_grad()
        if self.variant is not None:
            self.variant.after(self.plain, step, settings.steps)
        self.audio += row.pop("audio")
        about = {"lr": settings.rate(step), "grad_norm": norm, "audio": round(self.audio, 3)}
        return {**row, **self.about(step), **about}

    @property
    def terms(self) -> Iterable[str]:
        """Names of all that the loss may be made of."""
        return self.plain.objective.weights

    @property
    def needs_labels(self) -> bool:
        """Whether there is nothing to learn from a batch without labels."""
        return self.plain.objective.alpha == 1

    def prepare(self, step: int) -> None:
        """Set what changes from step to step."""
        self.plain.set_gumbel_temperature(self.settings.heat(step))

    def forward(self, given: dict):
        """What the model makes of a batch: ``loss``, a mean over ``sample_size``, and what ``sums`` counts."""
        return self.model(**given)

    def about(self, step: int) -> dict:
        """What else a line of the metrics says of a step."""
        return {"temperature": self.settings.heat(step), "replace": self.plain.config.replace_prob}

    def validate(self) -> dict[str, float]:
        """What the held-out speech says of the model."""
        forward = self.model if is_sharded(self.accelerator) else None
        return evaluate(self.plain, self.valid, self.vocabulary, forward)

    def silence(self) -> dict:
        """A batch of a second of nothing, with a label."""
        heard = torch.zeros(1, RATE, device=self.accelerator.device)
        label = (self.plain.objective.blank + 1) % self.plain.config.num_ctc_classes
        labels = torch.full((1, 1), label, device=heard.device)
        return {"input_values": heard, "attention_mask": torch.ones_like(heard).long(), "labels": labels}

    def tell(self, row: dict) -> bool:
        """Log a step, and a validation where one is due; whether somebody who heard it wants to stop."""
        settings, step, stops = self.settings, self.step, False
        if step % settings.log_every == 0 or step == 1:
            speed = {"frames_per_second": round(self.bar.speed(), 1), "elapsed": round(self.spent, 2)}
            stops |= self.say({"step": step, **{name: x for name, x in row.items() if name != "frames"}, **speed})
        if self.valid and (step % settings.validate_every == 0 or step == settings.steps):
            found = self.validate()
            if self.main and not all(map(math.isfinite, found.values())):
                self.note(step, "no number", f"validation: {', '.join(f'{name} {x:g}' for name, x in found.items())}")
            stops |= self.say({"step": step, **{f"valid_{name}": value for name, value in found.items()}})
            self.bar.rest()
        return stops

    def say(self, row: dict) -> bool:
        """Log a line, let it be heard; whether the one who hears it wants to stop."""
        if self.main:
            self.write(**row)
        if self.accelerator.trackers:
            self.accelerator.log({name: value for name, value in row.items() if name != "step"}, step=row["step"])
        try:
            self.watch(row)
        except Stop:
            return True
        return False

    def note(self, step: int, event: str, what: str) -> None:
        self.write(step=step, event=event, what=what)

    def leave_out(self, step: int, said: list[str]) -> None:
        """Say of each utterance once that it is left out: the first few by name, the others as a number."""
        new = [what for what in said if of_whom(what) not in self.missed]
        room = max(FEW - len(self.missed), 0)
        self.missed.update(map(of_whom, new))
        for what in new[:room]:
            self.note(step, "left out", what)
        if new[room:]:
            self.write(step=step, event="left out", what=f"{len(new[room:])} more", count=len(new[room:]))

    def write(self, **row) -> None:
        """A line of the metrics; without room for it training goes on."""
        try:
            self.run.log(**row)
        except OSError as error:
            warnings.warn(f"not in the metrics: {row}: {error}", RuntimeWarning, stacklevel=2)

    def save(self, must: bool = False) -> None:
        """A checkpoint, whole or not at all. ``must``: one that cannot be written is an error."""
        try:
            facts = {"step": self.step, "audio": self.audio, "spent": self.spent}
            self.keeper.save(facts if self.best is None else {**facts, "best": self.best})
        except OSError as error:
            if must:
                raise OSError(f"{error}: make room and call again, to go on from there") from error
            if self.main:
                self.note(self.step, "not saved", str(error))
                warnings.warn(f"{error}: training goes on", RuntimeWarning, stacklevel=2)
        self.bar.rest()

    def resume(self) -> None:
        """Take up the last whole checkpoint, if there is one."""
        kept = self.keeper.resume()
        self.missed = {of_whom(str(row.get("what"))) for row in self.run.events if row["event"] == "left out"}
        if kept:
            self.step, self.audio, self.spent, self.best = (kept.get(x) for x in ("step", "audio", "spent", "best"))
        elif self.main:
            held = [] if self.valid is None else self.valid.left_out
            self.leave_out(0, [*self.batches.left_out, *(f"held-out {what}" for what in held)])
        self.bar.start(self.step)

    def finish(self) -> None:
        """The result as Hugging Face's folder: weights, config, preprocessor, vocabulary."""
        for tracker in self.accelerator.trackers:
            tracker.finish()
        self.plain.config.provenance = self.provenance()
        self.keeper.finish(self.vocabulary, self.more)
        self.plain.eval()

    def more(self, folder: Path) -> None:
        """Put more beside the result."""

    def provenance(self) -> str:
        """Where the weights come from, in a sentence."""
        return (
            f"pretrained for {self.step} steps on {self.audio / 3600:.1f} hours of sound "
            f"({self.batches.description}), seed {self.settings.seed}"
        )


def of_whom(what: str) -> str:
    """The id that a sentence on an utterance begins with."""
    return what.partition(": ")[0]
