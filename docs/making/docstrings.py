"""The house's docstrings, plain text, as reStructuredText.

    an indented block            a formula or a program: verbatim
    name   what it is            lines in two columns: a list of definitions
    Args: Raises: Returns:       fields
    arXiv 2101.07597             a link

Everything else is a paragraph or a list, in which only ``code`` means more than itself.
"""

import re
from textwrap import dedent

FIELDS = {"Args": "param", "Raises": "raises", "Returns": "returns"}
CODE = re.compile(r"``.+?``|`[^`\s](?:[^`]*[^`\s])?`", re.S)
LINK = re.compile(r"arXiv:? (\d{4}\.\d{5})|https?://[^\s)>,;]*[^\s)>,;.:]")
COLUMNS = re.compile(r"(\S.{0,38}?) {2,}(\S.*)")


def rst(written: str) -> list[str]:
    """Lines of reStructuredText for a docstring that was cleaned of its indentation."""
    made = []
    for block in blocks(written):
        made += [*as_block(block), ""]
    return made


def blocks(written: str) -> list[list[str]]:
    """Paragraphs, indented stretches and fields, each a list of lines; an indented one keeps its empty lines."""
    found: list[list[str]] = []
    gap = True
    for line in written.expandtabs().splitlines():
        if not line.strip():
            gap = True
            continue
        last = found[-1] if found else []
        inside = bool(last) and (is_indented(last) or is_field(last))
        if inside and is_indented([line]):
            found[-1] += ["", line] if gap and is_indented(last) else [line]
        elif gap or is_field([line]) or inside or (is_indented([line]) and ends_open(last) and not in_columns(last)):
            found.append([line])
        else:
            found[-1].append(line)
        gap = False
    return found


def is_indented(block: list[str]) -> bool:
    return block[0].startswith("  ")


def is_field(block: list[str]) -> bool:
    return block[0].removesuffix(":") in FIELDS and block[0].endswith(":")


def ends_open(block: list[str]) -> bool:
    """A paragraph that announces what is indented beneath it."""
    return bool(block) and block[-1].endswith(":") and not block[0].startswith(("- ", "* "))


def as_block(block: list[str]) -> list[str]:
    if is_field(block):
        return as_fields(FIELDS[block[0][:-1]], block[1:])
    if is_indented(block):
        return [".. code-block:: text", "", *(f"   {line}" for line in dedent("\n".join(block)).splitlines())]
    if block[0].startswith(("- ", "* ")):
        return as_list(block)
    if entries := in_columns(block):
        return [line for name, text in entries for line in (inline(name), f"   {inline(text)}")]
    text = inline(" ".join(block))
    return [text.removesuffix("::") + ":" if text.endswith("::") else text]


def as_fields(kind: str, lines: list[str]) -> list[str]:
    """``name: text`` with lines that go on deeper, as fields of the Python domain."""
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    entries: list[str] = []
    for line in lines:
        if entries and (kind == "returns" or line[margin : margin + 1].isspace()):
            entries[-1] += f" {line.strip()}"
        elif line.strip():
            entries.append(line.strip())
    if kind == "returns":
        return [f":returns: {inline(entry)}" for entry in entries]
    named = [entry.partition(": ") for entry in entries]
    return [f":{kind} {name.split(' (')[0].replace('``', '')}: {inline(text)}" for name, _, text in named]


def as_list(lines: list[str]) -> list[str]:
    items: list[str] = []
    for line in lines:
        if line.startswith(("- ", "* ")):
            items.append(line[2:])
        else:
            items[-1] += f" {line.strip()}"
    return [f"- {inline(item)}" for item in items]


def in_columns(block: list[str]) -> list[tuple[str, str]]:
    """Names and explanations, if every line is both, or goes on in the second column; else nothing."""
    entries: list[tuple[str, str]] = []
    for line in block:
        if line.startswith("  "):
            if not entries:
                return []
            entries[-1] = (entries[-1][0], f"{entries[-1][1]} {line.strip()}")
        elif (parts := COLUMNS.fullmatch(line)) and not parts[1].endswith((".", ";")):
            entries.append((parts[1], parts[2]))
        else:
            return []
    return entries


def inline(text: str) -> str:
    """Text in which nothing but code and links means more than itself."""
    made, at = [], 0
    for code in CODE.finditer(text):
        made += [plain(text[at : code.start()]), rf"\ ``{code[0].strip('`').strip()}``\ "]
        at = code.end()
    return "".join([*made, plain(text[at:])])


def plain(text: str) -> str:
    made, at = [], 0
    for link in LINK.finditer(text):
        target = f"https://arxiv.org/abs/{link[1]}" if link[1] else link[0]
        made += [escaped(text[at : link.start()]), rf"\ `{escaped(link[0])} <{target}>`__\ "]
        at = link.end()
    return "".join([*made, escaped(text[at:])])


def escaped(text: str) -> str:
    return re.sub(r"([\\*|_`<>])", r"\\\1", text)
