"""Training from the command line: what stops it, as people read it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console


@contextmanager
def told(screen: Console) -> Iterator[bool]:
    """A ``with`` whose errors are said, not shown: Ctrl-C ends with 130, what was asked wrongly with 2.

    Its value: whether this is the process, of several, that tells.
    """
    main = int(os.environ.get("RANK", 0)) == 0
    try:
        yield main
    except KeyboardInterrupt as error:
        if main:
            screen.print(f"{error or 'stopped at once'}", markup=False)
        raise typer.Exit(130) from None
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise typer.BadParameter(str(error.args[0] if isinstance(error, KeyError) else error)) from error
