"""Where the small files that travel with the package lie, in a checkout or in an installed wheel.

A checkout holds ``data/`` and ``notebooks/`` beside the package; a wheel holds copies of them inside it (``_data``,
``_notebooks``: pyproject.toml, ``force-include``).
"""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """The folder of the bundled corpus and the default model."""
    return _travelling("data")


def notebooks_dir() -> Path:
    """The folder of the notebooks as they were shipped. Read it; work in a copy, or in the checkout."""
    return _travelling("notebooks")


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
