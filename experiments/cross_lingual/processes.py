"""Processes: what several of them do together, under ``accelerate launch``; alone, nothing is different.

The first one makes and writes what is made and written once; wishes to stop are everybody's; a step hears as much
speech however many there are.
"""

import math
from dataclasses import replace

import torch
from accelerate import PartialState

from unispeech_lab.settings import Settings


def state() -> PartialState:
    """Who this process is among how many; on a machine without an accelerator they meet on the CPU."""
    return PartialState(cpu=not torch.accelerator.is_available())


def agreed(wish: bool) -> bool:
    """Whether any process has the wish: all call this together."""
    here = state()
    if here.num_processes == 1:
        return wish
    asked = torch.tensor(float(wish), device=here.device)
    torch.distributed.all_reduce(asked, torch.distributed.ReduceOp.MAX)
    return bool(asked)


def shared_out(settings: Settings, processes: int = 1, at_once: float | None = None) -> Settings:
    """The same speech in a step, in micro-batches of ``at_once`` seconds at most, as many for each process.

    None: of as many seconds as the settings say, or a little less.

    Raises:
        ValueError: micro-batches shorter than the longest utterance that the settings let in.
    """
    whole = settings.batch_seconds * settings.micro_batches
    least = math.ceil(whole / (at_once or settings.batch_seconds) - 1e-9)
    number = math.ceil(least / processes) * processes
    if number == settings.micro_batches:
        return settings
    shared = replace(settings, batch_seconds=whole / number, micro_batches=number)
    longest = min(settings.most_seconds, settings.batch_seconds)
    if shared.batch_seconds < longest:
        raise ValueError(
            f"expected micro-batches of at least the {longest:g} s of the longest utterance, found {whole:g} s a step "
            f"in {number} of {shared.batch_seconds:.1f} s: take fewer processes, or more seconds at once"
        )
    return shared
