"""A table of speech: a ``.tsv`` or ``.csv`` with a column ``path``.

Columns ``id text language speaker alignment`` are used where they are there, and all others kept. Paths (and
alignments: TextGrids) start at the table's folder, or are absolute. Without ``id`` it is the path without its ending.
"""

from pathlib import Path, PurePosixPath

from unispeech_lab.corpora import _rows
from unispeech_lab.corpus import Corpus, refuse

SAME = {"lang": "language", "locale": "language", "sentence": "text", "transcript": "text", "textgrid": "alignment"}


def load(file, name: str = "", on_error: str = "raise") -> Corpus:
    """The rows of the table, in its order.

    Raises ValueError naming file and line for a table that is not one; AudioError for a broken or missing sound or
    alignment, unless ``on_error="skip"`` (then a warning names it).
    """
    file = Path(file)
    rows = (_row(row) for row in _rows.table(file, needed=["path"]))
    return _rows.gather(_aligned(rows, file.parent, on_error), file.parent, name or file.stem, on_error)


def _row(row: dict) -> dict:
    for name, ours in SAME.items():
        if name in row and ours not in row:
            row[ours] = row.pop(name)
    return {**row, "id": row.get("id") or str(PurePosixPath(row["path"]).with_suffix(""))}


def _aligned(rows, root: Path, on_error: str):
    """The rows; an alignment that is named must be there."""
    for row in rows:
        if row.get("alignment") and not (root / row["alignment"]).is_file():
            refuse(f"{root / row['alignment']}: expected the alignment of {row['id']}, found no file", on_error)
            continue
        yield {**row, "alignment": row.get("alignment") or None}
