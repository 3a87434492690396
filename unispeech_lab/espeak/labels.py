"""Labels: which stretch of espeak-ng's sound each phone owns.

Its events give where a phone starts and a name of eight bytes at most, without length or tone. The rules:

- The full names are those of ``espeak_TextToPhonemes``; the two must match one to one, else the utterance is refused.
- A palatalisation sign has an event of its own: it belongs to the consonant before it.
- A phone ends where the next begins.
- The event of a stop is its release: the digital silence before it is its closure and belongs to it (after a pause, 50
  ms of it at most).
- A nameless event over silence is a pause, which nobody owns. Over sound it is no pause: a schwa before an r belongs to
  the r, anything else (a glide, a linking vowel) to the phone before it.
- A phone of no length or sound (coda l in Dutch or Kyrgyz, w in French) takes a third of its neighbour: of the vowel
  after it, else of the phone before. Its times are a convention, and its score 0.0 says so.
"""

from collections.abc import Sequence

import numpy as np

from unispeech_lab.alignment import Span
from unispeech_lab.espeak.phonemes import clean, words
from unispeech_lab.espeak.process import Speech

WORD, PHONEME = 1, 7  # espeak_EVENT_TYPE
STOPS = tuple("ptkbdɡgcɟqɢʔʈɖ")
RHOTICS = tuple("rɾɹʀʁɻ")
VOWELS = tuple("aeiouyæøœɐɑɒɔəɚɛɜɤɨɪɯɵʉʊʌʏᵻ")
CLOSURE = 0.05  # seconds of a pause that a stop after it can claim


class LabelError(ValueError):
    """The events and the names of an utterance do not match one to one: it has no labels that can be trusted."""


def label(speech: Speech, text: str, language: str = "") -> tuple[tuple[Span, ...], tuple[Span, ...]]:
    """The phones and the words of what was said of ``text``, in seconds from its first sample.

    Raises LabelError, naming the text and the first difference, or saying that no phone is spoken.
    """
    items = _items(speech.events, language)
    names = [name for word in words(speech.names, language) for name in word if not _flag(name)]
    _match([item["name"] for item in items if item["name"]], names, text)
    if not names:
        raise LabelError(f"expected something to say, found {text!r}, in which no phone is spoken")
    rest = iter(names)
    for item, end in zip(items, [*(item["start"] for item in items[1:]), len(speech.samples)], strict=True):
        item["end"] = end
        item["name"] = item["name"] and next(rest)
        sound = speech.samples[item["start"] : end]
        item["silent"] = not item["name"] and (not sound.size or np.mean(sound == 0) > 0.9)
        if item["name"] and not item["name"].startswith(STOPS) and not sound.any():
            item["end"] = item["start"]  # the silence after it is a pause
    _close_stops(items, speech.samples, round(CLOSURE * speech.rate))
    phones = _give_away_nameless(items)
    borrowed = _lend_to_empty(phones)
    spans = tuple(
        Span(p["name"], p["start"] / speech.rate, p["end"] / speech.rate, 0.0 if k in borrowed else None)
        for k, p in enumerate(phones)
    )
    return spans, _words(spans, [p["position"] for p in phones], text)


def _items(events: Sequence, language: str) -> list[dict]:
    """The phone events in order, palatalisation merged into its consonant; flags such as (en) become nameless."""
    items = []
    for kind, position, _, sample, name in events:
        if kind != PHONEME:
            continue
        name = clean(name, language)
        if name == "ʲ" and items and items[-1]["name"]:
            items[-1]["name"] += name
        else:
            items.append({"name": "" if _flag(name) else name, "start": sample, "position": position})
    return items


def _flag(name: str) -> bool:
    """Whether it is a language switch such as ``(en)``: no sound."""
    return name.startswith("(")


def _match(events: list[str], names: list[str], text: str) -> None:
    """Demand that every event's name is its full name, but for length and the cut at eight bytes."""
    plain = [name.replace("ː", "") for name in names]
    for place in range(max(len(events), len(names))):
        event = events[place].replace("ː", "") if place < len(events) else None
        name = plain[place] if place < len(names) else None
        if event is None or name is None or not name.startswith(event):
            raise LabelError(
                f"expected phone {place + 1} of {text!r} to be {name!r} as it is written, found {event!r} as it was "
                f"spoken: leave the sentence out, or write it without what espeak-ng stumbles over"
            )


def _close_stops(items: list[dict], samples: np.ndarray, most: int) -> None:
    """Move the start of each stop back over its closure, down to the start of the event before it."""
    for before, item in zip([None, *items[:-1]], items, strict=True):
        if not item["name"].startswith(STOPS):
            continue
        floor = before["start"] if before else 0
        if before and before["silent"]:
            floor = max(floor, item["start"] - most)
        sounding = np.flatnonzero(samples[floor : item["start"]])
        item["start"] = floor + int(sounding[-1]) + 1 if sounding.size else floor
        if before:
            before["end"] = item["start"]


def _give_away_nameless(items: list[dict]) -> list[dict]:
    """The phones alone; each audible nameless stretch goes to the r after it, or the phone before it."""
    for k, item in enumerate(items):
        if item["name"] or item["silent"] or item["start"] == item["end"]:
            continue
        before, after = (items[k - 1] if k else None), (items[k + 1] if k + 1 < len(items) else None)
        if after and (after["name"].startswith(RHOTICS) or not (before and before["name"])):
            after["start"] = item["start"]
        elif before:
            before["end"] = item["end"]
    return [item for item in items if item["name"]]


def _lend_to_empty(phones: list[dict]) -> set[int]:
    """Give each phone of no length a third of its neighbour; the indices of those that had none."""
    empty = {k for k, phone in enumerate(phones) if phone["start"] >= phone["end"]}
    for k in sorted(empty):
        phone = phones[k]
        after = phones[k + 1] if k + 1 < len(phones) and phones[k + 1]["start"] == phone["start"] else None
        before = phones[k - 1] if k and phones[k - 1]["end"] == phone["start"] else None
        if after and (after["name"].startswith(VOWELS) or not before):
            phone["end"] = after["start"] = after["start"] + (after["end"] - after["start"]) // 3
        elif before:
            phone["start"] = before["end"] = before["end"] - (before["end"] - before["start"]) // 3
        if phone["start"] >= phone["end"]:
            raise LabelError(f"phone {k + 1}, {phone['name']!r}, has no length, and no neighbour to take a third of")
    return empty


def _words(phones: Sequence[Span], positions: Sequence[int], text: str) -> tuple[Span, ...]:
    """The phones of one place in the text make one word; its label is the text from there to the next word's place."""
    starts = [k for k in range(len(phones)) if not k or positions[k] != positions[k - 1]]
    starts = [k for k in starts if not k or not _inside_word(text, positions[k])]
    spans = []
    for first, following in zip(starts, [*starts[1:], len(phones)], strict=True):
        stop = positions[following] - 1 if following < len(phones) else len(text)
        written = text[positions[first] - 1 : stop].strip()
        spans.append(Span(_bare(written), phones[first].start, phones[following - 1].end))
    return tuple(spans)


def _inside_word(text: str, position: int) -> bool:
    """Whether a place (counted from 1) is inside a written word: ``1995`` and ``DriveNow`` are said in two pieces."""
    around = text[max(position - 2, 0) : position]
    return len(around) == 2 and around.isalnum() and not any(character >= "\u2e80" for character in around)


def _bare(written: str) -> str:
    """Without the punctuation around it."""
    kept = [k for k, character in enumerate(written) if character.isalnum()]
    return written[kept[0] : kept[-1] + 1] if kept else written
