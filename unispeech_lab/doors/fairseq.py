"""The door for fairseq: which weight of the authors' own checkpoints is which of ours, and what their settings mean.

Three kinds of file, told apart by their keys: pretraining (``w2v_encoder.proj`` beside a quantizer), a CTC recogniser
(``w2v_encoder.proj`` alone), the second stage (a plain wav2vec 2.0, without the prefix). Sizes are read off the
weights, where they cannot be wrong; what no weight tells (heads, strides, norm order, dropouts, masks) off ``args`` or
``cfg``.
Code: microsoft/UniSpeech, ``src/fairseq/models/wav2vec``.
"""

import ast
import re
from pathlib import Path

from torch import Tensor

from unispeech_lab.doors import inert
from unispeech_lab.doors.account import Account
from unispeech_lab.doors.errors import CheckpointError
from unispeech_lab.doors.wav2vec2 import NO_HOME, TURNED

PREFIX = "w2v_encoder.w2v_model."
CONV, LAYER, POSITION = r"feature_extractor\.conv_layers\.(\d+)", r"encoder\.layers\.(\d+)", r"encoder\.pos_conv\.0"
OUR_CONV, OUR_LAYER = r"unispeech.feature_extractor.conv_layers.\1", r"unispeech.encoder.layers.\1"
OUR_POSITION, BOTH = "unispeech.encoder.pos_conv_embed.conv", r"(weight|bias)"
TABLE = (
    ("mask_emb", "unispeech.masked_spec_embed"),
    (rf"{CONV}\.0\.{BOTH}", rf"{OUR_CONV}.conv.\2"),
    (rf"{CONV}\.2\.{BOTH}", rf"{OUR_CONV}.layer_norm.\2"),
    (rf"{CONV}\.2\.1\.{BOTH}", rf"{OUR_CONV}.layer_norm.\2"),
    (rf"layer_norm\.{BOTH}", r"unispeech.feature_projection.layer_norm.\1"),
    (rf"post_extract_proj\.{BOTH}", r"unispeech.feature_projection.projection.\1"),
    (rf"{POSITION}\.bias", f"{OUR_POSITION}.bias"),
    (rf"{POSITION}\.(weight_g|parametrizations.weight.original0)", f"{OUR_POSITION}.parametrizations.weight.original0"),
    (rf"{POSITION}\.(weight_v|parametrizations.weight.original1)", f"{OUR_POSITION}.parametrizations.weight.original1"),
    (rf"{LAYER}\.self_attn\.(k|v|q|out)_proj\.{BOTH}", rf"{OUR_LAYER}.attention.\2_proj.\3"),
    (rf"{LAYER}\.self_attn_layer_norm\.{BOTH}", rf"{OUR_LAYER}.layer_norm.\2"),
    (rf"{LAYER}\.fc1\.{BOTH}", rf"{OUR_LAYER}.feed_forward.intermediate_dense.\2"),
    (rf"{LAYER}\.fc2\.{BOTH}", rf"{OUR_LAYER}.feed_forward.output_dense.\2"),
    (rf"{LAYER}\.final_layer_norm\.{BOTH}", rf"{OUR_LAYER}.final_layer_norm.\2"),
    (rf"encoder\.layer_norm\.{BOTH}", r"unispeech.encoder.layer_norm.\1"),
    (r"quantizer\.vars", "quantizer.codevectors"),
    (rf"quantizer\.weight_proj\.{BOTH}", r"quantizer.weight_proj.\1"),
    (rf"project_q\.{BOTH}", r"project_q.\1"),
    (rf"final_proj\.{BOTH}", r"project_hid.\1"),
)
HEADS = {"UniSpeechForPreTraining": "ctc_proj", "UniSpeechForCTC": "lm_head"}
TOOK_PART = ("feature_extractor.", "encoder.", "layer_norm.", "post_extract_proj.")
SETTINGS = {
    "encoder_attention_heads": "num_attention_heads",
    "layer_norm_first": "do_stable_layer_norm",
    "activation_fn": "hidden_act",
    "dropout": "hidden_dropout",
    "attention_dropout": "attention_dropout",
    "activation_dropout": "activation_dropout",
    "dropout_input": "feat_proj_dropout",
    "dropout_features": "feat_quantizer_dropout",
    "final_dropout": "final_dropout",
    "encoder_layerdrop": "layerdrop",
    "layerdrop": "layerdrop",  # a recogniser's own, which wins
    "apply_mask": "apply_spec_augment",
    "mask_prob": "mask_time_prob",
    "mask_length": "mask_time_length",
    "mask_channel_prob": "mask_feature_prob",
    "mask_channel_length": "mask_feature_length",
    "logit_temp": "contrastive_logits_temperature",
    "num_negatives": "num_negatives",
    "replace_prob": "replace_prob",
    "mtlalpha": "alpha",
    "zero_infinity": "ctc_zero_infinity",
}
USUAL = {"kernels": [10, 3, 3, 3, 3, 2, 2], "strides": [5, 2, 2, 2, 2, 2, 2]}


class Original:
    """One of the authors' files: ``weights`` by their names, flat ``settings``, ``symbols`` of its dictionary if known.

    Raises:
        CheckpointError: no checkpoint of fairseq, or one that would run code.
    """

    def __init__(self, path: str | Path):
        self.path, held = Path(path), inert.read(path)
        if not isinstance(held, dict):
            raise CheckpointError(f"expected a dictionary with 'model' in {path}, found {type(held).__name__}")
        weights = held.get("model", held)
        named = isinstance(weights, dict) and weights
        if not named or not all(isinstance(value, Tensor) for value in weights.values()):
            raise CheckpointError(
                f"expected 'model', tensors by name, in {path}, found {', '.join(map(str, held))[:99]}"
            )
        self.weights = dict(weights)
        self.settings = flat(inert.plain(held.get("args"))) | flat(inert.plain(held.get("cfg")))
        task = inert.plain(held.get("task_state"))
        dictionary = task.get("target_dictionary") if isinstance(task, dict) else None
        self.symbols = dictionary.get("symbols") if isinstance(dictionary, dict) else None
        self.bare = {name.removeprefix(PREFIX): value for name, value in self.weights.items()}
        needed = ["encoder.layer_norm.weight", "layer_norm.weight", "encoder.layers.0.fc1.weight"]
        if "quantizer.vars" in self.bare:
            needed += ["quantizer.weight_proj.weight", "project_q.weight", "final_proj.weight"]
        if lacking := [name for name in needed if name not in self.bare]:
            raise CheckpointError(
                f"expected a UniSpeech or wav2vec 2.0 of fairseq in {path}, found no {', '.join(lacking)} among its "
                f"{len(self.weights)} weights ({', '.join(list(self.weights)[:3])}, ...)"
            )

    @property
    def architecture(self) -> str:
        """Which of our classes it is."""
        if "w2v_encoder.proj.weight" in self.weights:
            told = (self.settings.get("arch"), self.settings.get("_name"))
            mixed = "quantizer.vars" in self.bare and "wav2vec_ctc" not in told
            return "UniSpeechForPreTraining" if mixed else "UniSpeechForCTC"
        return "UniSpeechForPreTraining" if "quantizer.vars" in self.bare else "UniSpeechModel"

    @property
    def classes(self) -> int | None:
        """How many classes its CTC head has; None without one."""
        head = self.weights.get("w2v_encoder.proj.weight")
        return None if head is None else len(head)

    def config(self) -> tuple[dict, dict]:
        """Our settings, and those of them that are assumed: name -> why."""
        assumed = {}
        told = {ours: self.settings[name] for name, ours in SETTINGS.items() if self.settings.get(name) is not None}
        sizes = self.sizes()
        if "loss_weights" in self.settings:
            weights = self.settings["loss_weights"]
            weights = numbers(weights) if isinstance(weights, str) else weights
            told |= {"diversity_loss_weight": float(weights[0])} if weights else {}
        if "num_attention_heads" not in told:
            told["num_attention_heads"] = max(1, sizes["hidden_size"] // 64)
            assumed["num_attention_heads"] = "no settings in the file: heads 64 wide, as in every released model"
        if "do_stable_layer_norm" not in told:
            told["do_stable_layer_norm"] = sizes["feat_extract_norm"] == "layer"
            assumed["do_stable_layer_norm"] = "no settings in the file: as in the released models of its front end"
        told["conv_stride"] = self.strides(sizes["conv_kernel"], assumed)
        if self.classes is None and self.architecture == "UniSpeechForPreTraining":
            told = {"alpha": 0.0, "replace_prob": 0.0} | told
        return {**told, **sizes}, assumed

    def sizes(self) -> dict:
        """Every setting that shapes tell."""
        w = self.bare
        convs = [
            w[f"feature_extractor.conv_layers.{i}.0.weight"] for i in range(self.count("feature_extractor.conv_layers"))
        ]
        width, in_group, taps = position_of(w).shape
        sizes = {
            "hidden_size": width,
            "num_hidden_layers": self.count("encoder.layers"),
            "intermediate_size": len(w["encoder.layers.0.fc1.weight"]),
            "conv_dim": [len(conv) for conv in convs],
            "conv_kernel": [conv.shape[2] for conv in convs],
            "conv_bias": "feature_extractor.conv_layers.0.0.bias" in w,
            "feat_extract_norm": "layer" if "feature_extractor.conv_layers.0.2.1.weight" in w else "group",
            "num_conv_pos_embeddings": taps,
            "num_conv_pos_embedding_groups": width // in_group,
        }
        if self.architecture == "UniSpeechForPreTraining":
            words, part = w["quantizer.vars"].shape[1:]
            projected, vectors = w["project_q.weight"].shape
            sizes |= {"codevector_dim": vectors, "proj_codevector_dim": projected}
            sizes |= {"num_codevector_groups": vectors // part, "num_codevectors_per_group": words * part // vectors}
        if self.classes:
            sizes["vocab_size" if self.architecture == "UniSpeechForCTC" else "num_ctc_classes"] = self.classes
        return sizes

    def count(self, start: str) -> int:
        """How many layers are numbered behind a name."""
        found = (re.match(rf"{re.escape(start)}\.(\d+)\.", name) for name in self.bare)
        return 1 + max((int(match[1]) for match in found if match), default=-1)

    def strides(self, kernels: list[int], assumed: dict) -> list[int]:
        if said := self.settings.get("conv_feature_layers"):
            strides = [layer[2] for layer in numbers(said)]
            if len(strides) == len(kernels):
                return strides
        if kernels != USUAL["kernels"]:
            raise CheckpointError(
                f"expected conv_feature_layers in the settings of {self.path}, found none for kernels of {kernels}: no "
                "weight tells a stride. Add args={'conv_feature_layers': '[(512, 10, 5)] + ...'} beside 'model'"
            )
        assumed["conv_stride"] = "no settings in the file: the usual ones for these kernels"
        return USUAL["strides"]

    def to_ours(self) -> tuple[dict[str, Tensor], Account]:
        """Weights under our names, and what became of each of theirs.

        Raises:
            CheckpointError: a weight without a place that took part in what the model said.
        """
        account, ours = Account(), {}
        turned = self.compares_in_codewords()
        for name, value in self.weights.items():
            place = self.place(name)
            if place is None:
                account.dropped[name] = "no place in this class"
            elif turned and name.endswith("final_proj.weight"):
                ours[place] = value.T
                account.turned[name] = (place, TURNED)
            elif turned and name.endswith("final_proj.bias"):
                account.dropped[name] = NO_HOME
                ours[place] = value.new_zeros(len(self.bare["encoder.layer_norm.weight"]))
            else:
                ours[place] = value
                account.used[name] = place
        lost = [name for name in account.dropped if name.removeprefix(PREFIX).startswith(TOOK_PART)]
        if lost:
            raise CheckpointError(
                f"expected the layers of UniSpeech in {self.path}, found also {', '.join(lost[:4])}"
                f"{', ...' if len(lost) > 4 else ''}: another model's, which would say something else without them"
            )
        return ours, account

    def place(self, name: str) -> str | None:
        """Our name of one of their weights; None if it has none in this class."""
        head = HEADS.get(self.architecture)
        if head and name in ("w2v_encoder.proj.weight", "w2v_encoder.proj.bias"):
            return name.replace("w2v_encoder.proj", head)
        for theirs, ours in TABLE:
            if match := re.fullmatch(theirs, name.removeprefix(PREFIX)):
                place = match.expand(ours)
                heads = self.architecture == "UniSpeechForPreTraining" or place.startswith("unispeech.")
                return place if heads else None
        return None

    def compares_in_codewords(self) -> bool:
        """Whether it is a wav2vec 2.0 without ``--transpose``: final_proj then goes from states to codewords.

        Of a square one only the settings tell; a file without any is taken for a UniSpeech.
        """
        if self.architecture != "UniSpeechForPreTraining":
            return False
        (out, into), width = self.bare["final_proj.weight"].shape, len(self.bare["encoder.layer_norm.weight"])
        return out != width if out != into else not self.settings.get("transpose", not self.settings)


def position_of(weights: dict[str, Tensor]) -> Tensor:
    """The direction of the position convolution, (d, d / groups, taps)."""
    names = ("encoder.pos_conv.0.weight_v", "encoder.pos_conv.0.parametrizations.weight.original1")
    found = [weights[name] for name in names if name in weights]
    if not found:
        raise CheckpointError("expected encoder.pos_conv.0.weight_v, found none: a model with other positions")
    return found[0]


def flat(settings) -> dict:
    """``args`` or ``cfg`` as one dictionary; what a recogniser took over from its pretraining lies under its own."""
    if not isinstance(settings, dict):
        return {}
    sections = [settings[name] for name in ("criterion", "task", "model") if isinstance(settings.get(name), dict)]
    own = {name: value for name, value in settings.items() if not isinstance(value, dict)}
    for section in sections:
        own |= {name: value for name, value in section.items() if said(value)}
    inherited = own.pop("w2v_args", None) or settings.get("w2v_args")
    return {**flat(inherited), **{name: value for name, value in own.items() if said(value)}}


def said(value) -> bool:
    """Whether a setting has a value of its own: neither omegaconf's ``???`` nor a reference (``${task.normalize}``)."""
    return value is not None and not (isinstance(value, str) and (value == "???" or "${" in value))


def numbers(written: str) -> list:
    """``"[(512, 10, 5)] + [(512, 3, 2)] * 4"`` as a list, by arithmetic on lists alone: fairseq calls ``eval``.

    Raises:
        CheckpointError: anything else is written there.
    """

    def value(node):
        match node:
            case ast.Expression(body=body):
                return value(body)
            case ast.Constant(value=int() | float() as number):
                return number
            case ast.List(elts=parts):
                return [value(part) for part in parts]
            case ast.Tuple(elts=parts):
                return tuple(value(part) for part in parts)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return value(left) + value(right)
            case ast.BinOp(left=ast.List() as left, op=ast.Mult(), right=ast.Constant(value=int() as times)) if (
                times < 99
            ):
                return value(left) * times
        raise CheckpointError(
            f"expected lists of numbers such as '[(512, 10, 5)] + [(512, 3, 2)] * 4', found {written!r}"
        )

    try:
        return value(ast.parse(written, mode="eval"))
    except (SyntaxError, TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(f"expected lists of numbers, found {written[:99]!r} ({error})") from error
