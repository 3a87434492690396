"""Model: UniSpeech, whole, in the order in which speech goes through it. Read this file first.

    UniSpeechModel                  x -> FeatureEncoder -> LayerNorm -> z -> Linear -> mask spans -> Encoder -> c
    ...ForCTC                       c -> Linear -> CTC over letters or phones
    ...ForSequenceClassification    c -> Linear -> mean over frames -> Linear
    ...ForPreTraining               z -> quantizer -> Linear -> Linear -> q;  h = q where replaced, else c;  h -> Linear

Paper: arXiv 2101.07597, sections 3.1 and 3.2. Layers are in ``nn/``; what a released checkpoint calls a weight, it is
called here. The four models are ``transformers.PreTrainedModel``s with Hugging Face's arguments and outputs, so
``from_pretrained``, ``save_pretrained``, ``Trainer``, ``pipeline`` and PEFT work with them.

Shapes: ``b`` utterance, ``n`` sample, ``t`` frame, ``c`` conv channel, ``d`` width, ``h`` head, ``g`` group,
``v`` codeword, ``u`` label.
"""

import math
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.integrations.deepspeed import is_deepspeed_zero3_enabled
from transformers.integrations.fsdp import is_fsdp_managed_module
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import CausalLMOutput, ModelOutput, SequenceClassifierOutput, Wav2Vec2BaseModelOutput
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .config import UniSpeechConfig
from .doors import NamesPhones, Prepares, ReadsCheckpoints, SavesQuietly, SpeaksLanguages
from .frames import Frames
from .nn.dropout import Dropout
from .nn.encoder import Encoder, PositionalConvEmbedding, fused
from .nn.frontend import FeatureEncoder, FeatureProjection, StridedConv1d
from .nn.masking import span_mask, through_batch, within_utterances
from .nn.quantizer import GumbelVectorQuantizer
from .nn.tap import Tap
from .objective import Objective, Step, by_blocks


class UniSpeechPreTrainedModel(Prepares, NamesPhones, ReadsCheckpoints, SavesQuietly, PreTrainedModel):
    """What the four models share: how weights begin, how samples become frames, how a part is frozen."""

    config: UniSpeechConfig
    config_class = UniSpeechConfig
    base_model_prefix = "unispeech"
    main_input_name = "input_values"
    input_modalities = "audio"
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # Trainer: the losses are means already, there is nothing to divide by
    _supports_sdpa = _supports_flash_attn = _supports_flex_attn = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Initial weights: transformers' own, but the position convolution really gets what is meant for it there."""
        super()._init_weights(module)
        if isinstance(module, GumbelVectorQuantizer):
            init.normal_(module.weight_proj.weight, mean=0.0, std=1.0)
            init.zeros_(module.weight_proj.bias)
            init.uniform_(module.codevectors)
        elif isinstance(module, PositionalConvEmbedding):
            conv = module.conv
            gain, direction = conv.parametrizations.weight.original0, conv.parametrizations.weight.original1
            init.normal_(direction, mean=0.0, std=2 / math.sqrt(conv.kernel_size[0] * conv.in_channels))
            init.copy_(gain, direction.norm(dim=(0, 1), keepdim=True))
            init.zeros_(conv.bias)
        elif isinstance(module, FeatureProjection):
            bound = 1 / math.sqrt(module.projection.in_features)
            init.uniform_(module.projection.weight, -bound, bound)
            init.uniform_(module.projection.bias, -bound, bound)
        elif isinstance(module, StridedConv1d):
            init.kaiming_normal_(module.weight)
            if module.bias is not None:
                bound = 1 / math.sqrt(module.in_channels * module.kernel_size[0])
                init.uniform_(module.bias, -bound, bound)
        elif isinstance(module, UniSpeechModel) and module.masked_spec_embed is not None:
            init.uniform_(module.masked_spec_embed)

    def _initialize_weights(self, module: nn.Module, is_custom_code: bool = False) -> None:
        """Visit every module: in code outside transformers, those without weights of their own are passed over."""
        super()._initialize_weights(module)

    @property
    def frames(self) -> Frames:
        """The clock: samples to frames to seconds."""
        return Frames(self.config.conv_kernel, self.config.conv_stride)

    def _get_feat_extract_output_lengths(self, input_lengths: Tensor | int) -> Tensor | int:
        """How many frames so many samples make; 0, where Hugging Face has negative numbers, if they are too few."""
        return self.frames.count(input_lengths)

    def _get_feature_vector_attention_mask(self, feature_vector_length: int, attention_mask: Tensor) -> Tensor:
        """The samples' mask (b, n) as a mask of frames (b, t), True where a frame is speech.

        An utterance of fewer samples than one receptive field has no frame (in Hugging Face's it gets all of them).
        """
        lengths = self.frames.count(attention_mask.sum(-1))
        return torch.arange(feature_vector_length, device=attention_mask.device) < lengths[:, None]

    def freeze_feature_encoder(self) -> None:
        """Stop training the convolutions: no gradient is computed for them any more."""
        getattr(self, self.base_model_prefix, self).feature_extractor.freeze()

    def freeze_base_model(self) -> None:
        """Stop training all but the head."""
        getattr(self, self.base_model_prefix, self).requires_grad_(False)

    def wants(self, name: str, given: bool | None) -> bool:
        """An option of a call (``return_dict``, ``output_attentions``, ...), or what the config says of it."""
        return getattr(self.config, name) if given is None else given


class UniSpeechModel(UniSpeechPreTrainedModel):
    """Speech to contextual states: no head, no loss."""

    def __init__(self, config: UniSpeechConfig):
        super().__init__(config)
        self.feature_extractor = FeatureEncoder(config)
        self.feature_projection = FeatureProjection(config)
        masks = config.mask_time_prob > 0 or config.mask_feature_prob > 0
        self.masked_spec_embed = nn.Parameter(torch.rand(config.hidden_size)) if masks else None
        self.mask = Tap()
        self.encoder = Encoder(config)
        self.post_init()

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        mask_time_indices: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        *,
        head_mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Wav2Vec2BaseModelOutput | tuple:
        """Encode a batch of waveforms.

        Args:
            input_values: (b, n) samples at 16 kHz, normalised as ``prepare`` does.
            attention_mask: (b, n) 1 where a sample is speech. Pass it exactly where the model was trained with one:
                ``feat_extract_norm="layer"`` yes, ``"group"`` no; ``prepare`` knows.
            mask_time_indices: (b, t) bool, frames to hide; drawn by ``mask_rule`` if None, in training only.
            output_attentions: return the patterns; every layer then computes its softmax in the open.
            output_hidden_states: return the states before the first layer and after each.
            return_dict: False for a plain tuple.
            head_mask: (layers, h) or (h,), a factor on each head's pattern; 0 switches a head off.
            generator: where masks and LayerDrop are drawn from; the default one if None.

        Returns:
            ``last_hidden_state`` (b, t, d); ``extract_features`` (b, t, c), the normalised z; ``hidden_states``, layers
            + 1 times (b, t, d), before the last norm of a pre-norm encoder; ``attentions``, layers times (b, h, t, t),
            None where LayerDrop skipped the layer.

        Raises:
            ValueError: shapes that do not fit, a waveform of less than one receptive field, a span longer than it.
        """
        self.check(input_values, attention_mask)
        lengths = None if attention_mask is None else attention_mask.sum(-1)
        states, z = self.feature_projection(self.feature_extractor(input_values, lengths))
        frame_mask = None
        if attention_mask is not None:
            frame_mask = self._get_feature_vector_attention_mask(states.shape[1], attention_mask)

        states = self.spec_augment(states, frame_mask, mask_time_indices, generator)
        output_attentions = self.wants("output_attentions", output_attentions)
        synchronous = is_deepspeed_zero3_enabled() or is_fsdp_managed_module(self)  # all ranks run every layer
        states, history, patterns = self.encoder(
            states,
            frame_mask,
            head_mask=self.layers_by_heads(head_mask),
            kernel=self.attention_kernel(states, frame_mask),
            layerdrop=0.0 if synchronous else self.config.layerdrop,
            generator=generator,
            output_attentions=output_attentions,
        )
        output = Wav2Vec2BaseModelOutput(
            last_hidden_state=states,
            extract_features=z,
            hidden_states=tuple(history) if self.wants("output_hidden_states", output_hidden_states) else None,
            attentions=tuple(patterns) if output_attentions else None,
        )
        return output if self.wants("return_dict", return_dict) else output.to_tuple()

    def spec_augment(
        self,
        states: Tensor,
        frame_mask: Tensor | None,
        mask_time_indices: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Hide frames behind a learned vector, zero channels: (b, t, d) to (b, t, d). Given frames always are."""
        batch, frames, width = states.shape
        draws = self.config.apply_spec_augment and self.training
        if mask_time_indices is None and draws and self.config.mask_time_prob > 0:
            mask_time_indices = self.draw_time_mask(batch, frames, frame_mask, generator)
        if mask_time_indices is not None:
            if self.masked_spec_embed is None:
                raise ValueError(
                    "expected no mask_time_indices: this model has no masked_spec_embed to put there; make it with "
                    "mask_time_prob > 0"
                )
            if mask_time_indices.shape != (batch, frames):
                raise ValueError(
                    f"expected mask_time_indices of shape {(batch, frames)} (utterances, frames), "
                    f"found {tuple(mask_time_indices.shape)}"
                )
            hidden = self.mask(mask_time_indices.to(states.device, torch.bool))
            states = torch.where(hidden[..., None], self.masked_spec_embed.to(states.dtype), states)
        if draws and self.config.mask_feature_prob > 0:
            hidden = span_mask(
                torch.full((batch,), width, device=states.device),
                width,
                self.config.mask_feature_prob,
                self.config.mask_feature_length,
                self.config.mask_feature_min_masks,
                generator=generator,
            )
            states = states.masked_fill(hidden[:, None], 0.0)
        return states

    def draw_time_mask(
        self, batch: int, frames: int, frame_mask: Tensor | None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Frames to hide in a training step, (b, t) bool, by the config's ``mask_*`` settings."""
        device = self.masked_spec_embed.device
        lengths = torch.full((batch,), frames, device=device) if frame_mask is None else frame_mask.sum(-1)
        config = self.config
        return span_mask(
            lengths,
            frames,
            config.mask_time_prob,
            config.mask_time_length,
            config.mask_time_min_masks,
            rule=getattr(config, "mask_rule", "huggingface"),
            generator=generator,
        )

    def layers_by_heads(self, head_mask: Tensor | None) -> Tensor | None:
        """A head mask (h,) or (layers, h) as (layers, h)."""
        layers, heads = self.config.num_hidden_layers, self.config.num_attention_heads
        if head_mask is None:
            return None
        if head_mask.shape not in ((heads,), (layers, heads)):
            raise ValueError(
                f"expected head_mask of shape {(heads,)} or {(layers, heads)} (layers, heads), "
                f"found {tuple(head_mask.shape)}"
            )
        return head_mask.expand(layers, heads)

    def attention_kernel(self, states: Tensor, frame_mask: Tensor | None):
        """How ``attn_implementation`` computes attention: None for the open softmax, else a kernel."""
        name = self.config._attn_implementation
        if name == "eager":
            return None
        if name == "sdpa":
            return fused
        mask = create_bidirectional_mask(config=self.config, inputs_embeds=states, attention_mask=frame_mask)
        return partial(dispatched, ALL_ATTENTION_FUNCTIONS[name], mask)


def dispatched(function, mask, attention, q: Tensor, k: Tensor, v: Tensor, frame_mask: Tensor | None) -> Tensor:
    """A kernel that transformers dispatches (flash, flex), with the mask in the form it wants."""
    options = {"dropout": attention.dropout_now, "scaling": attention.head_width**-0.5, "is_causal": False}
    mixed, _ = function(attention, q, k, v, mask, **options)
    return mixed.transpose(1, 2)


class UniSpeechForCTC(SpeaksLanguages, UniSpeechPreTrainedModel):
    """Speech to letters or phones, by connectionist temporal classification.

    ``target_lang`` names a language adapter, ``adapter.<lang>.safetensors`` beside the weights; it needs a config with
    ``adapter_attn_dim``.
    """

    def __init__(self, config: UniSpeechConfig, target_lang: str | None = None):
        super().__init__(config)
        if config.vocab_size is None:
            raise ValueError("expected a vocab_size, found None: give from_pretrained(..., vocab_size=...)")
        self.target_lang = self.check_language(target_lang)
        self.unispeech = UniSpeechModel(config)
        self.dropout = Dropout(config.final_dropout)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size)
        self.post_init()

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: Tensor | None = None,
        **options,
    ) -> CausalLMOutput | tuple:
        """Score every symbol of the vocabulary in every frame.

        Args:
            labels: (b, u) symbols of each transcript; -100 and the blank (``pad_token_id``) are left out.
            options: ``mask_time_indices``, ``head_mask``, ``generator``; these and the rest as in ``UniSpeechModel``.

        Returns:
            ``loss`` if there are labels; ``logits`` (b, t, vocab); ``hidden_states``; ``attentions``.

        Raises:
            ValueError: a label outside the vocabulary.
        """
        if labels is not None:
            outside = (labels != -100) & ((labels < 0) | (labels >= self.config.vocab_size))
            if outside.any():
                raise ValueError(
                    f"expected labels from 0 to {self.config.vocab_size - 1} (vocab_size={self.config.vocab_size}) "
                    f"or -100, found {labels[outside].unique().tolist()}"
                )
        output = self.unispeech(
            input_values,
            attention_mask,
            output_attentions=output_attentions,
            output_hidden_states=output_hidden_states,
            return_dict=True,
            **options,
        )
        logits = self.lm_head(self.dropout(output.last_hidden_state))
        loss = None
        if labels is not None:
            samples = (
                torch.full_like(labels[:, 0], input_values.shape[1])
                if attention_mask is None
                else attention_mask.sum(-1)
            )
            loss = ctc_loss(logits, labels, self.frames.count(samples), self.config)
        output = CausalLMOutput(
            loss=loss, logits=logits, hidden_states=output.hidden_states, attentions=output.attentions
        )
        return output if self.wants("return_dict", return_dict) else output.to_tuple()


def ctc_loss(logits: Tensor, labels: Tensor, lengths: Tensor, config: UniSpeechConfig) -> Tensor:
    """-log p(labels | logits) over all alignments; "mean": each utterance by its label count, then their mean."""
    blank = config.pad_token_id
    real = (labels != -100) & (labels != blank)
    scores = logits.log_softmax(-1, dtype=torch.float32).transpose(0, 1)
    with torch.backends.cudnn.flags(enabled=False):  # its kernel knows neither long targets nor blanks other than 0
        return F.ctc_loss(
            scores,
            labels[real],
            lengths,
            real.sum(-1),
            blank=blank,
            reduction=config.ctc_loss_reduction,
            zero_infinity=config.ctc_zero_infinity,
        )


class UniSpeechForSequenceClassification(UniSpeechPreTrainedModel):
    """An utterance to one class, several classes or a number: who, which language, which keyword."""

    def __init__(self, config: UniSpeechConfig):
        super().__init__(config)
        self.unispeech = UniSpeechModel(config)
        if config.use_weighted_layer_sum:
            states = config.num_hidden_layers + 1
            self.layer_weights = nn.Parameter(torch.ones(states) / states)
        self.projector = nn.Linear(config.hidden_size, config.classifier_proj_size)
        self.classifier = nn.Linear(config.classifier_proj_size, config.num_labels)
        self.post_init()

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        labels: Tensor | None = None,
        **options,
    ) -> SequenceClassifierOutput | tuple:
        """Classify utterances.

        Args:
            labels: (b,) classes; (b, classes) of 0 and 1 for several at once; (b,) numbers for a regression.
            options: ``mask_time_indices``, ``head_mask``, ``generator``; these and the rest as in ``UniSpeechModel``.

        Returns:
            ``loss`` if there are labels; ``logits`` (b, classes); ``hidden_states``; ``attentions``.
        """
        weighs = self.config.use_weighted_layer_sum
        wants_states = self.wants("output_hidden_states", output_hidden_states)
        output = self.unispeech(
            input_values,
            attention_mask,
            output_attentions=output_attentions,
            output_hidden_states=weighs or wants_states,
            return_dict=True,
            **options,
        )
        states = output.last_hidden_state
        if weighs:
            states = torch.einsum("l,lbtd->btd", self.layer_weights.softmax(0), torch.stack(output.hidden_states))
        states = self.projector(states)
        if attention_mask is None:
            pooled = states.mean(1)
        else:
            speech = self._get_feature_vector_attention_mask(states.shape[1], attention_mask)[..., None]
            pooled = states.masked_fill(~speech, 0.0).sum(1) / speech.sum(1).clamp(min=1)
        logits = self.classifier(pooled)
        output = SequenceClassifierOutput(
            loss=None if labels is None else self.classification_loss(logits, labels),
            logits=logits,
            hidden_states=output.hidden_states if wants_states else None,
            attentions=output.attentions,
        )
        return output if self.wants("return_dict", return_dict) else output.to_tuple()

    def classification_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """By ``config.problem_type``; if None, one output is a regression and float labels are several classes."""
        kind = self.config.problem_type
        if kind is None and self.config.num_labels == 1:
            kind = "regression"
        elif kind is None:
            kind = "multi_label_classification" if labels.is_floating_point() else "single_label_classification"
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # half precision is too coarse for a loss
        if kind == "regression":
            numbers = logits.squeeze(-1)
            return F.mse_loss(numbers, labels.to(logits.dtype).view(numbers.shape))
        if kind == "multi_label_classification":
            return F.binary_cross_entropy_with_logits(logits, labels.to(logits.dtype))
        return F.cross_entropy(logits, labels.view(-1))


@dataclass
class UniSpeechForPreTrainingOutput(ModelOutput):
    """What a pretraining forward says; the first six fields are Hugging Face's."""

    loss: Tensor | None = None  # () the objective's sum; None where nothing was to be learned from
    projected_states: Tensor | None = None  # (b, t, d) contextual states c
    projected_quantized_states: Tensor | None = None  # (b, t, d) codewords in the states' space, q
    codevector_perplexity: Tensor | None = (
        None  # () of the softmax in training, of the codes in eval; speech frames only
    )
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    ctc_logits: Tensor | None = None  # (b, t, num_ctc_classes) from h
    codes: Tensor | None = None  # (b, t, g) which codeword
    replaced: Tensor | None = None  # (b, t) where h is q
    mask_time_indices: Tensor | None = None  # (b, t) which frames were hidden
    sampled_negative_indices: Tensor | None = None  # (b, t, k) frames out of b * t, -1 for none; may be given again
    terms: dict[str, Tensor] | None = None  # name -> () each term of the loss, before its weight
    accuracy: Tensor | None = None  # () share of the predicted frames whose own codeword is nearest
    sample_size: Tensor | None = None  # () frames predicted: what the loss is a mean over


class UniSpeechForPreTraining(UniSpeechPreTrainedModel):
    """States and codewords in one space, mixed, then scored against phones: what UniSpeech learns with.

    ``objective`` turns a forward into a loss; it is made from the config (``alpha``, ``ctc_blank``, ...) and may be
    replaced: ``model.objective = Objective.from_config(model.config, **AUTHORS)``. It is not saved with the weights.
    """

    def __init__(self, config: UniSpeechConfig):
        super().__init__(config)
        self.unispeech = UniSpeechModel(config)
        self.dropout_features = Dropout(config.feat_quantizer_dropout)
        self.quantizer = GumbelVectorQuantizer(config)
        self.project_q = nn.Linear(config.codevector_dim, config.proj_codevector_dim)
        self.project_hid = nn.Linear(config.proj_codevector_dim, config.hidden_size)
        self.replaced = Tap()
        self.dropout = Dropout(config.final_dropout)
        self.ctc_proj = nn.Linear(config.hidden_size, config.num_ctc_classes)
        self.objective = Objective.from_config(config)
        self.post_init()

    def set_gumbel_temperature(self, temperature: float) -> None:
        """Set the quantizer's tau; the training loop lowers it as it goes."""
        self.quantizer.temperature = temperature

    def forward(
        self,
        input_values: Tensor,
        attention_mask: Tensor | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        *,
        mask_time_indices: Tensor | None = None,
        labels: Tensor | None = None,
        sampled_negative_indices: Tensor | None = None,
        replaced: Tensor | None = None,
        head_mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> UniSpeechForPreTrainingOutput | tuple:
        """Encode, quantize, mix and score a batch; compute the loss where there is something to learn from.

        That is where frames are masked (drawn in training, or given), or labels or negatives are given. Without a mask
        every frame of speech is predicted, as the authors validate.

        Args:
            labels: (b, u) phones of each transcript; -100 and the blank are left out. An utterance of nothing else has
                no labels: the rest of the objective is all it has.
            sampled_negative_indices: (b, t, k) frames to tell each masked frame from, counted through the batch as
                Hugging Face's wav2vec 2.0 does (utterance * t + frame); -1 for none. Drawn by the objective if None.
            replaced: (b, t) bool, frames whose state is replaced by its codeword before the CTC head. If None: in
                training each with probability ``replace_prob``; in eval none (the authors draw there too).
            generator: where masks, LayerDrop, Gumbel noise, replacement and negatives are drawn from; the default one
                if None.
            mask_time_indices: (b, t) bool, frames to hide; the rest as in ``UniSpeechModel``.

        Returns:
            ``UniSpeechForPreTrainingOutput``.

        Raises:
            ValueError: a label that is no class, a negative of another utterance, ``alpha=1`` without labels.
        """
        self.check(input_values, attention_mask)
        objective, frames = self.objective, self.frames.count(input_values.shape[1])
        frame_mask = None
        if attention_mask is not None:
            if objective.lengths == "blocks":
                attention_mask = by_blocks(attention_mask, self.frames)
            frame_mask = self._get_feature_vector_attention_mask(frames, attention_mask)
        draws = self.training and self.config.apply_spec_augment and self.config.mask_time_prob > 0
        if mask_time_indices is None and draws:
            mask_time_indices = self.unispeech.draw_time_mask(len(input_values), frames, frame_mask, generator)
        learns = any(given is not None for given in (mask_time_indices, labels, sampled_negative_indices))
        penalised = learns and "feature_penalty" in objective.active
        kept = []
        with self.keep_features(kept) if penalised else nullcontext():
            output = self.unispeech(
                input_values,
                attention_mask,
                mask_time_indices,
                output_attentions,
                output_hidden_states,
                return_dict=True,
                head_mask=head_mask,
                generator=generator,
            )
        c, z = output.last_hidden_state, self.dropout_features(output.extract_features)
        speech = torch.ones(c.shape[:2], dtype=torch.bool, device=c.device) if frame_mask is None else frame_mask
        predicted = torch.ones_like(speech) if objective.padding == "counted" else speech
        if mask_time_indices is not None:
            predicted = speech & mask_time_indices.to(c.device, torch.bool)
        over = predicted if learns and objective.diversity_over == "predicted" else frame_mask

        quantized = positive = self.quantizer(z, over, generator=generator)
        separate = learns and objective.active and objective.quantizer_draws == "separate"
        if separate:
            quantized = self.quantizer(z, over, generator=generator)
        q = self.project_hid(self.project_q(quantized.vectors))
        if replaced is None:
            replaced = self.draw_replaced(c, generator)
        replaced = self.replaced(replaced.to(c.device, torch.bool))
        h = torch.where(replaced[..., None], q, c)
        ctc_logits = self.ctc_proj(self.dropout(h))

        learned = {}
        if learns:
            positives = self.project_hid(self.project_q(positive.vectors)) if separate else q
            of_positives = objective.negatives_from == "masked"
            step = Step(
                states=c,
                positives=positives,
                codes=positive.codes,
                pool=positives if of_positives else q,
                pool_codes=(positive if of_positives else quantized).codes,
                speech=speech,
                predicted=predicted,
                perplexity=positive.prob_perplexity,
                codewords=self.config.num_codevector_groups * self.config.num_codevectors_per_group,
                replaced=replaced,
                ctc_logits=ctc_logits,
                labels=None if labels is None else labels.to(c.device),
                features=kept[0] if penalised else None,
            )
            learned = self.learn(step, sampled_negative_indices, generator)
        output = UniSpeechForPreTrainingOutput(
            projected_states=c,
            projected_quantized_states=q,
            codevector_perplexity=quantized.prob_perplexity if self.training else quantized.code_perplexity,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
            ctc_logits=ctc_logits,
            codes=quantized.codes,
            replaced=replaced,
            mask_time_indices=mask_time_indices,
            **learned,
        )
        return output if self.wants("return_dict", return_dict) else output.to_tuple()

    def learn(self, step: Step, given: Tensor | None, generator: torch.Generator | None) -> dict:
        """What the objective adds to the output. ``given``: negatives, counted through the batch; drawn if None."""
        learned = {"sample_size": step.predicted.sum()}
        if "contrastive" in self.objective.active:
            if given is None:
                step.negatives = self.objective.draw_negatives(step, generator)
            else:
                step.negatives = within_utterances(given.to(step.predicted.device).long(), step.predicted)
            learned["sampled_negative_indices"] = through_batch(step.negatives)
            learned["accuracy"] = self.objective.accuracy(step)
        learned["loss"], learned["terms"] = self.objective(step)
        return learned

    def keep_features(self, kept: list):
        """A ``with`` that puts what the convolutions say, before any norm of the projection, into ``kept``."""
        return self.unispeech.feature_extractor.register_forward_hook(lambda module, args, said: kept.append(said))

    def draw_replaced(self, c: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(b, t) bool: frames to replace in a training step, none in eval; drawn frame by frame as the authors do."""
        batch, frames, _ = c.shape
        share = self.config.replace_prob if self.training or self.objective.replaces == "always" else 0.0
        if share == 0:
            return torch.zeros(batch, frames, dtype=torch.bool, device=c.device)
        return torch.bernoulli(torch.full((frames, batch), share, device=c.device), generator=generator).bool().T

    @staticmethod
    def compute_contrastive_logits(
        target_features: Tensor, negative_features: Tensor, predicted_features: Tensor, temperature: float = 1
    ) -> Tensor:
        """Cosine of a prediction with its target, then with each negative, over the temperature.

        Args:
            target_features: (1, b, t, d).
            negative_features: (k, b, t, d).
            predicted_features: (b, t, d) or (1, b, t, d).

        Returns:
            (1 + k, b, t), the target first.
        """
        candidates = torch.cat([target_features, negative_features])
        cosine = F.cosine_similarity(predicted_features.float(), candidates.float(), dim=-1)
        return cosine.to(candidates.dtype) / temperature
