"""Preparation: what is done to a model before its first training step.

optimizer    AdamW over its weights, biases and norms without decay
fading       less gradient for the convolutions
compiling    the encoder's layers by torch.compile
at_prior     a CTC head that begins with how often each phone is said
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from .settings import Settings
from .vocabulary import Vocabulary, transcripts


def optimizer(model: nn.Module, settings: Settings) -> torch.optim.AdamW:
    """AdamW; biases, norms and other vectors do not decay."""
    learned = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1]},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, settings.learning_rate, settings.betas, settings.eps, settings.weight_decay)


@contextmanager
def fading(model: nn.Module, share: float) -> Iterator[None]:
    """A ``with`` in which so much of the gradient reaches the convolutions."""
    if share in (0, 1):
        yield
        return

    def scale(module, args, said):
        if said.requires_grad:
            said.register_hook(lambda gradient: gradient * share)

    hook = model.unispeech.feature_extractor.register_forward_hook(scale)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def compiling(model: nn.Module, wanted: bool) -> Iterator[None]:
    """A ``with`` in which the encoder's layers are compiled, where they stand: weights keep their names.

    Layers alone: they are most of the work, all alike, so that one compilation serves them all; masks and negatives,
    drawn anew for each shape, would be compiled again and again, and torch 2.13 cannot.
    """
    layers = model.unispeech.encoder.layers if wanted else ()
    for layer in layers:
        layer.compile()
    try:
        yield
    finally:
        for layer in layers:
            layer._compiled_call_impl = None


@torch.no_grad()
def at_prior(model: nn.Module, corpus, vocabulary: Vocabulary, blank: float = 0.8):
    """Begin a fresh CTC head where it would go first: each class as likely as it is among the frames of a corpus.

    CTC's first hundred steps push every frame to the blank. What a bias can say is then not said by the whole network,
    which would have to flatten its features for it, and stay there: on four languages and 38 voices the best class was
    still the blank everywhere after 600 steps; from the prior it no longer was after 230 (``LOG.md``, 2026-11-21).

    Args:
        blank: the share of frames that say nothing; the phones divide the rest by how often they are said.

    Returns:
        The model, changed.

    Raises:
        ValueError: a phone that the vocabulary does not have; a model of other classes.
    """
    if model.config.num_ctc_classes != len(vocabulary):
        raise ValueError(
            f"expected a model of {len(vocabulary)} CTC classes, one a name of the vocabulary, found "
            f"num_ctc_classes={model.config.num_ctc_classes}: make the config with that number"
        )
    model.ctc_proj.bias.copy_(prior(transcripts(corpus), vocabulary, blank))
    return model


def prior(said: Iterable[list[str] | None], vocabulary: Vocabulary, blank: float = 0.8) -> torch.Tensor:
    """(classes,) the logarithm of how often each is to be expected in a frame, of what is said in each utterance."""
    counts = Counter(number for names in said for number in vocabulary.encode(names or ()))
    shares = torch.full((len(vocabulary),), 1e-5)
    for number, times in counts.items():
        shares[number] = (1 - blank) * times / counts.total()
    shares[vocabulary.blank] = blank
    return shares.log()
