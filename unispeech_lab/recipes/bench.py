"""Bench: a model on which interventions are tried, one utterance in memory at a time."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from unispeech_lab.analysis import causal
from unispeech_lab.analysis.patching import frames_of, shares, winner
from unispeech_lab.codebook import softmax
from unispeech_lab.corpus import Utterance
from unispeech_lab.frames import Frames
from unispeech_lab.recipes import pairs
from unispeech_lab.recipes.interventions import Intervention, Phones, Trial, layers
from unispeech_lab.views.asking import RESUMED, Hear, has, watched

DRAWS = 1000
ABOUT = ("intervention", "kind", "edit", "layer", "item")
Sums = dict[str, tuple[float, float]]  # measure -> an amount, and of how much


class Bench:
    """A model, what it is to hear, and what is measured.

    Raises:
        ValueError: no utterance, or a measure for which the model has no output.
    """

    def __init__(self, model, utterances: Sequence[Utterance], measures: Sequence[str] = (), seed=0, progress=False):
        self.model, self.utterances, self.seed, self.progress = model, utterances, seed, progress
        if not utterances:
            raise ValueError("expected at least one utterance, found none")
        self.head = next(iter(watched(model, [], ["ctc_proj|lm_head"])), None)
        vocabulary = getattr(model, "vocabulary", None)
        self.names = () if vocabulary is None or self.head is None else vocabulary.names
        self.blank = None if vocabulary is None else vocabulary.blank
        self.last = layers(model)[-1]
        lacking = {name: "a CTC head" for name in causal.MEASURES[:3] if self.head is None}
        if not self.names:
            lacking["errors"] = "a CTC head whose classes have names (a vocab.json beside the weights)"
        if wrong := [name for name in measures if name in lacking]:
            raise ValueError(
                f"expected {lacking[wrong[0]]} for the measure {wrong[0]!r}, found {type(model).__name__} without: "
                f"leave {' and '.join(wrong)} out of measures"
            )
        self.measures = tuple(measures) or tuple(name for name in causal.MEASURES if name not in lacking)
        self.watches = [name for name in (*RESUMED, self.last) if has(model, name)]
        self.watches += [self.head] if self.head else []

    def run(self, interventions: Sequence[Intervention]) -> pd.DataFrame:
        """All trials of all interventions, in order: see ``Recipe.run``."""
        planned = [(each, each.trials(self.model)) for each in interventions]  # all errors before the first forward
        patches = {id(each): self.paired(each) for each, _ in planned if isinstance(each, Phones)}
        ablated = [trial for each, trials in planned if id(each) not in patches for trial in trials]
        found = dict(zip(map(id, ablated), self.ablate(ablated), strict=True)) if ablated else {}
        rows = []
        for each, trials in planned:
            if id(each) in patches:
                there, source = patches[id(each)]
                known = {"pairs": len(there), "source": source}
                sums = self.patch(each, trials, there)
                rows += [self.row(trial, some, known) for trial, some in zip(trials, sums, strict=True)]
            else:
                rows += [self.row(trial, found[id(trial)]) for trial in trials]
        return pd.DataFrame(rows).astype({"layer": "Int64", "item": "Int64"})

    def row(self, trial: Trial, sums: Sequence[tuple[str, Sums]], known: Mapping | None = None) -> dict:
        """What was done, and every measure with its interval over utterances."""
        by_utterance: dict[str, dict[str, np.ndarray]] = defaultdict(lambda: defaultdict(lambda: np.zeros(2)))
        for utterance, measured in sums:
            for name, amount in measured.items():
                by_utterance[name][utterance] += amount
        row = {name: getattr(trial, name) for name in ABOUT} | {"utterances": len({utterance for utterance, _ in sums})}
        row |= known or {}
        for name, amounts in by_utterance.items():
            amount, of = np.array(list(amounts.values())).T
            drawn = np.random.default_rng(self.seed).integers(0, len(of), (DRAWS, len(of)))
            row |= dict(zip((name, f"{name}_low", f"{name}_high"), causal.interval(amount, of, drawn), strict=True))
        return row

    # ---- taking away ------------------------------------------------------------------------------------------------

    def ablate(self, trials: Sequence[Trial]) -> list[list[tuple[str, Sums]]]:
        """For each trial what comes of it, utterance by utterance."""
        found: list[list[tuple[str, Sums]]] = [[] for _ in trials]
        turns = sorted(range(len(trials)), key=lambda k: tuple(trials[k].always))
        for utterance in tqdm(self.utterances, "intervening", disable=not self.progress, unit="utterance"):
            heard = Hear(utterance, self.watches)(self.model)
            for always, turn in groupby(turns, key=lambda k: tuple(trials[k].always)):
                turn = list(turn)
                before = self.hear(utterance, trials[turn[0]].always, heard) if always else heard
                for k in turn:
                    after = self.hear(utterance, causal.merged([trials[k].always, trials[k].changes]), heard)
                    found[k].append((utterance.id, self.measure(utterance, before, after)))
        return found

    def hear(self, utterance: Utterance, changes: causal.Changes, given):
        names = [self.last, self.head] if self.head else [self.last]
        return Hear(utterance, names, changes, given)(self.model)

    def measure(self, utterance: Utterance, before, after) -> Sums:
        """How far the output went, for the measures that are wanted."""
        found: Sums = {}
        if self.head:
            one, other = (trace[self.head][0].float().cpu().numpy() for trace in (before, after))
            found |= causal.output(one, other)
            said = [span.label for span in utterance.phones]
            if "errors" in self.measures and said and set(said) <= set(self.names):
                wrong = [causal.mistakes(scores, self.blank, self.names, said) for scores in (one, other)]
                found["errors"] = (wrong[1] - wrong[0], len(said))
                found |= {f"errors_{when}": (n, len(said)) for when, n in zip(("before", "after"), wrong, strict=True)}
        states = (trace[self.last][0].float().cpu().numpy() for trace in (before, after))
        found["states"] = causal.turned(*states)
        return {name: x for name, x in found.items() if name.split("_")[0] in self.measures}

    # ---- one phone by another ---------------------------------------------------------------------------------------

    def paired(self, phones: Phones) -> tuple[list[pairs.Pair], str]:
        """Raises ValueError for phones that the model has no class for, or of which there are no pairs."""
        if missing := [phone for phone in (phones.phone, phones.by) if phone not in self.names]:
            raise ValueError(
                f"expected a model that reads {' and '.join(missing)}, found {type(self.model).__name__} with "
                f"{len(self.names)} named classes: {' '.join(self.names[:20]) or 'a vocab.json beside it names them'}"
            )
        return pairs.find(self.utterances, phones.phone, phones.by, phones.source, phones.most, self.seed)

    def patch(
        self, phones: Phones, trials: Sequence[Trial], there: Sequence[pairs.Pair]
    ) -> list[list[tuple[str, Sums]]]:
        """For each place what comes of the exchange, pair by pair."""
        found: list[list[tuple[str, Sums]]] = [[] for _ in trials]
        classes = self.names.index(phones.phone), self.names.index(phones.by)
        values = [trial.at for trial in trials]
        for pair in tqdm(there, "exchanging", disable=not self.progress, unit="pair"):
            heard = Hear(pair.utterance, [*self.watches, *values])(self.model)
            donor = Hear(pair.donor, [self.head, *values])(self.model)
            into, out_of = (
                frames_of(utterance.phones[k], trace.frames or Frames(), trace[self.head].shape[1])
                for utterance, k, trace in ((pair.utterance, pair.phone, heard), (pair.donor, pair.other, donor))
            )
            for k, trial in enumerate(trials):
                change = {trial.at: causal.transplant(donor[trial.at], into, out_of)}
                after = self.hear(pair.utterance, change, heard)
                sums = self.measure(pair.utterance, heard, after)
                sums |= self.read(classes, (heard, into), (after, into), (donor, out_of))
                found[k].append((f"{pair.utterance.id} {pair.utterance.text}", sums))  # what is said anew shares ids
        return found

    def read(self, classes: tuple[int, int], *heard) -> Sums:
        """What is read at the phone before and after, and where the other one came from."""
        phone, by = classes
        said = [
            shares(softmax(trace[self.head][0].float().cpu().numpy()), frames, self.blank) for trace, frames in heard
        ]
        before, after, donor = (winner(each, self.blank) for each in said)
        read = {"was": before == phone, "stays": after == phone, "becomes": after == by, "donor": donor == by}
        share = said[1][by]
        return {name: (float(x), 1) for name, x in read.items()} | {
            "belief": (float(share), 1) if np.isfinite(share) else (0.0, 0)
        }
