"""CTC: every search against all paths of a lattice small enough to list them."""

from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unispeech_lab import ctc
from unispeech_lab.ctc import forced
from unispeech_lab.error_rates import character_error_rate, edits, phone_error_rate, word_error_rate


@st.composite
def lattices(draw, frames=5, classes=3):
    """Log-probabilities (t, v) float32, now and then zero probability, and a blank."""
    t, v = draw(st.integers(1, frames)), draw(st.integers(2, classes))
    weights = draw(st.lists(st.lists(st.integers(0, 9), min_size=v, max_size=v), min_size=t, max_size=t))
    probabilities = np.array(weights, dtype=np.float64) + 1e-3 * np.arange(1, v + 1)  # few ties
    probabilities[np.array(weights) == 0] = 0 if draw(st.booleans()) else 1e-3
    probabilities[~probabilities.any(axis=1)] = 1
    with np.errstate(divide="ignore"):
        scores = np.log(probabilities / probabilities.sum(axis=1, keepdims=True)).astype(np.float32)
    return scores, draw(st.integers(0, v - 1))


def every_path(scores):
    for path in product(range(scores.shape[1]), repeat=len(scores)):
        yield path, float(scores[np.arange(len(scores)), path].sum(dtype=np.float64))


def best_by_labels(scores, blank) -> dict:
    best = {}
    for path, score in every_path(scores):
        labels = tuple(ctc.collapse(path, blank))
        best[labels] = max(score, best.get(labels, -np.inf))
    return best


def test_collapse_merges_then_drops_blanks():
    assert ctc.collapse([0, 1, 1, 0, 1, 2, 2, 0], 0) == [1, 1, 2]
    assert ctc.collapse([], 0) == []


def test_greedy_takes_batches_lengths_and_single_utterances():
    scores = torch.eye(3)[torch.tensor([[0, 1, 1, 2, 1], [2, 2, 0, 0, 1]])]
    assert ctc.greedy(scores, 2) == [[0, 1, 1], [0, 1]]
    assert ctc.greedy(scores, 2, lengths=torch.tensor([3, 2])) == [[0, 1], []]
    assert ctc.greedy(scores[0].numpy(), blank=0) == [1, 2, 1]


@pytest.mark.parametrize("block", [1, 2, 3, 512])
@settings(deadline=None)
@given(lattice=lattices())
def test_viterbi_is_the_best_of_all_paths(lattice, block):
    scores, blank = lattice
    best = best_by_labels(scores, blank)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forced, "BLOCK", block)
        for length in range(len(scores) + 2):
            for labels in product([c for c in range(scores.shape[1]) if c != blank], repeat=length):
                if best.get(labels, -np.inf) == -np.inf:
                    with pytest.raises(ValueError, match="frames for|probability above zero"):
                        ctc.viterbi(scores, labels, blank)
                    continue
                path = ctc.viterbi(scores, labels, blank)
                assert path.score == pytest.approx(best[labels], abs=1e-4)
                assert tuple(ctc.collapse(path.classes, blank)) == labels
                assert [path.owner[first] for first in path.frames()[:, 0]] == list(range(length))
                owners = path.owner[path.owner >= 0]
                assert (np.diff(owners) >= 0).all() and list(path.classes[path.owner >= 0]) == [
                    labels[o] for o in owners
                ]


@settings(deadline=None)
@given(lattice=lattices(frames=6), labels=st.lists(st.integers(-1, 2), min_size=1, max_size=3))
def test_a_star_is_whatever_scores_best(lattice, labels):
    scores, blank = lattice
    labels = [label for label in labels if label != blank and label < scores.shape[1]]
    wide = np.append(scores, scores.max(axis=1, keepdims=True), axis=1)
    spelt = tuple(scores.shape[1] if label == ctc.STAR else label for label in labels)
    best = best_by_labels(wide, blank).get(spelt, -np.inf)
    if best == -np.inf:
        with pytest.raises(ValueError, match="expected at least|probability above zero"):
            ctc.viterbi(scores, labels, blank)
    else:
        assert ctc.viterbi(scores, labels, blank).score == pytest.approx(best, abs=1e-4)


def test_a_path_is_given_back():
    """A path is made, its classes made likely, and the path demanded back: over several blocks."""
    rng = np.random.default_rng(0)
    owner, labels = [], []
    for k in range(400):
        labels.append(int(rng.integers(1, 40)))
        gap = rng.integers(0, 4) + (k > 0 and labels[-1] == labels[-2])
        owner += [-1] * int(gap) + [k] * int(rng.integers(1, 5))
    classes = np.array([0 if o < 0 else labels[o] for o in owner])
    scores = torch.from_numpy(rng.normal(size=(len(owner), 40)) + 12 * np.eye(40)[classes]).log_softmax(-1)
    seen = []
    path = ctc.viterbi(scores, labels, 0, progress=seen.append)
    assert (path.owner == owner).all() and len(owner) > 2 * forced.BLOCK
    assert seen == sorted(seen) and seen[-1] == 1 and len(seen) > 1


def test_a_batch_is_its_utterances_one_by_one():
    generator = torch.Generator().manual_seed(0)
    scores, lengths = torch.randn(3, 20, 5, generator=generator).log_softmax(-1), torch.tensor([20, 9, 15])
    labels = [[1, 2, 2, 3], [4], []]
    paths = ctc.viterbi(scores, labels, 0, lengths=lengths)
    for path, row, length, wanted in zip(paths, scores, lengths, labels, strict=True):
        alone = ctc.viterbi(row[:length], wanted, 0)
        assert path.score == alone.score and (path.owner == alone.owner).all()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            [1, 1, 1],
            r"expected at least 5 frames for 3 labels \(2 of them after the same one, .* found 4: the text is lo",
        ),
        ([1, 2, 1, 2, 1], "expected at least 5 frames for 5 labels"),
        ([3], "expected labels from 0 to 2 but for the blank 0, found 3"),
        ([0], "expected labels from 0 to 2 but for the blank 0, found 0"),
        ([-2], "expected labels from 0 to 2 but for the blank 0, found -2"),
    ],
)
def test_labels_that_cannot_be_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        ctc.viterbi(np.zeros((4, 3)), labels, 0)
    with pytest.raises(ValueError, match="utterance 1: " + message):
        ctc.viterbi(np.zeros((2, 4, 3)), [[1], labels], 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(ctc.greedy, np.zeros(3), 0), r"expected scores of shape \(t, v\) or \(b, t, v\), found \(3,\)"),
        (partial(ctc.greedy, np.full((2, 3), np.nan), 0), "expected scores below infinity, found NaN"),
        (partial(ctc.greedy, np.zeros((2, 3)), 3), r"expected a blank from 0 to 2 \(the classes\), found 3"),
        (partial(ctc.greedy, np.zeros((2, 4, 3)), 0, [1, 5]), r"expected 2 lengths from 0 to 4 frames, found \[1, 5\]"),
        (partial(ctc.viterbi, np.zeros((2, 4, 3)), [[1]], 0), "expected labels for 2 utterances, found 1"),
    ],
)
def test_the_doors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_edits_are_as_few_as_the_rate_counts():
    said, read = ["tʃ", "a b", "k", "s"], ["a b", "x", "s", "t"]
    assert edits(said, read) == [(0, None), (1, 0), (2, 1), (3, 2), (None, 3)]
    wrong = [pair for pair in edits(said, read) if None in pair or said[pair[0]] != read[pair[1]]]
    assert len(wrong) / len(said) == phone_error_rate([said], [read])
    assert edits(["a"], []) == [(0, None)] and edits([], ["a", "b"]) == [(None, 0), (None, 1)] and edits([], []) == []


def test_error_rates_count_over_all_utterances():
    assert phone_error_rate([["tʃ", "a b", " "], ["c"]], [["tʃ", "a", " "], ["c", "d"]]) == 2 / 4
    assert phone_error_rate([[1, 2], []], [[1, 2], [3]]) == 1 / 2
    assert word_error_rate(["the cat sat"], ["a cat"]) == 2 / 3
    assert character_error_rate(["abcd"], ["abxd"]) == 1 / 4
    with pytest.raises(ValueError, match="expected a hypothesis for each of 1 references, found 2"):
        phone_error_rate([["a"]], [["a"], ["b"]])
    with pytest.raises(ValueError, match="expected something said in at least one reference, found 2 empty ones"):
        phone_error_rate([[], []], [["a"], []])


def test_a_second_implementation_agrees():
    """ctc-segmentation (Kürzinger et al. 2020) finds the first frame of every phone where we do."""
    segmentation = pytest.importorskip(
        "ctc_segmentation", reason="a second opinion: pip install 'unispeech-lab[aligners]'"
    )
    rng = np.random.default_rng(3)
    labels = rng.permutation(np.tile(np.arange(1, 20), 8))
    labels = labels[np.append(True, labels[1:] != labels[:-1])]  # it wants no blank between two of the same
    starts = np.cumsum(rng.integers(2, 7, len(labels)))
    said = np.zeros(starts[-1] + 5, dtype=int)
    said[starts] = labels
    scores = torch.from_numpy(rng.normal(size=(len(said), 20)) + 7 * np.eye(20)[said]).log_softmax(-1).numpy()
    config = segmentation.CtcSegmentationParameters(char_list=[str(k) for k in range(20)], index_duration=1.0)
    config.blank_transition_cost_zero = config.preamble_transition_cost_zero = False
    truth, _ = segmentation.prepare_token_list(config, [labels])
    theirs = segmentation.ctc_segmentation(config, scores, truth)[0][2:-1]
    ours = ctc.viterbi(scores, labels, 0).frames()[:, 0]
    assert len(labels) > 120 and (ours == starts).mean() > 0.9
    assert np.mean(np.abs(theirs - ours) <= 1) > 0.98, np.abs(theirs - ours)
