"""The command ``unispeech-lab corpus common-voice``: a downloaded release becomes corpora, a language each."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def common_voice(
    release: Annotated[Path, typer.Argument(help="As unpacked: a language's folder, or the one that holds it.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to, a folder a language; a stopped run goes on.")],
    language: Annotated[list[str], typer.Option(help="es, sv, ...: as often as there are languages.")],
    splits: Annotated[
        Path | None, typer.Option(help="Folder of lists of ids, train*, val*, test*.", show_default="drawn by speaker")
    ] = None,
    minutes: Annotated[str, typer.Option(help="Of what is drawn: labelled, valid, test.")] = "60 20 60",
    seed: Annotated[int, typer.Option(help="Of what is drawn.")] = 0,
    check: Annotated[
        Path | None, typer.Option(help="Folder of <language>.tsv with text and phones, to compare espeak-ng with.")
    ] = None,
    skip_broken: Annotated[bool, typer.Option("--skip-broken", help="Leave out clips that are no sound.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads.", show_default="one a core")] = None,
) -> None:
    """Make corpora of a Common Voice release: FLAC at 16 kHz, phones by espeak-ng (an extra: speech), splits."""
    from rich.progress import Progress

    from unispeech_lab.corpora import _common_voice
    from unispeech_lab.espeak import EspeakError

    screen = Console(soft_wrap=True, highlight=False)
    try:
        asked = {name: float(x) for name, x in zip(("labelled", "valid", "test"), minutes.split(), strict=True)}
        if min(asked.values()) <= 0:
            raise ValueError(f"expected minutes above 0, found {minutes!r}")
        for name in language:
            with Progress(console=screen, transient=True) as bar:
                task = bar.add_task(name, total=1.0)
                sizes = _common_voice.prepare(
                    release,
                    out,
                    name,
                    splits,
                    asked,
                    seed,
                    workers or os.cpu_count() or 1,
                    "skip" if skip_broken else "raise",
                    lambda done, bar=bar, task=task: bar.update(task, completed=done),
                )
            screen.print(f"{out / name}", markup=False)
            screen.print(sizes.to_string(formatters={"hours": "{:.3f}".format}), markup=False)
            if splits is None:
                screen.print("splits drawn here by speaker: no lists were given (--splits)")
            if check is not None:
                plain, ruled = _common_voice.agreement(check / f"{name}.tsv", name)
                screen.print(f"phones: {ruled:.0%} of their strings agree ({plain:.0%} before the rules for {name})")
    except KeyboardInterrupt:
        screen.print("Stopped. The same command goes on from here.")
        raise typer.Exit(130) from None
    except (OSError, ValueError, EspeakError) as error:
        raise typer.BadParameter(str(error)) from error
