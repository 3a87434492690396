"""The command ``unispeech-lab finetune``: a pretrained model learns to write speech down, or to sort it."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from unispeech_lab.commands.pretrain import HELP, joined, settings_too
from unispeech_lab.commands.training import told
from unispeech_lab.settings import FineTuneSettings as Settings

MORE = {
    "head_only": "Share of the steps in which the head alone learns; 1: the rest never does.",
    "lora": "Rank of low-rank updates, all that learns beside the head (an extra: lora); 0: none.",
    "language": "Train this language's adapters and head alone; begin with --config adapter_attn_dim=16.",
    "feature_gradient": "Factor of the convolutions' gradient; 0, as the authors have it: they stay as they are.",
    "batch_seconds": "Of speech in a micro-batch, padding included.",
}


@settings_too(Settings, {**HELP, **MORE})
def finetune(
    corpora: Annotated[list[str], typer.Argument(help="Folders or tables of speech, or bundled; several are joined.")],
    out: Annotated[Path, typer.Option(help="The run's folder; an unfinished run there is gone on with.")],
    teach: Annotated[
        str, typer.Option(help="phones, characters, or a column with a class an utterance: language, speaker, text.")
    ] = "phones",
    init: Annotated[str, typer.Option(help="The model to begin with: tiny, a folder, or a name on the hub.")] = "tiny",
    valid: Annotated[list[str] | None, typer.Option(help="Speech to validate on; the best checkpoint is kept.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Rows to learn from: column=value, several are or.")] = None,
    hold: Annotated[list[str] | None, typer.Option(help="Rows to validate on instead: speaker=lucas.")] = None,
    keep_head: Annotated[bool, typer.Option("--keep-head", help="Go on with the model's own CTC classes.")] = False,
    config: Annotated[list[str] | None, typer.Option(help="Of the model: mask_time_prob=0.3, and so on.")] = None,
    log_with: Annotated[str | None, typer.Option(help="A tracker beside metrics.jsonl: tensorboard, ...")] = None,
    **settings,
) -> None:
    """Fine-tune a model: a recogniser of phones or letters, or a classifier of keywords, languages, speakers."""
    from unispeech_lab import checkpoints
    from unispeech_lab import finetune as tuning

    screen = Console(soft_wrap=True, highlight=False)
    with told(screen) as main:
        chosen = Settings(**settings)
        speech, held = split(joined(corpora), joined(valid) if valid else None, only or [], hold or [])
        start = checkpoints.load(init)
        if keep_head and start.vocabulary is None:
            raise ValueError(
                f"expected a model with a CTC head and its vocab.json for --keep-head, found none in {init}"
            )
        words, more = start.vocabulary if keep_head else None, values(config or [])
        model = tuning.begin(start, speech, teach, also=held, vocabulary=words, seed=chosen.seed, **more)
        if main:
            count = sum(p.numel() for p in model.parameters())
            what = f"{init} to {teach}, {len(tuning.names(model))} classes, {count:,} parameters"
            screen.print(f"{what}; {speech!r}; into {out}", markup=False)
        run = tuning.train(model, speech, out, chosen, valid=held, log_with=log_with)
    if main:
        report(screen, tuning, model, held, run)


def report(screen: Console, tuning, model, held, run) -> None:
    """What came of it: the last loss, how the kept model does on the held-out speech, where things are."""
    from unispeech_lab.targets import SEQUENCES

    screen.print(f"step {run.step}, loss {run.table['loss'].dropna().iloc[-1]:.4g}")
    if held is not None:
        found = tuning.evaluate(model, held)
        screen.print("held out: " + ", ".join(f"{name} {value:.4g}" for name, value in found.items()))
        if tuning.taught(model) not in SEQUENCES:
            screen.print(tuning.confusion(model, held).to_string(), markup=False)
    screen.print(f"model    {run.folder / 'model'}\nmetrics  {run.metrics}", markup=False)


def split(corpus, held, only: list[str], hold: list[str]):
    """The speech to learn from, and the speech to validate on."""
    for wanted, keep in ((only, True), (hold, False)):
        columns: dict[str, list[str]] = {}
        for pair in wanted:
            name, value = cut(pair)
            columns.setdefault(name, []).append(value)
        if not columns:
            continue
        chosen = corpus.where(**columns)
        if not len(chosen):
            raise ValueError(f"expected utterances of {', '.join(wanted)}, found none in {corpus!r}")
        if keep:
            corpus = chosen
        elif held is not None:
            raise ValueError("expected --valid or --hold, found both: leave one out")
        else:
            there = set(chosen.table["id"])
            corpus, held = corpus.where(lambda table, there=there: ~table["id"].isin(there)), chosen
    return corpus, held


def values(pairs: list[str]) -> dict:
    """Settings of the config, each a number, true, false, null or a word."""
    found = {}
    for pair in pairs:
        name, value = cut(pair)
        try:
            found[name] = json.loads(value)
        except json.JSONDecodeError:
            found[name] = value
    return found


def cut(pair: str) -> tuple[str, str]:
    name, equals, value = pair.partition("=")
    if not equals or not name:
        raise ValueError(f"expected name=value, found {pair!r}")
    return name, value
