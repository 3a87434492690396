"""What ``unispeech-lab recipe`` shows: a table that says what its columns are, in 80 columns."""

from io import StringIO

import numpy as np
import pandas as pd
from rich.console import Console

from unispeech_lab.commands.recipe import SHOWN, show


def shown(main, names, count=3, name="head {} the same from everywhere"):
    rows = {"intervention": [name.format(k) for k in range(count)]}
    for each in names:
        rows |= {each: np.linspace(0.5, 0.25, count), f"{each}_low": 0.125, f"{each}_high": 0.75}
    screen = Console(width=80, record=True, file=StringIO())
    show(screen, pd.DataFrame(rows), main)
    return screen.export_text().splitlines()


def test_columns_have_headings_units_words_and_an_interval():
    said = shown("kl", ["kl", "moved", "reading", "errors", "states"])
    assert "by KL" in said[0]
    assert said[1].split() == ["KL", "95", "%", "reading", "errors", "states"]
    assert said[2].split() == ["intervention", "nats/frame", "interval", "%", "points", "1", "-", "cos"]
    assert said[3].split()[-7:] == ["0.500", "0.125", "–", "0.750", "50.0", "50.0", "0.500"]
    assert [line.split()[0] for line in said[-4:]] == ["KL", "reading", "errors", "states"]
    assert "phone error rate after less before" in said[-2]


def test_all_there_is_fits_a_narrow_screen():
    said = shown("becomes", ["kl", "moved", "reading", "errors", "states", "becomes"], 14, "s by z at layer {}")
    assert all("…" not in line and len(line) <= 80 for line in said)
    assert f"first {SHOWN} of 14" in said[0] and sum("s by z" in line for line in said) == SHOWN
    assert "50.0 12.5 – 75.0 0.500 50.0 50.0 0.500" in " ".join(said[3].split())


def test_what_was_not_measured_is_not_told():
    said = shown("moved", ["moved", "states"], name="[bold]{}")
    assert said[1].split() == ["moved", "95", "%", "states"] and "[bold]0" in said[3]
    screen = Console(width=80, record=True, file=StringIO())
    show(screen, pd.DataFrame({"intervention": ["a"], "kl": [0.5], "errors": [np.nan]}), "kl")
    assert screen.export_text().splitlines()[3].split() == ["a", "0.500"]
