"""Error rates: how many phones, words or characters of a reference a hypothesis gets wrong.

rate = (substitutions + deletions + insertions) / length of the references, all utterances together          (jiwer)
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest

import jiwer


def phone_error_rate(references: Iterable[Sequence[str]], hypotheses: Iterable[Sequence[str]]) -> float:
    """PER of transcripts, each a sequence of phones (or of any labels that ``str`` tells apart). May exceed 1.

    Raises ValueError when there are not as many hypotheses as references, or no phone in any reference.
    """
    return character_error_rate(*_as_letters(references, hypotheses))


def edits(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """The fewest changes from one to the other: pairs of places in both, in order.

    Two labels that differ are a substitution; (k, None) is a label left out, (None, k) one put in.
    """
    if not reference or not hypothesis:  # jiwer has no alignment to nothing
        return [(k, None) for k in range(len(reference))] + [(None, k) for k in range(len(hypothesis))]
    pairs: list[tuple[int | None, int | None]] = []
    for chunk in jiwer.process_characters(*_as_letters([reference], [hypothesis])).alignments[0]:
        ours = range(chunk.ref_start_idx, chunk.ref_end_idx)
        theirs = range(chunk.hyp_start_idx, chunk.hyp_end_idx)
        pairs += zip_longest(ours, theirs)
    return pairs


def word_error_rate(references: Iterable[str], hypotheses: Iterable[str]) -> float:
    """WER of texts: words are what blanks separate. Raises ValueError as ``phone_error_rate`` does."""
    return jiwer.wer(*_paired(references, hypotheses))


def character_error_rate(references: Iterable[str], hypotheses: Iterable[str]) -> float:
    """CER of texts, blanks counted as characters. Raises ValueError as ``phone_error_rate`` does."""
    return jiwer.cer(*_paired(references, hypotheses))


def _as_letters(references: Iterable[Sequence[str]], hypotheses: Iterable[Sequence[str]]) -> tuple[list, list]:
    """Each label as a character of its own: jiwer splits at blanks, and labels may hold any character."""
    references, hypotheses = [list(map(str, r)) for r in references], [list(map(str, h)) for h in hypotheses]
    known = {label: chr(0xF0000 + k) for k, label in enumerate({p for row in references + hypotheses for p in row})}
    return tuple(["".join(known[p] for p in row) for row in side] for side in (references, hypotheses))


def _paired(references: Iterable[str], hypotheses: Iterable[str]) -> tuple[list[str], list[str]]:
    references, hypotheses = list(references), list(hypotheses)
    if len(references) != len(hypotheses):
        raise ValueError(f"expected a hypothesis for each of {len(references)} references, found {len(hypotheses)}")
    if not any(references):
        raise ValueError(f"expected something said in at least one reference, found {len(references)} empty ones")
    return references, hypotheses
