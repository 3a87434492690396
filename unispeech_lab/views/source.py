"""Source: the utterance to look at, chosen among clips, from a file of one's own, or spoken into the microphone.

The browser decodes the file or the recording (any format it plays) and resamples it to 16 kHz mono; what arrives here
is plain PCM. Nothing leaves the machine. Without a microphone, or without leave to use it, the clips are still there.
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path

import anywidget
import numpy as np
import traitlets

from unispeech_lab.corpus import Utterance

HERE = Path(__file__).parent
LONGEST = 30.0  # seconds taken of a file or a recording: attention is seen whole, and grows with the square


class Source(anywidget.AnyWidget):
    """Choose an utterance: ``source.utterance`` is the choice, an Utterance; observe it to hear of another.

    ``utterances`` is a Corpus or a sequence of utterances, at least one; the first is chosen at the start.
    """

    _esm = HERE / "source.js"
    _css = HERE / "source.css"

    clips = traitlets.List().tag(sync=True)  # a label each
    chosen = traitlets.Int(0).tag(sync=True)  # position among the clips, -1 for one's own
    rate = traitlets.Int(Utterance.rate).tag(sync=True)
    longest = traitlets.Float(LONGEST).tag(sync=True)
    sound = traitlets.Dict().tag(
        sync=True
    )  # one's own: {"name", "pcm" (32-bit float, little-endian), "seconds" before the cut}
    note = traitlets.Unicode("").tag(sync=True)
    utterance = traitlets.Any()

    def __init__(self, utterances: Sequence):
        if not len(utterances):
            raise ValueError("expected at least one utterance to choose from, found none: try Corpus.bundled()")
        self.utterances = utterances
        super().__init__(clips=[label(utterance) for utterance in utterances], utterance=utterances[0])

    @traitlets.observe("chosen")
    def _choose(self, change) -> None:
        if change["new"] >= 0:
            self.utterance, self.note = self.utterances[change["new"]], ""

    @traitlets.observe("sound")
    def _take(self, change) -> None:
        waveform = np.frombuffer(change["new"]["pcm"], "<f4").copy()
        name = change["new"]["name"]
        if not len(waveform) or not np.isfinite(waveform).all():
            self.note = f"expected sound in {name}, found none: choose another"
            return
        self.chosen = -1
        self.utterance = Utterance(name, waveform)
        taken = len(waveform) / self.rate
        whole = change["new"].get("seconds", taken)
        self.note = (
            f"{name}: the first {taken:.0f} s of {whole:.0f}" if whole > taken + 0.5 else f"{name}: {taken:.2f} s"
        )

    def _repr_mimebundle_(self, **kwargs):
        bundle, metadata = super()._repr_mimebundle_(**kwargs)
        said = f"{len(self.clips)} clips, a file of your own, or your microphone. Chosen: {self.utterance!r}"
        return {**bundle, "text/plain": said, "text/html": f"<p>{escape(said)}</p>"}, metadata


def label(utterance) -> str:
    """``en · Lord, but I'm glad to see you again``, as the menu shows it."""
    return " · ".join(part for part in (utterance.language, utterance.speaker, utterance.text or utterance.id) if part)
