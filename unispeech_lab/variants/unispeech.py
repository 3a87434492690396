"""UniSpeech: phones by CTC, codewords by contrast, half of the states replaced by codewords.

    loss = 0.5 * ctc + 0.5 * (contrastive + 0.1 * diversity),    h = q where replaced (r = 0.5), else c

arXiv 2101.07597: what the codebook learns is pulled towards phones, since CTC reads the codewords too.
It learns from utterances with phones; those without are for a stage of ``wav2vec2`` that begins from its weights, or
for ``unispeech_plus``.
"""

from . import Variant, labelled


class UniSpeech(Variant):
    changes = {"alpha": 0.5, "replace_prob": 0.5}

    def corpus(self, corpus):
        return labelled(corpus)
