"""Human speech: a model that has heard synthetic voices alone, before fine-tuning, then after it.

    python benchmarks/human.py FOLDER [digits | phones]

The folder has a ``manifest.tsv`` (id, part, path, lang, speaker, text); its recordings are never part of this project.
Digits: each speaker in turn is held out, the others are learned from. Phones: English read aloud by one voice, learned
from 100 sentences; held out are her other 20, learners of English, and whoever reads in other parts. What is said is
what espeak-ng makes of the transcript, not what a person heard: the rates contain its disagreement with the speakers.
"""

import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import torch

from unispeech_lab import checkpoints, corpora, finetune
from unispeech_lab.pronunciation import spell
from unispeech_lab.vocabulary import transcripts

CALM = {"mask_time_prob": 0.3, "mask_time_length": 4, "layerdrop": 0.0}


def digits(corpus, start, **how) -> dict:
    """Accuracy of each speaker's digits, unheard, by what was learned from the others'."""
    found, began = {}, time.process_time()
    for speaker in sorted(set(corpus.table["speaker"])):
        learned, held = corpus.where(lambda t, s=speaker: t["speaker"] != s), corpus.where(speaker=speaker)
        model = finetune.begin(start, learned, "text", **{**CALM, **how.get("config", {})})
        with tempfile.TemporaryDirectory() as out:
            finetune.train(model, learned, out, finetune.Settings(**how["settings"]), progress=False)
        found[speaker] = finetune.evaluate(model, held)["accuracy"]
    found["mean"] = sum(found.values()) / len(found)
    return found | {"cpu s": time.process_time() - began}


def spoken(corpus):
    """The utterances that espeak-ng can spell, with a column of phones."""
    lines = []
    for language, text in zip(corpus.table["language"], corpus.table["text"], strict=True):
        try:
            lines.append(" | ".join(" ".join(word) for word in spell(text, language)[1]))
        except ValueError:
            lines.append("")
    corpus = corpus[list(range(len(corpus)))]
    corpus.table["phones"] = lines
    return corpus


def said_by(corpus, vocabulary):
    """The utterances whose phones are all in a vocabulary."""
    said = transcripts(corpus)
    return corpus[[phones is not None and set(phones) <= set(vocabulary.phones) for phones in said]]


def rate(model, corpus) -> float:
    return finetune.evaluate(model, corpus)["per"]


def phones(corpus, start) -> pd.DataFrame:
    """Phone error rates before and after, of the voice that was learned from, of others, of other languages."""
    speech = spoken(corpus.where(part=["en_read", "en_l2", "multi_read"]))
    known = said_by(speech, start.vocabulary)
    print(f"{len(speech)} utterances, {len(known)} of them said in the model's phones", flush=True)
    read = known.where(part="en_read")
    learned, held = read[: len(read) * 5 // 6], {"same voice": read[len(read) * 5 // 6 :]}
    held["learners of English"] = known.where(part="en_l2")
    for language in ("es", "fr", "it"):
        held[language] = known.where(part="multi_read", language=language)
    rows = {}

    def tell(name, model, seconds):
        rows[name] = {f"{who} ({len(speech)})": rate(model, speech) for who, speech in held.items() if len(speech)}
        rows[name]["cpu s"] = seconds
        print(name, rows[name], flush=True)

    tell("as it comes", finetune.begin(start, learned, vocabulary=start.vocabulary), 0)
    ways = {
        "its own head, whole": (start, {"vocabulary": start.vocabulary}, {"head_only": 0.0}),
        "its own head, LoRA 8": (start, {"vocabulary": start.vocabulary}, {"head_only": 0.0, "lora": 8}),
        "fresh head, whole": (start, {}, {}),
        "fresh head, frozen": (start, {}, {"head_only": 1.0}),
        "random weights": (checkpoints.untrained(), {}, {"head_only": 0.0, "feature_gradient": 1.0}),
    }
    everybody = {"also": known} if len(known) else {}
    for name, (begin, more, settings) in ways.items():
        began = time.process_time()
        more = more or everybody
        model = finetune.begin(begin, learned, **more, **CALM)
        with tempfile.TemporaryDirectory() as out:
            chosen = finetune.Settings(**{"steps": 300, "batch_seconds": 20.0, "learning_rate": 1e-3, **settings})
            finetune.train(model, learned, out, chosen, progress=False)
        tell(name, model, time.process_time() - began)
    return pd.DataFrame(rows).T


def main(folder: Path, which: str) -> None:
    if not (folder / "manifest.tsv").is_file():
        print(f"skipped: no manifest.tsv in {folder}")
        return
    torch.set_num_threads(1)
    corpus, start = corpora.at(folder), checkpoints.load()
    print(start.config.provenance)
    if which in ("digits", "both"):
        spoken_digits = corpus.where(part="digits")
        long = {"steps": 100, "batch_seconds": 20.0, "learning_rate": 1e-3}
        ways = {
            "frozen, last layer": {"settings": {**long, "head_only": 1.0}},
            "frozen, all layers weighed": {
                "settings": {**long, "head_only": 1.0}, "config": {"use_weighted_layer_sum": True},
            },
            "whole": {"settings": long},
        }  # fmt: skip
        rows = {}
        for name, how in ways.items():
            rows[name] = digits(spoken_digits, start, **how)
            print(name, rows[name], flush=True)
        how = {"settings": {**long, "head_only": 0.0, "feature_gradient": 1.0}}
        rows["random weights, whole"] = digits(spoken_digits, checkpoints.untrained(), **how)
        print(pd.DataFrame(rows).T.to_string(float_format="%.3f"))
    if which in ("phones", "both"):
        print(phones(corpus, start).to_string(float_format="%.3f"))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "speech"), sys.argv[2] if len(sys.argv) > 2 else "both")
