"""Compare: variants trained on the same speech, from the same seeds, for as many steps, in one table.

    compared = compare(["unispeech", "wav2vec2"], corpus, "runs/compare", Settings(steps=200), seeds=(0, 1, 2))
    compared.table            # mean over seeds, spread (standard deviation) beside it
    compared.curves           # in a cell: the picture

Every number but speed and equal negatives is of validation, without masks and replacement, so that it means the same
for each variant; that loss itself does not, where their objectives differ. Held out, unless ``valid`` is given: a tenth
of the utterances, by id.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from . import variants
from .config import UniSpeechConfig
from .corpus import Corpus
from .preparation import at_prior
from .pretrain import train
from .run import Run, write_whole
from .seeds import seed_of
from .settings import Settings
from .views import curves
from .views.still import Picture, png, words
from .vocabulary import Vocabulary

# column -> (where a run's metrics have it, its name, decimals)
MEASURES = {
    "per": ("valid_per", "phone error rate", 3),
    "accuracy": ("valid_accuracy", "accuracy", 3),
    "perplexity": ("valid_perplexity", "code perplexity", 1),
    "loss": ("valid_loss", "loss", 3),
    "ctc": ("valid_ctc", "CTC", 3),
    "contrastive": ("valid_contrastive", "contrastive", 3),
    "diversity": ("valid_diversity", "diversity", 3),
    "equal_negatives": ("equal_negatives", "equal negatives", 3),
    "frames_per_second": ("frames_per_second", "frames/s", 0),
    "seconds": ("elapsed", "seconds", 0),
}
MEANS_NOTHING_WITHOUT = {"per": "valid_ctc", "perplexity": "valid_contrastive"}  # heads that learned nothing
COLLAPSED = 0.5  # of the negatives equal their positive: accuracy and contrastive loss are of no worth


@dataclass(frozen=True)
class Comparison:
    """What came out: ``runs``, name and seed -> run. It displays itself as its table."""

    folder: Path
    runs: dict[tuple[str, int], Run]

    @property
    def table(self) -> pd.DataFrame:
        """A row a variant: each measure's mean over seeds, and its standard deviation beside it as ``..._spread``."""
        groups = self.each.drop(columns="seed").groupby("variant", sort=False)
        means, spreads = groups.mean(), groups.std()
        both = {name: column for m in means for name, column in ((m, means[m]), (f"{m}_spread", spreads[m]))}
        return pd.DataFrame({"seeds": groups.size(), **both})

    @property
    def each(self) -> pd.DataFrame:
        """A row a run: the last that its metrics say of each measure; of the speed, the median."""
        rows = []
        for (name, seed), run in self.runs.items():
            row = {"variant": name, "seed": seed}
            for column in MEASURES:
                said = measured(run, column)
                if len(said):
                    row[column] = said.median() if column == "frames_per_second" else said.iloc[-1]
            rows.append(row)
        return pd.DataFrame(rows)

    @property
    def markdown(self) -> str:
        """The table as people read it: ``0.312 ± 0.020``."""
        table = self.table
        columns = [name for name in MEASURES if name in table]
        lines = [["variant", "seeds", *(MEASURES[name][1] for name in columns)]]
        lines.append(["---", *["---:"] * (len(columns) + 1)])
        for variant, row in table.iterrows():
            lines.append([variant, str(int(row["seeds"])), *(written(row, name) for name in columns)])
        collapsed = [name for name, equal in table.get("equal_negatives", pd.Series()).items() if equal > COLLAPSED]
        told = "".join(
            f"\n{name}: its codebook has collapsed, {table['equal_negatives'][name]:.0%} of the negatives equal their "
            "positive, so its accuracy and contrastive loss say nothing.\n"
            for name in collapsed
        )
        return "".join(f"| {' | '.join(line)} |\n" for line in lines) + told

    def __repr__(self) -> str:
        return self.markdown

    @property
    def finished(self) -> bool:
        """Whether every run is."""
        return all(run.finished for run in self.runs.values())

    @property
    def curves(self) -> Picture:
        """Each measure over the steps, a line a variant: the mean over seeds."""
        tables = {}
        for (name, _), run in self.runs.items():
            empty = [MEASURES[column][0] for column in MEANS_NOTHING_WITHOUT if not len(measured(run, column))]
            tables.setdefault(name, []).append(run.table.drop(columns=empty, errors="ignore"))
        means = {name: pd.concat(each).groupby(level=0).mean() for name, each in tables.items()}
        return Picture(curves.compare(means, Run(self.folder).settings["steps"]))

    def write(self) -> None:
        """``table.csv``, ``table.md``, ``runs.csv``, ``curves.png`` into the folder; the picture's words beside it."""
        write_whole(self.folder / "runs.csv", self.each.to_csv(index=False))
        write_whole(self.folder / "table.csv", self.table.to_csv())
        write_whole(self.folder / "table.md", self.markdown)
        panels = self.curves.panels
        if panels:
            (self.folder / "curves.png").write_bytes(png(panels))
            write_whole(self.folder / "curves.txt", words(panels) + "\n")

    def _repr_markdown_(self) -> str:
        return self.markdown


def measured(run: Run, column: str) -> pd.Series:
    """One measure of a run by step; empty where it was not measured, or of a head that learns nothing."""
    table, metric = run.table, MEASURES[column][0]
    needed = MEANS_NOTHING_WITHOUT.get(column, metric)
    return table[metric].dropna() if {metric, needed} <= {*table} else pd.Series(dtype=float)


def written(row: pd.Series, name: str) -> str:
    """A cell of the table; empty where nothing was measured."""
    mean, spread, decimals = row[name], row[f"{name}_spread"], MEASURES[name][2]
    if np.isnan(mean):
        return ""
    return f"{mean:.{decimals}f}" + ("" if np.isnan(spread) else f" ± {spread:.{decimals}f}")


def compare(
    names: Sequence[str | variants.Variant],
    corpus: Corpus,
    out: str | PathLike,
    settings: Settings | None = None,
    seeds: Sequence[int] = (0,),
    *,
    config: UniSpeechConfig | None = None,
    valid: Corpus | None = None,
    vocabulary: Vocabulary | None = None,
    watch: Callable[[dict], None] = lambda row: None,
    until: Callable[[], bool] = lambda: False,
    progress: bool = True,
) -> Comparison:
    """Train each variant from each seed, then write the table and the curves into ``out``.

    A run that is finished is kept, one that was stopped is gone on with: the same call goes on where it was, and one
    with more names or seeds adds them. A run's folder is ``out/name/seed``.

    Args:
        names: of variants, or variants of your own.
        settings: of every run; its seed is replaced by each of ``seeds``, which decides weights, batches and draws.
        config: of the model, the tiny one by default; its CTC classes are made the vocabulary's.
        valid: speech with phones to validate on.
        vocabulary: all phones of ``corpus`` and ``valid`` by default.
        watch: hears each line of the metrics, with its variant and seed. ``Stop`` raised in it ends that run alone.
        until: asked after each step; True ends the comparison there, after a checkpoint.

    Raises:
        KeyError: no such variant. ValueError: ``out`` is of other settings, speech or sizes; two variants of one name.
    """
    settings, out = settings or Settings(), Path(out)
    chosen = [variants.load(name) if isinstance(name, str) else name for name in names]
    called = [variant.name for variant in chosen]
    if not chosen or len(set(called)) < len(called) or not seeds:
        raise ValueError(
            f"expected variants, each once, and seeds, found {', '.join(called) or 'none'} and {list(seeds)}"
        )
    if valid is None:
        corpus, valid = held_out(corpus)
    if vocabulary is None:
        vocabulary = Vocabulary({*Vocabulary.of(corpus).phones, *Vocabulary.of(valid).phones})
    config = deepcopy(config) if config is not None else UniSpeechConfig.tiny()
    config.num_ctc_classes, config.ctc_blank = len(vocabulary), vocabulary.blank
    same = {name: value for name, value in asdict(settings).items() if name != "seed"}
    same |= {"learns_from": mark(corpus), "validates_on": mark(valid), "config": config.to_diff_dict()}
    Run(out, same)
    order = [(variant, seed) for seed in seeds for variant in chosen]
    runs = {(variant.name, seed): Run(out / variant.name / str(seed)) for variant, seed in order}
    for variant, seed in order:
        run = runs[variant.name, seed]
        if run.finished:
            continue
        with torch.random.fork_rng():
            torch.manual_seed(seed_of(seed, "weights"))
            model = at_prior(variant.model(config), corpus, vocabulary)
        train(
            model,
            variant.corpus(corpus),
            run.folder,
            replace(settings, seed=seed),
            vocabulary=vocabulary,
            valid=valid,
            variant=variant,
            watch=lambda row, name=variant.name, seed=seed: watch({"variant": name, "seed": seed, **row}),
            until=until,
            progress=progress,
        )
        if until():
            break
    compared = Comparison(out, runs)
    compared.write()
    return compared


def held_out(corpus: Corpus) -> tuple[Corpus, Corpus]:
    """What to learn from, then a tenth (at least one) of the utterances, whatever their order.

    Raises:
        ValueError: fewer than two.
    """
    if len(corpus) < 2:
        raise ValueError(f"expected utterances to learn from and to validate on, found {corpus!r}: give valid, or more")
    draws = pd.Series([seed_of("held out", id) for id in corpus.table["id"]])
    out = (draws % 10 == 0) | (draws == draws.min())
    return corpus[(~out).tolist()], corpus[out.tolist()]


def mark(corpus: Corpus) -> str:
    """How many utterances, with a number that tells these ids from others."""
    return f"{len(corpus)} utterances, {seed_of(*corpus.table['id']) % 16**8:08x}"
