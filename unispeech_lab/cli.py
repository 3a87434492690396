"""The console command ``unispeech-lab``: a door to what the library does, a few lines each."""

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

import unispeech_lab

app = typer.Typer(help="The workbench in which people look inside a speech model.", no_args_is_help=True)
screen = Console()


def _version(asked: bool) -> None:
    if asked:
        typer.echo(unispeech_lab.__version__)
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")] = False,
) -> None:
    pass


@app.command()
def lab(
    folder: Annotated[
        Path | None, typer.Argument(help="Work in a copy here; what is already there is never overwritten.")
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser, or only print the address.")] = True,
    port: Annotated[
        int | None, typer.Option(help="0: any free one.", show_default="8888, or the next free one")
    ] = None,
) -> None:
    """Open the guided tour in JupyterLab, on this machine only."""
    from unispeech_lab.lab import serve

    try:
        serve(folder, browser=browser, port=port)
    except (OSError, FileNotFoundError) as error:
        raise typer.BadParameter(str(error)) from error


@app.command()
def info(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """Say what is installed, which model and speech come with it, and where they lie."""
    facts = _facts()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        table.add_row(
            f"[bold]{name}", "\n".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        )
    screen.print(table)


def _facts() -> dict:
    import torch

    from unispeech_lab import checkpoints, paths
    from unispeech_lab.corpora import bundled

    model, corpus = checkpoints.load(), bundled.load()
    table = corpus.table
    return {
        "version": unispeech_lab.__version__,
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in ("torch", "transformers", "jupyterlab", "anywidget")},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "threads": torch.get_num_threads(),
        "model": {
            "class": type(model).__name__,
            "parameters": sum(p.numel() for p in model.parameters()),
            "weights": model.config.provenance,
        },
        "corpus": {"utterances": len(corpus), "languages": " ".join(sorted(table["language"].unique()))},
        "data": str(paths.data_dir()),
        "notebooks": str(paths.notebooks_dir()),
    }


def main() -> None:
    app()


if __name__ == "__main__":
    main()
