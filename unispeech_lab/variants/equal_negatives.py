"""Equal negatives: a negative that has the positive's codes stays in the softmax.

    contrastive = -log exp(cos(c, q) / 0.1) / sum over q and ALL negatives

A prototype. Equation 3 of arXiv 2006.11477 as it stands; its code, like the authors', leaves such negatives out. Then a
codebook that collapses makes its own task easy, and the loss falls to nought. Left in, collapse leaves it at chance,
log(1 + k): codes that can be predicted are worth more, whatever the diversity term says.
"""

from ..objective import Objective
from .unispeech import UniSpeech


class EqualNegatives(UniSpeech):
    def equip(self, model):
        super().equip(model)
        model.objective = Objective.from_config(model.config, equal_negatives="kept")
