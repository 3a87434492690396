"""Small trainings: a model of a few thousand weights, some English sentences, a step in some twenty milliseconds."""

import json
import os
import warnings
from functools import cache
from pathlib import Path

import models
import torch
from accelerate import Accelerator, FullyShardedDataParallelPlugin
from accelerate.state import PartialState
from accelerate.utils import DistributedType
from safetensors.torch import load_file

from unispeech_lab import UniSpeechForPreTraining, pretrain
from unispeech_lab.corpora import bundled
from unispeech_lab.settings import Settings
from unispeech_lab.vocabulary import Vocabulary

SETTINGS = {"steps": 6, "batch_seconds": 5.0, "log_every": 1, "validate_every": 3, "save_every": 2}
TIMES = {"elapsed", "frames_per_second"}


@cache
def bundle():
    return bundled.load()


def speech(language="en", number=8):
    return bundle().where(language=language)[:number]


@cache
def vocabulary(language="en"):
    return Vocabulary.of(bundle().where(language=language))


def small(seed=0, **changes):
    torch.manual_seed(seed)
    changes.setdefault("num_ctc_classes", len(vocabulary()))
    return UniSpeechForPreTraining(models.config("large", **changes))


def run(out, model=None, corpus=None, *, watch=lambda row: None, words=True, given=None, **settings):
    """Train the small model; ``given`` goes to ``train``, the rest to ``Settings``."""
    return pretrain.train(
        small() if model is None else model,
        speech() if corpus is None else corpus,
        out,
        Settings(**{**SETTINGS, **settings}),
        watch=watch,
        progress=False,
        **({"vocabulary": vocabulary()} if words else {}),
        **(given or {}),
    )


def weights(out) -> dict[str, torch.Tensor]:
    return load_file(Path(out) / "model" / "model.safetensors")


def assert_same_weights(found, expected):
    """Bit by bit."""
    found, expected = weights(found), weights(expected)
    assert found.keys() == expected.keys()
    other = [name for name, weight in expected.items() if not torch.equal(found[name], weight)]
    assert not other, f"{len(other)} of {len(expected)} weights differ, such as {other[:3]}"


def metrics(out) -> list[dict]:
    """Every line, times left out."""
    lines = (Path(out) / "metrics.jsonl").read_text().splitlines()
    return [{name: x for name, x in json.loads(line).items() if name not in TIMES} for line in lines]


# --- what a killed process runs: at the top of a module, so that a fresh process finds it ---------------------------

LONG = {"steps": 40, "save_every": 3, "log_every": 2, "validate_every": 13, "batch_seconds": 3.0, "keep": 1}


def train_long(out, begun) -> None:
    torch.set_num_threads(1)
    begun.set()
    run(out, given={"valid": speech("en", 2)}, **LONG)


def die_at(out, number: int) -> None:
    """Train for four steps; the process is gone at the so-and-so-many-th time that it asks the disk for something."""
    torch.set_num_threads(1)
    calls = 0

    def deadly(real):
        def call(*args, **kwargs):
            nonlocal calls
            calls += 1
            if calls == number:
                os._exit(9)
            return real(*args, **kwargs)

        return call

    for name in ("replace", "fsync", "rmdir", "unlink", "mkdir"):
        setattr(os, name, deadly(getattr(os, name)))
    run(out, steps=4, keep=1)
    os._exit(0)


def on(rank: int, processes: int, port: int, out, how: dict) -> None:
    """One of several processes, as ``torchrun`` starts them."""
    torch.set_num_threads(1)
    about = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
    os.environ |= {name: str(x) for name, x in about.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    how = dict(how)
    corpus = speech()
    if missing := how.pop("missing", 0):
        corpus.table.loc[: missing - 1, "path"] = "nowhere.flac"
    stop = how.pop("stop", None)

    def watch(row):
        if stop is not None and rank == stop[0] and row["step"] == stop[1]:
            raise pretrain.Stop  # on one of them alone

    given = {"valid": speech(number=2)}
    if how.pop("sharded", False):
        given["accelerator"] = sharding()
    model = small(**how.pop("model", {}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run(out, model, corpus, watch=watch, given=given, **how)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def sharding() -> Accelerator:
    """FSDP as ``accelerate launch --use_fsdp`` would have it; Accelerate has none for CPUs, so they pass for GPUs."""
    os.environ["ACCELERATE_USE_FSDP"] = "true"
    PartialState(cpu=True)._shared_state["distributed_type"] = DistributedType.MULTI_GPU
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2,
        auto_wrap_policy="transformer_based_wrap",
        transformer_cls_names_to_wrap=["EncoderLayer"],
        reshard_after_forward=True,
    )
    return Accelerator(fsdp_plugin=plugin)
