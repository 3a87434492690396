"""Piano: a keyboard of codewords, each of which plays the stretches of speech that chose it."""

import numpy as np

from unispeech_lab.analysis.codewords import CLASSES, Codewords
from unispeech_lab.views import usage
from unispeech_lab.views.panel import Axis, Bars, Keys, Panel, nowhere

scope = "corpus"
watches = usage.watches
knobs = usage.knobs

LEGEND = tuple(zip("●○◆▲◧■–?×", CLASSES, strict=True))
KEYS = 96  # as many as there is room to press
SOUNDS, LEAST = 24, 0.06  # stretches a key plays, and how many seconds each lasts at least
PHONES = 12


def panels(survey, utterance, group: int | str, language: str, order: str, codeword: int) -> list[Panel]:
    """A key a codeword (the most used, if they are very many), coloured and named by the phone it mostly lies in."""
    chosen = Codewords.of(survey, group, language)
    said, sounds = chosen.said, chosen.sounds(SOUNDS, LEAST)
    places = chosen.arranged(order)
    if len(places) > KEYS:
        busy = np.argsort(-chosen.uses, kind="stable")[: KEYS - 1]
        places = places[np.isin(places, busy) | (places == codeword)]
    shown = said.loc[places]
    often = np.log1p(shown["uses"].to_numpy(float))
    keys = Keys(
        tuple(named(row) for row in shown.itertuples()),
        tuple(shown["phone"]),
        tuple(sounds[place] for place in places),
        often / max(often.max(initial=0.0), 1e-9),
        shown["kind"].to_numpy(),
        LEGEND,
        int(np.flatnonzero(places == codeword).max(initial=-1)),
        tuple({"codeword": int(place)} for place in places),
    )
    played = len(sounds[codeword]) if codeword < len(sounds) else 0
    words = usage.about(chosen, said, codeword)
    if played:
        words += f" It plays {played} {'stretch' if played == 1 else 'stretches'} of at least {1000 * LEAST:.0f} ms."
    title = f"The codeword piano, {chosen.title}{usage.within(language)}"
    keyboard = Panel("piano", title, (keys,), *nowhere(), words, weight=4.2)
    return [keyboard, *stands_for(chosen, codeword)]


def named(row) -> str:
    if not row.uses:
        return f"{row.name}: dead"
    of = f", {row.share:.0%} /{row.phone}/" if row.share > 0 else ""
    return f"{row.name}: {row.uses} frames{of}"


def stands_for(chosen: Codewords, codeword: int) -> list[Panel]:
    """The phones that the frames of one codeword lie in; nothing where it has none."""
    counts = chosen.counts.get(codeword)
    if counts is None or not counts.sum():
        return []
    share = (100 * counts / counts.sum()).sort_values(ascending=False, kind="stable")
    share = share[share > 0]
    heights, names = np.full(PHONES, np.nan), [""] * PHONES
    heights[: len(share)], names[: len(share)] = share[:PHONES], share.index[:PHONES]
    bars = Bars(heights, tuple(names), unit="%", quantity="share of frames")
    top = 1.25 * float(share.iloc[0])
    axes = Axis("phone", "", 0.0, float(PHONES)), Axis("frames", "%", -0.14 * top, top)
    first, all_of_them = min(len(share), 3), f"{len(share)} phone{'s' if len(share) > 1 else ''} in all"
    words = f"{all_of_them}; /{'/, /'.join(share.index[:first])}/ {share[:first].sum():.0f}% of its frames."
    return [Panel("stands_for", f"Where codeword {chosen.names[codeword]} is chosen", (bars,), *axes, words, 1.5)]
