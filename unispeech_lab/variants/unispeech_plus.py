"""UniSpeech+: speech with phones, speech without, in the same batches, each with weights of its own.

    an utterance with phones:    alpha * ctc + (1 - alpha) * (contrastive + d * diversity)
    an utterance without:                                     contrastive + d * diversity

arXiv 2101.07597, one sum over both sets (the released code makes two stages of it). The corpus holds both:
utterances of the target languages simply have no phones (an empty cell in the column ``phones``, or no TextGrid).
"""

from .unispeech import UniSpeech


class UniSpeechPlus(UniSpeech):
    def corpus(self, corpus):
        return corpus
