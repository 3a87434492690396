"""Saving: all that the next training step depends on, out to a folder or back from it.

model.safetensors   weights, by the plain model's names whatever wraps it: written by four processes, read by one
optimizer.bin       the optimiser's moments; read as tensors, never as code
loop.json           step, audio, time, the scale of half-precision gradients

Under FSDP the shards are gathered first. No random state is kept: a step seeds itself.
"""

import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict, set_state_dict

from .run import Run, part_of, synced, whole_folder
from .vocabulary import Vocabulary

WHOLE = StateDictOptions(full_state_dict=True)
GATHERED = StateDictOptions(full_state_dict=True, cpu_offload=True)


def is_sharded(accelerator: Accelerator) -> bool:
    """Whether no process holds all weights."""
    return accelerator.distributed_type == DistributedType.FSDP


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """A ``with`` in which a full disk is an OSError, whatever safetensors and torch call it."""
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        if isinstance(error, SafetensorError) or "inline_container" in str(error):  # torch's writer of files
            raise OSError(f"{folder} could not be written, the disk may be full ({error})") from error
        raise


@contextmanager
def whole_checkpoint(folder: Path) -> Iterator[None]:
    """A ``with`` in which whatever is wrong with a checkpoint's files is a ValueError that says what to do."""
    try:
        yield
    except pickle.UnpicklingError as error:  # torch's own words say how to run what is in there
        raise ValueError(
            f"expected plain tensors in {folder}, found a pickle that runs code, or damage; nothing of it was run: "
            "delete that folder, to go on from the one before it"
        ) from error
    except (OSError, RuntimeError, ValueError, TypeError, LookupError, EOFError, SafetensorError) as error:
        raise ValueError(
            f"expected a whole checkpoint of this model in {folder}, found another ({error}): of another model, train "
            "into another folder; a damaged one, delete it, to go on from the one before it"
        ) from error


def agree(accelerator: Accelerator, *wishes: bool) -> list[bool]:
    """Each wish that any process has: all have to do the same."""
    if accelerator.num_processes == 1:
        return list(wishes)
    asked = torch.tensor(wishes, dtype=torch.float32, device=accelerator.device)
    return [bool(total) for total in accelerator.reduce(asked)]


class Keeper:
    """Writes and reads a run's checkpoints; all processes call each of its methods together.

    ``plain`` is the model as it was before Accelerate or the compiler wrapped it, ``model`` what they made of it.
    """

    def __init__(self, run: Run, keep: int, accelerator: Accelerator, plain: nn.Module, model: nn.Module, optimizer):
        self.run, self.keep, self.accelerator = run, keep, accelerator
        self.plain, self.model, self.optimizer = plain, model, optimizer
        self.main = accelerator.is_main_process

    def save(self, facts: dict) -> None:
        """A checkpoint named by ``facts["step"]``, whole or not at all; all but the last ``keep`` go.

        Raises:
            OSError: a process cannot write; the checkpoints before are as they were.
        """
        folder, failed = self.run.folder / "checkpoints" / f"{facts['step']:08d}", None
        try:
            with whole_folder(folder) if self.main else nullcontext(part_of(folder)) as part:
                self.together(lambda: self.write(part, facts))
                if self.main:
                    synced(self.run.metrics)
        except OSError as error:
            failed = error
        if any(agree(self.accelerator, failed is not None)):
            last = [int(checkpoint.name) for checkpoint in self.run.checkpoints()][-1:]
            kept = f"that of step {last[0]} is whole" if last else "there is none before it"
            raise OSError(f"no checkpoint of step {facts['step']}: {failed or 'another process failed'}; {kept}")
        if self.main:
            self.run.keep(self.keep, facts.get("best", {}).get("step"))

    def together(self, act: Callable[[], None]) -> None:
        """Do it, or fail, on all processes alike."""
        self.accelerator.wait_for_everyone()  # the folder is there
        failed = None
        try:
            act()
        except OSError as error:
            failed = error
        if any(agree(self.accelerator, failed is not None)):
            raise failed or OSError("another process could not write its share")

    def write(self, folder: Path, facts: dict) -> None:
        """This process's share of the state. Raises OSError where the disk does not take it."""
        scaler = self.accelerator.scaler
        with disk_errors(folder):
            weights, moments = self.state()
            if self.main:
                weights = {name: weight.contiguous() for name, weight in weights.items()}
                save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
                torch.save(moments, folder / "optimizer.bin")
                facts = facts if scaler is None else {**facts, "scaler": scaler.state_dict()}
                (folder / "loop.json").write_text(json.dumps(facts), encoding="utf-8")

    def state(self) -> tuple[dict, dict]:
        """Whole weights by the plain model's names, and the optimiser's moments: under FSDP on the main process."""
        if is_sharded(self.accelerator):
            return get_state_dict(self.model, self.optimizer.optimizer, options=GATHERED)
        return self.plain.state_dict(), self.optimizer.state_dict()

    def take_up(self, weights: dict, moments: dict) -> None:
        """The reverse."""
        if is_sharded(self.accelerator):
            told = {"model_state_dict": weights, "optim_state_dict": moments}
            set_state_dict(self.model, self.optimizer.optimizer, **told, options=WHOLE)
        else:
            self.plain.load_state_dict(weights)
            self.optimizer.load_state_dict(moments)

    def resume(self) -> dict | None:
        """Take up the last whole checkpoint, written by as many processes or another number, and forget what came
        after it; its facts, None if there is none.

        Raises:
            ValueError: it is damaged, or another model's; what to do is said.
        """
        checkpoints, facts = self.run.checkpoints(), None
        if checkpoints:
            with whole_checkpoint(checkpoints[-1]):
                facts = json.loads((checkpoints[-1] / "loop.json").read_text(encoding="utf-8"))
                if facts["step"] != int(checkpoints[-1].name):
                    raise ValueError(f"loop.json says step {facts['step']!r}")
            self.restore(checkpoints[-1])
            if self.accelerator.scaler is not None and "scaler" in facts:
                self.accelerator.scaler.load_state_dict(facts["scaler"])
        self.accelerator.wait_for_everyone()  # all have read
        if self.main:
            self.run.keep(self.keep, (facts or {}).get("best", {}).get("step"))
            self.run.rewind(facts["step"] if facts else -1)
        self.accelerator.wait_for_everyone()
        return facts

    def restore(self, checkpoint: Path) -> None:
        """Weights and moments of a checkpoint.

        Raises:
            ValueError: it is damaged, another model's, or of a run under FSDP where this one is not, or the reverse.
        """
        with whole_checkpoint(checkpoint):
            moments = torch.load(checkpoint / "optimizer.bin", map_location="cpu", weights_only=True)
            weights = load_file(checkpoint / "model.safetensors")
            gathered = [isinstance(name, str) for name in moments["state"]]
        sharded = is_sharded(self.accelerator)
        if gathered and any(gathered) != sharded:
            raise ValueError(
                f"expected a checkpoint of a run {'under' if sharded else 'without'} FSDP, as this one is, found the "
                f"other kind in {self.run.folder}: go on as it was begun"
            )
        with whole_checkpoint(checkpoint):
            self.take_up(weights, moments)

    def finish(self, vocabulary: Vocabulary | None, more: Callable[[Path], None] = lambda folder: None) -> None:
        """The result as Hugging Face's folder: weights, config, preprocessor, vocabulary; ``more`` may add to it."""
        weights, _ = self.state()
        if self.main:
            if vocabulary is not None:  # a recogniser's head may begin with this one, see doors.weights
                self.plain.config.vocab_size, self.plain.config.pad_token_id = len(vocabulary), vocabulary.blank
            with whole_folder(self.run.folder / "model") as folder, disk_errors(folder):
                self.plain.save_pretrained(folder, state_dict=weights)
                self.plain.feature_extractor_settings().save_pretrained(folder)
                if vocabulary is not None:
                    vocabulary.save(folder)
                more(folder)
        self.accelerator.wait_for_everyone()
