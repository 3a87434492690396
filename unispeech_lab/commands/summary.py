"""Summary: an analysis as one page of HTML, its pictures inside, its tables below."""

from base64 import b64encode
from html import escape

from unispeech_lab import views as folder
from unispeech_lab.analyse import Analysis
from unispeech_lab.report import STYLE
from unispeech_lab.views import still

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
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1><p>{escape(facts)}</p>{f'<p>Left out:</p><ul>{left_out}</ul>' if left_out else ''}"
        f"{''.join(parts)}<h2>All numbers</h2>"
        f"{analysis.wide().to_html(float_format='{:.3f}'.format, na_rep='')}"
        f"<footer>With their intervals: layers.csv, baseline.csv (MFCC), similarity.csv, codebook.csv, segments.csv."
        f"</footer></body></html>\n"
    )


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
