"""The process in which espeak-ng runs: one JSON request a line on stdin, one JSON reply (plus raw samples) on stdout.

Run as a script, never imported: it needs the standard library and espeakng-loader only. Its rules, each of which cost
somebody an afternoon:

- Every request gets a private copy of the library. espeak-ng keeps state even after ``espeak_Terminate``, so what was
  said before would change what is said now; a copy makes an utterance depend on its own request alone.
- Its noise is seeded by the clock at initialisation: ``espeak_ng_SetRandSeed`` comes after ``espeak_Initialize``.
- A voice it does not know leaves the previous one on, and an unknown variant the plain voice, both without a word: what
  is set is compared with what was asked for.
"""

import ctypes
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import espeakng_loader

SYNCHRONOUS, PHONEME_EVENTS, PHONEME_IPA, DONT_EXIT = 2, 1 << 0, 1 << 1, 1 << 15
UTF8, CHARACTERS, IPA = 1, 1, 0x02
RATE, VOLUME, PITCH = 1, 2, 3  # espeak_PARAMETER
WORD, PHONEME = 1, 7  # espeak_EVENT_TYPE
SEPARATOR = "_"


class Identity(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", Identity),
    ]


class Voice(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(Event))


class Copy:
    """A private copy of the library, gone when the ``with`` ends."""

    def __enter__(self):
        original = Path(espeakng_loader.get_library_path())
        self.folder = tempfile.mkdtemp(prefix="espeak-")
        self.library = ctypes.CDLL(str(shutil.copy(original, self.folder)))
        self.library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self.library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(Voice))
        self.library.espeak_GetCurrentVoice.restype = ctypes.POINTER(Voice)
        data = os.fsencode(espeakng_loader.get_data_path())
        self.rate = self.library.espeak_Initialize(SYNCHRONOUS, 0, data, PHONEME_EVENTS | PHONEME_IPA | DONT_EXIT)
        if self.rate <= 0:
            raise RuntimeError(f"espeak-ng did not start with its data in {os.fsdecode(data)}")
        return self

    def __exit__(self, *_):
        self.library.espeak_Terminate()
        handle, self.library = self.library._handle, None
        import _ctypes

        (_ctypes.FreeLibrary if os.name == "nt" else _ctypes.dlclose)(handle)
        shutil.rmtree(self.folder, ignore_errors=True)

    def voices(self, languages: bytes | None = None) -> list[str]:
        """The identifiers espeak-ng knows: of languages, or (``b"variant"``) of variants."""
        asked = ctypes.byref(Voice(languages=languages)) if languages else None
        found, names = self.library.espeak_ListVoices(asked), []
        while found[len(names)]:
            names.append(found[len(names)].contents.identifier.decode())
        return names

    def set_voice(self, voice: str) -> None:
        self.library.espeak_SetVoiceByName(voice.encode())
        current = self.library.espeak_GetCurrentVoice()
        if not current or current.contents.identifier != voice.encode():
            language, _, variant = voice.partition("+")
            if language not in self.voices():
                there, what = self.voices(), language
            else:
                there, what = [name.removeprefix("!v/") for name in self.voices(b"variant")], variant
            raise LookupError(f"espeak-ng has no voice {what!r}; it has {', '.join(sorted(there))}")

    def speak(self, text: str) -> tuple[bytes, list[tuple]]:
        """int16 samples, and (type, text position, length, sample, name) of every word and phone event."""
        samples, events = [], []

        def receive(wave, count, event):
            if wave and count > 0:
                samples.append(ctypes.string_at(wave, count * 2))
            for index in range(1 << 30):
                e = event[index]
                if not e.type:
                    return 0
                if e.type in (WORD, PHONEME):
                    name = bytes(e.id.string).split(b"\0")[0].decode("utf-8", "ignore") if e.type == PHONEME else ""
                    events.append((e.type, e.text_position, e.length, e.sample, name))

        callback = Callback(receive)
        self.library.espeak_SetSynthCallback(callback)
        said = text.encode()
        status = self.library.espeak_Synth(said, len(said) + 1, 0, CHARACTERS, 0, UTF8, None, None)
        self.library.espeak_Synchronize()
        if status:
            raise RuntimeError(f"espeak_Synth answered {status} to {text!r}")
        return b"".join(samples), events

    def names(self, text: str) -> list[str]:
        """The phones of each clause: stress marks kept, phones separated by ``_``, words by blanks."""
        buffer = ctypes.create_string_buffer(text.encode())
        rest, clauses = ctypes.c_void_p(ctypes.addressof(buffer)), []
        while rest.value:
            mode = IPA | ord(SEPARATOR) << 8
            clauses.append(self.library.espeak_TextToPhonemes(ctypes.byref(rest), UTF8, mode).decode())
        return clauses


def answer(request: dict) -> tuple[dict, bytes]:
    with Copy() as espeak:
        if "voice" not in request:
            variants = [name.removeprefix("!v/") for name in espeak.voices(b"variant")]
            return {"voices": espeak.voices(), "variants": variants}, b""
        espeak.library.espeak_ng_SetRandSeed(request.get("seed", 0))
        espeak.set_voice(request["voice"])
        if "texts" in request:
            return {"names": [espeak.names(text) for text in request["texts"]]}, b""
        for parameter, value in ((RATE, "rate"), (PITCH, "pitch"), (VOLUME, "volume")):
            espeak.library.espeak_SetParameter(parameter, request[value], 0)
        samples, events = espeak.speak(request["text"])
        return {"rate": espeak.rate, "events": events, "names": espeak.names(request["text"])}, samples


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started it decides when it ends, by closing stdin
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the library prints stays out of the replies
    for line in sys.stdin.buffer:
        samples = b""
        try:
            reply, samples = answer(json.loads(line))
        except Exception as error:
            reply = {"error": str(error) or repr(error)}
        replies.write(json.dumps(reply | {"bytes": len(samples)}).encode() + b"\n" + samples)
        replies.flush()


if __name__ == "__main__":
    main()
