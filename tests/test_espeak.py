"""espeak-ng in its process: exact names, exact times, the same sound for the same request."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("espeakng_loader", reason="the optional extra [speech]")

from unispeech_lab.corpora import espeak
from unispeech_lab.espeak import EspeakError, Worker, process
from unispeech_lab.espeak.acoustics import Acoustics
from unispeech_lab.espeak.labels import PHONEME, label
from unispeech_lab.espeak.recipe import Recipe, parse_voices, read_sentences
from unispeech_lab.espeak.voices import ECHO, KLATT, LANGUAGES, VARIANTS, voice
from unispeech_lab.paths import data_dir

SPEECH = data_dir() / "speech"
SENTENCES = read_sentences(SPEECH / "sentences.tsv")


@pytest.fixture(scope="module")
def worker():
    with Worker() as worker:
        yield worker


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


def test_what_was_said_before_makes_no_difference(worker):
    one = worker.speak("See six ships.", "gmw/en-US+f1", seed=3)
    worker.speak("Où est la clé ?", "roa/fr+klatt", seed=9, rate=300)
    two = worker.speak("See six ships.", "gmw/en-US+f1", seed=3)
    with Worker() as fresh:
        three = fresh.speak("See six ships.", "gmw/en-US+f1", seed=3)
    assert one.samples.tobytes() == two.samples.tobytes() == three.samples.tobytes()
    assert one.events == two.events == three.events


def test_every_copy_of_the_library_is_private():
    code = f"import sys; sys.path.insert(0, {str(Path(process.__file__).parent)!r}); import worker\n"
    code += "with worker.Copy() as one, worker.Copy() as other:\n"
    code += "    one.set_voice('roa/fr'); other.set_voice('gmw/en-US')\n"
    code += "    print(one.library.espeak_GetCurrentVoice().contents.identifier.decode())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "roa/fr"


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
