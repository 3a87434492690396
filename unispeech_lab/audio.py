"""Sound files: any rate, channels or format that soundfile reads becomes mono float32 at 16 kHz.

waveform = resample(mean over channels, file's rate -> 16,000)          (soxr, high quality)
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from io import BytesIO
from os import PathLike, fspath

import numpy as np
import soundfile
import soxr

RATE = 16_000  # samples per second, everywhere in this package
FASTEST = 10_000_000  # samples per second: beyond what any converter does, a header is wrong
BLOCK = 2**20  # numbers read from a file at a time, over all channels
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
    sound = _one_channel(np.asarray(sound), rate)
    if rate != RATE and sound.size:
        sound = soxr.resample(sound, rate, RATE, quality="HQ")
        _audible(sound, rate)
    return np.ascontiguousarray(sound)


def read(file) -> np.ndarray:
    """The sound of a file (a path, or an open binary file) as (n,) float32 at 16 kHz.

    Raises AudioError, naming the file, when it is missing, empty, unreadable, or ends before its header says.
    """
    parts = [*blocks(file)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def blocks(file) -> Iterator[np.ndarray]:
    """What ``read`` gives, a block after the other: ``BLOCK`` numbers of the file at a time.

    Raises AudioError as ``read`` does; that a file is cut short is known at its end only.
    """
    name = getattr(file, "name", file) if hasattr(file, "read") else fspath(file)
    try:
        with soundfile.SoundFile(file if hasattr(file, "read") else fspath(file)) as opened:
            # an MP3 only estimates
            promised = opened.frames * 9 // 10 if opened.format == "MP3" else opened.frames
            found = yield from _resampled(opened)
            remarks = opened.extra_info
        if not found:
            raise AudioError("expected sound, found a file of 0 samples")
        if found < promised:
            raise AudioError(f"expected {promised} samples as its header says, found {found}: it is cut short")
    except AudioError as error:
        raise AudioError(f"{name}: {error}") from error
    except (OSError, RuntimeError, TypeError, UnicodeError) as error:
        raise AudioError(f"{name}: expected a sound file that soundfile reads, found: {error}") from error
    _whole(name, remarks)


def _resampled(opened: soundfile.SoundFile) -> Generator[np.ndarray, None, int]:
    """The blocks of an open file at 16 kHz; returns how many of its own samples there were."""
    rate, size, found, told = opened.samplerate, max(BLOCK // opened.channels, 1), 0, 0
    stream = None if rate == RATE else soxr.ResampleStream(rate, RATE, 1, dtype="float32", quality="HQ")
    sound = opened.read(size, dtype="float32", always_2d=True)
    while len(sound):
        following = opened.read(size, dtype="float32", always_2d=True)
        block = _one_channel(sound, rate)
        if stream:
            block = stream.resample_chunk(block, last=not len(following))
        found, told, sound = found + len(sound), told + len(block), following
        if len(block):
            _audible(block, rate)
            yield block
    if found and not told:
        _audible(np.zeros(0), rate)
    return found


def _one_channel(sound: np.ndarray, rate: int) -> np.ndarray:
    """Samples (n,) or (n, channels) of any kind as (n,) float32, at their own rate."""
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
        sound = sound[:, 0] if sound.shape[1] == 1 else sound.mean(axis=1, dtype=np.float32)
    if sound.size and not np.isfinite(sound).all():
        raise AudioError("expected finite samples, found NaN or infinity")
    return sound


def _audible(sound: np.ndarray, rate: int) -> None:
    if not sound.size or not np.isfinite(sound).all():
        raise AudioError(f"expected sound that can be heard at {RATE} Hz, found none after resampling from {rate}")


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
