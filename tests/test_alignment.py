"""Spans and TextGrids: what is written comes back, and what is broken is named."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unispeech_lab.alignment import Span, read_textgrid, write_textgrid

LABELS = [
    "tʃʲː",
    "ɔ̃",
    'say "hi"',
    '""',
    "d[",
    "æ",
    "猫",
    "ё",
    "a b",
    "=",
    "xmin = 3",
    "<p:>",
    "item",
    "'",
    "\\",
    "intervals",
]


def test_a_span_knows_its_duration_and_refuses_to_end_before_it_starts():
    assert Span("a", 0.5, 0.75).duration == 0.25
    with pytest.raises(ValueError, match=r"expected start <= end in seconds, found 'a' from 2 to 1"):
        Span("a", 2, 1)


@pytest.mark.parametrize("label", LABELS)
def test_every_label_comes_back(label, tmp_path):
    spans = (Span(label, 0.1, 0.2), Span("b", 0.2, 0.35), Span(label, 0.5, 1.0))
    write_textgrid(tmp_path / "a.TextGrid", {"phones": spans, "words": ()}, 1.0)
    assert read_textgrid(tmp_path / "a.TextGrid") == {"phones": spans, "words": ()}


@settings(deadline=None)
@given(
    st.lists(st.text(st.characters(categories=["L", "M", "N", "P", "S"]), min_size=1, max_size=6), max_size=8),
    st.integers(0, 2**32),
)
def test_any_tier_comes_back(tmp_path_factory, labels, seed):
    draw = random.Random(seed)
    times = sorted(draw.sample(range(1, 10**6), 2 * len(labels)))
    spans = tuple(Span(x, times[2 * k] / 2e5, times[2 * k + 1] / 2e5) for k, x in enumerate(labels))
    file = tmp_path_factory.mktemp("grid") / "a.TextGrid"
    write_textgrid(file, {"phones": spans}, 5.0)
    assert read_textgrid(file)["phones"] == spans


def test_pauses_come_along_when_asked(tmp_path):
    spans = (Span("a", 0.1, 0.2), Span("b", 0.5, 1.0))
    write_textgrid(tmp_path / "a.TextGrid", {"phones": spans}, 1.5)
    every = read_textgrid(tmp_path / "a.TextGrid", empty=True)["phones"]
    assert [(s.label, s.start, s.end) for s in every] == [
        ("", 0, 0.1), ("a", 0.1, 0.2), ("", 0.2, 0.5), ("b", 0.5, 1.0), ("", 1.0, 1.5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "spans",
    [
        [Span("a", 0, 0.5), Span("b", 0.4, 0.6)],
        [Span("a", 0.5, 0.6), Span("b", 0, 0.1)],
        [Span("a", 0.5, 1.1)],
        [Span("a", 0.5, 0.5)],
    ],
    ids=["overlap", "order", "past the end", "no length"],
)
def test_what_a_textgrid_cannot_hold_is_refused(spans, tmp_path):
    with pytest.raises(ValueError, match=r"tier 'phones': expected spans in order.* within 0 to 1.0 s, found"):
        write_textgrid(tmp_path / "a.TextGrid", {"phones": spans}, 1.0)
    assert not (tmp_path / "a.TextGrid").exists()


@pytest.mark.parametrize("label", ["item [1]:", "intervals [2]", "item["])
def test_a_label_that_readers_take_for_their_own_is_refused(label, tmp_path):
    with pytest.raises(ValueError, match="tier 'phones': expected a label that no reader stumbles over, found"):
        write_textgrid(tmp_path / "a.TextGrid", {"phones": [Span(label, 0, 1)]}, 1.0)


SHORT = """File type = "ooTextFile short"
"TextGrid"

0
1
<exists>
2
"IntervalTier"
"phones"
0
1
2
0
0.25
"ʃ"
0.25
1
""
"TextTier"
"marks"
0
1
1
0.5
"here"
"""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_short_form_is_read_too(encoding, newline, tmp_path):
    (tmp_path / "a.TextGrid").write_bytes(SHORT.replace("\n", newline).encode(encoding))
    assert read_textgrid(tmp_path / "a.TextGrid") == {"phones": (Span("ʃ", 0, 0.25),)}


def whole(tmp_path) -> str:
    write_textgrid(tmp_path / "whole.TextGrid", {"phones": [Span("a", 0, 0.5), Span("b", 0.5, 1)]}, 1.0)
    return (tmp_path / "whole.TextGrid").read_text(encoding="utf-8")


def test_a_broken_number_is_named_by_file_and_line(tmp_path):
    lines = whole(tmp_path).replace("xmax = 0.5", "xmax = half", 1)
    (tmp_path / "a.TextGrid").write_text(lines, encoding="utf-8")
    line = lines[: lines.index("half")].count("\n") + 1
    with pytest.raises(ValueError, match=rf"a\.TextGrid, line {line}: expected a TextGrid as Praat writes it"):
        read_textgrid(tmp_path / "a.TextGrid")


@pytest.mark.parametrize(
    "content", [b"", b"hello\n", b"\xff\xfe\x00", b"\x80\x81\n\n\n\n", b'{"a": 1}', b"[1, 2]", b"RIFF" + bytes(40)]
)
def test_what_is_no_textgrid_is_named(content, tmp_path):
    (tmp_path / "a.TextGrid").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.TextGrid.*: expected a TextGrid as Praat writes it, found"):
        read_textgrid(tmp_path / "a.TextGrid")


def test_one_cut_anywhere_is_read_or_named(tmp_path):
    content = whole(tmp_path)
    for cut in range(0, len(content), 7):
        (tmp_path / "a.TextGrid").write_text(content[:cut], encoding="utf-8")
        try:
            read_textgrid(tmp_path / "a.TextGrid")
        except ValueError as error:
            assert "a.TextGrid" in str(error)


@pytest.mark.parametrize(
    ("old", "new"), [("xmin = 0.5", "xmin = 0.4"), ("xmax = 0.5", "xmax = -3"), ("= 0.5", "= nan")]
)
def test_times_that_make_no_sense_are_named(old, new, tmp_path):
    (tmp_path / "a.TextGrid").write_text(whole(tmp_path).replace(old, new), encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.TextGrid.*: expected a TextGrid as Praat writes it, found"):
        read_textgrid(tmp_path / "a.TextGrid")


def test_reading_prints_nothing(tmp_path, capsys):
    (tmp_path / "a.TextGrid").write_text(whole(tmp_path).replace("xmax = 1", "xmax = 0.75", 2), encoding="utf-8")
    assert read_textgrid(tmp_path / "a.TextGrid")["phones"][-1].end == 1.0
    assert capsys.readouterr() == ("", "")


def test_a_missing_one_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.TextGrid: expected a TextGrid, found no file"):
        read_textgrid(tmp_path / "gone.TextGrid")


def test_praat_opens_what_we_write(tmp_path):
    parselmouth = pytest.importorskip("parselmouth", reason="Praat itself: pip install praat-parselmouth")
    spans = (Span('ʃ"', 0.125, 0.25), Span("ɔ̃", 0.25, 0.5))
    write_textgrid(Path(tmp_path / "a.TextGrid"), {"phones": spans}, 1.0)
    grid = parselmouth.read(str(tmp_path / "a.TextGrid"))
    call = parselmouth.praat.call
    assert call(grid, "Get number of intervals", 1) == 4
    assert [call(grid, "Get label of interval", 1, k) for k in (1, 2, 3, 4)] == ["", 'ʃ"', "ɔ̃", ""]
    assert call(grid, "Get start time of interval", 1, 2) == 0.125
