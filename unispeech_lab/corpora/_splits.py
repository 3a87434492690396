"""Splits: which clips of a language are for learning, which for validation, which for the test.

    labelled, valid, test    as lists say, or drawn here: speaker by speaker, no speaker in two of them (``mixed``)
    rest                     all other clips of speakers who are in neither valid nor test
    held out                 what these speakers say beside

Lists: Rivière et al. 2020 (arXiv 2002.02848, ``common_voices_splits``: 1 h, 20 min, 1 h), those of the paper.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch

from unispeech_lab.corpora import _rows
from unispeech_lab.seeds import generator_of

STARTS = {"labelled": ("train",), "valid": ("val", "dev"), "test": ("test",)}  # of the lists' names
MINUTES = {"labelled": 60.0, "valid": 20.0, "test": 60.0}
REST, HELD_OUT = "rest", "held out"
VOICES = 20  # as many speakers, at least, in a part of a language that has them
SHORT = 0.9  # of the minutes asked for: below it there is an error


def listed(folder: Path, language: str) -> dict[str, str]:
    """Part by id, of lists in ``folder/language`` or the folder: an id a line, or the authors' manifests (``.tsv``).

    Of several lists of a part the one with ``1.0`` in its name is taken, as the paper does: an hour.

    Raises:
        ValueError: no list of a part, several, or an id in two.
    """
    here = _rows.folder(folder / language if (folder / language).is_dir() else folder)
    parts: dict[str, str] = {}
    for part, starts in STARTS.items():
        files = sorted(file for file in here.iterdir() if file.name.startswith(starts) and file.suffix != ".part")
        files = [file for file in files if "1.0" in file.name] or files
        if len(files) != 1:
            names = ", ".join(file.name for file in files) or "none"
            raise ValueError(f"{here}: expected one list that begins with {' or '.join(starts)}, found {names}")
        for id in ids(files[0]):
            if parts.setdefault(id, part) != part:
                raise ValueError(f"{files[0]}: expected ids of one part, found {id} in {parts[id]} and {part}")
    return parts


def ids(file: Path) -> Iterable[str]:
    """The names of the clips in a list, without folders and endings; a manifest's first line names its folder."""
    lines = _rows.lines(file)[1 if file.suffix == ".tsv" else 0 :]
    names = (Path(line.split("\t")[0].strip()).name for line in lines if line.strip())
    return [name.removesuffix(".mp3").removesuffix(".flac").removesuffix(".wav") for name in names]


def drawn(rows: Sequence[Mapping], minutes: Mapping[str, float], seed: int) -> dict[str, str]:
    """Part by id, drawn by seed: whole speakers, a twentieth of a part from each at most while there are others.

    ``rows`` have ``id``, ``speaker``, ``seconds`` and ``phones``; those without phones are for no part.

    Raises:
        ValueError: not enough speech of enough speakers.
    """
    clips = defaultdict(list)
    for row in rows:
        if row["phones"]:
            clips[row["speaker"]].append(row)
    generator = generator_of(seed, "splits")
    people, parts, whose = sorted(clips), {}, {}
    left = {part: 60.0 * number for part, number in minutes.items()}

    def take(speaker: str, part: str, most: float) -> None:
        for row in clips[speaker]:
            if most <= 0 or left[part] <= 0:
                return
            if row["id"] not in parts:
                parts[row["id"]] = part
                most, left[part] = most - float(row["seconds"]), left[part] - float(row["seconds"])

    for k in torch.randperm(len(people), generator=generator).tolist():
        part = max(left, key=lambda part: left[part] / minutes[part])
        if left[part] <= 0:
            break
        whose[people[k]] = part
        take(people[k], part, 60.0 * minutes[part] / VOICES)
    for speaker, part in whose.items():
        take(speaker, part, left[part])
    if short := [part for part in left if left[part] > (1 - SHORT) * 60 * minutes[part]]:
        found = ", ".join(f"{minutes[part] - left[part] / 60:.1f} of {minutes[part]:g} in {part}" for part in short)
        raise ValueError(
            f"expected speakers for {' + '.join(f'{m:g}' for m in minutes.values())} minutes, found {len(people)} "
            f"speakers with phones, enough for {found}: ask for fewer --minutes"
        )
    return parts


def mixed(rows: Iterable[Mapping], parts: Mapping[str, str]) -> list[str]:
    """Speakers with clips in two of labelled, valid and test, in order; none where they are drawn here."""
    found = defaultdict(set)
    for row in rows:
        if row["id"] in parts:
            found[row["speaker"]].add(parts[row["id"]])
    return sorted(speaker for speaker, theirs in found.items() if len(theirs) > 1)


def everyone(rows: Iterable[Mapping], parts: Mapping[str, str]) -> list[str]:
    """A part for each row: see above.

    Raises:
        ValueError: most of what the lists name is not among the rows.
    """
    rows = list(rows)
    there = {row["id"] for row in rows}
    wanted, gone = Counter(parts.values()), Counter(part for id, part in parts.items() if id not in there)
    if poor := [part for part in wanted if wanted[part] - gone[part] < SHORT * wanted[part]]:
        told = ", ".join(f"{gone[part]} of {wanted[part]} ({part})" for part in poor)
        raise ValueError(
            f"expected the clips that the lists name, found {told} missing: the lists are of the release of June 2020 "
            "(cv-corpus-5.1-2020-06-22), is this that one, and this language?"
        )
    tested = {row["speaker"] for row in rows if parts.get(row["id"]) in ("valid", "test")}
    return [parts.get(row["id"], HELD_OUT if row["speaker"] in tested else REST) for row in rows]
