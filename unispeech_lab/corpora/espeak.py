"""Speech said on the spot by espeak-ng, with exact phone times (optional extra ``[speech]``).

For hours of it, and on disk, there is ``unispeech-lab corpus make``.
"""

from collections.abc import Iterable

from unispeech_lab.corpus import Corpus, Utterance, refuse
from unispeech_lab.espeak.acoustics import Acoustics
from unispeech_lab.espeak.labels import LabelError
from unispeech_lab.espeak.make import utterance
from unispeech_lab.espeak.process import Worker
from unispeech_lab.espeak.recipe import BUNDLED_VOICES, Job, Recipe


def load(
    texts: Iterable[str],
    language: str = "en",
    voices: Iterable[str] = BUNDLED_VOICES[:1],
    seed: int = 0,
    rate: int = 150,
    pitch: int = 50,
    acoustics: Acoustics | None = None,
    on_error: str = "raise",
) -> Corpus:
    """Every text by every voice: ids ``en_0_f1`` and so on. The same arguments give the same samples.

    ``rate`` is in words per minute, ``pitch`` 0 to 99, ``voices`` are variants of espeak-ng (``""``: none).
    A text whose labels cannot be trusted raises, or is named and left out (``on_error="skip"``). Raises EspeakError
    without the extra, ValueError for a language, voice, rate or pitch that does not exist.
    """
    texts, voices = ([texts] if isinstance(texts, str) else list(texts)), list(voices)
    Recipe((language,), tuple(voices), rate=(rate, rate), pitch=(pitch, pitch))  # its door checks them all
    made = []
    with Worker() as worker:
        for number, text in enumerate(texts):
            for variant in voices:
                id = f"{language}_{number}_{variant or 'plain'}"
                try:
                    job = Job(id, text, language, variant, rate, pitch, seed)
                    made.append(utterance(job, acoustics or Acoustics(), worker)[0])
                except LabelError as error:
                    refuse(f"{id}: {error}", on_error, error)
    return Corpus.of(made, name="espeak")


def say(text: str, language: str = "en", voice: str = "f1", seed: int = 0, **how) -> Utterance:
    """One utterance: ``say("Good morning.")`` in a cell plays. ``how``: rate, pitch, acoustics, as in ``load``."""
    return load([text], language, [voice], seed, **how)[0]
