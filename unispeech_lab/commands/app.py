"""The command ``unispeech-lab app``: the explorer in a browser, without a notebook."""

from pathlib import Path
from typing import Annotated

import typer


def explorer(
    sound: Annotated[Path | None, typer.Argument(help="A sound file to begin with.", show_default="bundled")] = None,
    model: Annotated[str, typer.Option(help="tiny, a folder, or a name on the hub.")] = "tiny",
    browser: Annotated[bool, typer.Option(help="Open a browser, or only print the address.")] = True,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="0: any free one.", show_default="8900, or the next free one"),
    ] = None,
) -> None:
    """Open the explorer as an app, on this machine only: choose, upload or record an utterance, look inside."""
    from unispeech_lab import checkpoints
    from unispeech_lab.app import serve
    from unispeech_lab.corpus import Corpus, Utterance
    from unispeech_lab.views.asking import prepare
    from unispeech_lab.views.explore import explore

    try:
        ears = checkpoints.load(model)
        clips = [*([] if sound is None else [Utterance(sound.name, sound)]), *Corpus.bundled()]
        prepare(ears, clips[0])  # what is too short is told here
        explore(ears, clips[0]).panels()  # what is loaded late is loaded now
        serve(ears, clips, browser=browser, port=port)
    except (OSError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
