"""Analyse: which layer of a model knows what, over a whole corpus, by one call.

    found = analyse(load("tiny"), Corpus.bundled(), "out")
    found.layers, found.similarity, found.codebook, found.segments, found.baseline

``heard`` listens and keeps pooled arrays on disk, ``measures`` makes rows of them, ``engine`` does one after the
other and goes on where it was stopped, ``result`` is what comes out.
"""

from unispeech_lab.analyse.engine import analyse
from unispeech_lab.analyse.measures import MEASURES
from unispeech_lab.analyse.result import Analysis

__all__ = ["MEASURES", "Analysis", "analyse"]
