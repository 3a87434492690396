"""``unispeech-lab evaluate``: how well a model knows the phones of a corpus."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

PERCENT = ("per", "onset_20ms", "borders_20ms", "purity", "mfcc_purity", "mfcc_deltas_purity")


def evaluate(
    model: Annotated[str, typer.Argument(help="tiny, a folder, or a name on the hub.")],
    corpora: Annotated[list[str], typer.Argument(help="Folders or tables of speech with phone times, or bundled.")],
    languages: Annotated[str | None, typer.Option(help="Only these, by blanks.", show_default="all")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A JSON file for the figures.")] = None,
) -> None:
    """Say how well a pretrained model reads, aligns and encodes phones, beside a k-means on MFCC."""
    from unispeech_lab import checkpoints
    from unispeech_lab import corpora as readers
    from unispeech_lab.evaluation import evaluate

    screen, found = Console(), {}
    try:
        heard = checkpoints.load(model)
        if not hasattr(heard, "quantizer") or heard.vocabulary is None:
            raise ValueError(f"expected a pretraining model with a vocab.json beside it, found {model}")
        with Progress(console=screen) as bar:
            for place in corpora:
                task = bar.add_task(str(place), total=1.0)
                corpus = readers.at(place)
                corpus = corpus.where(language=languages.split()) if languages else corpus
                found[place] = evaluate(
                    heard,
                    corpus,
                    heard.vocabulary,
                    progress=lambda done, task=task: bar.update(task, completed=done),
                )
                bar.update(task, completed=1.0)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    table = Table("", *map(str, found))
    for name in next(iter(found.values())):
        table.add_row(name, *(shown(name, figures[name]) for figures in found.values()))
    screen.print(table)
    if output is not None:
        output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def shown(name: str, value: float) -> str:
    """``0.0123`` as ``1.2 %`` where it is a share, whole numbers whole."""
    if name in PERCENT:
        return f"{100 * value:.1f} %"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
