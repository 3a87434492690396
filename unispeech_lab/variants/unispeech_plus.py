"""UniSpeech+: speech with phones, speech without, in the same batches, each with weights of its own.

    an utterance with phones:    0.5 * ctc + 0.5 * (contrastive + 0.1 * diversity)
    an utterance without:                           contrastive + 0.1 * diversity

arXiv 2101.07597, one sum over both sets (the released code makes two stages of it). The corpus holds both:
utterances of the target languages simply have no phones (an empty cell in the column ``phones``, or no TextGrid).
"""

from . import Variant


class UniSpeechPlus(Variant):
    changes = {"alpha": 0.5, "replace_prob": 0.5}
