"""Fingerprint: what tells one model, one corpus, one state of its files from another, in a few digits."""

import hashlib
import json
from os import PathLike
from pathlib import Path

import torch

from unispeech_lab.corpus import Corpus, Utterance

WHAT = {  # about.json's names, in words
    "weights": "weights",
    "speech": "speech (ids, texts, languages, voices)",
    "phones": "phones and words (labels, times)",
    "sound": "sound (the files or samples)",
}


def of_model(model) -> dict[str, str]:
    """``weights``: of all weights, of any dtype, by name."""
    digest = hashlib.sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(name.encode())
        # numpy has no bfloat16, but every weight has bytes
        digest.update(weight.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return {"weights": short(digest)}


def of_corpus(corpus: Corpus) -> dict[str, str]:
    """``speech`` of the table, ``phones`` of the labels with their times, ``sound`` of the bytes of all sound."""
    columns = corpus.table[["id", "text", "language", "speaker"]].astype(object).where(lambda t: t.notna(), "")
    facts = json.dumps([columns.astype(str).to_numpy().tolist(), corpus.name], ensure_ascii=False)
    phones, sound = hashlib.sha256(), hashlib.sha256()
    for utterance in corpus:
        spans = [[(s.label, s.start, s.end, s.score) for s in tier] for tier in (utterance.phones, utterance.words)]
        phones.update(json.dumps(spans).encode())
        sound.update(of_sound(utterance))
    return {"speech": short(hashlib.sha256(facts.encode())), "phones": short(phones), "sound": short(sound)}


def of_sound(utterance: Utterance) -> bytes:
    """Of a file's bytes, undecoded, or of the samples; of a file that is not there, nothing: listening will say so."""
    source = utterance.source
    if not isinstance(source, str | PathLike):
        return hashlib.sha256(f"{utterance.source_rate}".encode() + source.tobytes()).digest()
    return hashlib.sha256(Path(source).read_bytes() if Path(source).is_file() else b"").digest()


def short(digest) -> str:
    return digest.hexdigest()[:16]
