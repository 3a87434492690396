"""Chart: panels side by side on a live canvas, with buttons to stop what they show or to go on with it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import anywidget
import traitlets

from unispeech_lab.views.panel import Panel
from unispeech_lab.views.stage import pack

HERE = Path(__file__).parent
SOURCES = ("paint.js", "marks.js", "heatmap.js", "bars.js", "chart.js")
STATES = ("running", "stopping", "stopped", "done", "failed")


class Chart(anywidget.AnyWidget):
    """Panels that change while they are looked at.

    ``state`` is what the button goes by; ``note`` is the line beside it.
    """

    _esm = "\n".join((HERE / name).read_text(encoding="utf-8") for name in SOURCES)
    _css = "\n".join((HERE / name).read_text(encoding="utf-8") for name in ("stage.css", "chart.css"))

    panels = traitlets.List().tag(sync=True)
    state = traitlets.Enum(STATES, "stopped").tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    heard = traitlets.Bool(False).tag(sync=True)  # somebody hears the buttons: else there are none

    def draw(self, panels: Sequence[Panel], note: str = "", state: str = "running") -> None:
        """Show these panels."""
        with self.hold_sync():
            self.panels, self.note, self.state = [pack(panel) for panel in panels], note, state

    def on_ask(self, act: Callable[[str], None]) -> None:
        """Hear what the button asks for: ``act("stop")`` or ``act("resume")``."""
        self.heard = True
        self.on_msg(lambda widget, content, buffers: act(content.get("ask", "")))
