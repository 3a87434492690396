"""The loss taken apart, in a real browser: bars that sound, terms that follow α, frames that r replaces."""

import pytest
from browser import open_notebook, run_all
from playwright.sync_api import expect
from screen import Screen

pytestmark = pytest.mark.browser

SHOW = """
from pictures import anatomy, utterance
from unispeech_lab import Explorer
Explorer(anatomy(49), utterance(), views=("waveform", "contrast", "terms", "truth"))
"""


@pytest.fixture
def stage(lab_server, chromium_page):
    from test_tour_browser import write

    open_notebook(chromium_page, write(lab_server.folder, "loss.ipynb", SHOW))
    run_all(chromium_page)
    screen = Screen(chromium_page)
    screen.listen()
    return screen


def click_bar(stage: Screen, bar: int, bars: int, **how) -> None:
    """Click the middle of a bar, of so many side by side."""
    where = stage.at("contrast", 0, 0.5)
    width = stage.panel("contrast").bounding_box()["width"] - 2 * where["x"]
    stage.panel("contrast").click(
        position={"x": where["x"] + (bar + 0.5) / bars * width, "y": where["y"]}, force=True, **how
    )


def expected():
    """Start and duration of every bar, nearest first, as the view has them."""
    from pictures import anatomy, utterance

    from unispeech_lab import views

    view = views.load("contrast")
    start = {name: knob.default for name, knob in view.knobs(anatomy(49), utterance()).items()}
    times = view.panels(anatomy(49), utterance(), **start)[0].marks[0].times
    return [[begin, end - begin] for begin, end in times.tolist()]


def test_a_bar_plays_its_stretch_of_sound(stage):
    bars = expected()
    assert all(duration == pytest.approx(0.025) for _, duration in bars)
    click_bar(stage, 2, len(bars))
    assert stage.heard()[-1][1:] == pytest.approx(bars[2], abs=1e-4)
    loud = "root => Math.max(...root.sound.decoded.getChannelData(0).slice({0}, {1}).map(Math.abs))"
    first, last = (round(16_000 * x) for x in (bars[2][0], sum(bars[2])))
    assert stage.root.evaluate(loud.format(first, last)) > 0.05
    stage.settles("root => root.dataset.playing === 'false'")

    # with shift again and again; a click beside the bars' stretches moves no playhead
    click_bar(stage, 5, len(bars), modifiers=["Shift"])
    assert stage.root.evaluate("root => root.sound.playing.loop")
    stage.root.locator(".us-stack").press("Escape")

    # from the keyboard: each n is the next bar, p the one before, and both are said
    stack = stage.root.locator(".us-stack")
    told = []
    for key, bar in (("n", 0), ("n", 1), ("n", 2), ("p", 1)):
        stack.press(key)
        assert stage.heard()[-1][1:] == pytest.approx(bars[bar], abs=1e-4)
        told.append(stage.root.locator("[aria-live]").text_content())
        stage.settles("root => root.dataset.playing === 'false'")
    assert told[1] == told[3] != told[2] and all("cosine" in each and " s" in each for each in told)
    expect(stage.root.locator(".us-keys")).to_contain_text("n and p")


def test_the_pointer_reads_a_bar(stage):
    where = stage.at("contrast", 0, 0.5)
    stage.panel("contrast").hover(position={"x": where["x"] + 12, "y": where["y"]}, force=True)
    lines = stage.root.locator(".us-tip").inner_text().splitlines()
    assert lines[1].startswith("cosine ") and lines[-1].endswith(" s") and len(lines) == 4
    before = stage.time
    stage.click("terms", 0.5)  # bars without sound: nothing plays, nothing moves
    assert not stage.heard() and stage.time == before


def test_knobs_move_only_what_they_change(stage):
    names = ("contrast", "drawn", "terms", "mixture", "truth")
    seen = {name: stage.pixels(name) for name in names}

    def turned(knob, *changed):
        stage.root.locator(f"input[name={knob}]").press("ArrowRight")
        for name in changed:
            stage.changes(name, seen[name])
            seen[name] = stage.pixels(name)
        assert all(stage.pixels(name) == seen[name] for name in names)

    turned("alpha", "terms")
    stage.captioned("terms", "α = 0.6")
    turned("replace", "terms", "mixture")
    stage.captioned("terms", "r = 0.6")
    turned("frame", "contrast", "drawn")


def test_the_notebook(chromium_page):
    page = chromium_page
    open_notebook(page, "05_pretraining.ipynb")
    run_all(page)
    contrast = Screen(page, 1)
    before = contrast.pixels("contrast")
    contrast.root.locator("input[name=frame]").press("ArrowRight")
    contrast.changes("contrast", before)
    recombined = Screen(page, 2)
    said = recombined.caption("terms")
    recombined.root.locator("input[name=alpha]").press("Home")
    recombined.settles(f"root => !root.textContent.includes({said!r})")
    recombined.captioned("terms", "α = 0, ")
