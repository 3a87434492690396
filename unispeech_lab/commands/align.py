"""The command ``unispeech-lab align``: where in a recording each phone and word is said."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from unispeech_lab.commands import recordings
from unispeech_lab.commands.recordings import Job

HEARING = 0.9  # of the time; the rest is the search


def align(
    sounds: Annotated[list[Path], typer.Argument(help="Sound files, or folders of them with a .txt beside each.")],
    text: Annotated[str | None, typer.Option("--text", "-t", help="What is said; * where nobody knows.")] = None,
    phones: Annotated[str | None, typer.Option(help="Or its phones: 'h ə l oʊ | w ɜː l d'.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file, or a folder.", show_default="beside the sound")
    ] = None,
    suffix: Annotated[str, typer.Option("--format", help="TextGrid, eaf, json, ctm, srt or vtt.")] = "TextGrid",
    language: Annotated[str, typer.Option(help="Of the text, for espeak-ng.")] = "en",
    model: Annotated[str, typer.Option(help="tiny, a folder, or a name on the hub.")] = "tiny",
    method: Annotated[str, typer.Option(help="raw, midpoint, centroid, label_prior or spectral.")] = "spectral",
    again: Annotated[bool, typer.Option("--again", help="Also where the output is already there.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes.", show_default="one a core")] = None,
) -> None:
    """Find where each phone and word of a text is said, and say how far that can be trusted.

    The scores, in .json and .ctm, are chances that both borders lie within 20 ms, where calibration.json lies beside
    the model; else how likely the model finds each phone.
    """
    from unispeech_lab.alignment import METHODS, formats
    from unispeech_lab.espeak import EspeakError

    screen = Console()
    try:
        if method not in METHODS:
            raise ValueError(f"expected a method out of {', '.join(METHODS)}, found {method!r}")
        found = recordings.find(sounds)
        if len(found) > 1 and (text or phones):
            raise ValueError(f"expected one recording with --text or --phones, found {len(found)}")
        places = recordings.places(found, output, suffix)
        for file in places:
            formats.known(file, formats.SUFFIXES)
        said = transcripts([sound for sound, _ in found], text, phones, language)
        recordings.ears(model)
    except (ValueError, OSError, EspeakError) as error:
        raise typer.BadParameter(str(error)) from error
    jobs = [
        Job(sound, place, model, settings=(method,), **known)
        for (sound, _), place, known in zip(found, places, said, strict=True)
    ]
    recordings.run(jobs, work, workers or os.cpu_count() or 1, screen, again)


def work(job: Job, progress: Callable[[float], None] | None) -> str:
    """Align one recording and write it; a line that says how that went."""
    from unispeech_lab.alignment import align, formats
    from unispeech_lab.alignment.forced import fit
    from unispeech_lab.posteriors import log_posteriors
    from unispeech_lab.recording import Recording

    model, vocabulary = recordings.ears(job.model)
    recording = Recording(job.sound)
    heard = log_posteriors(model, recording, progress=progress and (lambda share: progress(HEARING * share)))
    phones, strange = fit(job.phones, vocabulary)
    aligned = align(
        heard,
        phones,
        vocabulary,
        job.words,
        model.frames,
        recording.seconds,
        *job.settings,
        recording,
        progress=progress and (lambda share: progress(HEARING + (1 - HEARING) * share)),
    )
    if model.calibration is not None:
        aligned = model.calibration(aligned)
    job.output.parent.mkdir(parents=True, exist_ok=True)
    formats.write(job.output, aligned.tiers, aligned.seconds)
    remarks = [*aligned.remarks]
    if strange:
        remarks.append(f"the model knows no {' '.join(strange)}: taken for any sound")
    facts = f"{len(aligned.phones)} phones in {aligned.seconds:.2f} s, {aligned.heard:.0%} of them heard"
    return "; ".join([f"{job.sound} -> {job.output}: {facts}", *remarks])


def transcripts(sounds: list[Path], text: str | None, phones: str | None, language: str) -> list[dict]:
    """What each recording says: as given, or as a ``.txt`` or ``.lab`` beside it (``.phones``: already phones) does.

    Each a dict of ``words`` and ``phones``, or of ``refused``. Raises ValueError for both or neither of a single one.
    """
    from unispeech_lab.pronunciation import parse, spell

    if text and phones:
        raise ValueError("expected --text or --phones, found both")
    if phones:
        return [_known(parse(phones))]
    if text:
        return [_known(spell(text, language))]
    said: list[dict] = [{} for _ in sounds]
    texts = {}
    for k, sound in enumerate(sounds):
        beside = next((f for f in map(sound.with_suffix, (".phones", ".txt", ".lab")) if f.is_file()), None)
        if beside is None:
            said[k] = {"refused": f"expected {sound.stem}.txt (text) or {sound.stem}.phones beside it, found neither"}
            continue
        try:
            written = beside.read_text(encoding="utf-8").strip()
            if not any(character.isalnum() for character in written):
                raise ValueError("found nothing to say in it")
            if beside.suffix == ".phones":
                said[k] = _known(parse(written))
            else:
                texts[k] = written
        except ValueError as error:  # not UTF-8 either
            said[k] = {"refused": f"{beside}: expected what is said, as UTF-8: {error}"}
    for k, spelt in zip(texts, spell(list(texts.values()), language) if texts else (), strict=True):
        said[k] = _known(spelt)
    return said


def _known(spelt) -> dict:
    words, phones = spelt
    return {"words": tuple(words), "phones": tuple(map(tuple, phones))}
