"""Run: the cells of a plan, each from its pretraining to its error rate; stopped and gone on with at will.

python -m experiments.cross_lingual laptop out/
"""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import torch

from experiments.cross_lingual import processes
from experiments.cross_lingual.frozen import heard_once
from experiments.cross_lingual.judging import judge
from experiments.cross_lingual.methods import METHODS
from experiments.cross_lingual.mixing import balanced, together
from experiments.cross_lingual.plan import Cell
from experiments.cross_lingual.sizes import Size
from unispeech_lab import finetune, inventory, variants
from unispeech_lab.corpus import Corpus
from unispeech_lab.model import UniSpeechForPreTraining
from unispeech_lab.preparation import at_prior
from unispeech_lab.pretrain import train
from unispeech_lab.run import write_whole
from unispeech_lab.seeds import seed_of
from unispeech_lab.vocabulary import Vocabulary, transcripts

RESULT = "result.json"


class Experiment:
    """A size, a folder for speech, a folder for runs: ``experiment.cell(cell)`` is a row of the table.

    ``say`` hears what is being done, ``until`` is asked after each step: True stops there, after a checkpoint.
    ``at_once``: seconds of speech that a process takes at a time, the size's if None; a step's are the same. Several
    processes (``accelerate launch``) share a step's speech and come to the same row, which the first one writes.
    """

    def __init__(
        self,
        size: Size,
        speech: Path,
        out: Path,
        say: Callable[[str], None] = lambda text: None,
        until: Callable[[], bool] = lambda: False,
        progress: bool = True,
        at_once: float | None = None,
    ):
        self.size, self.place, self.out = size, Path(speech), Path(out)
        self.say, self.until, self.progress = say, until, progress
        each = (processes.state().num_processes, at_once)
        self.stages = [processes.shared_out(settings, *each) for settings in (size.stage1, size.stage2, size.stage3)]

    def speech(self, part: str, *languages: str) -> Corpus:
        """A part of the speech in these languages, one after another."""
        with processes.state().main_process_first():  # it may have to be made
            corpora = [self.size.speech(self.place, part, language) for language in languages]
        if part == "source":
            corpora = balanced(corpora, self.size.balance)
        return corpora[0] if len(corpora) == 1 else together(corpora, part)

    def cell(self, cell: Cell) -> dict | None:
        """The cell's row: setting, method, target, seed, what ``judge`` says, ``each`` target's; None if stopped."""
        file = self.out / cell.stage3 / RESULT
        if file.is_file():
            return json.loads(file.read_text(encoding="utf-8"))
        start = self.first(cell)
        if cell.method.plus and start is not None:
            start = self.second(cell, start)
        if cell.method.variant and start is None:
            return None
        return self.third(cell, start, file)

    def first(self, cell: Cell) -> Path | None:
        """The folder of the model after stage 1; None without one, and where it was stopped."""
        folder = cell.stage1(self.size)
        if folder is None:
            return None
        method, languages = cell.method, cell.sources(self.size)
        corpus = self.speech("source", *languages)
        vocabulary = Vocabulary.of(corpus)
        variant = variants.load(method.variant)
        if method.after:
            before = self.first(replace(cell, method=METHODS[method.after]))
            if before is None:
                return None
            model = variant.from_pretrained(before, **method.changes)
        else:
            classes = {"num_ctc_classes": len(vocabulary), "ctc_blank": vocabulary.blank}
            with torch.random.fork_rng():
                torch.manual_seed(seed_of(cell.seed, "weights"))
                model = variant.model(self.size.config(**classes, **method.changes))
                model = at_prior(model, corpus, vocabulary)
        model.objective = replace(model.objective, **self.size.rules[0])
        settings = replace(self.stages[0], steps=max(round(method.share * self.stages[0].steps), 1))
        return self.pretrain(model, variant, variant.corpus(corpus), folder, settings, cell.seed, vocabulary)

    def second(self, cell: Cell, start: Path) -> Path | None:
        """The folder of the model after stage 2, contrast alone on the target's unlabelled speech."""
        variant = variants.load("wav2vec2")
        model = variant.from_pretrained(start, **self.size.again)
        model.objective = replace(model.objective, **self.size.rules[1])
        corpus = self.speech("unlabelled", *cell.targets)
        return self.pretrain(model, variant, corpus, cell.stage2(self.size), self.stages[1], cell.seed, None)

    def pretrain(self, model, variant, corpus, folder: Path, settings, seed: int, vocabulary) -> Path | None:
        self.say(str(folder))
        settings = replace(settings, seed=seed)
        where = {"vocabulary": vocabulary, "variant": variant, "until": self.until, "progress": self.progress}
        run = train(model, corpus, self.out / folder, settings, **where)
        return run.folder / "model" if run.finished else None

    def third(self, cell: Cell, start: Path | None, file: Path) -> dict | None:
        """Stage 3 and its error rates on the held-out speakers of each target, written down."""
        self.say(str(cell.stage3))
        named = tagged if cell.separate else as_they_are
        labelled, valid = (named(self.speech(part, *cell.targets)) for part in ("labelled", "valid"))
        tests = {target: named(self.speech("test", target)) for target in cell.targets}
        heard = (labelled, valid, *tests.values())
        vocabulary = Vocabulary(phone for corpus in heard for phone in Vocabulary.of(corpus).phones)
        body = self.untrained(cell.seed) if start is None else learned(cell, start)
        options = {"vocabulary": vocabulary, "seed": cell.seed, **self.size.begin}
        model = finetune.begin(body, labelled, **options)
        settings = replace(self.stages[2], seed=cell.seed)
        if start is None:  # convolutions that know nothing have to learn, too
            settings = replace(settings, feature_gradient=1.0)
        where = {"valid": valid, "until": self.until, "progress": self.progress}
        keeps = nullcontext() if settings.augment else heard_once(model.unispeech.feature_extractor)
        with keeps:  # what is augmented is never heard twice
            run = finetune.train(model, labelled, file.parent, settings, **where)
        if not run.finished:
            return None
        sources = Vocabulary.of(self.speech("source", *cell.sources(self.size))).phones
        found = {target: judge(model, test, settings, sources) for target, test in tests.items()}
        row = {"setting": cell.setting, "method": cell.method.name, "target": cell.target, "seed": cell.seed}
        row |= {kind: sum(rates[kind] for rates in found.values()) / len(found) for kind in ("per", "known", "new")}
        row["each"] = {target: rates["per"] for target, rates in found.items()}
        row["phones"] = {
            target: sum(len(phones or ()) for phones in transcripts(test)) for target, test in tests.items()
        }
        if processes.state().is_main_process:
            write_whole(file, json.dumps(row, indent=1) + "\n")
        processes.state().wait_for_everyone()  # the next cell begins with looking for what is written
        return row

    def untrained(self, seed: int) -> UniSpeechForPreTraining:
        with torch.random.fork_rng():
            torch.manual_seed(seed_of(seed, "weights"))
            return UniSpeechForPreTraining(self.size.config()).eval()


def learned(cell: Cell, folder: Path) -> UniSpeechForPreTraining:
    """The model of the stage before the third, by the variant that made it: some make an architecture of their own."""
    return variants.load("wav2vec2" if cell.method.plus else cell.method.variant).from_pretrained(folder)


def as_they_are(corpus: Corpus) -> Corpus:
    return corpus


def tagged(corpus: Corpus) -> Corpus:
    """Phones under their language's name: the separate vocabulary."""
    lines = [
        " ".join(inventory.tag(phones or (), language))
        for phones, language in zip(transcripts(corpus), corpus.table["language"], strict=True)
    ]
    return Corpus(corpus.table.assign(phones=lines, alignment=""), corpus.root, corpus.name)
