"""Usage: how often each codeword of a codebook is chosen over a corpus.

A bar is the share of frames whose arg-max a codeword is (hard), the line over it the mean of its softmax probability
(soft). Perplexity is exp(entropy) of either: as many codewords as are in use, were they used evenly.
"""

import numpy as np

from unispeech_lab import codebook
from unispeech_lab.analysis.codewords import ALL, CLASSES, ORDERS, Codewords, languages
from unispeech_lab.codebook import JOINT
from unispeech_lab.views.panel import Axis, Bars, Knob, Lines, Panel

scope = "corpus"
watches = ("quantizer.codes", "quantizer.logits")

LEGEND = (("—", "soft"), ("", "hard"), ("▼", "chosen"), ("×", "unused"))
SOFT, HARD, CHOSEN, UNUSED = range(4)


def knobs(survey, utterance) -> dict[str, Knob]:
    """What all views of codewords are turned by: one codeword is looked at in all of them."""
    groups, size = survey["quantizer.logits"].shape[1:]
    said = Codewords.of(survey).said
    busiest = said["uses"].where(said["kind"] != CLASSES.index("pause"), -1).argmax()  # of those that are speech
    spoken = languages(survey)
    return {
        "group": Knob((*range(groups), *([JOINT] if groups > 1 else [])), 0, "group"),
        "language": Knob(spoken if len(spoken) > 2 else (ALL,), ALL, "language"),
        "order": Knob(ORDERS, ORDERS[0], "order"),
        "codeword": Knob(range(size), int(busiest), "codeword"),
    }


def panels(survey, utterance, group: int | str, language: str, order: str, codeword: int) -> list[Panel]:
    """A bar a codeword, in the order of the other views."""
    chosen = Codewords.of(survey, group, language)
    said, places = chosen.said, chosen.arranged(order)
    total = max(len(chosen.rows), 1)
    shares = 100 * said["uses"].to_numpy()[places] / total
    kinds = np.where(shares > 0, HARD, UNUSED)
    kinds[places == codeword] = CHOSEN
    names = tuple(
        f"{name} /{phone}/" if phone else f"{name} unused" for name, phone in said.loc[places, ["name", "phone"]].values
    )
    sets = tuple({"codeword": int(place)} for place in places)
    legend = LEGEND if chosen.soft is not None else (("", ""), *LEGEND[1:])  # no line, nothing to tell of it
    bars = Bars(shares, names, kinds, legend, unit="%", quantity="share of frames", sets=sets)
    marks, top = [bars], shares.max(initial=0)
    if chosen.soft is not None:
        soft = 100 * chosen.soft[places]
        top = max(top, soft.max())
        sides = np.arange(len(soft))[:, None] + np.array([0.05, 0.95, 1.0])  # over each bar a stroke, then a break
        strokes = (soft[:, None] + np.array([0, 0, np.nan])).reshape(1, -1)
        marks.append(Lines(sides.ravel(), strokes, ("mean probability",), "%"))
    top = max(1.15 * top, 1e-3)
    axes = Axis("codeword", "", 0.0, float(len(places)), ticks(said, places, order)), Axis("frames", "%", 0.0, top)
    title = f"Codewords in use, {chosen.title}{within(language)}"
    words = f"{in_use(chosen)} {about(chosen, said, codeword)}"
    return [Panel("usage", title, marks, *axes, words, weight=2.2)]


def within(*restrictions: str) -> str:
    """What a title says of the frames that count: nothing, or ``, onset, it``."""
    return "".join(f", {what}" for what in restrictions if what != ALL)


def in_use(chosen: Codewords) -> str:
    """How many codewords are in use, how evenly, and which never are."""
    survey, rows = chosen.survey, chosen.rows
    groups, size = survey["quantizer.logits"].shape[1:]
    if not len(rows):
        return "No frame to count."
    if chosen.group == JOINT:
        counts = np.unique(codebook.joint(survey["quantizer.codes"][rows]), return_counts=True)[1]
        shown = (chosen.numbers >= 0).mean()
        return (
            f"{len(counts)} of {size**groups} combinations occur, perplexity {codebook.perplexity(counts[None]):.0f}; "
            f"the {chosen.size} most frequent, shown, have {shown:.0%} of the frames."
        )
    hard, soft = chosen.uses[None], chosen.soft[None]
    unused = [code for _, code in codebook.dead(hard)]
    never = f"dead: {', '.join(map(str, unused[:8]))}{' …' if len(unused) > 8 else ''}" if unused else "none dead"
    return (
        f"{size - len(unused)} of {size} in use ({never}), perplexity {codebook.perplexity(hard):.1f} hard, "
        f"{codebook.perplexity(soft):.1f} soft."
    )


def about(chosen: Codewords, said, codeword: int) -> str:
    """What one codeword stands for: ``Codeword 37 of group 0: 412 frames, 63% of them /s/, ...``."""
    if codeword >= chosen.size:
        return f"There are {chosen.size} {chosen.title}; number {codeword} is none of them."
    row = said.loc[codeword]
    text = f"Codeword {row['name']} of {chosen.title}: {row['uses']} frames"
    if not row["uses"]:
        return f"{text}: it is dead here."
    if not row["share"] > 0:
        return f"{text}."
    named = "in pauses" if CLASSES[row["kind"]] == "pause" else f"/{row['phone']}/"
    text += f", {row['share']:.0%} of them {named}"
    there = chosen.rows[(chosen.numbers == codeword) & (chosen.labels == row["phone"])]
    parts = chosen.survey.frames["part"].iloc[there].value_counts()
    if len(parts) and (share := parts.iloc[0] / parts.sum()) > 0.4:
        text += f", {share:.0%} of these {'at its' if parts.index[0] != 'middle' else 'in its'} {parts.index[0]}"
    return f"{text}."


def ticks(said, places: np.ndarray, order: str) -> tuple[tuple[float, str], ...]:
    """Names under the codewords in this order: of classes where those stand together, of numbers where they run."""
    if order == "by number":
        return tuple((place + 0.5, said["name"][place]) for place in range(0, len(places), max(len(places) // 8, 1)))
    if order != "by class":
        return ()
    kinds = said["kind"].to_numpy()[places]
    stretches = [(np.flatnonzero(kinds == kind), name) for kind, name in enumerate(CLASSES)]
    # a name where there is room for it: a letter takes 0.075 of the 5 inches that the narrowest of these pictures has
    return tuple((float(at.mean()) + 0.5, name) for at, name in stretches if len(at) / len(kinds) > 0.015 * len(name))
