"""Checkpoints: what loads, both ways and in every format; what cannot load says why, and runs nothing."""

import copy
import json
import pickle

import pytest
import torch
import transformers
from models import KINDS, Bomb, assert_near, config, every_kind, every_layout, ours, settings, speech, theirs
from safetensors.torch import load_file, save_file

import unispeech_lab
from unispeech_lab import checkpoints
from unispeech_lab.doors import CheckpointError

OLD_KEYS = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}


def lab(kind):
    return getattr(unispeech_lab, kind)


def hub(kind):
    return getattr(transformers, kind)


def loads_whole(cls, folder, **options):
    """Load, with nothing missing, unexpected or of another shape."""
    model, report = cls.from_pretrained(folder, output_loading_info=True, **options)
    assert not any(report[problem] for problem in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    return model.eval()


def assert_same_weights(mine, other):
    found, expected = mine.state_dict(), other.state_dict()
    assert found.keys() == expected.keys()
    for name in expected:
        assert torch.equal(found[name], expected[name]), name


def as_bin(folder, rename=None):
    """Rewrite a folder's weights as pytorch_model.bin, keys renamed."""
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    for new, old in (rename or {}).items():
        state = {name.replace(new, old): value for name, value in state.items()}
    torch.save(state, folder / "pytorch_model.bin")


@every_layout
@every_kind
def test_theirs_to_ours_to_theirs(tmp_path, kind, layout):
    other = theirs(kind, layout)
    other.save_pretrained(tmp_path / "theirs")
    mine = loads_whole(lab(kind), tmp_path / "theirs")
    assert_same_weights(mine, other)
    mine.save_pretrained(tmp_path / "ours")
    again = loads_whole(hub(kind), tmp_path / "ours")
    assert_same_weights(again, other)
    assert json.loads((tmp_path / "ours" / "config.json").read_text())["architectures"] == [kind]


def test_sharded(tmp_path):
    mine = ours("UniSpeechForPreTraining")
    mine.save_pretrained(tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("model-*-of-*.safetensors"))) > 2
    assert_same_weights(loads_whole(lab("UniSpeechForPreTraining"), tmp_path), mine)
    assert_same_weights(loads_whole(hub("UniSpeechForPreTraining"), tmp_path), mine)
    assert_same_weights(checkpoints.load(tmp_path), mine)


def test_a_missing_shard_is_named(tmp_path):
    ours("UniSpeechForPreTraining").save_pretrained(tmp_path, max_shard_size="40KB")
    lost = sorted(tmp_path.glob("model-*-of-*.safetensors"))[1]
    lost.unlink()
    with pytest.raises(OSError, match=lost.name):
        checkpoints.load(tmp_path)


@pytest.mark.parametrize("kind", ["UniSpeechModel", "UniSpeechForCTC"])
def test_bin_and_the_old_keys_of_weight_norm(tmp_path, kind):
    mine = ours(kind)
    mine.save_pretrained(tmp_path)
    as_bin(tmp_path, OLD_KEYS)
    old = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    assert any(name.endswith("pos_conv_embed.conv.weight_g") for name in old)
    loaded = loads_whole(lab(kind), tmp_path)
    assert_same_weights(loaded, mine)
    loaded.save_pretrained(tmp_path / "new")
    for cls in (lab(kind), hub(kind)):  # transformers writes the keys it read, here the old ones
        assert_same_weights(loads_whole(cls, tmp_path / "new"), mine)


def test_old_keys_in_safetensors(tmp_path):
    mine = ours("UniSpeechForPreTraining")
    mine.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    for new, old in OLD_KEYS.items():
        state = {name.replace(new, old): value for name, value in state.items()}
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert_same_weights(checkpoints.load(tmp_path), mine)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_base_goes_into_a_head_and_a_head_into_a_base(tmp_path, kind):
    base = ours()
    base.save_pretrained(tmp_path / "base")
    head, report = lab(kind).from_pretrained(tmp_path / "base", output_loading_info=True)
    assert_same_weights(head.unispeech, base)
    assert not report["unexpected_keys"]
    assert {name.split(".")[0] for name in report["missing_keys"]}.isdisjoint({"unispeech"})
    head.save_pretrained(tmp_path / "head")
    model, report = lab("UniSpeechModel").from_pretrained(tmp_path / "head", output_loading_info=True)
    assert not report["missing_keys"] and report["unexpected_keys"]
    assert_same_weights(model, base)


def test_a_pretraining_checkpoint_begins_a_recogniser(tmp_path):
    """Reference 1.9: the quantizer stays behind, the head is fresh, the rest is there."""
    pretrained = ours("UniSpeechForPreTraining")
    pretrained.save_pretrained(tmp_path)
    model, report = lab("UniSpeechForCTC").from_pretrained(tmp_path, vocab_size=7, output_loading_info=True)
    assert set(report["missing_keys"]) == {"lm_head.weight", "lm_head.bias"}
    assert {name.split(".")[0] for name in report["unexpected_keys"]} == {
        "quantizer",
        "project_q",
        "project_hid",
        "ctc_proj",
    }
    assert_same_weights(model.unispeech, pretrained.unispeech)
    assert model(**speech()).logits.shape == (2, 12, 7)
    assert 0.01 < model.lm_head.weight.std() < 0.03 and (model.lm_head.bias == 0).all()


def test_masked_spec_embed_may_be_missing(tmp_path):
    """A checkpoint trained without masks, loaded for fine-tuning with them: the vector is begun, the rest is there."""
    never = unispeech_lab.UniSpeechModel(config(mask_time_prob=0.0)).eval()
    never.save_pretrained(tmp_path)
    model, report = lab("UniSpeechModel").from_pretrained(tmp_path, mask_time_prob=0.3, output_loading_info=True)
    assert set(report["missing_keys"]) == {"masked_spec_embed"}
    assert model.masked_spec_embed.min() >= 0 and model.masked_spec_embed.std() > 0.1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_dtype(tmp_path, dtype):
    mine = ours("UniSpeechForCTC")
    mine.save_pretrained(tmp_path)
    model = loads_whole(lab("UniSpeechForCTC"), tmp_path, dtype=dtype)
    assert {weight.dtype for weight in model.parameters()} == {dtype}
    assert torch.equal(model.lm_head.weight, mine.lm_head.weight.to(dtype))


def test_saved_outputs_are_the_same_outputs(tmp_path):
    mine = ours("UniSpeechForPreTraining")
    mine.save_pretrained(tmp_path)
    with torch.no_grad():
        found, expected = checkpoints.load(tmp_path)(**speech()), mine(**speech())
    for name, value in expected.items():
        assert torch.equal(found[name], value), name


# load


def test_tiny_is_the_trained_model_that_comes_along_and_says_what_it_is():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, second = unispeech_lab.load(), unispeech_lab.load("tiny")
    assert torch.equal(torch.get_rng_state(), before)
    assert_same_weights(first, second)
    assert not first.training and isinstance(first, unispeech_lab.UniSpeechForPreTraining)
    assert first.config.provenance.startswith("trained on")


def test_an_untrained_model_is_that_of_its_seed_and_says_so():
    first, second, other = checkpoints.untrained(), checkpoints.untrained(seed=0), checkpoints.untrained(seed=1)
    assert_same_weights(first, second)
    assert first.config.provenance == "random weights (seed 0): nothing has been learned yet"
    assert not torch.equal(other.quantizer.codevectors, first.quantizer.codevectors)


@every_kind
def test_load_gives_the_class_that_was_saved(tmp_path, kind):
    ours(kind).train().save_pretrained(tmp_path)
    model = checkpoints.load(tmp_path)
    assert type(model) is lab(kind) and not model.training
    assert checkpoints.load(str(tmp_path), attn_implementation="eager").config._attn_implementation == "eager"


def test_load_refuses_what_lacks_weights(tmp_path):
    ours().save_pretrained(tmp_path)
    words = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**words, "architectures": ["UniSpeechForCTC"]}))
    with pytest.raises(CheckpointError, match=r"the weights of UniSpeechForCTC.*missing \['lm_head.bias', 'lm_head.we"):
        checkpoints.load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**words, "architectures": ["HubertForCTC"]}))
    with pytest.raises(CheckpointError, match="architecture out of UniSpeechModel, .*found HubertForCTC"):
        checkpoints.load(tmp_path)


@pytest.mark.parametrize("name", ["tyny", "no such folder", "./nowhere/at/all"])
def test_load_refuses_unknown_names(name):
    with pytest.raises(CheckpointError, match="expected 'tiny', a folder or a hub name like .*found '"):
        checkpoints.load(name)


def test_a_name_on_the_hub_that_cannot_be_reached_says_so():
    with pytest.raises(
        CheckpointError, match="expected a checkpoint at nobody/nothing, found none: .*only this machine's cache"
    ):
        checkpoints.load("nobody/nothing", local_files_only=True)


# What cannot load


@pytest.fixture
def saved(tmp_path):
    """A folder with a small recogniser."""
    ours("UniSpeechForCTC").save_pretrained(tmp_path)
    return tmp_path


@pytest.mark.parametrize("changes", [{"hidden_size": 64}, {"conv_dim": [8] * 7}, {"num_codevectors_per_group": 4}])
def test_another_shape_is_refused(tmp_path, changes):
    ours("UniSpeechForPreTraining").save_pretrained(tmp_path)
    with pytest.raises(
        CheckpointError, match="expected the shapes of UniSpeechForPreTraining .*give its sizes, or ignore_mis"
    ):
        lab("UniSpeechForPreTraining").from_pretrained(tmp_path, **changes)


def test_another_shape_may_begin_anew_if_asked(saved):
    model = lab("UniSpeechForCTC").from_pretrained(saved, vocab_size=20, ignore_mismatched_sizes=True)
    assert model.lm_head.weight.shape == (20, 32) and model.lm_head.weight.isfinite().all()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_half_a_safetensors_file_is_refused(saved, share):
    whole = (saved / "model.safetensors").read_bytes()
    (saved / "model.safetensors").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match="expected whole safetensors in .*found a damaged file .*copy it again"):
        lab("UniSpeechForCTC").from_pretrained(saved)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.99])
def test_half_a_bin_file_is_refused(saved, share):
    as_bin(saved)
    whole = (saved / "pytorch_model.bin").read_bytes()
    (saved / "pytorch_model.bin").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(
        CheckpointError, match="expected .*found a damaged file|found a pickle that runs code, or damage"
    ):
        lab("UniSpeechForCTC").from_pretrained(saved)


@pytest.mark.parametrize("how", ["torch", "bare pickle"])
def test_a_pickle_with_code_runs_nothing(saved, how):
    as_bin(saved)
    struck = saved / "struck"
    state = {"lm_head.weight": torch.zeros(11, 32), "x": Bomb(struck)}
    file = saved / "pytorch_model.bin"
    if how == "torch":
        torch.save(state, file)
    else:
        file.write_bytes(pickle.dumps(state, protocol=2))
    with pytest.raises(CheckpointError, match="pickle that runs code, or damage; nothing of it was run.*safetensors"):
        lab("UniSpeechForCTC").from_pretrained(saved)
    assert not struck.exists()
    with pytest.raises(CheckpointError):
        checkpoints.load(saved)
    assert not struck.exists()
    pickle.loads(pickle.dumps(Bomb(struck)))
    assert struck.exists()  # the bomb was live


def test_another_model_is_refused(saved):
    words = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**words, "model_type": "hubert"}))
    with pytest.raises(
        CheckpointError, match="expected a checkpoint of model_type 'unispeech' or 'wav2vec2', found 'hubert'"
    ):
        lab("UniSpeechForCTC").from_pretrained(saved)
    with pytest.raises(CheckpointError, match="found 'hubert'"):
        checkpoints.load(saved)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"hidden_size": '])
def test_a_config_that_is_no_json_object_is_refused(saved, text):
    (saved / "config.json").write_text(text)
    for load in (lab("UniSpeechForCTC").from_pretrained, checkpoints.load):
        with pytest.raises(CheckpointError, match="expected a JSON object in .*config.json"):
            load(saved)


def test_a_config_whose_sizes_do_not_fit_is_refused(saved):
    words = json.loads((saved / "config.json").read_text())
    (saved / "config.json").write_text(json.dumps({**words, "num_attention_heads": 5}))
    with pytest.raises(ValueError, match="hidden_size to be a multiple of num_attention_heads=5"):
        lab("UniSpeechForCTC").from_pretrained(saved)


def test_a_folder_without_weights_or_without_a_config(tmp_path):
    config().save_pretrained(tmp_path)
    with pytest.raises(OSError, match="model.safetensors"):
        lab("UniSpeechForCTC").from_pretrained(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    for load in (lab("UniSpeechForCTC").from_pretrained, checkpoints.load):
        with pytest.raises(OSError, match="model.safetensors|config.json"):
            load(empty)


def sharded(folder, name=None):
    """The weights under an index; all of them in a file of another ``name``, if one is given."""
    keys = list(load_file(folder / "model.safetensors"))
    target = folder / "one.safetensors"
    (folder / "model.safetensors").rename(target)
    index = {"metadata": {}, "weight_map": dict.fromkeys(keys, target.name if name is None else name)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return target


def test_an_index_reads_nothing_outside_its_folder(saved, tmp_path_factory):
    stranger = tmp_path_factory.mktemp("elsewhere") / "x.safetensors"
    sharded(saved).rename(stranger)
    index = saved / "model.safetensors.index.json"
    words = index.read_text()
    for name in (str(stranger), f"../{stranger.parent.name}/x.safetensors", "gone.safetensors"):
        index.write_text(words.replace("one.safetensors", name))
        for load in (lab("UniSpeechForCTC").from_pretrained, checkpoints.load):
            with pytest.raises(CheckpointError, match="expected the files of .*to lie beside it, found .*safetensors"):
                load(saved)
    stranger.rename(saved / "one.safetensors")
    index.write_text(words)
    loads_whole(lab("UniSpeechForCTC"), saved)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {"a": 3}}', '{"a":' * 9999]
)
def test_an_index_that_is_none_is_refused(saved, text):
    sharded(saved)
    (saved / "model.safetensors.index.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"expected a weight_map of file names in .*index\.json, found"):
        lab("UniSpeechForCTC").from_pretrained(saved)


@pytest.mark.parametrize("state", [[1, 2], {1: torch.zeros(2)}, {"lm_head.weight": "words"}], ids=repr)
def test_a_bin_file_of_something_else_is_refused(saved, state):
    as_bin(saved)
    torch.save(state, saved / "pytorch_model.bin")
    with pytest.raises(
        CheckpointError, match=r"expected tensors by name in .*pytorch_model\.bin, found something else"
    ):
        lab("UniSpeechForCTC").from_pretrained(saved)


def test_weights_without_a_config_are_refused(saved):
    (saved / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"expected config\.json in .*, found none: copy the whole checkpoint"):
        checkpoints.load(saved)


def test_a_config_nested_without_end_is_refused(saved):
    (saved / "config.json").write_text('{"a":' * 99_999)
    with pytest.raises(CheckpointError, match="expected a JSON object in"):
        checkpoints.load(saved)


def test_padding_goes_behind_whatever_the_preprocessor_says(saved):
    """Padding before speech would be heard as speech, and so much of its end not at all."""
    words = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "padding_side": "left"}
    (saved / "preprocessor_config.json").write_text(json.dumps(words))
    mask = checkpoints.load(saved).prepare([torch.randn(4000), torch.randn(3000)]).get("attention_mask")
    assert mask is None or (mask[1, :3000].all() and not mask[1, 3000:].any())


# Models as Python objects


@every_kind
def test_copies(kind):
    model = ours(kind)
    other = copy.deepcopy(model)
    assert_same_weights(other, model)
    first = "projected_states" if kind == "UniSpeechForPreTraining" else 0
    with torch.no_grad():
        assert torch.equal(other(**speech())[first], model(**speech())[first])
        other.base_model.masked_spec_embed += 1
    assert not torch.equal(other.base_model.masked_spec_embed, model.base_model.masked_spec_embed)


def test_a_model_travels_as_a_state_dict():
    """PyTorch pickles no weight-normalised layer, here as in transformers; its weights and config do travel."""
    model = ours()
    with pytest.raises(RuntimeError, match="only supported through state_dict"):
        pickle.dumps(model)
    state, settings = pickle.loads(pickle.dumps((model.state_dict(), model.config)))
    other = unispeech_lab.UniSpeechModel(settings).eval()
    other.load_state_dict(state)
    with torch.no_grad():
        assert torch.equal(other(**speech()).last_hidden_state, model(**speech()).last_hidden_state)


@every_layout
@every_kind
def test_taps_add_no_key(kind, layout):
    """The keys are theirs, and a tap has none."""
    mine = ours(kind, layout)
    assert mine.state_dict().keys() == theirs(kind, layout).state_dict().keys()
    assert any(name.endswith("pattern") for name, _ in mine.named_modules())


def test_parameters_are_in_their_order():
    """Optimizers store their state by position."""
    mine, other = ours("UniSpeechForPreTraining"), theirs("UniSpeechForPreTraining")
    found, expected = ([name for name, _ in model.named_parameters()] for model in (mine, other))
    assert sorted(found) == sorted(expected)
    assert [n for n in found if "encoder.layers.0" in n] == [n for n in expected if "encoder.layers.0" in n]


def test_settings_are_not_shared_between_models():
    first, second = ours(), ours()
    first.config.layerdrop = 0.9
    assert second.config.layerdrop == settings().get("layerdrop", 0.1)


def test_assert_near_can_fail():
    with pytest.raises(AssertionError, match="off by"):
        assert_near(torch.tensor([1.0]), torch.tensor([1.001]))


def test_load_accounts_for_every_weight(tmp_path):
    ours("UniSpeechForCTC").save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file({**weights, "stray.weight": torch.zeros(1)}, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"unexpected \['stray.weight'\].*from_pretrained"):
        checkpoints.load(tmp_path)


def test_the_small_model_takes_a_dtype_and_an_untrained_one_refuses_what_no_config_has():
    assert checkpoints.load(dtype=torch.bfloat16).dtype == torch.bfloat16
    assert checkpoints.untrained(num_hidden_layers=1).config.num_hidden_layers == 1
    with pytest.raises(CheckpointError, match="found hidden_sise"):
        checkpoints.untrained(hidden_sise=32)


# phones


def test_the_small_model_names_its_phones_and_reads_them_off():
    model = unispeech_lab.load()
    assert model.vocabulary.blank == model.config.pad_token_id == len(model.vocabulary) - 4
    ids = model.vocabulary.encode(["k", "æ", "t"])
    blank = model.vocabulary.blank
    assert model.processor.batch_decode([[blank, ids[0], ids[0], blank, *ids[1:]]]) == ["k æ t"]


def test_a_recogniser_begins_with_the_head_of_phones_and_asr_runs_from_the_folder_alone(tmp_path):
    model = unispeech_lab.load()
    recogniser = unispeech_lab.UniSpeechForCTC.from_pretrained(model.config.name_or_path)
    assert torch.equal(recogniser.lm_head.weight, model.ctc_proj.weight)
    assert recogniser.vocabulary == model.vocabulary
    inputs = speech()
    with torch.no_grad():
        assert torch.equal(recogniser(**inputs).logits, model(**inputs).ctc_logits)


def test_a_model_without_a_folder_has_no_phones_and_says_so():
    model = checkpoints.untrained()
    assert model.vocabulary is None
    with pytest.raises(CheckpointError, match=r"expected vocab\.json beside the weights, found none"):
        model.processor  # noqa: B018


def test_a_vocabulary_of_another_size_is_refused(tmp_path):
    model = checkpoints.untrained(num_ctc_classes=9)
    model.save_pretrained(tmp_path)
    unispeech_lab.load().vocabulary.save(tmp_path)
    with pytest.raises(ValueError, match="expected 9 classes, as the CTC head has, found 111 names in"):
        checkpoints.load(tmp_path).vocabulary  # noqa: B018


def test_what_lies_here_is_loaded_without_a_bar(tmp_path, capfd):
    """In a notebook it would stay: a dead widget, to every reader without a kernel."""
    ours().save_pretrained(tmp_path)
    capfd.readouterr()
    checkpoints.load(tmp_path)
    assert "Loading" not in capfd.readouterr().err
    assert transformers.utils.logging.is_progress_bar_enabled()
