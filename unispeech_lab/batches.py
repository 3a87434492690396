"""Batches: a corpus as an endless row of batches, each the same whoever asks for it, at whatever time.

    batch number k  =  f(corpus, settings, seed, k)

No batch depends on the ones before: a run that was stopped goes on at its number, and of several processes each takes
its own numbers. Utterances of like length share a batch, drawn anew in every epoch.

Shapes: ``b`` utterance, ``n`` sample, ``u`` label.
"""

import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from .audio import RATE, AudioError
from .augment import Augment
from .corpus import Corpus
from .frames import Frames
from .seeds import generator_of
from .vocabulary import Vocabulary, transcripts

NONE = -100  # a place without a label


class Batches(torch.utils.data.Dataset):
    """``batches[k]``, for any k from 0 on, is a dict of ``input_values`` (b, n), ``attention_mask``, ``labels`` (b, u).

    Beside them: the ``ids``, ``audio``, the seconds of speech in it, and ``left_out``, a sentence for each utterance
    that could not be read. A batch of which nothing could be read has no ``input_values``. Labels are -100 where there
    are none.

    Args:
        corpus: what to learn from. Utterances without phones are unlabelled: they come without labels.
        vocabulary: classes of the phones; None: no labels at all.
        extract: waveforms (a list of (n,)) to a padded batch, a model's ``feature_extractor_settings()``.
        clock: the model's frames.
        seconds: of audio in a batch, padding included, at most.
        augment: what is done to each waveform; None: nothing.
        shuffle: draw the order anew each epoch; else the order of lengths, an epoch after the other.
        least, most: seconds of the shortest and the longest utterance to keep.
        read: what each utterance of a corpus says, in the vocabulary's names; None where nobody knows.

    Raises:
        ValueError: nothing is left to learn from; a phone that the vocabulary does not have.
    """

    def __init__(
        self,
        corpus: Corpus,
        vocabulary: Vocabulary | None,
        extract: Callable,
        clock: Frames,
        seconds: float = 27.0,
        seed: int = 0,
        augment: Augment | None = None,
        shuffle: bool = True,
        least: float = 0.4,
        most: float = 20.0,
        read: Callable[[Corpus], list[list[str] | None]] = transcripts,
    ):
        self.corpus, self.vocabulary, self.extract, self.clock = corpus, vocabulary, extract, clock
        self.seconds, self.seed, self.augment, self.shuffle = seconds, seed, augment, shuffle
        said = read(corpus) if vocabulary else [None] * len(corpus)
        refuse_strange(said, corpus.table["id"], vocabulary)
        self.labels = [None if phones is None else vocabulary.encode(phones) for phones in said]
        lengths = corpus.table["seconds"].to_numpy(dtype=float, copy=True)
        self.left_out = []
        for k in np.flatnonzero(np.isnan(lengths)):
            try:
                lengths[k] = len(corpus.sound(k)) / RATE
            except AudioError as error:
                self.left_out.append(f"{corpus.table['id'][k]}: {error}")
        self.lengths = lengths
        self.kept = np.array([k for k in range(len(corpus)) if self._fits(k, least, most)], dtype=int)
        if not len(self.kept):
            why = "; ".join(self.left_out[:3]) or "the corpus is empty"
            raise ValueError(f"expected utterances to learn from, found none: {why}")
        self._plans: dict[int, list[np.ndarray]] = {}  # the last two epochs'
        self._sizes: list[int] = []

    def _fits(self, k: int, least: float, most: float) -> bool:
        """Whether an utterance can be learned from; if not, why is said in ``left_out``."""
        seconds, labels, id = self.lengths[k], self.labels[k], self.corpus.table["id"][k]
        if np.isnan(seconds):
            return False  # said already
        if not least <= seconds <= min(most, self.seconds):
            limit = f"{least:g} to {min(most, self.seconds):g} s"
            self.left_out.append(f"{id}: expected {limit}, found {seconds:.2f} s")
            return False
        shortest = seconds * (self.augment.shortest if self.augment else 1.0)
        return self._hears(f"{id}", int(shortest * RATE), labels, self.left_out)

    def _hears(self, id: str, samples: int, labels: list[int] | None, left_out: list[str]) -> bool:
        """Whether so many samples have frames for the labels; if not, why is said in ``left_out``."""
        frames, wanted = int(self.clock.count(samples)), max(needed(labels or []), 1)
        if frames < wanted:
            left_out.append(f"{id}: expected frames for {wanted} labels, found {frames} ({samples / RATE:.2f} s)")
        return frames >= wanted

    @property
    def hours(self) -> float:
        """Hours of speech that are learned from."""
        return float(self.lengths[self.kept].sum()) / 3600

    @property
    def description(self) -> str:
        """How much speech, and a mark that tells it from other speech, other labels."""
        known = zip(self.corpus.table["id"][self.kept], self.lengths[self.kept].round(3), self.kept, strict=True)
        said = repr([(id, float(length), self.labels[k]) for id, length, k in known])
        return f"{len(self.kept)} utterances, {self.hours:.2f} h, {sha256(said.encode()).hexdigest()[:8]}"

    def plan(self, epoch: int) -> list[np.ndarray]:
        """The batches of an epoch, each as positions in the corpus."""
        epoch = epoch if self.shuffle else 0
        if epoch not in self._plans:
            self._plans = dict([*self._plans.items()][-1:]) | {epoch: self._draw_plan(epoch)}
        return self._plans[epoch]

    def _draw_plan(self, epoch: int) -> list[np.ndarray]:
        lengths = self.lengths[self.kept]
        generator = generator_of(self.seed, "epoch", epoch)
        stretch = 1 + 0.1 * torch.rand(len(lengths), generator=generator).numpy() if self.shuffle else 1.0
        batches, batch, longest = [], [], 0.0
        for k in np.argsort(lengths * stretch, kind="stable"):
            longest = max(longest, lengths[k])
            if batch and longest * (len(batch) + 1) > self.seconds:
                batches.append(self.kept[batch])
                batch, longest = [], lengths[k]
            batch.append(k)
        batches.append(self.kept[batch])
        order = torch.randperm(len(batches), generator=generator) if self.shuffle else range(len(batches))
        return [batches[k] for k in order]

    def place(self, number: int) -> tuple[int, int]:
        """(epoch, place in its plan) of a batch's number."""
        epoch = 0
        while number >= (size := self._size(epoch)):
            number, epoch = number - size, epoch + 1
        return epoch, number

    def _size(self, epoch: int) -> int:
        while len(self._sizes) <= epoch:
            self._sizes.append(len(self.plan(len(self._sizes))))
        return self._sizes[epoch]

    def __getitem__(self, number: int) -> dict:
        epoch, place = self.place(number)
        ids, waveforms, labels, left_out = [], [], [], []
        for k in self.plan(epoch)[place]:
            id = self.corpus.table["id"][k]
            try:
                waveform = self.corpus.sound(k)
            except AudioError as error:
                left_out.append(f"{id}: {error}")
                continue
            if self.augment:
                waveform = self.augment(waveform, generator_of(self.seed, "augment", epoch, id))
            if not self._hears(id, len(waveform), self.labels[k], left_out):
                continue  # the table said that it is longer
            ids.append(id)
            waveforms.append(waveform)
            labels.append(self.labels[k] or [])
        batch = {"ids": ids, "left_out": left_out, "audio": sum(map(len, waveforms)) / RATE}
        if waveforms:
            padded = self.extract(
                waveforms, sampling_rate=RATE, padding=True, return_attention_mask=True, return_tensors="pt"
            )
            batch |= {"input_values": padded["input_values"], "attention_mask": padded["attention_mask"]}
            batch["labels"] = pad(labels)
        return batch

    def once(self) -> Iterator[dict]:
        """The batches of the first epoch, for validation."""
        return (self[number] for number in range(len(self.plan(0))))


def ahead(batches: Batches, numbers: Iterable[int]) -> Generator[dict]:
    """The batches of these numbers, each made in a thread while the one before is learned from."""
    with ThreadPoolExecutor(1) as thread:
        made = None
        for number in numbers:
            before, made = made, thread.submit(batches.__getitem__, number)
            if before is not None:
                yield before.result()
        if made is not None:
            yield made.result()


def alone(worker: int) -> None:
    """A loading process leaves Ctrl-C to its parent, which ends it when it is done."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def refuse_strange(said: list[list[str] | None], ids, vocabulary: Vocabulary | None) -> None:
    """Raise ValueError for phones that are not in the vocabulary: all of them, each with an utterance that says it."""
    strange = {
        phone: id
        for phones, id in zip(said, ids, strict=True)
        for phone in phones or ()
        if phone not in vocabulary.classes
    }
    if strange:
        told = ", ".join(f"{phone} ({id})" for phone, id in sorted(strange.items()))
        raise ValueError(
            f"expected phones out of the {len(vocabulary.phones)} of this vocabulary, found {told}: "
            "make the vocabulary from this corpus too, or leave these utterances out"
        )


def needed(labels: list[int]) -> int:
    """Frames that CTC needs at least: one a label, and a blank between two alike."""
    return len(labels) + sum(a == b for a, b in zip(labels, labels[1:], strict=False))


def pad(labels: list[list[int]]) -> Tensor | None:
    """Rows of labels as one (b, u), -100 behind; None where no row has any."""
    if not any(labels):
        return None
    rows = [torch.tensor(row, dtype=torch.long) for row in labels]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=NONE)
