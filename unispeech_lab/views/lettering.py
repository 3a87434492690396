"""Lettering: which letters can be written on this machine, how names beside an axis find room."""

from collections.abc import Sequence
from functools import cache

from matplotlib.font_manager import findfont, fontManager, get_font

CHINESE = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Microsoft YaHei",
)


@cache
def fonts() -> list[str]:
    """Fonts to look for a letter in: matplotlib's own has Latin, Cyrillic and the phonetic alphabet, not Chinese."""
    there = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in CHINESE if name in there)]


@cache
def letters() -> frozenset[int]:
    """Every letter that one of the fonts has."""
    return frozenset().union(*(get_font(findfont(name)).get_charmap() for name in fonts()))


def written(text: str) -> str:
    """The text with ▯ for letters that no font of this machine has; the alt text keeps them all.

    A dollar is told not to begin a formula, as matplotlib would have it.
    """
    return "".join(letter if ord(letter) in letters() else "▯" for letter in text).replace("$", r"\$")


def fitting(ticks: Sequence[tuple[float, str]], room: float) -> list[tuple[float, str]]:
    """Of named places those that lie at least ``room`` apart, the first before the others."""
    kept: list[tuple[float, str]] = []
    for at, name in ticks:
        if all(abs(at - other) >= room for other, _ in kept):
            kept.append((at, name))
    return kept
