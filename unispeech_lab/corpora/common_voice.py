"""Common Voice: one language's folder, ``clips/`` beside ``train.tsv``, ``dev.tsv``, ``test.tsv`` ...

Ardila et al. 2020, https://commonvoice.mozilla.org: tabs, no quoting; columns ``client_id path sentence`` and others.
"""

from unispeech_lab.corpora import _rows
from unispeech_lab.corpus import Corpus


def load(folder, split: str = "train", on_error: str = "raise") -> Corpus:
    """The clips of a split, in its order; the id is the clip's name without its ending.

    ``speaker`` is the client's id, ``language`` the locale (or the folder's name); the other columns are kept. Raises
    FileNotFoundError (naming the splits there are), ValueError for a broken line (naming file and line) or a clip
    outside ``clips/``, AudioError for a broken or missing clip unless ``on_error="skip"``.
    """
    root = _rows.folder(folder)
    file = root / f"{split}.tsv"
    if not file.is_file():
        there = ", ".join(sorted(other.stem for other in root.glob("*.tsv"))) or "none"
        raise FileNotFoundError(f"{file}: expected this split, found no file; the splits here are: {there}")
    rows = (_row(row, root, file) for row in _rows.table(file, needed=["path", "sentence"]))
    return _rows.gather(rows, root, f"{root.name} {split}", on_error)


def _row(row: dict, root, file) -> dict:
    if set(row["path"]) & set("/\\") or row["path"] == "..":
        raise ValueError(f"{file}: expected the name of a clip in clips/ as path, found {row['path']!r}")
    clip = row["path"] if "." in row["path"] else row["path"] + ".mp3"  # older releases leave the ending out
    others = {name: value for name, value in row.items() if name not in ("path", "sentence", "client_id", "locale")}
    return {
        **others,
        "id": clip.rpartition(".")[0],
        "path": f"clips/{clip}",
        "text": row["sentence"],
        "language": row.get("locale") or root.name,
        "speaker": row.get("client_id", ""),
    }
