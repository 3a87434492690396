"""Pairs of runs in a browser: dials choose the methods, words and dots follow."""

import pytest
from browser import open_notebook, run_all
from pictures import trials
from screen import Screen
from test_tour_browser import write

from unispeech_lab import views

pytestmark = pytest.mark.browser

SHOWN = """
from pictures import trials
from unispeech_lab import views
views.paired(trials())
"""


def words(**knobs) -> str:
    """The first words of the differences, which are cut where the caption ends."""
    return views.paired(trials(), **knobs).panels()[1].words[:50]


def test_dials_choose_who_is_held_against_whom(lab_server, chromium_page):
    open_notebook(chromium_page, write(lab_server.folder, "paired.ipynb", SHOWN))
    run_all(chromium_page)
    asked = Screen(chromium_page)
    asked.captioned("differences", words())
    before = asked.pixels("differences")
    asked.root.locator("select[name=against]").select_option(label="supervised")
    asked.changes("differences", before)
    asked.captioned("differences", words(against="supervised"))
    asked.root.locator("select[name=target]").select_option(label="sv")
    asked.captioned("differences", words(against="supervised", target="sv"))
    asked.captioned("rates", "Least errors on sv")
