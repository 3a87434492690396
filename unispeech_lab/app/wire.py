"""Wire: a widget's comm, which speaks over a websocket instead of to a notebook.

A message is one binary frame: the length of its head (4 bytes, little-endian), the head as JSON, then buffers one after
another. Of the head, ``state`` maps traits to values, ``paths`` says where in it each buffer belongs, ``sizes`` how
long each is, ``widget`` whose it is. ``host.js`` reads and writes the same.
"""

import json
import struct
from collections.abc import Callable, Sequence


class Wire:
    """What ipywidgets asks of a comm: ``send`` goes out by ``say(frame)``."""

    def __init__(self, name: str, say: Callable[[bytes], None]):
        self.comm_id, self.say = name, say

    def on_msg(self, heard: Callable) -> None:
        """Nobody is called back: what the browser says is given to the widget by whoever reads the websocket."""

    def send(self, data: dict, metadata=None, buffers: Sequence = ()) -> None:
        if data["method"] == "update":  # the browser needs no echo of what it has said
            self.say(pack({"widget": self.comm_id, "state": data["state"], "paths": data["buffer_paths"]}, buffers))

    def close(self, *args, **kwargs) -> None:
        self.say = lambda frame: None


def connect(widget, name: str, say: Callable[[bytes], None]) -> None:
    """Let a widget speak by ``say`` from now on, and first of all say everything."""
    widget.close()  # the comm that it was made with leads nowhere outside a notebook
    widget.comm = Wire(name, say)
    widget.send_state()


def pack(head: dict, buffers: Sequence = ()) -> bytes:
    """A message as one frame."""
    parts = [memoryview(buffer).cast("B") for buffer in buffers or ()]
    head = head | {"sizes": [part.nbytes for part in parts]}
    said = json.dumps(head, allow_nan=False, default=lambda number: number.item()).encode()  # of numpy's
    return b"".join([struct.pack("<I", len(said)), said, *parts])


def unpack(frame: bytes) -> tuple[str, dict]:
    """Whose message it is, and its state with the buffers where they belong.

    Raises ``ValueError`` for what is no message.
    """
    try:
        (length,) = struct.unpack_from("<I", frame)
        head = json.loads(frame[4 : 4 + length])
        state, place = head["state"], 4 + length
        for path, size in zip(head["paths"], head["sizes"], strict=True):
            *outer, last = path
            inside = state
            for key in outer:
                inside = inside[key]
            inside[last] = memoryview(frame)[place : place + size]
            place += size
        if place != len(frame):
            raise ValueError(f"{place} bytes told, {len(frame)} there")
        return head["widget"], state
    except (struct.error, KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"expected a message of the page, found {len(frame)} bytes: {error!r}") from error
