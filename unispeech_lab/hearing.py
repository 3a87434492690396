"""Hearing: what a fine-tuned model makes of a corpus, in tables, rates, confusions."""

from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor

from .batches import NONE, Batches
from .corpus import Corpus
from .heads import names, taught
from .measures import spelt
from .model import UniSpeechForCTC
from .settings import FineTuneSettings as Settings
from .targets import SEQUENCES, judge, known, read, refuse_strange


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
            found = [words.decode(row) for row in spelt(output.logits, words.blank, lengths)]
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
