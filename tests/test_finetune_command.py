"""The command finetune: speech in, a recogniser or a classifier out."""

import re

import pytest
import soundfile
from training import small
from tuning import SETTINGS, two_languages
from typer.testing import CliRunner

import unispeech_lab
from unispeech_lab.audio import RATE
from unispeech_lab.cli import app
from unispeech_lab.commands import finetune as command
from unispeech_lab.vocabulary import Vocabulary


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """Six sentences in two languages, and a small model to begin with."""
    folder = tmp_path_factory.mktemp("here")
    rows = ["id\tpath\ttext\tlanguage\tspeaker\tphones"]
    for k, u in enumerate(two_languages()):
        soundfile.write(folder / f"{k}.flac", u.waveform, RATE)
        phones = " ".join(span.label for span in u.phones)
        rows.append(f"u{k}\t{k}.flac\t{u.text}\t{u.language}\t{'ab'[k % 2]}\t{phones}")
    (folder / "manifest.tsv").write_text("\n".join(rows) + "\n")
    start = small(num_ctc_classes=len(Vocabulary.of(two_languages())))
    start.save_pretrained(folder / "start")
    Vocabulary.of(two_languages()).save(folder / "start")
    return folder


def tell(here, out, *flags, **options):
    options = {"init": here / "start", **SETTINGS, "steps": 2, **options}
    options["augment"] = None
    told = [str(word) for name, x in options.items() if x is not None for word in (f"--{name.replace('_', '-')}", x)]
    result = CliRunner().invoke(app, ["finetune", str(here), "--out", str(out), "--no-augment", *told, *flags])
    return result.exit_code, re.sub(r"[\s│]+", " ", result.output)


def test_a_recogniser(here, tmp_path):
    code, said = tell(here, tmp_path, hold="speaker=b")
    assert code == 0, said
    assert re.search(r"start to phones, \d+ classes, \d\d,\d{3} parameters; Corpus\(manifest, 3 utterances", said)
    assert "step 2, loss" in said and re.search(r"held out: loss [\d.]+, per [\d.]+", said)
    assert isinstance(unispeech_lab.load(tmp_path / "model"), unispeech_lab.UniSpeechForCTC)


def test_a_classifier_with_its_confusions(here, tmp_path):
    code, said = tell(here, tmp_path, "--config", "use_weighted_layer_sum=true", teach="language", hold="speaker=b")
    assert code == 0, said
    assert "accuracy" in said and re.search(r"heard en fr said en \d \d fr \d \d", said)
    assert unispeech_lab.load(tmp_path / "model").config.use_weighted_layer_sum is True


def test_the_models_own_head(here, tmp_path):
    code, said = tell(here, tmp_path, "--keep-head", only="language=fr")
    assert code == 0, said
    assert Vocabulary.load(tmp_path / "model") == Vocabulary.load(here / "start")


@pytest.mark.parametrize(
    "flags, says",
    [
        (["--teach", "mood"], "phones, characters or a column out of id, .* found 'mood'"),
        (["--hold", "speaker"], "expected name=value, found 'speaker'"),
        (["--hold", "speaker=zoe"], "expected utterances of speaker=zoe, found none"),
        (["--config", "mask=1"], "expected settings of UniSpeechConfig, found mask"),
        (["--language", "sv"], "adapter_attn_dim for target_lang='sv', found none"),
        (["--head-only", "2"], "head_only as a share of the steps, from 0 to 1, found 2.0"),
        (["--init", "nowhere"], "expected 'tiny', a folder or a hub name"),
    ],
)
def test_what_is_wrong_is_said(here, tmp_path, flags, says):
    code, said = tell(here, tmp_path, *flags)
    assert code == 2 and re.search(says, said), said


def test_values_are_numbers_words_or_truths():
    found = command.values(["a=3", "b=0.5", "c=true", "d=null", "e=authors"])
    assert found == {"a": 3, "b": 0.5, "c": True, "d": None, "e": "authors"}


def test_every_setting_is_an_option():
    from unispeech_lab.settings import FineTuneSettings

    assert set(FineTuneSettings.names()) <= {*command.HELP, *command.MORE}
