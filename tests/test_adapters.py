"""Language adapters: two languages learned, saved and switched; files that do not fit are refused."""

import json

import pytest
import torch
import transformers
from models import STILL, Bomb, config, ours, speech, their_config
from safetensors.torch import load_file, save_file

import unispeech_lab
from unispeech_lab import UniSpeechForCTC
from unispeech_lab.doors import CheckpointError
from unispeech_lab.nn.encoder import LanguageAdapter

LANGUAGES = {"eng": 11, "kir": 7}  # vocabulary sizes


def fresh(**changes):
    return ours("UniSpeechForCTC", adapter_attn_dim=4, **{"apply_spec_augment": False, **STILL, **changes})


def resized(model, words):
    """A head of another vocabulary, begun anew with the adapters."""
    model.lm_head = torch.nn.Linear(32, words)
    model.config.vocab_size = words
    model.init_adapter_layers()


def learn(model, seed, steps=3):
    """A few steps of one language; returns the losses."""
    model.freeze_all_but_adapter()
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.1)
    labels = torch.randint(1, model.config.vocab_size, (2, 3), generator=torch.Generator().manual_seed(seed))
    losses = []
    for _ in range(steps):
        loss = model.train()(**speech(seed=seed), labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    return losses


def says(model):
    with torch.no_grad():
        return model(**speech()).logits


@pytest.fixture(scope="module")
def polyglot(tmp_path_factory):
    """A folder with a base and two learned languages, and what each says."""
    folder, model = tmp_path_factory.mktemp("polyglot"), fresh()
    model.save_pretrained(folder)
    base = {name: weight.clone() for name, weight in model.unispeech.state_dict().items() if "adapter" not in name}
    said = {}
    for seed, (language, words) in enumerate(LANGUAGES.items()):
        resized(model, words)
        losses = learn(model, seed)
        assert losses[-1] < losses[0]
        assert model.save_adapter(folder, language) == folder / f"adapter.{language}.safetensors"
        said[language] = says(model)
    after = model.unispeech.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in base.items())  # only the language was learned
    return folder, said


def test_switching_restores_each_language_bit_for_bit(polyglot):
    folder, said = polyglot
    model = UniSpeechForCTC.from_pretrained(folder).eval()
    for language in ("eng", "kir", "eng", "kir", "kir"):
        model.load_adapter(language)
        assert model.target_lang == language and model.config.vocab_size == LANGUAGES[language]
        assert torch.equal(says(model), said[language])
    assert not torch.equal(said["eng"][..., :7], said["kir"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_from_the_start(polyglot, language):
    folder, said = polyglot
    model = UniSpeechForCTC.from_pretrained(folder, target_lang=language).eval()
    assert torch.equal(says(model), said[language]) and model.target_lang == language
    model, report = UniSpeechForCTC.from_pretrained(folder, target_lang=language, output_loading_info=True)
    assert torch.equal(says(model.eval()), said[language]) and not report["missing_keys"]


def test_the_switched_head_learns_and_is_scored(polyglot):
    folder, _ = polyglot
    model = UniSpeechForCTC.from_pretrained(folder, target_lang="kir")
    assert model(**speech(), labels=torch.tensor([[6, 1], [2, 3]])).loss.isfinite()
    with pytest.raises(ValueError, match=r"labels from 0 to 6 \(vocab_size=7\)"):
        model(**speech(), labels=torch.tensor([[7, 1], [2, 3]]))
    learn(model, 5, steps=1)
    assert all("adapter_layer" in n or "lm_head" in n for n, w in model.named_parameters() if w.requires_grad)


def test_a_language_already_there_is_not_read_again(polyglot):
    folder, said = polyglot
    model = UniSpeechForCTC.from_pretrained(folder, target_lang="eng").eval()
    with torch.no_grad():
        model.lm_head.bias += 1
    model.load_adapter("eng", force_load=False)
    assert not torch.equal(says(model), said["eng"])
    model.load_adapter("eng")
    assert torch.equal(says(model), said["eng"])


def test_from_another_folder_and_as_bin(polyglot, tmp_path):
    folder, said = polyglot
    model = UniSpeechForCTC.from_pretrained(folder).eval()
    torch.save(load_file(folder / "adapter.kir.safetensors"), tmp_path / "adapter.kyr.bin")
    model.load_adapter("kyr", folder=tmp_path)
    assert torch.equal(says(model), said["kir"])


def test_a_saved_language_is_kept_in_the_whole_checkpoint(polyglot, tmp_path):
    folder, said = polyglot
    model = UniSpeechForCTC.from_pretrained(folder, target_lang="kir")
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["vocab_size"] == 7
    assert torch.equal(says(unispeech_lab.load(tmp_path)), said["kir"])


def test_the_file_is_small_and_holds_the_language_only(polyglot):
    folder, _ = polyglot
    state = load_file(folder / "adapter.kir.safetensors")
    assert len(state) == 3 * 6 + 2 and all("adapter_layer" in name or name.startswith("lm_head.") for name in state)


def test_adapters_sit_at_the_end_of_each_layer():
    model = fresh()
    layer = model.unispeech.encoder.layers[0]
    assert sum(isinstance(part, LanguageAdapter) for part in model.modules()) == 3
    states = torch.randn(1, 5, 32)
    adapter, layer.adapter_layer = layer.adapter_layer, None
    with torch.no_grad():
        plain = layer(states)
        layer.adapter_layer = adapter
        assert torch.equal(layer(states), plain + adapter(plain))


def test_begun_anew():
    model = fresh()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    model.init_adapter_layers()
    after = model.state_dict()
    for name, weight in before.items():
        own = "linear" in name or name == "lm_head.weight"
        assert torch.equal(after[name], weight) != own or "bias" in name or "norm" in name, name
    for name, weight in model.adapter_parameters().items():
        if name.endswith("bias"):
            assert (weight == 0).all()


# What does not fit


def test_an_unknown_language_names_the_known_ones(polyglot):
    folder, _ = polyglot
    model = UniSpeechForCTC.from_pretrained(folder)
    with pytest.raises(
        CheckpointError, match=r"adapter.deu.safetensors in .*found eng, kir: save it with model.save_ad"
    ):
        model.load_adapter("deu")
    with pytest.raises(CheckpointError, match="adapter.deu.safetensors"):
        UniSpeechForCTC.from_pretrained(folder, target_lang="deu")


def test_without_adapters_there_is_no_language(tmp_path):
    ours("UniSpeechForCTC").save_pretrained(tmp_path)
    says = "adapter_attn_dim for target_lang='eng', found none: set adapter_attn_dim"
    with pytest.raises(ValueError, match=says):
        UniSpeechForCTC(config(), target_lang="eng")
    with pytest.raises(ValueError, match=says):
        UniSpeechForCTC.from_pretrained(tmp_path, target_lang="eng")
    with pytest.raises(ValueError, match=says):
        ours("UniSpeechForCTC").save_adapter(tmp_path, "eng")


@pytest.mark.parametrize(
    "spoil, says",
    [
        (lambda state: state.pop("lm_head.bias"), r"missing \['lm_head.bias'\]"),
        (lambda state: state.update(extra=torch.zeros(1)), r"unexpected \['extra'\]"),
        (lambda state: state.update({"lm_head.weight": torch.zeros(7, 9)}), "adapters of this model's shapes"),
        (lambda state: state.update({"lm_head.bias": torch.zeros(6)}), "adapters of this model's shapes"),
        (
            lambda state: state.update({"unispeech.encoder.layers.0.adapter_layer.linear_1.bias": torch.zeros(5)}),
            r"shapes in .*linear_1.bias.*\(5,\), \(4,\)",
        ),
    ],
    ids=["missing", "extra", "another width", "bias of another size", "another adapter"],
)
def test_a_file_that_does_not_fit_changes_nothing(polyglot, tmp_path, spoil, says):
    folder, _ = polyglot
    state = load_file(folder / "adapter.kir.safetensors")
    spoil(state)
    save_file(state, tmp_path / "adapter.kir.safetensors")
    model = UniSpeechForCTC.from_pretrained(folder, target_lang="eng")
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=says):
        model.load_adapter("kir", folder=tmp_path)
    after = model.state_dict()
    assert model.target_lang == "eng" and model.config.vocab_size == 11
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_half_a_file_is_refused(polyglot, tmp_path, kind, share):
    folder, _ = polyglot
    whole, broken = folder / "adapter.kir.safetensors", tmp_path / f"adapter.kir.{kind}"
    if kind == "bin":
        torch.save(load_file(whole), broken)
        whole = broken
    broken.write_bytes(whole.read_bytes()[: int(len(whole.read_bytes()) * share)])
    with pytest.raises(CheckpointError, match="expected plain tensors in .*adapter.kir"):
        UniSpeechForCTC.from_pretrained(folder).load_adapter("kir", folder=tmp_path)


def test_a_pickle_with_code_runs_nothing(polyglot, tmp_path):
    state = load_file(polyglot[0] / "adapter.kir.safetensors")
    torch.save({**state, "x": Bomb(tmp_path / "struck")}, tmp_path / "adapter.kir.bin")
    with pytest.raises(CheckpointError, match="expected plain tensors in .*found a damaged file or code"):
        UniSpeechForCTC.from_pretrained(polyglot[0]).load_adapter("kir", folder=tmp_path)
    assert not (tmp_path / "struck").exists()


@pytest.mark.parametrize("something", [[torch.zeros(3)], torch.zeros(3), {"lm_head.bias": "words"}])
def test_a_file_of_something_else_is_refused(polyglot, tmp_path, something):
    torch.save(something, tmp_path / "adapter.kir.bin")
    with pytest.raises(CheckpointError, match="expected tensors by name in .*adapter.kir.bin"):
        UniSpeechForCTC.from_pretrained(polyglot[0]).load_adapter("kir", folder=tmp_path)


def test_a_language_name_is_no_path(polyglot, tmp_path):
    model = UniSpeechForCTC.from_pretrained(polyglot[0], target_lang="eng")
    for name in ("../eng", "a/b", "..", ""):
        with pytest.raises(ValueError, match="expected a language name"):
            model.save_adapter(tmp_path, name)
        with pytest.raises(ValueError, match="expected a language name"):
            model.load_adapter(name)


def test_theirs_has_the_layers_and_no_loader(tmp_path):
    """What this file is for: transformers' own UniSpeech hands ``target_lang`` to PEFT, which knows no such adapter."""
    transformers.UniSpeechForCTC(their_config(adapter_attn_dim=4)).save_pretrained(tmp_path)
    fresh().save_adapter(tmp_path, "eng")
    with pytest.raises(TypeError, match="unexpected keyword argument 'force_load'"):  # of PEFT
        transformers.UniSpeechForCTC.from_pretrained(tmp_path, target_lang="eng")
    assert UniSpeechForCTC.from_pretrained(tmp_path, target_lang="eng").target_lang == "eng"
