"""Hugging Face: pipelines, Auto classes, Trainer and PEFT take our models as they take their own."""

import copy
import json

import numpy as np
import pytest
import torch
import transformers
from models import STILL, assert_near, assert_same_gradients, ours, speech, theirs
from transformers.models.auto import configuration_auto, modeling_auto

import unispeech_lab

WORDS = ["<pad>", "<s>", "</s>", "<unk>", "|", "a", "b", "c", "d", "e", "f"]  # 11, as models.SIZES has it


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    file = tmp_path_factory.mktemp("tokenizer") / "vocab.json"
    file.write_text(json.dumps({word: i for i, word in enumerate(WORDS)}))
    return transformers.Wav2Vec2CTCTokenizer(str(file), pad_token="<pad>", word_delimiter_token="|")


@pytest.fixture
def extractor():
    return transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)


@pytest.fixture
def registered():
    """register(), undone at the end."""
    maps = [
        configuration_auto.CONFIG_MAPPING._extra_content,
        *(
            auto._model_mapping._extra_content
            for auto in (
                transformers.AutoModel,
                transformers.AutoModelForCTC,
                transformers.AutoModelForAudioClassification,
                transformers.AutoModelForPreTraining,
            )
        ),
    ]
    before = [copy.copy(content) for content in maps]
    unispeech_lab.register()
    yield
    for content, old in zip(maps, before, strict=True):
        content.clear()
        content.update(old)


def sound(seconds, seed=0):
    return np.random.default_rng(seed).standard_normal(int(seconds * 16_000)).astype(np.float32)


def by_hand(model, tokenizer, waveform):
    with torch.no_grad():
        return tokenizer.decode(model(**model.prepare(waveform)).logits[0].argmax(-1))


@pytest.mark.parametrize("layout", ["large", "base"])
def test_speech_recognition(tokenizer, extractor, layout):
    model = ours("UniSpeechForCTC", layout)
    recognise = transformers.pipeline(
        "automatic-speech-recognition", model=model, tokenizer=tokenizer, feature_extractor=extractor, device="cpu"
    )
    waveform = sound(1.0)
    text = recognise(waveform.copy())["text"]
    assert text and text == by_hand(model, tokenizer, waveform)
    batch = recognise([waveform.copy(), sound(0.7, 1)], batch_size=2) if layout == "large" else []
    assert [found["text"] for found in batch] == [
        by_hand(model, tokenizer, sound(*which)) for which in ((1.0, 0), (0.7, 1)) if batch
    ]


def test_speech_recognition_in_chunks(tokenizer, extractor):
    """Long speech by pieces with a stride: the same text as whole, a frame at a seam or two apart."""
    model = ours("UniSpeechForCTC", num_conv_pos_embeddings=2)
    with torch.no_grad():  # look at the frame itself only, so that a piece says what the whole says
        for layer in model.unispeech.encoder.layers:
            layer.attention.out_proj.weight.zero_()
    recognise = transformers.pipeline(
        "automatic-speech-recognition",
        model=model,
        tokenizer=tokenizer,
        feature_extractor=transformers.Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True),
        device="cpu",
    )
    waveform = sound(5.0)
    whole = recognise(waveform.copy())["text"]
    pieces = recognise(waveform.copy(), chunk_length_s=2.0, stride_length_s=(0.4, 0.4))["text"]
    assert len(whole) > 20 and pieces == whole
    timed = recognise(waveform.copy(), return_timestamps="char", chunk_length_s=2.0, stride_length_s=0.4)
    assert "".join(chunk["text"] for chunk in timed["chunks"]).split() == pieces.split()
    starts = [chunk["timestamp"][0] for chunk in timed["chunks"]]
    assert starts == sorted(starts) and 4.0 < starts[-1] < 5.0


def test_audio_classification(extractor):
    model = ours("UniSpeechForSequenceClassification", id2label={0: "low", 1: "mid", 2: "high"})
    classify = transformers.pipeline("audio-classification", model=model, feature_extractor=extractor, device="cpu")
    waveform = sound(0.5)
    found = {answer["label"]: answer["score"] for answer in classify(waveform.copy(), top_k=3)}
    with torch.no_grad():
        expected = model(**model.prepare(waveform)).logits.softmax(-1)[0]
    assert found == pytest.approx(dict(zip(["low", "mid", "high"], expected.tolist(), strict=True)), abs=1e-6)


def test_feature_extraction(extractor):
    """This pipeline calls what prepares its input a tokenizer; for speech that is the feature extractor."""
    model = ours()
    hear = transformers.pipeline("feature-extraction", model=model, tokenizer=extractor, device="cpu")
    waveform = sound(0.5)
    with torch.no_grad():
        expected = model(**model.prepare(waveform)).last_hidden_state
    assert_near(torch.tensor(hear(waveform, tokenize_kwargs={"sampling_rate": 16_000})), expected)


def test_auto_classes(tmp_path, registered):
    autos = {
        "AutoModel": "UniSpeechModel",
        "AutoModelForCTC": "UniSpeechForCTC",
        "AutoModelForAudioClassification": "UniSpeechForSequenceClassification",
        "AutoModelForPreTraining": "UniSpeechForPreTraining",
    }
    for auto, kind in autos.items():
        theirs(kind).save_pretrained(tmp_path / kind)
        loaded = getattr(transformers, auto).from_pretrained(tmp_path / kind)
        assert type(loaded) is getattr(unispeech_lab, kind)
        assert type(getattr(transformers, auto).from_config(loaded.config)) is type(loaded)
    assert type(transformers.AutoConfig.from_pretrained(tmp_path / "UniSpeechModel")) is unispeech_lab.UniSpeechConfig


def test_importing_the_lab_registers_nothing(tmp_path):
    theirs("UniSpeechForCTC").save_pretrained(tmp_path)
    assert type(transformers.AutoModelForCTC.from_pretrained(tmp_path)) is transformers.UniSpeechForCTC


def test_a_pipeline_from_a_folder_after_registration(tmp_path, tokenizer, extractor, registered):
    model = ours("UniSpeechForCTC")
    for part in (model, tokenizer, extractor):
        part.save_pretrained(tmp_path)
    recognise = transformers.pipeline("automatic-speech-recognition", model=str(tmp_path), device="cpu")
    assert type(recognise.model) is unispeech_lab.UniSpeechForCTC
    assert recognise(sound(1.0))["text"] == by_hand(model, tokenizer, sound(1.0))


def collate(rows):
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    batch = extractor([row["sound"] for row in rows], sampling_rate=16_000, padding=True, return_tensors="pt")
    batch["labels"] = torch.tensor([row["labels"] for row in rows])
    return batch


@pytest.mark.parametrize("checkpointing", [False, True])
def test_trainer(tmp_path, checkpointing):
    torch.manual_seed(0)
    model = ours("UniSpeechForCTC", mask_time_prob=0.3, layerdrop=0.1).train()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    options = {"activation_checkpointing": True} if checkpointing else {}
    trainer = transformers.Trainer(
        model,
        transformers.TrainingArguments(
            str(tmp_path),
            max_steps=1,
            per_device_train_batch_size=2,
            learning_rate=1e-3,
            use_cpu=True,
            report_to=[],
            remove_unused_columns=False,
            eval_strategy="steps",
            eval_steps=1,
            save_steps=1,
            disable_tqdm=True,
            dataloader_pin_memory=False,
            **options,
        ),
        data_collator=collate,
        train_dataset=[{"sound": sound(0.5, i), "labels": [1 + i, 5, 6]} for i in range(2)],
        eval_dataset=[{"sound": sound(0.4, 9), "labels": [2, 5, 6]}],
    )
    result = trainer.train()
    assert np.isfinite(result.training_loss) and np.isfinite(trainer.state.log_history[-2]["eval_loss"])
    moved = {name for name, weight in model.named_parameters() if not torch.equal(weight, before[name])}
    still = set(before) - moved
    assert "lm_head.weight" in moved and "unispeech.feature_extractor.conv_layers.0.conv.weight" in moved
    assert len(still) < 0.2 * len(before), still
    again = unispeech_lab.load(tmp_path / "checkpoint-1")
    assert torch.equal(again.lm_head.weight, model.lm_head.weight)


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT asks by the old name
def test_lora(tmp_path):
    peft = pytest.importorskip("peft", reason="peft is an extra of the tests")
    base = ours("UniSpeechForCTC", apply_spec_augment=False, **STILL)
    plain = {name: weight.clone() for name, weight in base.state_dict().items()}
    untouched = copy.deepcopy(base)
    model = peft.get_peft_model(
        copy.deepcopy(base), peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], modules_to_save=["lm_head"])
    )
    optimizer = torch.optim.SGD([w for w in model.parameters() if w.requires_grad], lr=0.5)
    with torch.no_grad():
        before = base(**speech()).logits
    for _ in range(2):  # B begins at nought, so A moves from the second step on
        loss = model.train()(**speech(), labels=torch.tensor([[1, 2], [3, 4]])).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    tuned = {name for name, weight in model.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert sum("lora_A" in n for n in tuned) == 6 and sum("lora_B" in n for n in tuned) == 6
    model.save_pretrained(tmp_path)
    again = peft.PeftModel.from_pretrained(untouched, tmp_path).eval()
    with torch.no_grad():
        expected = model.eval()(**speech()).logits
        assert_near(again(**speech()).logits, expected, 1e-6)
        assert (expected - before).abs().max() > 1e-3
        assert_near(again.merge_and_unload()(**speech()).logits, expected, 1e-5)
    assert all(torch.equal(weight, plain[name]) for name, weight in base.state_dict().items())


def test_auto_mapping_is_still_theirs_after_these_tests():
    assert "unispeech" not in configuration_auto.CONFIG_MAPPING._extra_content
    assert modeling_auto.MODEL_MAPPING[transformers.UniSpeechConfig] is transformers.UniSpeechModel


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # torch.compile's own, as it traces
def test_compiled():
    """torch.compile says the same, and learns the same."""
    plain, other = (ours("UniSpeechForCTC", num_hidden_layers=1, apply_spec_augment=False, **STILL) for _ in range(2))
    inputs, labels = speech((1600, 1280)), torch.tensor([[1, 2], [3, 4]])
    losses = []
    for run in (plain, torch.compile(other, backend="aot_eager")):
        losses.append(run(**inputs, labels=labels).loss)
        losses[-1].backward()
    assert_near(*losses)
    assert_same_gradients(other, plain)
