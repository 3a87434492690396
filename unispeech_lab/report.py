"""Report: one page of HTML that holds every still view of an utterance, its sound, its phones in a table.

Nothing is fetched and no script runs: the page reads anywhere, in a mail, without a network, years from now.
"""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from unispeech_lab import listen
from unispeech_lab import views as folder
from unispeech_lab.corpus import Utterance
from unispeech_lab.views import still
from unispeech_lab.views.explore import TABS, explore
from unispeech_lab.views.explorer import Explorer

AGAINST_TRUTH = ("alignment",)  # where the phones' times are the model's own, that would be praise of itself
STYLE = """
body { max-width: 960px; margin: 2em auto; padding: 0 1em; font: 16px/1.5 system-ui, sans-serif; color: #1b1f24; }
img { max-width: 100%; }
nav { display: flex; flex-wrap: wrap; gap: 0 1em; }
h2 { border-top: 1px solid #c3c9d1; padding-top: 1em; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 2px 12px; border-bottom: 1px solid #e4e7eb; }
th:first-child, td:first-child { text-align: left; }
.words { color: #5b6470; } footer { margin-top: 3em; color: #5b6470; font-size: 14px; }
"""


def page(model, utterance: Utterance, tabs: Sequence[str] = (), title: str = "", note: str = "") -> str:
    """The page, as text: ``Path("report.html").write_text(page(model, utterance), encoding="utf-8")``.

    tabs    of ``explore``; if none are named, every one that is about this utterance alone. Name "alignment" where the
            phones' times are the truth: it measures against them
    """
    tabs = tabs or tuple(tab for tab, views in TABS.items() if tab not in AGAINST_TRUTH and not over_corpus(views))
    explorer = explore(model, utterance, tabs=tabs)
    title = title or utterance.text or utterance.id
    parts = [section(explorer, tab) for tab in explorer.tabs]
    links = "".join(f'<a href="#{anchor(tab)}">{escape(tab)}</a>' for tab in explorer.tabs)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(listen.printed(title))}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(listen.printed(title))}</h1>{listen.html(utterance)}<nav>{links}</nav>"
        f"{phones(utterance)}{''.join(parts)}<footer>{escape(note or explorer.note)}</footer></body></html>\n"
    )


def over_corpus(views: Sequence[str]) -> bool:
    """Whether any of these views is about a whole corpus."""
    there = [folder.load(name) for name in views if name in folder.names()]
    return any(getattr(view, "scope", "") == "corpus" for view in there)


def section(explorer: Explorer, tab: str) -> str:
    """A tab as a heading, its still picture, and what each panel says; or why it has nothing to show."""
    head = f'<section id="{anchor(tab)}"><h2>{escape(tab[:1].upper() + tab[1:])}</h2>'
    try:
        panels = explorer.open(tab).panels()
    except ValueError as error:  # too short for this one: the others stand
        return f'{head}<p class="words">{escape(str(error))}</p></section>'
    picture = b64encode(still.png(panels)).decode()
    said = "".join(f"<li><b>{escape(panel.title)}.</b> {escape(panel.words)}</li>" for panel in panels if panel.words)
    return (
        f'{head}<img alt="{escape(still.words(panels))}" src="data:image/png;base64,{picture}">'
        f'<ul class="words">{said}</ul></section>'
    )


def phones(utterance: Utterance) -> str:
    """The utterance's phones as a table: label, start, end, length, score; nothing where there are none."""
    if not utterance.phones:
        return ""
    scored = any(span.score not in (None, 0.0) for span in utterance.phones)
    rows = "".join(
        f"<tr><td>{escape(listen.printed(span.label))}</td><td>{span.start:.3f}</td><td>{span.end:.3f}</td>"
        f"<td>{1000 * span.duration:.0f}</td>{f'<td>{span.score:.2f}</td>' if scored else ''}</tr>"
        for span in utterance.phones
    )
    head = "<th>phone</th><th>start, s</th><th>end, s</th><th>length, ms</th>" + ("<th>score</th>" if scored else "")
    return (
        f"<details><summary>{len(utterance.phones)} phones with their times</summary>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></details>"
    )


def anchor(tab: str) -> str:
    return tab.lower().replace(" ", "-")
