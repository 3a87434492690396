"""Analyse: which layer of a model knows what, over a whole corpus, by one call.

    found = analyse(load("tiny"), Corpus.bundled(), "out")
    found.layers, found.similarity, found.codebook, found.segments, found.baseline

``heard`` listens and keeps pooled arrays on disk, ``measures`` makes rows of them, ``engine`` does one after the
other and goes on where it was stopped, ``result`` is what comes out.

What the CSV files in ``out`` have for columns; each number has the ends of its 95 % interval beside it:

layers.csv      as ``layers`` of ``Analysis``; ``value`` is a share read rightly (probe, control), their difference
                (selectivity), a correlation (cca, svcca, pwcca), a likeness (cka), a share of information, or a share
                of triples in error (abx)
baseline.csv    the same of MFCC
similarity.csv  ``layer``, then a column a layer: linear CKA, from 0 to 1
codebook.csv    ``measure`` (nmi, nmi chance, purity, homogeneity, completeness, information, codes in use),
                ``position`` (all frames of a phone, its onset, middle, end), ``value``, ``n`` frames, ``seed``
segments.csv    ``method``, ``tolerance`` in seconds, ``precision`` (of the borders found, the share that is true),
                ``recall`` (of the true ones, the share found), ``f1`` of both, ``r_value`` (1 at best), ``over`` (found
                over true, less 1), ``f1_chance`` and ``r_value_chance`` (as many borders, evenly spaced), ``setting``
                (whose jumps, how prominent), ``n`` utterances, ``seed``
"""

from unispeech_lab.analyse.engine import analyse
from unispeech_lab.analyse.measures import MEASURES
from unispeech_lab.analyse.result import Analysis

__all__ = ["MEASURES", "Analysis", "analyse"]
