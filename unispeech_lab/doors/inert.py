"""Inert reading: a pickle's tensors with stand-ins for its classes, so that nothing in it runs.

Checkpoints of fairseq hold their settings as objects of argparse, omegaconf or fairseq itself. torch's ``weights_only``
reader refuses those. Here each such name is answered by a class that keeps what it is given and does nothing; a name
outside ``KNOWN`` is refused before anything is read.
"""

import pickletools
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING  # protocol 2 writes names as Python 2 had them
from collections import OrderedDict
from pathlib import Path

import torch
from torch.serialization import safe_globals

from unispeech_lab.doors.errors import CheckpointError

BY_TORCH = ("torch.", "collections.OrderedDict", "collections.Counter", "_codecs.encode")
KNOWN = ("argparse.Namespace", "omegaconf.", "fairseq.", "numpy.", "typing.", "enum.", "pathlib.", "collections.")
TYPES = ("_operator.getitem", "builtins.Ellipsis")  # of which typing's own pickles are made
PLAIN = (
    "bool",
    "bytes",
    "complex",
    "dict",
    "float",
    "frozenset",
    "int",
    "list",
    "object",
    "set",
    "str",
    "tuple",
    "type",
)


class Inert:
    """What a pickle gives to a class or function: kept, never done."""

    def __new__(cls, *given):
        kept = super().__new__(cls)
        kept.given, kept.state = given, {}
        return kept

    def __setstate__(self, state):
        self.state = state


def read(path: str | Path):
    """What ``torch.save`` wrote, in either of its formats; objects are ``Inert``.

    Raises:
        CheckpointError: no file of torch's, a damaged one, or one that names code which no checkpoint of fairseq has.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"expected a checkpoint file, found none at {path}")
    zipped = zipfile.is_zipfile(path)
    try:
        names = named_in(path, zipped)
        strange = sorted(name for name in names if not name.startswith(BY_TORCH) and not is_known(name))
        if strange:
            raise CheckpointError(
                f"expected tensors and settings in {path}, found {', '.join(strange)}, which would run code; nothing "
                "of it was run. If you trust its author, open it where it was made and save what counts: "
                "torch.save({'model': state['model'], 'args': vars(state['args'])}, 'plain.pt')"
            )
        with safe_globals([(stand_in(name), name) for name in names if not name.startswith(BY_TORCH)]):
            return torch.load(path, "cpu", weights_only=True, mmap=zipped)
    except CheckpointError:
        raise
    except Exception as error:  # a damaged pickle fails in any way there is, some of them with advice not to follow
        raise CheckpointError(
            f"expected a checkpoint that torch.save wrote in {path}, found something else, or damage "
            f"({type(error).__name__}): copy it again"
        ) from error


def named_in(path: Path, zipped: bool) -> set[str]:
    """Every class or function that a file's pickles name; they are scanned, not run."""
    if zipped:
        with zipfile.ZipFile(path) as archive:
            pickles = [archive.read(name) for name in archive.namelist() if name.endswith("data.pkl")]
        scans = map(pickletools.genops, pickles)
        return {name for operations in scans for name in globals_of(operations)}
    with path.open("rb") as file:  # the older format: magic number, protocol, system, object, names of storages
        return {name for _ in range(5) for name in globals_of(pickletools.genops(file))}


def globals_of(operations):
    for operation, argument, _ in operations:
        if operation.name in ("GLOBAL", "INST"):
            module, name = argument.split(" ", 1)
            module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
            yield f"{module}.{name}"
        elif operation.name == "STACK_GLOBAL":
            yield "a name made up while reading"


def is_known(name: str) -> bool:
    module, _, last = name.rpartition(".")
    return name.startswith(KNOWN) or name in TYPES or (module == "builtins" and last in PLAIN)


def stand_in(name: str):
    """What answers to a name: containers that the reader fills in place are plain ones, all else is ``Inert``."""
    if name == "collections.defaultdict":
        return lambda *given: OrderedDict()
    if name == "collections.deque":
        return lambda *given: list(*given[:1])
    return type(name.rpartition(".")[2], (Inert,), {})


def plain(value):
    """Settings as plain values: namespaces and omegaconf's nodes become dictionaries, lists and what they hold."""
    if isinstance(value, dict):
        return {key: plain(held) for key, held in value.items() if isinstance(key, str)}
    if isinstance(value, list | tuple):
        return [plain(held) for held in value]
    if not isinstance(value, Inert):
        return value
    if isinstance(value.state, dict) and value.state:
        node = next((key for key in ("_content", "_val") if key in value.state), None)
        return plain(value.state if node is None else value.state[node])
    return plain(value.given[0]) if len(value.given) == 1 else None
