"""Heard: what a model said over a corpus, pooled and kept on disk, one utterance after another.

units.<layer>    means over each phone; without phones, over stretches of 100 ms
words.<layer>    means over each word
frames.<layer>   every frame, of at most ``FULLY`` utterances: what needs time (ABX, clusters)
jumps.<layer>    how far each frame is from the one before, 0 to 1
codes, classes   of every frame: the codebook's choices, the best CTC class

<layer> is "mfcc" or a number (``layers``). Arrays are appended to; the line of an utterance in ``utterances.jsonl``,
written last, says how far each has come, and what lies beyond the last line is cut off by who goes on.
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from unispeech_lab.alignment import Span
from unispeech_lab.analysis import depth, segments
from unispeech_lab.codebook import phone_of_frames
from unispeech_lab.corpus import Utterance
from unispeech_lab.evaluation import mfcc
from unispeech_lab.frames import Frames
from unispeech_lab.trace import record
from unispeech_lab.trace.places import find, matches

FULLY = 400  # utterances of which every frame is kept, drawn from the seed
STRETCH = 0.1  # seconds, of speech without phones
CODES, CLASSES = "quantizer.codes", ("ctc_proj", "lm_head")


def layers(model) -> dict[int, str]:
    """Number to name: -1 the features, 0 their projection into the encoder, 1 ... L its layers; what there is of them.

    Raises:
        ValueError: a model without any.
    """
    names = [place.name for pattern in depth.PATTERNS for place in there(model, pattern)]
    numbers = {1: -1, 2: 0}
    found = {
        numbers.get(layer.order[0], layer.order[1] + 1): layer.name for layer in depth.layers(names) if layer.order[0]
    }
    if not found:
        raise ValueError(
            f"expected a model with layers called {depth.ENCODER}, found none in {type(model).__name__}: analyse takes "
            f"UniSpeech, and what transformers has of its kin (wav2vec 2.0, HuBERT, WavLM)"
        )
    return found


def where(layer: int) -> str:
    """What a reader is told for a layer's number, in pictures and tables: features, projection, layer 0, layer 1 ..."""
    return {-1: "features", 0: "projection"}.get(layer, f"layer {layer - 1}")


def there(model, pattern: str) -> list:
    """The places that a name means, none where the model has none."""
    try:
        return find(model, [pattern])
    except KeyError:
        return []


def inputs(model, utterance: Utterance) -> dict:
    """What the forward takes, in the weights' own dtype.

    Other models than ours get zero mean and unit variance, as transformers does it.
    """
    weight = next(model.parameters())
    if hasattr(model, "prepare"):
        found = model.prepare([utterance])
        floating = {name: x for name, x in found.items() if torch.is_tensor(x) and x.is_floating_point()}
        return {**found, **{name: x.to(weight.dtype) for name, x in floating.items()}}
    wave = torch.from_numpy(utterance.waveform)[None]
    wave = (wave - wave.mean()) / (wave.var(unbiased=False) + 1e-7).sqrt()
    return {"input_values": wave.to(weight)}


class Heard:
    """The folder of what was heard. ``Heard(folder)`` reads what is there, ``listen`` adds an utterance."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.utterances = self._whole_lines()
        self.ends = dict(self.utterances[-1]["ends"]) if self.utterances else {}
        self.widths = dict(self.utterances[-1]["widths"]) if self.utterances else {}

    def __len__(self) -> int:
        return len(self.utterances)

    def _whole_lines(self) -> list[dict]:
        """The lines of utterances whose arrays are whole; whatever was begun after them is cut off."""
        file, found, good = self.folder / "utterances.jsonl", [], 0
        for line in file.read_bytes().splitlines(keepends=True) if file.is_file() else []:
            if not line.endswith(b"\n"):
                break
            try:
                found.append(json.loads(line))
            except ValueError as error:
                raise ValueError(
                    f"{file}: expected a line of JSON for each utterance, found line {len(found) + 1} broken "
                    f"({error}): remove {self.folder}, and all is heard again"
                ) from None
            good += len(line)
        ends = found[-1]["ends"] if found else {}
        for path in (self.folder / name for name in ends):
            if (path.stat().st_size if path.is_file() else 0) < ends[path.name]:
                raise ValueError(f"{path}: expected {ends[path.name]} bytes, found fewer: remove {self.folder}")
        for path in (*self.folder.glob("*.bin"), *self.folder.glob("units.jsonl"), *self.folder.glob("words.jsonl")):
            os.truncate(path, ends.get(path.name, 0))
        if file.is_file():
            os.truncate(file, good)
        return found

    # ---- writing ----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def listen(self, model, utterance: Utterance, names: Mapping[int, str], fully: bool) -> None:
        """One forward; what is kept of it: of sound shorter than a frame hears nothing but a line with no frames."""
        values, clock, classes, codes, blank = hear(model, utterance, names)
        count = clock.count(len(utterance.waveform))
        if count:
            values["mfcc"] = mfcc(utterance.waveform, count, clock)
        centres = np.asarray(clock.centre(np.arange(count)))
        units, words = spans_of(utterance, utterance.seconds)
        units, unit_rows = within(units, centres)
        words, word_rows = within(words, centres)
        frames = self._rows("frames.mfcc") if fully else None
        at = self._rows("units.mfcc")
        for layer, value in values.items():
            self._append(f"units.{layer}", means(value, unit_rows))
            self._append(f"words.{layer}", means(value, word_rows))
            if fully:
                self._append(f"frames.{layer}", value)
            if layer != "mfcc":
                self._append(f"jumps.{layer}", segments.jumps(value).astype(np.float32)[:, None])
        for name, value in (("codes", codes), ("classes", classes)):
            if value is not None:
                self._append(name, value.reshape(count, -1).astype(np.int32))
        about = {"utterance": len(self), "language": utterance.language, "speaker": utterance.speaker}
        self._lines("units.jsonl", described(units, unit_rows, frames, utterance, about))
        self._lines("words.jsonl", [about | {"label": f"{utterance.language} {w.label.casefold()}"} for w in words])
        phones, parts = phone_of_frames(utterance.phones, clock, count)
        borders = segments.of_spans(utterance.phones).tolist() if utterance.phones and count else []
        row = {"id": utterance.id, "language": utterance.language, "speaker": utterance.speaker, "count": count}
        row |= {"seconds": utterance.seconds, "units": at, "borders": borders, "phones": phones, "parts": parts}
        row |= {"fully": fully, "blank": blank, "ends": self.ends, "widths": self.widths}
        row |= {"clock": [list(clock.kernel), list(clock.stride), clock.rate]}
        line = json.dumps(row, ensure_ascii=False) + "\n"
        with (self.folder / "utterances.jsonl").open("ab") as file:
            file.write(line.encode())
        self.utterances.append(json.loads(line))

    def _append(self, name: str, values: np.ndarray) -> None:
        self.widths[name] = [int(values.shape[1]), values.dtype.str]
        self._write(f"{name}.bin", np.ascontiguousarray(values).tobytes())

    def _lines(self, name: str, rows: Sequence[dict]) -> None:
        self._write(name, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())

    def _write(self, name: str, data: bytes) -> None:
        with (self.folder / name).open("ab") as file:
            file.write(data)
        self.ends[name] = self.ends.get(name, 0) + len(data)

    def _rows(self, name: str) -> int:
        """How many rows an array has so far."""
        if name not in self.widths:
            return 0
        width, kind = self.widths[name]
        return self.ends[f"{name}.bin"] // (width * np.dtype(kind).itemsize)

    # ---- reading ----------------------------------------------------------------------------------------------------

    def __contains__(self, name: str) -> bool:
        return name in self.widths

    def __getitem__(self, name: str) -> np.ndarray:
        """An array (rows, width), left on disk: only what is taken out of it is read."""
        width, kind = self.widths[name]
        shape = self._rows(name), width
        if not shape[0]:
            return np.zeros(shape, kind)
        return np.memmap(self.folder / f"{name}.bin", kind, "r", shape=shape)

    @cached_property
    def clock(self) -> Frames:
        kernel, stride, rate = self.utterances[0]["clock"]
        return Frames(kernel, stride, rate)

    @cached_property
    def units(self) -> pd.DataFrame:
        """A row a phone (or stretch: no ``label``); ``first`` and ``last`` in ``frames.*``, -1 where not kept."""
        return table_of(self.folder / "units.jsonl")

    @cached_property
    def words(self) -> pd.DataFrame:
        return table_of(self.folder / "words.jsonl")

    @cached_property
    def frames(self) -> pd.DataFrame:
        """A row a frame: ``utterance``, ``phone`` and ``part`` (None in pauses), ``fully`` (whether it is kept)."""
        counts = [row["count"] for row in self.utterances]
        flat = {name: [x for row in self.utterances for x in row[f"{name}s"]] for name in ("phone", "part")}
        return pd.DataFrame(
            {
                "utterance": np.repeat(np.arange(len(self)), counts),
                "phone": pd.Series(flat["phone"], dtype=object),
                "part": pd.Series(flat["part"], dtype=object),
                "fully": np.repeat([row["fully"] for row in self.utterances], counts),
            }
        )

    def split(self, name: str, less: int = 0) -> list[np.ndarray]:
        """An array of every frame (less so many an utterance), cut into utterances."""
        counts = [max(row["count"] - less, 0) for row in self.utterances]
        return np.split(self[name], np.cumsum(counts)[:-1]) if counts else []


def hear(model, utterance: Utterance, names: Mapping[int, str]):
    """Layers' values (t, d) by number, the clock, the best classes (t,), the codes (t, g), the blank; None without.

    Raises ValueError where a layer says what is no number, or not as many frames as the clock.
    """
    extra = [name for name in (CODES, *CLASSES) if there(model, name)]
    with record(model, *names.values(), *extra) as trace:
        clock = trace.frames or Frames()
        count = clock.count(len(utterance.waveform))
        if not count:
            return {}, clock, None, None, None
        model(**inputs(model, utterance))
    values = {number: trace[name][0].float().cpu().numpy() for number, name in names.items()}
    for number, value in values.items():
        if len(value) != count:
            raise ValueError(f"expected {count} frames in {names[number]!r}, found {value.shape} ({utterance.id})")
        if not np.isfinite(value).all():
            raise ValueError(
                f"expected numbers in {names[number]!r}, found NaN or infinity ({utterance.id}): look at the weights "
                f"there and before, or load the model in float32"
            )
    codes = trace[CODES][0].cpu().numpy() if CODES in extra else None
    heads = [name for name in trace for wanted in CLASSES if matches(name, wanted)]
    classes = trace[heads[0]][0].argmax(-1).cpu().numpy() if heads else None
    # transformers' CTC heads pad with the blank
    blank = trace.blank if trace.blank is not None else getattr(getattr(model, "config", None), "pad_token_id", None)
    return values, clock, classes, codes, blank


def spans_of(utterance: Utterance, seconds: float) -> tuple[Sequence[Span], Sequence[Span]]:
    """What is pooled over: phones, or stretches without a name where there are none; words."""
    if utterance.phones:
        return utterance.phones, utterance.words
    starts = np.arange(0.0, seconds - STRETCH / 2, STRETCH)
    return [Span("", float(start), float(start + STRETCH)) for start in starts], utterance.words


def within(spans: Sequence[Span], centres: np.ndarray) -> tuple[list[Span], list[tuple[int, int]]]:
    """The spans that hold the middle of a frame, and the first and last of their frames."""
    rows = [tuple(map(int, np.searchsorted(centres, (span.start, span.end)))) for span in spans]
    kept = [(span, row) for span, row in zip(spans, rows, strict=True) if row[0] < row[1]]
    return [span for span, _ in kept], [row for _, row in kept]


def means(values: np.ndarray, rows: Sequence[tuple[int, int]]) -> np.ndarray:
    """(p, d) means over frames of values (t, d)."""
    found = [values[first:last].mean(0, dtype=np.float64) for first, last in rows]
    return np.array(found, np.float32).reshape(len(rows), values.shape[1])


def described(units: Sequence[Span], rows, frames: int | None, utterance: Utterance, about: dict) -> list[dict]:
    """A row a phone; its neighbours are those that touch it, a pause is ``""``."""
    places = {(span.start, span.end): k for k, span in enumerate(utterance.phones)}

    def beside(span: Span, step: int) -> str:
        k = places.get((span.start, span.end), -2) + step
        if not 0 <= k < len(utterance.phones):
            return ""
        other = utterance.phones[k]
        gap = other.start - span.end if step > 0 else span.start - other.end
        return other.label if gap < 1e-3 else ""

    return [
        about
        | {"label": span.label, "before": beside(span, -1), "after": beside(span, 1)}
        | {"first": -1 if frames is None else frames + first, "last": -1 if frames is None else frames + last}
        for span, (first, last) in zip(units, rows, strict=True)
    ]


def table_of(file: Path) -> pd.DataFrame:
    """Lines of JSON as a table; empty where there is no line."""
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else []
    columns = ["utterance", "label", "language", "speaker", "before", "after", "first", "last"]
    return pd.DataFrame(rows, columns=columns)
