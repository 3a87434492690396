"""Summary: an analysis as one page of HTML, its pictures inside, its tables below."""

from base64 import b64encode
from html import escape

from unispeech_lab import views as folder
from unispeech_lab.analyse import Analysis
from unispeech_lab.report import STYLE
from unispeech_lab.views import still

LOOKS = (
    STYLE
    + """
:root { color-scheme: light dark; }
h1 { overflow-wrap: anywhere; } .wide { overflow-x: auto; }
.wide th, .wide td { padding: 2px 8px; white-space: nowrap; }
.wide tr > :nth-child(-n+2) { text-align: left; }
@media (prefers-color-scheme: dark) {
  body { background: #14171b; color: #e4e7eb; } .words, footer { color: #a9b2bd; }
  h2, th, td { border-color: #3a424c; } img { border-radius: 4px; }
}
"""
)
MEANINGS = {  # measure -> what its numbers say
    "probe": "share of rows whose label a line reads right, on voices or utterances that it was not fitted on",
    "control": "the same of labels dealt at random: what the line learns by heart",
    "selectivity": "probe less control: what is read and not learned by heart",
    "cca": "mean correlation of the directions that correlate most, found on other utterances; 0 none, 1 all",
    "svcca": "the same of the directions that hold 99 % of the variance",
    "pwcca": "the same, each direction weighed by how much of the layer it makes up: compare layers by this one",
    "cka": "whether the same rows are alike in both, whatever the rotation; 0 not at all, 1 wholly",
    "information": "share of what there is to know of the phone that a cluster of states tells, chance taken off",
    "abx": "how often X is nearer to another phone than to its own; 0.5 is guessing, less is better",
}
BORDERS = (
    "R-value: 1 where exactly the true borders are found; unlike F1 it cannot be bought with more of them, and falls "
    "below 0 where far too many are set."
)

LAYERED = (  # measure, heading
    ("probe", "What a line can read"),
    ("abx", "What lies nearer together, without training"),
    ("pwcca", "What correlates on speech that was held out"),
    ("information", "What clusters of states tell of phones"),
)


def page(analysis: Analysis) -> str:
    """The page, as text; what was not measured is not on it."""
    about = analysis.about
    title = f"{about['model']} on {about['corpus']}"
    measured = set(analysis.layers["measure"])
    parts = [
        section(heading, "layerwise", analysis, measure=measure) for measure, heading in LAYERED if measure in measured
    ]
    for name, heading, table in (
        ("likeness", "Which layers are alike", analysis.similarity),
        ("codes_by_position", "What the codes tell", analysis.codebook),
        ("segmentation", "Borders", analysis.segments),
    ):
        parts += [section(heading, name, analysis)] if len(table) else []
    left_out = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in about.get("left_out", {}).items())
    facts = f"{about['provenance']}; {about['utterances']} utterances; seed {about['seed']}; {about['seconds']:.0f} s"
    numbers = analysis.wide().reset_index()
    numbers.columns.name = None
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{LOOKS}</style></head><body>'
        f"<h1>{escape(title)}</h1><p>{escape(facts)}</p>{f'<p>Left out:</p><ul>{left_out}</ul>' if left_out else ''}"
        f"{''.join(parts)}<h2>All numbers</h2>{meanings(measured, bool(len(analysis.segments)))}"
        f'<div class="wide">{numbers.to_html(float_format="{:.3f}".format, na_rep="", border=0, index=False)}</div>'
        f"<footer>With their intervals: layers.csv, baseline.csv (MFCC), similarity.csv, codebook.csv, segments.csv."
        f"</footer></body></html>\n"
    )


def meanings(measured: set[str], borders: bool) -> str:
    """What the measures on the page mean, a line each."""
    told = [f"<b>{name}</b>: {escape(said)}" for name, said in MEANINGS.items() if name in measured]
    lines = [*told, *([escape(BORDERS)] if borders else [])]
    return f'<ul class="words">{"".join(f"<li>{line}</li>" for line in lines)}</ul>'


def section(heading: str, name: str, analysis: Analysis, **knobs) -> str:
    """A view of the analysis as a heading, its still picture, and what each panel says."""
    view = folder.load(name)
    offered = {knob: choice.default for knob, choice in view.knobs(analysis).items()}
    if "measure" in knobs and "target" in offered:
        targets = list(dict.fromkeys(analysis.of(knobs["measure"])["target"]))
        offered["target"] = next((name for name in ("phone", "phone across") if name in targets), targets[0])
    panels = view.panels(analysis, **offered | knobs)
    picture = b64encode(still.png(panels)).decode()
    said = "".join(f"<li><b>{escape(panel.title)}.</b> {escape(panel.words)}</li>" for panel in panels if panel.words)
    return (
        f'<section><h2>{escape(heading)}</h2><img alt="{escape(still.words(panels))}" '
        f'src="data:image/png;base64,{picture}"><ul class="words">{said}</ul></section>'
    )
