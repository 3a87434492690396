"""ABX: how often a sound lies nearer to another of its phone than to one of another phone, without any training.

    A and X are of one phone, B is of another:     error = P(d(X, A) > d(X, B)) + P(d(X, A) = d(X, B)) / 2
    d(x, y) = cost of the cheapest path (dynamic time warping) / its length      cost of two frames: angle / pi

0 is perfect, 0.5 is chance. ``speaker``: all three of one voice (``within``), or X of another voice than A and B
(``across``). ``context``: all three between the same neighbours (``same``, what ZeroSpeech calls triphones), or any.

A *cell* is all triples of one phone A, one phone B, one voice (and that of X), one context, one language. Its errors
are averaged over triples; cells over contexts, then over voices, then over pairs of phones (A, B).

Schatz et al. 2013, "Evaluating speech features with the minimal-pair ABX task"; ZeroSpeech 2021 (Nguyen et al. 2020,
arXiv 2011.11588). The numbers are those of ``fastabx`` (Poli et al. 2025), wherever no frame is all zeros: there the
angle to any other is taken as right.

Shapes: ``f`` frame, ``d`` width, ``k`` cell, ``p`` pair of sounds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unispeech_lab.analysis.resampling import weights

SPEAKERS, CONTEXTS = ("within", "across"), ("any", "same")
NEEDED = ("label", "speaker", "first", "last")
LARGEST = 10  # sounds A, B or X of a cell; of more, so many are drawn (ZeroSpeech)
VOICES = 5  # of X for each A and B; of more, so many are drawn (ZeroSpeech)
CELLS = 20_000  # of more, so many are drawn
PAIRS = 200_000  # pairs of sounds whose distances are in memory at once
NUMBERS = 4_000_000  # entries of frames in memory at once
FEWEST = 5  # voices that a bootstrap draws from; of fewer, it draws pairs of phones


@dataclass(frozen=True)
class Abx:
    """An ``error`` from 0 to 1, the 95 % interval of a bootstrap, and what was ``resampled``: voices or phone pairs."""

    error: float
    low: float
    high: float
    cells: int
    pairs: int
    resampled: str


def abx(values: np.ndarray, items: pd.DataFrame, speaker: str = "within", context: str = "any", seed: int = 0) -> Abx:
    """The ABX error of frames ``values`` (f, d), of sounds that are listed in ``items``.

    ``items`` has a row a sound: its phone ``label``, its ``speaker``, its frames from ``first`` up to ``last``; for
    ``context="same"`` also what stands ``before`` and ``after``. With a column ``language``, phones are compared within
    one.

    Raises:
        ValueError: a column is missing; no cell can be made: too few sounds that share voice or context.
    """
    made = cells(items, speaker, context, seed)
    return collapse(made.assign(error=errors(values, items, made)), context, seed)


# ---- cells ----------------------------------------------------------------------------------------------------------


def cells(
    items: pd.DataFrame,
    speaker: str = "within",
    context: str = "any",
    seed: int = 0,
    largest: int | None = LARGEST,
    voices: int | None = VOICES,
    most: int | None = CELLS,
) -> pd.DataFrame:
    """A row a cell: ``pair`` (language, A, B), ``speaker``, and positions ``a``, ``b``, ``x`` among the items.

    ``x`` is None where X are the other A. None instead of a limit: nothing is drawn.
    """
    check(items, speaker, context)
    by = [name for name in ("language",) if name in items] + (["before", "after"] if context == "same" else [])
    draw = np.random.default_rng(seed)
    rows = []
    for group, sounds in grouped(items, by):
        language = group[0] if "language" in by else ""
        for voice, labels in sounds.items():
            others = [other for other in sounds if other != voice]
            for one, a in labels.items():
                heard = [[None]] if len(a) > 1 else []  # X are other A of this voice
                if speaker == "across":
                    heard = [[other] for other in others if one in sounds[other]]
                for two in labels:
                    if two == one or not heard:
                        continue
                    chosen = heard
                    if voices is not None and len(heard) > voices:
                        chosen = [heard[k] for k in draw.permutation(len(heard))[:voices]]
                    rows += [((language, one, two), voice, a, labels[two], x, sounds) for (x,) in chosen]
    if not rows:
        raise ValueError(
            f"expected sounds of two phones or more that share {'a voice' if speaker == 'within' else 'a context'}, "
            f"found none among {len(items)} ({speaker} speaker, {context} context): take more speech, or context='any'"
        )
    if most is not None and len(rows) > most:
        rows = [rows[k] for k in np.sort(draw.choice(len(rows), most, replace=False))]

    def some(positions: np.ndarray) -> np.ndarray:
        if largest is None or len(positions) <= largest:
            return positions
        return np.sort(draw.choice(positions, largest, replace=False))

    found = [
        (pair, voice, some(a), some(b), None if x is None else some(sounds[x][pair[1]]))
        for pair, voice, a, b, x, sounds in rows
    ]
    return pd.DataFrame(found, columns=["pair", "speaker", "a", "b", "x"])


def check(items: pd.DataFrame, speaker: str, context: str) -> None:
    if speaker not in SPEAKERS or context not in CONTEXTS:
        raise ValueError(
            f"expected speaker {' or '.join(SPEAKERS)} and context {' or '.join(CONTEXTS)}, "
            f"found {speaker!r} and {context!r}"
        )
    needed = (*NEEDED, "before", "after") if context == "same" else NEEDED
    if missing := [name for name in needed if name not in items]:
        raise ValueError(f"expected columns {', '.join(needed)}, found no {', '.join(missing)} in {list(items)}")


def grouped(items: pd.DataFrame, by: Sequence[str]) -> Iterator[tuple[tuple, dict]]:
    """What is compared with each other: each group's key, and voice -> phone -> positions (m,)."""
    places = items.reset_index(drop=True)
    keys = [*by, "speaker", "label"]
    found: dict[tuple, dict] = {}
    for key, positions in places.groupby(keys, sort=True).indices.items():
        *group, voice, label = key
        found.setdefault(tuple(group), {}).setdefault(voice, {})[label] = np.sort(positions)
    yield from found.items()


# ---- distances ------------------------------------------------------------------------------------------------------


def errors(values: np.ndarray, items: pd.DataFrame, made: pd.DataFrame) -> np.ndarray:
    """The error of each cell (k,), a bounded number of distances in memory at a time."""
    first, last = items["first"].to_numpy(), items["last"].to_numpy()
    if (last <= first).any():
        raise ValueError("expected at least one frame in each sound, found an empty one: leave it out of the items")
    found, count = np.empty(len(made)), len(items)
    rows = list(zip(made["a"], made["b"], made["x"], strict=True))
    for begin, end in chunks([len(a if x is None else x) * (len(a) + len(b)) for a, b, x in rows], PAIRS):
        keys = [key for a, b, x in rows[begin:end] for key in pairs_of(a, b, x, count)]
        wanted, where = np.unique(np.concatenate(keys), return_inverse=True)
        known = distances(values, first, last, *np.divmod(wanted, count))[where]
        at = 0
        for k in range(begin, end):
            a, b, x = rows[k]
            size = len(a if x is None else x)
            near = known[at : at + size * len(a)].reshape(size, len(a))
            far = known[at + near.size : at + near.size + size * len(b)].reshape(size, len(b))
            at += near.size + far.size
            found[k] = error_of(near, far, own=x is None)
    return found


def pairs_of(a: np.ndarray, b: np.ndarray, x: np.ndarray | None, count: int) -> Iterator[np.ndarray]:
    """One number for each pair (X, A), then (X, B): the same whichever of the two comes first."""
    x = a if x is None else x
    for other in (a, b):
        low, high = np.minimum(x[:, None], other[None]), np.maximum(x[:, None], other[None])
        yield (low * count + high).ravel()


def error_of(near: np.ndarray, far: np.ndarray, own: bool) -> float:
    """The error of one cell, from distances X to A (x, a) and X to B (x, b); ``own``: X and A are the same sounds."""
    one, other = near[:, :, None], far[:, None, :]
    wrong = ((one > other).sum(2) + 0.5 * (one == other).sum(2)) / far.shape[1]
    if own:  # no X is held against itself
        return float((wrong.sum() - wrong.trace()) / (wrong.size - len(wrong)))
    return float(wrong.mean())


def chunks(sizes: Sequence[int], most: int) -> Iterator[tuple[int, int]]:
    """Neighbours taken together while their sizes add up to at most so much: (first, the one after the last)."""
    begin = total = 0
    for k, size in enumerate(sizes):
        if k > begin and total + size > most:
            yield begin, k
            begin, total = k, 0
        total += size
    if begin < len(sizes):
        yield begin, len(sizes)


def distances(
    values: np.ndarray, first: np.ndarray, last: np.ndarray, one: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """From each sound to its fellow (p,): both lists of positions, sounds of equal lengths taken together."""
    lengths = last - first
    order = np.lexsort((lengths[other], lengths[one]))
    shapes = np.stack([lengths[one[order]], lengths[other[order]]], axis=1)
    edges = np.flatnonzero(np.diff(shapes, axis=0).any(1)) + 1
    found = np.empty(len(one), np.float32)
    for block in np.split(order, edges):
        if not len(block):
            continue
        n, m = lengths[one[block[0]]], lengths[other[block[0]]]
        step = max(1, NUMBERS // ((n + m) * values.shape[1] + n * m))
        for begin in range(0, len(block), step):
            part = block[begin : begin + step]
            x = unit(values[first[one[part]][:, None] + np.arange(n)])
            y = unit(values[first[other[part]][:, None] + np.arange(m)])
            cosines = np.matmul(x, y.transpose(0, 2, 1))
            found[part] = warped(np.arccos(np.clip(cosines, -1, 1)) / np.float32(np.pi))
    return found


def unit(frames: np.ndarray) -> np.ndarray:
    """Frames (..., d) of length one; those of zeros stay."""
    frames = np.asarray(frames, np.float32)
    lengths = np.linalg.norm(frames, axis=-1, keepdims=True)
    return frames / np.where(lengths > 0, lengths, 1)


def warped(costs: np.ndarray) -> np.ndarray:
    """Costs (p, n, m) of two frames each to the mean cost (p,) along the cheapest path through them.

    Of equally cheap ways into a frame the diagonal is taken, then that along the second sound, as fastabx does.
    """
    count, n, m = costs.shape
    total, steps = costs.copy(), np.ones((count, n, m), np.int32)
    total[:, 0], total[:, :, 0] = costs[:, 0].cumsum(1), costs[:, :, 0].cumsum(1)
    steps[:, 0], steps[:, :, 0] = np.arange(1, m + 1), np.arange(1, n + 1)
    for i in range(1, n):
        for j in range(1, m):
            up, left, across = total[:, i - 1, j], total[:, i, j - 1], total[:, i - 1, j - 1]
            diagonal = (across <= left) & (across <= up)
            total[:, i, j] += np.minimum(np.minimum(up, left), across)
            beside = np.where(left <= up, steps[:, i, j - 1], steps[:, i - 1, j])
            steps[:, i, j] = 1 + np.where(diagonal, steps[:, i - 1, j - 1], beside)
    return total[:, -1, -1] / steps[:, -1, -1]


# ---- one number -----------------------------------------------------------------------------------------------------


def collapse(scored: pd.DataFrame, context: str = "any", seed: int = 0, draws: int = 1000) -> Abx:
    """Cells with their ``error`` to one: over contexts, then voices, then phone pairs, as ``fastabx`` averages.

    The bootstrap draws the voices of A and B where there are ``FEWEST`` or more, else phone pairs.
    """
    pair, pairs = pd.factorize(scored["pair"])
    voice, voices = pd.factorize(scored["speaker"])
    shape, where = (len(pairs), len(voices)), pair * len(voices) + voice
    sums = np.bincount(where, scored["error"], pairs.size * voices.size).reshape(shape)
    counts = np.bincount(where, minlength=pairs.size * voices.size).reshape(shape).astype(float)
    if context == "same":  # the cells of a voice are its contexts: averaged first
        sums, counts = sums / np.maximum(counts, 1), (counts > 0).astype(float)

    def mean(share: np.ndarray) -> np.ndarray:
        """(draws,) errors for voices taken so many times (draws, voices)."""
        said = share @ counts.T
        each = np.divide(share @ sums.T, said, out=np.full(said.shape, np.nan), where=said > 0)
        return np.nanmean(each, axis=1)

    error = float(mean(np.ones((1, len(voices))))[0])
    if len(voices) >= FEWEST:
        drawn, resampled = mean(weights(np.arange(len(voices)), seed, draws)), "voices"
    else:
        each = sums.sum(1) / counts.sum(1)
        drawn, resampled = weights(np.arange(len(pairs)), seed, draws) @ each / len(pairs), "phone pairs"
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Abx(error, float(low), float(high), len(scored), len(pairs), resampled)
