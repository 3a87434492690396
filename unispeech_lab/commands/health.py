"""The command ``unispeech-lab health``: what a training run suffers from."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def health(
    run: Annotated[Path, typer.Argument(help="A run's folder, or a log of Hugging Face's or fairseq's.")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    codewords: Annotated[int | None, typer.Option(help="In all groups together, if the log does not say.")] = None,
    groups: Annotated[int | None, typer.Option(help="Of the codebook, if the log does not say.")] = None,
    steps: Annotated[int | None, typer.Option(help="The run was to take, if the log does not say.")] = None,
) -> None:
    """Say what a training run suffers from, why, and what to type. Exit code 1: it is ill."""
    from unispeech_lab.health import examine

    facts = {"num_codewords": codewords, "groups": groups, "steps": steps}
    try:
        card = examine(run, **{name: value for name, value in facts.items() if value is not None})
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    if as_json:
        said = {"verdict": card.verdict, "findings": [asdict(f) for f in card.findings], "looked": card.looked}
        typer.echo(json.dumps(said | {"notes": card.notes}, ensure_ascii=False, indent=1))
    else:
        typer.echo(card.text)
    if any(finding.severity == "ill" for finding in card.findings):
        raise typer.Exit(1)
