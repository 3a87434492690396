"""Evaluation: how well a pretraining model knows the phones of a corpus, by its CTC head, its codes, its alignments.

    per          phone error rate of greedy decoding
    onset_20ms   share of phones whose onset, aligned to the true phones, is within 20 ms of the true one
    borders_20ms the same of every border, each counted once
    nmi          between the codes (of all groups together) and the phones of the frames' centres

Beside the codes' agreement, that of a k-means on MFCC with as many clusters as there are codes in use: what anybody
gets without a network. ``mfcc``: 13 coefficients of 25 ms, as long as a code hears. ``mfcc_deltas``: with both
derivatives, over 105 ms.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch

from . import boundaries
from .alignment import align
from .audio import RATE
from .batches import needed
from .codebook import agreement, joint, perplexity, phone_of_frames, usage
from .corpus import Corpus
from .ctc import greedy
from .error_rates import phone_error_rate
from .frames import Frames
from .vocabulary import Vocabulary

COEFFICIENTS = 13
DELTA = 9  # windows of 10 ms that a derivative sees


@torch.no_grad()
def evaluate(
    model,
    corpus: Corpus,
    vocabulary: Vocabulary,
    method: str | None = None,
    baseline: bool = True,
    progress: Callable[[float], None] = lambda fraction: None,
) -> dict[str, float]:
    """The figures above, of utterances whose phones and their times are known.

    Utterances with a phone that the vocabulary does not have, or with none, are left out and counted in ``left_out``.
    A phone whose times are a convention (score 0.0) is read, but not counted among the borders.

    ``method`` is ``align``'s, its default if None.

    Raises:
        ValueError: nothing is left to evaluate.
    """
    known, model, by = set(vocabulary.phones), model.eval(), {"method": method} if method else {}
    references, hypotheses, codes, names, features, found = [], [], [], [], [], []
    left_out = 0
    for number, utterance in enumerate(corpus):
        progress(number / len(corpus))
        said = [span.label for span in utterance.phones]
        if not said or not set(said) <= known:
            left_out += 1
            continue
        output = model(**model.prepare(utterance))
        scores = output.ctc_logits[0].float().log_softmax(-1).cpu().numpy()
        references.append(said)
        hypotheses.append(vocabulary.decode(greedy(scores, vocabulary.blank)))
        codes.append(output.codes[0].cpu().numpy())
        names += phone_of_frames(utterance.phones, model.config.frames, len(scores))[0]
        if baseline:
            features.append(mfcc(utterance.waveform, len(scores), model.config.frames))
        if len(scores) >= needed(vocabulary.encode(said)):  # else they are read, but cannot be aligned
            aligned = align(scores, [said], vocabulary, frames=model.config.frames, **by)
            found.append(boundaries.errors(aligned.phones, utterance.phones))
    if not found:
        raise ValueError(
            f"expected utterances of phones with times, in this vocabulary, that fit their frames, found none in "
            f"{corpus!r}: give TextGrids, or a model that knows these phones"
        )
    every, off = np.concatenate(codes), pd.concat(found)
    config = model.config
    counts = usage(every, config.num_codevectors_per_group)
    said = {
        "utterances": len(references),
        "left_out": left_out,
        "phones": sum(map(len, references)),
        "per": phone_error_rate(references, hypotheses),
        "onset_20ms": float(boundaries.hit_rates(off["onset"], [0.02])[0]),
        "borders_20ms": float(boundaries.hit_rates(boundaries.borders(off), [0.02])[0]),
        "perplexity": perplexity(counts),
        "codewords": counts.size,
    }
    pairs = joint(every)
    said |= agreement(pairs, names)
    if baseline:
        every = np.concatenate(features)
        for prefix, width in (("mfcc", COEFFICIENTS), ("mfcc_deltas", every.shape[1])):
            other = agreement(clusters(every[:, :width], said["codes"]), names)
            said |= {f"{prefix}_{name}": other[name] for name in ("nmi", "purity")}
    return said


def mfcc(waveform: np.ndarray, count: int, clock: Frames) -> np.ndarray:
    """MFCC (t, 39) at the centres of the ``count`` frames of a waveform (n,), then both derivatives."""
    import librosa

    middle = np.asarray(clock.centre(np.arange(count))) * RATE
    found = librosa.feature.mfcc(y=waveform, sr=RATE, n_mfcc=COEFFICIENTS, n_fft=400, hop_length=160, n_mels=40)
    static = found - found.mean(1, keepdims=True)
    mode = "interp" if static.shape[1] >= DELTA else "nearest"  # under 80 ms there are too few to fit a line to
    deltas = [librosa.feature.delta(static, width=DELTA, order=order, mode=mode) for order in (1, 2)]
    every = np.concatenate([static, *deltas])
    return every[:, np.clip(np.round(middle / 160).astype(int), 0, every.shape[1] - 1)].T.astype(np.float32)


def clusters(features: np.ndarray, number: int, seed: int = 0) -> np.ndarray:
    """A cluster for each row (t,) of features (t, d), each coefficient normalised: k-means."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit_transform(features)
    return MiniBatchKMeans(min(number, len(scaled)), random_state=seed, n_init=3, batch_size=4096).fit_predict(scaled)
