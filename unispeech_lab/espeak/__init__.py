"""Speech with exact phone times, made by espeak-ng in worker processes (optional extra ``[speech]``, GPL-3-or-later).

``worker`` is the only file that touches the library, and runs in a process of its own; everything else is plain Python.
"""

from unispeech_lab.espeak.phonemes import phonemes
from unispeech_lab.espeak.process import EspeakError, Worker

__all__ = ["EspeakError", "Worker", "phonemes"]
