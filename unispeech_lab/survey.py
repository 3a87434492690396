"""Survey: what a model did at every frame of a corpus, as plain arrays beside the sound it heard.

    survey = Survey.of(model, corpus, "encoder.layers.3", "quantizer.codes")
    survey.frames                                # a pandas DataFrame, one row a frame: utterance, start, end, phone ...
    survey["quantizer.codes"]                    # (f, g), row by row beside it
    survey.phones, survey.over_phones("encoder.layers.3")   # one row a phone; (p, d) means over its frames

Shapes: ``f`` frame of the whole corpus, ``p`` phone, ``n`` sample of the album.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from unispeech_lab.codebook import phone_of_frames
from unispeech_lab.corpus import Utterance
from unispeech_lab.frames import Frames
from unispeech_lab.trace import record
from unispeech_lab.trace.places import matches, nearest

PHONES = ["utterance", "label", "start", "end", "first", "last", "language", "speaker", "word"]


@dataclass(eq=False, repr=False)
class Survey(Mapping):
    """Names to arrays (f, ...), one row a frame, all utterances one after another.

    ``utterances``  what was heard, in order
    ``frames``      a row a frame: ``utterance`` (its position), ``frame``, ``start`` and ``end`` in seconds of that
                    utterance, ``phone`` and ``part`` (onset, middle, end; None in pauses), ``language``, ``speaker``
    ``clock``       the model's frames;  ``labels``, ``blank``: its CTC classes, as a trace names them
    """

    utterances: tuple[Utterance, ...]
    frames: pd.DataFrame
    values: dict[str, np.ndarray]
    clock: Frames = field(default_factory=Frames)
    labels: tuple[str, ...] = ()
    blank: int | None = None

    @classmethod
    def of(cls, model, utterances: Iterable[Utterance], *names: str, hear=None, progress: bool = False) -> "Survey":
        """One forward an utterance, keeping what the names mean (as ``record`` reads them) for every frame.

        Memory grows with what is kept, never with the model. ``hear(model, utterance)`` runs the forward; by default
        ``model(**model.prepare([utterance]))``.

        Raises:
            KeyError: an unknown name.   ValueError: no name or no utterance; a value that has no row a frame.
        """
        utterances = tuple(utterances)
        if not utterances:
            raise ValueError("expected at least one utterance to survey, found none")
        hear = hear or (lambda model, utterance: model(**model.prepare([utterance])))
        kept: dict[str, list[np.ndarray]] = {}
        rows = []
        for position, utterance in enumerate(tqdm(utterances, "listening", disable=not progress, unit="utterance")):
            with torch.no_grad(), record(model, *names) as trace:
                hear(model, utterance)
            clock = trace.frames or Frames()
            count = clock.count(len(utterance.waveform))
            for name in trace:
                value = trace[name][0]
                if len(value) != count:
                    raise ValueError(
                        f"expected a row for each of {count} frames in {name!r}, found shape {tuple(value.shape)}: "
                        f"survey states, features, codes or logits"
                    )
                value = value.float() if value.is_floating_point() else value
                kept.setdefault(name, []).append(value.cpu().numpy())
            rows.append(described(position, utterance, clock, count))
        values = {name: np.concatenate(parts) for name, parts in kept.items()}
        return cls(utterances, pd.concat(rows, ignore_index=True), values, clock, trace.labels, trace.blank)

    # A survey is equal to itself alone, so that what is counted over it can be kept.
    __eq__, __hash__ = object.__eq__, object.__hash__

    # ---- a dict -----------------------------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> np.ndarray:
        """The array of a full name, or of the one name that ends so. Raises KeyError, naming what there is."""
        found = [name] if name in self.values else [full for full in self.values if matches(full, name)]
        if len(found) == 1:
            return self.values[found[0]]
        if found:
            raise KeyError(f"{name!r} can be {', '.join(found)}: use one of these")
        raise KeyError(f"{name!r} was not surveyed; nearest: {nearest(name, self.values)}")

    def __iter__(self):
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        told = ", ".join(f"{name} {array.shape[1:]}" for name, array in self.values.items())
        return f"Survey of {len(self.utterances)} utterances, {len(self.frames):,} frames: {told}"

    # ---- phones -----------------------------------------------------------------------------------------------------

    @cached_property
    def phones(self) -> pd.DataFrame:
        """A row a phone that holds the middle of a frame: where it is (seconds of its utterance), the rows of
        ``frames`` from ``first`` up to ``last``, its ``language``, ``speaker`` and ``word``."""
        begins = np.searchsorted(self.frames["utterance"], np.arange(len(self.utterances) + 1))
        rows = []
        for position, utterance in enumerate(self.utterances):
            count = begins[position + 1] - begins[position]
            centres = np.asarray(self.clock.centre(np.arange(count)))
            for span in utterance.phones:
                first, last = np.searchsorted(centres, (span.start, span.end))
                if first == last:
                    continue
                middle = (span.start + span.end) / 2
                word = next((w.label for w in utterance.words if w.start <= middle < w.end), "")
                at = (int(begins[position] + first), int(begins[position] + last))
                rows.append(
                    (position, span.label, span.start, span.end, *at, utterance.language, utterance.speaker, word)
                )
        return pd.DataFrame(rows, columns=PHONES)

    def over_phones(self, name: str) -> np.ndarray:
        """Means (p, ...) of an array over the frames of each phone."""
        values, phones = self[name], self.phones
        sums = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0, dtype=np.float64)])
        counts = (phones["last"] - phones["first"]).to_numpy().reshape(-1, *(1,) * (values.ndim - 1))
        return ((sums[phones["last"]] - sums[phones["first"]]) / counts).astype(np.float32)

    # ---- sound ------------------------------------------------------------------------------------------------------

    @cached_property
    def album(self) -> np.ndarray:
        """All sound (n,) one utterance after another, 16-bit at 16 kHz: what a click on a point plays from."""
        return np.concatenate([(np.clip(u.waveform, -1, 1) * 32767).astype("<i2") for u in self.utterances])

    @cached_property
    def offsets(self) -> np.ndarray:
        """Seconds in the album at which each utterance begins."""
        lengths = [len(utterance.waveform) / Utterance.rate for utterance in self.utterances]
        return np.concatenate([[0.0], np.cumsum(lengths)[:-1]])

    def times(self, rows: pd.DataFrame) -> np.ndarray:
        """Start and end in the album (m, 2) of rows of ``frames`` or of ``phones``."""
        starts = self.offsets[rows["utterance"]]
        return np.stack([starts + rows["start"], starts + rows["end"]], axis=1)

    def place(self, utterance: Utterance) -> float | None:
        """Where an utterance begins in the album, or None where it is not in it."""
        found = [k for k, other in enumerate(self.utterances) if other is utterance or other.id == utterance.id]
        return float(self.offsets[found[0]]) if found else None


def described(position: int, utterance: Utterance, clock: Frames, count: int) -> pd.DataFrame:
    """A row for each of so many frames of an utterance."""
    phones, parts = phone_of_frames(utterance.phones, clock, count)
    edges = np.clip(clock.edges(count), 0, len(utterance.waveform) / utterance.rate)
    return pd.DataFrame(
        {
            "utterance": position,
            "frame": np.arange(count),
            "start": edges[:-1],
            "end": edges[1:],
            "phone": pd.Series(phones, dtype=object),  # pandas' own text would make NaN of None
            "part": pd.Series(parts, dtype=object),
            "language": utterance.language,
            "speaker": utterance.speaker,
        }
    )
