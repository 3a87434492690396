"""Views of an analysis in a browser: bands are painted, dials turn them, a click on a layer opens it; nothing plays."""

import pytest
from browser import open_notebook, run_all
from playwright.sync_api import expect
from screen import Screen
from test_tour_browser import ask, write

pytestmark = pytest.mark.browser

SHOWN = """
from IPython.display import display
from pictures import analysis, effects
from unispeech_lab import views
known, alike = views.layerwise(analysis(), beside=analysis(1)), views.likeness(analysis(), layer="layer 2")
display(known, alike, views.interventions(effects()))
"""
# How many pixels of a stretch of a panel, from one height to another at an x of its axis, are not of one colour.
INK = """(canvas, [x, low, high]) => {
    const [left, top, width, height] = canvas.dataset.plot.split(',').map(Number);
    const dense = canvas.width / canvas.clientWidth;
    const column = Math.round((left + x * width) * dense), pen = canvas.getContext('2d');
    const [from, to] = [high, low].map((at) => Math.round((top + (1 - at) * height) * dense));
    const pixels = pen.getImageData(column, from, 1, to - from).data;
    let found = 0;
    for (let i = 0; i < pixels.length; i += 4) found += pixels[i] < 250 && pixels[i + 3] > 0;
    return found / (to - from);
}"""


def test_an_analysis_on_a_page(lab_server, chromium_page):
    page = chromium_page
    open_notebook(page, write(lab_server.folder, "analysis.ipynb", SHOWN))
    run_all(page)

    # bands are there, where the numbers are
    known = Screen(page)
    known.captioned("layerwise", "Most, with 95% intervals: phone in layer 1")
    bounds = "panel, mark = known['layerwise'], known['layerwise'].marks[0]\n"
    bounds += "low, high = (float(end[0, 1] / panel.y.stop) for end in (mark.low, mark.high))\n"
    bounds += "print(low, high, (1 - panel.x.start) / (panel.x.stop - panel.x.start))"
    low, high, x = map(float, ask(page, bounds).split())
    painted = known.panel("layerwise").evaluate(INK, [x - 0.02, low + 0.01, high - 0.01])
    assert painted > 0.9, f"expected a band from {low:.2f} to {high:.2f} of the height, found {painted:.0%} of it"

    # dials turn it, and what is told with it
    before = known.pixels("layerwise")
    known.root.locator("select[name=measure]").select_option(label="abx")
    known.changes("layerwise", before)
    known.captioned("layerwise", "Least, with 95% intervals")
    known.captioned("layerwise_one", "was not measured of phone")
    assert ask(page, "print(known.values['measure'])") == "abx"

    # what was measured before has no sound to play
    for hidden in known.root.get_by_role("button", name="play").all():
        expect(hidden).to_be_hidden()
    expect(known.root.locator(".us-keys")).not_to_contain_text("space: play")
    known.root.locator(".us-stack").press("Space")
    assert known.root.get_attribute("data-playing") == "false"

    # a click on a layer opens it
    alike = Screen(page, 1)
    alike.captioned("likeness_row", "Layer 2 is likest to")
    left, top, width, height = map(float, alike.panel("likeness").get_attribute("data-plot").split(","))
    alike.panel("likeness").click(position={"x": left + width / 2, "y": top + 0.9 * height}, force=True)
    alike.captioned("likeness_row", "Projection is likest to")

    # under the pointer a change says its number with its interval
    moved = Screen(page, 2)
    first = ask(page, "print(views.interventions(effects())['interventions'].words)")
    moved.captioned("interventions", first[:60])
    left, top, width, height = map(float, moved.panel("interventions").get_attribute("data-plot").split(","))
    moved.panel("interventions").hover(position={"x": left + 0.6 * width / 6.2, "y": top + height / 2}, force=True)
    expect(moved.root.locator(".us-tip")).to_contain_text(" [")
