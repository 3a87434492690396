"""Convert: files as fairseq writes them become folders that load; outputs, blank and vocabulary are right."""

import argparse
import contextlib
import json
import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from models import Bomb, assert_near, ours, speech
from typer.testing import CliRunner

import unispeech_lab
from unispeech_lab import checkpoints
from unispeech_lab.convert import convert
from unispeech_lab.doors import CheckpointError
from unispeech_lab.doors.fairseq import numbers
from unispeech_lab.vocabulary import Vocabulary

GOLDEN = Path(__file__).parents[2] / "shared" / "oracle" / "golden.npz"
beside = pytest.mark.skipif(not GOLDEN.is_file(), reason="the authors' recordings are not beside the checkout")
W = "w2v_encoder.w2v_model."
PHONES = ["ʃ", "iː", "l", "b", "ɔː", "ɹ", "aɪ", "t", "|", "s"]  # as the authors' begins: by no order
INVERSE = (  # reference table, from ours to theirs, written anew
    (r"^quantizer\.codevectors$", W + "quantizer.vars"),
    (r"^(quantizer|project_q)\.", W + r"\1."),
    (r"^project_hid\.", W + "final_proj."),
    (r"^(ctc_proj|lm_head)\.", "w2v_encoder.proj."),
    (r"^unispeech\.", W),
    (r"masked_spec_embed$", "mask_emb"),
    (r"feature_projection\.layer_norm\.", "layer_norm."),
    (r"feature_projection\.projection\.", "post_extract_proj."),
    (r"pos_conv_embed\.conv\.bias$", "pos_conv.0.bias"),
    (r"pos_conv_embed\.conv\.parametrizations\.weight\.original0$", "pos_conv.0.weight_g"),
    (r"pos_conv_embed\.conv\.parametrizations\.weight\.original1$", "pos_conv.0.weight_v"),
    (r"\.attention\.", ".self_attn."),
    (r"(encoder\.layers\.\d+)\.layer_norm\.", r"\1.self_attn_layer_norm."),
    (r"feed_forward\.intermediate_dense\.", "fc1."),
    (r"feed_forward\.output_dense\.", "fc2."),
    (r"(conv_layers\.\d+)\.conv\.", r"\1.0."),
)


def theirs(name, layout):
    """A key of ours as fairseq has it."""
    norm = r"conv_layers.\1.2.1." if layout == "large" else r"conv_layers.\1.2."
    for pattern, to in (*INVERSE, (r"conv_layers\.(\d+)\.layer_norm\.", norm)):
        name = re.sub(pattern, to, name)
    return name


def settings(layout, **more):
    large = layout == "large"
    said = {
        "arch": "unispeech",
        "extractor_mode": "layer_norm" if large else "default",
        "encoder_layers": 3,
        "encoder_attention_heads": 4,
        "activation_fn": "gelu",
        "conv_feature_layers": "[(16, 10, 5)] + [(16, 3, 2)] * 4 + [(16,2,2)] + [(16,2,2)]",
        "layer_norm_first": large,
        "transpose": True,
        "dropout": 0.05,
        "encoder_layerdrop": 0.0,
        "mask_prob": 0.65,
        "mask_length": 3,
        "latent_temp": (2.0, 0.1, 0.999995),
        "loss_weights": [0.2, 0.0],
        "mtlalpha": 0.25,
        "replace_prob": 0.4,
        "normalize": False,
    }
    return said | more


def write(path, weights, args=None, old_format=False, **more):
    """A file as fairseq's trainer writes it: settings, history, metrics, the optimizer's state beside the weights."""
    args = None if args is None else argparse.Namespace(**args)
    state = {
        "args": args,
        "model": weights,
        "optimizer_history": [
            {"criterion_name": "UnispeechCriterion", "num_updates": 7, "lr_scheduler_state": {"best": None}}
        ],
        "extra_state": {"train_iterator": {"epoch": 2}, "val_loss": np.float64(3.5), "metrics": [("default", [])]},
        "last_optimizer_state": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": [1e-3]}]},
    }
    torch.save({**state, **more}, path, _use_new_zipfile_serialization=not old_format)
    return path


def weights_of(model, layout="large", prefix=True):
    weights = {theirs(name, layout): value for name, value in model.state_dict().items()}
    return weights if prefix else {name.removeprefix(W): value for name, value in weights.items()}


@contextlib.contextmanager
def guests(**modules):
    """Modules that are not installed here, while a file is written that names them: ``module={'Class': class}``."""
    made = {}
    for name, members in modules.items():
        full = name.replace("__", ".")
        made[full] = types.ModuleType(full)
        for label, member in members.items():
            member.__module__, member.__qualname__, member.__name__ = full, label, label
            setattr(made[full], label, member)
    for name in list(made):
        parts = name.split(".")
        made |= {".".join(parts[:n]): types.ModuleType(".".join(parts[:n])) for n in range(1, len(parts))}
    sys.modules.update(made)
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]


def assert_same_outputs(mine, other, layout="large"):
    with torch.no_grad():
        found, expected = (model(**speech((4000,), padded=layout == "large")) for model in (mine, other))
    names = [name for name, value in expected.items() if isinstance(value, torch.Tensor) and name != "loss"]
    assert names
    for name in names:
        assert_near(found[name], expected[name], 1e-6, name)


@pytest.mark.parametrize("old_format", [False, True], ids=["zip", "older"])
@pytest.mark.parametrize("layout", ["large", "base"])
def test_pretraining(tmp_path, layout, old_format):
    model = ours("UniSpeechForPreTraining", layout)
    path = write(tmp_path / "original.pt", weights_of(model, layout), settings(layout), old_format)
    done = convert(path, tmp_path / "out")
    loaded = unispeech_lab.load(tmp_path / "out")
    assert type(loaded) is unispeech_lab.UniSpeechForPreTraining
    assert_same_outputs(loaded, model, layout)
    c = loaded.config
    assert (c.hidden_dropout, c.layerdrop, c.mask_time_prob, c.mask_time_length) == (0.05, 0.0, 0.65, 3)
    assert (c.alpha, c.replace_prob, c.diversity_loss_weight) == (0.25, 0.4, 0.2)
    assert loaded.objective.blank == 10  # 14 classes: ten phones, then <s>
    assert (c.num_ctc_classes, c.vocab_size, c.pad_token_id) == (14, 14, 10)
    keys = len(model.state_dict())
    assert done.account.counts() == {"used": keys}
    assert {*done.assumed} == {"blank"}
    said = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert len(said["keys"]) == keys and said["counts"] == {"used": keys}
    extractor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(tmp_path / "out")
    assert (extractor.do_normalize, extractor.return_attention_mask) == (False, layout == "large")


def test_without_settings_sizes_come_from_shapes_and_the_rest_is_said_to_be_assumed(tmp_path):
    model = ours("UniSpeechForPreTraining", hidden_size=128, num_attention_heads=2)
    done = convert(write(tmp_path / "bare.pt", weights_of(model)), tmp_path / "out")
    assert_same_outputs(unispeech_lab.load(tmp_path / "out"), model)
    assert {*done.assumed} == {"num_attention_heads", "do_stable_layer_norm", "conv_stride", "blank", "do_normalize"}


def test_a_recogniser_and_its_tokenizer(tmp_path):
    """Phones, blank, pad, end, unknown; Hugging Face's name for the blank is <pad>."""
    model = ours("UniSpeechForCTC", vocab_size=14, pad_token_id=10)
    inherited = argparse.Namespace(**settings("large"))
    own = {"arch": "wav2vec_ctc", "w2v_args": inherited, "mask_prob": 0.75, "mask_channel_prob": 0.25, "layerdrop": 0.1}
    own |= {"mask_channel_length": 64, "normalize": True, "zero_infinity": True}
    vocabulary = tmp_path / "phones.json"
    vocabulary.write_text(json.dumps({phone: number for number, phone in enumerate(PHONES)}))
    path = write(tmp_path / "ft.pt", weights_of(model), own)
    done = convert(path, tmp_path / "out", vocabulary, "en-us")
    loaded = unispeech_lab.load(tmp_path / "out")
    assert type(loaded) is unispeech_lab.UniSpeechForCTC
    assert_same_outputs(loaded, model)
    c = loaded.config
    assert (c.vocab_size, c.pad_token_id, c.bos_token_id, c.eos_token_id) == (14, 10, 11, 12)
    assert (c.mask_time_prob, c.mask_feature_prob, c.mask_feature_length, c.layerdrop) == (0.75, 0.25, 64, 0.1)
    assert c.ctc_zero_infinity and c.num_attention_heads == 4
    assert done.notes == ["10 phones; the blank is class 10"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert type(tokenizer) is transformers.Wav2Vec2PhonemeCTCTokenizer and tokenizer.phonemizer_lang == "en-us"
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id) == (
        10,
        11,
        12,
        13,
    )
    assert tokenizer.decode([10, 0, 0, 10, 1, 1, 10, 1, 7, 10]) == "ʃ iː iː t"
    tokenizer.do_phonemize = False
    assert tokenizer("ʃ iː t").input_ids == [0, 1, 7]
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "out")
    assert processor.feature_extractor.do_normalize
    assert Vocabulary.load(tmp_path / "out").blank == 10
    assert Vocabulary.load(tmp_path / "out").encode(["ʃ", "t"]) == [0, 7]


def test_the_dictionary_inside_a_file_is_found(tmp_path):
    """Later fairseq keeps it in the task's state, as an object of its own class."""
    dictionary = type("Dictionary", (), {})
    with guests(fairseq__data__dictionary={"Dictionary": dictionary}):
        held = dictionary()
        held.symbols = [*PHONES, "<s>", "<pad>", "</s>", "<unk>"]
        model = ours("UniSpeechForPreTraining")
        path = write(tmp_path / "a.pt", weights_of(model), settings("large"), task_state={"target_dictionary": held})
    done = convert(path, tmp_path / "out")
    vocabulary = Vocabulary.load(tmp_path / "out")
    assert vocabulary.names[:10] == tuple(PHONES) and vocabulary.blank == 10 == done_blank(tmp_path / "out")
    assert not done.assumed


def done_blank(folder):
    return checkpoints.load(folder).config.ctc_blank


def test_letters_get_the_letters_tokenizer_and_dict_txt_puts_special_symbols_first(tmp_path):
    model = ours("UniSpeechForCTC", vocab_size=8, pad_token_id=0)
    (tmp_path / "dict.ltr.txt").write_text("| 900\nE 500\nT 400\nA 300\n")
    path = write(tmp_path / "a.pt", weights_of(model), settings("large", arch="wav2vec_ctc"))
    convert(path, tmp_path / "out", tmp_path / "dict.ltr.txt")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    assert type(tokenizer) is transformers.Wav2Vec2CTCTokenizer and tokenizer.pad_token_id == 0
    assert tokenizer.decode([0, 6, 6, 7, 0, 4, 5, 0, 5]) == "TA EE"
    assert unispeech_lab.load(tmp_path / "out").config.pad_token_id == 0


def test_second_stage_is_wav2vec_and_has_no_ctc_head(tmp_path):
    model = ours("UniSpeechForPreTraining", num_ctc_classes=80)
    weights = {n: v for n, v in weights_of(model, prefix=False).items() if "w2v_encoder.proj" not in n}
    said = settings("large", arch="wav2vec2")
    for name in ("mtlalpha", "replace_prob"):
        del said[name]
    done = convert(write(tmp_path / "a.pt", weights, said), tmp_path / "out")
    loaded = unispeech_lab.load(tmp_path / "out")
    torch.nn.init.zeros_(model.ctc_proj.weight), torch.nn.init.zeros_(model.ctc_proj.bias)
    assert_same_outputs(loaded, model)
    assert done.account.counts()["missing"] == 2 and "ctc_proj is zeros" in loaded.config.provenance
    assert (loaded.config.alpha, loaded.config.replace_prob) == (0.0, 0.0)


@pytest.mark.parametrize("square", [False, True])
def test_without_transpose_the_head_is_turned_around(tmp_path, square):
    """As in fairseq's own wav2vec 2.0; a square matrix tells only by the settings."""
    model = ours("UniSpeechForPreTraining", **({"proj_codevector_dim": 32} if square else {}))
    weights = {n: v for n, v in weights_of(model, prefix=False).items() if "w2v_encoder.proj" not in n}
    weights["final_proj.weight"], weights["final_proj.bias"] = (
        model.project_hid.weight.T.clone(),
        torch.ones(32 if square else 12),
    )
    done = convert(
        write(tmp_path / "a.pt", weights, settings("large", arch="wav2vec2", transpose=False)), tmp_path / "out"
    )
    loaded = unispeech_lab.load(tmp_path / "out")
    assert torch.equal(loaded.project_hid.weight, model.project_hid.weight) and not loaded.project_hid.bias.any()
    assert "final_proj.bias" in done.account.dropped and "final_proj.weight" in done.account.turned


def test_an_encoder_alone(tmp_path):
    model = ours()
    weights = {
        theirs(f"unispeech.{name}", "large").removeprefix(W): value for name, value in model.state_dict().items()
    }
    convert(write(tmp_path / "a.pt", weights, settings("large")), tmp_path / "out")
    loaded = unispeech_lab.load(tmp_path / "out")
    assert type(loaded) is unispeech_lab.UniSpeechModel
    assert_same_outputs(loaded, model)


def test_a_projection_that_fairseq_leaves_out_is_the_identity(tmp_path):
    model = ours("UniSpeechForPreTraining", hidden_size=16)
    with torch.no_grad():
        model.unispeech.feature_projection.projection.weight.copy_(torch.eye(16))
        model.unispeech.feature_projection.projection.bias.zero_()
    weights = {name: value for name, value in weights_of(model).items() if "post_extract_proj" not in name}
    done = convert(write(tmp_path / "a.pt", weights, settings("large")), tmp_path / "out")
    assert_same_outputs(unispeech_lab.load(tmp_path / "out"), model)
    assert done.account.counts()["missing"] == 2


def test_half_precision_and_keys_without_a_place(tmp_path):
    """Half precision is written in single; what no class has is told, as of the first public code's q2h_proj."""
    model = ours("UniSpeechForPreTraining").half()
    weights = weights_of(model) | {W + "q2h_proj.weight": torch.zeros(2, 2), W + "q2h_proj.bias": torch.zeros(2)}
    done = convert(write(tmp_path / "a.pt", weights, settings("large")), tmp_path / "out")
    loaded = unispeech_lab.load(tmp_path / "out")
    assert loaded.dtype == torch.float32 and torch.equal(
        loaded.quantizer.codevectors.half(), model.quantizer.codevectors
    )
    assert list(done.account.dropped) == [W + "q2h_proj.weight", W + "q2h_proj.bias"]
    assert "q2h_proj.weight left out" in loaded.config.provenance


def test_omegaconf_settings(tmp_path):
    """``cfg`` as fairseq 1.0 pickles it: nodes in nodes, each with metadata of types and a way back to its parent."""
    members = {name: type(name, (), {}) for name in ("DictConfig", "ListConfig", "AnyNode", "ContainerMetadata")}
    place = {"omegaconf__dictconfig": "DictConfig", "omegaconf__listconfig": "ListConfig"}
    place |= {"omegaconf__nodes": "AnyNode", "omegaconf__base": "ContainerMetadata"}

    def node(kind, parent=None, **held):
        made = members[kind]()
        made.__dict__ = {"_metadata": None, "_parent": parent, **held}
        return made

    def wrap(value, parent=None):
        if isinstance(value, dict):
            made = node("DictConfig", parent)
            made._metadata = node("ContainerMetadata", object_type=dict, ref_type=members["DictConfig"])
            made._content = {key: wrap(held, made) for key, held in value.items()}
            return made
        if isinstance(value, list):
            made = node("ListConfig", parent)
            made._content = [wrap(held, made) for held in value]
            return made
        return node("AnyNode", parent, _val=value)

    said = settings("large")
    own = {name: said.pop(name) for name in ("mtlalpha", "loss_weights")}
    task = {"normalize": said.pop("normalize"), "_name": "audio_pretraining"}
    model = ours("UniSpeechForPreTraining")
    with guests(**{module: {name: members[name]} for module, name in place.items()}):
        cfg = wrap(
            {
                "model": {**said, "_name": "unispeech", "normalize": "${task.normalize}"},
                "task": task,
                "criterion": own,
                "common": {"fp16": True},
            }
        )
        path = write(tmp_path / "a.pt", weights_of(model), cfg=cfg)
    done = convert(path, tmp_path / "out")
    c = unispeech_lab.load(tmp_path / "out").config
    assert (c.num_attention_heads, c.alpha, c.diversity_loss_weight, c.mask_time_prob) == (4, 0.25, 0.2, 0.65)
    assert {*done.assumed} == {"blank"}
    assert not transformers.Wav2Vec2FeatureExtractor.from_pretrained(tmp_path / "out").do_normalize


@beside
@pytest.mark.parametrize("case", ["A", "D", "F"])
def test_the_authors_weights_say_the_authors_numbers(tmp_path, case, monkeypatch):
    """Their recorded weights, through a file and back, in their own forward: states, codewords, logits."""
    import test_oracle as oracle

    weights = oracle.NAMES[case] + "/weights/"
    state = {
        n.removeprefix(weights): torch.from_numpy(v) for n, v in oracle.recordings().items() if n.startswith(weights)
    }
    said = json.loads(str(oracle.recordings()[f"{oracle.NAMES[case]}/config_json"]))
    done = convert(write(tmp_path / "a.pt", state, {**said, "arch": "unispeech"}), tmp_path / "out")
    assert done.account.counts() == {"used": len(state)}
    loaded = unispeech_lab.load(tmp_path / "out").train()
    assert loaded.objective.blank == said["blank"]
    loaded.set_gumbel_temperature(oracle.golden(case, "rand/tau").item())
    monkeypatch.setattr(oracle, "model_of", lambda _: loaded)
    _, output = oracle.forward(case)
    heard = oracle.speech_frames(case)
    for name, recorded in (
        ("projected_states", "encoder_features_BTC"),
        ("projected_quantized_states", "q_projected_BTC"),
    ):
        assert_near(output[name][heard], oracle.golden(case, f"out/{recorded}")[heard], 5e-6, name)
    assert_near(output.ctc_logits[heard], oracle.golden(case, "out/ctc_logits_TBV").transpose(0, 1)[heard], 5e-6)


# What is refused


def test_code_is_named_and_never_run(tmp_path):
    struck = tmp_path / "struck"
    for old_format in (False, True):
        path = write(tmp_path / "a.pt", weights_of(ours("UniSpeechForPreTraining")), None, old_format, cfg=Bomb(struck))
        with pytest.raises(
            CheckpointError, match=r"found (posix|nt)\.mkdir, which would run code; nothing of it was run"
        ):
            convert(path, tmp_path / "out")
    assert not struck.exists() and not (tmp_path / "out").exists()


def test_a_known_name_is_not_called_either(tmp_path):
    """Names of fairseq are answered by stand-ins, even where such code is at hand."""
    called = []

    class Loader:
        def __init__(self, *given):
            called.append(given)

        def __reduce__(self):
            return type(self), ("x",)

    with guests(fairseq__data={"Loader": Loader}):
        held = Loader()
        called.clear()
        path = write(tmp_path / "a.pt", weights_of(ours("UniSpeechForPreTraining")), settings("large"), task_state=held)
        convert(path, tmp_path / "out")
    assert not called


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("old_format", [False, True])
def test_damage_is_refused(tmp_path, share, old_format):
    path = write(tmp_path / "a.pt", weights_of(ours("UniSpeechForPreTraining")), settings("large"), old_format)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(
        CheckpointError, match="expected a checkpoint that torch.save wrote in .*found something else, or dam"
    ):
        convert(path, tmp_path / "out")


def test_what_is_no_such_model_is_refused(tmp_path):
    path = tmp_path / "a.pt"
    torch.save({"model": {"encoder.weight": torch.zeros(2)}}, path)
    with pytest.raises(CheckpointError, match=r"found no encoder.layer_norm.weight, .*1 weights \(encoder.weight"):
        convert(path, tmp_path / "out")
    torch.save({"model": 3, "args": None}, path)
    with pytest.raises(CheckpointError, match="expected 'model', tensors by name, .*found model, args"):
        convert(path, tmp_path / "out")
    torch.save([1], path)
    with pytest.raises(CheckpointError, match="expected a dictionary with 'model' .*found list"):
        convert(path, tmp_path / "out")
    with pytest.raises(CheckpointError, match="expected a checkpoint file, found none"):
        convert(tmp_path / "gone.pt", tmp_path / "out")


def test_another_models_layers_are_refused(tmp_path):
    """WavLM has weights in its attention without which it would say something else."""
    weights = weights_of(ours("UniSpeechForPreTraining"))
    stray = f"{W}encoder.layers.0.self_attn.grep_linear.weight"
    with pytest.raises(CheckpointError, match="found also .*grep_linear.weight: another model's"):
        convert(write(tmp_path / "a.pt", {**weights, stray: torch.zeros(2)}, settings("large")), tmp_path / "out")
    del weights[f"{W}encoder.layers.1.fc1.bias"]
    with pytest.raises(
        CheckpointError, match=r"missing unispeech.encoder.layers.1.feed_forward.intermediate_dense.bias: th"
    ):
        convert(write(tmp_path / "a.pt", weights, settings("large")), tmp_path / "out")


def test_a_vocabulary_of_another_size_and_a_taken_folder_are_refused(tmp_path):
    model = ours("UniSpeechForPreTraining")
    path = write(tmp_path / "a.pt", weights_of(model), settings("large"))
    (tmp_path / "few.json").write_text('{"a": 0, "b": 1}')
    with pytest.raises(CheckpointError, match="a vocabulary of 14 symbols, <s> <pad> </s> <unk> among them, found 6"):
        convert(path, tmp_path / "out", tmp_path / "few.json")
    (tmp_path / "few.json").write_text('{"a": 0, "b": 2}')
    with pytest.raises(CheckpointError, match="a vocabulary, phone -> number, .*numbers are not 0, 1, 2"):
        convert(path, tmp_path / "out", tmp_path / "few.json")
    convert(path, tmp_path / "out")
    with pytest.raises(CheckpointError, match="a folder without a checkpoint, found config.json"):
        convert(path, tmp_path / "out")


def test_strides_that_nobody_told(tmp_path):
    model = ours("UniSpeechForPreTraining", conv_kernel=[10, 3, 3, 3, 3, 2, 4])
    said = settings("large")
    del said["conv_feature_layers"]
    with pytest.raises(
        CheckpointError, match="expected conv_feature_layers in the settings .*no weight tells a stride"
    ):
        convert(write(tmp_path / "a.pt", weights_of(model), said), tmp_path / "out")


def test_lists_are_computed_and_nothing_else_is():
    assert numbers("[(512, 10, 5)] + [(512, 3, 2)] * 2 + [(512,2,2)]") == [
        (512, 10, 5),
        (512, 3, 2),
        (512, 3, 2),
        (512, 2, 2),
    ]
    for written in ("__import__('os').mkdir('x')", "[1] * 10**9", "[1] * 99999999", "[(1, 2)", "[a]", "-1"):
        with pytest.raises(CheckpointError, match="expected lists of numbers"):
            numbers(written)


# The other source, the command


def test_a_wav2vec_folder(tmp_path):
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "conv_dim": [16] * 7,
    }
    sizes |= {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4}
    other = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**sizes)).eval()
    other.save_pretrained(tmp_path / "in")
    (tmp_path / "in" / "vocab.json").write_text('{"a": 0}')
    done = convert(tmp_path / "in", tmp_path / "out")
    assert done.account.counts() == {"used": len(other.state_dict())}
    with torch.no_grad():
        found = unispeech_lab.load(tmp_path / "out")(**speech((4000,), padded=False)).logits
        assert_near(found, other(**speech((4000,), padded=False)).logits)
    assert (tmp_path / "out" / "vocab.json").read_text() == '{"a": 0}'
    transformers.UniSpeechForCTC.from_pretrained(tmp_path / "out")
    with pytest.raises(CheckpointError, match="found a UniSpeech in .*: load it"):
        convert(tmp_path / "out", tmp_path / "again")


def test_the_command(tmp_path):
    from unispeech_lab.cli import app

    path = write(tmp_path / "a.pt", weights_of(ours("UniSpeechForPreTraining")), settings("large"))
    said = CliRunner().invoke(app, ["convert", str(path), str(tmp_path / "out")], env={"COLUMNS": "200"})
    assert said.exit_code == 0, said.output
    for words in ("w2v_encoder.proj.weight", "ctc_proj.weight", "used", "blank: assumed", "UniSpeechForPreTraining"):
        assert words in said.output
    assert "give the authors' vocab.json with --vocabulary" in said.output
    assert type(unispeech_lab.load(tmp_path / "out")) is unispeech_lab.UniSpeechForPreTraining
    refused = CliRunner().invoke(
        app, ["convert", str(tmp_path / "gone.pt"), str(tmp_path / "new")], env={"COLUMNS": "200"}
    )
    assert refused.exit_code == 2 and "found none at" in refused.output
