"""Conditions: everything a run is examined for, in the order of what to mend first.

Each is a function of a ``Log`` that returns a ``Finding``, a sentence on what it saw that was well, or None where the
log does not tell. Beside it stand the names of the findings that come of it, which are then told under it.
"""

from .codebook import collapse, diversity, equal_negatives, guessing
from .speech import ctc_blank, left_out, overfitting
from .steps import clipped, learning_rate, nan, temperature

CONDITIONS = {
    nan: {"learning_rate"},
    learning_rate: {"equal_negatives", "collapse", "diversity", "guessing", "ctc_blank", "too_short", "clipped"},
    equal_negatives: {"collapse"},
    collapse: {"guessing"},
    diversity: {"guessing"},
    guessing: set(),
    ctc_blank: set(),
    overfitting: set(),
    clipped: set(),
    left_out: set(),
    temperature: set(),
}
