"""Objective: one training step's tensors in, its loss out, with every term of it.

    loss = alpha * ctc + (1 - alpha) * (contrastive + 0.1 * diversity)          an utterance with labels
    loss =                              contrastive + 0.1 * diversity           an utterance without

    ctc          -log p(labels | logits)                                        of the mixed states h
    contrastive  -log exp(cos(c_t, q_t) / 0.1) / sum over q_t, negatives        of each frame to predict
    diversity    (GV - perplexity) / GV                                         0: all codewords in use
    feature_penalty  mean of squared convolution outputs                        weight 0 in all of the authors' scripts

Paper: arXiv 2101.07597; contrastive and diversity are wav2vec 2.0's, arXiv 2006.11477 equations 3 and 4.
Each choice that the authors' code (microsoft/UniSpeech) makes is an argument here. A term's name is that of its method,
of its weight and of its line in the log; a term of weight 0 is not computed.

Shapes: ``b`` utterance, ``t`` frame, ``d`` width, ``c`` conv channel, ``g`` group, ``k`` negative, ``u`` label.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from .frames import Frames
from .nn.masking import sample_negatives

CHOICES = {
    "ctc_per": ("frame", "label"),
    "quantizer_draws": ("shared", "separate"),
    "negatives_from": ("speech", "masked", "everywhere"),
    "equal_negatives": ("excluded", "kept"),
    "diversity_over": ("speech", "predicted"),
    "replaces": ("training", "always"),
    "padding": ("ignored", "counted"),
    "lengths": ("receptive_field", "blocks"),
}

# What the authors' first stage does; their second is this with alpha=0, negatives_from="masked".
AUTHORS = {
    "quantizer_draws": "separate",
    "negatives_from": "everywhere",
    "diversity_over": "predicted",
    "replaces": "always",
    "padding": "counted",
    "lengths": "blocks",
}


@dataclass
class Step:
    """What one forward knows, as tensors: all that a loss may be made of."""

    states: Tensor  # (b, t, d) contextual states c
    positives: Tensor  # (b, t, d) codewords in the states' space, q: what each state should be nearest to
    codes: Tensor  # (b, t, g) which codewords the positives are
    pool: Tensor  # (b, t, d) codewords in the states' space that negatives are taken from, often the same q
    pool_codes: Tensor  # (b, t, g) which codewords these are
    speech: Tensor  # (b, t) bool, False in padding
    predicted: Tensor  # (b, t) bool, frames whose codeword is predicted: the masked ones where there is a mask
    perplexity: Tensor  # () of the quantizer's softmax without noise
    codewords: int  # g * v: the largest perplexity there is
    replaced: Tensor  # (b, t) bool, frames whose state the CTC head sees as a codeword
    ctc_logits: Tensor  # (b, t, classes)
    labels: Tensor | None = None  # (b, u) classes; -100 and the blank are left out; a row of nothing else: no labels
    features: Tensor | None = None  # (b, t, c) output of the convolutions before any norm, for the penalty only
    negatives: Tensor | None = None  # (b, t, k) frames of the same utterance, -1 for none

    @cached_property
    def cosines(self) -> Tensor:
        """(b, t, 1 + k) of each state with its positive, then with its negatives, in float32 or wider.

        Every state meets every codeword of its utterance in one product, (b, t, t), and the negatives are gathered from
        that: k vectors of width d for each frame, gigabytes for a large batch, are never made.
        """
        with torch.autocast(self.states.device.type, enabled=False):
            states, positives, pool = (unit(x) for x in (self.states, self.positives, self.pool))
            positive = (states * positives).sum(-1, keepdim=True)
            return torch.cat([positive, (states @ pool.mT).gather(-1, self.negatives.clamp(min=0))], -1)

    @cached_property
    def equal(self) -> Tensor:
        """(b, t, k) bool: the negative has its positive's codes, so it is the same vector."""
        utterance = torch.arange(len(self.codes), device=self.codes.device)[:, None, None]
        return (self.pool_codes[utterance, self.negatives.clamp(min=0)] == self.codes[:, :, None]).all(-1)


@dataclass
class Objective:
    """Call it with a ``Step``: ``loss, terms = objective(step)``. A new term is a method, and a weight of its name.

    ``alpha``: share of the CTC term for utterances with labels; those without have the rest alone, at full weight (the
    paper's one sum over both sets). ``alpha=0`` is wav2vec 2.0. ``alpha=1`` is supervised: nothing else is computed,
    utterances without labels add nothing.
    ``blank``: the CTC blank's class. ``weights``: of the terms beside ``ctc``. ``temperature``: of the contrastive
    softmax. ``num_negatives``: drawn for each predicted frame. ``zero_infinity``: an utterance whose labels do not fit
    its frames adds 0 instead of infinity.

    The choices, the default first; ``AUTHORS`` names those of the released models' first stage:

    - ``ctc_per``: ``"frame"``: the sum over utterances is divided by the number of predicted frames, as the authors'
      trainer does (``alpha`` means what it means in the paper); ``"label"``: each utterance by its number of labels,
      then their mean, as Hugging Face's "mean".
    - ``quantizer_draws``: ``"shared"``: one draw of Gumbel noise makes positives, negatives and replacements;
      ``"separate"``: a second, independent draw makes the positives (authors).
    - ``negatives_from``: ``"speech"``: any other frame of the utterance; ``"masked"``: any other masked frame, from
      the positives' draw (the authors' second stage); ``"everywhere"``: the authors' first: the j-th masked frame skips
      frame j instead of its own, which may be drawn.
    - ``equal_negatives``: ``"excluded"``: a negative with the positive's codes gets a logit of -inf (authors);
      ``"kept"``.
    - ``diversity_over``: perplexity of the ``"speech"`` frames, or of the ``"predicted"`` ones (authors).
    - ``replaces``: states by codewords in ``"training"`` only; ``"always"``: in validation as well (authors).
    - ``padding``: ``"ignored"``; ``"counted"`` (authors): padded frames are predicted where there is no mask, are
      negatives under ``"everywhere"``, and add to the feature penalty. Our front end makes no features of them, theirs
      does: there they are all one vector.
    - ``lengths``: a frame is speech if all of its ``"receptive_field"`` is (Hugging Face); ``"blocks"``: if any sample
      of its share of the padded batch is (authors; often one frame more).

    Raises:
        ValueError: a choice, a term or an alpha that does not exist.
    """

    blank: int
    alpha: float = 0.5
    weights: dict[str, float] = field(default_factory=lambda: {"contrastive": 1.0, "diversity": 0.1})
    temperature: float = 0.1
    num_negatives: int = 100
    zero_infinity: bool = False
    ctc_per: str = "frame"
    quantizer_draws: str = "shared"
    negatives_from: str = "speech"
    equal_negatives: str = "excluded"
    diversity_over: str = "speech"
    replaces: str = "training"
    padding: str = "ignored"
    lengths: str = "receptive_field"

    def __post_init__(self):
        if not 0 <= self.alpha <= 1:
            raise ValueError(f"expected alpha in [0, 1], found {self.alpha}: 0 is without CTC, 1 is nothing but CTC")
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"expected {name} to be one of {', '.join(map(repr, choices))}, found {getattr(self, name)!r}"
                )
        unknown = [name for name in self.weights if not callable(getattr(self, name, None))]
        if unknown:
            raise ValueError(
                f"expected weights of terms that {type(self).__name__} has a method for (contrastive, diversity, "
                f"feature_penalty, ...), found {', '.join(unknown)}"
            )

    @classmethod
    def from_config(cls, config, **changes) -> "Objective":
        """As a model's config says; ``changes`` are this class's arguments, ``**AUTHORS`` for instance."""
        said = {
            "blank": config.num_ctc_classes - 4 if config.ctc_blank is None else config.ctc_blank,
            "alpha": config.alpha,
            "weights": {"contrastive": 1.0, "diversity": config.diversity_loss_weight},
            "temperature": config.contrastive_logits_temperature,
            "num_negatives": config.num_negatives,
            "zero_infinity": config.ctc_zero_infinity,
        }
        return cls(**{**said, **changes})

    def __call__(self, step: Step) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss () to minimise, and each term () as it is before its weight.

        A term's method returns (b,), sums over the predicted frames of each utterance, which are divided by the number
        of these frames in the batch; or (), a figure of the whole batch, which weighs as the predicted frames do.

        Raises:
            ValueError: ``alpha`` is 1 and no utterance has labels; a label or the blank is no class.
        """
        kept = self.kept(step)
        labelled = torch.zeros_like(step.speech[:, 0]) if kept is None else kept.any(1)
        if self.alpha == 1 and not labelled.any():
            raise ValueError(
                "expected labels, found none: with alpha=1 CTC is the only term; give labels or lower alpha"
            )
        counts = step.predicted.sum(1)
        frames = counts.sum().clamp(min=1)
        loss, terms = torch.zeros((), device=step.states.device), {}
        if self.alpha > 0 and labelled.any():
            surprise, lengths = self.ctc(step), kept.sum(1).clamp(min=1)
            terms["ctc"] = surprise.sum() / frames
            if self.ctc_per == "label":
                terms["ctc"] = (surprise / lengths).sum() / labelled.sum()
            loss = loss + self.alpha * terms["ctc"]
        if self.alpha < 1:
            shares = torch.where(labelled, 1 - self.alpha, 1.0)
            for name, weight in self.active.items():
                term = getattr(self, name)(step)
                whole, parts = (term, term * counts) if term.ndim == 0 else (term.sum() / frames, term)
                terms[name] = whole
                loss = loss + weight * (shares * parts).sum() / frames
        return loss, terms

    @property
    def active(self) -> Mapping[str, float]:
        """The terms beside CTC that are computed: those of a weight other than 0; none where ``alpha`` is 1."""
        return {name: weight for name, weight in self.weights.items() if weight and self.alpha < 1}

    def kept(self, step: Step) -> Tensor | None:
        """(b, u) bool: the labels that count, neither -100 nor the blank."""
        return None if step.labels is None else (step.labels != -100) & (step.labels != self.blank)

    def ctc(self, step: Step) -> Tensor:
        """(b,) -log p(labels | logits) over all alignments, 0 for an utterance without labels."""
        kept, classes = self.kept(step), step.ctc_logits.shape[-1]
        if not 0 <= self.blank < classes:
            raise ValueError(
                f"expected a blank from 0 to {classes - 1} (num_ctc_classes={classes}), found {self.blank}: "
                "set ctc_blank in the config"
            )
        wrong = kept & ((step.labels < 0) | (step.labels >= classes))
        if wrong.any():
            raise ValueError(
                f"expected labels from 0 to {classes - 1} (num_ctc_classes={classes}) or -100, "
                f"found {step.labels[wrong].unique().tolist()}"
            )
        scores = step.ctc_logits.log_softmax(-1, dtype=torch.float32).transpose(0, 1)
        with torch.backends.cudnn.flags(enabled=False):  # its kernel knows neither long targets nor blanks other than 0
            surprise = F.ctc_loss(
                scores,
                step.labels[kept],
                step.speech.sum(1),
                kept.sum(1),
                blank=self.blank,
                reduction="none",
                zero_infinity=self.zero_infinity,
            )
        return surprise.masked_fill(~kept.any(1), 0.0)

    def contrastive(self, step: Step) -> Tensor:
        """(b,) -log p(positive among positive and negatives), summed over the predicted frames."""
        surprise = -self.contrastive_logits(step).log_softmax(-1)[..., 0]
        return surprise.masked_fill(~step.predicted, 0.0).sum(1)

    def diversity(self, step: Step) -> Tensor:
        """() share of the codebook that is not in use: 0 if all of it is, nearly 1 if it has collapsed."""
        return (step.codewords - step.perplexity) / step.codewords

    def feature_penalty(self, step: Step) -> Tensor:
        """() mean square of what the convolutions put out."""
        heard = torch.ones_like(step.speech) if self.padding == "counted" else step.speech
        squares = step.features.float().pow(2).mean(-1).masked_fill(~heard, 0.0)
        return squares.sum() / heard.sum().clamp(min=1)

    def contrastive_logits(self, step: Step) -> Tensor:
        """(b, t, 1 + k): the positive's logit, then the negatives', -inf for those that do not count."""
        excluded = step.negatives < 0
        if self.equal_negatives == "excluded":
            excluded = excluded | step.equal
        logits = step.cosines / self.temperature
        return logits.masked_fill(F.pad(excluded, (1, 0)), -torch.inf)

    def accuracy(self, step: Step) -> Tensor:
        """() share of the predicted frames whose positive is nearest; where all are equally near, it is not."""
        logits = self.contrastive_logits(step)
        right = (logits.argmax(-1) == 0) & (logits.argmin(-1) != 0) & step.predicted
        return right.sum() / step.predicted.sum().clamp(min=1)

    def draw_negatives(self, step: Step, generator: torch.Generator | None = None) -> Tensor:
        """(b, t, k) frames to tell each predicted frame's codeword from, -1 for none; by ``negatives_from``."""
        everywhere = torch.ones_like(step.speech) if self.padding == "counted" else step.speech
        pool = {"speech": step.speech, "masked": step.predicted, "everywhere": everywhere}[self.negatives_from]
        rule = "ranks" if self.negatives_from == "everywhere" else "others"
        return sample_negatives(step.predicted, pool, self.num_negatives, rule=rule, generator=generator)


def unit(x: Tensor) -> Tensor:
    """Vectors of length 1, in float32 or wider."""
    return F.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=-1)


def by_blocks(attention_mask: Tensor, clock: Frames) -> Tensor:
    """The samples' mask (b, n) under which our count of frames is that of the authors' code.

    Theirs cuts the n samples into as many equal blocks as there are frames and takes a frame for padding only if all
    of its block is; often that is one frame more than there are whole receptive fields of speech.
    """
    samples = attention_mask.shape[1]
    block = samples // clock.count(samples)
    counts = (attention_mask.sum(-1) + block - 1) // block
    heard = clock.samples(counts - 1)[1]
    return (torch.arange(samples, device=heard.device) < heard[:, None]).to(attention_mask.dtype)
