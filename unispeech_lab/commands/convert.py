"""The command ``unispeech-lab convert``: a checkpoint from elsewhere becomes one of this lab."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table


def convert(
    source: Annotated[str, typer.Argument(help="The authors' .pt file, or a wav2vec 2.0 folder or hub name.")],
    folder: Annotated[Path, typer.Argument(help="Where to; load it afterwards with unispeech_lab.load.")],
    vocabulary: Annotated[
        Path | None,
        typer.Option(help="The authors' vocab.json, or fairseq's dict.txt.", show_default="the file's own, if any"),
    ] = None,
    language: Annotated[
        str | None, typer.Option(help="As espeak calls it (fr-fr): lets the tokenizer turn text into phones.")
    ] = None,
    keys: Annotated[bool, typer.Option(help="Show every weight, not those alone that changed.")] = True,
) -> None:
    """Turn an original UniSpeech file (fairseq) or a wav2vec 2.0 checkpoint into a folder of this lab."""
    from unispeech_lab.convert import convert as run
    from unispeech_lab.doors import CheckpointError

    screen = Console()
    try:
        done = run(source, folder, vocabulary, language)
    except (CheckpointError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    table = Table(
        Column("theirs", overflow="fold"), Column("ours", overflow="fold"), "", Column(overflow="fold"), box=None
    )
    for row in done.account.rows():
        if keys or row[2] != "used":
            table.add_row(*row)
    if table.row_count:
        screen.print(table, markup=False)
    for name, why in done.assumed.items():
        screen.print(f"{name}: assumed ({why})", markup=False, highlight=False)
    for note in done.notes:
        screen.print(note, markup=False, highlight=False)
    counts = ", ".join(f"{number} {what}" for what, number in done.account.counts().items())
    said = f"{done.folder}: {done.architecture}, {done.parameters:,} parameters; weights: {counts} (conversion.json)"
    screen.print(said, markup=False, highlight=False)
