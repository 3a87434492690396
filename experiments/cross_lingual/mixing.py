"""Mixing: several languages' speech as one, each heard as often as a size wants.

    share of a language ~ (its hours / all hours) ** power          1: as there is; 0: all alike

The authors mix their source languages by 0.5: English .47, Spanish .17, French .24, Italian .12 of what is heard.
"""

from collections.abc import Sequence

import pandas as pd
import torch

from unispeech_lab.corpus import Corpus
from unispeech_lab.seeds import generator_of


def together(corpora: Sequence[Corpus], name: str) -> Corpus:
    """Corpora of several folders as one: their paths made absolute, their ids told apart by language."""
    tables = []
    for corpus in corpora:
        rows = corpus.table.copy()
        for column in ("path", "alignment"):
            rows[column] = [str((corpus.root / path).resolve()) if path else "" for path in rows[column].fillna("")]
        tables.append(rows)
    return Corpus(pd.concat(tables, ignore_index=True), "/", name)


def balanced(corpora: Sequence[Corpus], power: float, seed: int = 0) -> list[Corpus]:
    """The same hours in all, shared by the rule above: utterances left out by seed, or repeated (``id#2``)."""
    if power == 1 or len(corpora) == 1:
        return list(corpora)
    hours = torch.tensor([corpus.hours for corpus in corpora], dtype=torch.float64)
    shares = (hours / hours.sum()) ** power
    times = shares / shares.sum() * hours.sum() / hours
    return [repeated(corpus, float(t), seed) for corpus, t in zip(corpora, times, strict=True)]


def repeated(corpus: Corpus, times: float, seed: int) -> Corpus:
    """So many times the utterances: each the whole times, and a share of them, by seed, once more."""
    whole, more = int(times), round((times - int(times)) * len(corpus))
    chosen = torch.randperm(len(corpus), generator=generator_of(seed, "mixing"))[:more].sort().values
    rounds = [corpus.table] * whole + [corpus.table.iloc[chosen.numpy()]]
    tables = [rows.assign(id=rows["id"] + (f"#{k}" if k > 1 else "")) for k, rows in enumerate(rounds, 1)]
    return Corpus(pd.concat(tables, ignore_index=True), corpus.root, corpus.name)
