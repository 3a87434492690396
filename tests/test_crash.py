"""A training that is killed at any moment goes on to the very weights that it would have had."""

import random
import time

import pytest
import torch
import training
from training import assert_same_weights, metrics

from unispeech_lab.run import Run


@pytest.fixture(autouse=True)
def one_thread():
    """As many threads here as in the processes: sums are rounded by how they are shared out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(processes, tmp_path_factory):
    """A long run that nobody disturbed, and how many seconds it took."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train_long(processes, out)  # the first one waits for the server
    begun = time.monotonic()
    train_long(processes, out.with_name("again"))
    assert_same_weights(out.with_name("again"), out)
    return out, time.monotonic() - begun


def train_long(processes, out, seconds=None) -> bool:
    """Whether it was done before it was killed."""
    ready = processes.Event()
    process = processes.Process(target=training.train_long, args=(out, ready))
    process.start()
    assert ready.wait(120)
    process.join(seconds)
    process.kill()  # SIGKILL
    process.join()
    assert process.exitcode in (0, -9)
    return process.exitcode == 0


@pytest.mark.slow
def test_killed_at_ten_random_moments_it_ends_with_the_same_weights_and_metrics(processes, whole, tmp_path):
    expected, seconds = whole
    moments = random.Random(0)
    kills, middle, turns = 0, 0, 0
    while kills < 10 or turns < 1:
        out = tmp_path / f"run{turns}"
        done = train_long(processes, out, moments.uniform(0.05, 0.6) * seconds)
        kills += not done
        middle += not done and 0 < Run(out).step < training.LONG["steps"]
        if done or kills == 10:
            done = done or train_long(processes, out)
            assert done
            assert_same_weights(out, expected)
            assert metrics(out) == metrics(expected)
            turns += 1
    assert middle >= 3, "hardly any of the moments was within the training"


@pytest.mark.slow
def test_killed_at_whatever_it_asks_of_the_disk_it_ends_with_the_same_weights(processes, tmp_path):
    expected = tmp_path / "expected"
    training.run(expected, steps=4, keep=1)
    number, died = 0, 0
    while True:
        number += 1 + number // 6  # each of the first, then fewer and fewer
        out = tmp_path / f"at{number}"
        process = processes.Process(target=training.die_at, args=(out, number))
        process.start()
        process.join()
        if process.exitcode == 0:
            break
        assert process.exitcode == 9
        died += 1
        training.run(out, steps=4, keep=1)
        assert_same_weights(out, expected)
        assert metrics(out) == metrics(expected)
        assert not list(out.rglob("*.part")), f"killed at call {number}, something half written stays"
        assert len(Run(out).checkpoints()) == 1
    assert died > 8
