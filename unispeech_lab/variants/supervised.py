"""Supervised: phones by CTC alone, in masked speech; nothing else is computed.

    loss = ctc

The paper's baseline "CTC-Transfer" (arXiv 2101.07597). It learns from utterances with phones; the quantizer
learns nothing.
"""

from . import Variant, labelled


class Supervised(Variant):
    changes = {"alpha": 1.0, "replace_prob": 0.0}

    def corpus(self, corpus):
        return labelled(corpus)
