"""An utterance as HTML: whatever its labels are, the page stays whole."""

from xml.dom import minidom

import numpy as np
import pytest

from unispeech_lab import listen
from unispeech_lab.alignment import Span
from unispeech_lab.corpus import Utterance


@pytest.mark.parametrize("text", ["\0", "\x1b[31m", "a\ud800b", "\uffff", "<script>&\"'", "]]>", "\u202eabc"])
def test_labels_of_any_kind_leave_the_picture_whole(text):
    """A control character in one label, and the browser draws nothing at all of an SVG."""
    phones = (Span(text, 0.0, 0.5), Span("ok", 0.5, 1.0))
    heard = Utterance("u", np.zeros(16_000, np.float32), text, "en", text, phones, phones)
    drawn = minidom.parseString(listen.svg(heard).encode())
    labels = [node.firstChild.data for node in drawn.getElementsByTagName("text")]
    assert labels == [listen.printed(text), "ok"] * 2
    assert listen.html(heard).encode() and "<script>" not in listen.html(heard)


def test_what_can_be_printed_stays():
    assert listen.printed("tɕʰ 你好\t\n😀") == "tɕʰ 你好\t\n😀"
