"""Measure: two ways of doing one thing, in turn, in one run, because machines are noisy.

Times are wall seconds, the ways taken A B A B ...; a ratio is the median of the pairs' ratios, so a machine that slows
down half way moves both. Memory is the growth of the process's peak resident set, each way in a fresh process.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Pair:
    """Seconds of ours and of theirs, run by run."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return statistics.median(b / a for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def spread(self) -> tuple[float, float]:
        ratios = [b / a for a, b in zip(self.ours, self.theirs, strict=True)]
        return min(ratios), max(ratios)


def seconds(work: Callable) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def pair(ours: Callable, theirs: Callable, runs: int = 7) -> Pair:
    """Time both in turn, after one run of each that does not count."""
    ours(), theirs()
    times = [(seconds(ours), seconds(theirs)) for _ in range(runs)]
    return Pair(*(list(column) for column in zip(*times, strict=True)))


def operations(work: Callable) -> int:
    """Floating-point operations of a call, counted from its matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def matrix_rate(size: int = 2048, runs: int = 7) -> float:
    """Operations per second of a large ``torch.mm``: what this machine can do now."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    torch.mm(a, b)
    return 2 * size**3 / statistics.median(seconds(lambda: torch.mm(a, b)) for _ in range(runs))


def peak_bytes(prepare: Callable[[], Callable]) -> int:
    """Growth of the peak resident set while ``prepare()()`` runs, in a fresh process. Linux."""
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=grow, args=(prepare, send))
    process.start()
    grown = receive.recv()
    process.join()
    return grown


def grow(prepare: Callable[[], Callable], send) -> None:
    work = prepare()
    before = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew, here
    kept = work()
    send.send(max(status("VmHWM") - before, 1))
    del kept


def status(field: str) -> int:
    """A memory field of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":"))


def speed(what: str, times: Pair, target: float | None, work: int | None = None) -> dict:
    """A row of the table: seconds. ``work``: the operations of Hugging Face's way."""
    low, high = times.spread
    return {
        "what": what,
        "ours": f"{sorted(times.ours)[len(times.ours) // 2]:.3f} s",
        "theirs": f"{sorted(times.theirs)[len(times.theirs) // 2]:.3f} s",
        "ratio": f"{times.ratio:.2f} ({low:.2f} to {high:.2f})",
        "target": "" if target is None else f"{target:g}",
        "operations": work,
        "seconds": sorted(times.ours)[len(times.ours) // 2],
    }


def size(what: str, ours: int, others: int, target: float | None) -> dict:
    """A row of the table: bytes."""
    return {
        "what": what,
        "ours": f"{ours / 2**20:.1f} MiB",
        "theirs": f"{others / 2**20:.1f} MiB",
        "ratio": f"{ours / others:.3f} of theirs",
        "target": "" if target is None else f"{target:g}",
        "operations": None,
        "seconds": None,
    }
