"""Batches: each the same whoever asks for it, each utterance once an epoch, none that cannot be learned from."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training import small, speech, vocabulary

from unispeech_lab import Utterance
from unispeech_lab.audio import RATE
from unispeech_lab.augment import Augment
from unispeech_lab.batches import NONE, Batches, ahead, needed, pad
from unispeech_lab.corpus import Corpus
from unispeech_lab.vocabulary import transcripts

MODEL = small()
LISTEN = (MODEL.feature_extractor_settings(), MODEL.config.frames)


def of_lengths(lengths, **how):
    """Batches of a corpus of which only the lengths are known: their plan opens no file."""
    ids = [f"u{k}" for k in range(len(lengths))]
    table = pd.DataFrame({"id": ids, "path": ids, "seconds": np.asarray(lengths, float)})
    return Batches(Corpus(table), None, *LISTEN, **how)


def real(**how):
    how = {"seconds": 8.0, "augment": Augment(), **how}
    return Batches(speech(), vocabulary(), *LISTEN, **how)


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(one[name], other[name]) if isinstance(one[name], torch.Tensor) else one[name] == other[name]
        for name in one
    )


lengths = st.lists(st.floats(0.4, 9.9), min_size=1, max_size=60)


@settings(deadline=None, max_examples=40)
@given(lengths, st.integers(0, 5), st.booleans())
def test_each_utterance_is_in_one_batch_an_epoch(lengths, epoch, shuffle):
    batches = of_lengths(lengths, seconds=10.0, shuffle=shuffle)
    assert sorted(k for batch in batches.plan(epoch) for k in batch) == list(range(len(lengths)))


@settings(deadline=None, max_examples=40)
@given(lengths, st.integers(0, 5))
def test_no_batch_is_longer_than_asked_padding_included(lengths, epoch):
    batches = of_lengths(lengths, seconds=10.0)
    for batch in batches.plan(epoch):
        assert len(batch) and len(batch) * batches.lengths[batch].max() <= 10.0


@settings(deadline=None, max_examples=40)
@given(lengths, st.integers(0, 200))
def test_numbers_run_through_the_epochs(lengths, number):
    batches = of_lengths(lengths, seconds=10.0)
    epoch, place = batches.place(number)
    assert 0 <= place < len(batches.plan(epoch))
    assert sum(len(batches.plan(e)) for e in range(epoch)) + place == number
    assert batches.place(number) == of_lengths(lengths, seconds=10.0).place(number)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(0, 3))
def test_no_batch_depends_on_what_was_asked_before(numbers, seed):
    asked = of_lengths(np.linspace(0.5, 5, 30), seconds=10.0, seed=seed)
    for number in numbers:
        epoch, place = asked.place(number)
        fresh = of_lengths(np.linspace(0.5, 5, 30), seconds=10.0, seed=seed)
        assert np.array_equal(asked.plan(epoch)[place], fresh.plan(epoch)[place])


def test_batches_of_like_length_in_an_order_of_their_own_each_epoch():
    batches = of_lengths(np.linspace(0.5, 5, 200), seconds=20.0)
    plans = [[tuple(batch) for batch in batches.plan(epoch)] for epoch in range(3)]
    assert len(set(map(tuple, plans))) == 3 and len({frozenset(plan) for plan in plans}) == 3
    waste = [np.ptp(batches.lengths[list(batch)]) / batches.lengths[list(batch)].max() for batch in plans[0]]
    assert np.median(waste) < 0.15
    first = [batches.lengths[batch[0]] for batch in plans[0]]
    assert first != sorted(first) and of_lengths([1, 2, 3], shuffle=False).plan(7) is not None
    quiet = of_lengths(np.linspace(0.5, 5, 30), seconds=20.0, shuffle=False)
    assert [k for batch in quiet.plan(4) for k in batch] == list(range(30))


def test_a_batch_is_the_same_in_any_order_and_another_by_another_seed():
    one, other = real(), real()
    forward = [one[k] for k in range(6)]
    backward = [other[k] for k in reversed(range(6))][::-1]
    assert all(map(same, forward, backward))
    assert not same(real(seed=1)[0], forward[0])


def test_a_loading_process_gets_a_copy():
    batches = real()
    assert same(pickle.loads(pickle.dumps(batches))[4], batches[4])


def test_a_batch_is_what_the_model_takes():
    batches = real(augment=None)
    for number in range(len(batches.plan(0))):
        batch, chosen = batches[number], batches.plan(0)[number]
        waves = [batches.corpus.sound(k) for k in chosen]
        assert batch["attention_mask"].sum(1).tolist() == [len(wave) for wave in waves]
        assert batch["audio"] == sum(map(len, waves)) / RATE and batch["left_out"] == []
        wave = torch.from_numpy(waves[0])
        expected = (wave - wave.mean()) / (wave.var(unbiased=False) + 1e-7).sqrt()
        assert torch.allclose(batch["input_values"][0, : len(wave)], expected, atol=1e-4)
        said = transcripts(batches.corpus)
        for k, row in zip(chosen, batch["labels"].tolist(), strict=True):
            assert [vocabulary().names[label] for label in row if label != NONE] == said[k]


def test_augmented_speech_is_other_speech_each_epoch():
    batches = real(seconds=60.0)
    (first,), (second,) = batches.plan(0), batches.plan(1)
    lengths = [
        dict(zip(plan, batches[n]["attention_mask"].sum(1).tolist(), strict=True))
        for n, plan in ((0, first), (1, second))
    ]
    assert all(lengths[0][k] != lengths[1][k] for k in lengths[0])


def test_what_needs_more_frames_than_it_may_have_left_is_left_out():
    spoken = speech()[0]
    seconds = 1.0  # 49 frames; when spoken 1.18 times as fast, 41
    crowded = [
        Utterance(f"u{n}", spoken.waveform[: int(RATE * seconds)], phones=spoken.phones[:1] * n) for n in (20, 22, 25)
    ]
    kept = {}
    for augment in (None, Augment()):
        batches = Batches(Corpus.of(crowded), vocabulary(), *LISTEN, augment=augment)
        kept[augment is None] = [crowded[k].id for k in batches.kept]
    assert kept == {True: ["u20", "u22", "u25"], False: ["u20"]}  # n alike need 2 n - 1


def test_a_vocabulary_and_no_phones_makes_no_labels():
    silent = Corpus.of(Utterance(u.id, u.waveform) for u in speech())
    assert all(Batches(silent, vocabulary(), *LISTEN)[k]["labels"] is None for k in range(3))
    mixed = Corpus.of([*speech(number=1), Utterance("silent", speech()[1].waveform)])
    batch = Batches(mixed, vocabulary(), *LISTEN, seconds=30.0)[0]
    assert sorted((row != NONE).any().item() for row in batch["labels"]) == [False, True]


def test_hours_and_a_mark_of_what_is_learned_from():
    batches = real()
    assert batches.hours == pytest.approx(speech().hours)
    assert batches.description == real(seed=3).description
    assert batches.description.startswith("8 utterances, 0.0")
    assert batches.description != Batches(speech(), None, *LISTEN).description


@given(st.lists(st.integers(0, 3), max_size=8))
def test_frames_needed_are_labels_and_a_blank_between_two_alike(labels):
    path = []
    for label in labels:
        path += ["blank"] * (path[-1:] == [label]) + [label]
    assert needed(labels) == len(path)


def test_padded_labels():
    assert pad([[], []]) is None
    assert pad([[3, 1], [2]]).tolist() == [[3, 1], [2, NONE]]


def test_ahead_makes_the_next_while_one_is_used_and_no_more():
    asked = []

    class Slow:
        def __getitem__(self, number):
            asked.append(number)
            return {"number": number}

    made = ahead(Slow(), [4, 2, 9, 7])
    assert next(made) == {"number": 4} and next(made) == {"number": 2}
    made.close()
    assert asked[:2] == [4, 2] and len(asked) <= 3
    assert [batch["number"] for batch in ahead(Slow(), range(5))] == [0, 1, 2, 3, 4]
    assert list(ahead(Slow(), [])) == []


def test_an_error_ahead_comes_when_its_batch_is_due():
    made = ahead({1: "fine"}, [1, 2])
    assert next(made) == "fine"
    with pytest.raises(KeyError):
        next(made)
