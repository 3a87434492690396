"""Brought: what the readers of a how-to page have in their folder already, made for its test."""

from pathlib import Path


def checkpoints(folder: Path) -> None:
    """``mine`` (of the lab), ``theirs`` (a wav2vec 2.0), ``original.pt`` (fairseq's), all tiny."""
    import test_convert
    import test_wav2vec2

    layout = "large"
    test_convert.ours("UniSpeechForPreTraining", layout).save_pretrained(folder / "mine")
    test_wav2vec2.theirs("ForPreTraining", layout).save_pretrained(folder / "theirs")
    weights = test_convert.weights_of(test_convert.ours("UniSpeechForPreTraining", layout), layout)
    test_convert.write(folder / "original.pt", weights, test_convert.settings(layout))


TO = {"bring-a-checkpoint": checkpoints}  # page -> what makes it
