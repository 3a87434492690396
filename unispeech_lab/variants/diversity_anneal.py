"""Diversity anneal: the diversity term starts at its weight, then falls to 0 in a straight line.

    loss = alpha * ctc + (1 - alpha) * (contrastive + d * (1 - step / steps) * diversity)

A prototype. The term (arXiv 2006.11477, equation 4) wants every codeword used equally often: a good push against
collapse at the start, a wrong one later, for phones are not equally frequent.
"""

from .unispeech import UniSpeech


class DiversityAnneal(UniSpeech):
    def before(self, model, step, steps):
        model.objective.weights["diversity"] = model.config.diversity_loss_weight * (1 - step / steps)
