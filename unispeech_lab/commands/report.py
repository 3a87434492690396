"""The command ``unispeech-lab report``: one page with everything there is to see of a recording."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from unispeech_lab.commands import recordings


def report(
    sound: Annotated[Path, typer.Argument(help="A sound file.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The page.", show_default="beside it")] = None,
    text: Annotated[str | None, typer.Option("--text", "-t", help="What is said.")] = None,
    phones: Annotated[str | None, typer.Option(help="Or its phones: 'h ə l oʊ | w ɜː l d'.")] = None,
    tiers: Annotated[Path | None, typer.Option(help="Or tiers of words and phones with their times.")] = None,
    language: Annotated[str, typer.Option(help="Of the text, for espeak-ng.")] = "en",
    model: Annotated[str, typer.Option(help="tiny, a folder, or a name on the hub.")] = "tiny",
) -> None:
    """Write one page of HTML with every view of a recording, its sound and its phones; nothing else is needed."""
    from unispeech_lab.corpus import Utterance
    from unispeech_lab.espeak import EspeakError
    from unispeech_lab.report import page

    screen = Console()
    output = output or sound.with_suffix(".html")
    try:
        if output.is_dir() or any(given and output.resolve() == given.resolve() for given in (sound, tiers)):
            raise ValueError(f"expected a file of its own for the page, found {output}: --output elsewhere.html")
        if sum(given is not None for given in (text, phones, tiers)) > 1:
            raise ValueError("expected one of --text, --phones and --tiers, found more")
        ears, vocabulary = recordings.ears(model)
        utterance = Utterance(sound.stem, sound, text or "")
        if tiers is not None:
            utterance, known = with_tiers(utterance, tiers), "The phones' times are those of the tiers given."
        else:
            utterance, known = aligned(utterance, ears, vocabulary, text, phones, language)
        written = page(ears, utterance, title=sound.name, note=f"{known} {ears.config.provenance or ''}".strip())
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(written, encoding="utf-8")
    except (ValueError, OSError, EspeakError) as error:
        raise typer.BadParameter(str(error)) from error
    screen.print(f"{sound} -> {output}: {len(written) / 1e6:.1f} MB. {known}", markup=False, highlight=False)


def with_tiers(utterance, file: Path):
    """The utterance with the words and phones of a TextGrid, eaf, json or ctm."""
    from unispeech_lab.alignment import formats
    from unispeech_lab.corpus import PHONES, WORDS

    found = formats.read(file)
    phones = next((name for name in found if PHONES.fullmatch(name)), None)
    if phones is None:
        raise ValueError(f"{file}: expected a tier of phones, found {', '.join(found) or 'none'}: rename one")
    words = next((found[name] for name in found if WORDS.fullmatch(name)), ())
    return replace(utterance, phones=found[phones], words=words)


def aligned(utterance, model, vocabulary, text: str | None, phones: str | None, language: str):
    """The utterance with phones where the model hears them, and a sentence that says whose they are."""
    from unispeech_lab import ctc
    from unispeech_lab.alignment import align
    from unispeech_lab.alignment.forced import fit
    from unispeech_lab.posteriors import log_posteriors
    from unispeech_lab.pronunciation import parse, spell

    heard = log_posteriors(model, utterance.waveform)
    words: tuple[str, ...] = ()
    if text or phones:
        labels, spelt = spell(text, language) if text else parse(phones)
        said, _ = fit(spelt, vocabulary)
        words, known = tuple(labels), "The phones of the text are placed where the model hears them: nobody measured."
    else:
        said = [vocabulary.decode(ctc.greedy(heard, vocabulary.blank))]
        known = "Nobody said what is spoken: the phones are what the model hears, where it hears them."
    if not any(said):
        return utterance, "The model hears no phone in it."
    seconds = len(utterance.waveform) / utterance.rate
    found = align(heard, said, vocabulary, words, model.frames, seconds, "spectral", utterance.waveform)
    doubts = "".join(f" {remark[:1].upper()}{remark[1:]}." for remark in found.remarks)
    return replace(utterance, phones=found.phones, words=found.words if words else ()), known + doubts
