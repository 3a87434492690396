"""Our own model, watched: every name of the design, the pattern that is edited, and forwards that resume."""

import threading

import numpy as np
import pytest
import torch
from watched_models import hooks

import unispeech_lab
from unispeech_lab import checkpoints
from unispeech_lab.config import UniSpeechConfig
from unispeech_lab.model import UniSpeechForPreTraining
from unispeech_lab.nn.encoder import EncoderLayer
from unispeech_lab.trace import Trace, edit, record
from unispeech_lab.trace.estimate import estimate
from unispeech_lab.trace.widen import widen

NAMES = (
    "conv_layers.*",
    "feature_projection.layer_norm",
    "feature_projection.projection",
    "mask",
    "pos_conv_embed",
    "layers.*",
    "attention.pattern",
    "encoder.layer_norm",
    "quantizer.logits",
    "quantizer.codes",
    "project_q",
    "project_hid",
    "replaced",
    "ctc_proj",
)
BELOW = "feature_extractor", "feature_projection.layer_norm", "feature_projection.projection", "pos_conv_embed"


def model(norm="layer", **options):
    torch.manual_seed(0)
    made = UniSpeechForPreTraining(UniSpeechConfig.tiny(feat_extract_norm=norm, **options)).eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if ".attention." in name and name.endswith("weight"):
                weight *= 10
    return made


@pytest.fixture(scope="module", params=["layer", "group"])
def case(request):
    """A model and a batch of 1 and 0.7 s; 0.1 s more than a tile of the first convolution's frames."""
    made = model(request.param)
    generator = torch.Generator().manual_seed(1)
    return made, dict(made.prepare([torch.randn(n, generator=generator).numpy() for n in (16000, 11200)]))


@torch.no_grad()
def test_every_name_of_the_design_is_there(case):
    made, batch = case
    with record(made, *NAMES) as trace:
        output = made(**batch, mask_time_indices=torch.arange(49).expand(2, 49) < 9)
    config, t = made.config, 49
    shapes = {
        "conv_layers.0": (2, 3199, 64),
        "feature_projection.layer_norm": (2, t, 128),
        "feature_projection.projection": (2, t, 144),
        "mask": (2, t),
        "pos_conv_embed": (2, t, 144),
        "layers.5": (2, t, 144),
        "layers.5.attention.pattern": (2, 4, t, t),
        "quantizer.logits": (2, t, 2, 64),
        "quantizer.codes": (2, t, 2),
        "project_q": (2, t, 64),
        "project_hid": (2, t, 144),
        "replaced": (2, t),
        "ctc_proj": (2, t, config.num_ctc_classes),
    }
    assert {name: tuple(trace[name].shape) for name in shapes} == shapes and not set(trace.asked) - set(trace)
    assert torch.equal(trace["ctc_proj"], output.ctc_logits) and torch.equal(trace["quantizer.codes"], output.codes)
    assert torch.equal(trace["project_hid"], output.projected_quantized_states)
    assert trace["mask"].sum() == 18
    for name in set(trace) - set(trace.match("conv_layers.*")):
        assert np.allclose(trace.seconds(name), 0.0125 + 0.02 * np.arange(t))
    assert len(trace.seconds("conv_layers.1")) == 1599


@torch.no_grad()
def test_one_watched_pattern_is_the_only_one_made(case):
    made, batch = case
    expected = made(**batch)
    with record(made, "layers.2.attention.pattern", keep=lambda pattern: pattern[:, 3]) as trace:
        output = made(**batch)
        watched = [layer.attention.pattern.watched for layer in made.unispeech.encoder.layers]
    assert watched == [False, False, True, False, False, False]
    pattern = trace["pattern"]
    assert pattern.shape == (2, 49, 49) and torch.allclose(pattern.sum(-1), torch.ones(2, 49))
    assert torch.allclose(output.ctc_logits, expected.ctc_logits, atol=1e-4)
    everything = made(**batch, output_attentions=True)
    assert torch.allclose(pattern, everything.attentions[2][:, 3], atol=1e-5)


@torch.no_grad()
def test_an_edited_pattern_is_what_mixes_the_values_and_what_is_returned(case):
    made, batch = case

    def uniform(pattern):
        return torch.full_like(pattern, 1 / pattern.shape[-1])

    with (
        edit(made, {"layers.1.attention.pattern": uniform}),
        record(made, "layers.1.attention", "1.attention.v_proj") as t,
    ):
        output = made(**batch, output_attentions=True)
    assert torch.equal(output.attentions[1], uniform(output.attentions[1]))
    mixed = t["v_proj"].mean(1, keepdim=True).expand(-1, 49, -1)
    out = made.unispeech.encoder.layers[1].attention.out_proj
    assert torch.allclose(t["layers.1.attention"], out(mixed), atol=1e-4)


@torch.no_grad()
def test_the_estimate_is_the_recording_to_the_byte(case):
    made, batch = case
    keep = {"pattern": lambda pattern: pattern[:, 1]}
    table = estimate(made, *NAMES[3:], inputs=batch, keep=keep)
    with record(made, *NAMES[3:], keep=keep) as trace:
        made(**batch)
    assert table.sort_index().equals(trace.table[["shape", "dtype", "bytes"]].sort_index())
    assert hooks(made) == 0


@torch.no_grad()
@pytest.mark.parametrize("watch_patterns", [False, True])
def test_a_slider_on_layer_k_runs_the_layers_after_k(case, tmp_path, monkeypatch, watch_patterns):
    made, batch = case
    with record(made, *BELOW, "layers.*", to=tmp_path):
        made(**batch)
    trace = Trace.open(tmp_path)
    ran, forward = [], EncoderLayer.forward
    monkeypatch.setattr(EncoderLayer, "forward", lambda layer, *inputs: ran.append(layer) or forward(layer, *inputs))
    layers = list(made.unispeech.encoder.layers)
    for k in range(6):
        name = f"layers.{k}.attention.pattern" if watch_patterns else f"layers.{k}"
        with edit(made, {name: lambda x: x * 0.5}):
            full = made(**batch)
        assert ran == layers
        ran.clear()
        with edit(made, {name: lambda x: x * 0.5}, given=trace) as skipped:
            short = made(**batch)
        assert ran == layers[k if watch_patterns else k + 1 :]  # an edited layer's own value is in the trace
        ran.clear()
        for field in ("projected_states", "projected_quantized_states", "ctc_logits", "codes"):
            assert torch.equal(full[field], short[field])
        assert {"unispeech.feature_extractor", "unispeech.encoder.pos_conv_embed"} <= set(skipped)
    assert hooks(made) == 0


@torch.no_grad()
def test_resuming_composes_with_the_attentions_that_transformers_returns(case):
    made, batch = case
    with record(made, *BELOW, "layers.*") as trace:
        expected = made(**batch, output_attentions=True, output_hidden_states=True)
    with edit(made, {"layers.3": lambda x: x + 1}, given=trace):
        output = made(**batch, output_attentions=True, output_hidden_states=True)
    assert len(output.attentions) == 6 and torch.equal(output.attentions[1], expected.attentions[1])
    assert torch.equal(output.hidden_states[4], expected.hidden_states[4] + 1)


@torch.no_grad()
def test_parts_of_a_convolution_recorded_whole_are_not_taken_for_its_tiles(case):
    made, batch = case  # unwatched convolutions go through their frames in tiles
    with record(made, "conv_layers.0.*", "conv_layers.1.*") as trace:
        made(**batch)
    with edit(made, {"layers.3": lambda x: x + 1}):
        full = made(**batch)
    with edit(made, {"layers.3": lambda x: x + 1}, given=trace):
        short = made(**batch)
    assert torch.allclose(full.ctc_logits, short.ctc_logits, atol=1e-4)


def test_layer_drop_leaves_names_out():
    made = model(layerdrop=0.5, apply_spec_augment=False).train()
    batch = made.prepare(np.random.default_rng(0).standard_normal(8000))
    generator = torch.Generator().manual_seed(2)
    with record(made, "layers.*") as trace:
        made(**batch, generator=generator)
    assert 0 < len(trace) < 6
    with pytest.raises(ValueError, match=r"layers\.\d did not run"):
        trace.stack("layers.*")
    stacked, names = trace.stack("layers.*", fill=float("nan"))
    for i, name in enumerate(names):
        assert stacked[i].isnan().all() == (name not in trace) and name.endswith(f".{i}")


def test_gradient_checkpointing_gives_the_same_record_and_gradients():
    options = dict(layerdrop=0.0, apply_spec_augment=False, hidden_dropout=0.0, attention_dropout=0.0)
    options |= dict(activation_dropout=0.0, feat_proj_dropout=0.0)
    traces, gradients = [], []
    for checkpointed in (False, True):
        made = model(**options).train()
        if checkpointed:
            made.activation_checkpointing_enable({"use_reentrant": False})
        batch = made.prepare(np.random.default_rng(0).standard_normal(8000))
        with record(made, "layers.*", "attention.pattern") as trace:
            made(**batch).projected_states.square().sum().backward()
        traces.append(trace)
        gradients.append(made.unispeech.encoder.layers[0].attention.q_proj.weight.grad)
    assert list(traces[0]) == list(traces[1]) and len(traces[1]) == 12
    assert all(torch.equal(traces[0][name], traces[1][name]) for name in traces[0])
    assert set(traces[1].calls.values()) == {1} and torch.allclose(*gradients, rtol=1e-4, atol=1e-6)


class InAThread:
    """A model's forward in a thread of its own, every time a certain layer of ours is about to answer."""

    def __init__(self, made, batch, **options):
        self.made, self.batch, self.options, self.outputs, self.main = made, batch, options, [], threading.get_ident()

    def __call__(self, module, args, value):
        if threading.get_ident() == self.main:
            thread = threading.Thread(target=self.forward)
            thread.start()
            thread.join()

    def forward(self):
        with torch.no_grad():
            self.outputs.append(self.made(self.batch, **self.options))


@pytest.mark.parametrize("change", [False, True])
def test_another_thread_is_neither_recorded_nor_edited_nor_stopped(change):
    """Two notebooks' worth of people may share a model: their forwards run while ours is under way."""
    made, batch = model(), torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, theirs = made(batch).ctc_logits, made(-batch).ctc_logits
        between = InAThread(made, -batch)
        handle = made.unispeech.encoder.layers[2].register_forward_hook(between)
        with record(made, "layers.*", "ctc_proj", stop=True) as trace:
            if change:
                with edit(made, {"layers.1": torch.zeros_like}):
                    made(batch)
            else:
                made(batch)
        handle.remove()
    assert torch.equal(between.outputs[0].ctc_logits, theirs)
    assert len(trace) == 7 and set(trace.calls.values()) == {1}
    assert torch.equal(trace["ctc_proj"], expected) is not change
    assert hooks(made) == 0


def test_another_thread_runs_through_a_resumed_forward():
    made, batch = model(), torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = made(-batch).ctc_logits
        with record(made, *BELOW, "layers.*") as trace:
            made(batch)
        between = InAThread(made, -batch)
        with edit(made, {"layers.1": torch.zeros_like}):
            expected = made(batch).ctc_logits
        with edit(made, {"layers.1": torch.zeros_like}, given=trace) as skipped:
            handle = made.unispeech.encoder.layers[1].register_forward_hook(between)
            found = made(batch).ctc_logits
            handle.remove()
    assert torch.equal(between.outputs[0].ctc_logits, theirs)
    assert torch.equal(found, expected) and skipped


def test_resumed_forwards_that_overlap_leave_nothing_behind():
    """Two pages of the app: the first to begin is the first to end, while the other still listens."""
    made, batch = model(), torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        with record(made, *BELOW, "layers.*") as trace:
            made(batch)
        first, second = (edit(made, {"layers.1": torch.zeros_like}, given=trace) for _ in range(2))
        first.__enter__()
        skipped = second.__enter__()
        first.__exit__(None, None, None)
        made(batch)
        assert "unispeech.encoder.layers.0" in skipped
        second.__exit__(None, None, None)
    assert not [name for name, module in made.named_modules() if "forward" in vars(module)]
    assert hooks(made) == 0


def test_a_hook_half_set_by_another_thread_is_harmless():
    """torch says that a hook takes kwargs only after it has set it: a forward in between calls it without."""
    made, batch = model(), torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    between, changes = InAThread(made, -batch), {"layers.1": torch.zeros_like}
    with torch.no_grad():
        theirs = made(-batch).ctc_logits
        with record(made, *BELOW, "layers.*") as trace:
            made(batch)
        with record(made, "layers.*"), edit(made, changes, given=trace), widen(made, "layers.2", 3):
            for part in made.modules():
                part._forward_hooks_with_kwargs.clear()
                part._forward_pre_hooks_with_kwargs.clear()
            thread = threading.Thread(target=between.forward)
            thread.start()
            thread.join()
    assert torch.equal(between.outputs[0].ctc_logits, theirs)


def test_two_threads_ask_for_their_own_attentions():
    made, batch = model(), torch.randn(1, 4000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = made(batch, output_attentions=True).attentions
        between = InAThread(made, torch.randn(2, 8000))
        handle = made.unispeech.encoder.layers[0].attention.v_proj.register_forward_hook(between)
        found = made(batch, output_attentions=True).attentions
        handle.remove()
    assert len(between.outputs) == 1
    for mine, seen in zip(expected, found, strict=True):
        assert torch.equal(mine, seen)


def test_a_trace_of_another_precision_does_not_stand_in():
    made, batch = model(), torch.randn(1, 4000)
    with torch.no_grad(), record(made, "layers.*") as trace:
        made(batch)
    with (
        torch.no_grad(),
        edit(made, {"layers.3": torch.zeros_like}, given=trace),
        torch.autocast("cpu"),
        pytest.raises(ValueError, match="another autocast: expected nothing, found torch.bfloat16"),
    ):
        made(batch)


def test_a_trace_knows_what_the_model_calls_its_classes_and_keeps_it_on_disk(tmp_path):
    model = unispeech_lab.load()
    inputs = model.prepare(np.sin(np.arange(4000) / 9).astype(np.float32))
    with record(model, "ctc_proj", to=tmp_path / "trace") as trace, torch.no_grad():
        model(**inputs)
    for seen in (trace, Trace.open(tmp_path / "trace")):
        assert seen.labels == model.vocabulary.names and seen.blank == model.vocabulary.blank
    with record(checkpoints.untrained(), "ctc_proj") as trace:
        pass
    assert trace.labels == () and trace.blank is None
