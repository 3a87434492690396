"""The command ``unispeech-lab rescore``: how sure a model is of tiers that a person has corrected."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from unispeech_lab.commands import recordings

DOUBTED = 5  # phones named as the least sure


def rescore(
    sound: Annotated[Path, typer.Argument(help="The recording.")],
    tiers: Annotated[Path, typer.Argument(help="Its .TextGrid, .eaf, .json or .ctm, with a tier of phones.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .json or .ctm, which keep scores.", show_default="none")
    ] = None,
    model: Annotated[str, typer.Option(help="tiny, a folder, or a name on the hub.")] = "tiny",
) -> None:
    """Score every phone of a corrected tier where it now stands, and name those that the model doubts most."""
    from unispeech_lab.alignment import formats
    from unispeech_lab.alignment import rescore as score
    from unispeech_lab.corpus import PHONES
    from unispeech_lab.posteriors import log_posteriors
    from unispeech_lab.recording import Recording

    screen = Console()
    try:
        if output is not None:
            formats.known(output, (".json", ".ctm"))
        found = formats.read(tiers)
        name = next((name for name in found if PHONES.fullmatch(name)), None)
        if name is None or not found[name]:
            raise ValueError(f"{tiers}: expected a tier of phones, found {', '.join(found) or 'none'}: rename one")
        ears, vocabulary = recordings.ears(model)
        recording = Recording(sound)
        scored = score(log_posteriors(ears, recording), found[name], vocabulary, ears.frames)
        if output is not None:
            formats.write(output, {**found, name: scored}, recording.seconds, name)
    except (ValueError, OSError) as error:
        raise typer.BadParameter(str(error)) from error
    known = [span for span in scored if span.score is not None]
    mean = sum(span.score for span in known) / max(len(known), 1)
    screen.print(f"{sound}: {len(scored)} phones, mean score {mean:.2f}", markup=False, highlight=False)
    for span in sorted(known, key=lambda span: span.score)[:DOUBTED]:
        screen.print(
            f"{span.score:.2f} {span.label} {span.start:.3f} to {span.end:.3f} s", markup=False, highlight=False
        )
