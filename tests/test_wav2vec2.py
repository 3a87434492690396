"""wav2vec 2.0: its checkpoints in our model say what they say in transformers; what has no home is named."""

import json

import pytest
import torch
import transformers
from models import LAYOUTS, SIZES, assert_near, speech, wake
from safetensors.torch import load_file, save_file

import unispeech_lab
from unispeech_lab import checkpoints
from unispeech_lab.doors import CheckpointError

KINDS = ("Model", "ForCTC", "ForSequenceClassification", "ForPreTraining")
STRANGE = ("num_ctc_classes",)


def theirs(kind, layout="large", **changes):
    sizes = {name: value for name, value in {**SIZES, **LAYOUTS[layout], **changes}.items() if name not in STRANGE}
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(**sizes, attn_implementation="eager")
    return wake(getattr(transformers, f"Wav2Vec2{kind}")(config).eval())


def without(folder, *names):
    weights = load_file(folder / "model.safetensors")
    save_file({k: v for k, v in weights.items() if k not in names}, folder / "model.safetensors", {"format": "pt"})


def edit_config(folder, **changes):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize("layout", ["large", "base"])
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_transformers_own(tmp_path, kind, layout):
    other = theirs(kind, layout)
    other.save_pretrained(tmp_path)
    mine = unispeech_lab.load(tmp_path)
    assert type(mine).__name__ == f"UniSpeech{kind}" and not mine.training
    inputs = speech(padded=layout == "large")
    with torch.no_grad():
        found = mine(**inputs, output_hidden_states=True, output_attentions=True)
        expected = other(**inputs, output_hidden_states=True, output_attentions=True)
        states, real = (getattr(m, p, m)(**inputs) for m, p in ((mine, "unispeech"), (other, "wav2vec2")))
    heard = torch.ones(states.last_hidden_state.shape[:2], dtype=torch.bool)
    if layout == "large":
        heard = other._get_feature_vector_attention_mask(heard.shape[1], inputs["attention_mask"])
    assert_near(states.last_hidden_state[heard], real.last_hidden_state[heard], 1e-5)
    assert_near(states.extract_features[heard], real.extract_features[heard], 1e-5)
    for one, two in zip(found.hidden_states, expected.hidden_states, strict=True):
        assert_near(one[heard], two[heard], 1e-5)
    for one, two in zip(found.attentions, expected.attentions, strict=True):
        rows = heard[:, None].expand(one.shape[:3])
        assert_near(one[rows], two[rows], 1e-5)
    if kind == "ForCTC":
        assert_near(found.logits[heard], expected.logits[heard], 1e-5)
    elif kind == "ForSequenceClassification":
        assert_near(found.logits, expected.logits, 1e-5)


@pytest.mark.parametrize("layout", ["large", "base"])
def test_a_pretrained_head_keeps_its_codes_and_scalar_products(tmp_path, layout):
    """The codes are theirs; codewords times states are theirs without project_hid's bias; nobody taught ctc_proj."""
    other = theirs("ForPreTraining", layout)
    other.save_pretrained(tmp_path)
    mine = unispeech_lab.load(tmp_path)
    inputs = speech((4000,), padded=layout == "large")
    with torch.no_grad():
        found, expected = mine(**inputs), other(**inputs)
        features = other.wav2vec2(**inputs).extract_features
        logits = other.quantizer.weight_proj(features).unflatten(-1, (2, 8))
        free = expected.projected_states - other.project_hid.bias
        products = free @ expected.projected_quantized_states.mT
    assert torch.equal(found.codes, logits.argmax(-1)) and len(found.codes.unique()) > 3
    assert_near(found.projected_states @ found.projected_quantized_states.mT, products, 1e-5)
    assert not found.ctc_logits.any()
    assert (mine.config.alpha, mine.config.replace_prob, mine.config.num_negatives) == (0.0, 0.0, 100)
    assert {"ctc", "contrastive"} & set(mine.objective.active) == {"contrastive"}
    for words in (
        "wav2vec 2.0 weights of",
        "project_hid is theirs turned",
        "ctc_proj is zeros",
        "project_hid.bias left",
    ):
        assert words in mine.config.provenance


def test_orthonormal_projections_keep_the_order_of_all_candidates(tmp_path):
    """Then even the cosines rank the candidates as theirs do."""
    other = theirs("ForPreTraining")
    torch.nn.init.orthogonal_(other.project_hid.weight)
    torch.nn.init.zeros_(other.project_hid.bias)
    other.save_pretrained(tmp_path)
    mine, inputs = unispeech_lab.load(tmp_path), speech((6000,))
    with torch.no_grad():
        found, expected = (
            torch.cosine_similarity(o.projected_states[0, :, None], o.projected_quantized_states[0, None], dim=-1)
            for o in (mine(**inputs), other(**inputs))
        )
    best = [cosines.argmax(1) for cosines in (found, expected)]
    alike = expected.gather(1, best[0][:, None]), expected.gather(1, best[1][:, None])
    assert_near(*alike, 1e-5)  # frames of one code tie


def test_explorers_see_it(tmp_path):
    theirs("ForPreTraining").save_pretrained(tmp_path)
    model = unispeech_lab.load(tmp_path)
    with unispeech_lab.record(model, *unispeech_lab.watches(*unispeech_lab.Explorer.FIRST)) as trace:
        model(**speech((8000,)))
    assert {"quantizer.codes", "ctc_proj"} <= {".".join(name.split(".")[-2:]) for name in trace} | set(trace)


@pytest.mark.parametrize("kind", KINDS)
def test_saved_it_is_a_unispeech_checkpoint(tmp_path, kind):
    theirs(kind).save_pretrained(tmp_path / "theirs")
    mine = unispeech_lab.load(tmp_path / "theirs")
    mine.save_pretrained(tmp_path / "ours")
    again = unispeech_lab.load(tmp_path / "ours")
    assert again.config.provenance == mine.config.provenance
    for name, value in mine.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    transformers.UniSpeechModel.from_pretrained(tmp_path / "ours")


@pytest.mark.parametrize("form", ["bin", "old keys", "shards"])
def test_older_and_larger_files(tmp_path, form):
    other = theirs("ForCTC")
    other.save_pretrained(tmp_path, max_shard_size="40KB" if form == "shards" else "1GB")
    if form != "shards":
        state = load_file(tmp_path / "model.safetensors")
        (tmp_path / "model.safetensors").unlink()
        if form == "old keys":
            olds = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
            for new, old in olds.items():
                state = {name.replace(new, old): value for name, value in state.items()}
            assert any(name.endswith("conv.weight_g") for name in state)
        torch.save(state, tmp_path / "pytorch_model.bin")
    mine, account = checkpoints.load_with_account(tmp_path)
    assert set(account.used.values()) == set(mine.state_dict()) and account.counts() == {"used": len(mine.state_dict())}
    with torch.no_grad():
        assert_near(mine(**speech((4000,))).logits, other(**speech((4000,))).logits)


def test_a_recogniser_begins_from_a_pretrained_checkpoint(tmp_path):
    """How XLSR is fine-tuned: the encoder is there, the head is fresh, settings given win."""
    other = theirs("ForPreTraining")
    other.save_pretrained(tmp_path)
    model, info = unispeech_lab.UniSpeechForCTC.from_pretrained(
        tmp_path, vocab_size=7, mask_time_prob=0.3, output_loading_info=True
    )
    assert info["missing_keys"] == {"lm_head.weight", "lm_head.bias"}
    assert {name.split(".")[0] for name in info["unexpected_keys"]} == {"quantizer", "project_q", "project_hid"}
    assert model.lm_head.weight.std() > 0 and model.config.mask_time_prob == 0.3
    inputs = speech((4000,))
    with torch.no_grad():
        assert_near(model.unispeech(**inputs).last_hidden_state, other.wav2vec2(**inputs).last_hidden_state)


def test_settings_left_out_are_theirs_not_ours(tmp_path):
    theirs("ForCTC").save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    words = {name: value for name, value in json.loads(file.read_text()).items() if name != "ctc_loss_reduction"}
    file.write_text(json.dumps({**words, "gradient_checkpointing": True}))  # as the first released files have it
    assert unispeech_lab.load(tmp_path).config.ctc_loss_reduction == "sum"


def test_the_hidden_frames_vector_may_be_missing(tmp_path):
    """Released recognisers lack it; anything else that lacks is refused."""
    other = theirs("ForCTC")
    other.save_pretrained(tmp_path)
    without(tmp_path, "wav2vec2.masked_spec_embed")
    model = unispeech_lab.load(tmp_path)
    assert "masked_spec_embed is begun anew" in model.config.provenance
    with torch.no_grad():
        assert_near(model(**speech((4000,))).logits, other(**speech((4000,))).logits)
    theirs("ForCTC").save_pretrained(tmp_path)
    edit_config(tmp_path, mask_time_prob=0.0)
    assert unispeech_lab.load(tmp_path).unispeech.masked_spec_embed is None
    without(tmp_path, "wav2vec2.encoder.layer_norm.bias")
    with pytest.raises(CheckpointError, match=r"missing \['unispeech.encoder.layer_norm.bias'\]"):
        unispeech_lab.load(tmp_path)


def test_adapters_of_a_language(tmp_path):
    """MMS is wav2vec 2.0 with one adapter a language."""
    other = theirs("ForCTC", adapter_attn_dim=8)
    other.save_pretrained(tmp_path)
    mine = unispeech_lab.load(tmp_path)
    mine.save_adapter(tmp_path, "fra")
    again = unispeech_lab.UniSpeechForCTC.from_pretrained(tmp_path, target_lang="fra")
    with torch.no_grad():
        assert_near(again(**speech((4000,))).logits, other(**speech((4000,))).logits)


def test_its_own_preprocessor_is_used(tmp_path):
    theirs("Model").save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(tmp_path)
    wave = 3 + torch.randn(4000)
    assert unispeech_lab.load(tmp_path).prepare(wave)["input_values"].mean() > 2


def test_what_cannot_be_said_in_unispeech_is_refused(tmp_path):
    theirs("Model").save_pretrained(tmp_path)
    edit_config(tmp_path, architectures=["Wav2Vec2ForXVector"])
    with pytest.raises(CheckpointError, match="architecture out of .*Wav2Vec2ForCTC.*found Wav2Vec2ForXVector"):
        checkpoints.load(tmp_path)
    edit_config(tmp_path, architectures=["Wav2Vec2Model"], add_adapter=True)
    with pytest.raises(CheckpointError, match="without add_adapter, .*load it with transformers"):
        checkpoints.load(tmp_path)
    edit_config(tmp_path, add_adapter=False, hidden_size=64)
    with pytest.raises(CheckpointError, match="expected the shapes of UniSpeechModel"):
        checkpoints.load(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="model.safetensors or pytorch_model.bin in .*copy the whole"):
        checkpoints.load(tmp_path)
