"""Codes by phone: which codewords are chosen in which phones, over a corpus.

A cell is P(phone | codeword) or P(codeword | phone). Clustered, rows and columns of alike shares lie side by side, so
that a codebook which knows phones shows blocks; a codebook which does not shows stripes.
"""

import numpy as np

from unispeech_lab import codebook
from unispeech_lab.analysis.codewords import ALL, CLASSES, PAUSE, Codewords, class_of
from unispeech_lab.codebook import PARTS
from unispeech_lab.views import usage
from unispeech_lab.views.panel import Axis, Heatmap, Knob, Lines, Panel, Table, nowhere

scope = "corpus"
watches = usage.watches

BY_CODE, BY_PHONE = "P(phone | codeword)", "P(codeword | phone)"
MOST = 40  # phones there is room to name


def knobs(survey, utterance) -> dict[str, Knob]:
    return usage.knobs(survey, utterance) | {
        "part": Knob((ALL, *PARTS), ALL, "part of the phone"),
        "shares": Knob((BY_CODE, BY_PHONE), BY_CODE, "a cell is"),
    }


def panels(
    survey, utterance, group: int | str, language: str, order: str, codeword: int, part: str, shares: str
) -> list[Panel]:
    """The heat map, the chosen codeword framed; beside it a row a codeword."""
    chosen = Codewords.of(survey, group, language, part)
    counts, said = chosen.counts, chosen.said
    frequent = counts.sum(axis=1).sort_values(ascending=False, kind="stable").index[:MOST]
    columns = chosen.arranged(order)
    rows = upright(counts.loc[frequent], order)[::-1]  # the first on top
    sums = counts.sum(axis=0 if shares == BY_CODE else 1)
    cells = counts.divide(sums.where(sums > 0), axis=1 if shares == BY_CODE else 0).loc[rows, columns].to_numpy()
    words = f"{knows(chosen)} {usage.about(chosen, said, codeword)}"
    if not len(rows):
        cells, rows = np.full((1, len(columns)), np.nan), ["?"]
    box = (0.0, float(len(columns))), (0.0, float(len(rows)))
    picture = Heatmap(
        cells,
        *box,
        0.0,
        max(float(np.ceil(20 * np.nanmax(cells, initial=0.0))) / 20, 0.05),
        quantity=shares,
        rows=tuple(rows),
        columns=tuple(said["name"][columns]),
        sets=(("codeword", tuple(columns.tolist())), ""),
    )
    at = float(np.flatnonzero(columns == codeword).max(initial=-2))
    # two upright lines, with breaks beside them so that the pointer reads the cells alone
    across = at + np.array([-0.01, 0.0, 0.0, 0.01, 0.99, 1.0, 1.0, 1.01])
    upwards = box[1][1] * np.array([[np.nan, 0, 1, np.nan, np.nan, 0, 1, np.nan]])
    frame = Lines(across, upwards, (f"frame around {codeword}",))
    named = tuple((k + 0.5, phone) for k, phone in enumerate(rows))
    heat = Panel(
        "codes_by_phone",
        f"Codes and phones, {chosen.title}{usage.within(part, language)}",
        (picture, frame) if at >= 0 else (picture,),
        Axis("codeword", "", *box[0], usage.ticks(said, columns, order)),
        Axis("phone", "", *box[1], named),
        words,
        weight=6.0,
        share=0.62,
    )
    return [heat, listed(chosen, said, codeword)]


def upright(counts, order: str) -> list[str]:
    """The phones from top to bottom: in the order that the codewords have from left to right."""
    if order == "by use":
        return list(counts.index)
    if order == "clustered":
        return counts.index[codebook.similar(counts.to_numpy())].tolist()
    return sorted(counts.index, key=lambda phone: (CLASSES.index(class_of(phone)), phone))


def knows(chosen: Codewords) -> str:
    """How much the codes say of the phones."""
    found = chosen.agreement
    if not found:
        return "Nobody says which phones these frames lie in."
    return (
        f"NMI (the V-measure) {found['nmi']:.2f}, by chance {found['chance']:.2f}; purity {found['purity']:.0%} of "
        f"{found['frames']} frames within phones."
    )


def listed(chosen: Codewords, said, codeword: int) -> Panel:
    """A row a codeword, the most used first; a click looks at it."""
    columns = (("code", ""), ("use", "%"), ("phone", ""), ("purity", "%"), ("class", ""))
    rows = tuple(
        (
            float(row.name) if row.name.isdigit() else row.name,
            100 * row.uses / max(len(chosen.rows), 1),
            row.phone,
            100 * row.share if row.uses else np.nan,
            "dead" if not row.uses else CLASSES[row.kind],
        )
        for row in said.itertuples(index=False)
    )
    sets = tuple({"codeword": k} for k in range(len(rows)))
    table = Table(columns, rows, by=1, chosen=codeword if codeword < len(rows) else -1, sets=sets)
    seldom = len(chosen.rows) / (10 * len(said))  # a codeword chosen once is pure by chance
    of = said[(said["uses"] > seldom) & (said["phone"] != PAUSE) & said["share"].notna()]
    words = ""
    if len(of):
        best = of.loc[of["share"].idxmax()]
        words = f"Purest: {best['name']}, {best['share']:.0%} /{best['phone']}/."
    return Panel("codewords", "Codewords", (table,), *nowhere(), words, weight=6.0, share=0.38)
