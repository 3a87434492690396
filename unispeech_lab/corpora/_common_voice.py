"""A release of Common Voice becomes a corpus of this project: FLAC at 16 kHz, phones by espeak-ng, splits.

    OUT/es/clips/*.flac      mono, 16 bit
    OUT/es/manifest.tsv      id path text language speaker seconds phones part
    OUT/es/about.json        where it comes from, how it was split, how well its phones agree with the authors'

Sound is decoded once and for all: the authors' first stage hears each clip about 200 times, and an MP3's header only
estimates its length, by which batches are made. A stopped run goes on where it was; other splits of a language that was
done rewrite the manifest alone; clips whose text or speaker a later release has corrected are made anew.
"""

import csv
import json
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from sys import intern

import numpy as np
import pandas as pd
import soundfile

from unispeech_lab import audio
from unispeech_lab.corpora import _rows, _splits
from unispeech_lab.corpus import refuse
from unispeech_lab.espeak.phonemes import as_authors, line, phonemes
from unispeech_lab.espeak.process import Worker
from unispeech_lab.espeak.voices import voice
from unispeech_lab.run import write_whole

COLUMNS = ("id", "path", "text", "language", "speaker", "seconds", "phones")
TABLES = ("validated", "train", "dev", "test")  # of clips that people agreed on; the first holds the others
KNOWN = ("text", "speaker")  # what a release says of a clip
CHUNK = 32  # clips that a thread does at a time


def prepare(
    release: Path,
    out: Path,
    language: str,
    splits: Path | None = None,
    minutes: dict[str, float] | None = None,
    seed: int = 0,
    workers: int = 1,
    on_error: str = "raise",
    progress: Callable[[float], None] = lambda share: None,
) -> pd.DataFrame:
    """Make ``out/language``; a row a part: ``utterances``, ``hours``, ``speakers``.

    Args:
        release: a language's folder, or the one that holds it (``sv`` is found in ``sv-SE``).
        splits: a folder of lists (see ``_splits``); without it, parts of ``minutes`` are drawn by ``seed``.
        on_error: ``"skip"``: clips that are missing or broken are named in a warning and left out.

    Raises:
        FileNotFoundError: no such folder or language. AudioError: missing or broken clips.
        EspeakError: without espeak-ng (the extra ``speech``).
        ValueError: a language without phones here, a table without the columns, splits that do not fit.
    """
    voice(language)  # its door
    source = find(release, language)
    parts = None if splits is None else _splits.listed(splits, language)
    wanted = validated(source, on_error)
    place = out / language
    (place / "clips").mkdir(parents=True, exist_ok=True)
    rows = []
    for made in convert(source, place, wanted, language, workers, lambda done: progress(done / len(wanted))):
        if "broken" in made:
            refuse(made["broken"], on_error)
        else:
            rows.append(made)
    if parts is None:
        parts = _splits.drawn(rows, minutes or _splits.MINUTES, seed)
        origin = f"drawn by speaker, seed {seed}: the sizes of Rivière et al. 2020, not their lists"
    else:
        origin = f"lists in {splits.name}"
    table = pd.DataFrame(rows, columns=list(COLUMNS)).assign(part=_splits.everyone(rows, parts))
    write_whole(place / "manifest.tsv", tsv(table))
    (place / "manifest.tsv.part").unlink(missing_ok=True)
    sizes = summary(table)
    if mixed := _splits.mixed(rows, parts):
        warnings.warn(
            f"{origin}: expected each speaker in one of labelled, valid and test, found {len(mixed)} in more, such as "
            f"{mixed[0]}: what is heard of them in the test is not of unseen speakers",
            stacklevel=2,
        )
    about = {
        "language": language,
        "release": source.parent.name,
        "clips": len(wanted),
        "left_out": len(wanted) - len(rows),
    }
    about |= {"splits": origin, "speakers_in_two_parts": len(mixed), "hours": sizes["hours"].round(3).to_dict()}
    write_whole(place / "about.json", json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    return sizes


def find(release: Path, language: str) -> Path:
    """The folder of a language. Raises FileNotFoundError, with the languages there are."""
    root = _rows.folder(release)
    folders = [root, *sorted(path for path in root.iterdir() if (path / "clips").is_dir())]
    for folder in folders:
        if folder.name.split("-")[0] == language and (folder / "clips").is_dir():
            return folder
    there = ", ".join(folder.name for folder in folders[1:]) or "no folder with clips/ in it"
    raise FileNotFoundError(
        f"{root}: expected a release of Common Voice with {language}/clips or {language}-.../clips, found {there}"
    )


def validated(source: Path, on_error: str = "raise") -> list[dict]:
    """A row a clip that people agreed on, in the release's order: ``id``, ``clip``, ``text``, ``speaker``."""
    tables = [source / f"{name}.tsv" for name in TABLES if (source / f"{name}.tsv").is_file()]
    if not tables:
        raise FileNotFoundError(
            f"{source}: expected validated.tsv, or train.tsv, dev.tsv, test.tsv, found none of them"
        )
    if tables[0].stem == TABLES[0]:
        tables = tables[:1]
    found: dict[str, dict] = {}
    twofold: dict[str, str] = {}  # clips that stand there twice, and not alike: what is said of them
    for table in tables:
        for row in _rows.table(table):
            if lacking := [name for name in ("client_id", "path", "sentence") if name not in row]:
                raise ValueError(f"{table}, line 1: expected columns client_id, path, sentence, found no {lacking[0]}")
            clip = row["path"] if row["path"].endswith(".mp3") else f"{row['path']}.mp3"  # as older releases have it
            text, speaker = " ".join(row["sentence"].split()), intern(row["client_id"])
            row = {"id": clip.removesuffix(".mp3"), "clip": clip, "text": text, "speaker": speaker}
            before = found.setdefault(clip, row)
            if unlike := [name for name in KNOWN if before[name] != row[name]]:
                twofold[clip] = f"{clip} with {unlike[0]} {before[unlike[0]]!r} and {row[unlike[0]]!r}"
    if twofold:
        told = f"{source}: expected each clip with one text and speaker, found {len(twofold)} with two, such as "
        refuse(f"{told}{next(iter(twofold.values()))}: mend the tables, or leave them out (--skip-broken)", on_error)
        found = {clip: row for clip, row in found.items() if clip not in twofold}
    there = {entry.name for entry in os.scandir(source / "clips")}
    if missing := [clip for clip in found if clip not in there]:
        told = f"{source / 'clips'}: expected {len(found)} clips, found {len(missing)} missing, such as {missing[0]}"
        refuse(f"{told}: unpack the release again, or leave them out (--skip-broken)", on_error)
    rows = [row for clip, row in found.items() if clip in there]
    if not rows:
        raise ValueError(f"{source}: expected clips in {', '.join(table.name for table in tables)}, found none")
    return rows


def convert(source: Path, place: Path, rows: list[dict], language: str, workers: int, progress) -> Iterator[dict]:
    """Rows of the manifest, made a chunk at a time in so many threads; ``{"broken": why}`` for a clip that is no sound.

    Decoding and espeak-ng (a process a thread) leave Python alone; no more than a block of a clip is in memory.
    """
    begun = place / "manifest.tsv.part"
    done = {**earlier(place / "manifest.tsv"), **earlier(begun)}
    local, open_workers = threading.local(), []

    def made_before(row: dict) -> bool:
        old = done.get(row["id"])
        return bool(old) and all(old[name] == row[name] for name in KNOWN) and (place / old["path"]).is_file()

    def work(chunk: list[dict]) -> list[dict]:
        todo = [row for row in chunk if not made_before(row)]
        if todo and not hasattr(local, "worker"):
            local.worker = Worker()
            open_workers.append(local.worker)
        said = phonemes([row["text"] for row in todo], language, local.worker) if todo else []
        made = {row["id"]: one(source, place, row, words, language) for row, words in zip(todo, said, strict=True)}
        return [made.get(row["id"]) or done[row["id"]] for row in chunk]

    chunks, waiting, count = iter([rows[k : k + CHUNK] for k in range(0, len(rows), CHUNK)]), deque(), 0
    threads = ThreadPoolExecutor(workers)
    try:
        with begun.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore", **PLAIN)
            while True:
                waiting += [threads.submit(work, chunk) for chunk in islice(chunks, 2 * workers - len(waiting))]
                if not waiting:
                    return
                made = waiting.popleft().result()
                writer.writerows(row for row in made if "broken" not in row and row is not done.get(row["id"]))
                file.flush()
                yield from made
                count += len(made)
                progress(count)
    finally:
        threads.shutdown(cancel_futures=True)
        for worker in open_workers:
            worker.close()


PLAIN = {"delimiter": "\t", "quoting": csv.QUOTE_NONE, "quotechar": None, "lineterminator": "\n"}


def one(source: Path, place: Path, row: dict, words: list[list[str]], language: str) -> dict:
    """A clip made FLAC, and its row."""
    path = f"clips/{row['id']}.flac"
    try:
        seconds = flac(source / "clips" / row["clip"], place / path)
    except audio.AudioError as error:
        return {"broken": str(error)}
    said = {"phones": line(as_authors(words, language)), "seconds": f"{seconds:.4f}", "language": language}
    return {"id": row["id"], "path": path, "text": row["text"], "speaker": row["speaker"], **said}


def flac(sound: Path, file: Path) -> float:
    """A sound file as 16 kHz FLAC, whole or not at all, a block at a time; its seconds. Raises AudioError."""
    part, samples = file.with_name(f"{file.name}.part"), 0
    try:
        with soundfile.SoundFile(part, "w", audio.RATE, 1, "PCM_16", format="FLAC") as opened:
            for block in audio.blocks(sound):
                opened.write(np.clip(block, -1, 1))
                samples += len(block)
    except audio.AudioError:
        part.unlink(missing_ok=True)
        raise
    os.replace(part, file)
    return samples / audio.RATE


def earlier(file: Path) -> dict[str, dict]:
    """Rows that a run before has written, by id; a line that a stop cut short is taken off the file."""
    if not file.is_file():
        return {}
    whole, end, cut = file.read_text(encoding="utf-8").rpartition("\n")
    if cut:
        write_whole(file, whole + end)
    lines = (written.split("\t") for written in whole.split("\n"))
    return {cells[0]: dict(zip(COLUMNS, cells, strict=False)) for cells in lines if len(cells) >= len(COLUMNS)}


def tsv(table: pd.DataFrame) -> str:
    return table.to_csv(None, sep="\t", index=False, quoting=csv.QUOTE_NONE, quotechar=None, lineterminator="\n")


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """A row a part: ``utterances``, ``hours``, ``speakers``."""
    parts = table.assign(hours=table["seconds"].astype(float) / 3600).groupby("part")
    found = parts.agg(utterances=("id", "size"), hours=("hours", "sum"), speakers=("speaker", "nunique"))
    return found.reindex([*_splits.STARTS, _splits.REST, _splits.HELD_OUT]).fillna(0)


def agreement(file: Path, language: str, worker: Worker | None = None) -> tuple[float, float]:
    """The share of written transcripts that this espeak-ng repeats phone by phone, as it speaks, and ``as_authors``.

    ``file``: columns ``id text phones``, ``|`` between words. Raises ValueError where it has others, or no line.
    """
    rows = list(_rows.table(file, needed=["text", "phones"]))
    if not rows:
        raise ValueError(f"{file}: expected lines of text and phones, found none")
    theirs = [[word.split() for word in row["phones"].split("|") if word.split()] for row in rows]
    ours = phonemes([row["text"] for row in rows], language, worker)
    plain, ruled = (
        sum(a == b for a, b in zip(side, theirs, strict=True)) / len(rows)
        for side in (ours, [as_authors(words, language) for words in ours])
    )
    return plain, ruled
