"""Terms: the first mention of a word of the glossary in a notebook leads to what it means."""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

# Everyday words as well: never linked by themselves, or only in the notebooks that their entry names.
AMBIGUOUS = {"code", "state", "view", "mask", "head", "layer", "panel", "source", "recipe", "score", "tap"}
AT_HOME = {"sample", "group", "channel", "collapse", "blank"}
NOT_PROSE = (nodes.literal, nodes.reference, nodes.title, nodes.math, nodes.raw, nodes.literal_block, nodes.math_block)
TOOLTIP = 240  # letters


def meanings(app: Sphinx) -> dict[str, tuple[str, str, str]]:
    """Term -> the page and the place of its entry, and what it says."""
    if not hasattr(app, "glossary_meanings"):
        objects = app.env.get_domain("std").objects
        entries = {name: where for (kind, name), where in objects.items() if kind == "term"}
        said = {}
        for page in {page for page, _ in entries.values()}:
            for item in app.env.get_doctree(page).findall(nodes.definition_list_item):
                text = " ".join(item.next_node(nodes.definition).next_node(nodes.paragraph).astext().split())
                said |= {place: text for term in item.findall(nodes.term) for place in term["ids"]}
        app.glossary_meanings = {name: (*where, said[where[1]]) for name, where in entries.items()}
    return app.glossary_meanings


def pattern(names: list[str]) -> re.Pattern:
    """Any of the terms as whole words, perhaps in the plural, perhaps at the head of a sentence; no single letters."""
    told = [name for name in names if len(name) > 2 and name not in AMBIGUOUS]
    longest_first = sorted(told, key=len, reverse=True)
    forms = [
        name if name != name.lower() else f"(?i:{re.escape(name[0])}){re.escape(name[1:])}" for name in longest_first
    ]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(forms)})s?(?![\w-])")


def is_at_home(name: str, page: str, said: str) -> bool:
    """Whether a word may be meant as the glossary means it on ``course/01_frontend``: not all everyday words may."""
    number = page.rpartition("/")[2].partition("_")[0]
    return name not in AT_HOME or bool(re.search(rf"notebooks?\b[^.]*\b{number}\b", said))


def link_first_mentions(app: Sphinx, doctree: nodes.document, page: str) -> None:
    if not page.startswith("course/") or app.builder.format != "html":
        return
    known = meanings(app)
    by_lower = {name.lower(): name for name in known}
    wanted, linked = pattern(list(known)), set()
    for text in list(doctree.findall(nodes.Text)):
        if any(isinstance(above, NOT_PROSE) for above in ancestors(text)):
            continue
        made, at = [], 0
        for match in wanted.finditer(text):
            name = by_lower.get(match[0].lower()) or by_lower[match[0].lower().removesuffix("s")]
            there, place, said = known[name]
            if place in linked or not is_at_home(name, page, said):
                continue
            linked.add(place)
            shown = nodes.inline(match[0], match[0], classes=["term"])
            hint = said if len(said) < TOOLTIP else f"{said[:TOOLTIP].rpartition(' ')[0]} …"
            made += [nodes.Text(text[at : match.start()])]
            made += [make_refnode(app.builder, page, there, place, shown, hint)]
            at = match.end()
        if made:
            text.parent.replace(text, [*made, nodes.Text(text[at:])])


def ancestors(node: nodes.Node):
    while node.parent is not None:
        node = node.parent
        yield node


def setup(app: Sphinx) -> dict:
    app.connect("doctree-resolved", link_first_mentions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
