"""Config: every parameter of a UniSpeech model, with its meaning, its unit, its default.

Names and defaults are Hugging Face's (transformers 5, ``UniSpeechConfig``), so a ``config.json`` goes both ways. The
defaults are the base size; ``UniSpeechConfig.large()`` is that of the released checkpoints, ``UniSpeechConfig.tiny()``
that of a laptop. Paper: arXiv 2101.07597.
"""

from collections.abc import Callable
from math import prod

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from .frames import Frames
from .nn.activation import activation
from .nn.masking import RULES


@strict
class UniSpeechConfig(PreTrainedConfig):
    """The shape of a model and the settings of its training. All arguments are keywords; unknown ones are kept.

    Sizes are counts, times are frames (20 ms at the default strides), probabilities lie in [0, 1].

    **Front end.** ``conv_dim``, ``conv_kernel``, ``conv_stride``: channels, taps and stride of each convolution.
    ``conv_bias``. ``feat_extract_norm``: ``"group"`` (first layer, over time: batch without a mask) or ``"layer"``
    (every layer, over channels: batch with one). ``feat_extract_activation``.

    **Encoder.** ``hidden_size`` (width), ``num_hidden_layers``, ``num_attention_heads``, ``intermediate_size``,
    ``hidden_act``, ``layer_norm_eps``; ``do_stable_layer_norm``: norm before (True) or after each block;
    ``num_conv_pos_embeddings`` (taps) and ``num_conv_pos_embedding_groups`` of the position convolution.

    **Quantizer.** ``num_codevector_groups``, ``num_codevectors_per_group``, ``codevector_dim`` (all groups together),
    ``proj_codevector_dim`` (between the two projections back to the width).

    **Dropout.** ``hidden_dropout``, ``attention_dropout``, ``activation_dropout``, ``feat_proj_dropout``,
    ``feat_quantizer_dropout``, ``final_dropout`` (before a head), ``layerdrop`` (probability that a layer is skipped).

    **Masking**, in training. ``apply_spec_augment``; ``mask_time_prob`` (share of the frames that spans would cover if
    none overlapped), ``mask_time_length`` (frames in a span), ``mask_time_min_masks``; the same for channels with
    ``mask_feature_*``; ``mask_rule``: ``"huggingface"`` or ``"authors"``, see ``nn.masking.span_mask``.

    **Heads and losses.** ``vocab_size`` and ``pad_token_id`` (the CTC blank), ``ctc_loss_reduction`` ("mean": each
    utterance by its label count, then over the batch; or "sum"), ``ctc_zero_infinity``; ``num_ctc_classes`` (of the
    pretraining head), ``ctc_blank`` (its blank; None: ``num_ctc_classes - 4``, where the released heads have it),
    ``alpha`` (share of the CTC term, see ``objective.Objective``), ``replace_prob`` (share of states replaced by
    codewords), ``contrastive_logits_temperature``, ``num_negatives``, ``diversity_loss_weight``;
    ``classifier_proj_size``, ``use_weighted_layer_sum``; ``adapter_attn_dim``: width of the language adapters, None for
    none.

    ``provenance``: a sentence that says where the weights come from, shown wherever they are.

    Raises:
        ValueError: the sizes do not fit together; the message says what to type.
    """

    model_type = "unispeech"

    vocab_size: int | None = 32
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str | Callable = "gelu"
    hidden_dropout: float | int = 0.1
    activation_dropout: float | int = 0.1
    attention_dropout: float | int = 0.1
    feat_proj_dropout: float | int = 0.0
    feat_quantizer_dropout: float | int = 0.0
    final_dropout: float | int = 0.1
    layerdrop: float | int = 0.1
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-5
    feat_extract_norm: str = "group"
    feat_extract_activation: str | Callable = "gelu"
    conv_dim: list[int] | tuple[int, ...] = (512, 512, 512, 512, 512, 512, 512)
    conv_stride: list[int] | tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2)
    conv_kernel: list[int] | tuple[int, ...] = (10, 3, 3, 3, 3, 2, 2)
    conv_bias: bool = False
    num_conv_pos_embeddings: int = 128
    num_conv_pos_embedding_groups: int = 16
    do_stable_layer_norm: bool = False
    apply_spec_augment: bool = True
    mask_time_prob: float | int = 0.05
    mask_time_length: int = 10
    mask_time_min_masks: int = 2
    mask_feature_prob: float | int = 0.0
    mask_feature_length: int = 10
    mask_feature_min_masks: int = 0
    mask_rule: str = "huggingface"
    num_codevectors_per_group: int = 320
    num_codevector_groups: int = 2
    contrastive_logits_temperature: float | int = 0.1
    num_negatives: int = 100
    codevector_dim: int = 256
    proj_codevector_dim: int = 256
    diversity_loss_weight: float | int = 0.1
    ctc_loss_reduction: str = "mean"
    ctc_zero_infinity: bool = False
    use_weighted_layer_sum: bool = False
    classifier_proj_size: int = 256
    num_ctc_classes: int = 80
    ctc_blank: int | None = None
    alpha: float | int = 0.5
    pad_token_id: int | None = 0
    bos_token_id: int | None = 1
    eos_token_id: int | list[int] | None = 2
    replace_prob: float | int = 0.5
    adapter_attn_dim: int | None = None
    provenance: str | None = None

    def __post_init__(self, **kwargs):
        self.num_feat_extract_layers = len(self.conv_dim)
        super().__post_init__(**kwargs)
        for name in SIZES:
            expect_positive(name, getattr(self, name))
        self.check_front_end()
        self.check_encoder()
        self.check_heads()

    @classmethod
    def large(cls, **changes) -> "UniSpeechConfig":
        """The size of the released large checkpoints: 317 million parameters with all heads."""
        sizes = {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
            "activation_dropout": 0.0,
            "feat_proj_dropout": 0.1,
            "final_dropout": 0.0,
            "feat_extract_norm": "layer",
            "conv_bias": True,
            "do_stable_layer_norm": True,
            "mask_time_prob": 0.075,
            "codevector_dim": 768,
            "proj_codevector_dim": 768,
        }
        return cls(**{**sizes, **changes})

    @classmethod
    def tiny(cls, **changes) -> "UniSpeechConfig":
        """The large layout at a laptop's size: 1.5 million parameters, the same time axis of 20 ms frames.

        It trains as a small model has to: without dropout, on masks of 80 ms that it can see across, with enough weight
        on diversity to keep its codebook from collapsing (``LOG.md``, 2026-11-21).
        """
        sizes = {
            "hidden_size": 144,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "intermediate_size": 432,
            "feat_extract_norm": "layer",
            "conv_dim": (64, 64, 64, 96, 96, 128, 128),
            "conv_bias": True,
            "do_stable_layer_norm": True,
            "num_conv_pos_embeddings": 32,
            "num_conv_pos_embedding_groups": 8,
            "num_codevectors_per_group": 64,
            "codevector_dim": 64,
            "proj_codevector_dim": 64,
        }
        training = {
            "hidden_dropout": 0.0,
            "activation_dropout": 0.0,
            "attention_dropout": 0.0,
            "final_dropout": 0.0,
            "layerdrop": 0.0,
            "mask_time_prob": 0.5,
            "mask_time_length": 4,
            "diversity_loss_weight": 0.5,
        }
        return cls(**{**sizes, **training, **changes})

    @property
    def output_attentions(self) -> bool:
        """Whether every call returns the patterns; under any kernel, where transformers wants the eager one."""
        return self._output_attentions

    @output_attentions.setter
    def output_attentions(self, value: bool) -> None:
        self._output_attentions = value

    def validate_output_attentions(self) -> None:
        """Nothing to refuse: see ``output_attentions``."""

    @property
    def frames(self) -> Frames:
        """The clock: samples to frames to seconds."""
        return Frames(self.conv_kernel, self.conv_stride)

    @property
    def inputs_to_logits_ratio(self) -> int:
        """Samples from one frame to the next."""
        return prod(self.conv_stride)

    def to_dict(self) -> dict:
        """Every parameter as a plain value; a function given as an activation stands there by its name."""
        plain = super().to_dict()
        for name in ACTIVATIONS_OF:
            if not isinstance(plain[name], str):
                plain[name] = getattr(plain[name], "__name__", type(plain[name]).__name__)
        return plain

    def to_json_file(self, json_file_path, use_diff: bool = True) -> None:
        """Write ``config.json``.

        Raises:
            ValueError: an activation is a function, which JSON cannot hold.
        """
        for name in ACTIVATIONS_OF:
            if not isinstance(getattr(self, name), str):
                raise ValueError(
                    f"expected {name} by name in a config to save, found a function ({self.to_dict()[name]}): "
                    "set it to a name such as 'gelu', and give the function again after loading"
                )
        super().to_json_file(json_file_path, use_diff)

    def check_front_end(self):
        """The convolutions fit together."""
        lengths = {name: len(getattr(self, name)) for name in ("conv_dim", "conv_kernel", "conv_stride")}
        if len(set(lengths.values())) > 1 or not self.conv_dim:
            raise ValueError(
                "expected conv_dim, conv_kernel and conv_stride with one number for each convolution, found lengths "
                f"{lengths}: give all three the same length"
            )
        for name in lengths:
            expect_positive(name, *getattr(self, name))
        expect_one_of("feat_extract_norm", self.feat_extract_norm, ("group", "layer"))
        activation(self.feat_extract_activation)

    def check_encoder(self):
        """Width, heads, groups and adapters fit together."""
        expect_multiple("hidden_size", self.hidden_size, "num_attention_heads", self.num_attention_heads)
        groups = self.num_conv_pos_embedding_groups
        expect_multiple("hidden_size", self.hidden_size, "num_conv_pos_embedding_groups", groups)
        activation(self.hidden_act)
        if self.adapter_attn_dim is not None and not self.do_stable_layer_norm:
            raise ValueError(
                f"expected do_stable_layer_norm=True where adapter_attn_dim={self.adapter_attn_dim}: language adapters "
                "sit at the end of pre-norm layers; set do_stable_layer_norm=True or adapter_attn_dim=None"
            )

    def check_heads(self):
        """Codebook, masks, losses and probabilities are ones that exist."""
        expect_multiple("codevector_dim", self.codevector_dim, "num_codevector_groups", self.num_codevector_groups)
        expect_one_of("mask_rule", self.mask_rule, RULES)
        if self.ctc_blank is not None and not 0 <= self.ctc_blank < self.num_ctc_classes:
            raise ValueError(
                f"expected ctc_blank to be a class, 0 to {self.num_ctc_classes - 1} "
                f"(num_ctc_classes={self.num_ctc_classes}), found {self.ctc_blank}"
            )
        expect_one_of("ctc_loss_reduction", self.ctc_loss_reduction, ("mean", "sum", "none"))
        for name in PROBABILITIES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"expected {name} in [0, 1], found {getattr(self, name)}")


ACTIVATIONS_OF = ("hidden_act", "feat_extract_activation")

SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "num_conv_pos_embeddings",
    "num_conv_pos_embedding_groups",
    "mask_time_length",
    "mask_feature_length",
    "num_codevectors_per_group",
    "num_codevector_groups",
    "num_negatives",
    "codevector_dim",
    "proj_codevector_dim",
    "classifier_proj_size",
    "num_ctc_classes",
)

PROBABILITIES = (
    "hidden_dropout",
    "activation_dropout",
    "attention_dropout",
    "feat_proj_dropout",
    "feat_quantizer_dropout",
    "final_dropout",
    "layerdrop",
    "mask_time_prob",
    "mask_feature_prob",
    "alpha",
    "replace_prob",
)


def expect_one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"expected {name} to be one of {', '.join(map(repr, choices))}, found {value!r}")


def expect_positive(name: str, *values: int) -> None:
    if min(values) < 1:
        raise ValueError(f"expected {name} of at least 1, found {min(values)}")


def expect_multiple(name: str, value: int, of: str, divisor: int) -> None:
    if divisor < 1 or value % divisor:
        below = max(divisor, 1) * (value // max(divisor, 1))
        raise ValueError(f"expected {name} to be a multiple of {of}={divisor}, found {value}: try {name}={below}")
