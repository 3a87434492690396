"""Boundaries: how far the borders of an alignment lie from those that were measured.

    errors = boundaries.errors(found, utterance.phones)          a row a phone: onset and offset, found minus true
    boundaries.by_class(errors)                                  a row a class: bias, median, hits within 10/20/50 ms
    boundaries.reliability(errors["score"], right)               is a phone of score 0.8 right in 80 % of cases?

Where does a stop begin? The bundled corpus, as most hand labels, gives its silent closure to the stop, while a model
hears little before the release. ``closures="counted"`` demands the closure; ``"left out"`` counts no border into a
stop: neither its onset nor the end of the phone that it closes. Phones whose times are a convention (score 0.0 in the
truth) are never counted.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from unispeech_lab.alignment.span import Span

TOLERANCES = (0.010, 0.020, 0.050)  # seconds
BINS = 10
CLOSURES = ("counted", "left out")

AFFRICATES = ("tʃ", "dʒ", "ts", "dz", "tɕ", "dʑ", "tʂ", "ʈʂ", "dʐ", "pf")
MANNERS = {  # N S X: as espeak-ng writes some of Chinese
    "vowel": "aeiouyæøœɐɑɒɔəɚɛɜɝɞɘɤɨɪɯɵʉʊʌʏᵻɶ",
    "stop": "ptkbdɡgcɟqɢʔʈɖ",
    "fricative": "fvszʃʒθðxɣχʁhɦɕʑʂʐçʝɸβħʕɬɮSX",
    "nasal": "mnɲŋɳɴɱN",
    "approximant": "ljwɹɻɥʎɭɫɾrʀɽʋɰ",
}


def phone_class(phone: str) -> str:
    """vowel, stop, affricate, fricative, nasal or approximant (liquids, taps and trills among them); or other."""
    if phone.startswith(AFFRICATES):
        return "affricate"
    return next((name for name, letters in MANNERS.items() if phone[:1] and phone[0] in letters), "other")


def errors(found: Sequence[Span], truth: Sequence[Span], closures: str = "counted") -> pd.DataFrame:
    """A row a phone: ``label``, ``kind`` (its class), ``score`` as found, and how far off it is.

    ``onset`` and ``offset`` are in seconds, found minus true: below 0 is early, NaN is not counted. ``shared`` is True
    for an offset that is the next phone's onset too: leave it out to count each border once. ``overlap`` is the time
    that found and true span have in common over the time that either has: 0 to 1.

    Raises:
        ValueError: other labels than in the truth, or a closure rule that there is not.
    """
    if closures not in CLOSURES:
        raise ValueError(f"expected closures to be {' or '.join(map(repr, CLOSURES))}, found {closures!r}")
    said, meant = [span.label for span in found], [span.label for span in truth]
    if said != meant:
        k = next((k for k, (a, b) in enumerate(zip(said, meant, strict=False)) if a != b), min(len(said), len(meant)))
        raise ValueError(
            f"expected the {len(meant)} phones of the truth in order, found {len(said)}: the first difference is at "
            f"phone {k + 1}, {meant[k : k + 1]} in the truth and {said[k : k + 1]} as found"
        )
    rows = []
    for k, (ours, true) in enumerate(zip(found, truth, strict=True)):
        after = truth[k + 1] if k + 1 < len(truth) else None
        meets = after is not None and abs(after.start - true.end) < 1e-6
        onset, offset = ours.start - true.start, ours.end - true.end
        if true.score == 0.0:
            onset = offset = np.nan
        if meets and after.score == 0.0:
            offset = np.nan
        if k and truth[k - 1].score == 0.0 and abs(truth[k - 1].end - true.start) < 1e-6:
            onset = np.nan
        if closures == "left out":
            onset = np.nan if _closed(true.label) else onset
            offset = np.nan if meets and _closed(after.label) else offset
        common = max(min(ours.end, true.end) - max(ours.start, true.start), 0.0)
        either = max(max(ours.end, true.end) - min(ours.start, true.start), 1e-9)
        rows.append((true.label, phone_class(true.label), ours.score, onset, offset, meets, common / either))
    frame = pd.DataFrame(rows, columns=["label", "kind", "score", "onset", "offset", "shared", "overlap"])
    return frame.astype({"score": float, "onset": float, "offset": float, "shared": bool, "overlap": float})


def borders(errors: pd.DataFrame) -> np.ndarray:
    """The errors (m,) of all borders that count, each once: every onset, and the offsets before a pause."""
    every = np.concatenate([errors["onset"], errors["offset"][~errors["shared"]]])
    return every[~np.isnan(every)]


def hit_rates(errors, tolerances: Sequence[float] = TOLERANCES) -> np.ndarray:
    """The share (k,) of errors (m,) in seconds that are within each tolerance; NaN where there are no errors."""
    off = np.abs(np.asarray(errors, dtype=float))
    off = off[~np.isnan(off)]
    # what is exactly so far off is a hit, however it was rounded
    return np.array([np.mean(off <= tolerance + 1e-9) if off.size else np.nan for tolerance in tolerances])


def tolerance_curve(errors, most: float = 0.1, steps: int = 101) -> tuple[np.ndarray, np.ndarray]:
    """Tolerances from 0 to ``most`` seconds, and the share of errors within each."""
    tolerances = np.linspace(0, most, steps)
    return tolerances, hit_rates(errors, tolerances)


def by_class(errors: pd.DataFrame) -> pd.DataFrame:
    """A row a phone class, and one for all: ``phones``, and for onsets and offsets apart the ``bias`` (median, found
    minus true), the ``off`` (median of what it is off) in milliseconds, and the share within each of ``TOLERANCES``;
    ``overlap`` is the mean."""
    groups = {kind: errors[errors["kind"] == kind] for kind in [*MANNERS, "affricate", "other"]} | {"all": errors}
    rows = {kind: _summary(group) for kind, group in groups.items() if len(group)}
    return pd.DataFrame.from_dict(rows, orient="index")


def reliability(scores, right, bins: int = BINS) -> pd.DataFrame:
    """A row for each of ``bins`` stretches of score from 0 to 1 that holds any: ``score``, its mean; ``right``, the
    share that is right; ``count``. A calibrated score has both alike. Phones without a score are left out.

    Raises:
        ValueError: not as many scores as verdicts, or a score outside 0 to 1.
    """
    scores, right = np.asarray(scores, dtype=float), np.asarray(right, dtype=bool)
    if scores.shape != right.shape or scores.ndim != 1:
        raise ValueError(f"expected a verdict for each score, found shapes {scores.shape} and {right.shape}")
    right, scores = right[~np.isnan(scores)], scores[~np.isnan(scores)]
    if scores.size and not (scores.min() >= 0 and scores.max() <= 1):
        raise ValueError(f"expected scores from 0 to 1, found {scores.min():g} to {scores.max():g}")
    place = np.minimum((scores * bins).astype(int), bins - 1)
    rows = [(scores[place == k].mean(), right[place == k].mean(), (place == k).sum()) for k in np.unique(place)]
    return pd.DataFrame(rows, columns=["score", "right", "count"])


def expected_calibration_error(scores, right, bins: int = BINS) -> float:
    """How far score and truth are apart, on average over all phones: sum of count * |score - right| / all.

    Source: Naeini et al. 2015. NaN without any score. Raises ValueError as ``reliability`` does.
    """
    table = reliability(scores, right, bins)
    if table.empty:
        return float("nan")
    return float(np.average(np.abs(table["score"] - table["right"]), weights=table["count"]))


def _closed(label: str) -> bool:
    return phone_class(label) in ("stop", "affricate")


def _summary(group: pd.DataFrame) -> dict[str, float]:
    row: dict[str, float] = {"phones": len(group)}
    for side in ("onset", "offset"):
        off = group[side].dropna()
        row[f"{side} bias"], row[f"{side} off"] = 1000 * off.median(), 1000 * off.abs().median()
        for tolerance, share in zip(TOLERANCES, hit_rates(off), strict=True):
            row[f"{side} {1000 * tolerance:.0f} ms"] = share
    return row | {"overlap": group["overlap"].mean()}
