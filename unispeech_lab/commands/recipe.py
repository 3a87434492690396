"""The command ``unispeech-lab recipe``: interventions out of a file, tried on a model."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

SHOWN = 12  # rows on the screen
COLUMNS = {  # of the rows -> its heading, its unit, what it is
    "becomes": ("becomes", "%", "read as the other phone"),
    "kl": ("KL", "nats/frame", "how far the output's distributions moved"),
    "moved": ("moved", "%", "how much of the belief went elsewhere"),  # much as KL: shown if asked for first
    "reading": ("reading", "%", "frames whose best class is another"),
    "errors": ("errors", "points", "phone error rate after less before"),
    "states": ("states", "1 - cos", "how far the last layer's states turned"),
}
EVER = [name for name in COLUMNS if name != "moved"]


def recipe(
    file: Annotated[Path, typer.Argument(help="The recipe, a .json file.")],
    model: Annotated[str, typer.Argument(help="tiny, a folder, or a name on the hub.")],
    corpus: Annotated[str, typer.Argument(help="bundled, a folder of speech, or a table of it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A .csv file for the rows.")],
    number: Annotated[
        int | None, typer.Option(min=1, help="Utterances, spread over the corpus.", show_default="all")
    ] = None,
) -> None:
    """Ablate, skip or exchange parts of a model as a recipe says; write how far its output moves."""
    from unispeech_lab import checkpoints, corpora
    from unispeech_lab.analysis.minimal import spread
    from unispeech_lab.recipes import Recipe

    screen = Console()
    try:
        if output.suffix != ".csv" or output.is_dir():
            raise ValueError(
                f"expected a .csv file for the rows, found {'a folder, ' if output.is_dir() else ''}{output}"
            )
        wanted, ears, speech = Recipe.load(file), checkpoints.load(model), corpora.at(corpus)
        chosen = spread(list(range(len(speech))), number or len(speech))
        output.parent.mkdir(parents=True, exist_ok=True)  # or its error, before an hour of forwards
        rows = wanted.run(ears, [speech[k] for k in chosen], progress=True)
        rows.to_csv(output, index=False)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    main = next((name for name in ("becomes", *wanted.measures, "kl", "states") if name in rows), "intervention")
    show(screen, rows.sort_values(main, ascending=False), main)
    screen.print(f"{output}: {len(rows)} interventions over {len(chosen)} utterances", markup=False, highlight=False)


def show(screen: Console, rows, main: str) -> None:
    """The first rows as a table, under it what its columns are; the measure they are sorted by with its interval."""
    found = [name for name in COLUMNS if name in rows and rows[name].notna().any() and name in (main, *EVER)]
    columns = [Column("intervention", overflow="fold")]
    for name in found:
        title, unit, _ = COLUMNS[name]
        columns.append(Column(f"{title}\n{unit}", justify="right", no_wrap=True))
        if name == main:
            columns.append(Column("95 %\ninterval", justify="right", no_wrap=True))
    more = f", the first {SHOWN} of {len(rows)}" if len(rows) > SHOWN else ""
    table = Table(
        *columns, title=f"What moved most, by {COLUMNS[main][0]}{more}" if main in COLUMNS else None, box=None
    )
    for _, row in rows.head(SHOWN).iterrows():
        cells = [row["intervention"]]
        for name in found:
            cells.append(amount(name, row[name]))
            if name == main:
                ends = [amount(name, row.get(f"{name}_{end}", float("nan"))) for end in ("low", "high")]
                cells.append(" – ".join(filter(None, ends)))
        table.add_row(*map(escape, cells))
    screen.print(table)
    for name in found:
        title, unit, words = COLUMNS[name]
        screen.print(f"{title:<8} {words}", markup=False, highlight=False)


def amount(name: str, value: float) -> str:
    """A value in its column's unit; shares in percent. Nothing where it was not measured."""
    if value != value:
        return ""
    return f"{100 * value:.1f}" if COLUMNS[name][1] in ("%", "points") else f"{value:.3f}"
