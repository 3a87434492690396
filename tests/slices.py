"""Which names the cells of a notebook bind or use, read off the source: no state is hidden, little has to be run."""

import builtins
import re
import symtable
from collections.abc import Iterator

GIVEN = {*dir(builtins), "__name__"}


def names(source: str) -> tuple[set[str], set[str]]:
    """Names that a cell binds, and those that it uses, functions and comprehensions within it counted."""
    top = symtable.symtable(re.sub(r"^[%!].*$", "pass", source, flags=re.M), "cell", "exec")
    bound = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    used = {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    for table in inner(top):
        used |= {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
    return bound, used - GIVEN


def inner(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from inner(child)


def needed(sources: list[str], wanted: set[int]) -> list[int]:
    """The cells to be run so that those wanted run: they, and whatever binds what these use, in order."""
    kept, missing = [], set()
    for k in reversed(range(len(sources))):
        bound, used = names(sources[k])
        if k in wanted or bound & missing:
            kept.append(k)
            missing = (missing - bound) | used
    return kept[::-1]
