"""The explorer in a real browser: every tab, every dial by keyboard, sound, clicks, a lasso, a table."""

import json
import re
from time import monotonic

import pytest
from browser import open_notebook, run_all
from playwright.sync_api import TimeoutError, expect
from screen import Screen
from test_tour_browser import ask, write

pytestmark = pytest.mark.browser

EXPLORE = """
from unispeech_lab import Corpus, explore, load
corpus = Corpus.bundled().where(language="en")[:3]
explorer = explore(load("tiny"), corpus[0], other=load("tiny"), corpus=corpus)
explorer
"""
HEARD = ("sound",)  # dials that change what a click plays, nothing that is seen
# What is on the stage: every visible canvas, the tables, the words.
SEEN = """root => [
    ...[...root.querySelectorAll('figure:not([hidden]) > canvas:not([hidden])')].map((canvas) => canvas.toDataURL()),
    ...[...root.querySelectorAll('figure:not([hidden])')].map((figure) => figure.innerText),
].join('')"""
TITLES = "root => [...root.querySelectorAll('figure:not([hidden]) strong')].map((one) => one.textContent).join(' ')"


@pytest.fixture
def stage(lab_server, chromium_page):
    open_notebook(chromium_page, write(lab_server.folder, "explorer.ipynb", EXPLORE))
    run_all(chromium_page)
    screen = Screen(chromium_page)
    screen.listen()
    return screen


def settle(stage: Screen, expression: str = "1", value="1") -> None:
    """Wait until Python says so, and what it sent before is drawn."""
    deadline = monotonic() + 60
    while ask(stage.page, f"print({expression})") != str(value):
        assert monotonic() < deadline, f"expected {expression} to become {value}"
    stage.page.evaluate("() => new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)))")


def painted(stage: Screen, name: str, script: str, value) -> None:
    """Wait until Python has what was painted under a name."""
    settle(stage, f"(lambda painted: {script})(explorer.stage.knobs[{name!r}])", value)


def open_tab(stage: Screen, name: str) -> None:
    tab = stage.root.get_by_role("tab", name=name, exact=True)
    tab.click()
    settle(stage, "explorer.tab", name)
    expect(tab).to_have_attribute("aria-selected", "true")
    deadline = monotonic() + 60  # Python has answered; the browser reads an answer a little later
    while stage.root.evaluate(TITLES) != ask(stage.page, "print(*(panel.title for panel in explorer.panels()))"):
        assert monotonic() < deadline, f"expected the panels of {name}"


def changes(stage: Screen, before: str, seconds: float = 5) -> bool:
    """Whether something else than before comes to be seen."""
    script = f"([root, before]) => ({SEEN})(root) !== before"
    try:
        stage.page.wait_for_function(script, arg=[stage.handle, before], timeout=1000 * seconds)
    except TimeoutError:
        return False
    return True


def test_explorer(stage):
    tabs = stage.root.get_by_role("tab").all_inner_texts()
    dead = {tab: found for tab in tabs if (found := dead_dials(stage, tab))}
    assert not dead
    sound_goes_on(stage)
    a_stimulus_is_heard(stage)
    items_turn_and_play(stage)
    lasso_lights_up_time(stage)
    moments_and_stretches_are_painted(stage)


def dead_dials(stage: Screen, tab: str) -> list[str]:
    """Open a tab; names of its dials that change nothing when a key turns them to their other end."""
    open_tab(stage, tab)
    note = stage.root.locator(".us-note").inner_text()
    assert "expected" not in note and "listening" not in note, f"{tab}: {note}"
    assert stage.root.locator("figure:not([hidden])").count() >= 1
    dead = []
    for name in stage.root.locator(".us-knob [name]:not(button)").evaluate_all("all => all.map((one) => one.name)"):
        dial = stage.root.locator(f".us-knob [name={name}]")
        before, at = stage.root.evaluate(SEEN), dial.input_value()
        dial.press("End")
        if dial.input_value() == at:
            dial.press("Home")
        settle(stage, f"explorer.stage.knobs[{name!r}]", dial.input_value())
        moved = name in HEARD or changes(stage, before)
        if not moved:
            dead.append(name)
        dial.select_option(at) if dial.evaluate("dial => dial.tagName") == "SELECT" else dial.fill(at)
        settle(stage, f"explorer.stage.knobs[{name!r}]", at)
        stage.page.wait_for_timeout(50)
    return dead


def sound_goes_on(stage: Screen) -> None:
    """The playhead runs on while another tab is opened, over sound that is no silence."""
    open_tab(stage, "sound")
    stage.root.get_by_role("button", name="play").click()
    stage.settles("root => Number(root.dataset.time) > 0.1 && root.dataset.playing === 'true'")
    assert stage.root.evaluate("root => Math.max(...root.sound.decoded.getChannelData(0))") > 0.05
    stage.root.get_by_role("tab", name="sound", exact=True).press("ArrowRight")
    settle(stage, "explorer.tab", stage.root.get_by_role("tab").nth(1).inner_text())
    expect(stage.root.get_by_role("tab").nth(1)).to_have_attribute("aria-selected", "true")
    earlier = stage.time
    stage.settles(f"root => root.dataset.playing === 'true' && Number(root.dataset.time) > {earlier}")
    stage.root.locator(".us-stack").press("Escape")


def a_stimulus_is_heard(stage: Screen) -> None:
    """The panel of a stimulus has a button of its own: what it plays is as long as the stimulus, not the utterance."""
    open_tab(stage, "filters")
    before = len(stage.heard())
    stage.root.locator(".us-aside").click()
    stage.page.wait_for_function(f"window.heard.length > {before}")
    assert stage.heard()[-1][1:] == [0, 0.4]
    open_tab(stage, "sound")
    expect(stage.root.locator(".us-aside")).to_have_count(0)


def items_turn_and_play(stage: Screen) -> None:
    open_tab(stage, "heads")
    table = stage.root.locator(".us-table").first
    head = table.get_by_role("button").nth(1)
    head.focus()
    order = []
    for _ in range(2):
        stage.page.keyboard.press("Enter")
        expect(table.locator("th").nth(1)).to_have_attribute("aria-sort", re.compile("ascending|descending"))
        order.append(table.locator("tbody tr").first.inner_text())
    assert order[0] != order[1]
    row = table.locator("tbody tr[aria-selected=false]").first
    row.click()
    settle(stage)
    table.locator("tbody tr[aria-selected=true]").wait_for()

    open_tab(stage, "codebook")
    for kind in ("piano",):
        heard = len(stage.heard())
        keys = stage.panel(kind)
        keys.focus()
        for _ in range(40):  # not every codeword is used
            stage.page.keyboard.press("ArrowRight")
            stage.page.keyboard.press("Enter")
            if len(stage.heard()) > heard:
                break
        assert len(stage.heard()) > heard, kind
    stage.root.locator(".us-stack").press("Escape")


def lasso_lights_up_time(stage: Screen) -> None:
    open_tab(stage, "map")
    (name,) = stage.root.locator("figure:not([hidden]) canvas[role=application]").evaluate_all(
        "all => all.filter((one) => one.closest('figure').querySelector('.us-kind')).map((one) => one.dataset.panel)"
    )
    canvas = stage.panel(name)
    canvas.scroll_into_view_if_needed()
    left, top, width, height = map(float, canvas.get_attribute("data-plot").split(","))
    box, mouse = canvas.bounding_box(), stage.page.mouse
    place = [
        (box["x"] + left + x * width, box["y"] + top + y * height)
        for x, y in ((0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99))
    ]
    expect(stage.root).to_have_attribute("data-linked", "[]")
    mouse.move(*place[0])
    mouse.down()
    for corner in place[1:]:
        mouse.move(*corner, steps=4)
    mouse.up()
    painted(stage, "chosen", "len(painted) > 0", True)
    stage.settles("root => root.dataset.linked !== '[]'")
    linked = json.loads(stage.root.get_attribute("data-linked"))
    assert linked and all(0 <= start < end for start, end in linked)
    expect(stage.root.locator(".us-knobs")).to_contain_text("chosen")
    heard = len(stage.heard())
    canvas.focus()
    stage.page.keyboard.press("ArrowRight")
    stage.page.keyboard.press("Enter")
    assert len(stage.heard()) == heard + 1
    stage.page.keyboard.press("Escape")
    painted(stage, "chosen", "len(painted)", 0)
    stage.settles("root => root.dataset.linked === '[]'")


def moments_and_stretches_are_painted(stage: Screen) -> None:
    open_tab(stage, "follow")
    before = stage.root.evaluate(SEEN)
    stack = stage.root.locator(".us-stack")
    stack.press("Home")
    stack.press("ArrowRight")
    painted(stage, "moment", "0 < painted < 0.1", True)
    assert changes(stage, before)
    open_tab(stage, "masks")
    before = stage.root.evaluate(SEEN)
    stack.press("b")
    painted(stage, "painted", "len(painted)", 1)
    assert changes(stage, before)
    expect(stage.root.locator(".us-knobs")).to_contain_text("1, ")
    stage.root.get_by_role("button", name="clear").click()
    painted(stage, "painted", "len(painted)", 0)
    stage.page.wait_for_function(f"([root, before]) => ({SEEN})(root) === before", arg=[stage.handle, before])
