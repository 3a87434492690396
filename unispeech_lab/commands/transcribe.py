"""The command ``unispeech-lab transcribe``: which phones are said in a recording."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from unispeech_lab.commands import recordings
from unispeech_lab.commands.recordings import Job


def transcribe(
    sounds: Annotated[list[Path], typer.Argument(help="Sound files, or folders of them.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A file or a folder for the phones with their times.", show_default="none"),
    ] = None,
    suffix: Annotated[str, typer.Option("--format", help="TextGrid, eaf, json or ctm.")] = "TextGrid",
    model: Annotated[str, typer.Option(help="tiny, a folder, or a name on the hub.")] = "tiny",
    beam: Annotated[int, typer.Option(min=1, help="Prefixes to follow; 1: the best class of each frame.")] = 1,
    lm: Annotated[Path | None, typer.Option(help="An ARPA or KenLM file over phones (an extra: lm).")] = None,
    lm_weight: Annotated[float, typer.Option(help="Of the language model.")] = 0.5,
    lm_bonus: Annotated[float, typer.Option(help="A phone, against short answers.")] = 0.0,
    again: Annotated[bool, typer.Option("--again", help="Also where the output is already there.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.", show_default="one a core")] = None,
) -> None:
    """Say which phones a model hears.

    A model of phones writes no words: which letters the phones stand for, it was never told, and with a phone in seven
    wrong a dictionary would make up more than it finds. A model of letters (finetune --teach characters) does.
    """
    from unispeech_lab import ctc
    from unispeech_lab.alignment import formats

    screen = Console()
    try:
        if lm is not None and beam < 2:
            raise ValueError(f"expected --beam 2 or more with --lm, found {beam}: a language model needs a choice")
        found = recordings.find(sounds)
        places = [None] * len(found) if output is None else recordings.places(found, output, suffix)
        for file in filter(None, places):
            formats.known(file, (".textgrid", ".eaf", ".json", ".ctm"))
        _, vocabulary = recordings.ears(model)
        if lm is not None:
            ctc.Arpa(lm, vocabulary)
    except (ValueError, OSError, ImportError) as error:
        raise typer.BadParameter(str(error)) from error
    settings = (beam, lm, lm_weight, lm_bonus)
    jobs = [Job(sound, place, model, settings=settings) for (sound, _), place in zip(found, places, strict=True)]
    recordings.run(jobs, work, workers or os.cpu_count() or 1, screen, again)


def work(job: Job, progress: Callable[[float], None] | None) -> str:
    """Transcribe one recording, write the phones' times where that is wanted; a line with the phones."""
    from unispeech_lab.alignment import align, formats
    from unispeech_lab.posteriors import log_posteriors
    from unispeech_lab.recording import Recording

    model, vocabulary = recordings.ears(job.model)
    recording = Recording(job.sound)
    heard = log_posteriors(model, recording, progress=progress)
    phones = decode(heard, vocabulary, *job.settings)
    if job.output is not None:
        spans = align(heard, [phones], vocabulary, frames=model.frames).phones if phones else ()
        seconds = recording.seconds
        job.output.parent.mkdir(parents=True, exist_ok=True)
        formats.write(job.output, {"phones": spans}, seconds)
    return f"{job.sound}: {vocabulary.write(phones) or '(no phone is heard: silence, or no speech)'}"


def decode(heard, vocabulary, beam: int, lm: Path | None, weight: float, bonus: float) -> list[str]:
    """Phones of log-probabilities (t, v): the best class of each frame where the beam is 1."""
    from unispeech_lab import ctc

    if beam == 1:
        return vocabulary.decode(ctc.greedy(heard, vocabulary.blank))
    says = None if lm is None else ctc.Arpa(lm, vocabulary)
    best = ctc.beam_search(heard, vocabulary.blank, beam, language_model=says, weight=weight, bonus=bonus)[0]
    return vocabulary.decode(best.labels)
