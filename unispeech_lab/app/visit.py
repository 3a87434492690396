"""Visit: one open page, with a source, an explorer, a thread of its own; nothing of it is shared but the model."""

import logging
import queue
import threading
from collections.abc import Callable, Sequence

from unispeech_lab.app.wire import connect, pack, unpack
from unispeech_lab.views.explore import explore
from unispeech_lab.views.source import Source

LONGEST = 600.0  # seconds taken of a file that the page is given: 38 MB on their way here
log = logging.getLogger(__name__)


class Visit:
    """What one page shows, from ``say(frame)``, its first word, until ``end()``.

    The page is heard in the order in which it speaks; each of its messages is answered when it is done, so that it may
    hold back all but the newest position of a knob meanwhile.
    """

    def __init__(self, model, clips: Sequence, say: Callable[[bytes], None]):
        self.model, self.clips, self.say = model, clips, say
        self.heard: queue.SimpleQueue = queue.SimpleQueue()
        self.widgets: dict = {}
        self.thread = threading.Thread(target=self.work, name="visit", daemon=True)
        self.thread.start()

    def hear(self, frame: bytes) -> None:
        """A message of the page."""
        self.heard.put(frame)

    def end(self) -> None:
        """The page is gone."""
        self.heard.put(None)

    def work(self) -> None:
        try:
            self.open()
        except Exception as error:  # told on the page, which has nothing else to show
            log.exception("the explorer does not open")
            self.say(pack({"failed": str(error)}))
        while (frame := self.heard.get()) is not None:
            self.take(frame)
        for widget in self.widgets.values():
            widget.close()

    def open(self) -> None:
        """The source first: the menu is there while the model still listens."""
        source = Source(self.clips)
        source.longest = LONGEST
        self.widgets["source"] = source
        connect(source, "source", self.say)
        explorer = explore(self.model, source.utterance).follow(source)
        self.widgets["stage"] = explorer.show()
        connect(self.widgets["stage"], "stage", self.say)

    def take(self, frame: bytes) -> None:
        """Let the widget that is meant have what the page says; whatever goes wrong, the page goes on."""
        name = ""
        try:
            name, state = unpack(frame)
            self.widgets[name].set_state(state)
        except Exception as error:
            log.exception("what the page said was not done")
            if "stage" in self.widgets:
                self.widgets["stage"].note = f"That did not work: {error}"
        self.say(pack({"widget": name, "done": True}))
