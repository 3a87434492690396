"""Judging: what a fine-tuned model gets wrong of a test, by whether a source language has the phone.

per            (substitutions + deletions + insertions) / phones said
known, new     (substitutions + deletions) / phones said, of those that the source languages have, and of the others
"""

from collections.abc import Iterable, Sequence

from unispeech_lab import finetune, inventory
from unispeech_lab.corpus import Corpus
from unispeech_lab.error_rates import edits, phone_error_rate
from unispeech_lab.settings import FineTuneSettings


def judge(model, test: Corpus, settings: FineTuneSettings, sources: Iterable[str]) -> dict[str, float]:
    """``per``, ``known`` and ``new`` of a model on a test's phones, where ``sources`` are all phones of the sources."""
    table = finetune.predict(model, test, settings)
    said, heard = ([line.split() for line in table[column]] for column in ("said", "heard"))
    return {"per": phone_error_rate(said, heard), **missed(said, heard, sources)}


def missed(said: Iterable[Sequence[str]], heard: Iterable[Sequence[str]], sources: Iterable[str]) -> dict[str, float]:
    """``known``, ``new``: the share of such phones that were heard as others or not at all; NaN where none was said.

    What is heard in excess is no phone of either kind; a language's tag is no part of a phone.
    """
    sources, wrong = set(sources), {"known": [], "new": []}
    for ours, theirs in zip(said, heard, strict=True):
        for mine, other in edits(ours, theirs):
            if mine is not None:
                (phone,) = inventory.untag([ours[mine]])
                kind = "known" if phone in sources else "new"
                wrong[kind].append(other is None or theirs[other] != ours[mine])
    return {kind: sum(each) / len(each) if each else float("nan") for kind, each in wrong.items()}
