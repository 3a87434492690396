"""The speech that comes with the package: sentences of our own in eleven languages, with exact phone times.

Made by espeak-ng: ``unispeech-lab corpus make`` makes it again, byte for byte. The sound is under GPL-3-or-later.
"""

from unispeech_lab.corpora import table
from unispeech_lab.corpus import Corpus
from unispeech_lab.paths import data_dir


def load(on_error: str = "raise") -> Corpus:
    """About 150 utterances of 1.5 to 5 seconds, six voices; among the columns: ``phones`` (transcript), ``voice``."""
    return table.load(data_dir() / "speech" / "manifest.tsv", name="bundled", on_error=on_error)
