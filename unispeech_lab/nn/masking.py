"""Masking: which frames a training step hides, from which others it must tell them.

    spans = max(floor(prob * length / span + u), least),  u ~ U[0, 1);   starts drawn without replacement
    negatives of a frame: any other frame of its utterance, drawn with replacement

SpecAugment (arXiv 1904.08779) as wav2vec 2.0 uses it (arXiv 2006.11477, section 3.1). Pure functions of lengths and a
``torch.Generator``, drawn on the device the lengths lie on, all utterances at once.
"""

import torch
from torch import Tensor

RULES = ("huggingface", "authors")
NEGATIVES = ("others", "ranks")


def span_mask(
    lengths: Tensor,
    frames: int,
    prob: float,
    span: int,
    least: int = 0,
    *,
    rule: str = "huggingface",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Random spans, (b, frames) bool, True where a frame is hidden.

    Args:
        lengths: (b,) how many frames of each utterance are speech; no span leaves them.
        frames: width of the mask, at least the longest length.
        prob: spans cover ``prob`` of an utterance if none overlap (about ``1 - exp(-prob)`` as they do).
        span: frames in a span.
        least: spans an utterance gets at least, where they fit.
        rule: ``"huggingface"``: one rounding ``u`` a batch, the last frame may be hidden.
            ``"authors"`` (microsoft/UniSpeech): one ``u`` an utterance, at least two spans, never the last
            frame, spans shortened where an utterance has no room, and every utterance cut to the smallest count in the
            batch by uncovering random frames.
        generator: where the draws come from; the device's default one if None.

    Raises:
        ValueError: a rule, a span or a probability that does not exist; under ``"huggingface"``, a span longer than
            the mask.
    """
    if rule not in RULES:
        raise ValueError(f"expected a masking rule out of {', '.join(RULES)}, found {rule!r}")
    if span < 1 or not 0 <= prob <= 1:
        raise ValueError(f"expected a span of at least 1 and a probability in [0, 1], found {span} and {prob}")
    if span > frames and rule == "huggingface":  # the authors' shortens spans
        raise ValueError(
            f"expected spans that fit, found a span of {span} in {frames} frames: set mask_time_length to {frames} "
            "or less, or train on longer utterances"
        )
    draw = huggingface_spans if rule == "huggingface" else authors_spans
    return draw(lengths, frames, prob, span, least, generator)


def huggingface_spans(lengths, frames, prob, span, least, generator) -> Tensor:
    rounding = torch.rand((), device=lengths.device, generator=generator)
    spans = (prob * lengths / span + rounding).floor().long().clamp(min=least)
    spans = spans.clamp(max=frames // span)
    room = (lengths - span + 1).clamp(min=0)
    starts = choose(room, torch.minimum(spans, room), frames, generator)
    return cover(starts, torch.full_like(lengths, span))


def authors_spans(lengths, frames, prob, span, least, generator) -> Tensor:
    rounding = torch.rand(len(lengths), device=lengths.device, generator=generator)
    spans = (prob * lengths / span + rounding).floor().long().clamp(min=max(least, 2))
    tight = lengths - span <= spans
    width = torch.where(tight, lengths - spans - 1, torch.full_like(lengths, span)).clamp(min=1)
    room = (lengths - width).clamp(min=0)  # the last frame is never hidden
    mask = cover(choose(room, torch.minimum(spans, room), frames, generator), width)
    fewest = mask.sum(1).min().expand(len(lengths))
    return choose_among(mask, fewest, generator)


def choose(room: Tensor, counts: Tensor, frames: int, generator: torch.Generator | None) -> Tensor:
    """(b, frames) bool: ``counts[i]`` distinct frames out of the first ``room[i]``, uniformly."""
    allowed = torch.arange(frames, device=room.device) < room[:, None]
    return choose_among(allowed, counts, generator)


def choose_among(allowed: Tensor, counts: Tensor, generator: torch.Generator | None) -> Tensor:
    """(b, t) bool: ``counts[i]`` of the True frames of row i, uniformly and without replacement."""
    keys = torch.rand(allowed.shape, device=allowed.device, generator=generator).masked_fill(~allowed, 2.0)
    ranks = keys.argsort(1).argsort(1)
    return allowed & (ranks < counts[:, None])


def cover(starts: Tensor, width: Tensor) -> Tensor:
    """(b, t) bool: True on the ``width[i]`` frames that begin at each True of row i."""
    started = starts.cumsum(1)
    frame = torch.arange(starts.shape[1], device=starts.device)
    before = frame - width[:, None]
    ended = started.gather(1, before.clamp(min=0)).masked_fill(before < 0, 0)
    return started > ended


def sample_negatives(
    predicted: Tensor,
    pool: Tensor,
    count: int,
    *,
    rule: str = "others",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Frames to tell each predicted frame from, (b, t, count) indices into its own utterance, -1 where there are none.

    Args:
        predicted: (b, t) bool, frames that need negatives; the rows of the others hold -1.
        pool: (b, t) bool, frames that may be drawn, each with the same chance, with replacement.
        rule: ``"others"``: never the frame itself.
            ``"ranks"`` (the authors'): the j-th predicted frame skips the j-th of the pool. Where the pool
            is the predicted frames, that is the frame itself; where it is all frames, the frame itself may be drawn.
        generator: where the draws come from; the device's default one if None.

    Raises:
        ValueError: a rule that does not exist, a count below 1.
    """
    if rule not in NEGATIVES:
        raise ValueError(f"expected a rule for negatives out of {', '.join(NEGATIVES)}, found {rule!r}")
    if count < 1:
        raise ValueError(f"expected at least 1 negative, found {count}: set num_negatives")
    size = pool.sum(1, keepdim=True)
    own = torch.where(pool, pool.cumsum(1) - 1, size)  # a frame outside the pool skips none
    skipped = own if rule == "others" else predicted.cumsum(1) - 1
    room = size - (skipped < size).long()  # one less where there is one to skip
    draws = torch.rand(*pool.shape, count, device=pool.device, generator=generator)
    ranks = (draws * room[..., None]).long()  # below room: a draw is at most 1 - 2^-24, the product rounds to less
    ranks = ranks + (ranks >= skipped[..., None])
    in_time = (~pool).byte().argsort(stable=True, dim=1)  # the pool's frames first
    negatives = in_time.gather(1, ranks.flatten(1).clamp(max=pool.shape[1] - 1)).view_as(ranks)
    return negatives.masked_fill((~predicted | (room < 1))[..., None], -1)


def within_utterances(negatives: Tensor, predicted: Tensor) -> Tensor:
    """Negatives (b, t, k) counted through the batch, counted through each utterance; -1 for none stays.

    Raises:
        ValueError: a shape that does not fit, a negative of a predicted frame that lies in another utterance.
    """
    if negatives.shape[:-1] != predicted.shape:
        raise ValueError(
            f"expected sampled_negative_indices of shape {(*predicted.shape, 'negatives')} (utterances, frames, "
            f"negatives), found {tuple(negatives.shape)}"
        )
    batch, frames = predicted.shape
    first = frames * torch.arange(batch, device=negatives.device)[:, None, None]
    given = predicted[..., None] & (negatives >= 0)
    elsewhere = given & ((negatives < first) | (negatives >= first + frames))
    if elsewhere.any():
        raise ValueError(
            "expected sampled_negative_indices to lie in the utterance of their frame (utterance * "
            f"{frames} + frame), found {negatives[elsewhere].unique()[:5].tolist()} elsewhere"
        )
    return torch.where(given, negatives - first, -1)


def through_batch(negatives: Tensor) -> Tensor:
    """The way back: (b, t, k) counted through each utterance, counted through the batch."""
    batch, frames, _ = negatives.shape
    first = frames * torch.arange(batch, device=negatives.device)[:, None, None]
    return torch.where(negatives < 0, -1, negatives + first)
