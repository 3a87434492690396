"""An hour of sound, aligned from end to end by the command: seconds, memory, how far its borders lie from the truth.

    python benchmarks/hour.py [MINUTES] [SUFFIX]          60 .wav

The bundled sentences whose every phone the small model knows, in random order and again and again, each at its own
level, 0.2 to 0.8 s of quiet between them; their exact phones are the transcript and the truth.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from unispeech_lab import Corpus, boundaries, checkpoints
from unispeech_lab.alignment import Span, align, formats
from unispeech_lab.audio import RATE
from unispeech_lab.posteriors import log_posteriors


def make(utterances, seconds: float, file: Path, seed: int = 0) -> tuple[list[Span], list[int]]:
    """Write the sound, and its phones beside it; the truth, and which sentence was said when."""
    rng, truth, order, at, lines = np.random.default_rng(seed), [], [], 0, []
    with soundfile.SoundFile(file, "w", RATE, 1) as opened:
        while at < seconds * RATE:
            order.append(int(rng.integers(len(utterances))))
            said = utterances[order[-1]]
            pause = (rng.normal(size=int(rng.uniform(0.2, 0.8) * RATE)) * 1e-4).astype(np.float32)
            sound = said.waveform * np.float32(10 ** rng.uniform(-0.5, 0))
            opened.write(np.concatenate([pause, sound]))
            shift = (at + len(pause)) / RATE
            truth += [Span(p.label, p.start + shift, p.end + shift, p.score) for p in said.phones]
            lines.append(" ".join(p.label for p in said.phones))
            at += len(pause) + len(sound)
    file.with_suffix(".phones").write_text(" | ".join(lines), encoding="utf-8")
    return truth, order


def told(file: Path) -> float:
    """Run the command in a process of its own; seconds."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "unispeech_lab.cli", "align", str(file), "--again", "--format", "json"]
    subprocess.run(command, check=True)
    return time.perf_counter() - began


def alone(model, utterances, order) -> np.ndarray:
    """The errors of all borders, were each sentence aligned by itself, as often as it was said."""
    errors = []
    for said in utterances:
        phones, heard = [[p.label for p in said.phones]], log_posteriors(model, said)
        sound = {"method": "spectral", "waveform": said.waveform, "frames": model.frames, "seconds": said.seconds}
        found = align(heard, phones, model.vocabulary, **sound)
        errors.append(boundaries.borders(boundaries.errors(found.phones, said.phones)))
    return np.concatenate([errors[k] for k in order])


def main(minutes: float, suffix: str) -> None:
    model = checkpoints.load()
    known = set(model.vocabulary.phones)
    utterances = [u for u in Corpus.bundled() if u.phones and all(p.label in known for p in u.phones)]
    with tempfile.TemporaryDirectory() as folder:
        short, file = (Path(folder, name).with_suffix(suffix) for name in ("minute", "hour"))
        make(utterances, 60, short)
        truth, order = make(utterances, 60 * minutes, file)
        told(short)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = told(file)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = formats.read(file.with_suffix(".json"))["phones"]
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{minutes:g} minutes, {len(truth)} phones, {len(order)} sentences out of {len(utterances)}")
    print(
        f"{seconds:.1f} s, {spent:.1f} s of processors; peak of one minute {before.ru_maxrss / 1024:.0f} MiB, ", end=""
    )
    print(f"of all {after.ru_maxrss / 1024:.0f} MiB")
    for name, off in (
        ("aligned in one piece", boundaries.borders(boundaries.errors(found, truth))),
        ("each sentence alone", alone(model, utterances, order)),
    ):
        rates = boundaries.hit_rates(off)
        worst = f"farthest {np.abs(off).max():.3f} s"
        print(f"{name}: {len(off)} borders, within 10, 20, 50 ms: {', '.join(f'{r:.1%}' for r in rates)}; {worst}")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 60.0, sys.argv[2] if len(sys.argv) > 2 else ".wav")
