"""Measures: what a training step and a validation say of a model, as plain numbers.

The names are those of ``metrics.jsonl``: each term of the loss by its own, ``accuracy`` of the contrastive choice,
``perplexity`` soft and ``code_perplexity`` hard (both at least the number of groups), ``equal_negatives`` the share of
negatives that have their positive's codes, ``blank`` the share of frames whose best CTC class is the blank, ``per`` the
phone error rate.
"""

from collections import Counter
from collections.abc import Callable, Iterable

import torch

from .batches import NONE, Batches
from .ctc import greedy
from .error_rates import phone_error_rate
from .vocabulary import Vocabulary


class Sums:
    """Figures of a step's micro-batches, summed over predicted frames, so that processes can add theirs."""

    MEANS = ("accuracy", "perplexity", "code_perplexity", "equal_negatives", "blank")
    COUNTS = ("sample_size", "audio", "frames")

    def __init__(self, terms: Iterable[str]):
        """``terms``: names of all that the loss may be made of beside ``ctc``, the same on every process."""
        self.means = dict.fromkeys(["loss", "ctc", *terms, *self.MEANS], 0.0)
        self.seen = dict.fromkeys(self.means, 0.0)
        self.counts = dict.fromkeys(self.COUNTS, 0.0)

    @torch.no_grad()
    def add(self, output, model, audio: float, attention_mask: torch.Tensor | None) -> None:
        """``attention_mask`` (b, n): look closer at this one, as costs a little."""
        size = float(output.sample_size)
        found = {"loss": output.loss, **output.terms, "perplexity": output.codevector_perplexity}
        if output.accuracy is not None:
            found["accuracy"] = output.accuracy
        if attention_mask is not None:
            found |= closer(output, model, attention_mask)
        for name, value in found.items():
            self.means[name] += float(value) * size
            self.seen[name] = 1.0
        for name, value in (("sample_size", size), ("audio", audio), ("frames", output.codes[..., 0].numel())):
            self.counts[name] += value

    def tensor(self, device) -> torch.Tensor:
        values = [*self.means.values(), *self.seen.values(), *self.counts.values()]
        return torch.tensor(values, dtype=torch.float64, device=device)

    def row(self, total: torch.Tensor) -> dict[str, float]:
        """Means over all processes' predicted frames; what nobody computed is absent."""
        sums, seen, counts = total.split([len(self.means), len(self.seen), len(self.counts)])
        counts = dict(zip(self.counts, counts.tolist(), strict=True))
        size = max(counts["sample_size"], 1.0)
        said = zip(self.means, sums.tolist(), seen.tolist(), strict=True)
        return {name: value / size for name, value, times in said if times} | counts


def closer(output, model, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """Figures that cost a little: codewords in use, negatives that equal their positive, frames that say blank."""
    codes, negatives = output.codes, output.sampled_negative_indices
    speech = model._get_feature_vector_attention_mask(codes.shape[1], attention_mask)
    found = {"code_perplexity": in_use(count(codes[speech]))}
    found["blank"] = (output.ctc_logits.argmax(-1) == model.objective.blank)[speech].float().mean()
    if negatives is not None:
        drawn = negatives[..., 0] >= 0
        mine = codes[drawn]
        theirs = codes.flatten(0, 1)[negatives[drawn]]
        found["equal_negatives"] = (theirs == mine[:, None]).all(-1).float().mean()
    return found


def count(codes: torch.Tensor) -> torch.Tensor:
    """(g, v) how often each codeword was chosen, of codes (t, g); v is the largest code there is, plus one."""
    most = int(codes.max()) + 1 if codes.numel() else 1
    return torch.stack([torch.bincount(group, minlength=most) for group in codes.long().unbind(-1)])


def in_use(counts: torch.Tensor) -> torch.Tensor:
    """Hard perplexity () of counts (g, v): the sum over groups of exp(entropy)."""
    shares = counts / counts.sum(-1, keepdim=True).clamp(min=1)
    return torch.exp(torch.special.entr(shares).sum(-1)).sum()


@torch.no_grad()
def evaluate(
    model, batches: Batches, vocabulary: Vocabulary | None = None, forward: Callable | None = None
) -> dict[str, float]:
    """Loss, its terms, accuracy, hard perplexity and, with a vocabulary, phone error rate of speech without a mask.

    Every frame is predicted, no state is replaced. Phones are read off greedily; utterances without labels count for
    everything but them. ``forward``: what to call where the model itself cannot be (FSDP). The model's mode comes back
    as it was.
    """
    training, device = model.training, next(model.parameters()).device
    model.eval()
    sums, frames, codes, references, hypotheses = Counter(), 0, [], [], []
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(batches.seed)  # negatives
        for batch in batches.once():
            given = {name: x.to(device) for name, x in batch.items() if isinstance(x, torch.Tensor)}
            if "input_values" not in given or ("labels" not in given and model.objective.alpha == 1):
                continue
            given.setdefault("labels", torch.full((len(given["input_values"]), 1), NONE, device=device))
            output = (forward or model)(**given)
            size = int(output.sample_size)
            found = {"loss": output.loss, **output.terms}
            found |= {"accuracy": output.accuracy} if output.accuracy is not None else {}
            sums.update({name: float(value) * size for name, value in found.items()})
            frames += size
            speech = model._get_feature_vector_attention_mask(output.codes.shape[1], given["attention_mask"])
            codes.append(output.codes[speech])
            heard = spelt(output.ctc_logits, model.objective.blank, speech.sum(1))
            for row, phones in zip(given["labels"].tolist(), heard, strict=True):
                if labels := [label for label in row if label != NONE]:
                    references.append(labels)
                    hypotheses.append(phones)
    model.train(training)
    said = {name: value / max(frames, 1) for name, value in sums.items()}
    if codes:
        said["perplexity"] = float(in_use(count(torch.cat(codes))))
    if vocabulary is not None:
        references, hypotheses = ([vocabulary.decode(row) for row in rows] for rows in (references, hypotheses))
        if any(references):
            said["per"] = phone_error_rate(references, hypotheses)
    return said


def spelt(logits: torch.Tensor, blank: int, lengths: torch.Tensor) -> list[list[int]]:
    """What each utterance's CTC logits (b, t, v) spell; nothing where they are no numbers: that is said elsewhere."""
    sound = logits.isfinite().flatten(1).all(1).tolist()
    rows = greedy(logits.nan_to_num(), blank, lengths)
    return [row if whole else [] for row, whole in zip(rows, sound, strict=True)]
