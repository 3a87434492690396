"""Wave: the waveform alone, to stand on top of every tab."""

from unispeech_lab.views.panel import Knob, Panel
from unispeech_lab.views.waveform import swing

watches = ()


def knobs(trace, utterance) -> dict[str, Knob]:
    return {}


def panels(trace, utterance) -> list[Panel]:
    """The waveform (n,), without the spectrogram that ``waveform`` draws beneath."""
    return [swing(utterance)]
