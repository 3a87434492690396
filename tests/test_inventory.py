"""Inventories: shared and separate vocabularies in the authors' order; phones in another's spelling."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unispeech_lab import Corpus, inventory
from unispeech_lab.vocabulary import Vocabulary

PHONES = Path(__file__).parents[2] / "shared" / "phones"
beside = pytest.mark.skipif(not PHONES.is_dir(), reason="the authors' phone lists are not beside the checkout")
TWO = {"en": ("ʃ", "iː", "l", "|"), "fr": ("l", "ɔ̃", "ʃ")}


def lines(language):
    rows = (PHONES / f"{language}.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [row.split("\t")[2] for row in rows]


def test_shared_and_separate_keep_the_order_of_first_appearance():
    one, two = inventory.shared(TWO), inventory.separate(TWO)
    assert one.names == ("ʃ", "iː", "l", "|", "ɔ̃", "<s>", "<pad>", "</s>", "<unk>") and one.blank == 5
    assert two.names[:7] == ("(en)ʃ", "(en)iː", "(en)l", "(en)|", "(fr)l", "(fr)ɔ̃", "(fr)ʃ") and two.blank == 7
    assert two.encode(inventory.tag(["l", "|", "ʃ"], "fr")) == [4, 6]
    assert inventory.untag(two.decode([4, 7, 6])) == ["l", "ʃ"] and inventory.untag(["l"]) == ["l"]


def test_what_was_written_is_read_again(tmp_path):
    for make, expected in ((inventory.separate, TWO), (inventory.shared, {"": ("ʃ", "iː", "l", "|", "ɔ̃")})):
        make(TWO).save(tmp_path)
        assert inventory.read(tmp_path / "vocab.json") == expected
        assert Vocabulary.load(tmp_path) == make(TWO)
    (tmp_path / "vocab.json").write_text('{"a": 0, "b": 2}')
    with pytest.raises(ValueError, match="expected phones and their numbers, 0, 1, 2"):
        inventory.read(tmp_path / "vocab.json")


@pytest.mark.parametrize(
    ("phone", "known", "spelling", "how"),
    [
        ("tʃ", ("tʃ", "t", "ʃ"), ("tʃ",), "same"),
        ("tʃ", ("tS", "t", "S"), ("tS",), "look-alike"),
        ("dZ", ("dʒ",), ("dʒ",), "look-alike"),
        ("d̪", ("d[", "d"), ("d[",), "look-alike"),
        ("g", ("ɡ",), ("ɡ",), "look-alike"),
        ("œː", ("oe", "oe:"), ("oe:",), "look-alike"),
        ("tʃ", ("t", "ʃ"), ("t", "ʃ"), "pieces"),
        ("aɪə", ("a", "ɪ", "ə", "aɪ", "ɪə"), ("aɪ", "ə"), "pieces"),
        ("nʲ", ("n", "m"), ("n",), "without marks"),
        ("ts.h", ("t", "s", "ts", "h"), ("ts", "h"), "without marks"),
        ("iː", ("i", "ː"), ("i",), "without marks"),
        ("ʐ", ("z", "ʒ"), (), "nowhere"),
        ("|", ("|", "a"), (), "nowhere"),
        ("1", ("1", ""), (), "nowhere"),
    ],
)
def test_rules_of_spelling(phone, known, spelling, how):
    assert inventory.how_to_spell(phone, known) == (spelling, how)


def test_a_line_is_spelt_without_word_boundaries_and_flags():
    assert inventory.spell("tʃ a | (en) ʐ nʲ |", ("t", "ʃ", "a", "n")) == ["t", "ʃ", "a", "<unk>", "n"]


@given(st.lists(st.sampled_from(["a", "ab", "b", "abc", "c", "ca"]), min_size=1, max_size=6))
def test_pieces_make_up_the_phone_and_are_as_few_as_can_be(parts):
    known, phone = {"a", "ab", "b", "abc", "c", "ca"}, "".join(parts)
    found = inventory.pieces(phone, known)
    assert "".join(found) == phone and known.issuperset(found) and len(found) <= len(parts)
    if len(parts) > 1 and phone not in known:
        assert inventory.pieces(phone + "x", known) == ()


def test_the_bundled_corpus_covers_itself_and_its_languages_are_in_order():
    corpus = Corpus.bundled()
    own = inventory.of(corpus)
    assert list(own) == list(dict.fromkeys(corpus.table["language"])) and len(own) == 11
    table = inventory.coverage(corpus, own)
    assert set(table["how"]) == {"same"}
    assert table["count"].sum() == sum(len(line.replace("|", " ").split()) for line in corpus.table["phones"])
    assert len(inventory.separate(own).phones) == sum(map(len, own.values())) > len(inventory.shared(own).phones) > 100
    alone = inventory.coverage(corpus.where(language="en"), {"es": own["es"]})
    assert {"same", "nowhere", "without marks"} <= set(alone["how"])


def test_a_corpus_without_phones_is_refused():
    with pytest.raises(ValueError, match="expected utterances with phones, found none"):
        inventory.of(Corpus.bundled()[:0])


@beside
def test_the_authors_vocabularies():
    """Their shared one is the union of the separate one, in its order: reference 3.2."""
    nine = inventory.read(PHONES / "vocab_sep.json")
    sizes = {"en": 76, "es": 57, "it": 86, "fr": 77, "ky": 39, "nl": 53, "ru": 50, "tt": 48, "sv": 41}
    assert {language: len(own) for language, own in nine.items()} == sizes and list(nine) == list(sizes)
    for make, name, blank in ((inventory.shared, "vocab_share", 172), (inventory.separate, "vocab_sep", 527)):
        vocabulary = make(nine)
        theirs = json.loads((PHONES / f"{name}.json").read_text(encoding="utf-8"))
        assert {phone: vocabulary.classes[phone] for phone in theirs} == theirs
        assert (vocabulary.blank, len(vocabulary)) == (blank, blank + 4)
    english = inventory.shared(inventory.read(PHONES / "vocab_en.json"))
    assert (english.blank, len(english)) == (76, 80) and english.names[:76] == nine["en"]


@beside
@pytest.mark.parametrize("language", ["es", "fr", "it", "ky", "nl", "ru", "sv"])
def test_the_authors_lines_in_the_authors_vocabulary(language):
    """All their phones are in it, but for four in Russian: three of them are spelt by pieces or without a mark."""
    known = inventory.read(PHONES / "vocab_sep.json")[language]
    phones = [phone for line in lines(language) for phone in line.split() if phone != "|" and phone[0] != "("]
    spelt = inventory.spell(" ".join(phones), known)
    strange = {phone for phone in phones if phone not in known}
    assert strange == ({"ɭʲ", "nʲ", "ə", "aɪ"} if language == "ru" else set())
    assert spelt.count("<unk>") == (phones.count("ə") if language == "ru" else 0)


@beside
def test_espeak_in_the_authors_vocabularies():
    table = inventory.coverage(Corpus.bundled(), inventory.read(PHONES / "vocab_sep.json"))
    heard = table.pivot_table(index="language", columns="how", values="count", aggfunc="sum", fill_value=0)
    assert (heard["same"].drop(["ru", "zh"]) == heard.drop(["ru", "zh"]).sum(axis=1)).all()
    assert heard.loc["ru", "same"] / heard.loc["ru"].sum() > 0.95
    assert heard.loc["zh", "nowhere"] / heard.loc["zh"].sum() < 0.02
