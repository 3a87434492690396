"""Wav2vec 2.0: codewords by contrast alone; no phone is ever looked at.

    loss = contrastive + 0.1 * diversity

arXiv 2006.11477. On speech of many languages it is XLSR's objective (arXiv 2006.13979). The CTC head learns nothing
here: compare its states, by fine-tuning or a probe, never its phone error rate.
"""

from . import Variant


class Wav2Vec2(Variant):
    changes = {"alpha": 0.0, "replace_prob": 0.0}
