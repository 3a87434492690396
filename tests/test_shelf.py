"""A trace in a folder: streamed there, read back when asked for, and never half a one."""

import json

import pytest
import torch
from torch import nn
from watched_models import hugging_face, speech, tower

from unispeech_lab.trace import Trace, record, shelf
from unispeech_lab.trace.shelf import Shelf

X = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def both(model, batch, folder, *names, **options):
    """The same recording in memory and in a folder."""
    torch.manual_seed(0)  # Hugging Face's pretraining model draws which frames to replace, in eval too
    with record(model, *names, to=folder, **options):
        model(**batch)
    torch.manual_seed(0)
    with record(model, *names, **options) as memory:
        model(**batch)
    return memory, Trace.open(folder)


def test_a_folder_gives_back_the_same_trace(tmp_path):
    memory, disk = both(hugging_face(), speech(), tmp_path / "new" / "t", "*", "attention[1]")
    assert list(disk) == list(memory) and disk.asked == memory.asked and disk.calls == memory.calls
    assert disk.frames == memory.frames and disk.nbytes == memory.nbytes
    for name in memory:
        assert torch.equal(disk[name], memory[name]) and disk[name].dtype == memory[name].dtype
    assert disk.table.equals(memory.table)
    assert (disk.seconds("layers.1") == memory.seconds("layers.1")).all()
    assert torch.equal(disk.stack("layers.*")[0], memory.stack("layers.*")[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.int64, torch.bool, torch.complex64])
def test_any_dtype_and_layout_comes_back(tmp_path, dtype):
    values = Shelf(tmp_path)
    value = (torch.randn(3, 4) * 3).to(dtype).t()
    values["a"], values["empty"], values["one"] = value, torch.zeros(0, 3), torch.tensor(2.5)
    assert torch.equal(values["a"], value) and values["a"].dtype == dtype
    assert values["empty"].shape == (0, 3) and values["one"].item() == 2.5


def test_nothing_is_read_until_it_is_asked_for_and_then_that_alone(tmp_path, monkeypatch):
    model = tower()
    with record(model, "layers.*", "stem", to=tmp_path / "t") as trace:
        model(X)
    read = []
    load = shelf.load_file
    monkeypatch.setattr(shelf, "load_file", lambda path: read.append(path.name) or load(path))
    for source in (trace, Trace.open(tmp_path / "t")):
        assert len(source) == 5 and source.table.shape == (5, 7) and "5 values" in repr(source) and source.nbytes
        assert "layers.3" in list(source) and not read
        _ = source["layers.3"]
        assert read.pop() == "layers.3.safetensors" and not read


def test_values_are_on_disk_as_they_appear_and_not_in_memory(tmp_path):
    model, seen = tower(), []
    watch = model.norm.register_forward_hook(lambda *_: seen.extend(p.name for p in tmp_path.glob("*.safetensors")))
    with record(model, "stem", "layers.*", to=tmp_path) as trace:
        model(X)
        assert len(seen) == 5 and not any(isinstance(v, torch.Tensor) for v in vars(trace._values).values())
    watch.remove()


def test_names_become_file_names_and_back(tmp_path):
    model = nn.ModuleDict()
    model.add_module("a/b", nn.Identity())
    model.add_module("ü %2F:", nn.Identity())
    model.forward = lambda x: [part(x) for part in model.values()]
    with record(model, "*", "a/b[0]", to=tmp_path / "t"):
        model(X)
    trace = Trace.open(tmp_path / "t")
    assert set(trace) == {"a/b", "a/b[0]", "ü %2F:"} and torch.equal(trace["ü %2F:"], X)
    assert len(list((tmp_path / "t").iterdir())) == 4


def test_the_last_forward_is_in_the_folder(tmp_path):
    model = tower()
    with torch.no_grad(), record(model, "layers.*", "again", to=tmp_path):
        model(X)
        model.dropped = {2}
        model(X + 1)
    trace = Trace.open(tmp_path)
    assert list(trace) == ["layers.0", "layers.1", "layers.3", "again"] and trace.calls["again"] == 2
    assert not (tmp_path / "layers.2.safetensors").exists()
    assert "did not run: layers.2" in repr(trace)


def test_a_forward_ended_by_stop_is_a_finished_recording(tmp_path):
    model = tower()
    with torch.no_grad(), record(model, "layers.1", to=tmp_path, stop=True):
        model(X)
    assert list(Trace.open(tmp_path)) == ["layers.1"] and model.layers[2].ran == 0


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="new or empty folder, found files in"), record(tower(), "*", to=tmp_path):
        pytest.fail("entered")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_foreign_unfinished_or_truncated_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="written by record.*found no index.jsonl"):
        Trace.open(tmp_path)
    for text in ("", "PK\x03\x04", '{"format": "other"}\n', json.dumps(shelf.FORMAT | {"version": 9}) + "\n"):
        (tmp_path / "index.jsonl").write_text(text)
        with pytest.raises(ValueError, match="expected an index that begins with .*unispeech-lab trace"):
            Trace.open(tmp_path)
    folder, model = tmp_path / "t", tower()
    model.again.forward = lambda x: 1 / 0
    with pytest.raises(ZeroDivisionError), record(model, "layers.*", to=folder):
        model(X)
    with pytest.raises(ValueError, match=r"the recording did not finish \(4 values are there\): record it again"):
        Trace.open(folder)


def test_a_damaged_value_is_told(tmp_path):
    with record(model := tower(), "layers.*", to=tmp_path):
        model(X)
    path = tmp_path / "layers.1.safetensors"
    whole = path.read_bytes()
    path.write_bytes(b"\xff" * len(whole))
    trace = Trace.open(tmp_path)
    with pytest.raises(ValueError, match=r"layers.1.safetensors: expected a safetensors file, found"):
        trace["layers.1"]
    path.write_bytes(whole[:-4])
    with pytest.raises(ValueError, match=rf"expected {len(whole)} bytes, found {len(whole) - 4}: truncated"):
        Trace.open(tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match=rf"expected {len(whole)} bytes, found 0"):
        Trace.open(tmp_path)
