"""The command ``unispeech-lab compare``: variants of pretraining side by side."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def compare(
    variants: Annotated[list[str] | None, typer.Argument(help="Their names; --list says which there are.")] = None,
    corpus: Annotated[str, typer.Option(help="bundled, a folder of speech, or a table of it.")] = "bundled",
    valid: Annotated[
        str | None, typer.Option(help="Speech to validate on.", show_default="a tenth of the corpus")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where to; what is finished there is kept.")] = Path("runs/compare"),
    steps: Annotated[int, typer.Option(min=1, help="Of each run.")] = 200,
    seeds: Annotated[str, typer.Option(help="By blanks; a run from each.")] = "0",
    seconds: Annotated[float, typer.Option(help="Of speech in a batch.")] = 27.0,
    rate: Annotated[float, typer.Option(help="The highest learning rate.")] = 1e-3,
    validations: Annotated[int, typer.Option(min=1, help="Points of each curve.")] = 10,
    model: Annotated[Path | None, typer.Option(help="A config.json of its size.", show_default="tiny")] = None,
    names: Annotated[bool, typer.Option("--list", help="Say which variants there are.")] = False,
) -> None:
    """Train variants on the same speech, seeds and steps; write their table and curves."""
    from unispeech_lab import UniSpeechConfig, corpora
    from unispeech_lab import variants as known
    from unispeech_lab.compare import compare
    from unispeech_lab.settings import Settings

    screen = Console()
    if names:
        for name in known.names():
            screen.print(f"[bold]{name}[/]  {known.load(name).description}", soft_wrap=True)
        return
    if not variants:
        raise typer.BadParameter(f"expected variants out of {', '.join(known.names())}, found none")
    try:
        due = max(steps // validations, 1)
        settings = Settings(
            steps=steps, batch_seconds=seconds, learning_rate=rate, validate_every=due, log_every=max(due // 5, 1)
        )
        compared = compare(
            variants,
            corpora.at(corpus),
            out,
            settings,
            [int(seed) for seed in seeds.split()],
            config=UniSpeechConfig.from_json_file(model) if model else None,
            valid=corpora.at(valid) if valid else None,
        )
    except KeyboardInterrupt:
        screen.print("Stopped. The same command goes on from here.")
        raise typer.Exit(130) from None
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    except KeyError as error:
        raise typer.BadParameter(error.args[0]) from error
    screen.print(compared.markdown, markup=False, soft_wrap=True)
    screen.print(f"{out}: table.md, table.csv, runs.csv, curves.png")
