"""Front end: from the waveform to features, by seven strided convolutions.

    x_0 = waveform;   x_{i+1} = gelu(norm(conv_i(x_i)));   z = LayerNorm(x_7);   states = W z

UniSpeech paper (arXiv 2101.07597) section 3.1, after wav2vec 2.0 (arXiv 2006.11477) section 2. Everything here has the
layout (batch, time, channel): a strided convolution is then a strided view of the time axis times one matrix, and no
norm needs a transpose. Checkpoint keys: ``feature_extractor.*``, ``feature_projection.*``.

Shapes: ``b`` utterance, ``n`` sample, ``t`` frame, ``c`` conv channel, ``k`` tap of a kernel, ``d`` width.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..frames import Frames
from .activation import activation
from .dropout import Dropout

TILE = 2**22  # numbers that the widest layer holds at a time on its way through the stack: they stay in the cache
PIECE = 2**17  # numbers of a sum over time that are taken at a time, for the same reason


class FeatureEncoder(nn.Module):
    """The convolution stack: (b, n) samples to (b, t, c) features, one frame every ``prod(conv_stride)`` samples.

    ``feat_extract_norm="layer"`` normalises every layer over its channels, frame by frame: padding reaches no frame of
    speech, so frames of padding are zero and, on a CPU, not even computed. ``"group"`` normalises the first
    layer over time, padding with it.

    Raises:
        ValueError: the waveform is shorter than one receptive field.
    """

    def __init__(self, config):
        super().__init__()
        self.conv_layers = nn.ModuleList(ConvLayer(config, i) for i in range(len(config.conv_dim)))
        self.frames = Frames(config.conv_kernel, config.conv_stride)
        widest = self.frames.hop // config.conv_stride[0] * config.conv_dim[0]  # numbers of layer 0 behind one frame
        self.tile = max(TILE // widest, 1)
        self.by_frame = config.feat_extract_norm == "layer"
        self.gradient_checkpointing = False

    def forward(self, waveform: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Encode (b, n) samples, of which the first ``lengths`` (b,) are speech; all if None."""
        if self.frames.count(waveform.shape[1]) == 0:
            raise ValueError(
                f"expected at least {self.frames.receptive_field} samples, one receptive field, "
                f"found {waveform.shape[1]}: leave it out"
            )
        speech = None if lengths is None or not self.by_frame else self.frames.count(lengths.long())
        if self.tiles(waveform):
            return self.by_tiles(waveform, speech)
        features = self.through(waveform)
        if speech is None:
            return features
        padding = torch.arange(features.shape[1], device=features.device) >= speech[:, None]
        return features.masked_fill(padding[..., None], 0.0)

    def through(self, waveform: Tensor, taps: Sequence[Tensor | None] | None = None) -> Tensor:
        """All layers in turn, (b, n) to (b, t, c); ``taps``: the kernels, if they have been laid out already."""
        states = waveform.unsqueeze(-1)
        trains = any(parameter.requires_grad for parameter in self.parameters())
        checkpoints = self.gradient_checkpointing and self.training and trains
        if checkpoints and not states.requires_grad:
            states = states.requires_grad_()  # a reentrant checkpoint gives no gradient without one at its input
        for layer, kernel in zip(self.conv_layers, taps or [None] * len(self.conv_layers), strict=True):
            if checkpoints:
                states = self._gradient_checkpointing_func(layer.__call__, states, kernel)
            else:
                states = layer(states, kernel)
        return states

    def tiles(self, waveform: Tensor) -> bool:
        """Whether to go through the stack in tiles: on a CPU, when no hook and no statistic over time asks for all.

        Frames do not depend on one another here, so the numbers are the same; a tile stays in the processor's cache
        (1.2 times faster at 512 channels), and padding is left out.
        """
        kind = waveform.device.type
        whole = torch.is_autocast_enabled(kind) or torch.compiler.is_compiling()
        watched = any(
            part._forward_hooks or part._forward_pre_hooks or part._backward_hooks or part._backward_pre_hooks
            for part in self.conv_layers.modules()
        )
        return self.by_frame and kind == "cpu" and len(waveform) > 0 and not whole and not watched

    def by_tiles(self, waveform: Tensor, speech: Tensor | None) -> Tensor:
        hop, field = self.frames.hop, self.frames.receptive_field
        batch, count = len(waveform), self.frames.count(waveform.shape[1])
        silence = waveform.new_zeros(count, self.conv_layers[-1].conv.out_channels)
        ends = [count] * batch if speech is None else speech.tolist()
        taps = [layer.conv.taps() for layer in self.conv_layers]
        pieces = []
        for samples, end in zip(waveform, ends, strict=True):
            for start in range(0, end, self.tile):
                stop = min(start + self.tile, end)
                pieces.append(self.through(samples[None, start * hop : (stop - 1) * hop + field], taps)[0])
            pieces.append(silence[end:])
        return torch.cat(pieces).unflatten(0, (batch, count))

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

    def forward(self, states: Tensor, taps: Tensor | None = None) -> Tensor:
        return self.activation(self.layer_norm(self.conv(states, taps)))


class StridedConv1d(nn.Conv1d):
    """``nn.Conv1d`` for (b, t, c): same weights under the same keys, no padding, no dilation, no groups."""

    def __init__(self, width_in: int, width: int, kernel: int, stride: int, bias: bool):
        super().__init__(width_in, width, kernel, stride, bias=bias)

    def taps(self) -> Tensor:
        """The kernel laid out for the product, (k, c_in, c_out)."""
        return self.weight.permute(2, 1, 0).contiguous()

    def forward(self, states: Tensor, taps: Tensor | None = None) -> Tensor:
        if states.shape[1] < self.kernel_size[0]:
            raise ValueError(
                f"expected at least {self.kernel_size[0]} frames, one kernel, found {states.shape[1]}: "
                "the waveform is shorter than one receptive field; leave it out"
            )
        kind, bias = states.device.type, self.bias
        taps = self.taps() if taps is None else taps
        if torch.is_autocast_enabled(kind):
            dtype = torch.get_autocast_dtype(kind)
            states, taps = states.to(dtype), taps.to(dtype)
            bias = None if bias is None else bias.to(dtype)
        with torch.autocast(kind, enabled=False):
            return StridedConvolution.apply(states, taps, bias, self.stride[0])


class StridedConvolution(torch.autograd.Function):
    """y_t = sum_k x_{t s + k} taps_k + bias, as a few matrix products on views of x: nothing is unfolded or copied.

    The taps go in blocks of one stride (3 taps at stride 2: two taps, then one). Within a block the rows of the view
    do not overlap, so BLAS reads them, and writes their gradient, where they lie.
    """

    @staticmethod
    def forward(ctx, x: Tensor, taps: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        x = x.contiguous()
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
        needs_x, needs_taps, *_ = ctx.needs_input_grad
        grad = grad.contiguous()
        frames = grad.shape[1]
        grad_x = torch.zeros_like(x) if needs_x else None
        if needs_x:
            for view, block in blocks(grad_x, taps, ctx.stride, frames):
                for rows, grad_rows in zip(view, grad, strict=True):
                    rows.addmm_(grad_rows, block.T)
        grad_taps = torch.zeros_like(taps) if needs_taps else None
        if needs_taps:
            for view, block in blocks(x, grad_taps, ctx.stride, frames):
                for rows, grad_rows in zip(view, grad, strict=True):
                    block.addmm_(rows.T, grad_rows)
        return grad_x, grad_taps, grad.sum((0, 1)) if ctx.has_bias else None, None


def blocks(x: Tensor, taps: Tensor, stride: int, frames: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Views of x (b, t', taps * c_in) beside the taps (taps * c_in, c_out) they meet, a stride of taps at a time."""
    batch, _, channels = x.shape
    for first in range(0, len(taps), stride):
        block = taps[first : first + stride].flatten(0, 1)
        shape, strides = (batch, frames, len(block)), (x.stride(0), stride * channels, 1)
        yield x.as_strided(shape, strides, x.storage_offset() + first * channels), block


class TimeNorm(nn.GroupNorm):
    """``nn.GroupNorm`` of one channel a group for (b, t, c): each channel over all the time there is, padding too."""

    def forward(self, states: Tensor) -> Tensor:
        wide = states.float() if states.dtype in (torch.float16, torch.bfloat16) else states
        if wide.device.type == "cpu" and not torch.compiler.is_compiling():
            return TimeNormalization.apply(wide, self.weight, self.bias, self.eps).to(states.dtype)
        variance, mean = torch.var_mean(wide, dim=1, keepdim=True, correction=0)
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return torch.addcmul(self.bias - mean * scale, wide, scale).to(states.dtype)


class TimeNormalization(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias, each channel over time, a few passes over x in all.

    torch's variance over any but the last dimension, forward and backward, takes three times as long on a CPU.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        mean = x.mean(1, keepdim=True)
        variance = over_time(lambda part: (part - mean).square_(), x) / x.shape[1]
        rate = torch.rsqrt(variance + eps)
        ctx.save_for_backward(x, weight, mean, rate)
        scale = rate * weight
        return torch.addcmul(bias - mean * scale, x, scale)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        x, weight, mean, rate = ctx.saved_tensors
        grad_bias = grad.sum(1, keepdim=True)
        grad_weight = over_time(lambda part, grad: (part - mean).mul_(grad), x, grad) * rate
        scale, slope = rate * weight, rate * grad_weight / x.shape[1]
        level = grad_bias / x.shape[1] - mean * slope
        grad_x = torch.addcmul(level, x, slope).sub_(grad).mul_(-scale) if ctx.needs_input_grad[0] else None
        return grad_x, grad_weight.sum((0, 1)), grad_bias.sum((0, 1)), None


def over_time(function, *tensors: Tensor) -> Tensor:
    """Sum over time (b, 1, c) of what a function makes of (b, t, c), a piece of the cache's size at a time."""
    pieces = zip(*(tensor.split(max(PIECE // tensor[:, 0].numel(), 1), dim=1) for tensor in tensors), strict=True)
    return sum(function(*piece).sum(1, keepdim=True) for piece in pieces)


class FeatureProjection(nn.Module):
    """(b, t, c) features to (b, t, d) states, with the normalised features z (b, t, c) that the quantizer reads."""

    def __init__(self, config):
        super().__init__()
        self.layer_norm = nn.LayerNorm(config.conv_dim[-1], eps=config.layer_norm_eps)
        self.projection = nn.Linear(config.conv_dim[-1], config.hidden_size)
        self.dropout = Dropout(config.feat_proj_dropout)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        z = self.layer_norm(features)
        return self.dropout(self.projection(z)), z
