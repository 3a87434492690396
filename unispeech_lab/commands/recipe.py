"""The command ``unispeech-lab recipe``: interventions out of a file, tried on a model."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

SHOWN = 12  # rows on the screen
COLUMNS = ("kl", "reading", "errors", "states", "becomes")


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
        if output.suffix != ".csv":
            raise ValueError(f"expected a .csv file for the rows, found {output}")
        wanted, ears, speech = Recipe.load(file), checkpoints.load(model), corpora.at(corpus)
        chosen = spread(list(range(len(speech))), number or len(speech))
        rows = wanted.run(ears, [speech[k] for k in chosen], progress=True)
        rows.to_csv(output, index=False)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    main = next((name for name in ("becomes", *wanted.measures, "kl", "states") if name in rows), "intervention")
    for name, row in rows.set_index("intervention").sort_values(main, ascending=False).head(SHOWN).iterrows():
        said = "  ".join(f"{column} {value:.3g}" for column, value in row[row.index.isin(COLUMNS)].dropna().items())
        screen.print(f"{name:<34} {said}", markup=False, highlight=False)
    screen.print(f"{output}: {len(rows)} interventions over {len(chosen)} utterances", markup=False, highlight=False)
