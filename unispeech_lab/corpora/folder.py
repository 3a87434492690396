"""A folder of sound files, with what lies beside each: ``a.wav``, ``a.TextGrid`` (phones, words), ``a.txt`` (text).

Folders inside it are read too. The id is the path inside the folder without its ending.
"""

from pathlib import Path

from unispeech_lab import audio
from unispeech_lab.corpora import _rows
from unispeech_lab.corpus import Corpus


def load(folder, language: str = "", speaker: str = "", on_error: str = "raise") -> Corpus:
    """Every sound file in the folder, by name. Two that differ in their ending alone are told apart by it.

    Raises FileNotFoundError, ValueError for a text that is not UTF-8 (naming file and line) or a folder without sound,
    AudioError for a broken sound unless ``on_error="skip"``.
    """
    root = _rows.folder(folder)
    files = sorted(file for file in root.rglob("*") if file.suffix.lower() in audio.SUFFIXES and file.is_file())
    if not files:
        raise ValueError(f"{root}: expected sound files ({' '.join(sorted(audio.SUFFIXES))}), found none")
    stems = [file.with_suffix("") for file in files]
    rows = (
        {
            "id": (file if stems.count(stem) > 1 else stem).relative_to(root).as_posix(),
            "path": file.relative_to(root).as_posix(),
            "text": _text(file.with_suffix(".txt")),
            "language": language,
            "speaker": speaker,
            "alignment": _beside(file, root),
        }
        for file, stem in zip(files, stems, strict=True)
    )
    return _rows.gather(rows, root, root.name, on_error)


def _text(file: Path) -> str:
    return " ".join(" ".join(_rows.lines(file)).split()) if file.is_file() else ""


def _beside(file: Path, root: Path) -> str | None:
    """The TextGrid beside a file, whichever way its ending is written."""
    for ending in (".TextGrid", ".textgrid", ".textGrid"):
        if file.with_suffix(ending).is_file():
            return file.with_suffix(ending).relative_to(root).as_posix()
    return None
