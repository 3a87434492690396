"""Sound files whose headers lie, and rates that no converter has."""

import numpy as np
import pytest
import soundfile

from unispeech_lab import audio
from unispeech_lab.audio import AudioError


def test_a_header_that_promises_more_than_there_is_memory_for(tmp_path):
    """A FLAC may say that it has 2^36 samples: 256 GiB once decoded."""
    file = tmp_path / "a.flac"
    soundfile.write(file, np.zeros(1000), 16_000)
    written = bytearray(file.read_bytes())
    written[21] |= 0x0F
    written[22:26] = b"\xff" * 4  # STREAMINFO: the number of samples
    file.write_bytes(written)
    with pytest.raises(AudioError, match=r"a\.flac: expected"):
        audio.read(file)


@pytest.mark.parametrize("rate", [0, -8000, float("nan"), float("inf"), 2**31 - 1])
def test_a_rate_that_is_none(rate):
    with pytest.raises(AudioError, match=r"expected a rate from 1 to 10000000 samples per second, found"):
        audio.mono(np.zeros(100, np.float32), rate)


def test_sound_that_resampling_makes_nothing_of():
    """One sample at 192 kHz is a twelfth of one at 16 kHz; the loudest float overflows the filter."""
    with pytest.raises(AudioError, match="found none after resampling from 192000"):
        audio.mono(np.ones(1, np.float32), 192_000)
    with pytest.raises(AudioError, match="found none after resampling from 8000"):
        audio.mono(np.full(500, 3.4e38, np.float32), 8000)


def test_a_name_that_is_no_unicode(tmp_path):
    with pytest.raises(AudioError, match="expected a sound file"):
        audio.read(tmp_path / "a\udcff.wav")
    with pytest.raises(AudioError, match="expected a sound file"):
        audio.header("a\udcff.wav")
