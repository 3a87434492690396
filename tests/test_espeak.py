"""Speech made by espeak-ng: every rule of its labels, and the same bytes for the same recipe."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

pytest.importorskip("espeakng_loader", reason="the optional extra [speech]")

from unispeech_lab import audio
from unispeech_lab.alignment import Span, read_textgrid
from unispeech_lab.cli import app
from unispeech_lab.corpora import espeak, table
from unispeech_lab.corpus import Corpus
from unispeech_lab.espeak import EspeakError, Worker
from unispeech_lab.espeak.acoustics import Acoustics, dress
from unispeech_lab.espeak.labels import PHONEME, LabelError, label
from unispeech_lab.espeak.make import make
from unispeech_lab.espeak.process import Speech
from unispeech_lab.espeak.recipe import Job, Recipe, jobs, parse_range, parse_voices, read_sentences
from unispeech_lab.espeak.voices import ECHO, KLATT, LANGUAGES, VARIANTS, voice
from unispeech_lab.paths import data_dir

SPEECH = data_dir() / "speech"
SENTENCES = read_sentences(SPEECH / "sentences.tsv")
FEW = {"en": ["A cat.", "Two dogs ran."], "it": ["Il gatto."]}


@pytest.fixture(scope="module")
def worker():
    with Worker() as worker:
        yield worker


# --- the labels' rules, on events written by hand (rate 1000: a sample is a millisecond)


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


# --- the same rules, on what espeak-ng says


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sentence_of_ours_is_labelled_in_every_kind_of_voice(language, worker):
    spoken = 0
    for k, text in enumerate(SENTENCES[language]):
        variant = (*VARIANTS, *KLATT)[(7 * k + len(language)) % 50]
        said = worker.speak(text, voice(language, variant), seed=k, rate=(80, 175, 400)[k % 3])
        phones, words = label(said, text, language)
        spoken += len(phones)
        assert all(a.end <= b.start + 1e-9 and a.start < a.end for a, b in zip(phones, phones[1:], strict=False))
        assert "".join(c for c in text if c.isalnum()) == "".join(c for w in words for c in w.label if c.isalnum())
        silent = {
            p.label for p in phones if not said.samples[round(p.start * said.rate) : round(p.end * said.rate)].any()
        }
        assert silent <= {"ʔ"}  # which is nothing but a closure
    assert spoken > 100


def test_closures_end_where_the_release_begins(worker):
    """Of all voiceless stops, the silence ends at the event: the boundary espeak-ng gives is exact."""
    gaps, closures = [], []
    for language in ("en", "es", "fr", "it", "nl", "sv"):
        for text in SENTENCES[language]:
            said = worker.speak(text, voice(language, "m3"))
            releases = [e[3] for e in said.events if e[0] == PHONEME and e[4].lstrip("ˈˌ")[:1] in tuple("ptk")]
            stops = [p for p in label(said, text, language)[0] if p.label[0] in "ptk"]
            for release, stop in zip(releases, stops, strict=True):
                start = round(stop.start * said.rate)
                sounding = start + np.flatnonzero(said.samples[start : release + 2205])[0]
                gaps.append((sounding - release) / said.rate)
                closures.append((release - start) / said.rate)
    assert len(gaps) > 200 and np.median(np.abs(gaps)) < 1e-4 and np.max(np.abs(gaps)) < 2e-3
    assert 0.03 < np.mean(closures) < 0.05


def test_rates_outside_what_is_exact_are_refused(worker):
    for rate in (79, 401, 430):
        with pytest.raises(ValueError, match=f"expected a rate from 80 to 400, found {rate}"):
            worker.speak("no", "gmw/en-US", rate=rate)
    with pytest.raises(ValueError, match="expected a pitch from 0 to 99, found 100"):
        worker.speak("no", "gmw/en-US", pitch=100)


# --- voices


@pytest.mark.parametrize("near", ["fr-fr", "en-gb", "zh", "gmw/en-us", "roa/fr ", ""])
def test_a_voice_that_is_not_exact_raises_and_says_what_there_is(near, worker):
    worker.speak("bonjour", "roa/fr")  # a voice that could silently stay on
    with pytest.raises(EspeakError, match=rf"no voice '{near}'; it has .*gmw/en-US, .*roa/fr, .*sit/cmn"):
        worker.speak("hello", near)


def test_an_unknown_variant_raises_too(worker):
    with pytest.raises(EspeakError, match="no voice 'nonsense'; it has .*f1, .*klatt, .*m3"):
        worker.speak("hello", "gmw/en-US+nonsense")


def test_every_voice_listed_exists(worker):
    languages, variants = worker.voices()
    assert set(LANGUAGES.values()) <= set(languages) and {*VARIANTS, *KLATT, *ECHO} <= set(variants)
    assert not set(VARIANTS) & {*KLATT, *ECHO} and len(set(VARIANTS)) == len(VARIANTS) >= 29


def closures(variant, worker) -> list[bool]:
    """For each p, t, k inside a phrase: whether digital silence comes before its release."""
    said = worker.speak("Take a cup of coffee, Peter, and put it back on top.", f"gmw/en-US+{variant}")
    phones = [(e[3], e[4].lstrip("ˈˌ")) for e in said.events if e[0] == PHONEME]
    inner = [
        b for (_, before), (b, name) in zip(phones, phones[1:], strict=False) if before and name[:1] in tuple("ptk")
    ]
    return [not said.samples[b - 200 : b].any() for b in inner]


@pytest.mark.parametrize("variant", [*VARIANTS[::6], *KLATT[::2]])
def test_voices_in_use_have_silent_closures(variant, worker):
    assert all(closures(variant, worker))


@pytest.mark.parametrize("variant", ["f2", "f3", "f4", "f5", "m2"])
def test_echo_fills_closures_so_those_voices_are_refused(variant, worker):
    assert variant in ECHO and not any(closures(variant, worker))
    with pytest.raises(ValueError, match=f"expected a voice without echo, found '{variant}'"):
        voice("en", variant)
    with pytest.raises(ValueError, match="without echo"):
        Recipe(voices=("m3", variant))


def test_groups_hold_klatt_out():
    assert parse_voices("all") == VARIANTS and not set(parse_voices("bundled all")) & set(KLATT)
    assert parse_voices("klatt plain m3 m3") == (*KLATT, "", "m3")


def test_no_voice_clips_at_the_volume_used(worker):
    for variant in (*VARIANTS[::5], *KLATT):
        samples = worker.speak("Take a cup of coffee.", voice("en", variant)).samples
        assert np.abs(samples.astype(int)).max() < 32767, variant


def test_levels_are_made_equal():
    quiet, loud = (
        espeak.say("Good morning.", voice=v, acoustics=Acoustics(level=(-23, -23))) for v in ("klatt", "klatt4")
    )
    for utterance in (quiet, loud):
        inside = np.concatenate([
            utterance.waveform[round(p.start * 16000) : round(p.end * 16000)] for p in utterance.phones
        ])  # fmt: skip
        assert 20 * np.log10(np.sqrt(np.mean(inside**2))) == pytest.approx(-23, abs=1.5)


# --- reproducible, and never in this process


def test_what_was_said_before_makes_no_difference(worker):
    one = worker.speak("See six ships.", "gmw/en-US+f1", seed=3)
    worker.speak("Où est la clé ?", "roa/fr+klatt", seed=9, rate=300)
    two = worker.speak("See six ships.", "gmw/en-US+f1", seed=3)
    with Worker() as fresh:
        three = fresh.speak("See six ships.", "gmw/en-US+f1", seed=3)
    assert one.samples.tobytes() == two.samples.tobytes() == three.samples.tobytes()
    assert one.events == two.events == three.events


def test_the_seed_decides_the_noise_and_nothing_else_does(worker):
    said = [worker.speak("See six ships.", "gmw/en-US+victor", seed=seed) for seed in (1, 2, 2)]  # a voice with noise
    sounds = [one.samples.tobytes() for one in said]
    assert sounds[0] != sounds[1] == sounds[2] and said[0].events == said[1].events


def test_threads_that_share_a_worker_get_their_own_answers(worker):
    texts = [text for said in SENTENCES.values() for text in said[:2]]
    alone = [worker.speak(text, "gmw/en-US").samples.tobytes() for text in texts]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda text: worker.speak(text, "gmw/en-US").samples.tobytes(), texts))
    assert together == alone


def test_the_library_is_never_loaded_here():
    code = "import sys; from unispeech_lab.corpora import espeak; espeak.say('hello');"
    code += "maps = open('/proc/self/maps').read(); print('espeak-ng' in maps, 'espeakng_loader' in sys.modules)"
    if not Path("/proc/self/maps").exists():
        pytest.skip("needs /proc")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_a_worker_that_dies_says_on_what():
    with Worker() as worker:
        worker._process.kill()
        with pytest.raises(EspeakError, match=r"the espeak-ng process ended with code -?\d+ on 'hello'"):
            worker.speak("hello", "gmw/en-US")


def test_no_private_copy_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Worker() as worker:
        for _ in range(3):
            worker.speak("hello", "gmw/en-US")
        with pytest.raises(EspeakError):
            worker.speak("hello", "nobody")
    assert not list(tmp_path.iterdir())


# --- acoustics


def clean(seconds=1.0):
    sound = np.zeros(round(16_000 * seconds), np.float32)
    sound[4_000:8_000] = 0.2 * np.sin(np.arange(4_000) / 5)
    return sound


def dressed(seed=0, **ranges):
    return dress(clean(), Acoustics(**ranges), torch.Generator().manual_seed(seed))


def test_padding_moves_and_level_scales():
    waveform, later = dressed(padding=(0.25, 0.25), level=(-23, -23), noise=(120, 120))
    assert later == 0.25 and len(waveform) == 24_000 and waveform.dtype == np.float32
    rms = np.sqrt(np.mean(waveform[8_000:12_000] ** 2))
    assert 20 * np.log10(rms) == pytest.approx(-23, abs=0.05)


def test_noise_is_as_loud_as_said_and_everywhere():
    for clearance in (10, 30, 50):
        waveform, _ = dressed(padding=(0.2, 0.2), level=(-23, -23), noise=(clearance, clearance))
        still = np.concatenate([waveform[:7_000], waveform[12_000:]])
        assert 20 * np.log10(np.sqrt(np.mean(still**2))) == pytest.approx(-23 - clearance, abs=1.5)
        assert (still == 0).mean() < 0.01


def test_a_room_rings_for_as_long_as_said_and_keeps_the_onset():
    dry, _ = dressed(noise=(120, 120), padding=(0.1, 1))
    wet, later = dressed(noise=(120, 120), padding=(0.1, 1), room=(0.4, 0.4))
    onset = round(later * 16_000) + 4_000
    assert np.abs(wet[: onset - 1]).max() < 1e-4 < np.abs(wet[onset : onset + 20]).max()
    end = onset + 4_000

    def energy(sound, after):
        return 10 * np.log10(np.mean(sound[end + round(16_000 * after) :][:1_600] ** 2) + 1e-20)

    assert energy(wet, 0.02) > energy(dry, 0.02) + 30
    assert energy(wet, 0.02) - energy(wet, 0.22) == pytest.approx(30, abs=5)  # 60 dB in 0.4 s


def test_draws_belong_to_the_generator():
    one, again, other = dressed(0, room=(0.1, 0.5))[0], dressed(0, room=(0.1, 0.5))[0], dressed(1, room=(0.1, 0.5))[0]
    np.testing.assert_array_equal(one, again)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_peaks_stay_below_full_scale():
    assert np.abs(dressed(level=(0, 0), noise=(5, 5))[0]).max() <= 0.98


def test_silence_cannot_be_dressed():
    with pytest.raises(ValueError, match="expected speech, found silence"):
        dress(np.zeros(100, np.float32), Acoustics(), torch.Generator())


# --- say, load


def test_say():
    utterance = espeak.say("The cat sat.", voice="m3", seed=4)
    assert [w.label for w in utterance.words] == ["The", "cat", "sat"] and utterance.speaker == "m3"
    assert "".join(p.label for p in utterance.phones) == "ðəkætsæt" and utterance.language == "en"
    np.testing.assert_array_equal(utterance.waveform, espeak.say("The cat sat.", voice="m3", seed=4).waveform)


def test_load_says_every_text_by_every_voice():
    corpus = espeak.load(["A cat.", "A dog."], voices=["f1", ""], rate=200)
    assert list(corpus.table["id"]) == ["en_0_f1", "en_0_plain", "en_1_f1", "en_1_plain"]


@pytest.mark.parametrize("nothing", ["", "...", "   "])
def test_what_cannot_be_said_raises_or_is_left_out(nothing):
    with pytest.raises(ValueError, match=r"en_1_f1: expected something to say, found"):
        espeak.load(["A cat.", nothing])
    with pytest.warns(UserWarning, match=r"left out en_1_f1: expected something to say"):
        assert len(espeak.load(["A cat.", nothing], on_error="skip")) == 1


# --- make


def same(one: Path, other: Path) -> bool:
    files = [sorted(f.relative_to(root) for f in root.rglob("*") if f.is_file()) for root in (one, other)]
    return files[0] == files[1] and all((one / f).read_bytes() == (other / f).read_bytes() for f in files[0])


RECIPE = Recipe(("en", "it"), ("f1", "m3"), number=3, room=(0.1, 0.3))


def test_the_number_of_workers_changes_no_byte(tmp_path):
    for workers in (1, 3):
        assert make(tmp_path / str(workers), RECIPE, FEW, workers) == []
    assert same(tmp_path / "1", tmp_path / "3")
    corpus = table.load(tmp_path / "1" / "manifest.tsv")
    assert list(corpus.table["id"]) == [f"{language}_{k:05d}" for k in range(3) for language in ("en", "it")]
    assert list(corpus.table["speaker"]) == ["f1", "f1", "m3", "m3", "m3", "f1"]  # in turn, and shifted every round
    assert all(len(u.phones) > 3 for u in corpus)


def test_another_seed_makes_other_sounds(tmp_path):
    for seed in (0, 1):
        make(tmp_path / str(seed), replace(RECIPE, seed=seed), FEW)
    one, other = (table.load(tmp_path / str(seed) / "manifest.tsv").table for seed in (0, 1))
    assert set(one["sha256"]).isdisjoint(other["sha256"]) and list(one["text"]) == list(other["text"])


class Stop(BaseException):
    pass


def test_a_run_that_was_stopped_goes_on_and_ends_the_same(tmp_path):
    make(tmp_path / "whole", RECIPE, FEW)

    def stop(fraction):
        if fraction > 0.6:
            raise Stop

    with pytest.raises(Stop):
        make(tmp_path / "stopped", RECIPE, FEW, progress=stop)
    kept = {f: f.stat().st_mtime_ns for f in (tmp_path / "stopped").rglob("*.flac")}
    assert 0 < len(kept) < 6 and not (tmp_path / "stopped" / "manifest.tsv").exists()
    with (tmp_path / "stopped" / "manifest.tsv.part").open("a") as part:
        part.write("it_00001\tit/it_00001.flac\tcut sh")  # the power went off in the middle of a line
    fractions = []
    make(tmp_path / "stopped", RECIPE, FEW, progress=fractions.append)
    assert same(tmp_path / "whole", tmp_path / "stopped") and fractions == sorted(fractions) and fractions[-1] == 1
    assert all(file.stat().st_mtime_ns == time for file, time in kept.items())  # what was there was not made again


def test_a_file_that_was_harmed_is_made_again(tmp_path):
    make(tmp_path / "whole", RECIPE, FEW)
    shutil.copytree(tmp_path / "whole", tmp_path / "harmed")
    (tmp_path / "harmed" / "en" / "en_00001.flac").write_bytes(b"")
    (tmp_path / "harmed" / "it" / "it_00001.TextGrid").unlink()
    make(tmp_path / "harmed", RECIPE, FEW)
    assert same(tmp_path / "whole", tmp_path / "harmed")


def test_a_folder_of_another_recipe_is_left_alone(tmp_path):
    make(tmp_path, RECIPE, FEW)
    for recipe, said, what in (
        (replace(RECIPE, seed=5), FEW, "seed"),
        (RECIPE, {**FEW, "en": ["No."]}, "sentences_sha256"),
    ):
        with pytest.raises(ValueError, match=rf"recipe\.json: expected the recipe of this run, found another {what}:"):
            make(tmp_path, recipe, said)


def test_hours_are_counted_the_same_by_any_number_of_workers(tmp_path):
    recipe = Recipe(("en", "it"), ("f1",), hours=20 / 3600, mix=True)
    for workers in (1, 4):
        make(tmp_path / str(workers), recipe, FEW, workers)
    assert same(tmp_path / "1", tmp_path / "4")
    seconds = table.load(tmp_path / "1" / "manifest.tsv").table["seconds"]
    assert 20 <= seconds.sum() < 20 + seconds.max() and seconds.iloc[:-1].sum() < 20


def test_mixed_sentences_are_drawn_from_the_words_of_a_language():
    drawn = [job.text for job in jobs(Recipe(("en",), number=30, mix=True), SENTENCES)]
    known = {word.strip(".,?").lower() for text in SENTENCES["en"] for word in text.split()}
    assert len(set(drawn)) == 30 and {w.strip(".").lower() for text in drawn for w in text.split()} <= known
    assert all(3 <= len(text.split()) <= 7 for text in drawn)
    assert len(next(jobs(Recipe(("zh",), number=1, mix=True), SENTENCES)).text) > 8


def test_what_cannot_be_labelled_is_left_out_and_named(tmp_path):
    refused = make(tmp_path, Recipe(("en",), ("f1",)), {"en": ["A cat.", "...", "A dog."]})
    assert len(refused) == 1 and refused[0].startswith("en_00001: expected something to say, found '...'")
    assert list(table.load(tmp_path / "manifest.tsv").table["id"]) == ["en_00000", "en_00002"]


def test_hours_of_nothing_come_to_an_end(tmp_path):
    with pytest.raises(LabelError, match="21 utterances refused, 0 made; the last: expected something to say"):
        make(tmp_path, Recipe(("en",), ("f1",), hours=1), {"en": ["..."]})


def test_borrowed_times_travel_in_a_tier_of_their_own():
    marked = [u for u in Corpus.bundled().where(language=["nl", "ky"]) if any(p.score == 0.0 for p in u.phones)]
    assert len(marked) > 5
    file = SPEECH / Corpus.bundled().table.set_index("id").loc[marked[0].id, "alignment"]
    assert len(read_textgrid(file)["borrowed"]) == sum(p.score == 0.0 for p in marked[0].phones)


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="the bytes were made on Linux x86-64"
)
def test_the_bundled_corpus_is_made_again_byte_for_byte(tmp_path):
    from unispeech_lab.espeak.make import utterance

    recipe, done = Recipe(), Corpus.bundled().table.set_index("id")
    with Worker() as worker:
        for job in list(jobs(recipe, SENTENCES))[::13]:
            made, transcript = utterance(job, recipe.acoustics, worker)
            assert hashlib.sha256(audio.flac(made.waveform)).hexdigest() == done.loc[job.id, "sha256"], job.id
            assert transcript == done.loc[job.id, "phones"]
            assert made.phones == Corpus.bundled()[job.id].phones and made.words == Corpus.bundled()[job.id].words


# --- doors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": ("de",)}, "expected a language among en es fr .*, found 'de'"),
        ({"languages": ()}, "expected at least one language and one voice"),
        ({"number": 3, "hours": 1.0}, "expected a number or hours, found both: 3 utterances and 1.0 hours"),
        ({"number": 0}, "expected something to make, found number 0"),
        ({"hours": -1.0}, "expected something to make, found number None and hours -1.0"),
        ({"rate": (120, 430)}, "expected rate as low:high within 80 to 400, found 120:430"),
        ({"pitch": (60, 50)}, "expected pitch as low:high within 0 to 99, found 60:50"),
        ({"room": (0, 9)}, "expected room as low:high within 0 to 3, found 0:9"),
        ({"level": (-20, float("nan"))}, "expected level as low:high within -60 to 0"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**options)


def test_ranges_are_read():
    assert parse_range("125:155", int) == (125, 155) and parse_range("-20") == (-20, -20)
    for wrong in ("", "a:b", "1:2:3", ":"):
        with pytest.raises(ValueError, match=f"expected a number or low:high, found '{wrong}'"):
            parse_range(wrong)


@pytest.mark.parametrize("line", ["en Good morning", "xx\tGood", "en\t", "\tGood"])
def test_a_broken_line_of_sentences_is_named(line, tmp_path):
    (tmp_path / "s.tsv").write_text(f"# ours\n\nen\tA cat.\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"s\.tsv, line 4: expected a language among en .*, a tab and a sentence"):
        read_sentences(tmp_path / "s.tsv")


def test_sentences_that_are_not_utf8_are_named(tmp_path):
    (tmp_path / "s.tsv").write_bytes(b"en\tA cat.\nfr\tO\xf9\n")
    with pytest.raises(ValueError, match=r"s\.tsv: expected UTF-8 text") as caught:
        read_sentences(tmp_path / "s.tsv")
    assert not isinstance(caught.value, UnicodeDecodeError)


def test_a_language_without_sentences_is_named(tmp_path):
    with pytest.raises(ValueError, match="expected sentences in 'fr', found them in en it"):
        make(tmp_path, Recipe(("en", "fr")), FEW)


# --- the command


def run(*arguments):
    return CliRunner().invoke(app, ["corpus", "make", *map(str, arguments)], env={"COLUMNS": "400", "NO_COLOR": "1"})


def test_the_command_makes_what_the_function_makes(tmp_path):
    (tmp_path / "s.tsv").write_text("en\tA cat.\nen\tTwo dogs ran.\nit\tIl gatto.\n", encoding="utf-8")
    options = ["--languages", "en it", "--voices", "f1 m3", "--number", 3, "--room", "0.1:0.3", "--workers", 2]
    done = run(tmp_path / "made", "--sentences", tmp_path / "s.tsv", *options)
    assert done.exit_code == 0 and "6 utterances" in done.output
    make(tmp_path / "expected", RECIPE, FEW)
    assert same(tmp_path / "made", tmp_path / "expected")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--voices", "f2"], "expected a voice without echo"),
        (["--voices", "nobody"], "no voice 'nobody'; it has"),
        (["--languages", "de"], "expected a language among"),
        (["--rate", "fast"], "expected a number or low:high, found 'fast'"),
        (["--sentences", "gone.tsv"], "gone.tsv"),
    ],
)
def test_the_command_says_what_is_wrong(options, message, tmp_path):
    done = run(tmp_path / "made", *options)
    assert done.exit_code == 2 and message in " ".join(done.output.split()) and "Traceback" not in done.output


def test_the_default_command_would_make_the_bundled_corpus(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("unispeech_lab.espeak.make.make", lambda *arguments: seen.append(arguments) or [])
    (tmp_path / "manifest.tsv").write_text("id\n")
    assert run(tmp_path).exit_code == 0
    assert seen[0][1:4] == (Recipe(), SENTENCES, os.cpu_count())
    assert json.loads((SPEECH / "recipe.json").read_text())["seed"] == 0


def test_a_job_knows_its_voice():
    assert Job("x", "", "fr", "f1", 150, 50, 0).voice == "roa/fr+f1" and voice("zh") == "sit/cmn"
