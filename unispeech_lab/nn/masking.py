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
TILE = 2**17  # negatives drawn at a time: their random bits stay in the processor's cache


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
    most = frames // span
    room = (lengths - span + 1).clamp(min=0)
    starts = choose(room, torch.minimum(spans, room.clamp(max=most)), frames, most, generator)
    return cover(starts, torch.full_like(lengths, span))


def authors_spans(lengths, frames, prob, span, least, generator) -> Tensor:
    rounding = torch.rand(len(lengths), device=lengths.device, generator=generator)
    spans = (prob * lengths / span + rounding).floor().long().clamp(min=max(least, 2))
    tight = lengths - span <= spans
    width = torch.where(tight, lengths - spans - 1, torch.full_like(lengths, span)).clamp(min=1)
    room = (lengths - width).clamp(min=0)  # the last frame is never hidden
    mask = cover(choose(room, torch.minimum(spans, room), frames, frames, generator), width)
    fewest = mask.sum(1).min().expand(len(lengths))
    return choose_among(mask, fewest, frames, generator)


def choose(room: Tensor, counts: Tensor, frames: int, most: int, generator: torch.Generator | None) -> Tensor:
    """(b, frames) bool: ``counts[i]``, at most ``most``, distinct frames out of the first ``room[i]``, uniformly."""
    allowed = torch.arange(frames, device=room.device) < room[:, None]
    return choose_among(allowed, counts, most, generator)


def choose_among(allowed: Tensor, counts: Tensor, most: int, generator: torch.Generator | None) -> Tensor:
    """(b, t) bool: ``counts[i]``, at most ``most``, of the True frames of row i, uniformly, without replacement."""
    keys = torch.rand(allowed.shape, device=allowed.device, generator=generator).masked_fill(~allowed, 2.0)
    smallest = keys.topk(most, 1, largest=False).indices
    chosen = torch.arange(most, device=allowed.device) < counts[:, None]
    return torch.zeros_like(allowed).scatter(1, smallest, chosen)


def cover(starts: Tensor, width: Tensor) -> Tensor:
    """(b, t) bool: True on the ``width[i]`` frames that begin at each True of row i."""
    started = starts.cumsum(1)
    frame = torch.arange(starts.shape[1], device=starts.device)
    before = frame - width[:, None]
    ended = started.gather(1, before.clamp(min=0)).masked_fill(before < 0, 0)
    return started > ended


@torch.compiler.disable  # its shapes depend on how many frames are predicted: torch.compile gives up on the draws
def sample_negatives(
    predicted: Tensor,
    pool: Tensor,
    count: int,
    *,
    rule: str = "others",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Frames to tell each predicted frame from, (b, t, count) int32 in its own utterance, -1 where there are none.

    Drawn for the predicted frames alone, so a GPU is waited for once, to count them.

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
    batch, frames = pool.shape
    whole = {"dtype": torch.int32 if frames <= 2**15 else torch.int64, "device": pool.device}
    rank = pool.cumsum(1, dtype=whole["dtype"]) - 1
    size = rank[:, -1:] + 1
    own = torch.where(pool, rank, size)  # a frame outside the pool skips none
    skipped = own if rule == "others" else predicted.cumsum(1, dtype=whole["dtype"]) - 1
    skips = skipped < size
    room = torch.where(skips, size - 1, size)
    wanted = (predicted & (room > 0)).flatten()
    rows = wanted.nonzero()[:, 0]

    # The pool's frames in order, twice over: read from the one after the skipped, which then comes last, out of reach.
    around = torch.zeros(batch, 2 * frames + 1, dtype=torch.int32, device=pool.device)
    frame = torch.arange(frames, dtype=torch.int32, device=pool.device).expand_as(pool)
    for place in (rank, rank + size):
        around.scatter_(1, torch.where(pool, place, 2 * frames).long(), frame)
    begin = torch.where(skips, skipped + 1, 0) + torch.arange(batch, **whole)[:, None] * around.shape[1]

    drawn = torch.full((len(rows) + 1, count), -1, dtype=torch.int32, device=pool.device)
    tile = max(TILE // count, 1)
    rooms, begins = (of_frame.flatten()[rows, None].split(tile) for of_frame in (room, begin))
    for part, bound, first in zip(drawn[:-1].split(tile), rooms, begins, strict=True):
        steps = below(bound, count, generator).add_(first)
        torch.index_select(around.flatten(), 0, steps.flatten(), out=part.view(-1))
    row = torch.where(wanted, wanted.cumsum(0) - 1, len(rows))
    return drawn.index_select(0, row).view(batch, frames, count)


def below(bounds: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """(rows, count) integers, each uniform from 0 to below ``bounds`` (rows, 1): int32 up to 2^15, else int64.

    Random bits are most of the work. A number has 16 of its own, x, and its row shares one uniform w < bound:
    x * bound + w is uniform below 2^16 * bound, so its top is uniform below the bound. Two numbers of a row are not
    quite independent: what one says of the other changes a chance by a share of less than (bound / 2^17)^2.
    """
    size = len(bounds) * count
    bits = torch.empty((size + 3) // 4, dtype=torch.int64, device=bounds.device)
    own = bits.random_(-(2**63), None, generator=generator).view(torch.int16)[:size].view(-1, count)  # x - 2^15
    shared = (torch.rand(bounds.shape, device=bounds.device, generator=generator) * bounds).to(bounds.dtype)
    return own.to(bounds.dtype).mul_(bounds).add_(shared + 2**15 * bounds).bitwise_right_shift_(16)


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
