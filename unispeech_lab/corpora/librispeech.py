"""LibriSpeech: ``part/speaker/chapter/speaker-chapter-number.flac`` beside ``speaker-chapter.trans.txt``.

Also Multilingual and other corpora in that layout. Panayotov et al. 2015, https://www.openslr.org/12
"""

from unispeech_lab.corpora import _rows
from unispeech_lab.corpus import Corpus


def load(folder, part: str = "", language: str = "en", on_error: str = "raise") -> Corpus:
    """The utterances of the transcripts under the folder, or under one ``part`` (``"test-clean"``), in order of id.

    Raises FileNotFoundError, ValueError for a transcript's broken line (naming file and line) or a folder without
    transcripts, AudioError for a broken or missing sound unless ``on_error="skip"``.
    """
    root = _rows.folder(folder)
    transcripts = sorted(_rows.folder(root / part).rglob("*.trans.txt"))
    if not transcripts:
        raise ValueError(f"{root / part}: expected LibriSpeech's *.trans.txt, found none")
    rows = (row for file in transcripts for row in _chapter(file, root, language))
    return _rows.gather(rows, root, f"{root.name} {part}".rstrip(), on_error)


def _chapter(file, root, language):
    for number, written in enumerate(_rows.lines(file), 1):
        id, blank, text = written.partition(" ")
        if not written.strip():
            continue
        if not blank or id.count("-") < 2:
            raise ValueError(f"{file}, line {number}: expected '<speaker>-<chapter>-<number> TEXT', found {written!r}")
        speaker, chapter = id.split("-")[:2]
        yield {
            "id": id,
            "path": (file.parent / f"{id}.flac").relative_to(root).as_posix(),
            "text": text.strip(),
            "language": language,
            "speaker": speaker,
            "chapter": chapter,
            "part": file.relative_to(root).parts[0] if len(file.relative_to(root).parts) > 3 else "",
        }
