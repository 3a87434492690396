"""Phone-aware negatives: a frame is never told from another frame of the same phone.

    negatives of frame t ~ {s : phone(s) != phone(t)},    phone(t): what CTC's arg-max says in the nearest frame that
                                                          is not blank

A prototype. Negatives are drawn blindly (arXiv 2006.11477), so many are of the positive's own phone: pushing these away
works against CTC. Which are is judged by the model's own CTC head, in the same forward: no times of phones are needed,
labelled or not. While the head says nothing but blank, negatives are ``unispeech``'s; so are those of a frame that
finds no other phone in its utterance. These negatives are harder or easier than others, so compare by phone error
rate, not by accuracy.
"""

import torch
from torch import Tensor

from ..objective import Objective, Step
from .unispeech import UniSpeech


class PhoneAwareNegatives(UniSpeech):
    def equip(self, model):
        super().equip(model)
        model.objective = PhoneAware.from_config(model.config)


class PhoneAware(Objective):
    def draw_negatives(self, step: Step, generator: torch.Generator | None = None) -> Tensor:
        """(b, t, k) frames of another phone, for each predicted frame; -1 for the other frames."""
        phones = nearest_phones(step.ctc_logits.argmax(-1), step.speech, self.blank)
        frames = phones.shape[1]
        others = step.speech[:, None] & ~torch.eye(frames, dtype=torch.bool, device=phones.device)
        apart = others & ((phones[:, :, None] != phones[:, None]) | (phones < 0)[:, None])
        allowed = torch.where(apart.any(-1, keepdim=True), apart, others)
        wanted = step.predicted & others.any(-1)
        drawn = torch.full((*phones.shape, self.num_negatives), -1, device=phones.device)
        if wanted.any():
            chances = allowed[wanted].float()
            drawn[wanted] = torch.multinomial(chances, self.num_negatives, replacement=True, generator=generator)
        return drawn


def nearest_phones(said: Tensor, speech: Tensor, blank: int) -> Tensor:
    """(b, t) from classes (b, t): that of the nearest frame that says a phone, the earlier of two; -1 if none does."""
    frames = said.shape[1]
    frame = torch.arange(frames, device=said.device)
    known = speech & (said != blank)
    before = torch.where(known, frame, -frames).cummax(1).values
    after = torch.where(known, frame, 2 * frames).flip(1).cummin(1).values.flip(1)
    nearest = torch.where(frame - before <= after - frame, before, after)
    return torch.where(known.any(1, keepdim=True), said.gather(1, nearest.clamp(0, frames - 1)), -1)
