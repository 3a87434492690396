"""Sound files: any rate, channels or format that soundfile reads becomes mono float32 at 16 kHz.

waveform = resample(mean over channels, file's rate -> 16,000)          (soxr, high quality)
"""

import re
from dataclasses import dataclass
from io import BytesIO
from os import PathLike, fspath

import numpy as np
import soundfile
import soxr

RATE = 16_000  # samples per second, everywhere in this package
FASTEST = 10_000_000  # samples per second: beyond what any converter does, a header is wrong
SUFFIXES = frozenset({".wav", ".flac", ".mp3", ".ogg", ".opus", ".aiff", ".aif", ".au", ".caf", ".w64"})


class AudioError(ValueError):
    """A sound file that cannot be used; the message names the file."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a sound file says of itself: ``frames`` samples per channel at ``rate`` per second."""

    frames: int
    rate: int
    channels: int

    @property
    def seconds(self) -> float:
        return self.frames / self.rate


def header(file: str | PathLike) -> Header:
    """The header alone, no sound decoded. Raises AudioError for a missing, empty or unreadable file."""
    try:
        info = soundfile.info(fspath(file))
    except (OSError, RuntimeError, TypeError, UnicodeError) as error:
        raise AudioError(f"{file}: expected a sound file that soundfile reads, found: {error}") from error
    if info.frames < 1 or info.samplerate < 1:
        raise AudioError(f"{file}: expected sound, found a file of {info.frames} samples")
    _whole(file, info.extra_info)
    return Header(info.frames, info.samplerate, info.channels)


def mono(sound: np.ndarray, rate: int) -> np.ndarray:
    """Samples at any rate, (n,) or (n, channels), become (m,) float32 at 16 kHz. Integers are scaled to [-1, 1]."""
    sound = np.asarray(sound)
    if sound.ndim not in (1, 2):
        raise AudioError(f"expected samples of shape (n,) or (n, channels), found shape {sound.shape}")
    if sound.dtype.kind not in "fiu":
        raise AudioError(f"expected numbers as samples, found dtype {sound.dtype}")
    if not 1 <= rate <= FASTEST:
        raise AudioError(f"expected a rate from 1 to {FASTEST} samples per second, found {rate}")
    if sound.dtype.kind in "iu":
        limits = np.iinfo(sound.dtype)
        zero = 0 if sound.dtype.kind == "i" else (limits.max + 1) // 2
        sound = (sound.astype(np.float64) - zero) / (limits.max - zero + 1)
    sound = sound.astype(np.float32, copy=False)
    if sound.ndim == 2:
        sound = sound.mean(axis=1, dtype=np.float32)
    if sound.size and not np.isfinite(sound).all():
        raise AudioError("expected finite samples, found NaN or infinity")
    if rate != RATE and sound.size:
        sound = soxr.resample(sound, rate, RATE, quality="HQ")
        if not sound.size or not np.isfinite(sound).all():
            raise AudioError(f"expected sound that can be heard at {RATE} Hz, found none after resampling from {rate}")
    return np.ascontiguousarray(sound)


def read(file) -> np.ndarray:
    """The sound of a file (a path, or an open binary file) as (n,) float32 at 16 kHz.

    Raises AudioError, naming the file, when it is missing, empty, unreadable, or ends before its header says.
    """
    name = getattr(file, "name", file) if hasattr(file, "read") else fspath(file)
    try:
        with soundfile.SoundFile(file if hasattr(file, "read") else fspath(file)) as opened:
            rate, remarks = opened.samplerate, opened.extra_info
            promised = opened.frames * 9 // 10 if opened.format == "MP3" else opened.frames  # an MP3 only estimates
            sound = opened.read(dtype="float32", always_2d=True)
    except MemoryError as error:
        raise AudioError(f"{name}: expected sound that fits in memory, found a header that promises more") from error
    except (OSError, RuntimeError, TypeError, UnicodeError) as error:
        raise AudioError(f"{name}: expected a sound file that soundfile reads, found: {error}") from error
    if not len(sound):
        raise AudioError(f"{name}: expected sound, found a file of 0 samples")
    if len(sound) < promised:
        raise AudioError(f"{name}: expected {promised} samples as its header says, found {len(sound)}: it is cut short")
    _whole(name, remarks)
    try:
        return mono(sound, rate)
    except AudioError as error:
        raise AudioError(f"{name}: {error}") from error


def _whole(name, remarks: str) -> None:
    """Raise AudioError where libsndfile remarks that a header promises more bytes than there are.

    A recorder that writes to a pipe cannot know the length, and promises nearly 2 or 4 GiB: that is no promise.
    """
    for promised, found in re.findall(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", remarks):
        if int(found) < int(promised) < 2**31 - 2**16:
            raise AudioError(f"{name}: expected {promised} bytes as its header says, found {found}: it is cut short")


def flac(waveform: np.ndarray) -> bytes:
    """A 16 kHz waveform (n,) as the bytes of a 16-bit FLAC file; what exceeds [-1, 1] is clipped."""
    file = BytesIO()
    soundfile.write(file, np.clip(waveform, -1, 1), RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()
