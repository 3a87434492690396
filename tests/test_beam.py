"""Prefix beam search: the sum over all paths, against brute force, PyTorch's CTC loss and a language model by hand."""

from functools import cache
from math import log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ctc import every_path, lattices

from unispeech_lab import ctc


def sums(scores, blank) -> dict:
    """log of the sum over paths, by labels."""
    every = {}
    for path, score in every_path(scores):
        labels = tuple(ctc.collapse(path, blank))
        every[labels] = np.logaddexp(every.get(labels, -np.inf), score)
    return {labels: total for labels, total in every.items() if total > -np.inf}


@settings(deadline=None)
@given(lattice=lattices(), seed=st.integers(0, 99))
def test_wide_enough_it_is_the_sum_over_all_paths_and_the_language_model(lattice, seed):
    scores, blank = lattice
    rng = np.random.default_rng(seed)

    @cache
    def says(labels, label):
        return float(np.log(rng.random()))

    expected = sums(scores, blank)
    found = ctc.beam_search(scores, blank, width=10_000, least=0, language_model=says, weight=0.7, bonus=0.3)
    assert {h.labels for h in found} == set(expected)
    for h in found:
        assert h.log_prob == pytest.approx(expected[h.labels], abs=1e-5)
        steps = [(h.labels[:k], label) for k, label in enumerate([*h.labels, None])]
        told = 0.7 * sum(says(*step) for step in steps) + 0.3 * len(h.labels)
        assert h.score == pytest.approx(expected[h.labels] + told, abs=1e-5)
    assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)


def test_it_agrees_with_the_ctc_loss_of_pytorch():
    scores = torch.randn(30, 6, generator=torch.Generator().manual_seed(1)).mul(5).log_softmax(-1)
    best = ctc.beam_search(scores, 5, width=200, least=0)[0]
    loss = torch.nn.functional.ctc_loss(
        scores[:, None].double(), torch.tensor([best.labels]), [30], [len(best.labels)], blank=5, reduction="sum"
    )
    assert -loss.item() - 0.05 <= best.log_prob <= -loss.item() + 1e-5  # a beam may lose some paths, and finds none
    by_path = ctc.viterbi(scores, best.labels, 5).score
    assert by_path < best.log_prob


def test_the_sum_of_many_paths_beats_the_best_single_one():
    scores = np.log(np.array([[0.6, 0.4], [0.6, 0.4]], dtype=np.float32))  # blank blank 0.36; a in three paths 0.64
    assert ctc.greedy(scores, 0) == []
    assert ctc.beam_search(scores, 0)[0].labels == (1,)


def test_a_language_model_decides_between_sounds_alike():
    scores = np.log(np.array([[0.02, 0.94, 0.02, 0.02], [0.94, 0.02, 0.02, 0.02], [0.02, 0.02, 0.5, 0.46]]))
    bigram = {((1,), 3): log(0.9), ((1,), 2): log(0.1)}
    says = lambda labels, label: bigram.get((labels[-1:], label), log(0.5))  # noqa: E731
    assert ctc.beam_search(scores, 0)[0].labels == (1, 2)
    assert ctc.beam_search(scores, 0, language_model=says)[0].labels == (1, 3)
    assert ctc.beam_search(scores, 0, language_model=says, weight=0)[0].labels == (1, 2)


def test_a_batch_is_its_utterances_one_by_one():
    scores = torch.randn(2, 12, 5, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    both = ctc.beam_search(scores, 0, lengths=[12, 7])
    assert both == [ctc.beam_search(scores[0], 0), ctc.beam_search(scores[1, :7], 0)]


ARPA = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.0\t<unk>
-99\t<s>\t-0.5
-1.0\t</s>
-0.5\ta\t-0.25
-0.75\ttʃ\t-0.125

\\2-grams:
-0.1\t<s> a
-0.2\ta tʃ
-0.3\ttʃ </s>

\\end\\
"""


def test_an_arpa_file_says_what_its_lines_say(tmp_path):
    pytest.importorskip("kenlm", reason="language models: pip install 'unispeech-lab[lm]'")
    (tmp_path / "phones.arpa").write_text(ARPA, encoding="utf-8")
    model = ctc.Arpa(tmp_path / "phones.arpa", ["a", "tʃ", "blank"])
    for labels, label, tens in [
        ((), 0, -0.1),
        ((0,), 1, -0.2),
        ((0, 1), None, -0.3),
        ((0,), 0, -0.25 - 0.5),  # backed off
        ((), 1, -0.5 - 0.75),
        ((1, 0), 1, -0.2),
        ((0, 0, 0), None, -0.25 - 1.0),
    ]:
        assert model(labels, label) == pytest.approx(tens * log(10), abs=1e-5), (labels, label)
    scores = np.log(np.array([[0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.6, 0.35, 0.05]]))
    assert ctc.beam_search(scores, 2)[0].labels == (0, 0)
    assert ctc.beam_search(scores, 2, language_model=model, weight=1)[0].labels == (0, 1)


def test_what_is_no_language_model_is_named(tmp_path):
    pytest.importorskip("kenlm", reason="language models: pip install 'unispeech-lab[lm]'")
    with pytest.raises(FileNotFoundError, match=r"gone\.arpa: expected a language model, found no file"):
        ctc.Arpa(tmp_path / "gone.arpa", [])
    (tmp_path / "a.arpa").write_text("hello")
    with pytest.raises(ValueError, match=r"a\.arpa: expected an ARPA or KenLM file, found"):
        ctc.Arpa(tmp_path / "a.arpa", [])


@pytest.mark.parametrize(
    ("scores", "options", "message"),
    [
        (np.zeros((2, 3)), {"width": 0}, "expected a width of at least 1, found 0"),
        (np.ones((2, 3)), {}, r"expected log-probabilities, found scores above 0: take logits\.log_softmax"),
    ],
)
def test_the_doors(scores, options, message):
    with pytest.raises(ValueError, match=message):
        ctc.beam_search(scores, 0, **options)
