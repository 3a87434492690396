"""Samples: the phones or frames of a survey that a map shows, a probe reads: a table beside an array.

table = samples.rows(survey, "phones")           # label, kind, speaker, language, word, utterance, start, end
samples.values(survey, "encoder.layers.3", "phones")     # (m, d), a row beside each
"""

from collections.abc import Callable
from functools import wraps
from weakref import finalize

import numpy as np
import pandas as pd

from unispeech_lab.boundaries import phone_class
from unispeech_lab.survey import Survey

OF = ("phones", "frames")
MOST = 3000  # rows; of more, so many are drawn from a seed
PAUSE = "pause"
PROPERTIES = {"phone": "label", "phone class": "kind", "voice": "speaker", "language": "language"}


def kept(function: Callable) -> Callable:
    """Remember what a function of a survey and plain choices gave, for as long as the survey is there."""
    memory: dict[int, dict] = {}

    @wraps(function)
    def remembered(survey, *choices):
        if id(survey) not in memory:
            memory[id(survey)] = {}
            finalize(survey, memory.pop, id(survey), None)
        known = memory[id(survey)]
        if choices not in known:
            known[choices] = function(survey, *choices)
        return known[choices]

    return remembered


@kept
def rows(survey: Survey, of: str) -> pd.DataFrame:
    """At most ``MOST`` phones or frames, in order; ``place`` is each one's row in ``survey.phones`` or ``.frames``.

    Raises:
        ValueError: something else than phones or frames.
    """
    if of not in OF:
        raise ValueError(f"expected {' or '.join(OF)}, found {of!r}")
    table = survey.phones if of == "phones" else survey.frames.rename(columns={"phone": "label"})
    drawn = np.arange(len(table))
    if len(drawn) > MOST:
        drawn = np.sort(np.random.default_rng(0).choice(len(table), MOST, replace=False))
    chosen = table.iloc[drawn].assign(place=drawn).reset_index(drop=True)
    chosen["label"] = chosen["label"].fillna(PAUSE)
    kinds = {label: label if label == PAUSE else phone_class(label) for label in chosen["label"].unique()}
    return chosen.assign(kind=chosen["label"].map(kinds))


def values(survey: Survey, name: str, of: str) -> np.ndarray:
    """What was surveyed under a name, for those rows: (m, d), means over the frames of each phone. Not kept: large."""
    places = rows(survey, of)["place"].to_numpy()
    return (survey.over_phones(name) if of == "phones" else survey[name])[places]


@kept
def titles(survey: Survey, of: str) -> tuple[str, ...]:
    """What the pointer reads at each point: ``æ in cat, f1, en``."""
    table = rows(survey, of)
    within = table["word"] if "word" in table else table["part"]
    return tuple(
        f"{label}{f' in {word}' if of == 'phones' and word else f', {word}' if word else ''}, {speaker}, {language}"
        for label, word, speaker, language in zip(
            table["label"], within.where(within.notna(), ""), table["speaker"], table["language"], strict=True
        )
    )


@kept
def times(survey: Survey, of: str) -> np.ndarray:
    """Where each is in the album (m, 2), in seconds."""
    return np.asarray(survey.times(rows(survey, of)), float).reshape(-1, 2)
