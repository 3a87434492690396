"""The labels of made speech, rule by rule, on events written by hand (at 1000 samples a second: milliseconds)."""

import numpy as np
import pytest

from unispeech_lab.alignment import Span
from unispeech_lab.espeak.labels import PHONEME, LabelError, label
from unispeech_lab.espeak.process import Speech


def speech(events, names, loud, length=1000):
    """``events``: (sample, name); ``loud``: stretches [start, end) that are not digital silence."""
    samples = np.zeros(length, np.int16)
    for start, end in loud:
        samples[start:end] = 100
    return Speech(samples, 1000, [[PHONEME, 1, 0, sample, name] for sample, name in events], names)


def spans(*args, language=""):
    phones, _ = label(speech(*args), "x" * 50, language)
    return [(p.label, round(p.start * 1000), round(p.end * 1000), p.score) for p in phones]


def test_a_phone_ends_where_the_next_begins():
    assert spans([(10, "m"), (100, "ˈa"), (300, "")], ["m_ˈa"], [(10, 300)]) == [
        ("m", 10, 100, None),
        ("a", 100, 300, None),
    ]


@pytest.mark.parametrize("stop", ["p", "t", "k", "tʃ", "q", "b"])
def test_the_silence_before_a_stop_is_its_closure(stop):
    found = spans([(0, "a"), (140, stop), (160, "a"), (300, "")], [f"a_{stop}_a"], [(0, 100), (140, 300)])
    assert found == [("a", 0, 100, None), (stop, 100, 160, None), ("a", 160, 300, None)]


def test_the_silence_before_another_phone_stays_with_the_phone_before():
    found = spans([(0, "a"), (112, "s"), (300, "")], ["a_s"], [(0, 100), (112, 300)])
    assert found == [("a", 0, 112, None), ("s", 112, 300, None)]


def test_a_long_closure_is_one_closure():
    found = spans([(0, "a"), (221, "t"), (240, "o"), (300, "")], ["a_tː_o"], [(0, 100), (221, 300)])
    assert found[1] == ("tː", 100, 240, None)


def test_a_closure_does_not_reach_over_the_event_before():
    found = spans([(0, "a"), (100, "s"), (200, "t"), (220, "")], ["a_s_t"], [(0, 60), (200, 220)])
    assert found[2][:2] == ("t", 100) and found[1][0] == "s"  # s has no sound at all: see below


def test_a_stop_after_a_pause_claims_50_ms_of_it():
    found = spans([(0, "a"), (100, ""), (400, "k"), (430, "a"), (500, "")], ["a", "k_a"], [(0, 100), (400, 500)])
    assert found == [("a", 0, 100, None), ("k", 350, 430, None), ("a", 430, 500, None)]


def test_a_nameless_event_over_silence_is_a_pause():
    found = spans([(0, "a"), (100, ""), (400, "m"), (500, "")], ["a", "m"], [(0, 100), (400, 500)])
    assert found == [("a", 0, 100, None), ("m", 400, 500, None)]


def test_a_nameless_sound_before_r_belongs_to_the_r():
    found = spans([(0, "o"), (100, ""), (130, "r"), (200, "")], ["o__r"], [(0, 200)])
    assert found == [("o", 0, 100, None), ("r", 100, 200, None)]


def test_a_nameless_glide_belongs_to_the_phone_before_it():
    found = spans([(0, "i"), (100, ""), (146, "a"), (300, "")], ["i__a"], [(0, 300)])
    assert found == [("i", 0, 146, None), ("a", 146, 300, None)]


def test_palatalisation_belongs_to_its_consonant():
    found = spans([(0, "r"), (50, "ʲ"), (80, "i"), (200, "")], ["rʲ_i"], [(0, 200)])
    assert found == [("rʲ", 0, 80, None), ("i", 80, 200, None)]


def test_a_phone_of_no_length_takes_a_third_of_the_vowel_after_it():
    found = spans([(0, "f"), (100, "w"), (100, "a"), (400, "")], ["f_w_a"], [(0, 400)])
    assert found == [("f", 0, 100, None), ("w", 100, 200, 0.0), ("a", 200, 400, None)]


def test_a_phone_of_no_length_in_a_coda_takes_a_third_of_the_phone_before():
    found = spans([(0, "ɑ"), (300, "l"), (300, "s"), (400, "")], ["ɑ_l_s"], [(0, 400)])
    assert found == [("ɑ", 0, 200, None), ("l", 200, 300, 0.0), ("s", 300, 400, None)]


def test_a_phone_of_silence_alone_takes_a_third_as_well():
    found = spans([(0, "ɪ"), (300, "l"), (325, "j"), (400, "")], ["ɪ_l j"], [(0, 300), (325, 400)])
    assert found == [("ɪ", 0, 200, None), ("l", 200, 300, 0.0), ("j", 325, 400, None)]


def test_a_phone_with_nothing_to_take_is_refused():
    with pytest.raises(LabelError, match="phone 1, 'l', has no length"):
        spans([(0, "l"), (0, ""), (300, "")], ["l"], [])


def test_full_names_come_from_the_writing():
    assert [s[0] for s in spans([(0, "ˈi"), (99, "t"), (120, "")], ["ˈiː_tː"], [(0, 60), (99, 120)])] == ["iː", "tː"]
    assert spans([(0, "ɑu"), (99, "")], ["ˈɑu5_"], [(0, 99)], language="zh") == [("ɑu", 0, 99, None)]


def test_language_flags_are_no_phones():
    events = [(0, "(en)"), (10, "b"), (60, "ʊ"), (100, "(ru)"), (100, "")]
    assert [s[0] for s in spans(events, ["(en)_b_ˈʊ_(ru)"], [(10, 100)])] == ["b", "ʊ"]


@pytest.mark.parametrize("names", [["a_s_a"], ["a_t"], ["a_t_a_a"], [], ["a_t_o"]])
def test_names_that_do_not_match_one_to_one_are_refused(names):
    with pytest.raises(
        LabelError, match=r"expected phone \d of 'x+' to be .* as it is written, found .* as it was spoken"
    ):
        spans([(0, "a"), (99, "t"), (120, "a"), (300, "")], names, [(0, 300)])


def test_words_carry_the_text_and_punctuation_is_left_out():
    text = '"Ja," 1995 hem.'
    events = [[PHONEME, position, 0, k * 100, "a"] for k, position in enumerate([2, 2, 7, 8, 12])]
    made = Speech(np.full(500, 9, np.int16), 1000, events, ["a_a a_a a"])
    assert label(made, text)[1] == (Span("Ja", 0, 0.2), Span("1995", 0.2, 0.4), Span("hem", 0.4, 0.5))
