"""Models of transformers in the same views: their convolutions and every head of theirs, on the same clock."""

import numpy as np
import pytest
import torch
from transformers import (
    HubertConfig,
    HubertModel,
    UniSpeechConfig,
    UniSpeechForCTC,
    UniSpeechModel,
    Wav2Vec2Config,
    Wav2Vec2ForCTC,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
)

from unispeech_lab.alignment import Span
from unispeech_lab.corpus import Utterance
from unispeech_lab.trace import record
from unispeech_lab.trace.openly import openly
from unispeech_lab.views import load
from unispeech_lab.views.asking import Hear, prepare, watched
from unispeech_lab.views.explore import explore
from unispeech_lab.views.reading import PATTERN, layers

KINDS = [
    (UniSpeechModel, UniSpeechConfig),
    (Wav2Vec2Model, Wav2Vec2Config),
    (HubertModel, HubertConfig),
    (WavLMModel, WavLMConfig),
]
FORMS = [("group", False), ("layer", True), ("layer", False)]
SAMPLES, CHANNELS, HEADS, DEPTH = 8000, 12, 3, 3
SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": HEADS,
    "intermediate_size": 32,
    "conv_dim": [CHANNELS] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


def sound(samples: int = SAMPLES) -> Utterance:
    wave = np.random.default_rng(0).standard_normal(samples).astype(np.float32) * 0.1
    seconds = samples / 16_000
    spans = [Span(label, k * seconds / 4, (k + 1) * seconds / 4) for k, label in enumerate("aeio")]
    return Utterance("noise", wave, "a e i o", phones=spans)


def make(model, config, norm="group", stable=False, **options):
    """Small, random, wide awake: attention weights times ten, or all heads look alike."""
    torch.manual_seed(0)
    made = model(config(**SIZES, feat_extract_norm=norm, do_stable_layer_norm=stable, **options)).eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if ".attention." in name and name.endswith("weight"):
                weight *= 10
    return made


@pytest.fixture(scope="module", params=FORMS, ids=lambda form: f"{form[0]}-{'pre' if form[1] else 'post'}")
def form(request):
    return request.param


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind[0].__name__)
def pair(request, form):
    """The model, and what it says by itself when asked for everything (its attention explicit)."""
    model = make(*request.param, *form)
    eager = make(*request.param, *form, attn_implementation="eager")
    eager.load_state_dict(model.state_dict())
    with torch.no_grad():
        said = eager(**prepare(model, sound()), output_attentions=True, output_hidden_states=True)
    return model, said


def test_every_head_attends_as_the_model_says(pair):
    model, said = pair
    before = model.config._attn_implementation
    trace = Hear(sound(), watched(model, [load("attention")], ["encoder.layers.*"]))(model)
    assert model.config._attn_implementation == before, "left as it was"
    found = layers(trace, PATTERN)
    assert list(found) == list(range(DEPTH)) == list(range(len(said.attentions)))
    for k, theirs in enumerate(said.attentions):
        ours = torch.from_numpy(found[k])
        assert ours.shape == (HEADS, 24, 24) and torch.allclose(ours.sum(-1), torch.ones(HEADS, 24), atol=1e-5)
        assert not torch.allclose(ours[0], ours[1], atol=1e-3), "heads differ"
        if isinstance(model, WavLMModel):  # it says the mean, once a head
            ours = ours.mean(0, keepdim=True).expand(HEADS, -1, -1)
        assert torch.allclose(ours, theirs[0], atol=1e-6)
        assert torch.allclose(trace[f"encoder.layers.{k}"], said.hidden_states[k + 1], atol=1e-5)


def test_convolutions_are_frames_by_channels(pair):
    model, said = pair
    convs = layers(Hear(sound(), ("feature_extractor.conv_layers.*",))(model), "feature_extractor.conv_layers.*")
    wave, counts = prepare(model, sound())["input_values"][:, None], (1599, 799, 399, 199, 99, 49, 24)
    with torch.no_grad():
        for (k, found), count, layer in zip(convs.items(), counts, model.feature_extractor.conv_layers, strict=True):
            wave = layer(wave)
            assert found.shape == (count, CHANNELS), k
            assert np.allclose(found, wave[0].T.numpy(), atol=1e-6)
    with torch.no_grad():
        normed = model.feature_projection(torch.from_numpy(convs[6])[None])
    if hasattr(said, "extract_features"):  # HuBERT keeps them to itself
        assert torch.allclose(normed[1], said.extract_features, atol=1e-5)


def test_as_many_channels_as_frames_is_told_by_the_other_layers():
    model = make(*KINDS[1])
    samples = 400 + 320 * (CHANNELS - 1)
    trace = Hear(sound(samples), ("feature_extractor.conv_layers.*",))(model)
    assert trace["conv_layers.6"].shape == (1, CHANNELS, CHANNELS)
    assert np.array_equal(layers(trace, "feature_extractor.conv_layers.*")[6], trace["conv_layers.6"][0].T.numpy())


def test_the_whole_explorer_opens_on_it(pair):
    model, _ = pair
    explorer = explore(model, sound(), corpus=[sound()])
    assert {"sound", "convolutions", "attention"} <= set(explorer.tabs)
    for tab in explorer.tabs:
        drawn = [panel.name for panel in explorer.open(tab).panels()]
        assert drawn and explorer.words()
        if tab == "flow":  # WavLM hands its weights to torch: its values cannot be taken away
            assert ("flow-zeroing" in drawn) == (not isinstance(model, WavLMModel))
    explorer.open("attention").turn(layer=2, head=1)
    (shown,) = explorer["attention"].marks
    assert np.array_equal(shown.values, layers(explorer.recorded, PATTERN)[2][1])


@pytest.mark.parametrize("model, config", [(Wav2Vec2ForCTC, Wav2Vec2Config), (UniSpeechForCTC, UniSpeechConfig)])
def test_a_ctc_head_of_theirs_is_read(model, config):
    made = make(model, config, vocab_size=9, pad_token_id=3)
    explorer = explore(made, sound(), tabs={"CTC": ("posteriors",)})
    with torch.no_grad():
        belief = made(**prepare(made, sound())).logits.softmax(-1)[0]
    explorer.turn(classes=9)
    picture = explorer["posteriors"].marks[0]
    assert torch.allclose(torch.from_numpy(picture.values.T.copy()), belief, atol=1e-6)
    assert picture.rows[3] == "blank", "their heads pad with it"


def test_what_goes_wrong_leaves_the_model_as_it_was():
    model = make(*KINDS[0])
    with pytest.raises(ZeroDivisionError), openly(model):
        assert model.config._attn_implementation == "eager"
        raise ZeroDivisionError
    assert model.config._attn_implementation == "sdpa"
    with pytest.raises(TypeError, match="attention"), torch.no_grad(), record(model, "attention[1]"):
        model(**prepare(model, sound()))
