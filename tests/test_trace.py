"""record and Trace: what is kept, when, and that nothing is left behind."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_outputs import BaseModelOutput
from watched_models import hooks, hugging_face, speech, tower

from unispeech_lab.trace import Trace, edit, record

X = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1))


def by_hand(model, x):
    """The tower, layer by layer, without hooks: name -> value."""
    values = {"stem": model.stem(x)}
    start = values["stem"].clone()
    start[:, 0] = 0
    x = start + 1
    for i, layer in enumerate(model.layers):
        if i not in model.dropped:
            x = values[f"layers.{i}"] = layer(x)
    return values


@torch.no_grad()
def test_values_are_what_the_layers_returned_in_the_order_in_which_they_ran():
    model = tower()
    expected = by_hand(model, X)
    with record(model, "layers.*", "stem") as trace:
        model(X)
    assert list(trace) == ["stem", "layers.0", "layers.1", "layers.2", "layers.3"]
    for name, value in expected.items():
        assert torch.equal(trace[name], value)  # the stem too, though the model wrote into it afterwards


@torch.no_grad()
def test_watching_changes_no_number():
    model = tower()
    expected = model(X)
    with record(model, "*"):
        assert torch.equal(model(X), expected)


def test_an_unknown_name_is_told_before_any_hook_is_set():
    model = tower()
    with (
        pytest.raises(KeyError, match=r"no layer of Tower is called 'layers.3.gate.patern'; nearest: layers.3.gate.pa"),
        record(model, "layers.*", "layers.3.gate.patern"),
    ):
        pytest.fail("entered")
    assert hooks(model) == 0
    with pytest.raises(ValueError, match=r'at least one name, found none: try "\*"'), record(model):
        pytest.fail("entered")


@pytest.mark.parametrize("where", ["the body", "the forward", "keep"])
def test_no_hook_outlives_its_with_whatever_raises(where):
    model = tower()

    def fail(*_):
        raise RuntimeError(where)

    if where == "the forward":
        model.again.forward = fail
    before = hooks(model)
    watch = record(model, "*", keep=fail if where == "keep" else None)
    with pytest.raises(RuntimeError, match=where), watch, edit(model, {"layers.1": lambda x: x}):
        assert hooks(model) > before
        if where == "the body":
            fail()
        model(X)
    assert hooks(model) == before


@torch.no_grad()
def test_what_ran_before_an_error_is_in_the_trace():
    model = tower()
    model.layers[2].forward = lambda x: 1 / 0
    with pytest.raises(ZeroDivisionError), record(model, "layers.*") as trace:
        model(X)
    assert list(trace) == ["layers.0", "layers.1"]


@torch.no_grad()
def test_nested_and_overlapping_records_do_not_disturb_each_other():
    model = tower()
    with record(model, "layers.*") as outer:
        with record(model, "layers.1", "stem") as inner:
            model(X)
        one = outer["layers.3"]
        model(X + 1)
    assert set(inner) == {"stem", "layers.1"} and hooks(model) == 0
    assert not torch.equal(outer["layers.3"], one)
    first, second = record(model, "stem"), record(model, "norm")
    a, b = first.__enter__(), second.__enter__()
    first.__exit__(None, None, None)  # the one entered first leaves first
    model(X)
    second.__exit__(None, None, None)
    assert not a and list(b) == ["norm"] and hooks(model) == 0


@torch.no_grad()
def test_the_trace_is_of_the_last_forward_only():
    model = tower()
    with record(model, "layers.*") as trace:
        model(X)
        model.dropped = {1}
        model(X)
    assert list(trace) == ["layers.0", "layers.2", "layers.3"]  # nothing of the first forward stands in for layer 1


@torch.no_grad()
def test_of_a_layer_called_twice_the_last_value_stays():
    model = tower()
    with record(model, "again", "layers.3") as trace:
        model(X)
    assert trace.calls == {"again": 2, "layers.3": 1}
    assert torch.equal(trace["again"], model.again(model.again(trace["layers.3"])))
    shared = nn.Linear(6, 6)
    around = nn.Sequential(shared, nn.Tanh(), shared)
    with record(around, "*") as trace:
        output = around(X)
    assert list(trace) == ["1", "0"] and torch.equal(trace["0"], output)  # in the order of the values kept


@torch.no_grad()
def test_the_first_tensor_of_several_is_kept_unless_another_is_asked_for():
    model = tower()
    with record(model, "split", "split[1]", "stem") as trace:
        model(X)
    assert torch.allclose(trace["split[1]"], (trace["split"] - 1) * 2, atol=1e-6)
    with pytest.raises(TypeError, match="expected 3 things or more from split.2., found 2"), record(model, "split[2]"):
        model(X)


class NamedPair(NamedTuple):
    label: str
    value: torch.Tensor


@dataclass(frozen=True)
class DataPair:
    label: str
    value: torch.Tensor


@pytest.mark.parametrize("kind", ["namedtuple", "dataclass", "dict", "model output", "nothing"])
@torch.no_grad()
def test_any_kind_of_output_is_taken_apart_and_put_together(kind):
    class Layer(nn.Module):
        def forward(self, x):
            self.returned = {
                "namedtuple": NamedPair("a", x),
                "dataclass": DataPair("a", x),
                "dict": {"label": "a", "value": x},
                "model output": BaseModelOutput(last_hidden_state=x),
                "nothing": "a",
            }[kind]
            return self.returned

    model = nn.Sequential(Layer())
    if kind == "nothing":
        with pytest.raises(TypeError, match="expected a tensor from 0, found str"), record(model, "0"):
            model(X)
        return
    with record(model, "0") as trace, edit(model, {"0": lambda x: x + 1}):
        output = model(X)
    assert torch.equal(trace["0"], X + 1) and type(output) is type(model(X))

    def value(thing):
        return thing["value"] if kind == "dict" else thing[0] if kind == "model output" else thing.value

    with edit(model, {"0": lambda x: x + 1}):
        output = model(X)
    assert torch.equal(value(output), X + 1) and torch.equal(value(model[0].returned), X)


@torch.no_grad()
def test_keep_takes_memory_for_what_it_keeps_only():
    model = tower()
    with record(model, "layers.*", "pattern", keep={"pattern": lambda p: p[:, 3]}) as trace:
        model(X)
    value = trace["layers.0.gate.pattern"]
    assert value.shape == (2, 6) and value.untyped_storage().nbytes() == 2 * 6 * 4
    assert trace["layers.0"].shape == X.shape
    with record(model, "layers.*", keep={"layers.0": lambda x: x.mean(1), "layers.*": lambda x: x[0]}) as trace:
        model(X)
    assert trace["layers.0"].shape == (2, 6) and trace["layers.1"].shape == (5, 6)  # the first that means it
    with record(model, "layers.0", keep=lambda x: x.mean(1)) as trace:
        model(X)
    assert trace["layers.0"].shape == (2, 6)
    unknown = record(model, "pattern", keep={"patern": lambda p: p})
    with pytest.raises(KeyError, match="keep= names 'patern', which is not recorded; nearest: pattern"), unknown:
        pytest.fail("entered")
    number = record(model, "stem", keep=lambda x: x.sum().item())
    with pytest.raises(TypeError, match="expected keep= to return a tensor for stem, found float"), number:
        model(X)


@torch.no_grad()
def test_values_can_be_kept_on_another_device():
    model = tower()
    with record(model, "layers.*", device="meta") as trace:
        assert model(X).device.type == "cpu"
    assert {value.device.type for value in trace.values()} == {"meta"}


@torch.no_grad()
def test_stop_ends_the_forward_after_the_last_name():
    model = tower()
    with record(model, "layers.1", "stem", stop=True) as trace:
        model(X)
        pytest.fail("the forward went on")
    assert list(trace) == ["stem", "layers.1"]
    assert [layer.ran for layer in model.layers] == [1, 1, 0, 0]
    with record(model, "layers.1") as inner, record(model, "layers.1", stop=True):
        model(X)
    with record(model, "layers.1", stop=True) as outer, record(model, "layers.1") as inner:
        model(X)
    assert torch.equal(outer["layers.1"], inner["layers.1"])  # who looks is served before the forward is ended
    with record(model, "stem", stop=True):
        with record(model, "layers.*") as inner:
            model(X)
        pytest.fail("the outer with went on")
    assert not inner


@torch.no_grad()
def test_stop_lets_a_forward_end_by_itself_where_a_name_does_not_run():
    model = tower()
    model.dropped = {1}
    with record(model, "layers.1", "layers.2", stop=True) as trace:
        assert model(X).shape == X.shape
        assert list(trace) == ["layers.2"]
        model.dropped = set()
        model(X)
    assert list(trace) == ["layers.1", "layers.2"] and hooks(model) == 0


def test_the_graph_is_kept_when_asked_for():
    model = tower()
    with record(model, "layers.1", detach=False) as trace:
        loss = model(X).square().sum()
    gradient = torch.autograd.grad(loss, trace["layers.1"])[0]
    moved = trace["layers.1"].detach() + 1e-2 * (direction := torch.randn_like(gradient))
    with torch.no_grad(), edit(model, {"layers.1": lambda x: moved}):
        rise = model(X).square().sum() - loss
    assert abs(rise - 1e-2 * (gradient * direction).sum()) < 0.05 * abs(rise)
    with record(model, "stem", detach=False) as trace:
        model(X)
    assert torch.equal(trace["stem"], model.stem(X))  # the model wrote into a copy
    with record(model, "layers.1") as trace:
        model(X)
    assert not trace["layers.1"].requires_grad
    with pytest.raises(ValueError, match="a folder keeps no graph"), record(model, "stem", to="x", detach=False):
        pytest.fail("entered")


def test_gradient_checkpointing_is_recorded_once_with_the_same_gradients():
    model = tower().train()
    model(X).sum().backward()
    expected = [weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    for layer in model.layers:
        forward = layer.forward
        layer.forward = lambda x, forward=forward: checkpoint(forward, x, use_reentrant=False)
    with record(model, "layers.*", "pattern") as trace:
        model(X).sum().backward()
    assert all(layer.ran == 3 for layer in model.layers)  # plain forward, checkpointed forward, and again in backward
    assert set(trace.calls.values()) == {1} and len(trace) == 8
    for weight, gradient in zip(model.parameters(), expected, strict=True):
        assert torch.equal(weight.grad, gradient)


@torch.no_grad()
def test_a_compiled_model_is_watched_too():
    model = nn.Sequential(nn.Linear(6, 6), nn.Tanh())
    compiled = torch.compile(model, backend="eager")
    expected = compiled(X)  # compiled code does not call hooks that are set later
    for watched in (model, compiled):
        with record(watched, "0", "1") as trace:
            compiled(X)
        assert len(trace) == 2 and torch.allclose(trace["1"], expected)
        with edit(watched, {"1": lambda x: x + 1}):
            assert torch.allclose(compiled(X), expected + 1)
        assert torch.allclose(compiled(X), expected)


# ---- the trace ------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_lookup_by_the_end_of_a_name():
    model = tower()
    with record(model, "layers.*", "pattern", "norm") as trace:
        model(X)
    assert trace["1.gate.pattern"] is trace["layers.1.gate.pattern"]
    assert "layers.1" in trace and "layers.9" not in trace and trace.get("layers.9") is None
    with pytest.raises(KeyError, match=r"'pattern' can be layers.0.gate.pattern, layers.1.gate.pattern.*trace.match"):
        trace["pattern"]
    with pytest.raises(KeyError, match="'layers.9' was not recorded; nearest: layers.3, layers.2"):
        trace["layers.9"]
    assert list(trace.match("layers.*")) == [f"layers.{i}" for i in range(4)]
    assert set(trace.match("pattern")) == {f"layers.{i}.gate.pattern" for i in range(4)}
    with pytest.raises(KeyError, match="'patern' was not recorded; nearest: pattern"):
        trace.match("patern")


@torch.no_grad()
def test_stack_never_shifts_when_a_layer_did_not_run():
    model = tower()
    model.dropped = {1}
    with record(model, "layers.*", "stem", "again") as trace:
        model(X)
    with pytest.raises(KeyError, match="'layers.1' was asked for, but did not run in this forward"):
        trace["layers.1"]
    with pytest.raises(ValueError, match=r"expected 4 values, found 3: layers.1 did not run .*fill=float\('nan'\)"):
        trace.stack("layers.*")
    tensor, names = trace.stack("layers.*", fill=float("nan"))
    assert tensor.shape == (4, *X.shape) and names == [f"layers.{i}" for i in range(4)]
    assert tensor[1].isnan().all() and torch.equal(tensor[3], trace["layers.3"])
    assert "did not run: layers.1" in repr(trace) and "did not run: layers.1" in trace._repr_html_()
    model.dropped = set()
    with record(model, "layers.*") as trace:
        model(X)
    assert torch.equal(trace.stack("layers.*")[0], torch.stack(list(trace.values())))


def test_stack_wants_one_shape():
    with pytest.raises(ValueError, match=r"expected values of one shape, found \{'a.x': \(1,\), 'b.x': \(2,\)\}"):
        Trace({"a.x": torch.zeros(1), "b.x": torch.zeros(2)}).stack("x")
    with pytest.raises(ValueError, match="expected a fill that torch.int64 can hold, found nan: write an integer"):
        trace = Trace({"a.x": torch.zeros(1, dtype=torch.long)}, asked=["a.x", "b.x"])
        trace.stack("x", fill=float("nan"))
    assert trace.stack("x", fill=-1)[0].tolist() == [[0], [-1]]


def test_the_table_tells_shape_type_size_and_range():
    trace = Trace({"a": torch.tensor([[1.0, 2.0, 6.0]]), "b": torch.tensor([True, False]), "<c>": torch.zeros(0)})
    assert trace.nbytes == 14 and trace.table["bytes"].tolist() == [12, 2, 0]
    row = trace.table.loc["a"]
    assert (row["shape"], row["dtype"], row["min"], row["mean"], row["max"]) == ((1, 3), "float32", 1, 3, 6)
    assert trace.table.loc["b", "mean"] == 0.5 and np.isnan(trace.table.loc["<c>", "mean"])
    assert "<td>float32</td>" in trace._repr_html_() and "<c>" not in trace._repr_html_()
    assert "3 values, 14 bytes" in repr(trace)


# ---- Hugging Face's own UniSpeech -----------------------------------------------------------------------------------


@pytest.mark.parametrize("norm, stable", [("group", False), ("layer", True)])
@torch.no_grad()
def test_hugging_face_states_and_attentions_are_its_own(norm, stable):
    model, batch = hugging_face(norm, stable), speech()
    with record(model, "layers.*", "attention[1]", "feature_projection", "feature_projection.projection") as trace:
        output = model(**batch, output_hidden_states=True, output_attentions=True)
    for i in range(3):  # the last of Hugging Face's hidden states is normalised once more
        assert torch.equal(trace[f"layers.{i}"], output.hidden_states[i + 1])
    for i in range(4):
        assert torch.equal(trace[f"layers.{i}.attention[1]"], output.attentions[i])
    # Hugging Face zeroes padded frames in place after the projection has returned them: not behind our back.
    assert torch.equal(trace["feature_projection"], trace["feature_projection.projection"])
    assert (trace["feature_projection"].abs().sum(-1) > 0).all()


@torch.no_grad()
def test_hugging_face_layer_drop_leaves_names_out():
    model = hugging_face(layerdrop=0.5).train()
    torch.manual_seed(3)
    with record(model, "layers.*") as trace:
        model(**speech())
    assert 0 < len(trace) < 4
    with pytest.raises(ValueError, match="did not run"):
        trace.stack("layers.*")


@torch.no_grad()
def test_seconds_follow_the_convolutions():
    model, batch = hugging_face("layer"), speech()
    with record(
        model, "conv_layers.*", "layers.*", "attention[1]", "project_hid", "project_q", "quantizer[1]"
    ) as trace:
        model(**batch)
    assert trace.frames.hop == 320
    for name in ("layers.2", "layers.2.attention[1]", "project_q", "conv_layers.6"):
        assert np.allclose(trace.seconds(name), 0.0125 + 0.02 * np.arange(12))
    assert np.allclose(trace.seconds("conv_layers.0"), (10 / 2 + 5 * np.arange(799)) / 16000)
    with pytest.raises(ValueError, match=r"expected an axis of 12 frames in quantizer\[1\], found the shape \(\)"):
        trace.seconds("quantizer[1]")
    with pytest.raises(ValueError, match="expected a model whose config has conv_kernel"):
        Trace({"a": X}).seconds("a")
    by_hand = Trace({"a": torch.zeros(1, 3, 4)}, frames=trace.frames, samples=400 + 2 * 320)
    assert np.allclose(by_hand.seconds("a"), [0.0125, 0.0325, 0.0525])
    with record(model, "conv_layers.0") as trace:
        model.unispeech.feature_extractor(batch["input_values"])  # the model itself does not run
    with pytest.raises(ValueError, match="expected a forward over a waveform"):
        trace.seconds("conv_layers.0")


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing_enable:FutureWarning")
def test_hugging_face_gradient_checkpointing():
    model, batch = hugging_face(layerdrop=0.0), speech()
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    for part in model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    with record(model, "layers.*") as trace:
        model(**batch).projected_states.sum().backward()
    assert len(trace) == 4 and set(trace.calls.values()) == {1}


@pytest.mark.parametrize(
    "line",
    ["[1]", "null", "5", '{"name": 3, "size": 1}', '{"size": 1}', '{"name": "a"}', '{"a":' * 9999],
)
def test_an_index_that_no_recording_wrote_is_refused(tmp_path, line):
    (tmp_path / "index.jsonl").write_text(
        f'{{"format": "unispeech-lab trace", "version": 1}}\n{line}\n{{"end": {{}}}}\n'
    )
    with pytest.raises(ValueError, match="expected an index (as record writes it|that begins with)"):
        Trace.open(tmp_path)


@pytest.mark.parametrize("end", ["null", "[]", "3", '{"asked": [], "frames": {"evil": 1}}'])
def test_an_index_with_a_strange_end_is_refused(tmp_path, end):
    (tmp_path / "index.jsonl").write_text(f'{{"format": "unispeech-lab trace", "version": 1}}\n{{"end": {end}}}\n')
    with pytest.raises(ValueError, match="expected an index as record writes it, found"):
        Trace.open(tmp_path)
