"""Progress: how far a training run is, how well it does, how fast it goes, on one line.

Loss, perplexity and accuracy are exponential means over some twenty steps: single steps jump about.
"""

import math
import time

from tqdm.auto import tqdm

SHOWN = ("loss", "perplexity", "accuracy")
SHARE = 0.1  # of a mean that the newest step is


class Progress:
    """A bar of so many steps, a ``with``. ``shown=False``: nothing is written, the speed is still known."""

    def __init__(self, steps: int, shown: bool = True):
        self.steps, self.shown, self.bar = steps, shown, None
        self.means: dict[str, float] = {}
        self.frames, self.since, self.rate = 0.0, time.monotonic(), 0.0

    def start(self, step: int) -> None:
        """Begin at a step."""
        self.bar = tqdm(total=self.steps, initial=step, disable=not self.shown, unit="step", dynamic_ncols=True)
        self.rest()

    def step(self, row: dict) -> None:
        """One more: what it says of itself, ``frames`` among it."""
        self.frames += row["frames"]
        for name in SHOWN:
            if math.isfinite(value := row.get(name, math.nan)):
                self.means[name] = self.means.get(name, value) + SHARE * (value - self.means.get(name, value))
        if self.rate:
            said = {name: f"{value:.3g}" for name, value in self.means.items()}
            self.bar.set_postfix(said | {"frames/s": f"{self.rate:.0f}"}, refresh=False)
        self.bar.update()

    def speed(self) -> float:
        """Frames per second since it was last asked, or since the last rest."""
        self.rate = self.frames / max(time.monotonic() - self.since, 1e-9)
        self.rest()
        return self.rate

    def rest(self) -> None:
        """What was done since, a validation or a checkpoint, counts no frames: begin to count anew."""
        self.frames, self.since = 0.0, time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error) -> None:
        self.bar.close()
