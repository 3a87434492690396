"""Tables: means of cells with intervals, methods compared in pairs, beside the paper; as numbers, as Markdown."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from experiments.cross_lingual.methods import ABLATIONS, METHODS, PAPER, TABLE
from unispeech_lab.analysis.bootstrap import half_width, student_p

OURS = "unispeech"
KINDS = ["known", "new"]
ABOUT = ("average", "half", "seeds", "paired", "ours", "difference", "difference_half", "pairs", "p", "paper")


def table(cells: pd.DataFrame, setting: str, methods: Sequence[str] = tuple(m.name for m in TABLE)) -> pd.DataFrame:
    """A row a method: ``per`` of each target (mean over seeds), ``average`` over targets, and how sure it is.

    ``half``: half the 95 % interval of the average over ``seeds`` (Student's t). A seed without all targets counts for
    no mean, unless there is no other; ``by_seed`` has it. ``paired``, ``ours``, ``difference``: the averages of this
    method and of UniSpeech over the targets that both have of a seed, which need not be the runs of ``average``, and
    how much worse this one is, with its own ``difference_half``, over so many ``pairs`` of seeds: the targets of a seed
    share their stage 1, and are no pairs by themselves. ``p``: that neither is better, by the paired t test.

    Raises:
        ValueError: none of these methods has a cell in this setting.
    """
    here = cells[(cells["setting"] == setting) & cells["method"].isin(methods)]
    if here.empty:
        raise ValueError(f"expected cells of {', '.join(methods)} in {setting}, found none: run them first")
    wide = by_language(here).pivot(index=["method", "seed"], columns="target", values="per")
    ours = wide.xs(OURS, level="method") if OURS in set(here["method"]) else None
    rows = []
    for name in (name for name in METHODS if name in set(here["method"])):
        mine = wide.xs(name, level="method")
        whole = mine.dropna()
        means = whole.mean(axis=1)
        apart = pd.DataFrame(dtype=float) if ours is None or name == OURS else mine.sub(ours).dropna(how="all")
        each = apart.mean(axis=1)  # a seed counts once
        alike = mine.where(apart.notna()).mean(axis=1).mean() if len(each) else np.nan
        rows.append(
            {
                "method": name,
                **(whole if len(whole) else mine).mean().to_dict(),
                "average": means.mean(),
                "half": half_width(means),
                "seeds": len(means),
                "paired": alike,
                "ours": alike - each.mean() if len(each) else np.nan,
                "difference": each.mean() if len(each) else np.nan,
                "difference_half": half_width(each),
                "pairs": len(each),
                "p": student_p(each),
                "paper": PAPER.get(METHODS[name].paper, np.nan),
            }
        )
    return pd.DataFrame(rows).set_index("method")


def by_language(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells with a row a language: those of targets that were learned together (``es+sv``) come apart."""
    joined = cells[cells["target"].str.contains("+", regex=False)]
    languages = sorted({language for target in joined["target"] for language in target.split("+")})
    apart = [joined.assign(target=language, per=joined[f"per_{language}"]) for language in languages]
    return pd.concat([cells.drop(joined.index), *apart], ignore_index=True).dropna(subset="per")


def ablations(cells: pd.DataFrame, setting: str = "one-to-one") -> pd.DataFrame:
    """The table of UniSpeech, its parents and its ablations, over the targets and seeds that all of these have."""
    wanted = ["supervised", "wav2vec2", "unispeech_r0", OURS, *(method.name for method in ABLATIONS)]
    return table(shared(cells, setting, wanted), setting, wanted)


def shared(cells: pd.DataFrame, setting: str, methods: Sequence[str]) -> pd.DataFrame:
    """The cells of a setting whose target and seed all of these methods have, as far as they have any."""
    here = cells[(cells["setting"] == setting) & cells["method"].isin(methods)]
    count = here.groupby(["target", "seed"])["method"].transform("nunique")
    return here[count == here["method"].nunique()]


def markdown(found: pd.DataFrame) -> str:
    """The table as people read it, error rates in %."""
    targets = targets_of(found)
    head = ["method", *targets, "average", "in pairs with UniSpeech", "p", "paper's average"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, row in found.iterrows():
        difference = told(row["difference"], row["difference_half"], "+")
        pairs = f"{told(row['paired'])} to {told(row['ours'])}: {difference} ({int(row['pairs'])})"
        p = "" if np.isnan(row["p"]) else f"{row['p']:.3f}"
        paper = "" if np.isnan(row["paper"]) else f"{row['paper']:.1f}"
        average = f"{told(row['average'], row['half'])} ({int(row['seeds'])})" if row["seeds"] else ""
        lines.append([name, *(told(row[target]) for target in targets), average, difference and pairs, p, paper])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def plain(each: pd.DataFrame) -> str:
    """A table of error rates alone, in %."""
    lines = [["method, target and seed", *each], ["---", *["---:"] * each.shape[1]]]
    lines += [[name, *map(told, row)] for name, row in zip(each.index, each.to_numpy(float), strict=True)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def told(share: float, half: float = np.nan, sign: str = "") -> str:
    """A share in %, with half its interval where there is one; nothing for NaN."""
    spread = "" if np.isnan(half) else f" ± {100 * half:.1f}"
    return "" if np.isnan(share) else f"{100 * share:{sign}.1f}{spread}"


def targets_of(found: pd.DataFrame) -> list[str]:
    return [name for name in found if name not in ABOUT]


def by_seed(cells: pd.DataFrame, setting: str, methods: Sequence[str] = tuple(m.name for m in TABLE)) -> pd.DataFrame:
    """``per`` with a row a method, a column a target and a seed (``"es, 0"``); NaN where it was not run."""
    here = by_language(cells[(cells["setting"] == setting) & cells["method"].isin(methods)])
    wide = here.pivot(index="method", columns=["target", "seed"], values="per").sort_index(axis="columns")
    wide.columns = [f"{target}, {seed}" for target, seed in wide.columns]
    return wide.reindex([name for name in METHODS if name in wide.index])


def by_kind(cells: pd.DataFrame, setting: str, methods: Sequence[str] = tuple(m.name for m in TABLE)) -> pd.DataFrame:
    """What a method misses of phones that the source has (``known``) and has not (``new``), over targets, then seeds.

    Beside each, half of its interval over seeds. Seeds without all targets are left out, unless there is no other.
    """
    here = cells[(cells["setting"] == setting) & cells["method"].isin(methods)].dropna(subset=KINDS)
    count = here.groupby(["method", "seed"])["target"].transform("nunique")
    here = here[count == count.groupby(here["method"]).transform("max")]
    each = here.groupby(["method", "seed"])[KINDS].mean().groupby("method")
    found = each.mean().join(each.agg(half_width).add_suffix("_half"))
    return found.reindex([name for name in METHODS if name in found.index])


def markdown_of_kinds(found: pd.DataFrame) -> str:
    """``by_kind`` as people read it, in %."""
    lines = [["method", "phones that the source has", "other phones"], ["---", "---:", "---:"]]
    lines += [[name, *(told(row[kind], row[f"{kind}_half"]) for kind in KINDS)] for name, row in found.iterrows()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
