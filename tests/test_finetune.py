"""Fine-tuning: what a run learns, what it leaves alone, what it keeps, what it refuses."""

import sys

import numpy as np
import pytest
import torch
import transformers
from training import assert_same_weights, metrics, small, speech, vocabulary
from tuning import begun, changed, copied, tune, two_languages

import unispeech_lab
from unispeech_lab import finetune, pretrain
from unispeech_lab.corpus import Corpus, Utterance
from unispeech_lab.run import Run
from unispeech_lab.settings import FineTuneSettings


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole")
    tune(out, valid=speech(number=2))
    return out


class TestBegin:
    def test_the_body_is_the_starts(self):
        start = small()
        model = begun(start=start)
        for name, weight in start.unispeech.state_dict().items():
            assert name == "masked_spec_embed" or torch.equal(weight, model.unispeech.state_dict()[name]), name
        assert model.config.vocab_size == len(model.vocabulary) and model.config.pad_token_id == model.vocabulary.blank

    def test_a_fresh_head_expects_each_phone_as_often_as_it_is_said(self):
        model = begun()
        shares = model.lm_head.bias.detach().softmax(0)
        said = [span.label for utterance in speech(number=6) for span in utterance.phones]
        expected = 0.2 * said.count("ə") / len(said)
        assert shares[model.vocabulary.blank] == pytest.approx(0.8, rel=1e-2)
        assert shares[model.vocabulary.classes["ə"]] == pytest.approx(expected, rel=1e-2)

    def test_the_starts_own_vocabulary_keeps_its_head(self):
        start = small()
        start.vocabulary = vocabulary()
        model = finetune.begin(start, speech(), vocabulary=vocabulary())
        assert torch.equal(model.lm_head.weight, start.ctc_proj.weight)
        fresh = finetune.begin(small(), speech(), vocabulary=vocabulary())
        assert not torch.equal(fresh.lm_head.weight, start.ctc_proj.weight)

    def test_the_recipe_is_the_authors(self):
        config = finetune.begin(small(), speech()).config
        assert (config.mask_time_prob, config.mask_time_length, config.mask_rule) == (0.75, 10, "authors")
        assert (config.mask_feature_prob, config.mask_feature_length) == (0.25, config.hidden_size // 16)
        assert config.layerdrop == config.final_dropout == config.attention_dropout == 0.1
        assert config.ctc_zero_infinity and config.ctc_loss_reduction == "sum"

    def test_the_new_weights_come_from_the_seed(self):
        a, b, c = (finetune.begin(small(), speech(), seed=seed).lm_head.weight for seed in (1, 1, 2))
        assert torch.equal(a, b) and not torch.equal(a, c)

    def test_a_recogniser_may_become_a_classifier(self):
        model = begun("language", two_languages(), start=begun())
        assert model.config.id2label == {0: "en", 1: "fr"} and list(finetune.names(model)) == ["en", "fr"]

    def test_a_setting_that_no_config_has(self):
        with pytest.raises(ValueError, match="settings of UniSpeechConfig, found mask_tim_prob"):
            finetune.begin(small(), speech(), mask_tim_prob=0.1)

    def test_another_size(self):
        with pytest.raises((ValueError, RuntimeError), match="size|shape"):
            finetune.begin(small(), speech(), hidden_size=64)

    def test_a_phone_outside_the_vocabulary(self):
        with pytest.raises(ValueError, match=r"phones out of the \d+ that the model knows, found .*\(fr_00000\)"):
            finetune.begin(small(), speech("fr", 1), vocabulary=vocabulary())


class TestSettings:
    def test_three_stages(self):
        settings = FineTuneSettings(steps=100, learning_rate=1.0)
        rates = [settings.rate(step) for step in range(100)]
        assert rates[:10] == pytest.approx([(k + 1) / 11 for k in range(10)])
        assert rates[10:51] == [1.0] * 41
        assert rates[75] == pytest.approx(0.05**0.5) and 0.05 < rates[99] < 0.055
        assert (np.diff(rates[51:]) < 0).all()

    @pytest.mark.parametrize(
        "wrong, says",
        [
            ({"head_only": 1.2}, "head_only as a share of the steps, from 0 to 1, found 1.2"),
            ({"lora": -1}, "lora as a rank of at least 0, found -1"),
            ({"lora": 2, "language": "sv"}, "lora or language, found both"),
        ],
    )
    def test_what_makes_no_sense(self, wrong, says):
        with pytest.raises(ValueError, match=says):
            FineTuneSettings(**wrong)


class TestRecognition:
    def test_it_learns_by_heart(self, tmp_path):
        """Two short sentences, without masks: what training cannot learn by heart it cannot learn."""
        corpus = speech(number=2)
        settings = {"steps": 250, "learning_rate": 6e-3, "log_every": 50, "validate_every": 250, "save_every": 250}
        run = tune(tmp_path, begun(corpus=corpus, ctc_loss_reduction="mean"), corpus, valid=corpus, **settings)
        assert run.table["loss"].iloc[-1] < 0.3 * run.table["loss"].iloc[0]
        assert run.table["valid_per"].dropna().iloc[-1] < 0.4

    def test_the_result_loads_and_knows_its_names(self, whole):
        model = unispeech_lab.load(whole / "model")
        assert isinstance(model, unispeech_lab.UniSpeechForCTC) and finetune.taught(model) == "phones"
        assert model.vocabulary == finetune.names(begun())
        assert "fine-tuned to phones for 6 steps" in model.config.provenance
        last = Run(whole).table["valid_per"].dropna().min()
        assert finetune.evaluate(model, speech(number=2))["per"] == pytest.approx(last)

    def test_the_metrics(self, whole):
        table = Run(whole).table
        assert list(table.index) == [1, 2, 3, 4, 5, 6]
        said = {"loss", "blank", "lr", "grad_norm", "sample_size", "audio", "elapsed", "valid_loss", "valid_per"}
        assert said <= set(table) and list(table["valid_per"].dropna().index) == [3, 6]
        assert Run(whole).settings["teach"] == "phones"

    def test_the_loss_is_a_mean_over_utterances(self, tmp_path):
        """As the authors' --sentence-avg has it: the sum of all utterances' over their number."""
        corpus, seen = speech(number=3), []
        model = begun(corpus=corpus)
        with torch.no_grad():
            single = [float(model(**model.prepare(u), labels=labels(model, u)).loss) for u in corpus]
        tune(tmp_path, model, corpus, steps=1, batch_seconds=20.0, head_only=0.0, given={"watch": seen.append})
        assert seen[0]["sample_size"] == 3
        assert seen[0]["loss"] == pytest.approx(np.mean(single), rel=1e-4)

    def test_the_head_alone_then_the_body_never_the_convolutions(self, tmp_path):
        states = []

        def watch(row):
            states.append(copied(model))

        model = begun()
        start = copied(model)
        tune(tmp_path, model, steps=4, head_only=0.5, given={"watch": watch})
        assert changed(start, states[1]) == {"lm_head.weight", "lm_head.bias"}
        later = changed(states[1], states[3])
        assert any(name.startswith("unispeech.encoder.layers.0") for name in later)
        assert "unispeech.feature_projection.projection.weight" in later
        assert not any(name.startswith("unispeech.feature_extractor") for name in changed(start, states[3]))
        assert all(p.requires_grad for name, p in model.named_parameters() if "feature_extractor" not in name)

    def test_masks_are_drawn_in_training_alone(self, tmp_path):
        model, hidden = begun(mask_time_prob=0.75, mask_rule="authors"), []
        hook = model.unispeech.mask.register_forward_hook(lambda module, args, said: hidden.append(said))
        tune(tmp_path, model, valid=speech(number=2), steps=3)
        hook.remove()
        assert len(hidden) == 3  # not where it is validated
        assert all(0.3 < mask.float().mean() < 0.75 for mask in hidden)

    def test_channels_are_hidden_too(self):
        model = begun(mask_feature_prob=0.25, mask_feature_length=2).train()
        states = torch.ones(2, 40, model.config.hidden_size)
        said = model.unispeech.spec_augment(states, None)
        gone = (said == 0).all(1)
        assert gone.any() and not gone.all() and ((said == 0).any(1) == gone).all()

    def test_characters(self, tmp_path):
        model = begun("characters")
        run = tune(tmp_path, model, valid=speech(number=2))
        assert {"valid_cer", "valid_wer"} <= set(run.table)
        assert "▁" in model.vocabulary.classes and "c" in model.vocabulary.classes
        text = finetune.predict(unispeech_lab.load(tmp_path / "model"), speech(number=1))
        assert text.loc["en_00000", "said"] == "the cat sat on the warm mat"
        theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
        ids = model.vocabulary.encode("a▁cat")
        assert theirs.decode([ids[0], ids[0], *ids[1:]]) == "a▁cat"


def labels(model, utterance) -> torch.Tensor:
    return torch.tensor([model.vocabulary.encode(span.label for span in utterance.phones)])


class TestTheBest:
    def told(self, monkeypatch, errors):
        """A run whose validations say what they are told to."""
        answers = iter(errors)
        monkeypatch.setattr(finetune, "judged", lambda *how: {"loss": 1.0, "per": next(answers)})

    def test_it_stays_and_becomes_the_result(self, tmp_path, monkeypatch):
        self.told(monkeypatch, [0.5, 0.3, 0.4, 0.6])
        states = {}

        def watch(row):
            states[row["step"]] = copied(model)

        model = begun()
        run = tune(
            tmp_path, model, valid=speech(number=2), steps=8, validate_every=2, save_every=1, keep=1,
            given={"watch": watch},
        )  # fmt: skip
        assert [int(folder.name) for folder in run.checkpoints()] == [4, 8]
        assert not changed(states[4], unispeech_lab.load(tmp_path / "model").state_dict())
        assert changed(states[4], states[8]) and not changed(states[4], copied(model))
        assert "the best of its validations (step 4)" in model.config.provenance

    def test_of_equal_errors_the_one_with_less_loss(self, tmp_path, monkeypatch):
        said = iter([3.0, 1.0, 2.0])
        monkeypatch.setattr(finetune, "judged", lambda *how: {"loss": next(said), "per": 0.5})
        tune(tmp_path, valid=speech(number=2), steps=3, validate_every=1)
        assert "step 2" in unispeech_lab.load(tmp_path / "model").config.provenance

    def test_a_stop_does_not_forget_it(self, tmp_path, monkeypatch):
        self.told(monkeypatch, [0.3, 0.5])
        stop = {"until": lambda: True}
        how = {"valid": speech(number=2), "steps": 4, "validate_every": 1, "keep": 1}
        tune(tmp_path, **how, given=stop)
        tune(tmp_path, **how, given=stop)
        assert [int(folder.name) for folder in Run(tmp_path).checkpoints()] == [1, 2]
        self.told(monkeypatch, [0.5, 0.6])
        tune(tmp_path, **how)
        assert "step 1" in unispeech_lab.load(tmp_path / "model").config.provenance

    def test_without_held_out_speech_it_is_the_last(self, tmp_path):
        model = begun()
        tune(tmp_path, model, steps=3)
        assert not changed(copied(model), unispeech_lab.load(tmp_path / "model").state_dict())
        assert "validations" not in model.config.provenance


class TestGoingOn:
    @pytest.mark.parametrize("settings", [{}, {"lora": 2}], ids=["whole", "lora"])
    def test_a_stopped_run_ends_like_one_that_nobody_stopped(self, tmp_path, settings):
        how = {"valid": speech(number=2), "steps": 6, "augment": True, **settings}
        config = {"mask_time_prob": 0.5, "layerdrop": 0.2, "hidden_dropout": 0.1}
        tune(tmp_path / "whole", begun(**config), **how)
        parts = Run(tmp_path / "parts")
        for steps in (1, 3, 6):  # within the head's updates, after them, to the end
            tune(parts.folder, begun(**config), **how, given={"until": lambda steps=steps: parts.step >= steps})
        assert_same_weights(tmp_path / "parts", tmp_path / "whole")
        assert metrics(tmp_path / "parts") == metrics(tmp_path / "whole")

    def test_the_same_model_may_be_given_again(self, tmp_path):
        model = begun()
        tune(tmp_path / "parts", model, lora=2, given={"until": lambda: True})
        tune(tmp_path / "parts", model, lora=2)
        tune(tmp_path / "whole", lora=2)
        assert_same_weights(tmp_path / "parts", tmp_path / "whole")

    def test_ctrl_c_saves(self, tmp_path):
        def watch(row):
            if row["step"] == 2:
                raise pretrain.Stop

        run = tune(tmp_path, given={"watch": watch})
        assert not run.finished and int(run.checkpoints()[-1].name) == 2
        assert tune(tmp_path).finished

    def test_other_lessons_are_another_run(self, tmp_path):
        corpus = two_languages()
        tune(tmp_path, begun("language", corpus), corpus, steps=1)
        with pytest.raises(ValueError, match="expected the settings it was begun with, found .*teach 'language', now"):
            tune(tmp_path, begun("speaker", sorts(corpus)), sorts(corpus), steps=1)


def sorts(corpus: Corpus) -> Corpus:
    corpus = corpus[list(range(len(corpus)))]
    corpus.table["speaker"] = ["a", "b"] * (len(corpus) // 2)
    return corpus


class TestLora:
    def test_its_weights_alone_learn_and_are_merged(self, tmp_path):
        model = begun()
        before, parts = copied(model), []

        def watch(row):
            parts.append({name for name, p in model.named_parameters() if p.requires_grad})

        tune(tmp_path, model, lora=2, head_only=0.0, given={"watch": watch})
        assert all("lora_" in name or name.startswith("lm_head.modules_to_save") for name in parts[-1])
        assert sum("lora_A" in name for name in parts[-1]) == 6 * model.config.num_hidden_layers
        after = unispeech_lab.load(tmp_path / "model")
        moved = changed(before, after.state_dict())
        assert before.keys() == after.state_dict().keys() and not changed(copied(model), after.state_dict())
        linears = ("q_proj", "k_proj", "v_proj", "out_proj", "intermediate_dense", "output_dense", "lm_head")
        assert moved and all(any(f"{name}." in weight for name in linears) for weight in moved)
        update = after.state_dict()["unispeech.encoder.layers.0.attention.q_proj.weight"]
        update = update - before["unispeech.encoder.layers.0.attention.q_proj.weight"]
        assert torch.linalg.matrix_rank(update, rtol=1e-4) == 2

    @pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT asks by the old name
    def test_by_themselves_they_make_the_same_model(self, tmp_path):
        import peft

        tune(tmp_path, lora=2)
        again = peft.PeftModel.from_pretrained(begun(), tmp_path / "lora").eval()
        heard = begun().prepare(speech(number=1)[0])
        with torch.no_grad():
            expected = unispeech_lab.load(tmp_path / "model")(**heard).logits
            assert torch.allclose(again(**heard).logits, expected, atol=1e-4)

    def test_without_peft_it_says_what_to_install(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "peft", None)
        with pytest.raises(ImportError, match=r"expected PEFT for lora, found none: pip install .*lora"):
            tune(tmp_path, lora=2)


class TestLanguages:
    def test_the_adapters_and_the_head_alone_learn_and_have_a_file(self, tmp_path):
        model = begun(adapter_attn_dim=4)
        before = copied(model)
        tune(tmp_path, model, language="en", head_only=0.0)
        moved = changed(before, copied(model))
        assert moved and all("adapter_layer" in name or name.startswith("lm_head") for name in moved)
        again = unispeech_lab.UniSpeechForCTC.from_pretrained(tmp_path / "model", target_lang="en")
        assert not changed(copied(model), again.state_dict())
        assert (tmp_path / "model" / "adapter.en.safetensors").is_file()

    def test_a_model_without_adapters_says_what_to_set(self, tmp_path):
        with pytest.raises(ValueError, match="adapter_attn_dim for target_lang='en', found none"):
            tune(tmp_path, language="en")


class TestClassification:
    @pytest.mark.parametrize("config", [{}, {"use_weighted_layer_sum": True}], ids=["last", "weighted"])
    def test_two_tones_are_told_apart(self, tmp_path, config):
        corpus = tones()
        model = begun("text", corpus, **config)
        before = copied(model)
        settings = {"steps": 60, "learning_rate": 1e-2, "head_only": 1.0, "validate_every": 30, "save_every": 60}
        run = tune(tmp_path, model, corpus, valid=corpus, least_seconds=0.05, **settings)
        assert run.table["valid_accuracy"].dropna().iloc[-1] == 1.0 and run.table["accuracy"].iloc[-1] > 0.8
        head = {"projector.weight", "projector.bias", "classifier.weight", "classifier.bias"}
        assert changed(before, copied(model)) == head | ({"layer_weights"} if config else set())
        again = unispeech_lab.load(tmp_path / "model")
        assert finetune.confusion(again, corpus).to_numpy().tolist() == [[4, 0], [0, 4]]

    def test_confusions_of_answers_made_by_hand(self):
        """A model that always says the same."""
        corpus = two_languages(3)
        model = begun("language", corpus)
        with torch.no_grad():
            model.classifier.weight.zero_()
            model.classifier.bias.copy_(torch.tensor([0.0, 1.0]))
        table = finetune.confusion(model, corpus)
        assert table.index.name == "said" and table.columns.name == "heard" and list(table) == ["en", "fr"]
        assert table.to_numpy().tolist() == [[0, 3], [0, 3]]
        assert finetune.evaluate(model, corpus)["accuracy"] == 0.5
        assert list(finetune.predict(model, corpus).index) == list(corpus.table["id"])

    def test_a_recogniser_has_no_confusions(self):
        with pytest.raises(ValueError, match="sorts utterances, found one that writes phones: use evaluate"):
            finetune.confusion(begun(), speech(number=1))


def tones() -> Corpus:
    time = np.arange(6400) / 16_000
    return Corpus.of(
        Utterance(f"{hertz}_{k}", 0.1 * np.sin(2 * np.pi * (hertz + 5 * k) * time).astype(np.float32), name)
        for name, hertz in (("high", 2000), ("low", 200))
        for k in range(4)
    )


class TestRefusals:
    def test_a_model_that_nobody_told_what_to_learn(self, tmp_path):
        model = unispeech_lab.UniSpeechForCTC(small().config)
        with pytest.raises(ValueError, match="made with finetune.begin, found one that does not say what it is taught"):
            finetune.train(model, speech(number=1), tmp_path)

    def test_held_out_speech_with_a_class_that_was_not_there(self, tmp_path):
        corpus = two_languages()
        with pytest.raises(ValueError, match=r"language out of the 2 that the model knows, found it \(it_00000\)"):
            tune(tmp_path, begun("language", corpus), corpus, valid=speech("it", 1))

    def test_unlabelled_utterances_are_left_out(self, tmp_path):
        corpus = two_languages()
        corpus.table.loc[0, "language"] = ""
        run = tune(tmp_path, begun("language", corpus), corpus, steps=1)
        assert run.finished and run.settings["corpus"].startswith("5 utterances")
