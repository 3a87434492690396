"""The experiment from the command line: ``python -m experiments.cross_lingual laptop out``.

On several cards: ``accelerate launch -m experiments.cross_lingual full out --speech COMMON_VOICE``.
"""

import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from experiments.cross_lingual import methods, plan, processes, results, sizes, tables
from experiments.cross_lingual.run import Experiment

screen = Console()
app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@app.command()
def main(
    size: Annotated[str, typer.Argument(help=f"Out of {', '.join(sizes.names())}.")],
    out: Annotated[Path, typer.Argument(help="Where the runs go; the same command goes on there.")],
    speech: Annotated[Path | None, typer.Option(help="Where speech is, or is made.", show_default="OUT/speech")] = None,
    setting: Annotated[list[str], typer.Option(help=f"Out of {', '.join(plan.SETTINGS)}.")] = ["one-to-one"],  # noqa: B006
    method: Annotated[list[str], typer.Option(help="By name; the table's if none.", show_default=False)] = [],  # noqa: B006
    target: Annotated[list[str], typer.Option(help="Languages; the size's if none.", show_default=False)] = [],  # noqa: B006
    seed: Annotated[list[int], typer.Option(help="The size's if none.", show_default=False)] = [],  # noqa: B006
    steps: Annotated[int | None, typer.Option(min=1, help="Of each stage, to try whether everything is there.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Of one run.")] = 2,
    at_once: Annotated[
        float | None, typer.Option(min=1, help="Seconds a card takes at a time.", show_default="the size's")
    ] = None,
) -> None:
    """Run every cell that is not done yet, then write tables and figures into OUT."""
    torch.set_num_threads(threads)
    main = processes.state().is_main_process
    screen.quiet = not main
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    try:
        wanted = sizes.load(size)
        if target:
            wanted = replace(wanted, targets=tuple(target))
        if steps:
            short = {f"stage{k}": replace(getattr(wanted, f"stage{k}"), steps=steps) for k in (1, 2, 3)}
            wanted = replace(wanted, **short)
        cells = plan.cells(wanted, setting, methods.load(method), seed)
        until = {"until": lambda: bool(stopped), "at_once": at_once}
        experiment = Experiment(wanted, speech or out / "speech", out, screen.print, **until)
        for k, cell in enumerate(cells, 1):
            row = experiment.cell(cell)
            if processes.agreed(row is None or bool(stopped)):
                screen.print("Stopped. The same command goes on from here.")
                raise typer.Exit(130)
            screen.print(f"{k} of {len(cells)}: {cell.method.name}, {cell.target}, seed {cell.seed}: {row['per']:.1%}")
    except (KeyError, ValueError, OSError, ImportError) as error:
        raise typer.BadParameter(str(error)) from error
    except KeyboardInterrupt:
        screen.print("Stopped. The same command goes on from here.")
        raise typer.Exit(130) from None
    if main:
        tell(out, setting, [one.name for one in methods.load(method)])
    processes.state().destroy_process_group()


def tell(out: Path, settings: Sequence[str], names: Sequence[str]) -> None:
    """All tables and figures into the folder, those of the settings on the screen."""
    done = results.write(out, out)
    for setting in settings:
        found = tables.table(done, setting, [*names, tables.OURS])
        screen.print(f"{setting}\n{tables.markdown(found)}", markup=False)


if __name__ == "__main__":
    app()
