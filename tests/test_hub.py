"""The hub: a name is looked up quickly or refused quickly, with or without a network, from the cache where it must."""

import socket
import time

import pytest
import transformers
from huggingface_hub import constants
from models import SIZES, ours

import unispeech_lab
from unispeech_lab.doors import CheckpointError, hub


@pytest.fixture
def cut_off(monkeypatch):
    """No network: names cannot be resolved. Says how often somebody tried; nobody may wait to try again."""
    tried = []

    def wait(seconds):
        raise AssertionError(f"expected nobody to wait for a network, found a wait of {seconds} s")

    monkeypatch.setattr(time, "sleep", wait)

    def fail(*args, **options):
        tried.append(args[0])
        raise socket.gaierror("Name or service not known")

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "create_connection", fail)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    return tried


def in_cache(cache, name, model):
    """What the hub's cache looks like once ``name`` was fetched."""
    folder = cache / f"models--{name.replace('/', '--')}"
    model.save_pretrained(folder / "snapshots" / ("0" * 40))
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0" * 40)


def test_without_a_network_a_name_is_refused_at_once(cut_off, tmp_path):
    with pytest.raises(
        CheckpointError, match=r"nobody/nothing, found none: the hub \(https.*cannot be reached.*'tiny'"
    ):
        unispeech_lab.load("nobody/nothing", cache_dir=tmp_path)
    assert len(cut_off) <= 2  # transformers alone tries six times, 23 s


def test_heads_are_refused_as_quickly(cut_off, tmp_path):
    with pytest.raises(OSError):
        unispeech_lab.UniSpeechForCTC.from_pretrained("nobody/nothing", cache_dir=tmp_path)
    assert len(cut_off) <= 2


@pytest.mark.parametrize("family", ["unispeech", "wav2vec2"])
def test_without_a_network_the_cache_has_to_do(cut_off, tmp_path, family):
    if family == "unispeech":
        model = ours("UniSpeechForCTC")
    else:
        sizes = {name: value for name, value in SIZES.items() if name != "num_ctc_classes"}
        model = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**sizes))
    in_cache(tmp_path, "somebody/something", model)
    loaded = unispeech_lab.load("somebody/something", cache_dir=tmp_path)
    assert type(loaded) is unispeech_lab.UniSpeechForCTC
    assert (loaded.lm_head.weight == model.lm_head.weight).all()
    assert len(cut_off) <= 3


def test_hf_hub_offline_asks_nobody(cut_off, monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(
        CheckpointError, match="HF_HUB_OFFLINE is set, so only this machine's cache was asked: unset it"
    ):
        unispeech_lab.load("nobody/nothing", cache_dir=tmp_path)
    in_cache(tmp_path, "somebody/something", ours("UniSpeechForCTC"))
    assert unispeech_lab.load("somebody/something", cache_dir=tmp_path)
    assert not cut_off


def test_a_proxy_is_asked_instead(cut_off, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert not hub.is_reachable()
    assert cut_off == [("proxy.example", 3128)]


def test_a_server_that_listens_is_reachable(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert hub.is_reachable()
    assert not hub.is_reachable()


@pytest.mark.parametrize("name", ["owner/name/more", "./a", "../a", "~/a", "/a", "name"])
def test_what_is_no_name_of_the_hub(name):
    assert not hub.is_on_the_hub(name) and hub.is_on_the_hub("owner/name")
