"""Engine: listens to a corpus, measures part by part, and goes on where it was stopped.

out/
    about.json                                     what is analysed, what was left out
    layers.csv similarity.csv codebook.csv segments.csv baseline.csv
    heard/                                         arrays (see ``heard``)
    parts/<measure>.<layer>.csv                    what has been measured; tables are these, put together

A part's file is written whole or not at all, so that a stop anywhere costs the part at hand. Nothing drawn depends on
what was drawn before: the tables of a run that was stopped are those of one that was not, bit by bit.
"""

import json
import sys
import time
from collections.abc import Iterable
from importlib import metadata
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from unispeech_lab.analyse import fingerprint
from unispeech_lab.analyse import measures as of
from unispeech_lab.analyse.heard import FULLY, Heard, layers, where
from unispeech_lab.analyse.result import CODEBOOK, LAYERS, SEGMENTS, Analysis, about_of
from unispeech_lab.corpus import Corpus
from unispeech_lab.run import part_of, write_whole

try:
    import resource
except ImportError:  # Windows
    resource = None

PER_LAYER = {"probe": of.probe, "cca": of.cca, "cka": of.cka, "information": of.info, "abx": of.discriminate}


def analyse(
    model,
    corpus: Corpus,
    out: str | PathLike,
    *,
    seed: int = 0,
    measures: Iterable[str] | str | None = None,
    until: int | str | None = None,
    progress: bool = True,
) -> Analysis:
    """Every layer of a model against phones, words, voices, languages, MFCC, over a corpus; its codes; its borders.

    >>> analyse(load("tiny"), Corpus.bundled(), "out").wide()

    One utterance is in memory at a time; what is pooled lies in ``out`` (some 4 kB a phone and layer of width 1024).
    The same call goes on where the last one was stopped; further measures of the same model and corpus can be added.

    measures   some of ``MEASURES``, or one; all if None
    until      stop after so many utterances, or after the part of this name (``"probe.3"``, ``"codebook"``)

    Measures that a corpus does not allow (no phones, one voice) are left out: ``about["left_out"]`` says why.

    Raises:
        ValueError: an unknown measure; no utterance; a model without layers; a folder of another model, corpus or seed.
    """
    measures = (measures,) if isinstance(measures, str) else measures
    wanted = tuple(of.MEASURES if measures is None else measures)
    if unknown := [name for name in wanted if name not in of.MEASURES]:
        raise ValueError(f"expected measures out of {', '.join(of.MEASURES)}, found {', '.join(unknown)}")
    if not len(corpus):
        raise ValueError("expected at least one utterance to analyse, found an empty corpus")
    names, out, model = layers(model), Path(out), model.eval()
    about = begin(out, model, corpus, seed, names)
    began, before = time.process_time(), about.get("seconds", 0.0)
    heard = Heard(out / "heard")
    listen(heard, model, corpus, names, seed, until, progress)
    if not isinstance(until, int):
        sample = of.Sample(heard, seed)
        about["left_out"] = sample.left_out()
        todo = parts(wanted, names)
        for part in tqdm(todo, "measuring", disable=not progress, unit="part"):
            file = out / "parts" / f"{part}.csv"
            if not file.is_file():
                write_whole(file, measure(part, sample, names).to_csv(index=False, lineterminator="\n"))
            if part == until:
                break
    collect(out, names, seed)
    about |= {"heard": len(heard), "seconds": round(before + time.process_time() - began, 1)}
    about["peak_bytes"] = max(peak(), about.get("peak_bytes", 0))
    write_whole(out / "about.json", json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return Analysis.open(out)


def begin(out: Path, model, corpus: Corpus, seed: int, names: dict[int, str]) -> dict:
    """What is analysed; refused where the folder has begun something else."""
    config = getattr(model, "config", None)
    asked = {
        "model": type(model).__name__,
        **fingerprint.of_model(model),
        "corpus": corpus.name or "a corpus",
        **fingerprint.of_corpus(corpus),
        "utterances": len(corpus),
        "seed": seed,
    }
    file = out / "about.json"
    if file.is_file():
        about = about_of(out)
        if other := [name for name, value in asked.items() if about.get(name) != value]:
            said = {name: fingerprint.WHAT.get(name, name) for name in other}
            told = "; ".join(f"{said[name]} {about.get(name)!r}, now {asked[name]!r}" for name in other)
            raise ValueError(
                f"{out}: expected the model, corpus and seed that this analysis was begun with, found {told}: "
                f"give another folder, or remove this one"
            )
        (out / "parts").mkdir(exist_ok=True)
        return about
    if out.is_dir() and any(path != part_of(file) and not empty(path) for path in out.iterdir()):
        raise ValueError(f"{out}: expected a new folder or an analysis, found other files: give another folder")
    (out / "parts").mkdir(parents=True, exist_ok=True)
    versions = {name: metadata.version(name) for name in ("unispeech-lab", "torch", "numpy", "scikit-learn", "pandas")}
    about = asked | {
        "provenance": getattr(config, "provenance", None) or getattr(config, "name_or_path", ""),
        "layers": {str(number): name for number, name in names.items()},
        "versions": versions,
    }
    write_whole(file, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return about


def empty(path: Path) -> bool:
    """Whether this is a folder without anything, all that a call leaves that was killed as it began."""
    return path.is_dir() and not any(path.iterdir())


def listen(heard: Heard, model, corpus: Corpus, names, seed: int, until, progress: bool) -> None:
    """Hear the utterances that were not heard yet."""
    last = min(until, len(corpus)) if isinstance(until, int) else len(corpus)
    chosen = set(np.random.default_rng(seed).permutation(len(corpus))[:FULLY].tolist())
    todo = range(len(heard), last)
    for position in tqdm(todo, "listening", len(corpus), initial=len(heard), disable=not progress, unit="utterance"):
        heard.listen(model, corpus[position], names, position in chosen)


def peak() -> int:
    """The most bytes that this process has had in memory; 0 where the system does not say."""
    if resource is None:
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def parts(wanted: tuple[str, ...], names: dict[int, str]) -> list[str]:
    """What is measured between two stops, in order; MFCC goes first, as what there is without a model."""
    found = []
    for name in [name for name in of.MEASURES if name in wanted]:
        if name in of.LAYERED:
            found += [f"{name}.{layer}" for layer in (of.MFCC, *sorted(names))]
        else:
            found.append(name)
        found += ["similarity"] if name == "cka" else []
    return found


def measure(part: str, sample, names: dict[int, str]) -> pd.DataFrame:
    name, _, layer = part.partition(".")
    if name == "similarity":
        return of.alike(sample, sorted(names))
    if name == "codebook":
        return pd.DataFrame(of.codes(sample), columns=CODEBOOK[:-1])
    if name == "segments":
        return of.borders(sample, sorted(names))
    rows = PER_LAYER[name](sample, layer)
    return pd.DataFrame(rows, columns=LAYERS[2:-1])


def collect(out: Path, names: dict[int, str], seed: int) -> None:
    """The tables, out of the parts there are; every number as it was to the last bit."""
    layered, baseline = [], []
    for name in of.LAYERED:
        for layer in (of.MFCC, *sorted(names)):
            found = read(out / "parts" / f"{name}.{layer}.csv")
            if found is not None:
                if layer == of.MFCC:
                    baseline.append(found.assign(layer=None, name=of.MFCC, seed=seed))
                else:
                    layered.append(found.assign(layer=layer, name=names[layer], seed=seed, where=where(layer)))
    empty = pd.DataFrame(columns=["layer", *map(str, sorted(names))])
    tables = {
        "layers": joined(layered, LAYERS),
        "baseline": joined(baseline, LAYERS),
        "similarity": read(out / "parts" / "similarity.csv"),
        "codebook": joined([read(out / "parts" / "codebook.csv")], CODEBOOK, seed),
        "segments": joined([read(out / "parts" / "segments.csv")], SEGMENTS, seed),
    }
    for name, table in tables.items():
        write_whole(out / f"{name}.csv", (empty if table is None else table).to_csv(index=False))


def joined(tables: list, columns: list[str], seed: int | None = None) -> pd.DataFrame:
    tables = [
        table if seed is None else table.assign(seed=seed) for table in tables if table is not None and len(table)
    ]
    if not tables:
        return pd.DataFrame(columns=columns)
    found = pd.concat(tables, ignore_index=True)
    return found[[*columns, *(name for name in found if name not in columns)]]


def read(file: Path) -> pd.DataFrame | None:
    """A part's rows, None where it was not measured."""
    if not file.is_file():
        return None
    text = file.read_text(encoding="utf-8")
    if not text.endswith("\n"):
        raise ValueError(f"{file}: expected a whole table, found a part of one: remove this file, and call again")
    if not text.strip():
        return None
    return pd.read_csv(file, engine="python")  # whose floats are Python's own, exact
