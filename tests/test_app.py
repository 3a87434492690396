"""``unispeech-lab app``: a page with a token, a line to it, a visit a page, words for whatever goes wrong."""

import asyncio
import queue
import re
import signal
import socket
import struct
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
import soundfile
import torch
from browser import LabServer
from hypothesis import given
from hypothesis import strategies as st
from models import SIZES
from tornado.httpclient import HTTPClientError
from tornado.websocket import websocket_connect
from typer.testing import CliRunner

from unispeech_lab import UniSpeechConfig, UniSpeechForPreTraining
from unispeech_lab.app.visit import Visit
from unispeech_lab.app.wire import connect, pack, unpack
from unispeech_lab.cli import app
from unispeech_lab.corpus import Utterance
from unispeech_lab.views.source import Source

SOUND = [
    Utterance(name, np.random.default_rng(k).standard_normal(9000).astype(np.float32) * 0.1)
    for k, name in enumerate("ab")
]


def start(home, *words: str) -> LabServer:
    return LabServer(home, command=[sys.executable, "-m", "unispeech_lab.cli", "app", "--no-browser", *words])


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A running app: ``url``, ``token``, ``address``."""
    server = start(tmp_path_factory.mktemp("app"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return UniSpeechForPreTraining(UniSpeechConfig(**SIZES)).eval()


@pytest.fixture
def visit(model):
    opened = Guest(model)
    yield opened
    opened.visit.end()
    opened.visit.thread.join(60)


class Guest:
    """A page without a browser: what it has been told of each widget, and its voice."""

    def __init__(self, model):
        self.mail, self.told = queue.SimpleQueue(), {}
        self.visit = Visit(model, SOUND, self.mail.put)
        self.until(lambda: "stage" in self.told)

    def until(self, enough):
        while not enough():
            frame = self.mail.get(timeout=120)
            (length,) = struct.unpack_from("<I", frame)
            head = frame[4 : 4 + length]
            if b'"done"' in head or b'"failed"' in head:
                self.told["done" if b'"done"' in head else "failed"] = head
            else:
                name, state = unpack(frame)
                self.told[name] = self.told.get(name, {}) | state

    def says(self, widget: str, **state) -> None:
        """Say it, and hear all that is answered."""
        self.told.pop("done", None)
        self.visit.hear(pack({"widget": widget, "state": state, "paths": []}))
        self.until(lambda: "done" in self.told)

    @property
    def stage(self) -> dict:
        return self.told["stage"]


class TestWire:
    @given(st.lists(st.binary(max_size=50), max_size=4), st.text())
    def test_what_is_packed_is_unpacked(self, buffers, text):
        state = {"text": text, "inner": {"list": [1, *[None] * len(buffers)]}}
        paths = [["inner", "list", k + 1] for k in range(len(buffers))]
        name, found = unpack(pack({"widget": "w", "state": state, "paths": paths}, buffers))
        assert name == "w" and found["text"] == text
        assert [bytes(part) for part in found["inner"]["list"][1:]] == buffers

    @given(st.binary(max_size=60))
    def test_noise_is_refused_in_words(self, frame):
        with pytest.raises(ValueError, match="expected a message of the page"):
            unpack(frame)

    def test_a_message_cut_short_is_refused(self):
        whole = pack({"widget": "w", "state": {"x": None}, "paths": [["x"]]}, [b"12345678"])
        for frame in (whole[:-1], whole + b"!"):
            with pytest.raises(ValueError, match="bytes told"):
                unpack(frame)

    def test_a_widget_says_everything_then_what_changes_and_no_echo(self):
        said = []
        source = Source(SOUND)
        connect(source, "source", lambda frame: said.append(unpack(frame)))
        (name, state), *_ = said
        assert name == "source" and "export default" in state["_esm"] and state["clips"] == source.clips
        said.clear()
        source.set_state({"chosen": 1})
        assert source.utterance is SOUND[1] and not [s for _, s in said if "chosen" in s]
        source.note = "now"
        assert said[-1] == ("source", {"note": "now"})
        source.close()
        source.note = "never"
        assert said[-1][1] != {"note": "never"}


class TestVisit:
    def test_a_page_is_told_of_both_widgets(self, visit):
        assert visit.told["source"]["clips"] == ["a", "b"]
        assert visit.stage["count"] > 0 and visit.stage["tabs"][0] == "sound"
        assert len(visit.stage["sound"]) == 2 * 9000

    def test_a_knob_a_tab_and_a_clip_change_what_is_shown(self, visit):
        visit.says("stage", tab=visit.stage["tabs"].index("attention"))
        dials = {dial["name"]: dial for dial in visit.stage["dials"]}
        shown = {
            slot for slot in visit.stage if slot.startswith("panel_") and visit.stage[slot].get("name") == "attention"
        }
        before = visit.stage[shown.pop()]["title"]
        visit.says("stage", knobs={**visit.stage["knobs"], "layer": len(dials["layer"]["values"]) - 1})
        titles = {panel.get("title") for slot, panel in visit.stage.items() if slot.startswith("panel_")}
        assert before == "Attention, layer 0, head 0" and "Attention, layer 2, head 0" in titles
        sound = bytes(visit.stage["sound"])
        visit.says("source", chosen=1)
        assert bytes(visit.stage["sound"]) != sound

    def test_pages_share_nothing(self, model, visit):
        other = Guest(model)
        visit.says("stage", tab=visit.stage["tabs"].index("attention"))
        visit.says("source", chosen=1)
        assert other.stage["tab"] == 0 and other.visit.widgets["source"].chosen == 0
        assert other.mail.empty(), "nothing of it was said to the other page"
        other.visit.end()
        other.visit.thread.join(60)
        assert not other.visit.thread.is_alive() and other.visit.widgets["stage"].comm is None

    @pytest.mark.parametrize("pcm", [b"\0" * 400, b"", b"\0\0\xc0\x7f" * 999], ids=["short", "empty", "no numbers"])
    def test_sound_that_is_none_is_told_and_the_page_goes_on(self, visit, pcm):
        visit.told.pop("done", None)
        state = {"sound": {"name": "mine.wav", "seconds": len(pcm) / 64_000, "pcm": None}}
        visit.visit.hear(pack({"widget": "source", "state": state, "paths": [["sound", "pcm"]]}, [pcm]))
        visit.until(lambda: "done" in visit.told)
        visit.says("stage", tab=visit.stage["tabs"].index("attention"))
        assert "expected" in visit.stage["note"] + visit.told["source"]["note"]
        visit.says("source", chosen=1)
        assert "expected" not in visit.stage["note"] and len(visit.stage["sound"]) == 2 * 9000

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_what_is_no_message_is_told_and_the_page_goes_on(self, visit):
        visit.told.pop("done", None)
        visit.visit.hear(b"nonsense")
        visit.until(lambda: "done" in visit.told)
        assert visit.stage["note"].startswith("That did not work: expected a message of the page")
        visit.says("stage", tab=1)
        assert visit.stage["tab"] == 0 or "work" not in visit.stage["note"]


class TestServer:
    def test_the_address_opens_the_page(self, served):
        with urllib.request.urlopen(served.address) as answer:
            page, policy = answer.read().decode(), answer.headers["Content-Security-Policy"]
        assert 'src="host.js"' in page and "http" not in page and policy.startswith("default-src 'none'")
        assert len(served.token) >= 32

    @pytest.mark.parametrize("path", ["/", "/line"])
    @pytest.mark.parametrize("query", ["", "?token=wrong", "?token=ü"])
    def test_refuses_without_the_token(self, served, path, query):
        with pytest.raises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(f"{served.url}{path}{urllib.parse.quote(query, '?=')}")
        assert refusal.value.code == 403 and "open the whole address" in refusal.value.read().decode()
        refusal.value.close()

    def test_the_line_speaks_to_those_alone_who_know_the_token(self, served):
        async def first(token: str, origin: str = served.url):
            from tornado.httpclient import HTTPRequest

            address = f"{served.url.replace('http', 'ws')}/line?token={token}"
            line = await websocket_connect(HTTPRequest(address, headers={"Origin": origin}))
            frame = await line.read_message()
            line.close()
            return unpack(frame)

        assert asyncio.run(first(served.token))[0] == "source"
        for token, origin in (("wrong", served.url), (served.token, "http://elsewhere.example")):
            with pytest.raises(HTTPClientError, match="403"):
                asyncio.run(first(token, origin))

    def test_listens_on_this_machine_only(self, served):
        port = int(served.url.rpartition(":")[2])
        others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} | {"127.0.0.2"}
        for address in others - {"127.0.0.1"}:
            with socket.socket() as probe:
                assert probe.connect_ex((address, port)) != 0, f"{address} answers"

    def test_a_second_app_takes_another_port_and_stops_cleanly(self, served, tmp_path):
        second = start(tmp_path)
        assert second.url != served.url and second.token != served.token
        second.process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert second.process.wait(30) == 0 and time.monotonic() - began < 20
        said = second.log.read_text()
        assert said.endswith("The app is closed.\n") and "Traceback" not in said


class TestCommand:
    def said(self, *words: str) -> str:
        wide = {"COLUMNS": "400"}  # no name is broken in two
        done = CliRunner().invoke(app, ["app", "--no-browser", *words], env=wide)
        assert done.exit_code == 2
        return re.sub(r"[│\s]+", " ", done.output)

    @pytest.fixture(autouse=True)
    def nobody_serves(self, monkeypatch):
        from unispeech_lab.app import server

        monkeypatch.setattr(server, "run", None)  # or a command that should end does not

    def test_a_broken_file_is_named(self, tmp_path):
        (tmp_path / "broken.wav").write_bytes(b"RIFF no sound")
        assert "broken.wav" in self.said(str(tmp_path / "broken.wav"))
        assert "nowhere.wav" in self.said(str(tmp_path / "nowhere.wav"))

    def test_a_file_too_short_is_refused_in_words(self, tmp_path):
        soundfile.write(tmp_path / "short.wav", np.zeros(100), 16_000)
        assert "expected" in self.said(str(tmp_path / "short.wav"))

    def test_a_taken_port_is_named(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            said = self.said("--port", port)
        assert port in said and "Leave --port away" in said
