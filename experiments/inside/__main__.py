"""The questions from the command line: ``python -m experiments.inside RUNS OUT``."""

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from experiments.cross_lingual import synthetic
from experiments.inside import models, tables
from experiments.inside.measure import gather, measure
from unispeech_lab.analysis.minimal import spread

screen = Console()
app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@app.command()
def main(
    runs: Annotated[
        Path, typer.Argument(help="Where <method>/<seed>/model are: out/stage1/en of the other experiment.")
    ],
    out: Annotated[Path, typer.Argument(help="Where to; the same command goes on there.")],
    results: Annotated[Path | None, typer.Option(help="Where the tables go.", show_default="OUT")] = None,
    language: Annotated[str, typer.Option(help="Of the held-out speech.")] = "en",
    minutes: Annotated[float, typer.Option(help="Of speech, by voices that nobody trained on.")] = 4.0,
    number: Annotated[int | None, typer.Option(min=2, help="Utterances of it.", show_default="all")] = None,
    method: Annotated[list[str], typer.Option(help="Only these; all if none.", show_default=False)] = [],  # noqa: B006
    seed: Annotated[list[int], typer.Option(help="Only these; all if none.", show_default=False)] = [],  # noqa: B006
    listen: Annotated[bool, typer.Option(help="Measure what is not measured yet, or only write the tables.")] = True,
    threads: Annotated[int, typer.Option(min=1)] = 1,
) -> None:
    """Measure every finished model, compare them, write tables and the figure."""
    torch.set_num_threads(threads)
    try:
        found = [
            each
            for each in models.find(runs)
            if each.method == models.UNTRAINED
            or ((not method or each.method in method) and (not seed or each.seed in seed))
        ]
        if not listen:
            tables.write(gather(found, out), results or out)
            return
        speech = synthetic.speech(out / "speech", "test", language, minutes / 60, 7)
        speech = speech[spread(list(range(len(speech))), number or len(speech))]
        measure(found, speech, out, screen.print, screen.is_terminal)
        tables.write(gather(found, out), results or out)
    except (ValueError, OSError, ImportError) as error:
        raise typer.BadParameter(str(error)) from error
    except KeyboardInterrupt:
        screen.print("Stopped. The same command goes on from here.")
        raise typer.Exit(130) from None
    screen.print((results or out) / "tables.md")


if __name__ == "__main__":
    app()
