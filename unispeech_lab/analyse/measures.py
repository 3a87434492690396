"""Measures: from what was heard to rows of the tables, one part of one measure at a time.

A part is what is measured between two stops: one measure of one layer, or one that has no layers. Each reads what it
needs off the disk, at most ``MOST`` rows, and gives plain rows; the same rows whenever, and in whatever order.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from unispeech_lab.analyse.heard import FULLY, STRETCH, Heard, where
from unispeech_lab.analysis import debiased, held_out, layerwise, segments, similarity
from unispeech_lab.analysis.abx import abx
from unispeech_lab.analysis.information import clusters, information
from unispeech_lab.analysis.resampling import jackknife
from unispeech_lab.codebook import PARTS, agreement, chance, joint

MEASURES = ("probe", "cca", "cka", "information", "abx", "codebook", "segments")
LAYERED = ("probe", "cca", "cka", "information", "abx")
MFCC = "mfcc"
MOST = 20_000  # phones (words, frames of a cluster) that one measure looks at; of more, so many are drawn
FEWEST = {"phone": 10, "word": 3}  # times that a label must occur for correlation
KINDS = 500  # words, the most frequent (Pasad et al. 2021)
ROWS = 100  # or there is nothing to correlate with, no cells to average
ALL = "all"


class Sample:
    """The rows that a layer's measures share: phones (or stretches) and words, drawn once from the seed."""

    def __init__(self, heard: Heard, seed: int):
        self.heard, self.seed = heard, seed
        table = heard.units
        self.short = [row["id"] for row in heard.utterances if not row["count"]]
        if not len(table):
            raise ValueError(
                f"expected a phone, or {1000 * STRETCH:g} ms of speech, found neither in {len(heard)} utterances, of "
                f"which {len(self.short)} are shorter than the {1000 * self.hears:g} ms that a frame hears"
            )
        named = np.flatnonzero(named_in(table, "label"))
        self.has_phones = bool(len(named))
        self.places = drawn(named if self.has_phones else np.arange(len(table)), seed)
        self.units = table.iloc[self.places].reset_index(drop=True)
        words = heard.words
        often = np.flatnonzero(layerwise.frequent(words["label"], FEWEST["word"], KINDS)) if len(words) else []
        self.word_places = drawn(np.asarray(often, int), seed)
        self.words = words.iloc[self.word_places].reset_index(drop=True)
        self.often = layerwise.frequent(self.units["label"], FEWEST["phone"])
        self.voices, self.languages = (known(self.units[name]) for name in ("speaker", "language"))
        self.items = table[(table["first"] >= 0) & named_in(table, "label")]
        if self.voices:  # those without a name may be anybody's
            self.items = self.items[named_in(self.items, "speaker")]
        kept = heard.frames["fully"] & heard.frames["phone"].notna()
        self.phone_frames = int(kept.sum())

    def left_out(self) -> dict[str, str]:
        """What cannot be measured of this corpus, and why."""
        why = {}
        if self.short:
            why["utterances"] = (
                f"{len(self.short)} shorter than the {1000 * self.hears:g} ms that a frame hears: "
                f"{', '.join(self.short[:5])}{' ...' if len(self.short) > 5 else ''}"
            )
        if not self.has_phones:
            why["phone"] = "no utterance has phones with times: give TextGrids with a tier 'phones'"
        elif self.often.sum() < ROWS:
            why["correlation with phones"] = (
                f"expected {ROWS} phones that occur {FEWEST['phone']} times or more, found {self.often.sum()}"
            )
        if self.has_phones and self.phone_frames < ROWS:
            why["information"] = (
                f"expected {ROWS} frames of phones among the {FULLY} utterances that are kept whole, "
                f"found {self.phone_frames}"
            )
        unnamed = int((~named_in(self.units, "speaker")).sum())
        if self.voices and unnamed:
            why["voices without a name"] = (
                f"{unnamed} of {len(self.units)} rows, in probes and ABX of voices: fill the column 'speaker'"
            )
        if self.voices < 2:
            why["voice"] = f"expected two voices or more, found {self.voices}: fill the column 'speaker'"
        if self.languages < 2:
            why["language"] = f"expected two languages or more, found {self.languages}"
        if len(self.words) < ROWS:
            why["word"] = (
                f"expected {ROWS} words that occur {FEWEST['word']} times or more, found {len(self.words)}: more speech"
            )
        return why

    @property
    def hears(self) -> float:
        """Seconds that a frame hears."""
        return self.heard.clock.receptive_field / self.heard.clock.rate

    def values(self, layer) -> np.ndarray:
        return np.asarray(self.heard[f"units.{layer}"][self.places])


def drawn(places: np.ndarray, seed: int) -> np.ndarray:
    if len(places) <= MOST:
        return places
    return np.sort(np.random.default_rng(seed).choice(places, MOST, replace=False))


def known(column: pd.Series) -> int:
    """How many different values a column has, nothing apart."""
    return int((column[column.fillna("") != ""]).nunique())


def named_in(table: pd.DataFrame, column: str) -> pd.Series:
    """Which rows say something there."""
    return table[column].fillna("") != ""


# ---- of a layer -----------------------------------------------------------------------------------------------------


def probe(sample: Sample, layer) -> list[dict]:
    """Phones of unheard voices; voices in unheard utterances; languages of unheard voices where each has two."""
    table, values, rows = sample.units, sample.values(layer), []
    triphone = table["language"] + " " + table["before"] + " " + table["label"] + " " + table["after"]
    utterance = table["utterance"]
    voiced, spoken = named_in(table, "speaker"), named_in(table, "language")
    each = table[voiced & spoken].groupby("language")["speaker"].nunique()
    of = {}
    if sample.has_phones:
        of["phone"] = (table["label"], triphone, "speaker" if sample.voices > 1 else "utterance")
    if sample.voices > 1:
        of["voice"] = (table["speaker"], utterance, "utterance")
    if sample.languages > 1:
        enough = len(each) == sample.languages and (each > 1).all()
        of["language"] = (table["language"], utterance, "speaker" if enough else "utterance")
    for target, (labels, types, apart) in of.items():
        # without a name it is nobody's voice, no language, and no fold
        kept = (labels.fillna("") != "") & (voiced if apart == "speaker" else True)
        labels, types, held, groups = (column[kept] for column in (labels, types, table[apart], utterance))
        found = layerwise.probed(values[kept], labels, types, held, groups, sample.seed)
        rows += [row(name, target, numbers, len(labels)) for name, numbers in found.items()]
    return rows


def targets(sample: Sample, layer) -> dict[str, tuple[np.ndarray, np.ndarray, pd.Series]]:
    """Target -> the layer's rows, what they are held against, the utterance of each."""
    table, values = sample.units, sample.values(layer)
    found = {}
    if layer != MFCC:
        found[MFCC] = (values, sample.values(MFCC), table["utterance"])
    if sample.has_phones:
        often = sample.often
        if often.sum() >= ROWS:
            found["phone"] = (values[often], similarity.one_hot(table["label"][often]), table["utterance"][often])
    if len(sample.words) >= ROWS:
        said = np.asarray(sample.heard[f"words.{layer}"][sample.word_places])
        found["word"] = (said, similarity.one_hot(sample.words["label"]), sample.words["utterance"])
    return found


def cca(sample: Sample, layer) -> list[dict]:
    rows = []
    for target, (x, y, groups) in targets(sample, layer).items():
        found = held_out.correlate(x, y, groups.to_numpy(), sample.seed)
        rows += [row(name, target, numbers, len(x)) for name, numbers in found.items()]
    return rows


def cka(sample: Sample, layer) -> list[dict]:
    return [
        row("cka", target, debiased.cka(x, y, groups.to_numpy(), sample.seed), len(x))
        for target, (x, y, groups) in targets(sample, layer).items()
    ]


def info(sample: Sample, layer) -> list[dict]:
    """Of clusters of the frames that are kept whole, pauses apart."""
    if sample.phone_frames < ROWS:
        return []
    table = sample.heard.frames
    table = table[table["fully"]].reset_index(drop=True)
    places = drawn(np.flatnonzero(table["phone"].notna()), sample.seed)
    found = clusters(np.asarray(sample.heard[f"frames.{layer}"][places]), sample.seed)
    labels, groups = table["phone"].to_numpy()[places], table["utterance"].to_numpy()[places]
    numbers = jackknife(lambda rows: information(found[rows], labels[rows]), groups, sample.seed)
    return [row("information", "phone", numbers, len(places))]


def discriminate(sample: Sample, layer) -> list[dict]:
    """ABX of phones within and across voices, in any context, and between the same neighbours where cells are many."""
    rows = []
    items, values = sample.items, sample.heard[f"frames.{layer}"]
    for context, unit in (("any", "phone"), ("same", "triphone")):
        for speaker in ("within", "across"):
            try:
                found = abx(values, items, speaker, context, sample.seed)
            except ValueError:  # no two phones share a voice or a context here
                continue
            if found.cells >= ROWS:
                rows.append(row("abx", f"{unit} {speaker}", (found.error, found.low, found.high), found.cells))
    return rows


def row(measure: str, target: str, numbers: tuple[float, float, float], rows: int) -> dict:
    value, low, high = numbers
    return {"measure": measure, "target": target, "value": value, "low": low, "high": high, "n": rows}


# ---- of the model ---------------------------------------------------------------------------------------------------


def alike(sample: Sample, layers: list[int]) -> pd.DataFrame:
    """Linear CKA of each layer's phones with each other's."""
    found = similarity.matrix([sample.values(layer) for layer in layers])
    return pd.DataFrame(found, pd.Index(layers, name="layer"), layers).reset_index()


def codes(sample: Sample) -> list[dict]:
    """Agreement of codes, of all groups together, with phones: in all frames, at onset, in the middle, at the end."""
    heard, rows = sample.heard, []
    if "codes" not in heard or not sample.has_phones:
        return []
    every, table = joint(np.asarray(heard["codes"])), heard.frames
    for position in (ALL, *PARTS):
        here = table["phone"].notna() if position == ALL else table["part"] == position
        places = drawn(np.flatnonzero(here), sample.seed)
        if not len(places):
            continue
        said, phones, groups = every[places], table["phone"].to_numpy()[places], table["utterance"].to_numpy()[places]
        of: dict[str, Callable] = {
            name: lambda rows, name=name, said=said, phones=phones: agreement(said[rows], phones[rows])[name]
            for name in ("nmi", "purity", "homogeneity", "completeness")
        }
        of["nmi chance"] = lambda rows, said=said, phones=phones: chance(said[rows], phones[rows])
        of["information"] = lambda rows, said=said, phones=phones: information(said[rows], phones[rows])
        of["codes"] = lambda rows, said=said: float(len(np.unique(said[rows])))
        for name, statistic in of.items():
            value, low, high = jackknife(statistic, groups, sample.seed)
            rows.append(
                {"measure": name, "position": position, "value": value, "low": low, "high": high, "n": len(places)}
            )
    return rows


def borders(sample: Sample, layers: list[int]) -> pd.DataFrame:
    """Borders by each method against the true ones, where there are any.

    Whose jumps, and how prominent, is chosen on one half of the utterances and measured on the other, both ways.
    """
    heard = sample.heard
    spoken = np.flatnonzero([bool(row["borders"]) for row in heard.utterances])
    if len(spoken) < 2:
        return pd.DataFrame()
    clock = heard.clock
    true = [np.array(heard.utterances[k]["borders"]) for k in spoken]
    seconds = [heard.utterances[k]["seconds"] for k in spoken]
    found: dict[str, tuple[list, str]] = {}
    if "codes" in heard:
        parts = heard.split("codes")
        found["codes"] = [segments.from_codes(parts[k], clock) for k in spoken], ""
    found["jumps"] = crossed(heard, layers, spoken, true, sample.seed)
    blank = next((row["blank"] for row in heard.utterances if row["count"]), None)
    if "classes" in heard and blank is not None:
        parts = heard.split("classes")
        found["ctc"] = [segments.from_spikes(parts[k][:, 0], blank, clock) for k in spoken], ""
    tables = [
        segments.table(said, true, seconds, seed=sample.seed).assign(method=name, setting=setting, n=len(true))
        for name, (said, setting) in found.items()
    ]
    return pd.concat(tables, ignore_index=True)


def crossed(heard: Heard, layers: list[int], spoken: np.ndarray, true: list, seed: int) -> tuple[list, str]:
    """Borders at jumps of states, every utterance's by the setting that is best on the other half; the settings."""
    half = np.random.default_rng(seed).permutation(len(spoken)) % 2
    curves = {}
    for layer in layers:
        parts = heard.split(f"jumps.{layer}", less=1)
        curves[layer] = [parts[k][:, 0] for k in spoken]
    among = [(layer, prominence) for layer in layers for prominence in segments.PROMINENCES]
    found, settings = [np.zeros(0)] * len(spoken), []

    def find(k: int, setting) -> np.ndarray:
        return segments.peaks(curves[setting[0]][k], heard.clock, setting[1])

    for side in (0, 1):
        others = np.flatnonzero(half != side)
        best = segments.choose(find, others, [true[k] for k in others], among)
        settings.append(f"{where(best[0])}, prominence {best[1]:g}")
        for k in np.flatnonzero(half == side):
            found[k] = find(k, best)
    return found, "; ".join(sorted(set(settings)))
