"""Long recordings: pages cut where it is quiet, memory that does not grow with the recording."""

from types import SimpleNamespace

import numpy as np
import pytest

from unispeech_lab.checkpoints import load
from unispeech_lab.corpus import Corpus, Utterance
from unispeech_lab.views.explore import explore
from unispeech_lab.views.explorer import Explorer
from unispeech_lab.views.pages import LONGEST, MOST, SHORTEST, page_seconds, pages, weight

RATE = 16_000


def of(layers: int, heads: int):
    return SimpleNamespace(config=SimpleNamespace(num_hidden_layers=layers, num_attention_heads=heads))


def noise(seconds: float, quiet=()) -> Utterance:
    """Even noise, silent for a quarter of a second around some moments."""
    wave = np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32) * 0.1
    for moment in quiet:
        wave[round((moment - 0.125) * RATE) : round((moment + 0.125) * RATE)] = 0
    return Utterance("noise", wave)


@pytest.fixture(scope="module")
def model():
    return load("tiny")


@pytest.fixture(scope="module")
def long() -> Utterance:
    """Bundled sentences one after another, for two minutes, with their phones."""
    parts, phones, start = [], [], 0.0
    for utterance in Corpus.bundled():
        parts.append(utterance.waveform)
        phones += [moved(span, start) for span in utterance.phones]
        start += utterance.seconds
        if start > 120:
            break
    return Utterance("talk", np.concatenate(parts)[: 120 * RATE], phones=[s for s in phones if s.end <= 120])


def moved(span, by: float):
    return type(span)(span.label, span.start + by, span.end + by, span.score)


@pytest.mark.parametrize("layers, heads", [(6, 4), (12, 12), (24, 16), (1, 1), (400, 400)])
def test_a_page_holds_what_all_heads_say_of_it(layers, heads):
    seconds = page_seconds(of(layers, heads))
    assert SHORTEST <= seconds <= LONGEST
    if seconds > SHORTEST:
        assert 4 * layers * heads * (seconds / 0.02) ** 2 <= MOST * 1.001


@pytest.mark.parametrize("seconds", [0.1, 5.0, 22.0, 40.0, 120.0, 121.7, 600.0])
def test_pages_follow_one_another_and_lose_nothing(seconds):
    whole, ear = noise(seconds), of(6, 4)
    cut = pages(ear, whole)
    assert np.array_equal(np.concatenate([page.waveform for page in cut]), whole.waveform)
    assert max(page.seconds for page in cut) <= page_seconds(ear) and (len(cut) == 1) == (seconds <= page_seconds(ear))
    assert min(page.seconds for page in cut) > 0.6 * max(page.seconds for page in cut)
    if len(cut) == 1:
        assert cut[0] is whole


def test_a_cut_falls_where_it_is_quiet():
    pauses = [20.4, 39.3]  # pages of equal length would end at 20 and 40
    cut = pages(of(6, 4), noise(60.0, pauses))
    assert np.allclose(np.cumsum([page.seconds for page in cut])[:-1], pauses, atol=0.1)


def test_a_page_is_heard_as_a_clip_by_itself(model, long):
    explorer = explore(model, long, tabs=["sound", "CTC", "attention"])
    count = len(explorer.pages)
    assert explorer.knobs["page"].values == tuple(range(1, count + 1)) and count >= 5
    assert explorer.heading.startswith(f"Page 1 of {count}: 0.0 to {explorer.pages[0].seconds:.1f} s of the recording")
    explorer.open("attention").turn(page=3, layer=2, head=1)
    alone = explore(model, explorer.pages[2], tabs=["attention"], layer=2, head=1)
    assert len(alone.pages) == 1 and "page" not in alone.knobs
    assert explorer.utterance.phones and explorer["attention"].words == alone["attention"].words
    assert explorer.values["layer"] == 2, "the other knobs stay"
    explorer.open("CTC")
    assert explorer.values["page"] == 3, "every tab is on the same page"


def test_a_page_is_turned_in_the_browser_too(model, long):
    explorer = explore(model, long, tabs=["sound"])
    stage = explorer.show()
    assert [dial["name"] for dial in stage.dials][0] == "page" and abs(stage.seconds - explorer.pages[0].seconds) < 1e-6
    said = []
    stage.observe(lambda change: said.append(change["new"]), "note")
    stage.knobs = {**stage.knobs, "page": 1}
    assert explorer.page == 2 and abs(stage.seconds - explorer.pages[1].seconds) < 1e-6
    assert said[-1].startswith("Page 2 of")
    explorer.listen(None, Corpus.bundled()[0])
    assert "page" not in explorer.knobs and stage.note == explorer.note
    explorer.turn(**{name: value for name, value in explorer.values.items() if name in explorer.knobs})
    assert explorer.page == 1


def test_a_trace_that_is_given_is_shown_whole(model, long):
    assert len(Explorer({}, long, ("waveform",), model=model).pages) == 1


def test_memory_is_that_of_a_page_not_of_the_recording(model, long):
    """All heads of two minutes at once would take 3.5 GB: 24 patterns of 6000 x 6000 frames."""
    explorer = explore(model, long, tabs=["sound", "convolutions", "attention", "CTC"])
    for tab in explorer.tabs:
        explorer.open(tab).panels()
        assert sum(map(weight, explorer.traces.values())) <= max(Explorer.MOST, weight(explorer.recorded)) + 1
    explorer.turn(page=2)
    assert set(explorer.traces) <= {explorer.tab}, "what was heard of page 1 is gone"
    held = weight(explorer.recorded)
    assert held < MOST


def test_what_other_tabs_have_heard_is_let_go(model):
    explorer = explore(model, Corpus.bundled()[0], tabs=["convolutions", "attention", "CTC"])
    for tab in explorer.tabs:
        explorer.open(tab).panels()
    assert set(explorer.traces) == set(explorer.tabs), "of a short one all is kept"
    explorer.MOST = 0
    explorer.traces.pop("CTC")
    assert explorer.recorded is explorer.traces["CTC"] and set(explorer.traces) == {"CTC"}
    assert not set(explorer.drawn) & {"features", "attention"}
    assert explorer.open("attention").panels(), "it is heard again"
