"""Formats: what is written comes back, and the programs it is for can open it."""

import json
import random
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unispeech_lab.alignment import Span, formats
from unispeech_lab.alignment.subtitles import lines

TIERS = {
    "words": (Span("the", 0.1, 0.25, 0.5), Span("猫 & <b>", 0.25, 1.0, None)),
    "phones": (Span("ð", 0.1, 0.2, 0.75), Span("ə", 0.2, 0.25, 0.125), Span("tʃʲː", 0.5, 1.0, 1.0)),
}


def unscored(tiers):
    return {name: tuple(replace(span, score=None) for span in spans) for name, spans in tiers.items()}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.TextGrid", unscored(TIERS)),
        ("a.textgrid", unscored(TIERS)),
        ("a.eaf", unscored(TIERS)),
        ("a.json", TIERS),
        ("a.ctm", {"phones": TIERS["phones"]}),
    ],
)
def test_tiers_come_back(name, expected, tmp_path):
    formats.write(tmp_path / name, TIERS, 1.5)
    assert formats.read(tmp_path / name) == expected
    assert [path.name for path in tmp_path.iterdir()] == [name]
    formats.write(tmp_path / name, {"phones": (), "words": ()}, 1.5)  # and may be written over
    assert not any(formats.read(tmp_path / name).values())
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("suffix", ["eaf", "json", "ctm"])
@settings(deadline=None)
@given(
    st.lists(st.text(st.characters(categories=["L", "M", "N", "P", "S"]), min_size=1, max_size=6), max_size=6),
    st.integers(0, 2**32),
)
def test_any_tier_comes_back(tmp_path_factory, suffix, labels, seed):
    labels = [label for label in labels if not label.startswith(";;")]
    times = sorted(random.Random(seed).sample(range(5000), 2 * len(labels)))
    spans = tuple(Span(x, times[2 * k] / 1000, times[2 * k + 1] / 1000) for k, x in enumerate(labels))
    file = tmp_path_factory.mktemp("tiers") / f"a.{suffix}"
    formats.write(file, {"phones": spans}, 5.0)
    assert formats.read(file)["phones"] == spans


def test_elan_has_its_tiers_and_times(tmp_path):
    formats.write(tmp_path / "a.eaf", TIERS, 1.5)
    root = ET.parse(tmp_path / "a.eaf").getroot()
    assert [tier.get("TIER_ID") for tier in root.iter("TIER")] == ["words", "phones"]
    assert {int(slot.get("TIME_VALUE")) for slot in root.iter("TIME_SLOT")} == {100, 200, 250, 500, 1000}


def test_a_ctm_line_is_what_sclite_reads(tmp_path):
    formats.write(tmp_path / "my take.ctm", TIERS, 1.5)
    assert (tmp_path / "my take.ctm").read_text().splitlines()[0] == "my_take 1 0.100 0.100 ð 0.7500"
    (tmp_path / "b.ctm").write_text(";; by hand\n\nb 1 0.5 0.25 cat NA\nb 1 0.75 0.1 sat\n")
    assert formats.read(tmp_path / "b.ctm") == {"phones": (Span("cat", 0.5, 0.75), Span("sat", 0.75, 0.85))}


def test_subtitles_are_lines_of_words(tmp_path):
    said = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    words = [Span(word, 3600 + 0.4 * k, 3600.3 + 0.4 * k) for k, word in enumerate(said)]
    words.append(Span("R&B", 3611, 3611.5))
    rows = lines(words)
    assert " ".join(row.label for row in rows).split() == [*said, "R&B"]
    assert all(len(row.label) <= 42 and row.duration <= 6 for row in rows) and rows[-1].label == "R&B"
    formats.write(tmp_path / "a.srt", {"words": words}, 3612)
    formats.write(tmp_path / "a.vtt", {"words": words}, 3612)
    srt, vtt = (tmp_path / "a.srt").read_text(), (tmp_path / "a.vtt").read_text()
    assert srt.startswith(f"1\n01:00:00,000 --> 01:00:03,100\n{rows[0].label}\n\n2\n")
    assert vtt.startswith(f"WEBVTT\n\n01:00:00.000 --> 01:00:03.100\n{rows[0].label}\n\n")
    assert "R&amp;B" in vtt and "R&B" in srt
    assert len(re.findall("-->", srt)) == len(re.findall("-->", vtt)) == len(rows)


def test_one_tier_formats_take_the_tier_that_is_asked_for(tmp_path):
    formats.write(tmp_path / "a.srt", TIERS, 1.5, tier="phones")
    assert "ð ə tʃʲː" in (tmp_path / "a.srt").read_text()
    with pytest.raises(ValueError, match=r"a\.ctm: expected a tier 'syllables' to write, found words, phones"):
        formats.write(tmp_path / "a.ctm", TIERS, 1.5, tier="syllables")


@pytest.mark.parametrize(
    ("name", "tiers", "message"),
    [
        ("a.ctm", {"phones": [Span("a b", 0, 1)]}, "expected labels without blanks, which CTM splits at, found 'a b'"),
        ("a.eaf", {"phones": [Span("a", 0.5, 0.5001)]}, "expected spans of a millisecond or more within 0 to 1.0 s"),
        ("a.TextGrid", {"phones": [Span("a", 0.5, 2)]}, "expected spans in order"),
        ("a.docx", {"phones": []}, r"a\.docx: expected a file that ends in \.textgrid, .*, found '\.docx'"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_and_nothing_is_left(name, tiers, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        formats.write(tmp_path / name, tiers, 1.0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.ctm", "b 1 half 0.1 x", r"a\.ctm, line 1: expected recording, channel, start, duration, label, found"),
        ("a.ctm", "b 1 0 0.1 x\nc 1 0 0.1 x", r"a\.ctm: expected one recording, found 2"),
        ("a.json", json.dumps({"tiers": {"phones": [{"label": "a"}]}}), r"a\.json: expected tiers of spans"),
        ("a.json", "[1]", r"a\.json: expected tiers of spans"),
        ("a.eaf", "<hello/>", r"a\.eaf: expected an \.eaf document as ELAN writes it"),
        ("a.lrc", "", r"a\.lrc: expected a file that ends in \.textgrid, .*, \.ctm, \.srt, \.vtt, found '\.lrc'"),
    ],
)
def test_broken_files_are_named(name, content, message, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        formats.read(tmp_path / name)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.eaf: expected tiers, found no file"):
        formats.read(tmp_path / "gone.eaf")


@pytest.mark.parametrize("name", ["a.srt", "a.vtt"])
@settings(deadline=None, max_examples=50)
@given(st.lists(st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=8), min_size=1, max_size=12))
def test_lines_come_back(tmp_path_factory, name, labels):
    words = [Span(label, 0.25 * k + 3599, 0.25 * k + 3599.2) for k, label in enumerate(labels)]
    file = tmp_path_factory.mktemp("lines") / name
    formats.write(file, {"words": words}, 7200)
    expected = tuple(Span(x.label, round(x.start, 3), round(x.end, 3)) for x in lines(words))
    assert formats.read(file)["lines"] == expected


def test_subtitles_of_others(tmp_path):
    """As players write them: numbers or names, places on the screen, italics, Windows' ends of lines, a mark before."""
    (tmp_path / "a.vtt").write_text(
        "WEBVTT - a title\n\nNOTE not said\n\nintro\n00:01.000 --> 00:02.500 align:start\n<v Ann>Hi, <i>you</i>\n"
        "&lt;two&gt; &amp; three\n\n01:00:00.000 --> 01:00:00.000\nlast\n",
        encoding="utf-8",
    )
    first, last = formats.read(tmp_path / "a.vtt")["lines"]
    assert first == Span("Hi, you <two> & three", 1.0, 2.5) and last == Span("last", 3600.0, 3600.0)
    written = "\ufeff1\r\n00:00:01,000 --> 00:00:02,000\r\nåt\r\n\r\n2\r\n00:00:03,000 --> 00:00:04,000\r\nsju\r\n"
    (tmp_path / "a.srt").write_bytes(written.encode())
    assert formats.read(tmp_path / "a.srt")["lines"] == (Span("åt", 1.0, 2.0), Span("sju", 3.0, 4.0))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (b"1\n00:00:02,000 --> 00:00:01,000\nlate\n", "expected start <= end in seconds"),
        (b"just text, and some more\n", "expected lines under times such as 00:00:01,000 --> 00:00:02,500, found none"),
        (b"\xff\xfe\x00", "expected subtitles as UTF-8"),
    ],
)
def test_what_is_no_subtitle_is_named(written, message, tmp_path):
    (tmp_path / "a.srt").write_bytes(written)
    with pytest.raises(ValueError, match=rf"a\.srt: .*{message}"):
        formats.read(tmp_path / "a.srt")
