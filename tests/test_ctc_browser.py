"""CTC in a real browser: a cell of the trellis says its probability, knobs recombine, an aligned phone is heard."""

import pytest
from browser import open_notebook, run_all
from screen import Screen

pytestmark = pytest.mark.browser


def test_the_notebook(chromium_page):
    page = chromium_page
    open_notebook(page, "04_ctc.ipynb")
    run_all(page)

    # a cell of the small lattice says what it is; the knob makes it say something else
    small = Screen(page)
    point = small.at("trellis", 0.0325, 0.40)  # second frame, ʃ: in the second of five rows over the tier beneath
    small.panel("trellis").hover(position=point, force=True)
    told = small.root.locator(".us-tip").inner_text()
    assert "ʃ: probability 0." in told and "best path ʃ" in told
    before = small.pixels("trellis")
    small.root.locator("select[name=cells]").select_option(index=0)
    small.changes("trellis", before)
    small.captioned("trellis", "each frame alone")

    # taken from the blank, the phones win; only the spikes are drawn anew
    spikes = Screen(page, 2)
    wave = spikes.pixels("waveform")
    spikes.root.locator("input[name=bias]").press("End")
    spikes.settles("root => root.textContent.includes('bias 8, temperature 1, prior 0')")
    assert spikes.pixels("waveform") == wave

    # an aligned phone and the true one are heard, each from its own start
    aligned = Screen(page, 3)
    aligned.listen()
    for height in (0.75, 0.25):
        aligned.click("alignment", 0.2, height)
        aligned.settles("root => root.dataset.playing === 'false'")
    (_, ours, _), (_, true, _) = aligned.heard()
    assert 0.1 < ours < 0.2 and 0.1 < true < 0.2
