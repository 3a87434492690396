"""Modules: what each file of the package offers, read off its source without importing it."""

import ast
import inspect
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from .docstrings import inline, rst

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "unispeech_lab"


@dataclass(frozen=True)
class Module:
    """A file of the package: ``name`` without the package's own, ``nn.quantizer``."""

    path: Path

    @property
    def name(self) -> str:
        parts = self.path.relative_to(PACKAGE).with_suffix("").parts
        return ".".join(part for part in parts if part != "__init__")

    @property
    def full(self) -> str:
        return f"{PACKAGE.name}.{self.name}".rstrip(".")

    @cached_property
    def source(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def docstring(self) -> str:
        return ast.get_docstring(self.tree) or ""

    @property
    def first_line(self) -> str:
        """What the file is, in one sentence: its docstring's first line without the title before the colon."""
        return self.docstring.partition("\n")[0].rstrip(":.") + "."

    @property
    def public(self) -> list[ast.stmt]:
        """Its public classes and functions, in the order of the file."""
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        return [node for node in self.tree.body if isinstance(node, kinds) and not node.name.startswith("_")]

    @property
    def places(self) -> dict[str, tuple[str, int, int]]:
        """Full name within the file -> what it is, its first line, its last: as viewcode asks for them."""
        found = {}
        for node in self.public:
            inner = [m for m in getattr(node, "body", []) if isinstance(node, ast.ClassDef) and hasattr(m, "name")]
            for name, part in [(node.name, node), *((f"{node.name}.{m.name}", m) for m in inner)]:
                kind = "class" if isinstance(part, ast.ClassDef) else "def"
                first = min([part.lineno, *(mark.lineno for mark in part.decorator_list)])
                found[name] = (kind, first, part.end_lineno)
        return found

    @cached_property
    def comments(self) -> dict[int, str]:
        """Comments by line."""
        tokens = tokenize.generate_tokens(io.StringIO(self.source).readline)
        return {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}

    @cached_property
    def ours(self) -> dict[str, str]:
        """Names of the package that its annotations may use -> their full names, by its imports and its own classes."""
        found = {node.name: f"{self.full}.{node.name}" for node in self.public if isinstance(node, ast.ClassDef)}
        package = self.full.split(".") if self.path.stem == "__init__" else self.full.split(".")[:-1]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom):
                above = package[: len(package) - node.level + 1] if node.level else []
                base = ".".join([*above, *filter(None, [node.module])])
                if base.split(".")[0] == PACKAGE.name:
                    found |= {name.asname or name.name: f"{base}.{name.name}" for name in node.names}
        return found

    @cached_property
    def handed_on(self) -> dict[str, tuple["Module", ast.stmt]]:
        """Names that a package's ``__all__`` has from its files -> the file, and the statement there."""
        found = {}
        lists = [node.value for node in self.tree.body if "__all__" in bound(node) and isinstance(node.value, ast.List)]
        for name in [name for every in lists for name in ast.literal_eval(every)]:
            home = self.ours.get(name, "").rpartition(".")[0].split(".")[1:]
            path = PACKAGE.joinpath(*home).with_suffix(".py")
            if self.path.stem == "__init__" and home and path.is_file():
                module = Module(path)
                if node := module.binding(name):
                    found[name] = module, node
        return found

    def binding(self, name: str) -> ast.stmt | None:
        """The statement that gives the module a name."""
        return next((node for node in self.tree.body if name in bound(node)), None)

    @property
    def files(self) -> list["Module"]:
        """The modules directly beneath a package."""
        if self.path.stem != "__init__":
            return []
        return [module for module in modules() if module.full.rpartition(".")[0] == self.full]

    def annotated(self, node: ast.expr) -> str:
        """An annotation with the package's own names in full, so that they lead to what they name."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            node = ast.Name(node.value)
        return ast.unparse(InFull(self.ours).visit(ast.parse(ast.unparse(node), mode="eval")))

    def signature(self, node: ast.FunctionDef, receiver: bool) -> str:
        """``(a: int, b=1) -> c`` as it is written, without the object itself."""
        arguments = ast.parse(ast.unparse(node)).body[0].args  # a copy: the receiver is taken away
        if receiver:
            (arguments.posonlyargs or arguments.args).pop(0)
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        for argument in filter(None, every):
            if argument.annotation:
                argument.annotation = ast.parse(self.annotated(argument.annotation), mode="eval").body
        returned = f" -> {self.annotated(node.returns)}" if node.returns else ""
        return f"({ast.unparse(arguments)}){returned}"

    def constructor(self, node: ast.ClassDef) -> str:
        """A class's arguments: those of its ``__init__``, or its fields if it is a dataclass or a named tuple."""
        for member in node.body:
            if isinstance(member, ast.FunctionDef) and member.name == "__init__":
                return self.signature(member, receiver=True).partition(" -> ")[0]
        marks = " ".join(ast.unparse(part) for part in [*node.decorator_list, *node.bases])
        if "dataclass" not in marks and "NamedTuple" not in marks:
            return ""
        fields = [m for m in node.body if isinstance(m, ast.AnnAssign) and "ClassVar" not in ast.unparse(m.annotation)]
        return f"({', '.join(field.target.id + ('=…' if field.value else '') for field in fields)})"

    def page(self, room: str, title_of_room: str) -> str:
        """Its page, in reStructuredText, with the way back to its room."""
        title = self.name or PACKAGE.name
        way = f":doc:`Reference <../index>` › :doc:`{title_of_room} <../{room}>`"
        head = [":orphan:", "", title, "=" * len(title), "", way, "", f".. py:module:: {self.full}", ""]
        body = [line for node in self.public for line in self.described(node)]
        given = [line for name, (home, node) in self.handed_on.items() for line in home.again(name, node)]
        files = [f"- :py:mod:`{m.name.rpartition('.')[2]} <{m.full}>`: {inline(m.first_line)}" for m in self.files]
        if given:
            given = [*heading(f"from {self.full} import …"), *given]
        if files:
            files = [*heading("Its files"), *files]
        return "\n".join([*head, *rst(self.docstring), *body, *given, *files]) + "\n"

    def again(self, name: str, node: ast.stmt) -> Iterator[str]:
        """What a package hands on of this module, as it is written here, and where it lives; members are told there."""
        home = [f"   In :py:mod:`{self.name} <{self.full}>`.", ""]
        hidden = ["   :no-index:"]
        if isinstance(node, ast.ClassDef):
            yield from self.directive("class", node.name + self.constructor(node), node, hidden)
        elif isinstance(node, ast.FunctionDef):
            yield from self.directive("function", node.name + self.signature(node, receiver=False), node, hidden)
        else:
            value = " ".join(ast.unparse(node.value).split())
            yield from [f".. py:data:: {name}", *hidden, *([f"   :value: {value}"] if len(value) < 100 else []), ""]
        members = [m.name for m in getattr(node, "body", []) if isinstance(m, ast.FunctionDef) and m.name[0] != "_"]
        if isinstance(node, ast.ClassDef) and members:
            links = ", ".join(f":py:obj:`{each} <{self.full}.{node.name}.{each}>`" for each in members)
            home[0] += f" Members: {links}."
        yield from home

    def described(self, node: ast.stmt, inside: bool = False) -> Iterator[str]:
        """A class, with its public members; a function; a method."""
        if isinstance(node, ast.ClassDef):
            yield from self.directive("class", node.name + self.constructor(node), node)
            for member in node.body:
                yield from (f"   {line}" for line in self.member(member))
        else:
            marks = {getattr(mark, "id", getattr(mark, "attr", "")) for mark in node.decorator_list}
            if marks & {"property", "cached_property"}:
                kind = [f"   :type: {self.annotated(node.returns)}"] if node.returns else []
                yield from self.directive("property", node.name, node, kind)
            else:
                options = [f"   :{mark}:" for mark in ("classmethod", "staticmethod") if mark in marks]
                receiver = inside and "staticmethod" not in marks
                yield from self.directive(
                    "method" if inside else "function", node.name + self.signature(node, receiver), node, options
                )

    def member(self, node: ast.stmt) -> Iterator[str]:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if not node.target.id.startswith("_"):
                said = self.comments.get(node.end_lineno, "")
                value = [f"   :value: {ast.unparse(node.value)}"] if node.value else []
                yield f".. py:attribute:: {node.target.id}"
                yield f"   :type: {self.annotated(node.annotation)}"
                yield from value
                yield from ["", *(f"   {line}" for line in rst(said))]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            marks = [getattr(mark, "attr", "") for mark in node.decorator_list]
            if "setter" not in marks:
                yield from self.described(node, inside=True)

    def directive(self, kind: str, signature: str, node: ast.stmt, options: list[str] = ()) -> Iterator[str]:
        yield f".. py:{kind}:: {signature}"
        yield from options
        bases = [ast.unparse(base) for base in getattr(node, "bases", [])]
        told = rst(inspect.cleandoc(ast.get_docstring(node) or ""))
        if bases:
            told = [f"Bases: ``{'``, ``'.join(bases)}``", "", *told]
        yield from ["", *(f"   {line}".rstrip() for line in told), ""]


def heading(title: str) -> list[str]:
    return ["", title, "-" * len(title), ""]


def bound(node: ast.stmt) -> list[str]:
    """The names that a statement of a module binds: a class's, a function's, a constant's."""
    targets = getattr(node, "targets", None) or [getattr(node, "target", node)]
    return [getattr(target, "id", getattr(target, "name", "")) for target in targets]


class InFull(ast.NodeTransformer):
    """Names that the package gives, by their full names."""

    def __init__(self, names: dict[str, str]):
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:  # noqa: N802, ast's name
        return ast.parse(self.names.get(node.id, node.id), mode="eval").body


@cache
def modules() -> tuple[Module, ...]:
    """Every file of the package; none whose name begins with an underscore, none in an editor's hidden folder."""
    paths = sorted(PACKAGE.rglob("*.py"))
    told = [path for path in paths if not any(part.startswith(".") for part in path.relative_to(PACKAGE).parts)]
    return tuple(Module(path) for path in told if not path.stem.startswith("_") or path.stem == "__init__")
