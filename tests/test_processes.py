"""Two processes learn what one does from the same batches, wait for each other, and stop together."""

import socket

import numpy as np
import pytest
import torch
import training
from accelerate.utils import DistributedType
from training import metrics, weights

from unispeech_lab.run import Run

pytestmark = pytest.mark.slow
HOW = {"steps": 4, "micro_batches": 2, "model": {"layerdrop": 0.3}}  # each process skips other layers


def train(processes, out, number, **how):
    """Train on so many processes; a dead lock is an error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [processes.Process(target=training.on, args=(rank, number, port, out, how)) for rank in range(number)]
    for process in started:
        process.start()
    for process in started:
        process.join(300)
    codes = [process.exitcode for process in started]
    for process in started:
        process.kill()
    assert codes == [0] * number, f"expected all to end well within five minutes, found {codes}"


@pytest.fixture(scope="module")
def one(processes, tmp_path_factory):
    out = tmp_path_factory.mktemp("one") / "run"
    train(processes, out, 1, **HOW)
    return out


def assert_same(out, expected):
    found, other = Run(out).table, Run(expected).table
    for name in ("loss", "ctc", "contrastive", "diversity", "perplexity", "grad_norm", "valid_loss", "audio"):
        assert np.allclose(found[name].dropna(), other[name].dropna(), rtol=2e-4), name
    assert (found["sample_size"].dropna() == other["sample_size"].dropna()).all()
    for name, weight in weights(expected).items():
        assert torch.allclose(weights(out)[name], weight, atol=2e-4), name


def test_two_processes_say_what_one_says(processes, one, tmp_path):
    train(processes, tmp_path / "run", 2, **HOW)
    assert_same(tmp_path / "run", one)
    assert len(metrics(tmp_path / "run")) == len(metrics(one)), "each line is written once"


def test_one_goes_on_where_two_were_stopped_by_either(processes, one, tmp_path):
    train(processes, tmp_path / "run", 2, stop=(1, 2), **HOW)
    assert [int(folder.name) for folder in Run(tmp_path / "run").checkpoints()] == [2]
    train(processes, tmp_path / "run", 1, **HOW)
    assert_same(tmp_path / "run", one)


def test_a_process_with_nothing_to_hear_keeps_none_waiting(processes, tmp_path):
    how = {**HOW, "missing": 7, "batch_seconds": 3.0}
    train(processes, tmp_path / "two", 2, **how)
    train(processes, tmp_path / "one", 1, **how)
    assert_same(tmp_path / "two", tmp_path / "one")
    events = {event["event"] for event in Run(tmp_path / "two").events}
    assert "left out" in events and "no update" in events


def test_two_processes_that_share_the_weights_out_say_what_one_says(processes, tmp_path):
    how = {**HOW, "model": {"layerdrop": 0.0}}
    train(processes, tmp_path / "one", 1, **how)
    train(processes, tmp_path / "shared", 2, sharded=True, stop=(0, 2), **how)
    (checkpoint,) = Run(tmp_path / "shared").checkpoints()
    assert sorted(file.name for file in checkpoint.iterdir()) == ["loop.json", "model.safetensors", "optimizer.bin"]
    train(processes, tmp_path / "shared", 2, sharded=True, **how)
    assert_same(tmp_path / "shared", tmp_path / "one")


class Stub:
    """As much of an accelerator as is asked before anything is made."""

    num_processes, is_main_process, gradient_accumulation_steps, mixed_precision = 1, True, 1, "no"
    distributed_type = DistributedType.NO


def test_micro_batches_have_to_be_shared_out_evenly(tmp_path):
    stub = Stub()
    stub.num_processes = 3
    with pytest.raises(ValueError, match="expected micro_batches to be a multiple of the 3 processes, found 4"):
        training.run(tmp_path, micro_batches=4, given={"accelerator": stub})


def test_processes_that_share_the_weights_out_skip_no_layer(tmp_path):
    stub = Stub()
    stub.distributed_type = DistributedType.FSDP
    with pytest.raises(ValueError, match="expected layerdrop=0 under FSDP, .*found 0.1: set it in the config"):
        training.run(tmp_path, training.small(layerdrop=0.1), given={"accelerator": stub})
