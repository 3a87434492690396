"""Doors of the CTC functions: what may be given as scores."""

import numpy as np


def batch(scores, lengths=None) -> list[np.ndarray]:
    """Scores (t, v) or (b, t, v), numpy or torch, as a list of float32 (t, v), each cut to its length.

    Raises ValueError for another shape, for NaN or plus infinity, and for lengths that do not fit.
    """
    if hasattr(scores, "detach"):  # a tensor; torch itself is not needed to read a TextGrid
        scores = scores.detach().cpu().float().numpy()
    scores = np.asarray(scores, dtype=np.float32)
    if scores.ndim not in (2, 3) or not scores.shape[-1]:
        raise ValueError(f"expected scores of shape (t, v) or (b, t, v), found {scores.shape}")
    rows = list(scores) if scores.ndim == 3 else [scores]
    lengths = [len(row) for row in rows] if lengths is None else [int(n) for n in np.atleast_1d(lengths)]
    if len(lengths) != len(rows) or not all(0 <= n <= scores.shape[-2] for n in lengths):
        raise ValueError(f"expected {len(rows)} lengths from 0 to {scores.shape[-2]} frames, found {lengths}")
    rows = [row[:n] for row, n in zip(rows, lengths, strict=True)]
    for row in rows:
        if row.size and not row.max() < np.inf:
            raise ValueError("expected scores below infinity, found NaN or infinity among them: is the model sound?")
    return rows


def one_class(blank: int, classes: int) -> int:
    """The blank, if it is a class at all; ValueError otherwise."""
    if not 0 <= blank < classes:
        raise ValueError(f"expected a blank from 0 to {classes - 1} (the classes), found {blank}")
    return int(blank)
