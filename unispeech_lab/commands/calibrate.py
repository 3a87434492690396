"""The command ``unispeech-lab calibrate``: the scores of a model's alignments become chances of being right."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track


def calibrate(
    model: Annotated[str, typer.Argument(help="tiny, a folder, or a name on the hub.")],
    corpora: Annotated[list[str], typer.Argument(help="Folders or tables of speech with phone times, or bundled.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder for calibration.json.", show_default="the model's")
    ] = None,
) -> None:
    """Fit how likely a phone is to be within 20 ms, by its score and length, on speech whose phone times are known.

    How well that holds is measured on sentences that were not fitted on: a fifth of them each time.
    """
    from unispeech_lab import checkpoints
    from unispeech_lab.alignment.calibration import NAME, Calibration, held_out
    from unispeech_lab.boundaries import expected_calibration_error
    from unispeech_lab.commands.pretrain import joined

    screen = Console(soft_wrap=True, highlight=False)
    try:
        heard = checkpoints.load(model)
        folder = output or Path(heard.config.name_or_path)
        if not folder.is_dir():
            raise ValueError(f"expected a folder to write {NAME} into, found none at {folder}: give --output")
        found = alignments(heard, joined(corpora), screen)
        table = held_out(found)
        for method, rows in table.groupby("method", sort=False):
            before, after = (expected_calibration_error(rows[name], rows["right"]) for name in ("before", "after"))
            screen.print(
                f"{method}: {len(rows)} phones, {rows['right'].mean():.1%} of them within 20 ms; score and truth "
                f"{before:.3f} apart, calibrated {after:.3f}"
            )
        Calibration.fit(found).save(folder)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    screen.print(f"{folder / NAME}", markup=False)


def alignments(model, corpus, screen: Console) -> list[tuple]:
    """By every method, each with its truth: the utterances whose every phone the model knows."""
    from unispeech_lab.alignment import METHODS, align
    from unispeech_lab.posteriors import log_posteriors

    if model.vocabulary is None:
        raise ValueError("expected a model with a vocab.json beside it, found one that knows no names of phones")
    known, found = set(model.vocabulary.phones), []
    for said in track([*corpus], "aligning", console=screen, transient=True):
        phones = [span.label for span in said.phones]
        if phones and set(phones) <= known:
            heard, place = log_posteriors(model, said), {"frames": model.frames, "seconds": said.seconds}
            for method in METHODS:
                how = {"method": method, "waveform": said.waveform, **place}
                found.append((align(heard, [phones], model.vocabulary, **how), said.phones))
    return found
