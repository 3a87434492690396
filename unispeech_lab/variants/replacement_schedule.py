"""Replacement schedule: r rises from 0 to its value over the first half of the steps.

    r(step) = r * min(2 * step / steps, 1)

A prototype. At the start codewords say nothing about phones: what replaces half of the states by them (arXiv
2101.07597) is noise to CTC. Here the states learn phones first, then the codewords have to.
"""

from .unispeech import UniSpeech


class ReplacementSchedule(UniSpeech):
    def equip(self, model):
        super().equip(model)
        model.last_replace_prob = model.config.replace_prob

    def before(self, model, step, steps):
        model.config.replace_prob = model.last_replace_prob * min(2 * step / steps, 1.0)
