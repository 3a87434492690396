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

import pandas as pd
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from . import checkpoints, pretrain
from .audio import RATE
from .batches import NONE, Batches
from .corpus import Corpus
from .ctc import greedy
from .measures import Sums
from .model import UniSpeechForCTC, UniSpeechForSequenceClassification, UniSpeechPreTrainedModel
from .preparation import prior
from .pretrain import Stop
from .run import Run
from .saving import is_sharded
from .seeds import seed_of
from .targets import SEQUENCES, Classes, error, judge, known, names_of, read, refuse_strange
from .vocabulary import Vocabulary

__all__ = ["Settings", "Stop", "begin", "confusion", "evaluate", "names", "predict", "train"]

HEADS = ("lm_head.", "projector.", "classifier.", "layer_weights")  # what the first updates are for
LINEARS = ["q_proj", "k_proj", "v_proj", "out_proj", "intermediate_dense", "output_dense"]  # what LoRA goes beside


@dataclass(frozen=True)
class Settings(pretrain.Settings):
    """What decides a fine-tuning run, beside the model and the corpus: as in pretraining, with other defaults.

    ``head_only``: share of the steps in which the head alone learns; 1: the rest never does. ``feature_gradient`` is 0:
    the convolutions stay as they are. ``lora``: rank of low-rank updates (arXiv 2106.09685) beside the encoder's
    matrices, which then stay as they are; 0: none. ``language``: train this language's adapters and head alone, and
    keep them in a file of their own (see ``doors.languages``).

    Raises:
        ValueError: as ``pretrain.Settings``; a share that is none, a negative rank, LoRA together with a language.
    """

    steps: int = 600
    batch_seconds: float = 20.0
    learning_rate: float = 5e-4
    schedule: str = "tri-stage"
    eps: float = 1e-8
    weight_decay: float = 0.0
    feature_gradient: float = 0.0
    least_seconds: float = 0.1
    head_only: float = 0.1
    lora: int = 0
    language: str | None = None
    validate_every: int = 100

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.head_only <= 1:
            raise ValueError(f"expected head_only as a share of the steps, from 0 to 1, found {self.head_only}")
        if self.lora < 0:
            raise ValueError(f"expected lora as a rank of at least 0, found {self.lora}")
        if self.lora and self.language:
            raise ValueError(f"expected lora or language, found both ({self.lora}, {self.language!r}): leave one out")


def recipe(width: int) -> dict:
    """Settings of the config by the authors' third stage, the span of channels in proportion to the model's width."""
    drops = ("hidden", "attention", "activation", "feat_proj", "final")
    hides = {"mask_time_prob": 0.75, "mask_time_length": 10, "mask_time_min_masks": 2, "mask_rule": "authors"}
    hides |= {"mask_feature_prob": 0.25, "mask_feature_length": max(width // 16, 1)}
    loss = {"ctc_loss_reduction": "sum", "ctc_zero_infinity": True}
    return {**dict.fromkeys([f"{name}_dropout" for name in drops], 0.1), "layerdrop": 0.1, **hides, **loss}


def begin(
    start: str | PathLike | UniSpeechPreTrainedModel,
    corpus: Corpus,
    teach: str = "phones",
    *,
    vocabulary: Vocabulary | None = None,
    seed: int = 0,
    **config,
) -> UniSpeechForCTC | UniSpeechForSequenceClassification:
    """A model to fine-tune: the body of another, a new head for what the corpus says.

    A head of phones or characters begins with how often each is said (see ``preparation.at_prior``).

    Args:
        start: a name or folder for ``load``, or a model; its weights are copied.
        teach: ``"phones"``, ``"characters"`` of the texts, or a column of the corpus with a class for each utterance.
        vocabulary: other classes than those of the corpus. The start's own: its CTC head is kept as well.
        seed: of the new weights.
        config: settings that differ from the recipe: ``mask_time_prob=0.3``, ``use_weighted_layer_sum=True``,
            ``adapter_attn_dim=16``, ...

    Raises:
        ValueError: nothing to learn, a name that the vocabulary lacks, a setting that no config has.
    """
    start = start if isinstance(start, UniSpeechPreTrainedModel) else checkpoints.load(start)
    words = vocabulary or names_of(corpus, teach)
    refuse_strange(corpus, teach, words)
    made = start.config
    changes = {**recipe(made.hidden_size), **config}
    if strange := sorted(set(changes) - set(made.to_dict())):
        raise ValueError(f"expected settings of UniSpeechConfig, found {', '.join(strange)}")
    made = type(made).from_dict({**made.to_dict(), **changes, "teach": teach})
    made._attn_implementation = start.config._attn_implementation
    if teach in SEQUENCES:
        kind, made.vocab_size, made.pad_token_id = UniSpeechForCTC, len(words), words.blank
    else:
        kind, made.id2label, made.label2id = UniSpeechForSequenceClassification, dict(enumerate(words)), words.classes
    with torch.random.fork_rng():
        torch.manual_seed(seed_of(seed, "head"))
        model = kind(made)
    body = getattr(start, start.base_model_prefix, start)
    missing, strange = model.unispeech.load_state_dict(body.state_dict(), strict=False)
    other = [n for n in (*missing, *strange) if "adapter_layer" not in n and n != "masked_spec_embed"]
    if other:
        raise ValueError(f"expected a body of the start's shape, found others in {', '.join(other)}: change no sizes")
    if teach in SEQUENCES:
        model.vocabulary = words
        head = getattr(start, "ctc_proj", getattr(start, "lm_head", None))
        if head is not None and vocabulary is not None and vocabulary == start.vocabulary:
            model.lm_head.load_state_dict(head.state_dict())
        else:
            with torch.no_grad():
                model.lm_head.bias.copy_(prior(read(corpus, teach), words))
    return model.to(start.dtype).eval()


def names(model) -> Vocabulary | Classes:
    """What a fine-tuned model can say.

    Raises:
        ValueError: nobody wrote down what its classes are called.
    """
    if isinstance(model, UniSpeechForSequenceClassification):
        return Classes(name for _, name in sorted(model.config.id2label.items()))
    if model.vocabulary is None:
        raise ValueError("expected a model that knows what its classes are called: make it with finetune.begin")
    return model.vocabulary


def taught(model) -> str:
    """What a model was begun to learn: see ``begin``."""
    found = getattr(model.config, "teach", None)
    if found is None:
        raise ValueError("expected a model made with finetune.begin, found one that does not say what it is taught")
    return found


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
    Utterances that do not say what is taught are left out. LoRA's updates are added to the matrices at the end.

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
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
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
    with torch.random.fork_rng():
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


def loss_of(output, size: int, model) -> Tensor:
    """A model's loss as a mean over utterances."""
    summed = isinstance(model, UniSpeechForCTC) and model.config.ctc_loss_reduction == "sum"
    return output.loss / size if summed else output.loss


def listen(model, corpus: Corpus, settings: Settings, **how) -> Batches:
    """A corpus in batches, with labels of what the model is taught."""
    how |= {"least": settings.least_seconds, "most": settings.most_seconds}
    how |= {"read": lambda speech: read(speech, taught(model))}
    listening = (model.feature_extractor_settings(), model.config.frames)
    return Batches(corpus, names(model), *listening, settings.batch_seconds, **how)


@torch.no_grad()
def hear(model, batches: Batches, forward: Callable | None = None) -> tuple[pd.DataFrame, float]:
    """A row an utterance, ``id``, ``said``, ``heard`` (lists of names), and the mean loss, of speech without masks.

    ``forward``: what to call where the model itself cannot be (FSDP). The model's mode comes back as it was.
    """
    training, device, words = model.training, next(model.parameters()).device, names(model)
    model.eval()
    rows, loss = [], 0.0
    for batch in batches.once():
        given = {name: x.to(device) for name, x in batch.items() if isinstance(x, Tensor)}
        if "input_values" not in given:
            continue
        output, size = (forward or model)(**given), len(given["input_values"])
        loss += 0.0 if output.loss is None else float(loss_of(output, size, model)) * size
        if isinstance(model, UniSpeechForCTC):
            lengths = model.frames.count(given["attention_mask"].sum(-1))
            found = [words.decode(row) for row in greedy(output.logits, words.blank, lengths.cpu())]
        else:
            found = [[words[k]] for k in output.logits.argmax(-1).tolist()]
        labels = given["labels"].tolist() if "labels" in given else [[]] * size
        said = [[words[label] for label in row if label != NONE] for row in labels]
        rows += zip(batch["ids"], said, found, strict=True)
    model.train(training)
    return pd.DataFrame(rows, columns=["id", "said", "heard"]), loss / max(len(rows), 1)


def judged(model, batches: Batches, forward: Callable | None = None) -> dict[str, float]:
    """The mean loss, and what ``targets.judge`` says."""
    table, loss = hear(model, batches, forward)
    return {"loss": loss, **judge(taught(model), list(table["said"]), list(table["heard"]))}


def evaluate(model, corpus: Corpus, settings: Settings | None = None) -> dict[str, float]:
    """How well a fine-tuned model does on a corpus: ``loss``; ``per``, or ``cer`` and ``wer``, or ``accuracy``.

    Raises:
        ValueError: nothing there that it was taught.
    """
    teach = taught(model)
    refuse_strange(corpus, teach, names(model))
    return judged(model, listen(model, known(corpus, teach), settings or Settings(), shuffle=False))


def predict(model, corpus: Corpus, settings: Settings | None = None) -> pd.DataFrame:
    """What a fine-tuned model hears: a row an utterance by its id, ``said`` (empty if unknown) and ``heard``."""
    write = names(model).write
    table, _ = hear(model, listen(model, corpus, settings or Settings(), shuffle=False))
    table[["said", "heard"]] = table[["said", "heard"]].map(write)
    there = [id for id in corpus.table["id"] if id in set(table["id"])]
    return table.set_index("id").loc[there]


def confusion(model, corpus: Corpus, settings: Settings | None = None) -> pd.DataFrame:
    """How often each class (row) was taken for each (column), all of the model's classes in its order.

    Raises:
        ValueError: a model that writes down, and sorts nothing.
    """
    if taught(model) in SEQUENCES:
        raise ValueError(f"expected a model that sorts utterances, found one that writes {taught(model)}: use evaluate")
    table, words = predict(model, corpus, settings), list(names(model))
    counted = pd.crosstab(table["said"], table["heard"]).reindex(index=words, columns=words, fill_value=0)
    return counted.rename_axis(index="said", columns="heard")
