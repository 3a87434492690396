"""Convert: a checkpoint from elsewhere into a folder that ``load`` reads, with an account of every weight.

    convert("original.pt", "out")        the authors' own fairseq file
    convert("wav2vec2-folder", "out")    wav2vec 2.0 or XLSR in Hugging Face's layout

Written are the weights, ``config.json``, ``preprocessor_config.json``, where the vocabulary is known ``vocab.json``
with its tokenizer, and the account as ``conversion.json``.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import Wav2Vec2CTCTokenizer, Wav2Vec2FeatureExtractor, Wav2Vec2PhonemeCTCTokenizer

from .checkpoints import MODELS, load_with_account
from .config import UniSpeechConfig
from .doors import CheckpointError
from .doors.account import Account
from .doors.fairseq import Original
from .doors.wav2vec2 import FRESH, UNTAUGHT
from .vocabulary import SPECIAL

BESIDE = ("preprocessor_config.json", "vocab.json", "tokenizer_config.json", "special_tokens_map.json")
IDENTITY = "is the identity: theirs goes straight on, the widths being equal"


@dataclass
class Conversion:
    """What was converted: where to, into which class, what became of each weight, which settings are assumed."""

    folder: Path
    architecture: str
    parameters: int
    account: Account
    assumed: dict[str, str]
    notes: list[str]

    def to_dict(self) -> dict:
        """All of it as plain values: what ``conversion.json`` holds."""
        keys = [dict(zip(("theirs", "ours", "what", "why"), row, strict=True)) for row in self.account.rows()]
        plain = {"class": self.architecture, "parameters": self.parameters, "counts": self.account.counts()}
        return plain | {"assumed": self.assumed, "notes": self.notes, "keys": keys}


def convert(
    source: str | Path,
    folder: str | Path,
    vocabulary: str | Path | None = None,
    language: str | None = None,
) -> Conversion:
    """Write a checkpoint from elsewhere as one of this lab.

    Args:
        source: the authors' ``.pt`` file, or a wav2vec 2.0 checkpoint (a folder, or a name on the hub).
        folder: where to; it must not hold a checkpoint yet.
        vocabulary: of a ``.pt`` file: the authors' ``vocab.json`` (phone -> number) or fairseq's ``dict.txt``; by
            default the dictionary inside the file, if there is one.
        language: for the tokenizer, as espeak calls it (``fr-fr``), to turn text into phones.

    Raises:
        CheckpointError: a source that is neither, one that would run code, a vocabulary of another size; a folder that
            holds a checkpoint.
    """
    folder = Path(folder)
    if (folder / "config.json").exists():
        raise CheckpointError(f"expected a folder without a checkpoint, found config.json in {folder}: choose another")
    if Path(source).suffix in (".pt", ".pth", ".bin") or Path(source).is_file():
        done = from_fairseq(Original(source), folder, vocabulary, language)
    elif vocabulary or language:
        raise CheckpointError(
            f"expected vocabulary and language with a .pt file alone, found them with {source}: a folder has its own"
        )
    else:
        done = from_folder(source, folder)
    (folder / "conversion.json").write_text(json.dumps(done.to_dict(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return done


def from_folder(source: str | Path, folder: Path) -> Conversion:
    """A wav2vec 2.0 checkpoint, with the files that lie beside its weights."""
    model, account = load_with_account(source)
    if account is None:
        raise CheckpointError(
            f"expected a wav2vec 2.0 checkpoint or a .pt file, found a UniSpeech in {source}: load it"
        )
    model.save_pretrained(folder)
    for name in BESIDE:
        if (Path(source) / name).is_file():
            shutil.copyfile(Path(source) / name, folder / name)
    if not (folder / "preprocessor_config.json").is_file():
        model.feature_extractor_settings().save_pretrained(folder)
    notes = [model.config.provenance]
    return Conversion(folder, type(model).__name__, model.num_parameters(), account, {}, notes)


def from_fairseq(original: Original, folder: Path, vocabulary, language: str | None) -> Conversion:
    """One of the authors' files."""
    ours, account = original.to_ours()
    settings, assumed = original.config()
    symbols = read_symbols(vocabulary) if vocabulary else original.symbols
    settings |= special_classes(original, symbols, assumed)
    config = UniSpeechConfig(**settings)
    model = MODELS[original.architecture](config).eval()
    bare = (
        {} if original.architecture != "UniSpeechModel" else {f"unispeech.{name}": name for name in model.state_dict()}
    )
    ours = {bare.get(name, name): value for name, value in ours.items()}
    begin_missing(model, ours, account, bare)
    report = model.load_state_dict(ours, strict=False)
    if report.unexpected_keys:
        for theirs in [key for key, our in account.used.items() if bare.get(our, our) in report.unexpected_keys]:
            account.dropped[theirs] = "no place under these settings"
            del account.used[theirs]
    said = account.words() if len(account.dropped) < 4 else f"{len(account.dropped)} of its weights left out"
    model.config.provenance = f"the authors' weights, converted from {original.path.name}" + (
        f": {said}" if said else ""
    )
    model.save_pretrained(folder)
    normalize = original.settings.get("normalize")
    if normalize is None:
        assumed["do_normalize"] = "no settings in the file: each utterance is normalised, as the released models say"
    Wav2Vec2FeatureExtractor(
        do_normalize=normalize is not False, return_attention_mask=config.feat_extract_norm == "layer"
    ).save_pretrained(folder)
    notes = [write_vocabulary(folder, original, symbols, language)] if original.classes else []
    return Conversion(folder, original.architecture, model.num_parameters(), account, assumed, notes)


@torch.no_grad()
def begin_missing(model, ours: dict, account: Account, bare: dict) -> None:
    """Give what the file lacks and may lack; refuse what it lacks and must not.

    Raises:
        CheckpointError: a weight of the encoder or of the quantizer is missing.
    """
    expected = model.state_dict()
    missing = {name for name in expected if name not in ours}
    for name in sorted(missing):
        place = name.removeprefix("unispeech.")
        if name.startswith("ctc_proj."):
            ours[name], account.begun[name] = torch.zeros_like(expected[name]), UNTAUGHT
        elif place == "masked_spec_embed":
            ours[name], account.begun[name] = expected[name], FRESH
        elif place.startswith("feature_projection.projection.") and square(expected, missing):
            weight = (
                torch.eye(model.config.hidden_size) if name.endswith("weight") else torch.zeros_like(expected[name])
            )
            ours[name], account.begun[name] = weight, IDENTITY
    if lost := sorted(missing - account.begun.keys()):
        raise CheckpointError(
            f"expected every weight of {type(model).__name__}, missing {', '.join(lost[:4])}"
            f"{', ...' if len(lost) > 4 else ''}: the file is not whole"
        )
    wrong = {n: (tuple(v.shape), tuple(expected[n].shape)) for n, v in ours.items() if n in expected}
    wrong = {name: shapes for name, shapes in wrong.items() if shapes[0] != shapes[1]}
    if wrong:
        raise CheckpointError(f"expected weights of shapes that fit together, found (file, model): {wrong}")


def square(expected: dict, missing: set) -> bool:
    """Whether fairseq left the projection out, as it does where it would change no width."""
    both = [name for name in missing if "feature_projection.projection." in name]
    shape = next(expected[name].shape for name in expected if name.endswith("feature_projection.projection.weight"))
    return len(both) == 2 and shape[0] == shape[1]


def read_symbols(path: str | Path) -> list[str]:
    """A vocabulary in the order of its classes, the four special symbols among them.

    ``vocab.json``: phones and numbers; the special ones go behind, as the authors' dictionary puts them. fairseq's
    ``dict.txt``: a symbol a line; the special ones go before.

    Raises:
        CheckpointError: neither of the two.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix != ".json":
            return [*SPECIAL, *(line.rsplit(" ", 1)[0] for line in text.splitlines() if line.strip())]
        numbered = json.loads(text)
        if sorted(numbered.values()) != list(range(len(numbered))):
            raise ValueError("its numbers are not 0, 1, 2, ...")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(
            f"expected a vocabulary, phone -> number, in {path}, found something else ({error})"
        ) from error
    symbols = sorted(numbered, key=numbered.get)
    return symbols + [name for name in SPECIAL if name not in numbered]


def special_classes(original: Original, symbols: list[str] | None, assumed: dict) -> dict:
    """Which classes are the blank and the other special symbols, under the names that our config has for them.

    The authors' blank is ``<s>``. Hugging Face calls a recogniser's blank ``pad``: the two swap names.

    Raises:
        CheckpointError: a vocabulary of another size than the head.
    """
    classes = original.classes
    if classes is None:
        return {}
    if symbols is None:
        assumed["blank"] = f"no dictionary in the file: class {classes - 4}, as the authors order symbols"
        symbols = [*map(str, range(classes - 4)), *SPECIAL]
    if len(symbols) != classes:
        raise CheckpointError(
            f"expected a vocabulary of {classes} symbols, {' '.join(SPECIAL)} among them, found {len(symbols)}: it is "
            "another model's"
        )
    blank, pad, end, _ = map(symbols.index, SPECIAL)
    if original.architecture == "UniSpeechForCTC":
        return {"pad_token_id": blank, "bos_token_id": pad, "eos_token_id": end}
    return {"ctc_blank": blank, "pad_token_id": blank, "vocab_size": classes}  # so that a recogniser may take the head


def write_vocabulary(folder: Path, original: Original, symbols: list[str] | None, language: str | None) -> str:
    """``vocab.json`` and the tokenizer beside it; returns what was done in words."""
    if symbols is None:
        return "no vocabulary written, for the file holds none: give the authors' vocab.json with --vocabulary"
    recogniser = original.architecture == "UniSpeechForCTC"
    names = [{"<s>": "<pad>", "<pad>": "<s>"}.get(name, name) if recogniser else name for name in symbols]
    file = folder / "vocab.json"
    numbered = {name: number for number, name in enumerate(names)}
    file.write_text(json.dumps(numbered, ensure_ascii=False, indent=1) + "\n", "utf-8")
    blank = "<pad>" if recogniser else "<s>"
    letters = all(len(name) == 1 and (name.isupper() or name in "|'-") for name in names if name not in SPECIAL)
    if letters:
        tokenizer = Wav2Vec2CTCTokenizer(str(file), pad_token=blank)
    else:
        speaks = {"phonemizer_lang": language} if language else {}
        tokenizer = Wav2Vec2PhonemeCTCTokenizer(str(file), pad_token=blank, do_phonemize=bool(language), **speaks)
    tokenizer.save_pretrained(folder)
    return f"{len(names) - 4} {'letters' if letters else 'phones'}; the blank is class {names.index(blank)}"
