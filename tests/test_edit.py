"""edit: what comes after a changed value, and what is left out when a trace is given."""

import pytest
import torch
from torch import nn
from watched_models import hooks, hugging_face, speech, tower

from unispeech_lab.trace import Trace, edit, record

X = torch.randn(2, 5, 6, generator=torch.Generator().manual_seed(1))


def double(x):
    return x * 2


# ---- changing -------------------------------------------------------------------------------------------------------


@torch.no_grad()
def test_who_comes_after_sees_the_new_value():
    model = tower()
    with record(model, "layers.1") as trace:
        model(X)
    with edit(model, {"layers.2": lambda x: trace["layers.1"]}):
        edited = model(X)
    model.dropped = {2}
    assert torch.equal(edited, model(X))  # the same as leaving layer 2 out
    assert hooks(model) == 0


@torch.no_grad()
@pytest.mark.parametrize("edit_first", [True, False])
def test_record_sees_the_edited_value_whichever_was_entered_first(edit_first):
    model = tower()
    watch, change = record(model, "layers.1", "layers.2"), edit(model, {"layers.1": double})
    first, second = (change, watch) if edit_first else (watch, change)
    with first as a, second as b:
        model(X)
    trace = b if edit_first else a
    with record(model, "layers.1") as plain:
        model(X)
    assert torch.equal(trace["layers.1"], 2 * plain["layers.1"])
    assert torch.equal(trace["layers.2"], model.layers[2](2 * plain["layers.1"]))


@torch.no_grad()
def test_several_edits_of_one_value_come_in_the_order_given_outer_first():
    model, heard = tower(), []

    def note(word):
        return lambda x: (heard.append(word), x)[1]

    with edit(model, {"layers.*": note("a"), "layers.0": note("b")}), edit(model, {"0": note("c")}):
        model(X)
    assert heard == ["a", "b", "c", "a", "a", "a"]


@torch.no_grad()
def test_an_edit_writes_into_its_own_copy():
    model = nn.Sequential(nn.Identity(), nn.Identity())

    def wipe(x):
        x[:] = 0
        return x

    x = X.clone()
    with edit(model, {"1": wipe}):
        assert (model(x) == 0).all()
    assert torch.equal(x, X)  # the identity returned its own input


@torch.no_grad()
def test_one_of_several_outputs_can_be_changed():
    model = tower()
    with record(model, "split", "split[1]") as before:
        model(X)
    with edit(model, {"split[1]": torch.zeros_like}), record(model, "split", "split[1]", "norm") as trace:
        output = model(X)
    assert torch.equal(trace["split"], before["split"]) and (trace["split[1]"] == 0).all()
    assert torch.equal(output, trace["norm"])


def test_what_an_edit_must_return():
    model = tower()
    for wrong, kind, message in [
        (
            lambda x: None,
            TypeError,
            r"expected the edit of layers.1 to return a tensor, found NoneType: end the function",
        ),
        (lambda x: x[:, :3], ValueError, r"to return \(2, 5, 6\) torch.float32, found \(2, 3, 6\) torch.float32"),
        (lambda x: x.double(), ValueError, r"to return \(2, 5, 6\) torch.float32, found \(2, 5, 6\) torch.float64"),
    ]:
        with pytest.raises(kind, match=message), edit(model, {"layers.1": wrong}):
            model(X)
    with (
        pytest.raises(KeyError, match="no layer of Tower is called 'layer.1'"),
        edit(model, {"norm": double, "layer.1": double}),
    ):
        pytest.fail("entered")
    with pytest.raises(ValueError, match="at least one edit"), edit(model, {}):
        pytest.fail("entered")
    assert hooks(model) == 0


def test_gradients_flow_through_an_edit():
    model, steer = tower(), torch.zeros(6, requires_grad=True)
    with edit(model, {"layers.1": lambda x: x + steer}):
        model(X).square().sum().backward()
    assert steer.grad.abs().sum() > 0 and model.stem.weight.grad.abs().sum() > 0


@torch.no_grad()
def test_hugging_face_outputs_show_the_edit():
    model, batch = hugging_face(), speech()
    everything = dict(output_hidden_states=True, output_attentions=True)
    before = model(**batch, **everything)  # sets Hugging Face's own hooks, before ours
    with edit(model, {"layers.1": double, "layers.2.attention[1]": torch.zeros_like}):
        after = model(**batch, **everything)
    assert torch.equal(after.hidden_states[2], 2 * before.hidden_states[2])
    assert (after.attentions[2] == 0).all() and torch.equal(after.attentions[1], before.attentions[1])


# ---- resuming -------------------------------------------------------------------------------------------------------


def resumed(model, trace, changes, *args, **kwargs):
    """The same edited forward in full and from the trace, held equal bit for bit; what was left out."""
    torch.manual_seed(0)
    with edit(model, changes):
        full = model(*args, **kwargs)
    torch.manual_seed(0)
    with edit(model, changes, given=trace) as skipped:
        short = model(*args, **kwargs)
    pairs = zip(full.to_tuple(), short.to_tuple(), strict=True) if isinstance(full, dict) else [(full, short)]
    assert all(torch.equal(a, b) for a, b in pairs)
    assert hooks(model) == 0
    return list(skipped)


@torch.no_grad()
def test_lower_layers_do_not_run_again():
    model = tower()
    with record(model, "stem", "layers.*") as trace:
        model(X)
    for layer in model.layers:
        layer.ran = 0
    with edit(model, {"layers.2": double}, given=trace) as skipped:
        for _ in range(3):
            model(X)
    assert [layer.ran for layer in model.layers] == [0, 0, 0, 3]  # the edited layer's own value is in the trace too
    assert skipped == ["stem", "layers.0", "layers.1", "layers.2"]
    assert resumed(model, trace, {"layers.2": double}, X) == skipped
    assert resumed(model, trace, {"layers.0": double}, X) == ["stem", "layers.0"]


@torch.no_grad()
def test_a_layer_edited_inside_runs_and_all_after_it():
    model = tower()
    with record(model, "layers.*") as trace:
        model(X)
    assert resumed(model, trace, {"layers.1.gate.pattern": double}, X) == ["layers.0"]
    assert resumed(model, trace, {"layers.1": double, "layers.3.linear": double}, X) == ["layers.0", "layers.1"]
    assert resumed(model, trace, {"stem": double}, X) == []
    assert resumed(model, trace, {"norm": double}, X) == [f"layers.{i}" for i in range(4)]


@torch.no_grad()
def test_what_the_trace_does_not_hold_whole_runs_as_usual():
    model = tower()
    with record(model, "*", keep={"layers.1": lambda x: x[:, :2], "layers.0": lambda x: x}) as trace:
        model(X)
    skipped = resumed(model, trace, {"layers.3": double}, X)
    # not split (a pair) nor layers 0 and 1 (keep=), though their parts are left out
    assert {"stem", "layers.0.linear", "layers.1.gate", "layers.2", "layers.3"} <= set(skipped)
    assert not {"split", "layers.0", "layers.1"} & set(skipped)
    with record(model, "again", "layers.0") as trace:
        model(X)
    assert resumed(model, trace, {"norm": double}, X) == ["layers.0"]  # of a layer called twice one value is not all


@torch.no_grad()
def test_a_layer_called_more_often_than_when_it_was_watched_is_left_out_once():
    class Shy(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.end = nn.Linear(6, 6), nn.Linear(6, 6)

        def forward(self, x):
            x = self.linear(x)
            return self.end(x if self.linear._forward_hooks else self.linear(x))

    model = Shy().eval()
    with record(model, "linear") as trace:
        model(X)
    assert resumed(model, trace, {"end": double}, X) == ["linear"]


@torch.no_grad()
def test_only_the_last_forward_of_a_trace_is_resumed():
    model = tower()
    with record(model, "layers.*") as trace:
        model(X)
        model.dropped = {1}
        model(X)
    model.dropped = set()
    assert resumed(model, trace, {"layers.0": double}, X) == ["layers.0"]
    assert resumed(model, trace, {"stem": double}, X) == [] and "layers.1" not in trace.whole


@torch.no_grad()
def test_a_trace_without_whole_values_is_refused():
    model = tower()
    with record(model, "layers.*", keep=lambda x: x[:, 0]) as kept, record(model, "split") as pair:
        model(X)
    for trace in (kept, pair, Trace(), Trace({"layers.0": X})):
        given = edit(model, {"layers.1": double}, given=trace)
        with pytest.raises(ValueError, match="expected a trace of a forward with whole outputs.*none of them"), given:
            pytest.fail("entered")
    assert hooks(model) == 0


@torch.no_grad()
def test_who_looks_inside_a_layer_gets_to_see_it():
    model = tower()
    with record(model, "layers.*") as trace:
        model(X)
    with edit(model, {"layers.2": double}, given=trace) as skipped, record(model, "layers.*", "1.gate.pattern") as seen:
        model(X)
    assert skipped == ["layers.0", "layers.2"] and "layers.1.gate.pattern" in seen
    assert torch.equal(seen["layers.0"], trace["layers.0"]) and torch.equal(seen["layers.2"], 2 * trace["layers.2"])


@torch.no_grad()
@pytest.mark.parametrize("outer_is_given", [True, False])
def test_an_edit_of_somebody_else_counts_too(outer_is_given):
    model = tower()
    with record(model, "layers.*") as trace:
        model(X)
    with edit(model, {"layers.1": double, "layers.3": double}):
        expected = model(X)
    given, other = edit(model, {"layers.3": double}, given=trace), edit(model, {"layers.1": double})
    outer, inner = (given, other) if outer_is_given else (other, given)
    with outer as a, inner as b:
        output = model(X)
    assert torch.equal(output, expected) and hooks(model) == 0
    assert (a if outer_is_given else b) == ["layers.0", "layers.1"]


@torch.no_grad()
def test_what_only_hands_on_its_input_runs_so_that_writing_in_place_reaches_it():
    class Writer(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.same, self.end = nn.Linear(6, 6), nn.Identity(), nn.Identity()

        def forward(self, x):
            x = self.linear(x)
            y = self.same(x)
            y[:, 0] = 0  # into x as well
            return self.end(x + y)

    model = Writer().eval()
    with record(model, "*") as trace:
        model(X)
    assert resumed(model, trace, {"end": double}, X) == ["linear"]


@torch.no_grad()
def test_the_trace_is_not_written_into():
    model = tower()
    with record(model, "stem", "layers.*") as trace:
        model(X)
    stem = trace["stem"].clone()
    for _ in range(2):  # the model writes into what the stem returned
        assert "stem" in resumed(model, trace, {"layers.0": double}, X)
    assert torch.equal(trace["stem"], stem) and (stem[:, 0] != 0).any()


def misfit(model, trace, *args, **kwargs):
    with pytest.raises(ValueError) as error, edit(model, {"layers.2": double}, given=trace):
        model(*args, **kwargs)
    assert hooks(model) == 0
    message = str(error.value)
    assert message.startswith("the given trace does not fit this forward: ")
    return message


@torch.no_grad()
@pytest.mark.parametrize("from_folder", [False, True])
def test_a_trace_of_another_forward_is_refused(tmp_path, from_folder):
    model = tower()

    def trace_of(name, *args, **kwargs):
        with record(model, "layers.*", to=tmp_path / name if from_folder else None) as trace:
            model(*args, **kwargs)
        return Trace.open(tmp_path / name) if from_folder else trace

    trace = trace_of("a", X, scale=2.0)
    with edit(model, {"layers.2": double}, given=trace) as skipped:
        model(x=X, scale=2.0)  # by keyword or by place is the same
    assert len(skipped) == 3
    assert "another x: expected float32 (2, 5, 6) with" in misfit(model, trace, X[:, :4], scale=2.0)
    assert "found float32 (2, 4, 6)" in misfit(model, trace, X[:, :4], scale=2.0)
    assert "another x" in misfit(model, trace, X + 1e-6, scale=2.0)  # the same shape, other numbers
    assert "another scale: expected 2.0, found nothing" in misfit(model, trace, X)
    with edit(model, {"layers.0": double}):
        edited = trace_of("b", X)
    assert "recorded under an edit" in misfit(model, edited, X)
    model.train()
    assert "in train mode every forward draws its own" in misfit(model, trace, X, scale=2.0)
    drawn = trace_of("c", X)
    model.eval()
    assert "in train mode" in misfit(model, drawn, X)
    model.layers[0].linear.weight.mul_(1.01)
    assert "the weights have changed" in misfit(model, trace, X, scale=2.0)


@torch.no_grad()
def test_one_changed_weight_is_noticed():
    model = tower()
    with record(model, "layers.*") as trace:
        model(X)
    model.layers[0].linear.weight[3, 1] += 1
    assert "the weights have changed" in misfit(model, trace, X)


@torch.no_grad()
def test_a_part_run_by_itself_runs_in_full():
    model = tower()
    with record(model, "layers.*") as trace:
        model(X)
    with edit(model, {"layers.3": double}, given=trace) as skipped:
        assert torch.equal(model.layers[0](X), model.layers[0](X)) and not skipped  # no forward of the model
        model(X)
        assert not torch.equal(model.layers[0](X), trace["layers.0"])  # the forward is over


@torch.no_grad()
def test_an_error_in_a_resumed_forward_leaves_nothing_behind():
    model = tower()
    with record(model, "layers.*") as trace:
        model(X)
    expected = model(X)
    with pytest.raises(ZeroDivisionError), edit(model, {"layers.2": lambda x: 1 / 0}, given=trace):
        model(X)
    assert hooks(model) == 0 and torch.equal(model(X), expected)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("norm, stable", [("group", False), ("layer", True)])
@torch.no_grad()
def test_hugging_face_resumes_bit_for_bit(tmp_path, norm, stable, attention):
    model, batch = hugging_face(norm, stable, attention), speech()
    names = "feature_extractor", "feature_projection.*", "pos_conv_embed", "layers.*"
    with record(model, *names, to=tmp_path) as trace:
        model(**batch)
    full = [
        f"unispeech.{name}"
        for name in (
            "feature_extractor",
            *(f"feature_projection.{part}" for part in ("layer_norm", "projection")),
            "encoder.pos_conv_embed",
            *(f"encoder.layers.{i}" for i in range(4)),
        )
    ]
    for k in range(4):
        skipped = resumed(model, Trace.open(tmp_path), {f"layers.{k}": double}, **batch)
        assert skipped == full[: 5 + k]
    if attention == "eager":
        with record(model, *names) as trace:
            model(**batch)
        assert resumed(model, trace, {"layers.2.attention": double}, **batch) == full[:6]
