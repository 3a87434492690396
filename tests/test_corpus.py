"""Utterances and corpora: sound read late, in any form; tables that index, filter and show themselves."""

import io
import re
from base64 import b64decode
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from unispeech_lab import audio, listen
from unispeech_lab.alignment import Span, write_textgrid
from unispeech_lab.audio import AudioError
from unispeech_lab.corpus import Corpus, Utterance, tiers


def tone(seconds=0.5, rate=16_000, hertz=440.0):
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channels_become_the_same_tone(rate, channels, tmp_path):
    sound = np.repeat(tone(0.5, rate)[:, None], channels, axis=1)
    soundfile.write(tmp_path / "a.wav", sound, rate, subtype="FLOAT")
    waveform = Utterance("a", tmp_path / "a.wav").waveform
    assert waveform.dtype == np.float32 and waveform.ndim == 1 and abs(len(waveform) - 8_000) <= 1
    middle = slice(1_000, 7_000)  # a resampler rings at the ends
    np.testing.assert_allclose(waveform[middle], tone()[middle], atol=2e-3)


@pytest.mark.parametrize(
    ("format", "subtype", "close"),
    [
        ("WAV", "PCM_16", 1e-4),
        ("WAV", "PCM_U8", 1e-2),
        ("WAV", "PCM_24", 1e-4),
        ("WAV", "DOUBLE", 1e-6),
        ("WAV", "ULAW", 2e-2),
        ("FLAC", "PCM_16", 1e-4),
        ("FLAC", "PCM_24", 1e-4),
        ("AIFF", "PCM_16", 1e-4),
        ("OGG", "VORBIS", 5e-2),
        ("OGG", "OPUS", 8e-2),
        ("MP3", "MPEG_LAYER_III", 8e-2),
    ],
)
def test_any_format_is_read(format, subtype, close, tmp_path):
    rate = 48_000 if subtype == "OPUS" else 16_000
    soundfile.write(tmp_path / "a.sound", tone(1.0, rate), rate, format=format, subtype=subtype)
    waveform = audio.read(tmp_path / "a.sound")
    lag = np.correlate(waveform[: 16_000 + 2_000], tone(0.5), "valid")[:2_000].argmax()  # some codecs start late
    heard = waveform[lag + 1_000 : lag + 7_000]
    np.testing.assert_allclose(heard, tone(0.5)[1_000:7_000], atol=close)


def test_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.stack([tone(), -tone()], axis=1), 16_000)
    assert np.abs(audio.read(tmp_path / "a.wav")).max() < 1e-4


@pytest.mark.parametrize("dtype", ["int16", "int32", "uint8", "float32", "float64"])
def test_samples_of_any_kind_keep_their_loudness(dtype):
    scale = {"int16": 32768, "int32": 2**31, "uint8": 128}.get(dtype, 1)
    samples = (tone().astype(np.float64) * scale + (128 if dtype == "uint8" else 0)).astype(dtype)
    np.testing.assert_allclose(Utterance("a", samples).waveform, tone(), atol=1e-2 if dtype == "uint8" else 1e-4)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((2, 3, 4)), r"utterance 'a': expected samples of shape \(n,\) or \(n, channels\), found .*2, 3, 4"),
        (np.array(["x"]), "utterance 'a': expected numbers as samples"),
        (np.array([0.0, np.nan]), "utterance 'a': expected finite samples, found NaN or infinity"),
    ],
)
def test_samples_that_are_none_are_refused(samples, message):
    with pytest.raises(AudioError, match=message):
        Utterance("a", samples).waveform  # noqa: B018


def break_sound(folder, how):
    file = folder / f"{how}.flac"
    soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    whole = file.read_bytes()
    content = {"text": b"not a sound\n", "nothing": b"", "half": whole[: len(whole) // 2], "gone": None}[how]
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    return file


@pytest.mark.parametrize("how", ["text", "nothing", "half", "gone"])
def test_a_broken_sound_is_named(how, tmp_path):
    with pytest.raises(AudioError, match=rf"{how}\.flac: expected"):
        audio.read(break_sound(tmp_path, how))


def test_a_wav_without_samples_is_named(tmp_path):
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    for look in (audio.read, audio.header):
        with pytest.raises(AudioError, match=r"empty\.wav: expected sound, found a file of 0 samples"):
            look(tmp_path / "empty.wav")


@pytest.mark.parametrize("format", ["WAV", "FLAC", "MP3", "AIFF", "AU"])
def test_a_sound_cut_short_is_named(format, tmp_path):
    soundfile.write(tmp_path / "a.snd", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000, format=format)
    whole = (tmp_path / "a.snd").read_bytes()
    assert (
        audio.header(tmp_path / "a.snd").seconds == pytest.approx(1, abs=0.1) and audio.read(tmp_path / "a.snd").any()
    )
    (tmp_path / "a.snd").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AudioError, match=r"a\.snd: expected .*(cut short|lost sync)"):
        audio.read(tmp_path / "a.snd")


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_from_a_pipe_may_leave_its_length_open(length, tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(), 16_000)
    written = bytearray((tmp_path / "a.wav").read_bytes())
    where = written.index(b"data") + 4
    written[where : where + 4] = length.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(written)
    assert audio.header(tmp_path / "a.wav").frames == len(audio.read(tmp_path / "a.wav")) == 8_000


def test_check_raises_on_the_first_or_leaves_out_and_names_all(tmp_path):
    soundfile.write(tmp_path / "good.flac", tone(), 16_000)
    for how in ("half", "text"):
        break_sound(tmp_path, how)
    table = pd.DataFrame({"id": ["h", "g", "t"], "path": ["half.flac", "good.flac", "text.flac"]})
    corpus = Corpus(table, tmp_path)
    with pytest.raises(AudioError, match=r"^h: .*half\.flac"):
        corpus.check()
    with pytest.warns(UserWarning) as warnings:
        assert list(corpus.check("skip").table["id"]) == ["g"]
    assert [re.search(r"left out (\w): .*\w+\.flac", str(w.message))[1] for w in warnings] == ["h", "t"]
    with pytest.raises(ValueError, match="expected on_error 'raise' or 'skip', found 'ignore'"):
        corpus.check("ignore")


def test_sound_is_read_late_and_once(tmp_path, monkeypatch):
    reads = []
    real = audio.read
    monkeypatch.setattr(audio, "read", lambda file: reads.append(file) or real(file))
    soundfile.write(tmp_path / "a.wav", tone(), 16_000)
    utterance = Corpus(pd.DataFrame({"id": ["a"], "path": ["a.wav"]}), tmp_path)[0]
    assert repr(utterance) == "Utterance('a': '')" and not reads
    assert utterance.seconds == 0.5 and utterance.waveform is utterance.waveform
    assert reads == [tmp_path / "a.wav"]


def test_an_open_file_is_read_too():
    file = io.BytesIO(audio.flac(tone()))
    np.testing.assert_allclose(audio.read(file), tone(), atol=1e-4)


UTTERANCE = Utterance(
    "u1",
    tone(1.0),
    "the <cat>",
    "en",
    "f1",
    (Span("ð", 0.1, 0.2), Span("ə", 0.2, 0.3), Span("k", 0.5, 0.7, score=0.0)),
    (Span("the", 0.1, 0.3), Span("cat", 0.5, 0.7)),
)


def test_a_clip_cuts_sound_and_spans_alike():
    clip = UTTERANCE.clip(0.15, 0.6)
    assert clip.text == "the cat" and clip.id == "u1[0.15-0.60]"
    np.testing.assert_array_equal(clip.waveform, UTTERANCE.waveform[2_400:9_600])
    assert [p.label for p in clip.phones] == ["ð", "ə", "k"] and clip.phones[2].score == 0.0
    np.testing.assert_allclose([(p.start, p.end) for p in clip.phones], [(0, 0.05), (0.05, 0.15), (0.35, 0.45)])
    later = UTTERANCE.clip(0.3, 1.0)
    assert [p.label for p in later.phones] == ["k"] and later.text == "cat"
    assert Utterance("x", tone(1.0), "all of it").clip(0, 0.5).text == "all of it"  # nobody knows which words


@pytest.mark.parametrize(("start", "end"), [(0.5, 0.5), (-0.1, 0.5), (0.5, 1.1), (0.6, 0.5), (0.5, 0.500001)])
def test_a_clip_outside_is_refused(start, end):
    with pytest.raises(ValueError, match="expected"):
        UTTERANCE.clip(start, end)


def test_an_utterance_written_in_a_cell_plays_and_can_be_read():
    shown = UTTERANCE._repr_mimebundle_()
    assert shown["text/plain"].startswith("Utterance('u1': 'the <cat>', en, f1, 1.00 s, 3 phones, 2 words)")
    html = shown["text/html"]
    assert "the &lt;cat&gt;" in html and "<cat>" not in html  # text is untrusted
    sound = re.search(r'<audio controls [^>]*src="data:audio/flac;base64,([^"]+)"', html)[1]
    np.testing.assert_allclose(audio.read(io.BytesIO(b64decode(sound))), UTTERANCE.waveform, atol=1e-4)
    words = re.search(r'<img alt="([^"]+)"', html)[1]
    assert words.startswith("Waveform of 1.00 seconds, loudest at") and words.endswith("over 3 phones: ð ə k.")


def test_the_still_picture_draws_each_phone_where_it_is():
    svg = ElementTree.fromstring(listen.svg(UTTERANCE))  # well-formed, whatever the labels
    texts = [(t.text, float(t.get("x"))) for t in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[:3] == [("ð", 114.0), ("ə", 190.0), ("k", 456.0)] and [t for t, _ in texts[3:]] == ["the", "cat"]
    dashed = [r.get("stroke-dasharray") for r in svg.iter("{http://www.w3.org/2000/svg}rect")][1:]
    assert dashed == [None, None, "2", None, None]  # the k has times by convention


def test_a_broken_utterance_says_so_in_its_cell(tmp_path):
    shown = Utterance("a", break_sound(tmp_path, "text"))._repr_mimebundle_()
    assert set(shown) == {"text/plain"} and "text.flac: expected a sound file" in shown["text/plain"]


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(1), np.zeros(10)])
def test_silence_and_nothing_are_shown_too(samples):
    assert "<audio" in Utterance("a", samples)._repr_mimebundle_()["text/html"]


@pytest.fixture
def corpus(tmp_path):
    for name in "abcd":
        soundfile.write(tmp_path / f"{name}.wav", tone(), 16_000)
    spans = {"phones": [Span("x", 0.1, 0.2), Span("y", 0.2, 0.4)], "words": [Span("xy", 0.1, 0.4)]}
    write_textgrid(tmp_path / "b.TextGrid", {**spans, "borrowed": spans["phones"][1:]}, 0.5)
    table = pd.DataFrame(
        {
            "id": list("abcd"),
            "path": [f"{name}.wav" for name in "abcd"],
            "language": ["en", "en", "zh", None],
            "text": ["one", "two", None, "four"],
            "alignment": [None, "b.TextGrid", None, None],
            "age": [1, 2, 3, 4],
        }
    )
    return Corpus(table, tmp_path, "test")


def test_indexing(corpus):
    assert len(corpus) == 4 and [u.id for u in corpus] == list("abcd")
    assert corpus[0].id == corpus[-4].id == corpus["a"].id == "a" and corpus[np.int64(3)].id == "d"
    assert [u.id for u in corpus[1:3]] == ["b", "c"] and isinstance(corpus[1:3], Corpus)
    assert [u.id for u in corpus[["d", "a"]]] == ["d", "a"] and [u.id for u in corpus[[2, 0]]] == ["c", "a"]
    assert [u.id for u in corpus[corpus.table["age"] > 2]] == ["c", "d"]
    assert "a" in corpus and "e" not in corpus and corpus["c"].text == "" and corpus["d"].language == ""
    with pytest.raises(IndexError, match="expected a position from -4 to 3, found 4"):
        corpus[4]
    with pytest.raises(KeyError, match="no utterance 'aa' among 4; there is a"):
        corpus["aa"]
    with pytest.raises(IndexError, match="expected a mask of 4, found one of 2"):
        corpus[[True, False]]


def test_where(corpus):
    assert [u.id for u in corpus.where(language="en")] == ["a", "b"]
    assert [u.id for u in corpus.where(language=["en", "zh"], age=(2, 3))] == ["b", "c"]
    assert [u.id for u in corpus.where(lambda t: t["age"] > 3)] == ["d"]
    assert len(corpus.where(language="nl")) == 0
    with pytest.raises(KeyError, match=r"no column 'lang'; there is id, text, language"):
        corpus.where(lang="en")


def test_a_sample_belongs_to_its_generator(corpus):
    def draw(seed):
        return [u.id for u in corpus.sample(3, torch.Generator().manual_seed(seed))]

    assert draw(0) == draw(0) and len(set(draw(0))) == 3
    assert len({tuple(draw(seed)) for seed in range(20)}) > 5
    with pytest.raises(ValueError, match="expected a number from 0 to 4, found 5"):
        corpus.sample(5, torch.Generator())


def test_tiers_come_with_the_utterance_and_borrowed_times_are_marked(corpus):
    assert corpus["b"].phones == (Span("x", 0.1, 0.2), Span("y", 0.2, 0.4, score=0.0))
    assert corpus["b"].words == (Span("xy", 0.1, 0.4),) and corpus["a"].phones == ()


@pytest.mark.parametrize(
    "names",
    [
        ("phones", "words"),
        ("Speaker 1 - phones", "Speaker 1 - words"),
        ("Phone", "word"),
        ("MAU", "ORT-MAU"),
        ("Segments", "Words"),
    ],
)
def test_tiers_are_found_by_their_names(names, tmp_path):
    write_textgrid(
        tmp_path / "a.TextGrid", {"notes": [], names[1]: [Span("w", 0, 1)], names[0]: [Span("p", 0, 1)]}, 1.0
    )
    assert tiers(tmp_path / "a.TextGrid") == ((Span("p", 0, 1),), (Span("w", 0, 1),))


def test_tiers_of_other_names_are_not_lost_in_silence(tmp_path):
    write_textgrid(tmp_path / "a.TextGrid", {"Laute": [Span("p", 0, 1)], "KAN-MAU": [Span("w", 0, 1)]}, 1.0)
    with pytest.warns(UserWarning, match=r"expected a tier 'phones' or 'words', found 'Laute', 'KAN-MAU': rename one"):
        assert tiers(tmp_path / "a.TextGrid") == ((), ())


def test_a_corpus_of_utterances(corpus):
    made = Corpus.of([UTTERANCE, corpus["b"]], name="mine")
    assert made["u1"] is UTTERANCE and made[1:][0].phones == corpus["b"].phones
    assert list(made.table["seconds"]) == [1.0, 0.5] and made.where(language="en")[0] is UTTERANCE
    assert repr(made) == "Corpus(mine, 2 utterances, 0.0 minutes, en)"
    assert len(Corpus.of([])) == 0


def test_a_corpus_shows_itself_as_a_table(corpus):
    html = corpus._repr_html_()
    assert "<table" in html and "test, 4 utterances" in html and "four" in html and "0.00" not in html
    assert html.endswith("also in .table: speaker, seconds, path, alignment, age</small></p>")
    many = Corpus.of([Utterance(str(k), np.zeros(4), "<b>") for k in range(50)])
    assert many._repr_html_().count("<tr") < 15 and "<b>" not in many._repr_html_()


def test_the_table_is_the_users_to_use_and_not_changed(corpus):
    before = pd.DataFrame({"id": [1, 2], "path": ["a.wav", "b.wav"]})
    assert Corpus(before, corpus.root)["1"].id == "1" and before["id"].dtype.kind == "i"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"id": ["a", "a"], "path": ["x", "y"]}, r"expected one row an id, found 1 ids twice, such as \['a'\]"),
        ({"id": ["a"]}, r"expected columns 'id' and 'path', found \['id'\]: add \['path'\]"),
    ],
)
def test_a_table_without_ids_is_refused(table, message):
    with pytest.raises(ValueError, match=message):
        Corpus(pd.DataFrame(table))
