"""The command ``unispeech-lab pretrain``: a model learns from speech, in a folder that can be gone on with.

On several processes: ``accelerate launch -m unispeech_lab.cli pretrain ...``, or ``torchrun -m`` and so on.
"""

import inspect
import os
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from unispeech_lab.commands.training import told
from unispeech_lab.settings import PRECISIONS, SCHEDULES, Settings

HELP = {
    "steps": "Updates of the weights.",
    "seed": "Of weights, batches and every draw.",
    "batch_seconds": "Of speech in a micro-batch, padding included.",
    "micro_batches": "A step's, over all processes together.",
    "learning_rate": "The highest.",
    "warmup": "Share of the steps in which the learning rate rises.",
    "schedule": f"What it does then: {', '.join(SCHEDULES)}.",
    "betas": "Of Adam.",
    "eps": "Of Adam.",
    "weight_decay": "Of matrices; vectors do not decay.",
    "clip": "The largest norm of a gradient.",
    "temperature": "Of the Gumbel softmax: at the start, its floor, factor of a step.",
    "feature_gradient": "Factor of the convolutions' gradient; 0: they stay as they are.",
    "least_seconds": "Of an utterance.",
    "most_seconds": "Of an utterance.",
    "augment": "Vary rate, colour and noise.",
    "mixed_precision": f"One of {', '.join(PRECISIONS)}.",
    "compile": "The encoder's layers, by torch.compile.",
    "log_every": "Steps between two lines of the metrics.",
    "validate_every": "Steps between two validations.",
    "save_every": "Steps between two checkpoints.",
    "keep": "Checkpoints.",
    "workers": "Processes that read ahead.",
}


def settings_too(kind: type[Settings], words: dict[str, str]):
    """Give a command every setting of a kind as an option, each with its words."""
    return partial(with_settings, kind=kind, words=words)


def with_settings(command, kind: type[Settings], words: dict[str, str]):
    signature = inspect.signature(command)
    chosen = {"mixed_precision": os.environ.get("ACCELERATE_MIXED_PRECISION", "no")}  # as accelerate launch was told
    options = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=chosen.get(field.name, field.default),
            annotation=Annotated[field.type, typer.Option(help=words[field.name], rich_help_panel="Settings")],
        )
        for field in fields(kind)
    ]
    own = [p for p in signature.parameters.values() if p.kind != inspect.Parameter.VAR_KEYWORD]
    command.__signature__ = signature.replace(parameters=[*own, *options])
    command.__annotations__ = {p.name: p.annotation for p in [*own, *options]} | {"return": None}
    return command


@settings_too(Settings, HELP)
def pretrain(
    corpora: Annotated[list[str], typer.Argument(help="Folders or tables of speech, or bundled; several are joined.")],
    out: Annotated[Path, typer.Option(help="The run's folder; an unfinished run there is gone on with.")],
    variant: Annotated[str, typer.Option(help="What to learn; unispeech-lab compare --list says which.")] = "unispeech",
    config: Annotated[str, typer.Option(help="The model's size: tiny, base, large, or a config.json.")] = "tiny",
    init: Annotated[str | None, typer.Option(help="Begin with these weights: a folder, or a name on the hub.")] = None,
    valid: Annotated[list[str] | None, typer.Option(help="Speech to validate on.")] = None,
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="A vocab.json, or its folder.", show_default="of --init, else every phone of the speech"),
    ] = None,
    log_with: Annotated[str | None, typer.Option(help="A tracker beside metrics.jsonl: tensorboard, ...")] = None,
    **settings,
) -> None:
    """Pretrain a model on speech, with phones where they are known."""
    from unispeech_lab.pretrain import train

    screen = Console(soft_wrap=True, highlight=False)
    with told(screen) as main:
        chosen = Settings(**settings)
        speech, held = joined(corpora), joined(valid) if valid else None
        words = vocabulary_of(vocabulary, init, speech, held)
        kind, model = model_of(variant, config, init, words, speech, chosen.seed)
        if main:
            count = sum(p.numel() for p in model.parameters())
            screen.print(f"{kind.name}, {count:,} parameters; {speech!r}; into {out}", markup=False)
        run = train(
            model,
            kind.corpus(speech),
            out,
            chosen,
            vocabulary=words,
            valid=held,
            variant=kind,
            log_with=log_with,
        )
    if main:
        last = {
            name: value for name, value in run.table.iloc[-1].items() if name in ("loss", "valid_loss", "valid_per")
        }
        screen.print(", ".join([f"step {run.step}", *(f"{name} {value:.4g}" for name, value in last.items())]))
        screen.print(f"model    {out / 'model'}\nmetrics  {out / 'metrics.jsonl'}", markup=False)


def joined(places: list[str]):
    """The speech of several places as one corpus; ids that several have are told apart by their place."""
    import pandas as pd

    from unispeech_lab import corpora
    from unispeech_lab.corpus import Corpus

    found = [corpora.at(place) for place in places]
    if len(found) == 1:
        return found[0]
    tables = []
    for corpus in found:
        table = corpus.table.copy()
        for column in ("path", "alignment"):
            table[column] = [None if pd.isna(x) else str((corpus.root / x).absolute()) for x in table[column]]
        tables.append(table)
    table = pd.concat(tables, ignore_index=True)
    origin = pd.Series([place for place, corpus in zip(places, found, strict=True) for _ in range(len(corpus))])
    twice = table["id"].duplicated(keep=False)
    table["id"] = table["id"].where(~twice, origin + "/" + table["id"])
    return Corpus(table, name=" ".join(corpus.name for corpus in found))


def vocabulary_of(file: Path | None, init: str | None, *speech):
    """The one asked for; that beside the first weights; every phone of the speech; None where nobody knows phones."""
    from unispeech_lab.vocabulary import Vocabulary, transcripts

    if file is not None:
        return Vocabulary.load(file)
    if init is not None and (Path(init) / "vocab.json").is_file():
        return Vocabulary.load(init)
    said = {
        phone for corpus in speech if corpus is not None for phones in transcripts(corpus) for phone in phones or ()
    }
    return Vocabulary(said) if said else None


def model_of(name: str, config: str, init: str | None, vocabulary, speech, seed: int):
    """The variant and its model: the weights of ``init``, or random ones by the seed, its CTC head at the prior."""
    import torch

    from unispeech_lab import UniSpeechConfig, variants
    from unispeech_lab.preparation import at_prior
    from unispeech_lab.seeds import seed_of

    variant = variants.load(name)
    if init is not None:
        return variant, variant.from_pretrained(init)
    sizes = {"tiny": UniSpeechConfig.tiny, "base": UniSpeechConfig, "large": UniSpeechConfig.large}
    if config in sizes:
        made = sizes[config]()
    elif Path(config).is_file():
        made = UniSpeechConfig.from_json_file(config)
    else:
        raise ValueError(f"expected {', '.join(sizes)} or a config.json, found {config!r}")
    if vocabulary is not None:
        made.num_ctc_classes, made.ctc_blank = len(vocabulary), vocabulary.blank
    with torch.random.fork_rng():
        torch.manual_seed(seed_of(seed, "weights"))
        model = variant.model(made)
    return variant, model if vocabulary is None else at_prior(model, speech, vocabulary)
