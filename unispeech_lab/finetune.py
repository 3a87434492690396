"""Fine-tune: a pretrained model learns to write speech down, or to sort it.

    model = finetune.begin("tiny", corpus, teach="phones")        # or "characters", or a column: "language", "speaker"
    run = finetune.train(model, corpus, "runs/mine", valid=held)  # stopped and gone on with like any other run
    model = load("runs/mine/model")                               # the best by the held-out speech

The recipe for CTC is the authors' third stage (microsoft/UniSpeech, ``wav2vec_ctc``): convolutions as they are, in the
first updates the head alone, a tri-stage schedule, spans of frames and channels hidden, each utterance normalised, the
loss a mean over utterances, the best checkpoint by its error rate. It goes through ``pretrain``'s loop.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from . import pretrain
from .audio import RATE
from .batches import Batches
from .corpus import Corpus
from .heads import begin, names, taught
from .hearing import confusion, evaluate, judged, listen, loss_of, predict
from .measures import Sums
from .model import UniSpeechForCTC, UniSpeechForSequenceClassification
from .pretrain import Stop
from .run import Run, whole_folder
from .saving import is_sharded
from .seeds import seed_of
from .settings import FineTuneSettings as Settings
from .targets import SEQUENCES, error, known, refuse_strange

__all__ = ["Settings", "Stop", "begin", "confusion", "evaluate", "names", "predict", "taught", "train"]

HEADS = ("lm_head.", "projector.", "classifier.", "layer_weights")  # what the first updates are for
LINEARS = ["q_proj", "k_proj", "v_proj", "out_proj", "intermediate_dense", "output_dense"]  # what LoRA goes beside


def train(
    model: UniSpeechForCTC | UniSpeechForSequenceClassification,
    corpus: Corpus,
    out: str | PathLike,
    settings: Settings | None = None,
    *,
    valid: Corpus | None = None,
    watch: Callable[[dict], None] = lambda row: None,
    until: Callable[[], bool] = lambda: False,
    progress: bool = True,
    log_with=None,
    accelerator: Accelerator | None = None,
) -> Run:
    """Train a model that ``begin`` made, in place; what ``pretrain.train`` promises of stops and kills holds here too.

    With ``valid`` the best checkpoint is kept whatever comes after it, and becomes the result; else the last is.
    Utterances that do not say what is taught are left out. LoRA's updates are added to the matrices at the end; by
    themselves, as PEFT has them, they lie in the folder ``lora``.

    Raises:
        ValueError: as ``pretrain.train``; a model that nobody told what to learn; LoRA under FSDP.
        ImportError: LoRA without PEFT (the extra ``lora``).
    """
    settings, teach = settings or Settings(), taught(model)
    for speech in filter(None, (corpus, valid)):
        refuse_strange(speech, teach, names(model))
    corpus, valid = known(corpus, teach), None if valid is None else known(valid, teach)
    accelerator = accelerator or pretrain.accelerate(settings, out, log_with)
    learned = {name: p.requires_grad for name, p in model.named_parameters()}
    if settings.language:
        model.check_language(settings.language)
        model.freeze_all_but_adapter()
    tuned = low_rank(model, settings, accelerator) if settings.lora else None
    try:
        return FineTuning(model, corpus, out, settings, valid, watch, progress, accelerator, tuned).go(until)
    finally:
        if tuned is not None:
            with warnings.catch_warnings(action="ignore"):
                tuned.merge_and_unload()  # no matter when: a run that is gone on with has a checkpoint
        for name, p in model.named_parameters():
            p.requires_grad_(learned.get(name, True))


def low_rank(model: nn.Module, settings: Settings, accelerator: Accelerator):
    """PEFT's wrapper of the model, whose matrices it has given low-rank companions; the head learns whole."""
    try:
        import peft
    except ImportError as problem:
        raise ImportError("expected PEFT for lora, found none: pip install 'unispeech-lab[lora]'") from problem
    if is_sharded(accelerator):
        raise ValueError("expected lora without FSDP, which shards what is merged at the end: leave one out")
    heads = [name for name, module in model.named_children() if f"{name}." in HEADS]
    config = peft.LoraConfig(
        r=settings.lora, lora_alpha=2 * settings.lora, target_modules=LINEARS, modules_to_save=heads
    )
    with torch.random.fork_rng(), warnings.catch_warnings(action="ignore"):  # PEFT asks by a name of before
        torch.manual_seed(seed_of(settings.seed, "lora"))
        tuned = peft.get_peft_model(model, config)
    if hasattr(model, "layer_weights"):
        model.layer_weights.requires_grad_(True)
    return tuned


@dataclass
class Lesson:
    """What a batch taught: a loss that is a mean over ``sample_size`` utterances, and what ``Judged`` counts."""

    loss: Tensor
    sample_size: int
    logits: Tensor
    labels: Tensor


class Judged(Sums):
    """Figures of a step: the loss, frames that say blank (CTC), right answers (classification)."""

    MEANS = ("blank", "accuracy")

    @torch.no_grad()
    def add(self, lesson: Lesson, model, audio: float, attention_mask: Tensor | None) -> None:
        found, logits, sequences = {"loss": lesson.loss}, lesson.logits, isinstance(model, UniSpeechForCTC)
        frames = logits.shape[0] * (logits.shape[1] if sequences else int(model.frames.count(round(audio * RATE))))
        if not sequences:
            found["accuracy"] = (logits.argmax(-1) == lesson.labels[:, 0]).float().mean()
        elif attention_mask is not None:
            speech = model._get_feature_vector_attention_mask(logits.shape[1], attention_mask)
            found["blank"] = (logits.argmax(-1) == model.config.pad_token_id)[speech].float().mean()
        for name, value in found.items():
            self.means[name] += float(value) * lesson.sample_size
            self.seen[name] = 1.0
        for name, value in (("sample_size", lesson.sample_size), ("audio", audio), ("frames", frames)):
            self.counts[name] += value


class FineTuning(pretrain.Loop):
    """Pretraining's loop, with another lesson: the head first, then the body; the best checkpoint stays."""

    name, sums, terms, needs_labels = "finetune", Judged, (), True

    def __init__(self, model, corpus, out, settings, valid, watch, progress, accelerator, tuned):
        self.teach, self.names, self.tuned = taught(model), names(model), tuned
        vocabulary = self.names if self.teach in SEQUENCES else None
        super().__init__(model, corpus, out, settings, vocabulary, valid, None, watch, progress, accelerator)
        self.body = [p for name, p in model.named_parameters() if p.requires_grad and not name.startswith(HEADS)]

    def listen(self, corpus: Corpus, **how) -> Batches:
        return listen(self.plain, corpus, self.settings, **how)

    def facts(self) -> dict:
        return {"teach": self.teach, "names": list(self.names), "variant": None}

    def prepare(self, step: int) -> None:
        learns = step >= self.settings.head_only * self.settings.steps
        for p in self.body:
            p.requires_grad_(learns)

    def forward(self, given: dict) -> Lesson:
        output, size = self.model(**given), len(given["input_values"])
        return Lesson(loss_of(output, size, self.plain), size, output.logits, given["labels"])

    def about(self, step: int) -> dict:
        return {}

    def silence(self) -> dict:
        heard = torch.zeros(1, RATE, device=self.accelerator.device)
        label = 0 if self.vocabulary is None else self.vocabulary.encode(self.vocabulary.phones[:1])[0]
        labels = torch.full((1, 1), label, device=heard.device)
        return {"input_values": heard, "attention_mask": torch.ones_like(heard).long(), "labels": labels}

    def validate(self) -> dict[str, float]:
        found = judged(self.plain, self.valid, self.model if is_sharded(self.accelerator) else None)
        mark = {"error": error(found), "loss": found["loss"]}
        if self.best is None or (mark["error"], mark["loss"]) < (self.best["error"], self.best["loss"]):
            self.best = {**mark, "step": self.step}
        return found

    def finish(self) -> None:
        if self.best is not None and self.best["step"] != self.step:
            self.keeper.restore(self.run.folder / "checkpoints" / f"{self.best['step']:08d}")
        if self.tuned is not None:
            with whole_folder(self.run.folder / "lora") as folder:
                self.tuned.save_pretrained(folder)
            self.tuned.merge_and_unload()
        super().finish()

    def more(self, folder: Path) -> None:
        if self.settings.language:
            self.plain.save_adapter(folder, self.settings.language)

    def provenance(self) -> str:
        before = self.plain.config.provenance or "weights of an unknown source"
        best = "" if self.best is None else f", the best of its validations (step {self.best['step']})"
        return (
            f"{before.rstrip('.')}; then fine-tuned to {self.teach} for {self.step} steps on {self.audio / 60:.1f} "
            f"minutes of sound ({self.batches.description}), seed {self.settings.seed}{best}"
        )
