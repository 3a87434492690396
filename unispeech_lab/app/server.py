"""The server of the app: one page, one websocket a page, on this machine alone.

It listens on 127.0.0.1, wants a token made afresh at each start, and asks nothing of the network. Each open page is a
``Visit`` with a thread of its own; all look into the same model.
"""

import asyncio
import secrets
import signal
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from hmac import compare_digest
from pathlib import Path

import tornado.web
import tornado.websocket
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from unispeech_lab.app.visit import Visit
from unispeech_lab.lab import demand_free

HERE = Path(__file__).parent
FIRST, TRIES = 8900, 50  # ports
LARGEST = 64 * 2**20  # bytes of one message: ten minutes of sound are 38 MB
POLICY = (
    "default-src 'none'; script-src 'self' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src data: blob:; connect-src 'self' ws://127.0.0.1:*; base-uri 'none'; form-action 'none'"
)


class Guarded(tornado.web.RequestHandler):
    """Answers who knows the token, with 403 everybody else."""

    def prepare(self) -> None:
        if not compare_digest(self.get_query_argument("token", "").encode(), self.settings["token"].encode()):
            raise tornado.web.HTTPError(403)

    def write_error(self, status_code: int, **kwargs) -> None:
        said = "The token is missing or wrong: open the whole address that the app has printed."
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(said if status_code == 403 else self._reason)


class Page(Guarded):
    def get(self) -> None:
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")
        self.write((HERE / "page.html").read_bytes())


class Line(Guarded, tornado.websocket.WebSocketHandler):
    """The websocket of one page. Tornado refuses pages of other origins."""

    visit: Visit | None = None

    def open(self) -> None:
        loop = asyncio.get_running_loop()
        self.settings["open"].add(self)

        def say(frame: bytes) -> None:  # from the visit's thread
            with suppress(RuntimeError):  # the loop is over
                loop.call_soon_threadsafe(self.put, frame)

        self.visit = Visit(self.settings["model"], self.settings["clips"], say)

    def put(self, frame: bytes) -> None:
        with suppress(tornado.websocket.WebSocketClosedError):
            self.write_message(frame, binary=True)

    def on_message(self, message) -> None:
        self.visit.hear(message if isinstance(message, bytes) else message.encode())

    def on_close(self) -> None:
        self.settings["open"].discard(self)
        if self.visit:
            self.visit.end()


def application(model, clips: Sequence, token: str) -> tornado.web.Application:
    """The app's three addresses: the page, its script and style, its line."""
    files = {"path": str(HERE)}
    return tornado.web.Application(
        [(r"/", Page), (r"/line", Line), (r"/(host\.js|page\.css)", tornado.web.StaticFileHandler, files)],
        model=model,
        clips=clips,
        token=token,
        open=set(),
        websocket_max_message_size=LARGEST,
        log_function=lambda handler: None,  # an address holds the token
    )


def serve(model, clips: Sequence, browser: bool = True, port: int | None = None) -> None:
    """Serve the explorer of a model until Ctrl-C, with ``clips`` to begin with; print the one address that opens it.

    Without a ``port`` it is 8900 or, where that is taken, the next free one. Raises ``OSError`` when the ``port`` asked
    for is taken.
    """
    if port:
        demand_free(port)
    with suppress(KeyboardInterrupt):  # where a loop knows no signals (Windows)
        asyncio.run(run(model, clips, browser, port))
    print("The app is closed.", flush=True)


async def run(model, clips: Sequence, browser: bool, port: int | None) -> None:
    token = secrets.token_urlsafe(24)
    made = application(model, clips, token)
    server = HTTPServer(made)
    sockets = listen(port)
    server.add_sockets(sockets)
    address = f"http://127.0.0.1:{sockets[0].getsockname()[1]}/?token={token}"
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        except NotImplementedError:
            break
    print(f"UniSpeech Lab's explorer is open at\n\n    {address}\n\nStop: Ctrl-C", flush=True)
    if browser:
        webbrowser.open(address)
    await stopped.wait()
    server.stop()
    for line in list(made.settings["open"]):
        line.close(1001, "the app is closed")
    await server.close_all_connections()


def listen(port: int | None) -> list:
    """A socket on the port, or on the first free one from ``FIRST`` on."""
    if port is not None:
        return bind_sockets(port, "127.0.0.1")
    for number in range(FIRST, FIRST + TRIES):
        with suppress(OSError):
            return bind_sockets(number, "127.0.0.1")
    return bind_sockets(0, "127.0.0.1")
