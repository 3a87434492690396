"""Front end: from the waveform to features, by seven strided convolutions.

    x_0 = waveform;   x_{i+1} = gelu(norm(conv_i(x_i)));   z = LayerNorm(x_7);   states = W z

UniSpeech paper (arXiv 2101.07597) section 3.1, after wav2vec 2.0 (arXiv 2006.11477) section 2. Everything here has the
layout (batch, time, channel): a strided convolution is then a strided view of the time axis times one matrix, and no
norm needs a transpose. Checkpoint keys: ``feature_extractor.*``, ``feature_projection.*``.

Shapes: ``b`` utterance, ``n`` sample, ``t`` frame, ``c`` conv channel, ``k`` tap of a kernel, ``d`` width.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .activation import activation

TILE = 1024  # frames that one pass of a convolution layer handles at a time; its three steps then stay in the cache


class FeatureEncoder(nn.Module):
    """The convolution stack: (b, n) samples to (b, t, c) features, one frame every ``prod(conv_stride)`` samples.

    ``feat_extract_norm="layer"`` normalises every layer over its channels, frame by frame, so padding cannot reach a
    frame outside its receptive field; ``"group"`` normalises the first layer over time, so it can.

    Raises:
        ValueError: the waveform is shorter than one receptive field.
    """

    def __init__(self, config):
        super().__init__()
        self.conv_layers = nn.ModuleList(ConvLayer(config, i) for i in range(len(config.conv_dim)))
        self.gradient_checkpointing = False

    def forward(self, waveform: Tensor) -> Tensor:
        states = waveform.unsqueeze(-1)
        for layer in self.conv_layers:
            if self.gradient_checkpointing and self.training:
                states = self._gradient_checkpointing_func(layer.__call__, states)
            else:
                states = layer(states)
        return states

    def freeze(self) -> None:
        """Stop the gradient here: no parameter of the stack is updated any more."""
        self.requires_grad_(False)


class ConvLayer(nn.Module):
    """One convolution, its norm, its activation: (b, t, c_in) to (b, t', c_out)."""

    def __init__(self, config, i: int):
        super().__init__()
        width_in, width = (1, *config.conv_dim)[i : i + 2]
        kernel, stride = config.conv_kernel[i], config.conv_stride[i]
        self.conv = StridedConv1d(width_in, width, kernel, stride, bias=config.conv_bias)
        if config.feat_extract_norm == "layer":
            self.layer_norm = nn.LayerNorm(width)
        elif i == 0:
            self.layer_norm = TimeNorm(width, width)
        else:
            self.layer_norm = nn.Identity()  # "group" normalises the first layer only
        self.activation = activation(config.feat_extract_activation)

    def forward(self, states: Tensor) -> Tensor:
        if self.tiles:
            return self.by_tiles(states)
        return self.activation(self.layer_norm(self.conv(states)))

    @property
    def tiles(self) -> bool:
        """Whether to go through the frames in tiles: when no gradient, no hook and no statistic over time asks for all.

        Frames do not depend on one another here, so the numbers are the same; a tile stays in the processor's cache
        from one step to the next (1.2 times faster over the stack at 512 channels).
        """
        watched = any(part._forward_hooks or part._forward_pre_hooks for part in self.children())
        whole = torch.is_grad_enabled() or watched or isinstance(self.layer_norm, TimeNorm)
        return not whole and self.conv.weight.device.type == "cpu" and not torch.compiler.is_compiling()

    def by_tiles(self, states: Tensor) -> Tensor:
        kernel, stride = self.conv.kernel_size[0], self.conv.stride[0]
        frames = self.conv.frames(states)
        tiled = states.new_empty(len(states), frames, self.conv.out_channels)
        for start in range(0, frames, TILE):
            stop = min(start + TILE, frames)
            piece = self.conv(states[:, start * stride : (stop - 1) * stride + kernel])
            tiled[:, start:stop] = self.activation(self.layer_norm(piece))
        return tiled


class StridedConv1d(nn.Conv1d):
    """``nn.Conv1d`` for (b, t, c): same weights under the same keys, no padding, no dilation, no groups."""

    def __init__(self, width_in: int, width: int, kernel: int, stride: int, bias: bool):
        super().__init__(width_in, width, kernel, stride, bias=bias)

    def frames(self, states: Tensor) -> int:
        """How many frames the convolution makes of (b, t, c)."""
        (kernel,), (stride,) = self.kernel_size, self.stride
        if states.shape[1] < kernel:
            raise ValueError(
                f"expected at least {kernel} frames for a kernel of {kernel}, found {states.shape[1]}: "
                "the waveform is shorter than one receptive field; pad it or leave it out"
            )
        return (states.shape[1] - kernel) // stride + 1

    def forward(self, states: Tensor) -> Tensor:
        self.frames(states)
        kind, weight, bias = states.device.type, self.weight, self.bias
        if torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
            states, weight = states.to(dtype), weight.to(dtype)
            bias = None if bias is None else bias.to(dtype)
        with torch.autocast(kind, enabled=False):
            return StridedConvolution.apply(states, weight, bias, self.stride[0])


class StridedConvolution(torch.autograd.Function):
    """y_t = sum_k W_k x_{t s + k} + bias, as a few matrix products on views of x: nothing is unfolded, nothing copied.

    The taps go in blocks of one stride (3 taps at stride 2: two taps, then one). Within a block the rows of the view
    do not overlap, so BLAS reads them, and writes their gradient, where they lie.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        x = x.contiguous()
        taps = weight.permute(2, 1, 0).contiguous()  # (k, c_in, c_out)
        frames = (x.shape[1] - len(taps)) // stride + 1
        y = None
        for view, block in blocks(x, taps, stride, frames):
            block = block.expand(len(x), -1, -1)
            if y is not None:
                y.baddbmm_(view, block)
            else:
                y = torch.bmm(view, block) if bias is None else torch.baddbmm(bias, view, block)
        ctx.save_for_backward(x, taps)
        ctx.stride, ctx.has_bias = stride, bias is not None
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        x, taps = ctx.saved_tensors
        needs_x, needs_weight, *_ = ctx.needs_input_grad
        grad = grad.contiguous()
        frames = grad.shape[1]
        grad_x = torch.zeros_like(x) if needs_x else None
        if needs_x:
            for view, block in blocks(grad_x, taps, ctx.stride, frames):
                for rows, grad_rows in zip(view, grad, strict=True):
                    rows.addmm_(grad_rows, block.T)
        grad_taps = torch.zeros_like(taps) if needs_weight else None
        if needs_weight:
            for view, block in blocks(x, grad_taps, ctx.stride, frames):
                for rows, grad_rows in zip(view, grad, strict=True):
                    block.addmm_(rows.T, grad_rows)
        grad_weight = grad_taps.permute(2, 1, 0) if needs_weight else None
        return grad_x, grad_weight, grad.sum((0, 1)) if ctx.has_bias else None, None


def blocks(x: Tensor, taps: Tensor, stride: int, frames: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Views of x (b, t', taps * c_in) beside the taps (taps * c_in, c_out) that they meet, a stride of taps at a time."""
    batch, _, channels = x.shape
    for first in range(0, len(taps), stride):
        block = taps[first : first + stride].flatten(0, 1)
        shape, strides = (batch, frames, len(block)), (x.stride(0), stride * channels, 1)
        yield x.as_strided(shape, strides, x.storage_offset() + first * channels), block


class TimeNorm(nn.GroupNorm):
    """``nn.GroupNorm`` of one channel a group for (b, t, c): each channel over all the time there is, padding too."""

    def forward(self, states: Tensor) -> Tensor:
        wide = states.float() if states.dtype in (torch.float16, torch.bfloat16) else states
        variance, mean = torch.var_mean(wide, dim=1, keepdim=True, correction=0)
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return torch.addcmul(self.bias - mean * scale, wide, scale).to(states.dtype)


class FeatureProjection(nn.Module):
    """(b, t, c) features to (b, t, d) states, with the normalised features z (b, t, c) that the quantizer reads."""

    def __init__(self, config):
        super().__init__()
        self.layer_norm = nn.LayerNorm(config.conv_dim[-1], eps=config.layer_norm_eps)
        self.projection = nn.Linear(config.conv_dim[-1], config.hidden_size)
        self.dropout = nn.Dropout(config.feat_proj_dropout)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        z = self.layer_norm(features)
        return self.dropout(self.projection(z)), z
