"""Interrupt: the first Ctrl-C is a wish to stop at the next good place, the second stops at once."""

import signal
import sys
import threading
import time

ECHO = 0.5  # seconds in which a second signal is the same key press, passed on by a launcher


class Interrupt:
    """A ``with`` in which SIGINT or SIGTERM makes it true, instead of stopping the program; the next one does stop it.

    >>> with Interrupt() as asked:
    ...     while not asked:
    ...         work()

    Signals reach the main thread alone: in any other it stays false.
    """

    def __init__(self, says: str = "stopping after this step; once more: at once"):
        self.says, self.since, self.before = says, None, {}

    def __bool__(self) -> bool:
        return self.since is not None

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self.hear) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.before = {}

    def hear(self, number: int, frame) -> None:
        if self.since is None:
            self.since = time.monotonic()
            print(f"\n{self.says}", file=sys.stderr, flush=True)
        elif time.monotonic() - self.since > ECHO:
            self.__exit__()
            signal.raise_signal(number)
