"""A made-up release of Common Voice: the bundled speech as MP3, said by as many clients as one likes."""

from functools import cache
from pathlib import Path

import soundfile
import training

COLUMNS = ("client_id", "path", "sentence", "up_votes", "down_votes", "age", "gender", "accent", "locale", "segment")


@cache
def waveform(language: str, number: int):
    return training.bundle().where(language=language)[number].waveform


def release(root: Path, language: str = "es", clips: int = 12, speakers: int = 6, locale: str = "") -> Path:
    """``root/<locale>`` with clips/, validated.tsv and train.tsv (half of it); the root."""
    folder, spoken = root / (locale or language), training.bundle().where(language=language)
    (folder / "clips").mkdir(parents=True)
    rows = []
    for k in range(clips):
        number, name = k % len(spoken), f"common_voice_{locale or language}_{k:05d}.mp3"
        soundfile.write(folder / "clips" / name, waveform(language, number), 16_000, format="MP3")
        text = spoken.table["text"][number]
        rows.append([f"client{k % speakers}", name, text, "2", "0", "", "", "", locale or language, ""])
    for table, lines in (("validated", rows), ("train", rows[::2])):
        written = "".join("\t".join(line) + "\n" for line in [COLUMNS, *lines])
        (folder / f"{table}.tsv").write_text(written, encoding="utf-8")
    return root
