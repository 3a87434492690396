"""Authors: UniSpeech to the letter of the code that made the released checkpoints.

    loss and r as in ``unispeech``; masks of at least two spans, as many frames in each utterance of a batch; positives
    and negatives from two draws of the quantizer; a negative may be the frame itself; padding counts

microsoft/UniSpeech, first stage. ``objective.AUTHORS`` says each choice; this is what ours are to be compared with.
"""

from ..objective import AUTHORS, Objective
from . import Variant, labelled


class Authors(Variant):
    changes = {"alpha": 0.5, "replace_prob": 0.5, "mask_rule": "authors"}

    def corpus(self, corpus):
        return labelled(corpus)

    def equip(self, model):
        model.objective = Objective.from_config(model.config, **AUTHORS)
