"""Error rates: how many phones, words or characters of a reference a hypothesis gets wrong.

rate = (substitutions + deletions + insertions) / length of the references, all utterances together          (jiwer)
"""

from collections.abc import Iterable, Sequence

import jiwer


def phone_error_rate(references: Iterable[Sequence[str]], hypotheses: Iterable[Sequence[str]]) -> float:
    """PER of transcripts, each a sequence of phones (or of any labels that ``str`` tells apart). May exceed 1.

    Raises ValueError when there are not as many hypotheses as references, or no phone in any reference.
    """
    references, hypotheses = [list(map(str, r)) for r in references], [list(map(str, h)) for h in hypotheses]
    # jiwer splits at blanks, and labels may hold any character: each label becomes a character of its own instead
    known = {label: chr(0xF0000 + k) for k, label in enumerate({p for row in references + hypotheses for p in row})}
    return character_error_rate(
        *(["".join(known[p] for p in row) for row in side] for side in (references, hypotheses))
    )


def word_error_rate(references: Iterable[str], hypotheses: Iterable[str]) -> float:
    """WER of texts: words are what blanks separate. Raises ValueError as ``phone_error_rate`` does."""
    return jiwer.wer(*_paired(references, hypotheses))


def character_error_rate(references: Iterable[str], hypotheses: Iterable[str]) -> float:
    """CER of texts, blanks counted as characters. Raises ValueError as ``phone_error_rate`` does."""
    return jiwer.cer(*_paired(references, hypotheses))


def _paired(references: Iterable[str], hypotheses: Iterable[str]) -> tuple[list[str], list[str]]:
    references, hypotheses = list(references), list(hypotheses)
    if len(references) != len(hypotheses):
        raise ValueError(f"expected a hypothesis for each of {len(references)} references, found {len(hypotheses)}")
    if not any(references):
        raise ValueError(f"expected something said in at least one reference, found {len(references)} empty ones")
    return references, hypotheses
