"""Text to phones: espeak-ng's strings against the authors' own."""

import json
import random
from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path

import jiwer
import pytest

pytest.importorskip("espeakng_loader", reason="the optional extra [speech]")

from unispeech_lab.espeak import EspeakError, Worker, phonemes
from unispeech_lab.espeak.phonemes import as_authors, clean, line, words
from unispeech_lab.espeak.recipe import read_sentences
from unispeech_lab.paths import data_dir

AUTHORS = Path(__file__).parents[2] / "shared" / "phones"  # 200 of their lines a language: beside some checkouts
SENTENCES = read_sentences(data_dir() / "speech" / "sentences.tsv")
beside = pytest.mark.skipif(not AUTHORS.is_dir(), reason="needs the authors' phone strings beside the checkout")


@pytest.fixture(scope="module")
def worker():
    with Worker() as worker:
        yield worker


def theirs(language) -> tuple[list[str], list[list[list[str]]]]:
    rows = [row.split("\t") for row in (AUTHORS / f"{language}.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    return [row[1] for row in rows], [[word.split() for word in row[2].split("|") if word.split()] for row in rows]


def rate(expected, found) -> float:
    flat = [[" ".join(phone for word in words for phone in word) for words in side] for side in (expected, found)]
    return jiwer.wer(*flat)


@beside
@pytest.mark.parametrize("language", ["sv", "ky", "fr", "nl"])
def test_the_authors_strings_exactly(language, worker):
    texts, expected = theirs(language)
    assert len(texts) == 200 and phonemes(texts, language, worker) == expected


@beside
def test_spanish_differs_by_rules_that_are_known(worker):
    texts, expected = theirs("es")
    found = phonemes(texts, "es", worker)
    assert sum(a == b for a, b in zip(found, expected, strict=True)) >= 150  # 77 % of lines before the rules
    assert [as_authors(words, "es") for words in found] == expected  # all of them after


@beside
def test_italian_differs_in_mid_vowels_alone(worker):
    texts, expected = theirs("it")
    found = phonemes(texts, "it", worker)
    assert sum(a == b for a, b in zip(found, expected, strict=True)) >= 166 and rate(expected, found) < 0.005
    differences = Counter()
    for one, other in zip(found, expected, strict=True):
        a, b = ([phone for word in words for phone in word] for words in (one, other))
        for tag, i, j, k, l in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():  # noqa: E741
            if tag != "equal":
                differences["".join(sorted({*a[i:j], *b[k:l]} - {"s", "ss"}))] += 1
    assert set(differences) == {"eɛ", "oɔ"}


@beside
def test_russian_differs_in_vowels_above_all(worker):
    texts, expected = theirs("ru")
    found = phonemes(texts, "ru", worker)
    assert sum(a == b for a, b in zip(found, expected, strict=True)) >= 12
    assert 0.05 < rate(expected, found) < 0.1

    def without_vowels(side):
        return [[[phone for phone in word if phone[0] not in "aeiouyɑɛɪʌɵəʊ"] for word in words] for words in side]

    assert rate(without_vowels(expected), without_vowels(found)) < 0.02


@beside
def test_english_phones_are_the_authors_76(worker):
    inventory = set(json.loads((AUTHORS / "vocab_en.json").read_text(encoding="utf-8")))
    found = {phone for words in phonemes(SENTENCES["en"], "en", worker) for word in words for phone in word}
    assert len(found) > 30 and found <= inventory


@beside
@pytest.mark.parametrize("language", ["es", "fr", "it", "ky", "nl", "ru", "sv", "tt"])
def test_all_phones_are_in_the_authors_inventory(language, worker):
    names = json.loads((AUTHORS / "vocab_sep.json").read_text(encoding="utf-8"))
    inventory = set(json.loads((AUTHORS / "vocab_share.json").read_text(encoding="utf-8")))
    assert len(names) == 527 and len(inventory) == 172
    found = phonemes(SENTENCES[language], language, worker)
    unknown = {p for words in found for word in as_authors(words, language) for p in word} - inventory
    assert unknown == ({"ɭʲ"} if language == "ru" else set())  # in their Russian lines, but not in their inventory


@pytest.mark.parametrize("text", ["", "... ¿?"])
def test_what_has_no_phone_has_no_words_in_any_language(text, worker):
    for language in ("en", "es", "it"):
        assert as_authors(phonemes(text, language, worker), language) == []


def test_words_of_phones(worker):
    assert phonemes("the cat", "en", worker) == [["ð", "ə"], ["k", "æ", "t"]]
    assert phonemes(["the cat", "a dog!"], "en", worker)[1][-1] == ["d", "ɑː", "ɡ"]
    assert line([["ð", "ə"], ["k", "æ", "t"]]) == "ð ə | k æ t |"
    assert phonemes("", "en", worker) == [] and phonemes([], "en", worker) == []


@pytest.mark.parametrize("mark", list(';:,.!?¡¿—…"«»“”'))
def test_punctuation_makes_no_difference(mark, worker):
    assert phonemes(f"we went home{mark} you stayed{mark}", "en", worker) == phonemes(
        "we went home you stayed", "en", worker
    )


def test_flags_of_a_language_switch_are_kept(worker):
    (_, word) = phonemes("читает book", "ru", worker)
    assert word[0] == "(en)" and word[-1] == "(ru)"


def test_chinese_loses_its_tones(worker):
    found = {phone for words in phonemes(SENTENCES["zh"], "zh", worker) for word in words for phone in word}
    assert found and not any(character in "0123456789ɜ˥˦˧˨˩" for phone in found for character in phone)
    assert phonemes("妈", "zh", worker) == phonemes("马", "zh", worker)  # tones 1 and 3
    assert clean("ɑu5", "zh") == "ɑu" and clean("ɜ", "zh") == "ɜ" and clean("ˈɜː", "en") == "ɜː"


def test_words_read_espeaks_own_writing():
    assert words(["l_ˈɔ- m_ɔ", "", "_a__b_"]) == [["l", "ɔ"], ["m", "ɔ"], ["a", "b"]]


def test_the_order_of_texts_makes_no_difference(worker):
    texts = [text for said in SENTENCES.values() for text in said[:4]]
    order = random.Random(0).sample(range(len(texts)), len(texts))
    once = phonemes(texts, "en", worker)
    again = phonemes([texts[k] for k in order], "en", worker)
    assert [once[k] for k in order] == again


def test_an_unknown_language_is_named():
    with pytest.raises(ValueError, match="expected a language among en es fr it ky nl ru sv tr tt zh, found 'de'"):
        phonemes("hallo", "de")


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_what_is_no_text_is_refused(text, worker):
    with pytest.raises(ValueError, match="expected text"):
        phonemes(text, "en", worker)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("unispeech_lab.espeak.process.find_spec", lambda name: None)
    with pytest.raises(EspeakError, match=r"pip install 'unispeech-lab\[speech\]'"):
        phonemes("hello", "en")
