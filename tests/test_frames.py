"""Frames: counts, receptive fields and times, against a convolution that counts for itself."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from unispeech_lab import Frames

FACTS = {
    400: 1,
    719: 1,
    720: 2,
    8000: 24,
    16000: 49,
    32000: 99,
    48000: 149,
    80000: 249,
    160000: 499,
    240000: 749,
    320000: 999,
    480000: 1499,
}
stacks = st.lists(st.tuples(st.integers(1, 6), st.integers(1, 4)), min_size=1, max_size=5)


def heard(frames, samples, frame):
    """Which samples a frame hears, by the gradient through convolutions of ones."""
    waveform = torch.zeros(1, 1, samples, requires_grad=True)
    states = waveform
    for kernel, stride in zip(frames.kernel, frames.stride, strict=True):
        states = F.conv1d(states, torch.ones(1, 1, kernel), stride=stride)
    states[0, 0, frame].backward()
    found = waveform.grad[0, 0].nonzero()[:, 0].tolist()
    return found[0], found[-1] + 1


def test_the_facts_of_the_default_strides():
    frames = Frames()
    assert (frames.hop, frames.receptive_field) == (320, 400)
    assert {samples: frames.count(samples) for samples in FACTS} == FACTS
    assert [frames.count(samples) for samples in (399, 10, 0)] == [0, 0, 0]


def test_counts_answer_in_kind():
    frames, samples, expected = Frames(), list(FACTS), list(FACTS.values())
    assert frames.count(np.array(samples)).tolist() == expected
    counts = frames.count(torch.tensor([*samples, 399, 0]))
    assert counts.dtype == torch.int64 and counts.tolist() == [*expected, 0, 0]
    assert isinstance(frames.count(400), int)


def test_receptive_field_layer_by_layer():
    frames = Frames()
    found = [(frames.up_to(i).hop, frames.up_to(i).receptive_field) for i in range(8)]
    assert found == [(1, 1), (5, 10), (10, 20), (20, 40), (40, 80), (80, 160), (160, 240), (320, 400)]


@given(stacks, st.integers(0, 60))
def test_a_convolution_counts_the_same(stack, extra):
    frames = Frames(*zip(*stack, strict=True))
    samples = frames.receptive_field + extra
    states = torch.zeros(1, 1, samples)
    for kernel, stride in stack:
        states = F.conv1d(states, torch.ones(1, 1, kernel), stride=stride)
    assert frames.count(samples) == states.shape[-1]
    assert frames.count(frames.receptive_field) == 1 and frames.count(frames.receptive_field - 1) == 0


@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 4)).map(lambda t: (max(t), min(t))), min_size=1, max_size=4)
)
def test_a_frame_hears_the_samples_it_says(stack):
    """Kernels at least as wide as their strides, so that no sample in between is jumped over."""
    frames = Frames(*zip(*stack, strict=True))
    samples = frames.receptive_field + 2 * frames.hop
    for frame in range(frames.count(samples)):
        assert heard(frames, samples, frame) == frames.samples(frame)


def test_seconds():
    frames = Frames()
    assert frames.centre(0) == 0.0125 and frames.centre(1) == 0.0325
    assert np.allclose(frames.edges(2), [0.0025, 0.0225, 0.0425])
    assert [frames.nearest(second) for second in (0.0, 0.0125, 0.0224, 0.0226, 1.0)] == [-1, 0, 0, 1, 49]
    assert frames.nearest(np.array([0.0125, 0.0325])).tolist() == [0, 1]


@given(st.integers(0, 10_000))
def test_nearest_undoes_centre(frame):
    frames = Frames()
    assert frames.nearest(frames.centre(frame)) == frame
    left, right = frames.edges(frame + 1)[-2:]
    assert left < frames.centre(frame) < right and abs(right - left - 0.02) < 1e-9


def test_lists_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="expected as many kernels as strides, found 2 kernels .* and 1 strides"):
        Frames((3, 2), (2,))
    with pytest.raises(ValueError, match="expected 0 to 7 layers, found 8"):
        Frames().up_to(8)
