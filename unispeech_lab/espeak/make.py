"""Make: a folder of labelled speech from a recipe; the same recipe gives the same bytes.

Each utterance depends on the recipe and its own place alone, so the number of workers does not matter, a run that was
stopped goes on where it was, and any one file can be made again by itself.
"""

import csv
import hashlib
import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from itertools import islice
from pathlib import Path

import torch

from unispeech_lab import audio
from unispeech_lab.alignment import Span, write_textgrid
from unispeech_lab.corpus import BORROWED, Utterance
from unispeech_lab.espeak.acoustics import Acoustics, dress
from unispeech_lab.espeak.labels import LabelError, label
from unispeech_lab.espeak.phonemes import line, words
from unispeech_lab.espeak.process import Worker
from unispeech_lab.espeak.recipe import Job, Recipe, jobs

COLUMNS = ("id", "path", "text", "language", "speaker", "seconds", "alignment", "phones")
COLUMNS += ("sha256", "alignment_sha256", "voice", "rate", "pitch", "seed")


def utterance(job: Job, acoustics: Acoustics, worker: Worker) -> tuple[Utterance, str]:
    """Say it: the utterance, and its transcript as the authors write them (``line``).

    Raises LabelError when its events and names do not match.
    """
    speech = worker.speak(job.text, job.voice, job.seed, job.rate, job.pitch)
    phones, spoken = label(speech, job.text, job.language)
    waveform, later = dress(audio.mono(speech.samples, speech.rate), acoustics, torch.Generator().manual_seed(job.seed))
    moved = [tuple(replace(s, start=s.start + later, end=s.end + later) for s in spans) for spans in (phones, spoken)]
    made = Utterance(job.id, waveform, job.text, job.language, job.variant or "plain", *moved)
    return made, line(words(speech.names, job.language))


def make(
    folder: Path,
    recipe: Recipe,
    sentences: dict[str, list[str]],
    workers: int = 1,
    progress: Callable[[float], None] = lambda fraction: None,
) -> list[str]:
    """Make the folder: ``<language>/<id>.flac`` and ``.TextGrid``, ``manifest.tsv``, ``recipe.json``.

    A folder that was begun with the same recipe is finished. Returns what was refused, a sentence each; raises
    LabelError when that is most of it, ValueError for a folder of another recipe. ``progress`` hears the fraction done.
    """
    if workers < 1:
        raise ValueError(f"expected at least one worker, found {workers}")
    digest = hashlib.sha256(json.dumps(sentences, sort_keys=True).encode()).hexdigest()
    begun = json.loads(json.dumps({**asdict(recipe), "sentences_sha256": digest}))
    unfinished = folder / "manifest.tsv.part"
    done = _rows(folder / "manifest.tsv") or _rows(unfinished)
    _begin(folder / "recipe.json", begun, bool(done))
    rows, refused, seconds = [], [], 0.0
    total = recipe.hours * 3600 if recipe.hours else sum(1 for _ in jobs(recipe, sentences))
    with Pool(workers) as pool, unfinished.open("a", encoding="utf-8", newline="") as part:
        for job, result in pool.map(recipe.acoustics, jobs(recipe, sentences), done):
            if isinstance(result, LabelError):
                refused.append(f"{job.id}: {result}")
                if len(refused) > max(20, len(rows)):  # hours of what cannot be labelled would never end
                    raise LabelError(f"{len(refused)} utterances refused, {len(rows)} made; the last: {result}")
                continue
            row = result if isinstance(result, dict) else _write(folder, job, *result)
            if row is not result:
                _writer(part).writerow(row)
                part.flush()
            rows.append(row)
            seconds += float(row["seconds"])
            progress(min(seconds / total if recipe.hours else (len(rows) + len(refused)) / total, 1.0))
            if recipe.hours and seconds >= total:
                break
    with unfinished.open("w", encoding="utf-8", newline="") as file:
        writer = _writer(file)
        writer.writeheader()
        writer.writerows(rows)
    os.replace(unfinished, folder / "manifest.tsv")
    return refused


class Pool:
    """So many espeak-ng processes, each fed by a thread; answers come back in order, a few ahead of the one taken."""

    def __init__(self, workers: int):
        self._workers, self._local, self._open = workers, threading.local(), []

    def __enter__(self) -> "Pool":
        self._threads = ThreadPoolExecutor(self._workers)
        return self

    def __exit__(self, *_) -> None:
        self._threads.shutdown(cancel_futures=True)
        for worker in self._open:
            worker.close()

    def map(self, acoustics: Acoustics, jobs: Iterator[Job], done: dict[str, dict]) -> Iterator[tuple]:
        """(job, its row if done before, else what ``utterance`` gave or the LabelError) in the order of the jobs."""
        waiting = deque()
        jobs = iter(jobs)
        while True:
            for job in islice(jobs, 4 * self._workers - len(waiting)):
                waiting.append((job, done.get(job.id) or self._threads.submit(self._say, job, acoustics)))
            if not waiting:
                return
            job, result = waiting.popleft()
            yield job, result if isinstance(result, dict) else result.result()

    def _say(self, job: Job, acoustics: Acoustics):
        if not hasattr(self._local, "worker"):
            self._local.worker = Worker()
            self._open.append(self._local.worker)
        try:
            made, transcript = utterance(job, acoustics, self._local.worker)
            return made, transcript, audio.flac(made.waveform)
        except LabelError as error:
            return error


def checksum(file: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _begin(file: Path, recipe: dict, resumed: bool) -> None:
    """Write the recipe, or demand that the one by which something was made is the same."""
    if not (resumed and file.is_file()):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")
        return
    before = json.loads(file.read_text(encoding="utf-8"))
    other = [name for name in {**before, **recipe} if before.get(name) != recipe.get(name)]
    if other:
        raise ValueError(
            f"{file}: expected the recipe of this run, found another {', '.join(sorted(other))}: "
            f"make it in a folder of its own, or repeat the options of that recipe"
        )


def _rows(file: Path) -> dict[str, dict]:
    """The rows written so far whose files are whole, by id; a line cut short by a stop is not one."""
    if not file.is_file():
        return {}
    rows = csv.DictReader(
        file.read_text(encoding="utf-8").splitlines(), COLUMNS, delimiter="\t", quoting=csv.QUOTE_NONE
    )
    return {row["id"]: row for row in rows if row["seed"] and row["id"] != "id" and _whole(file.parent, row)}


def _whole(folder: Path, row: dict) -> bool:
    pairs = ((row["path"], row["sha256"]), (row["alignment"], row["alignment_sha256"]))
    return all((folder / path).is_file() and checksum(folder / path) == sha for path, sha in pairs)


def _writer(file) -> csv.DictWriter:
    return csv.DictWriter(file, COLUMNS, delimiter="\t", quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")


def _write(folder: Path, job: Job, made: Utterance, transcript: str, sound: bytes) -> dict:
    """Write the sound and the TextGrid, each whole or not at all; the manifest's row about them."""
    path, grid = Path(job.language, f"{job.id}.flac"), Path(job.language, f"{job.id}.TextGrid")
    (folder / job.language).mkdir(exist_ok=True)
    unfinished = folder / f"{job.id}.part"
    unfinished.write_bytes(sound)
    os.replace(unfinished, folder / path)
    write_textgrid(unfinished, tiers(made.phones, made.words), made.seconds)
    os.replace(unfinished, folder / grid)
    about = {field.name: str(getattr(job, field.name)) for field in fields(job)}
    return {
        **{name: about[name] for name in ("id", "text", "language", "rate", "pitch", "seed")},
        "path": path.as_posix(),
        "alignment": grid.as_posix(),
        "speaker": made.speaker,
        "seconds": f"{made.seconds:.4f}",
        "phones": transcript,
        "sha256": hashlib.sha256(sound).hexdigest(),
        "alignment_sha256": checksum(folder / grid),
        "voice": job.voice,
    }


def tiers(phones: tuple[Span, ...], words: tuple[Span, ...]) -> dict[str, tuple[Span, ...]]:
    """Tiers for a TextGrid; the phones whose times are borrowed are named in a tier of their own, if there are any."""
    borrowed = tuple(span for span in phones if span.score == 0.0)
    return {"phones": phones, "words": words} | ({BORROWED: borrowed} if borrowed else {})
