"""Commands: what ``unispeech-lab --help`` says of each, asked for when the site is made."""

import re

from typer.cli import get_docs_for_click
from typer.main import get_command


def page() -> str:
    from unispeech_lab.cli import app

    command = get_command(app)
    with command.make_context("unispeech-lab", [], resilient_parsing=True) as context:
        said = get_docs_for_click(obj=command, ctx=context, name="unispeech-lab", title="Commands")
    said = re.sub(r"^\*\*Commands\*\*:\n\n(?:\* .*\n)+", "", said, flags=re.M)  # the page's own contents say that
    return re.sub(r"^(?:\* |[A-Z]).*", spared, said, flags=re.M)


def spared(line: re.Match) -> str:
    """Help is plain text: outside of code, Markdown's signs mean themselves."""
    bullet = "* " if line[0].startswith("* ") else ""
    parts = re.split(r"(`[^`]*`)", line[0].removeprefix(bullet))
    return bullet + "".join(part if n % 2 else re.sub(r"([*_<\[\]$|])", r"\\\1", part) for n, part in enumerate(parts))
