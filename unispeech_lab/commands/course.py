"""The commands ``unispeech-lab course ...``: the notebooks as a course to hand out."""

from pathlib import Path
from typing import Annotated

import typer

course = typer.Typer(help="The notebooks as a course.", no_args_is_help=True)


@course.callback()
def options() -> None:
    pass


@course.command()
def build(
    out: Annotated[Path, typer.Argument(help="Where to: student/ and teacher/, each whole, with an index.ipynb.")],
    force: Annotated[bool, typer.Option(help="Write over what differs, a student's work among it.")] = False,
) -> None:
    """Write the notebooks twice: for students, solutions left out; for teachers, filled in and explained.

    student/ may be handed out by itself.
    """
    from unispeech_lab import course as folder

    try:
        made = folder.build(out, force)
    except OSError as error:
        raise typer.BadParameter(str(error)) from error
    count = sum(path.parent.name == "student" for path in made) - 1
    typer.echo(
        f"{count} notebooks each in {out / 'student'} and {out / 'teacher'}; begin with index.ipynb; "
        "student/ may be handed out by itself"
    )
