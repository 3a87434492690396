"""``unispeech-lab analyse``: which layer of a model knows what, over a corpus."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

SHOWN = ("probe", "control", "pwcca", "cka", "information", "abx")


def analyse(
    model: Annotated[str, typer.Argument(help="tiny, a folder, or a name on the hub.")],
    corpus: Annotated[str, typer.Argument(help="A folder or table of speech, or bundled.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder; a run that was stopped goes on there.")],
    measures: Annotated[
        str | None,
        typer.Option(
            help='Some of probe cca cka information abx codebook segments, as one word: "probe abx".',
            show_default="all",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of folds, control labels, what is drawn.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="So many utterances, drawn.", show_default="all")] = None,
) -> None:
    """Measure layer by layer what a model knows of phones, words, voices, languages; its codes; its borders."""
    import torch

    from unispeech_lab import checkpoints
    from unispeech_lab import corpora as readers
    from unispeech_lab.analyse import analyse
    from unispeech_lab.commands.summary import page

    screen = Console()
    try:
        heard = checkpoints.load(model)
        speech = readers.at(corpus)
        if limit is not None and limit < len(speech):
            speech = speech.sample(limit, torch.Generator().manual_seed(seed))
        found = analyse(heard, speech, output, seed=seed, measures=measures.split() if measures else None)
        (output / "index.html").write_text(page(found), encoding="utf-8")
    except KeyboardInterrupt:
        screen.print("Stopped. The same command goes on from here.")
        raise typer.Exit(130) from None
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    numbers = found.wide()
    heads = [str(name).replace(" ", "\n") for name in numbers.columns]
    table = Table("", title="by layer; MFCC: without a model", box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for (measure, target), row in numbers.iterrows():
        if measure in SHOWN:
            table.add_row(f"{measure}, {target}", *("" if value != value else f"{value:.2f}" for value in row))
    screen.print(table)
    for name, why in found.about.get("left_out", {}).items():
        screen.print(f"left out {name}: {why}", markup=False)
    screen.print(f"{output / 'index.html'}: {found!r}, {found.about['seconds']:.0f} s", markup=False)
