"""Train the model in ``tiny/`` again: speech from espeak-ng, three stages of pretraining, one model.

    python data/models/train_tiny.py speech runs --threads 1

    1  supervised    CTC alone, from a head at the prior, until phones are heard
    2  unispeech     the paper's objective: alpha 0.5, half of the states replaced by codewords
    3  unispeech     fewer masks, a quarter replaced, the learning rate down to 0: the CTC head for its use

The same speech, seeds, versions and number of threads give the same weights. A stopped run goes on by the same command.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import torch

from unispeech_lab.config import UniSpeechConfig
from unispeech_lab.corpora import table
from unispeech_lab.model import UniSpeechForPreTraining
from unispeech_lab.pretrain import Settings, at_prior, train
from unispeech_lab.vocabulary import Vocabulary

LANGUAGES = "en es fr it"
VOICES = (
    "Alex Andrea Annie Denis Diogo Henrique Hugo Lee Mario Michael Mike anika aunty belinda boris croak f1 grandma "
    "grandpa ian iven3 iven4 linda m1 m3 m4 m5 m6 m7 marcelo max michel miguel quincy robert shelby travis zac"
)
TEST = {  # voices, seed: sentences that were not trained on
    "seen": ("Alex Andrea belinda croak f1 ian iven4 linda m3 m7 Michael marcelo max shelby travis zac", 7),
    "unseen": ("Nguyen kaukovalta m8 rob steph victor", 8),
    "klatt": ("klatt klatt2 klatt4", 9),
}
LOUD = {"--rate": "110:200", "--pitch": "15:85", "--level": "-30:-16", "--noise": "8:45", "--room": "0:0.5"}
LOUD |= {"--padding": "0.1:0.4", "--hours": "12", "--seed": "1"}
PLAIN = {"--rate": "125:175", "--pitch": "25:75", "--noise": "20:45", "--number": "48"}

CONFIG = {"mask_time_length": 4, "layerdrop": 0.0}
CONFIG |= dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout", "final_dropout"), 0.0)
COMMON = {"learning_rate": 1e-3, "batch_seconds": 12, "log_every": 50}
STAGES = {
    "1-supervised": (
        {"alpha": 1.0, "replace_prob": 0.0, "mask_time_prob": 0.1, "diversity_loss_weight": 0.1},
        Settings(**COMMON, steps=1500, schedule="constant", warmup=0.08, seed=0),
    ),
    "2-unispeech": (
        {"alpha": 0.5, "replace_prob": 0.5, "mask_time_prob": 0.5, "diversity_loss_weight": 0.5},
        Settings(**COMMON, steps=4000, schedule="constant", warmup=0.045, seed=1),
    ),
    "3-unispeech": (
        {"alpha": 0.5, "replace_prob": 0.25, "mask_time_prob": 0.2, "diversity_loss_weight": 0.5},
        Settings(**COMMON, steps=7500, schedule="linear", warmup=0.02, seed=2, temperature=(0.5, 0.5, 1.0)),
    ),
}


def make_speech(folder: Path) -> None:
    """The four corpora, by ``unispeech-lab corpus make``: 12 hours to train on, three times 10 minutes to test."""
    wanted = {"train": {**LOUD, "--voices": VOICES}}
    wanted |= {name: {**PLAIN, "--voices": voices, "--seed": str(seed)} for name, (voices, seed) in TEST.items()}
    for name, options in wanted.items():
        said = [f"{option}={value}" for option, value in options.items()]
        command = [sys.executable, "-m", "unispeech_lab.cli", "corpus", "make", str(folder / name)]
        subprocess.run([*command, f"--languages={LANGUAGES}", "--words=8000", *said], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("speech", type=Path, help="folder for the speech; made if it is not there")
    parser.add_argument("runs", type=Path, help="folder for the three runs; the model is runs/3-unispeech/model")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    make_speech(asked.speech)
    corpus = table.load(asked.speech / "train" / "manifest.tsv")
    valid = table.load(asked.speech / "unseen" / "manifest.tsv")[:24]
    vocabulary = Vocabulary.of(corpus)
    before = None
    for name, (changes, settings) in STAGES.items():
        torch.manual_seed(0)
        config = UniSpeechConfig.tiny(num_ctc_classes=len(vocabulary), ctc_blank=vocabulary.blank, **CONFIG, **changes)
        model = UniSpeechForPreTraining(config)
        if before is None:
            at_prior(model, corpus, vocabulary)
        else:
            model = UniSpeechForPreTraining.from_pretrained(before, config=config)
        train(model, corpus, asked.runs / name, settings, vocabulary=vocabulary, valid=valid)
        before = asked.runs / name / "model"


if __name__ == "__main__":
    main()
