"""Where the small files that travel with the package lie, in a checkout or in an installed wheel.

A checkout holds ``data/``, ``notebooks/`` and ``experiments/`` beside the package; a wheel holds copies inside it
(``_data``, ``_notebooks``, ``_experiments``: pyproject.toml, ``force-include``).
"""

import sys
from pathlib import Path
from types import ModuleType

PACKAGE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """The folder of the bundled corpus and the default model."""
    return _travelling("data")


def notebooks_dir() -> Path:
    """The folder of the notebooks as they were shipped. Read it; work in a copy, or in the checkout."""
    return _travelling("notebooks")


def experiments() -> Path:
    """The folder of the experiments; from here on Python finds them: ``from experiments.cross_lingual import results``.

    It need not be the working folder, nor on Python's path: a notebook may lie anywhere.
    """
    folder = _travelling("experiments")
    sys.modules.setdefault("experiments", ModuleType("experiments")).__path__ = [str(folder)]
    return folder


def contributing() -> Path:
    """The page that says where things go."""
    shipped = PACKAGE / "_notebooks" / "CONTRIBUTING.md"
    return shipped if shipped.is_file() else PACKAGE.parent / "CONTRIBUTING.md"


def in_checkout() -> bool:
    """Whether the package runs from a checkout of its repository rather than from an installed wheel."""
    return not (PACKAGE / "_notebooks").is_dir() and (PACKAGE.parent / "pyproject.toml").is_file()


def _travelling(name: str) -> Path:
    folders = (PACKAGE / f"_{name}", PACKAGE.parent / name)
    for folder in folders:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(
        f"expected the folder {name}/ in one of {', '.join(map(str, folders))}; found neither. "
        f"Install again: pip install --force-reinstall unispeech-lab"
    )
