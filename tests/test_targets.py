"""Targets: what an utterance is taught as, how far off an answer is."""

import pytest
from training import speech
from tuning import two_languages

from unispeech_lab import targets
from unispeech_lab.corpus import Corpus
from unispeech_lab.vocabulary import Vocabulary


def test_phones_are_those_of_the_corpus():
    corpus = speech(number=2)
    assert targets.read(corpus, "phones") == [[span.label for span in utterance.phones] for utterance in corpus]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("The  cat, sat.", "the▁cat▁sat"),
        ("L’été — à Nîmes!", "l'été▁à▁nîmes"),
        ("e\u0301", "é"),
        ("24 hours", "24▁hours"),
        ("广州市，房", "广州市▁房"),
        ("...", ""),
    ],
)
def test_letters(text, expected):
    assert targets.letters(text) == list(expected)


def test_classes_are_the_columns_and_sorted():
    names = targets.names_of("language", two_languages())
    assert list(names) == ["en", "fr"] and names.encode(["fr", "en"]) == [1, 0]


def test_an_empty_cell_says_nothing():
    corpus = two_languages(2)
    corpus.table["mood"] = ["glad", None, "", float("nan")]
    assert targets.read(corpus, "mood") == [["glad"], None, None, None]
    assert len(targets.known(corpus, "mood")) == 1


def test_a_column_that_is_not_there_names_those_that_are():
    with pytest.raises(ValueError, match="phones, characters or a column out of id, text, language.* found 'langage'"):
        targets.read(speech(number=1), "langage")


def test_nothing_to_learn_says_what_to_give():
    corpus = speech(number=2)
    bare = Corpus(corpus.table[["id", "path"]], corpus.root)
    with pytest.raises(ValueError, match="utterances with phones to learn, found none.*TextGrids or a column phones"):
        targets.known(bare, "phones")
    with pytest.raises(ValueError, match="utterances with characters to learn.*a column text"):
        targets.known(bare, "characters")


def test_one_class_cannot_be_learned():
    with pytest.raises(ValueError, match="at least two classes in 'language', found en"):
        targets.names_of("language", speech(number=2))


def test_what_the_names_lack_is_named_with_its_utterance():
    names = targets.names_of("language", two_languages(2))
    other = speech("it", 1)
    with pytest.raises(ValueError, match=r"language out of the 2 that the model knows, found it \(it_00000\)"):
        targets.refuse_strange(other, "language", names)


def test_judgements_of_answers_made_by_hand():
    said = [["k", "æ", "t"], ["æ"]]
    assert targets.judge("phones", said, [["k", "t"], ["æ"]]) == {"per": 0.25}
    texts = [list("a▁cat"), list("sat")], [list("a▁cut"), list("sat▁")]
    assert targets.judge("characters", *texts) == {"cer": 1 / 8, "wer": 1 / 3}
    assert targets.judge("text", [["yes"], ["no"]], [["yes"], ["yes"]]) == {"accuracy": 0.5}


def test_less_error_is_better_whatever_is_judged():
    assert targets.error({"per": 0.2, "loss": 9.0}) == 0.2
    assert targets.error({"cer": 0.1, "wer": 0.4}) == 0.1
    assert targets.error({"accuracy": 0.9}) == pytest.approx(0.1)


def test_letters_are_written_as_text_and_phones_with_blanks():
    assert Vocabulary("tca▁").write(list("a▁cat")) == "a cat"
    assert Vocabulary(["k", "æ", "tʃ"]).write(["k", "æ", "tʃ"]) == "k æ tʃ"
