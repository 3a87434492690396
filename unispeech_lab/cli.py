"""The console command ``unispeech-lab``: a door to what the library does, a few lines each."""

import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

import unispeech_lab
from unispeech_lab.commands.align import align
from unispeech_lab.commands.analyse import analyse
from unispeech_lab.commands.app import explorer
from unispeech_lab.commands.calibrate import calibrate
from unispeech_lab.commands.common_voice import common_voice
from unispeech_lab.commands.compare import compare
from unispeech_lab.commands.convert import convert
from unispeech_lab.commands.course import course
from unispeech_lab.commands.evaluate import evaluate
from unispeech_lab.commands.finetune import finetune
from unispeech_lab.commands.health import health
from unispeech_lab.commands.pretrain import pretrain
from unispeech_lab.commands.recipe import recipe
from unispeech_lab.commands.report import report
from unispeech_lab.commands.rescore import rescore
from unispeech_lab.commands.transcribe import transcribe

app = typer.Typer(
    help="The workbench in which people look inside a speech model.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,  # the token is among them
)
corpus = typer.Typer(help="Speech to look at or to train on.", no_args_is_help=True)
app.add_typer(corpus, name="corpus")
corpus.command("common-voice")(common_voice)
app.add_typer(course, name="course")
app.command("app")(explorer)
app.command()(align)
app.command()(health)
app.command()(report)
app.command()(rescore)
app.command()(calibrate)
app.command()(pretrain)
app.command()(finetune)
app.command()(transcribe)
app.command()(convert)
app.command()(evaluate)
app.command()(compare)
app.command()(analyse)
app.command()(recipe)
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
        Path | None,
        typer.Argument(help="Work in a copy here, nothing overwritten; a student/ of the course opens as it is."),
    ] = None,
    browser: Annotated[bool, typer.Option(help="Open a browser, or only print the address.")] = True,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="0: any free one.", show_default="8888, or the next free one"),
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
    whole = Column(overflow="fold")  # a path with its end cut off leads nowhere
    table = Table("", whole, show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        table.add_row(
            f"[bold]{name}", "\n".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        )
    screen.print(table)


@corpus.command("make")
def corpus_make(
    folder: Annotated[Path, typer.Argument(help="Where to; a run that was stopped goes on there.")],
    sentences: Annotated[Path | None, typer.Option(help="Lines of: language, tab, text.", show_default="ours")] = None,
    languages: Annotated[str, typer.Option(help="Their codes, by blanks.")] = "en es fr it ky nl ru sv tr tt zh",
    voices: Annotated[str, typer.Option(help="espeak-ng variants; or bundled, all, klatt (to hold out).")] = "bundled",
    number: Annotated[
        int | None, typer.Option(help="Utterances a language.", show_default="each sentence once")
    ] = None,
    hours: Annotated[float | None, typer.Option(help="Of speech, all together, instead of a number.")] = None,
    mix: Annotated[bool, typer.Option(help="Say words drawn from the sentences: for hours of speech.")] = False,
    words: Annotated[
        int | None, typer.Option(help="Say words drawn from so many of each language's most frequent.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed and options make the same bytes.")] = 0,
    rate: Annotated[str, typer.Option(help="Words per minute, low:high within 80 and 400.")] = "125:155",
    pitch: Annotated[str, typer.Option(help="Low:high within 0 and 99.")] = "35:65",
    padding: Annotated[str, typer.Option(help="Seconds before and after.")] = "0.15:0.35",
    level: Annotated[str, typer.Option(help="dB below full scale.")] = "-26:-20",
    noise: Annotated[str, typer.Option(help="dB that speech is above the noise.")] = "35:50",
    room: Annotated[str, typer.Option(help="Seconds of reverberation (60 dB); 0: none.")] = "0:0",
    workers: Annotated[int | None, typer.Option(help="Processes.", show_default="one a core")] = None,
) -> None:
    """Make speech with exact phone times by espeak-ng (an extra: speech). Without options: the bundled corpus again."""
    from rich.progress import Progress

    from unispeech_lab import paths
    from unispeech_lab.espeak import EspeakError, recipe
    from unispeech_lab.espeak.make import make

    try:
        ranges = {"padding": padding, "level": level, "noise": noise, "room": room}
        wanted = recipe.Recipe(
            tuple(languages.split()),
            recipe.parse_voices(voices),
            number,
            hours,
            mix or words is not None,
            seed,
            recipe.parse_range(rate, int),
            recipe.parse_range(pitch, int),
            **{name: recipe.parse_range(written) for name, written in ranges.items()},
        )
        if words is not None:
            said = recipe.common_words(wanted.languages, words)
        else:
            said = recipe.read_sentences(sentences or paths.data_dir() / "speech" / "sentences.tsv")
        with Progress(console=screen) as bar:
            task = bar.add_task("speaking", total=1.0)
            refused = make(
                folder, wanted, said, workers or os.cpu_count() or 1, lambda done: bar.update(task, completed=done)
            )
    except KeyboardInterrupt:
        screen.print("Stopped. The same command goes on from here.")
        raise typer.Exit(130) from None
    except (OSError, ValueError, ImportError, EspeakError) as error:
        raise typer.BadParameter(str(error)) from error
    for line in refused:
        screen.print(f"left out {line}", markup=False)
    lines = (folder / "manifest.tsv").read_bytes().count(b"\n")
    screen.print(f"{folder}: {lines - 1} utterances")


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
