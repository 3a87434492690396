"""Measure: every model on the same held-out speech, and the models beside each other.

OUT/analysis/<model>/            unispeech_lab.analyse
OUT/parts/codes.<model>.csv      ABX of the codewords; borders by steady codes, and by forced alignment
OUT/parts/codes.<a>+<b>.csv      how alike the codes are    (two seeds of a method, two main methods of a seed)
OUT/parts/states.<a>+<b>.csv     CKA, layer by layer        (the same)

What is there is not measured again.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from experiments.inside.models import MAIN, Model
from unispeech_lab.alignment import align
from unispeech_lab.analyse import Analysis, analyse
from unispeech_lab.analyse.heard import Heard
from unispeech_lab.analysis import debiased, segments, stability
from unispeech_lab.analysis.abx import abx
from unispeech_lab.codebook import softmax
from unispeech_lab.corpus import Corpus
from unispeech_lab.run import write_whole
from unispeech_lab.survey import Survey

LOGITS, CTC = "quantizer.logits", "ctc_proj"
MEASURES = ("probe", "cca", "codebook", "segments")
LAST = ("abx",)  # takes longest
OF_OTHERS = ("codebook",)  # of alpha and r swept: what becomes of the codebook


def measure(models: Sequence[Model], corpus: Corpus, out: Path, say: Callable[[str], None], progress: bool) -> None:
    """All there is to measure: model by model, pair by pair, and what takes longest."""
    for model in models:
        say(model.name)
        wanted = MEASURES if model.method in MAIN else OF_OTHERS
        analyse(model.load(), corpus, out / "analysis" / model.name, measures=wanted, progress=progress)
        part(out, f"codes.{model.name}", lambda model=model: codes_of(model, corpus))
    for one, other in pairs(models):
        heard = [Heard(out / "analysis" / model.name / "heard") for model in (one, other)]
        say(f"{one.name} and {other.name}")
        part(out, f"codes.{one.name}+{other.name}", lambda heard=heard: codes_beside(*heard))
        part(out, f"states.{one.name}+{other.name}", lambda heard=heard: states_beside(*heard))
    for model in [model for model in models if model.method in MAIN]:
        say(f"{model.name}: ABX")
        analyse(model.load(), corpus, out / "analysis" / model.name, measures=LAST, progress=progress)


def part(out: Path, name: str, make: Callable[[], pd.DataFrame]) -> None:
    """A file of rows, written whole or not at all, unless it is there."""
    file = out / "parts" / f"{name}.csv"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, make().to_csv(index=False))


def pairs(models: Sequence[Model]) -> Iterator[tuple[Model, Model]]:
    """Two seeds of a method, or two of the main methods of a seed."""
    for one, other in combinations(models, 2):
        if one.method == other.method or (one.seed == other.seed and {one.method, other.method} <= set(MAIN)):
            yield one, other


# ---- a model's codes ------------------------------------------------------------------------------------------------


def codes_of(model: Model, corpus: Corpus) -> pd.DataFrame:
    """Rows ``measure``, ``target``, ``value``, ``low``, ``high``, ``setting``."""
    ears = model.load()
    survey = Survey.of(ears, corpus, LOGITS, CTC)
    rows = [*sounds_like(ears, survey)]
    spoken = [utterance.phones for utterance in survey.utterances]
    true, clock = [segments.of_spans(phones) for phones in spoken], survey.clock
    starts = np.flatnonzero(survey.frames["frame"] == 0)[1:]
    found, setting = steady(np.split(survey[LOGITS], starts), true, clock)
    rows += bordered("steady", found, true, setting)
    known = set(survey.labels)
    if all(span.label in known for phones in spoken for span in phones):
        scores = [np.log(softmax(each.astype(np.float64))) for each in np.split(survey[CTC], starts)]
        aligned = [
            align(each, [[span.label for span in phones]], ears.vocabulary, frames=clock)
            for each, phones in zip(scores, spoken, strict=True)
        ]
        rows += bordered("forced", [segments.of_spans(each.phones) for each in aligned], true, "")
    return pd.DataFrame(rows)


def sounds_like(ears, survey: Survey) -> Iterator[dict]:
    """ABX of phones, each frame its codeword."""

    with torch.no_grad():
        codewords = ears.quantizer.look_up(torch.from_numpy(survey[LOGITS].argmax(-1))).numpy()
    centred = codewords - codewords.mean(0)  # begun between 0 and 1, all point one way
    for speaker in ("within", "across"):
        found = abx(centred, survey.phones, speaker)
        yield {"measure": "abx", "target": speaker, "value": found.error, "low": found.low, "high": found.high}


def steady(logits: Sequence[np.ndarray], true: Sequence[np.ndarray], clock) -> tuple[list[np.ndarray], str]:
    """Borders of codes that pay for a change, each half of the utterances at the price that is best for the other."""
    found = [{p: segments.from_codes(segments.steady(each, p), clock) for p in segments.PRICES} for each in logits]
    half, chosen, prices = np.arange(len(logits)) % 2, [np.zeros(0)] * len(logits), []
    for side in (0, 1):
        others = np.flatnonzero(half != side)
        where = [found[k] for k in others], [true[k] for k in others]
        prices.append(segments.choose(lambda each, price: each[price], *where, segments.PRICES))
        for k in np.flatnonzero(half == side):
            chosen[k] = found[k][prices[-1]]
    return chosen, "price " + " and ".join(f"{price:g}" for price in sorted(set(prices)))


def bordered(method: str, found, true, setting: str) -> Iterator[dict]:
    row = segments.table(found, true, tolerances=[0.020]).iloc[0]
    for name in segments.Score._fields:
        ends = {end: row[f"{name}_{end}"] for end in ("low", "high")}
        yield {"measure": method, "target": name, "value": row[name], **ends, "setting": setting}


# ---- two models -----------------------------------------------------------------------------------------------------


def codes_beside(one: Heard, other: Heard) -> pd.DataFrame:
    return stability.compare(one["codes"], other["codes"], one.frames["utterance"].to_numpy())


def states_beside(one: Heard, other: Heard) -> pd.DataFrame:
    """CKA of the phones' means in each layer that both have."""
    groups = one.units["utterance"].to_numpy()
    names = sorted(int(n.split(".")[1]) for n in one.widths if n.startswith("units.") and not n.endswith("mfcc"))
    rows = []
    for layer in [layer for layer in names if f"units.{layer}" in other]:
        value, low, high = debiased.cka(one[f"units.{layer}"], other[f"units.{layer}"], groups)
        rows.append({"layer": layer, "value": value, "low": low, "high": high, "n": len(groups)})
    return pd.DataFrame(rows)


# ---- all of it ------------------------------------------------------------------------------------------------------


def gather(models: Sequence[Model], out: Path) -> dict[str, pd.DataFrame]:
    """Tables over all models that are measured: ``layers``, ``codebook``, ``segments``, ``codes``, ``stability``,
    ``similarity``.

    Raises:
        ValueError: none is.
    """
    kinds = ("layers", "codebook", "segments")
    tables: dict[str, list] = {name: [] for name in (*kinds, "codes", "stability", "similarity")}
    done = [model for model in models if (out / "analysis" / model.name / "parts" / "codebook.csv").is_file()]
    if not done:
        raise ValueError(f"expected a model that is measured in {out}, found none of {len(models)}")
    baseline: list[pd.DataFrame] = []  # that of sound, the same for all
    for model in done:
        told = {"method": model.method, "run": model.seed}
        analysis = Analysis.open(out / "analysis" / model.name)
        for name in kinds:
            tables[name].append(getattr(analysis, name).rename(columns={"method": "borders"}).assign(**told))
        if len(analysis.baseline) and not baseline:
            baseline.append(analysis.baseline.assign(method="mfcc", run=0))
        if (file := out / "parts" / f"codes.{model.name}.csv").is_file():
            tables["codes"].append(pd.read_csv(file).assign(**told))
    tables["layers"] += baseline
    for one, other in pairs(done):
        told = {"one": one.method, "one_run": one.seed, "other": other.method, "other_run": other.seed}
        for kind, name in (("codes", "stability"), ("states", "similarity")):
            file = out / "parts" / f"{kind}.{one.name}+{other.name}.csv"
            if file.is_file():
                tables[name].append(pd.read_csv(file).assign(**told))
    return {name: pd.concat(found, ignore_index=True) for name, found in tables.items() if found}
