"""Listen: an utterance as HTML that plays, a still picture of its waveform over its phones.

Plain strings: no script, nothing fetched, so the cell also plays in an exported page and reads without a kernel.
"""

import re
from base64 import b64encode
from html import escape

import numpy as np

from unispeech_lab import audio

WIDTH, WAVE, TIER = 760, 72, 18  # pixels


def html(utterance) -> str:
    """A ``<figure>``: the words, the still picture (an SVG image with alt text) and an audio player (16-bit FLAC)."""
    about = " · ".join(
        filter(None, (utterance.id, utterance.language, utterance.speaker, f"{utterance.seconds:.2f} s"))
    )
    picture = b64encode(svg(utterance).encode()).decode()
    sound = b64encode(audio.flac(utterance.waveform)).decode()
    return (
        '<figure style="margin:0.5em 0;max-width:760px">'
        f"<figcaption><b>{escape(printed(utterance.text))}</b><br><small>{escape(printed(about))}</small></figcaption>"
        f'<img alt="{escape(printed(alt(utterance)))}" src="data:image/svg+xml;base64,{picture}" style="width:100%">'
        f'<audio controls preload="metadata" src="data:audio/flac;base64,{sound}" style="width:100%"></audio></figure>'
    )


def printed(text: str) -> str:
    """The text with \N{REPLACEMENT CHARACTER} for what no picture may hold: control characters, halves of letters."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]", "\ufffd", text)


def alt(utterance) -> str:
    """What the picture shows, in words taken from the data."""
    loudest = int(np.abs(utterance.waveform).argmax()) / utterance.rate if utterance.waveform.size else 0.0
    words = f"Waveform of {utterance.seconds:.2f} seconds, loudest at {loudest:.2f} s"
    if utterance.phones:
        words += f", over {len(utterance.phones)} phones: " + " ".join(span.label for span in utterance.phones)
    return words + "."


def svg(utterance) -> str:
    """The waveform's envelope, a tier of phones and a tier of words beneath, on one time axis."""
    seconds = max(utterance.seconds, 1e-9)
    x = lambda time: round(time / seconds * WIDTH, 1)  # noqa: E731
    low, high = _envelope(utterance.waveform, WIDTH // 2)
    scale = (WAVE / 2 - 2) / max(np.abs([low, high]).max(initial=0), 1e-9)
    columns = np.arange(len(low)) * 2 + 1
    path = "".join(
        f"M{c} {WAVE / 2 - h * scale:.1f}V{WAVE / 2 - b * scale + 0.5:.1f}"
        for c, b, h in zip(columns, low, high, strict=True)
    )
    marks = [f'<path d="{path}" stroke="#31688e" stroke-width="2"/>']
    tiers = [tier for tier in (utterance.phones, utterance.words) if tier]
    for row, tier in enumerate(tiers):
        top = WAVE + row * TIER
        for span in tier:
            left, right = x(span.start), x(span.end)
            dashed = ' stroke-dasharray="2"' if span.score == 0.0 else ""  # times by convention
            marks.append(
                f'<rect x="{left}" y="{top}" width="{max(right - left, 0):.1f}" height="{TIER}" fill="none" '
                f'stroke="#999" stroke-width="0.5"{dashed}/><text x="{(left + right) / 2:.1f}" y="{top + 13}">'
                f"{escape(printed(span.label))}</text>"
            )
    height = WAVE + TIER * len(tiers)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
        f'<rect width="100%" height="100%" fill="#fff"/><g font-family="sans-serif" font-size="11" '
        f'text-anchor="middle" fill="#222">{"".join(marks)}</g></svg>'
    )


def _envelope(waveform: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and highest sample in each of at most so many equal stretches."""
    if not waveform.size:
        return np.zeros(0), np.zeros(0)
    starts = np.linspace(0, waveform.size, min(columns, waveform.size), endpoint=False).astype(int)
    return np.minimum.reduceat(waveform, starts), np.maximum.reduceat(waveform, starts)
