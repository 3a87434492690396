"""Source: what Sphinx is told of modules that it need not import, and of names that a folder hands on."""

from functools import cache

from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util.nodes import make_refnode

from .modules import Module, modules


def jupyter(heading: str) -> str:
    """The anchor that JupyterLab gives a heading."""
    return heading.replace(" ", "-")


def find_source(app: Sphinx, name: str):
    """A module's source, and where each of its names begins and ends, for the page of its source."""
    module = by_name().get(name)
    return (module.source, module.places) if module else None


def resolve(app: Sphinx, env, node: pending_xref, contents):
    """A class that a signature names by the folder which hands it on: ``alignment.Span`` is ``alignment.span.Span``."""
    if node.get("refdomain") != "py":
        return None
    folder, _, wanted = node["reftarget"].rpartition(".")
    there = [
        name for name in env.get_domain("py").objects if name.startswith(f"{folder}.") and name.endswith(f".{wanted}")
    ]
    if not folder or len(there) != 1:
        return None
    entry = env.get_domain("py").objects[there[0]]
    return make_refnode(app.builder, node["refdoc"], entry.docname, entry.node_id, contents, there[0])


@cache
def by_name() -> dict[str, Module]:
    return {module.full: module for module in modules()}


def setup(app: Sphinx) -> dict:
    app.connect("viewcode-find-source", find_source)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
