"""Live: a training run with its curves on the screen, stopped or gone on with by a button.

training = live.pretrain(model, corpus, "runs/mine", Settings(steps=300), vocabulary=vocabulary)
training                # in a cell: the curves, while the notebook answers to other cells
run = training.wait()   # until it is done

train(model, corpus, "runs/mine", settings, watch=LiveCurves(300))     # the curves of a run that the cell waits for
"""

import threading
import time
import uuid
from collections.abc import Callable
from os import PathLike

import pandas as pd
from IPython.display import display, update_display

from .pretrain import train
from .run import Run
from .settings import Settings
from .views import curves, still
from .views.chart import Chart

PAUSE = 0.5  # seconds between two pictures at least


class LiveCurves:
    """A ``watch``: it keeps each line of the metrics that it hears, and shows them.

    ``steps`` of the run, for the axis. In the notebook the live picture, and a still one with words for every reader
    without a kernel; the still one is drawn anew when the run stops.
    """

    def __init__(self, steps: int):
        self.steps, self.rows, self.drawn, self.shown, self.state = steps, [], 0.0, False, "running"
        self.chart, self.place = Chart(), uuid.uuid4().hex

    def __call__(self, row: dict) -> None:
        if not self.shown:
            self.shown = True
            display(self)  # of a run that the cell waits for
        self.rows.append(row)
        if time.monotonic() - self.drawn >= PAUSE or row["step"] == self.steps:
            self.draw("done" if row["step"] == self.steps and self.state == "running" else self.state)

    @property
    def table(self) -> pd.DataFrame:
        """What was heard: a row a step."""
        return pd.DataFrame(self.rows).groupby("step").last() if self.rows else pd.DataFrame()

    def panels(self) -> list:
        """The panels as they now are."""
        return curves.panels(self.table, self.steps)

    def note(self) -> str:
        """Step, speed and time left, in words."""
        return how_far(self.table, self.steps)

    def draw(self, state: str, note: str = "") -> None:
        """Show what is known by now."""
        self.drawn, self.state = time.monotonic(), state
        self.chart.draw(self.panels(), note or self.note(), state)
        if state in ("done", "stopped", "failed"):
            self.keep()

    def keep(self) -> None:
        """Put the still picture of this moment where the live one is shown."""
        if self.shown:
            bundle, metadata = self.bundle()
            update_display(bundle, display_id=self.place, metadata=metadata, raw=True)

    def bundle(self) -> tuple[dict, dict]:
        """The live picture, the still one, the words."""
        live = self.chart._repr_mimebundle_()
        bundle, metadata = live if isinstance(live, tuple) else (live, {})
        panels, note = self.panels(), self.note()
        if not panels:
            return {**bundle, "text/plain": note}, metadata
        said = still.words(panels, note)
        bundle = {**bundle, "text/plain": said, "image/png": still.png(panels, note=note)}
        return bundle, {**metadata, "image/png": {"alt": said}}

    def _ipython_display_(self) -> None:
        self.shown = True
        bundle, metadata = self.bundle()
        display(bundle, display_id=self.place, metadata=metadata, raw=True)


class Training:
    """A run in a thread of its own: ``stop``, ``resume``, ``wait``. Written in a cell, it shows its curves.

    While it runs, draws from torch's default generator are its draws too: for a run that is to be repeated bit by bit,
    draw from a generator of your own, or wait.
    """

    curves_of = LiveCurves

    def __init__(self, steps: int, go: Callable[..., Run], before: Run):
        self.go, self.curves, self.error, self.run = go, self.curves_of(steps), None, before
        self.curves.shown = True  # not by the first line: by the cell
        self.curves.rows = self.known()
        self.asked, self.thread = threading.Event(), None
        self.curves.chart.on_ask(self.ask)
        if before.finished:
            self.curves.draw("done")
        self.resume()

    @property
    def running(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def ask(self, what: str) -> None:
        """What a button says."""
        {"stop": self.wish, "resume": self.resume}.get(what, lambda: None)()

    def wish(self) -> None:
        """Let it stop after the step that it is at, and come back at once."""
        self.asked.set()
        if self.running:
            self.curves.state = self.curves.chart.state = "stopping"

    def stop(self) -> Run:
        """Finish the step, save, stop; what there is by then."""
        self.wish()
        return self.wait()

    def resume(self) -> None:
        """Go on from the last checkpoint, or begin."""
        if self.running or self.run.finished:
            return
        self.asked.clear()
        self.error = None
        self.curves.state = self.curves.chart.state = "running"
        self.thread = threading.Thread(target=self.work, name="training", daemon=True)
        self.thread.start()

    def wait(self, seconds: float | None = None) -> Run:
        """The run, once it is done or stopped. Raises what the training raised, TimeoutError after so many seconds."""
        if self.thread is not None:
            self.thread.join(seconds)
        if self.running:
            raise TimeoutError(f"still training after {seconds} s: {self.curves.note()}")
        self.curves.keep()  # for those who keep what cells say: nothing that a thread says reaches them
        if self.error is not None:
            raise self.error
        return self.run

    def known(self) -> list[dict]:
        """What the metrics say so far."""
        return kept_lines(self.run)

    def work(self) -> None:
        self.curves.rows = self.known()
        try:
            self.run = self.go(watch=self.curves, until=self.asked.is_set)
        except BaseException as error:  # told in the cell that waits, and in the picture
            self.error = error
            self.curves.draw("failed", f"{type(error).__name__}: {error}")
            return
        self.curves.draw("done" if self.run.finished else "stopped")

    def _ipython_display_(self) -> None:
        self.curves._ipython_display_()


def how_far(table: pd.DataFrame, steps: int) -> str:
    """``step 20 of 100, 900 frames/s, 30 s left``, as far as a run's metrics tell."""
    if not len(table):
        return f"step 0 of {steps}"
    step, said = int(table.index[-1]), [f"step {int(table.index[-1])} of {steps}"]
    if "frames_per_second" in table:
        said.append(f"{table['frames_per_second'].dropna().iloc[-1]:.0f} frames/s")
    if "elapsed" in table and step < steps:
        left = table["elapsed"].dropna().iloc[-1] / step * (steps - step)
        said.append(f"{left / 60:.0f} min left" if left > 90 else f"{left:.0f} s left")
    return ", ".join(said)


def kept_lines(run: Run) -> list[dict]:
    """The lines of a run's metrics up to its last checkpoint: the rest is done again."""
    kept = run.checkpoints()
    last = int(kept[-1].name) if kept else 0
    return [row for row in run.lines() if "event" not in row and row["step"] <= last]


def pretrain(model, corpus, out: str | PathLike, settings: Settings | None = None, **how) -> Training:
    """Begin to train in the background, or go on with a run that was stopped; ``how`` is what ``train`` takes besides.

    A finished run is shown as it is.
    """
    settings = settings or Settings()
    how = {"progress": False, **how}
    return Training(settings.steps, lambda **more: train(model, corpus, out, settings, **how, **more), Run(out))
