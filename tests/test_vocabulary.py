"""Vocabulary: phones to classes and back, in the authors' order or a file's own."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from training import speech
from transformers import Wav2Vec2CTCTokenizer

from unispeech_lab import Utterance
from unispeech_lab.corpus import Corpus
from unispeech_lab.vocabulary import SPECIAL, Vocabulary, split, transcripts

phones = st.text("abdeiktʃæə", min_size=1, max_size=2)


@given(st.lists(phones, min_size=1), st.data())
def test_there_and_back(names, data):
    vocabulary = Vocabulary(names)
    said = data.draw(st.lists(st.sampled_from(vocabulary.phones)))
    assert vocabulary.decode(vocabulary.encode(said)) == said


@given(st.lists(phones, min_size=1))
def test_the_authors_order(names):
    vocabulary = Vocabulary(names)
    assert vocabulary.phones == tuple(sorted(set(names)))
    assert tuple(vocabulary)[-4:] == SPECIAL and vocabulary.blank == len(vocabulary) - 4 == len(vocabulary.phones)
    assert Vocabulary(reversed(names)) == vocabulary


def test_saved_and_loaded_it_is_the_same_and_transformers_reads_it(tmp_path):
    vocabulary = Vocabulary(["k", "æ", "tʃ"])
    vocabulary.save(tmp_path)
    assert Vocabulary.load(tmp_path) == Vocabulary.load(tmp_path / "vocab.json") == vocabulary
    tokenizer = Wav2Vec2CTCTokenizer.from_pretrained(tmp_path)
    assert tokenizer.get_vocab().items() >= vocabulary.classes.items()  # it adds the word delimiter
    assert tokenizer.pad_token_id == vocabulary.blank


def test_another_order_is_kept_with_its_own_blank(tmp_path):
    (tmp_path / "vocab.json").write_text(json.dumps({"<pad>": 0, "<unk>": 1, "|": 2, "b": 3, "a": 4}))
    vocabulary = Vocabulary.load(tmp_path)
    assert vocabulary.blank == 0 and vocabulary.phones == ("b", "a") and vocabulary.encode("ab|a") == [4, 3, 4]
    assert vocabulary != Vocabulary(["a", "b"])


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"a": 0, "b": 2, "<s>": 3}, "vocab.json: expected classes numbered from 0 to 2, each once"),
        ({"a": 0, "b": 1}, "expected the blank '<s>' in the vocabulary, found a, b"),
        ({"a": -1, "<s>": 0}, "vocab.json: expected classes numbered from 0 to 1, each once"),
        ({"a": True, "<s>": 0}, "vocab.json: expected a dictionary of names and classes, found"),
        ({"en": {"a": 0}}, "vocab.json: expected a dictionary of names and classes, found"),
        ({"a": "0"}, "vocab.json: expected a dictionary of names and classes, found"),
        (["a"], "vocab.json: expected a dictionary of names and classes, found"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, written, says):
    (tmp_path / "vocab.json").write_text(json.dumps(written))
    with pytest.raises(ValueError, match=says):
        Vocabulary.load(tmp_path)


@pytest.mark.parametrize("written", [b"", b'{"a": 0', b"\xff", b"[" * 100_000])
def test_a_damaged_file_is_named(tmp_path, written):
    with pytest.raises(FileNotFoundError, match=r"expected vocab.json at .*: vocabulary.save\(folder\) writes one"):
        Vocabulary.load(tmp_path)
    (tmp_path / "vocab.json").write_bytes(written)
    with pytest.raises(ValueError, match="vocab.json: expected a dictionary of names and classes, found"):
        Vocabulary.load(tmp_path)


def test_strange_phones_are_all_named():
    with pytest.raises(ValueError, match="out of the 2 of this vocabulary, found x y: make the vocabulary"):
        Vocabulary(["a", "b"]).encode(["a", "y", "|", "x", "y"])
    for wrong in ([], ["|"], ["a", " "], ["a", "<s>"]):
        with pytest.raises(ValueError, match="expected phones such as 'a' or 'tʃ', found"):
            Vocabulary(wrong)


def test_of_a_corpus_every_phone_that_is_said():
    corpus = speech()
    assert set(Vocabulary.of(corpus).phones) == {span.label for utterance in corpus for span in utterance.phones}
    with pytest.raises(ValueError, match="expected utterances with phones, found none in Corpus.*: give TextGrids"):
        Vocabulary.of(Corpus.of([Utterance("silent", corpus[0].waveform)]))


def test_transcripts_by_table_are_those_of_the_spans():
    corpus = speech()
    bare = Corpus.of(list(corpus))
    assert "phones" in corpus.table and "phones" not in bare.table
    assert transcripts(corpus) == transcripts(bare)
    corpus.table["phones"] = [" | ", "(en) |", "", None, *["a | b"] * (len(corpus) - 4)]
    assert transcripts(corpus)[:5] == [None, None, None, None, ["a", "b"]]
    assert split("(en) ð ə | k æ t (fr)") == ["ð", "ə", "k", "æ", "t"]
