"""Supervised: phones by CTC alone, in masked speech; nothing else is computed.

    loss = ctc

The paper's baseline "CTC-Transfer" (arXiv 2101.07597, section 4). The quantizer learns nothing here; utterances
without phones add nothing, and a batch that has no phones at all is refused.
"""

from . import Variant


class Supervised(Variant):
    changes = {"alpha": 1.0, "replace_prob": 0.0}
