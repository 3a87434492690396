"""Alignment: which stretch of sound each phone or word owns.

    alignment = align(log_probs, [["k", "æ", "t"]], vocabulary, words=["cat"])       # how sure, span by span
    alignment = model.calibration(alignment)                                         # how likely, span by span
    formats.write("cat.TextGrid", alignment.tiers, alignment.seconds)                # .ctm .json .srt .vtt .eaf

A ``Span`` is a label with a start and an end in seconds; a tier is a tuple of them, in order.
"""

from unispeech_lab.alignment.calibration import Calibration
from unispeech_lab.alignment.forced import Alignment, align, rescore
from unispeech_lab.alignment.methods import METHODS
from unispeech_lab.alignment.span import Span
from unispeech_lab.alignment.textgrid import read_textgrid, write_textgrid

__all__ = ["METHODS", "Alignment", "Calibration", "Span", "align", "read_textgrid", "rescore", "write_textgrid"]
