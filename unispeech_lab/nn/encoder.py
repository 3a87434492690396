"""Encoder: a convolution that tells positions, then Transformer layers that look both ways.

    post-norm:  x = LN(x + pos(x));  layer: x = LN1(x + attn(x));  x = LN2(x + ffn(x))
    pre-norm ("stable"):  x = x + pos(x);  layer: x = x + attn(LN1(x));  x = x + ffn(LN2(x));  LN at the end

Transformer (arXiv 1706.03762), positions by convolution after wav2vec 2.0 (arXiv 2006.11477), LayerDrop (arXiv
1909.11556). Checkpoint keys: ``encoder.*``.

Shapes: ``b`` utterance, ``t`` frame, ``d`` width, ``h`` head, ``e`` head width.
"""

from collections.abc import Callable
from contextlib import ExitStack
from threading import get_ident

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from .activation import activation
from .dropout import Dropout, DroppedAttention, attends, dropout
from .tap import Tap


def fused(attention: "Attention", q: Tensor, k: Tensor, v: Tensor, frame_mask: Tensor | None) -> Tensor:
    """Attention in one kernel: (b, h, t, e) queries, keys, values to (b, h, t, e). No pattern is kept."""
    if attends(q, attention.dropout_now):
        return DroppedAttention.apply(q, k, v, frame_mask, attention.dropout_now)
    keys = None if frame_mask is None else frame_mask[:, None, None, :]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=keys, dropout_p=attention.dropout_now)


class Encoder(nn.Module):
    """Positions and layers: (b, t, d) states to (b, t, d) states, contextual."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.pre_norm = config.do_stable_layer_norm
        self.pos_conv_embed = PositionalConvEmbedding(config)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.dropout = Dropout(config.hidden_dropout)
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_hidden_layers))
        self.gradient_checkpointing = False

    def forward(
        self,
        states: Tensor,
        frame_mask: Tensor | None = None,
        *,
        head_mask: Tensor | None = None,
        kernel: Callable | None = fused,
        layerdrop: float = 0.0,
        generator: torch.Generator | None = None,
        output_attentions: bool = False,
    ) -> tuple[Tensor, list[Tensor], list[Tensor | None]]:
        """Encode a batch.

        Args:
            states: (b, t, d) projected features, masked where the step masks.
            frame_mask: (b, t) True where a frame is speech; others are zeroed first and never attended to.
            head_mask: (layers, h) factor on each head's pattern; forces the explicit softmax.
            kernel: how attention is computed where nobody looks at its pattern; None: by explicit softmax everywhere.
            layerdrop: probability that a layer is skipped, in training.
            generator: where LayerDrop draws from.
            output_attentions: whether to collect the patterns, by explicit softmax in every layer.

        Returns:
            The last states; the states before the first layer and after each layer (a skipped layer repeats its
            input); the pattern (b, h, t, t) of each layer, None where it was skipped, or nothing unless asked for.
        """
        if frame_mask is not None:
            states = states.masked_fill(~frame_mask[..., None], 0.0)
        states = states + self.pos_conv_embed(states)
        if not self.pre_norm:
            states = self.layer_norm(states)
        states = self.dropout(states)

        history, patterns = [states], []
        device = None if generator is None else generator.device
        for i, layer in enumerate(self.layers):
            pattern = None
            if not (self.training and layerdrop > 0 and torch.rand([], generator=generator, device=device) < layerdrop):
                heads = None if head_mask is None else head_mask[i]
                tap = layer.attention.pattern
                explicit = output_attentions or heads is not None or tap.watched
                with ExitStack() as watching:
                    if output_attentions:  # last, so that an edited pattern is the one returned
                        seen = []
                        watching.callback(tap.register_forward_hook(collector(seen)).remove)
                    states = self.run(layer, states, frame_mask, heads, None if explicit else kernel)
                    pattern = seen[0] if output_attentions else None
            history.append(states)
            patterns.append(pattern)
        if self.pre_norm:
            states = self.layer_norm(states)
        return states, history, patterns

    def run(self, layer: "EncoderLayer", *inputs) -> Tensor:
        """A layer, or its checkpoint: then its inner values are computed again in the backward pass instead of kept."""
        if self.gradient_checkpointing and self.training:
            return self._gradient_checkpointing_func(layer.__call__, *inputs)
        return layer(*inputs)


def collector(seen: list) -> Callable:
    """A forward hook that puts what a layer returns into ``seen``, if it ran in this thread."""
    thread = get_ident()

    def collect(module, args, value) -> None:
        if get_ident() == thread:
            seen.append(value)

    return collect


class EncoderLayer(nn.Module):
    """Attention, then a feed-forward network, each with a residual path and a norm: (b, t, d) to (b, t, d)."""

    def __init__(self, config):
        super().__init__()
        self.pre_norm = config.do_stable_layer_norm
        self.attention = Attention(config)
        self.dropout = Dropout(config.hidden_dropout)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config)
        self.final_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        adapter_width = getattr(config, "adapter_attn_dim", None)
        self.adapter_layer = LanguageAdapter(config, adapter_width) if adapter_width and self.pre_norm else None

    def forward(
        self,
        states: Tensor,
        frame_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        kernel: Callable | None = fused,
    ) -> Tensor:
        if self.pre_norm:
            states = states + self.dropout(self.attention(self.layer_norm(states), frame_mask, head_mask, kernel))
            states = states + self.feed_forward(self.final_layer_norm(states))
            return states if self.adapter_layer is None else states + self.adapter_layer(states)
        states = self.layer_norm(states + self.dropout(self.attention(states, frame_mask, head_mask, kernel)))
        return self.final_layer_norm(states + self.feed_forward(states))


class Attention(nn.Module):
    """Multi-head self-attention: out(softmax(q k^T / sqrt(e)) v), (b, t, d) to (b, t, d).

    Where its ``pattern`` tap is watched, the softmax is computed in the open and the tapped pattern (b, h, t, t) is
    what multiplies the values, so it can be edited. Elsewhere a fused kernel runs and no pattern exists.
    """

    def __init__(self, config):
        super().__init__()
        self.heads, self.head_width = config.num_attention_heads, config.hidden_size // config.num_attention_heads
        self.dropout = config.attention_dropout
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.pattern = Tap()

    @property
    def dropout_now(self) -> float:
        return self.dropout if self.training else 0.0

    def forward(
        self,
        states: Tensor,
        frame_mask: Tensor | None = None,
        head_mask: Tensor | None = None,
        kernel: Callable | None = fused,
    ) -> Tensor:
        q, k, v = (self.split(project(states)) for project in (self.q_proj, self.k_proj, self.v_proj))
        if self.pattern.watched or head_mask is not None:
            kernel = None
        mixed = self.explicit(q, k, v, frame_mask, head_mask) if kernel is None else kernel(self, q, k, v, frame_mask)
        return self.out_proj(mixed.transpose(1, 2).flatten(-2))

    def split(self, states: Tensor) -> Tensor:
        """(b, t, d) to (b, h, t, e)."""
        return states.unflatten(-1, (self.heads, self.head_width)).transpose(1, 2)

    def explicit(self, q: Tensor, k: Tensor, v: Tensor, frame_mask: Tensor | None, head_mask: Tensor | None) -> Tensor:
        scores = (q * self.head_width**-0.5) @ k.transpose(-1, -2)
        if frame_mask is not None:
            scores = scores.masked_fill(~frame_mask[:, None, None, :], torch.finfo(scores.dtype).min)
        pattern = dropout(scores.softmax(-1), self.dropout, self.training)
        if head_mask is not None:
            pattern = pattern * head_mask[:, None, None]
        return self.pattern(pattern) @ v


class FeedForward(nn.Module):
    """Two dense layers around an activation, frame by frame: (b, t, d) to (b, t, d)."""

    def __init__(self, config):
        super().__init__()
        self.intermediate_dense = nn.Linear(config.hidden_size, config.intermediate_size)
        self.intermediate_act_fn = activation(config.hidden_act)
        self.intermediate_dropout = Dropout(config.activation_dropout)
        self.output_dense = nn.Linear(config.intermediate_size, config.hidden_size)
        self.output_dropout = Dropout(config.hidden_dropout)

    def forward(self, states: Tensor) -> Tensor:
        states = self.intermediate_dropout(self.intermediate_act_fn(self.intermediate_dense(states)))
        return self.output_dropout(self.output_dense(states))


class PositionalConvEmbedding(nn.Module):
    """Where a frame stands, told by a wide grouped convolution over its neighbours: (b, t, d) to (b, t, d).

    The kernel is weight-normalised tap by tap; an even one makes a frame too many, and the last is cut.
    """

    def __init__(self, config):
        super().__init__()
        kernel = config.num_conv_pos_embeddings
        groups = config.num_conv_pos_embedding_groups
        conv = nn.Conv1d(config.hidden_size, config.hidden_size, kernel, padding=kernel // 2, groups=groups)
        self.conv = weight_norm(conv, name="weight", dim=2)
        self.activation = activation(config.feat_extract_activation)

    def forward(self, states: Tensor) -> Tensor:
        around = self.conv(states.transpose(1, 2))[..., : states.shape[1]]
        return self.activation(around).transpose(1, 2)


class LanguageAdapter(nn.Module):
    """A small network at the end of a layer that one language owns: norm, down, ReLU, up, (b, t, d) to (b, t, d)."""

    def __init__(self, config, width: int):
        super().__init__()
        self.norm = nn.LayerNorm(config.hidden_size)
        self.linear_1 = nn.Linear(config.hidden_size, width)
        self.act_fn = nn.ReLU()
        self.linear_2 = nn.Linear(width, config.hidden_size)

    def forward(self, states: Tensor) -> Tensor:
        return self.linear_2(self.act_fn(self.linear_1(self.norm(states))))
