"""Truth: the phones and words that were really spoken, to lie under everything else."""

from unispeech_lab.views.panel import Axis, Knob, Panel, Spans, clock

watches = ()


def knobs(trace, utterance) -> dict[str, Knob]:
    return {}


def panels(trace, utterance) -> list[Panel]:
    """Two tiers: words over phones, each span with its true start and end."""
    time = clock(len(utterance.waveform) / utterance.rate)
    tiers = Axis("tier", "", 0.0, 2.0, ((0.5, "phones"), (1.5, "words")))
    phones = Spans("phones", utterance.phones, (0.0, 1.0))
    words = Spans("words", utterance.words, (1.0, 2.0))
    if not utterance.phones:
        says = "Nobody has measured when its phones begin and end."
    else:
        longest = max(utterance.phones, key=lambda span: span.duration)
        says = f"{len(utterance.phones)} phones; the longest is {longest.label}, {1000 * longest.duration:.0f} ms."
        borrowed = [span.label for span in utterance.phones if span.score == 0.0]
        if borrowed:
            says += f" The times of {' '.join(borrowed)} are a convention, not measured."
    return [Panel("truth", "What was said", (phones, words), time, tiers, says, weight=0.9)]
