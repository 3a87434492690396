"""UniSpeech: phones by CTC, codewords by contrast, some of the states replaced by codewords.

    loss = alpha * ctc + (1 - alpha) * (contrastive + d * diversity),    h = q where replaced (with chance r), else c

arXiv 2101.07597: what the codebook learns is pulled towards phones, since CTC reads the codewords too. alpha, d and r
are the config's ``alpha``, ``diversity_loss_weight`` and ``replace_prob`` (0.5, 0.1 and 0.5, as in the paper); where
its alpha is another stage's, 0 or 1, alpha and r are the paper's. It learns from utterances with phones; those without
are for a stage of ``wav2vec2`` that begins from its weights, or for ``unispeech_plus``.
"""

from ..objective import Objective
from . import Variant, labelled


class UniSpeech(Variant):
    def corpus(self, corpus):
        return labelled(corpus)

    def equip(self, model):
        if model.config.alpha in (0, 1):
            model.config.update({"alpha": 0.5, "replace_prob": 0.5})
            model.objective = Objective.from_config(model.config)
