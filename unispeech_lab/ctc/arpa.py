"""Arpa: an n-gram language model of labels, from an ARPA or KenLM file (extra ``[lm]``)."""

from collections.abc import Sequence
from math import log
from os import PathLike, fspath
from pathlib import Path


class Arpa:
    """A language model for ``beam_search``: ``Arpa("phones.arpa", vocabulary)``.

    Args:
        file: as lmplz, SRILM or MITLM write it, its words being the names of labels; or KenLM's binary form.
        names: of the classes, in order; a ``Vocabulary`` is that.

    Raises:
        FileNotFoundError: no such file. ValueError: one that KenLM does not read. ImportError: the extra is not there.
    """

    def __init__(self, file: str | PathLike, names: Sequence[str]):
        try:
            import kenlm
        except ImportError as error:
            raise ImportError("expected the package kenlm, found none: pip install 'unispeech-lab[lm]'") from error
        if not Path(file).is_file():
            raise FileNotFoundError(f"{file}: expected a language model, found no file")
        try:
            self.model = kenlm.Model(fspath(file))
        except (OSError, RuntimeError) as error:
            raise ValueError(f"{file}: expected an ARPA or KenLM file, found: {error}") from error
        self.names, self._new = names, kenlm.State
        start = kenlm.State()
        self.model.BeginSentenceWrite(start)
        self._states = {(): start}

    def __call__(self, labels: tuple[int, ...], label: int | None) -> float:
        """Natural log of the probability of ``label`` (None: of the end) after ``labels``."""
        score, state = self._step(self._state(labels), "</s>" if label is None else self.names[label])
        if label is not None:
            self._states[(*labels, label)] = state
        return score

    def _state(self, labels: tuple[int, ...]):
        if labels not in self._states:
            self._states[labels] = self._step(self._state(labels[:-1]), self.names[labels[-1]])[1]
        return self._states[labels]

    def _step(self, state, name: str):
        after = self._new()
        return self.model.BaseScore(state, name, after) * log(10), after
