"""Conditions: what can be wrong with a run, each a function of its log that says how it is recognised.

Each returns a ``Finding``, or a sentence on what it saw that was well, or None where the log does not tell. Nothing but
NaN is judged in the first ``START`` steps: there the weights are random and the learning rate rises. "Late" is the last
quarter of the lines, as a median: one odd batch decides nothing.

Where the thresholds come from: healthy and sick runs of the small model (``data/runs``), wav2vec 2.0's own logs and the
threads on collapsed ones (fairseq #3109, #3391, #3687, #3735; transformers #14387).
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .log import Log

START = 100  # steps; by then every healthy run here had 4 times as many codewords in use as a collapsed one
PLATEAU = 1000  # steps; healthy runs here told codewords apart after 200 to 400 steps, said phones after 350 to 600
BLANK = 0.99  # of the frames
CHANCE = 0.97  # of ln(1 + negatives), what guessing costs: healthy plateaus lie at 0.995 to 1.005 of it


@dataclass(frozen=True)
class Finding:
    """Something wrong: ``severity`` is "ill" (stop and change it) or "watch"; ``lines`` quote the log."""

    name: str
    severity: str
    title: str
    cause: str
    cure: str
    lines: tuple[str, ...] = ()
    steps: tuple[int, int] = (0, 0)  # from where to where it shows
    also: tuple[str, ...] = ()  # names of findings that come of this one


def late(series: pd.Series) -> pd.Series:
    """The last quarter of the lines, three at least."""
    return series.iloc[-max(3, len(series) // 4) :]


def quote(log: Log, steps, *names: str) -> tuple[str, ...]:
    """Lines of the log at these steps: the step, then the values asked for."""
    columns = {name: log.series(name, finite=False) for name in names}
    said = []
    for step in dict.fromkeys(int(step) for step in steps):
        values = [f"{name} {column[step]:.4g}" for name, column in columns.items() if step in column.index]
        said.append(f"step {step}: {', '.join(values)}")
    return tuple(said)


def ends(series: pd.Series) -> list[int]:
    """Where a stretch begins, its middle, where it ends."""
    index = series.index
    return [index[0], index[len(index) // 2], index[-1]]


def judged(log: Log, series: pd.Series, after: int = START) -> bool:
    """Whether there is enough of it to judge: three lines, the last beyond ``after``."""
    return len(series) >= 3 and series.index[-1] >= after


def size(log: Log) -> tuple[int, int]:
    """(groups, codewords) of the codebook; where nobody says, wav2vec 2.0's own 2 x 320."""
    return int(log.facts.get("groups", 2)), int(log.facts.get("num_codewords", 640))


def chance(log: Log) -> float:
    """What the contrastive loss is when all candidates are equally near."""
    return math.log(1 + log.facts.get("num_negatives", 100))


def setting(log: Log, name: str) -> str:
    """``name`` with its value, where the run says it."""
    value = log.weights.get("diversity") if name == "diversity_loss_weight" else log.facts.get(name)
    return f"{name} (now {value:.3g})" if isinstance(value, int | float) and not isinstance(value, bool) else name


def first_nan(log: Log) -> float | None:
    """The step from which on no loss is a number any more; None if the last one is."""
    loss = log.series("loss", finite=False)
    broken = ~np.isfinite(loss)
    if not len(loss) or not broken.iloc[-1]:
        return None
    return loss.index[len(loss) - broken[::-1].cumprod().sum()]


def nan(log: Log) -> Finding | str | None:
    loss = log.series("loss", finite=False)
    if not len(loss):
        return None
    odd = loss[~np.isfinite(loss)]
    refused = [event for event in log.events if event.get("event") == "no update"]
    # A loss scaler in half precision looks for its scale by overflowing now and then; more than that is a disease.
    often = len(refused) > max(5, 0.02 * log.last_step)
    if not len(odd) and not often:
        more = f"; {len(refused)} steps without an update" if refused else ""
        return f"all {len(loss)} losses are numbers{more}"
    since = first_nan(log)
    steps = list(odd.index[:2]) + list(odd.index[-1:])
    before = loss.index[loss.index < steps[0]][-1:] if steps else []
    lines = quote(log, [*before, *steps], "loss", "ctc", "contrastive", "grad_norm", "lr")
    lines += tuple(f"step {event['step']:.0f}: no update, {event.get('what', '')}" for event in refused[:2])
    at = int(steps[0]) if steps else int(refused[0]["step"])
    if since is None:
        return Finding(
            "nan",
            "ill" if often else "watch",
            "Some losses are no numbers" if len(odd) else "Many steps changed nothing",
            "A few batches give infinity or NaN, the weights are still whole: labels that do not fit their frames, an "
            "utterance of silence, or half precision.",
            "ctc_zero_infinity=True in the config; leave those utterances out; mixed_precision='bf16' or 'no' for "
            "'fp16'",
            lines,
            (at, log.last_step),
        )
    ctc = log.series("ctc", finite=False)
    other = log.series("contrastive", finite=False)
    norm = log.series("grad_norm", finite=False)
    rose = norm[norm.index < at]
    if at in ctc.index and not np.isfinite(ctc[at]) and at in other.index and np.isfinite(other[at]):
        why, do = (
            "The CTC term alone broke first: labels that do not fit their frames.",
            "ctc_zero_infinity=True in the config, or leave those utterances out",
        )
    elif len(rose) > 3 and rose.iloc[-1] > 10 * rose.median():
        why, do = (
            "The gradient grew more than tenfold before: the steps were too long.",
            f"a tenth of {setting(log, 'learning_rate')}, and a longer warmup (0.1 of the steps)",
        )
    else:
        why, do = (
            "It came at once, with no growing gradient before: a division by 0 (Adam's eps, a norm over silence) or "
            "a number too large for half precision.",
            "eps=1e-6; mixed_precision='no'; look for silent or clipped recordings; if it stays, a tenth of "
            + setting(log, "learning_rate"),
        )
    title = f"No number since step {since:.0f}"
    return Finding("nan", "ill", title, why + " Go back to a checkpoint before it.", do, lines, (at, log.last_step))


def learning_rate(log: Log) -> Finding | str | None:
    loss = log.series("loss")
    if not judged(log, loss) or len(loss) < 8:
        return None
    smooth = loss.rolling(3, center=True, min_periods=2).median()
    best, now = smooth.min(), late(loss).median()
    calm = loss.rolling(9, center=True, min_periods=5).median()
    spikes = loss[(loss > 3 * calm) & (loss > calm + 1) & (loss.index > START)]
    # Half as much again and a quarter nat: noise between batches is a fifth, and means nothing near 0.
    diverged = now > 1.5 * best and now > best + 0.25 and smooth.idxmin() < late(loss).index[0]
    if not diverged and len(spikes) < 3:
        return f"the loss ends at {now:.3g}, its best was {best:.3g}; {len(spikes)} spikes"
    worst = [smooth.idxmin(), *(ends(late(loss)) if diverged else spikes.index[:4])]
    what = f"{best:.3g} at step {smooth.idxmin():.0f}, {now:.3g} late" if diverged else f"{len(spikes)} spikes"
    return Finding(
        "learning_rate",
        "ill",
        f"The loss {'rose again' if diverged else 'jumps'}: {what}",
        "Steps too long for the curvature: the learning rate is too high, or rises too fast. What else is found below "
        "may come of it.",
        f"a tenth of {setting(log, 'learning_rate')}; warmup=0.1; clip=1 stops single jumps",
        quote(log, worst, "loss", "grad_norm", "lr"),
        (int(smooth.idxmin()), log.last_step),
    )


def equal_negatives(log: Log) -> Finding | str | None:
    loss, equal = log.series("contrastive"), log.series("equal_negatives")
    if not judged(log, loss):
        return None
    groups, codewords = size(log)
    now = late(loss).median()
    share = late(equal).median() if len(equal) else math.nan
    used = log.series("perplexity")
    # Without the share itself: a loss of nearly nothing is one that all codes being equal explains, if they are.
    explained = share >= 0.5 if len(equal) else len(used) > 0 and late(used).median() <= 2 * groups
    if now > 0.25 * chance(log) or not explained:
        said = "" if math.isnan(share) else f", {share:.0%} of the negatives equal their positive"
        return f"contrastive loss {now:.3g}, guessing costs {chance(log):.3g}{said}"
    begins = loss[loss <= 0.25 * chance(log)].index[0]
    return Finding(
        "equal_negatives",
        "ill",
        f"The contrastive loss falls to {now:.2g} without learning",
        "Negatives with their positive's codes are left out of the softmax. So few codewords are in use that hardly "
        "any negative is left, and a question without wrong answers costs nothing: collapse is rewarded.",
        f"equal_negatives='kept' in the objective; raise {setting(log, 'diversity_loss_weight')} to 0.3; "
        f"num_codevectors_per_group=64 or more (now {codewords // groups}); lower {setting(log, 'learning_rate')}",
        quote(
            log, [loss.index[0], begins, *ends(late(loss))], "contrastive", "equal_negatives", "perplexity", "accuracy"
        ),
        (int(begins), log.last_step),
    )


def collapse(log: Log) -> Finding | str | None:
    used = log.series("perplexity") if len(log.series("perplexity")) else log.series("code_perplexity")
    if not judged(log, used):
        return None
    groups, codewords = size(log)
    now = late(used).median()
    # Twice the least there is, that is one bit a codebook at most, as long as this is far from all there is.
    limit = groups + min(groups, 0.1 * (codewords - groups))
    few = groups + min(3 * groups, 0.25 * (codewords - groups))
    raised = f"raise {setting(log, 'diversity_loss_weight')} to {max(0.3, 3 * log.weights.get('diversity', 0.1)):.2g}"
    if now > limit and (now > few or not judged(log, used, 3 * START)):
        return f"perplexity {now:.3g} of {codewords} (collapsed: {limit:.3g} or less; the least is {groups})"
    begins = used[used <= max(limit, now)].index[0]
    if now > limit:
        return Finding(
            "few_codewords",
            "watch",
            f"Few codewords are in use: perplexity {now:.3g} of {codewords}",
            f"Fewer than four codewords in each of {groups} codebooks: not collapsed, but close to it, and less than "
            "phones need.",
            raised,
            quote(log, [used.index[0], begins, *ends(late(used))], "perplexity", "code_perplexity", "equal_negatives"),
            (int(begins), log.last_step),
        )
    return Finding(
        "collapse",
        "ill",
        f"The codebook has collapsed: perplexity {now:.3g} of {codewords}",
        f"Nearly all frames choose the same codeword of each of the {groups} codebooks (perplexity {groups} is the "
        "least there is): the codes say nothing of the sound, so there is nothing to predict.",
        f"{raised}; lower {setting(log, 'learning_rate')}; begin again: a collapsed codebook hardly ever comes back",
        quote(log, [used.index[0], begins, *ends(late(used))], "perplexity", "code_perplexity", "equal_negatives"),
        (int(begins), log.last_step),
    )


def diversity(log: Log) -> Finding | str | None:
    used, loss = log.series("perplexity"), log.series("contrastive")
    if not judged(log, used) or not judged(log, loss):
        return None
    _, codewords = size(log)
    full, guess = late(used).median() / codewords, late(loss).median() / chance(log)
    weight = log.weights.get("diversity")
    # The term can move the loss by its weight at most, the contrastive one by the cost of guessing: from there on the
    # codebook gains more by being spread than by being predictable. Unless the weight can be told, time has to.
    heavy = weight > chance(log) if weight is not None else judged(log, loss, 2 * PLATEAU)
    if full < 0.95 or guess < CHANCE or not heavy:
        said = "" if weight is None else f", weight {weight:.3g}"
        return f"diversity: {full:.0%} of the codebook in use{said}"
    names = ("perplexity", "diversity", "contrastive", "accuracy")
    told = "" if weight is None else f" (weight {weight:.3g})"
    return Finding(
        "diversity",
        "ill",
        f"The diversity term has won{told}: {full:.1%} of the codebook in use, predictions by chance",
        "Codes are spread as evenly as can be, and so like noise that no context predicts them: the contrastive loss "
        f"stays at ln(1 + negatives) = {chance(log):.3g}.",
        f"lower {setting(log, 'diversity_loss_weight')} to 0.3 or 0.1",
        quote(log, [used.index[0], *ends(late(used))], *names),
        (int(used.index[0]), log.last_step),
    )


def guessing(log: Log) -> Finding | str | None:
    loss = log.series("contrastive")
    if not judged(log, loss):
        return None
    guess = late(loss).median() / chance(log)
    right = log.series("accuracy")
    said = f", accuracy {late(right).median():.2g}" if len(right) else ""
    if guess < CHANCE or not judged(log, loss, 2 * PLATEAU):
        early = "; still on its first plateau, as is normal" if guess >= CHANCE else ""
        return f"contrastive loss at {guess:.0%} of guessing{said}{early}"
    return Finding(
        "guessing",
        "watch",
        f"After {log.last_step} steps the contrastive loss is still that of guessing",
        "Masked frames cannot be told from others: spans too long to bridge for this model, too little learning, or "
        "codes that are mostly noise.",
        "mask_time_length=3 (60 ms) for a small model; a higher learning_rate; a larger batch_seconds",
        quote(log, [loss.index[0], *ends(late(loss))], "contrastive", "accuracy", "perplexity"),
        (int(loss.index[0]), log.last_step),
    )


def ctc_blank(log: Log) -> Finding | str | None:
    blank = log.series("blank")
    wrong = [column for name in ("per", "wer", "cer") if len(column := log.series("valid_" + name))]
    if len(blank):
        silent = late(blank).median() >= BLANK
        seen = f"{late(blank).median():.0%} of the frames say blank"
    elif wrong:
        silent, seen = late(wrong[0]).min() >= 0.99, f"validation errs in {wrong[0].iloc[-1]:.0%}"
    else:
        return None
    if wrong and late(wrong[0]).min() < 0.99:
        silent = False
    if not silent or log.last_step < START:
        return seen
    if log.last_step < PLATEAU and not log.finished:
        return f"{seen}: normal before about step {PLATEAU}, CTC learns this first"
    column = blank if len(blank) else wrong[0]
    ctc = log.series("ctc")
    flat = len(ctc) >= 8 and late(ctc).median() > 0.97 * late(ctc.iloc[: -len(late(ctc))]).median()
    lines = quote(log, [column.index[0], *ends(late(column))], "blank", "ctc", "valid_per", "valid_wer", "lr")
    if wrong:
        lines += quote(log, wrong[0].index[-1:], wrong[0].name)
    if log.last_step < PLATEAU:
        return Finding(
            "too_short",
            "watch",
            f"The run ended after {log.last_step} steps, before CTC said a phone",
            "CTC first learns to say blank everywhere; phones come after hundreds of steps. This run ended before.",
            f"steps={2 * PLATEAU} or more",
            tuple(dict.fromkeys(lines)),
            (0, log.last_step),
        )
    stuck = "and the CTC loss no longer falls" if flat else "though the CTC loss still falls slowly"
    return Finding(
        "ctc_blank",
        "ill",
        f"CTC says nothing but blank after {log.last_step} steps",
        f"Blank everywhere is CTC's first resting place, {stuck}: the steps are too short to leave it, labels and "
        "speech do not belong together, or the blank's class is not the one the labels were made for.",
        f"ten times {setting(log, 'learning_rate')}, if below 1e-3; listen to an utterance beside its phones; check "
        "ctc_blank; fewer frames masked (mask_time_prob=0.3), less replaced (replace_prob=0.25)",
        tuple(dict.fromkeys(lines)),
        (int(column.index[0]), log.last_step),
    )


def overfitting(log: Log) -> Finding | str | None:
    valid, loss = log.series("valid_loss"), log.series("loss")
    if len(valid) < 4:
        return None
    best, now = valid.min(), valid.iloc[-1]
    back = len(valid) - 1 - int(np.argmin(valid.to_numpy()))
    # A tenth worse for three validations or more, while the training loss went on falling.
    if now <= 1.1 * best or back < 3 or valid.idxmin() < START:
        return f"validation ends at {now:.3g}, its best was {best:.3g}"
    then = loss[loss.index <= valid.idxmin()].iloc[-5:].median() if len(loss) else math.nan
    if len(loss) and late(loss).median() >= then:
        return f"validation ends at {now:.3g}, its best was {best:.3g}"
    return Finding(
        "overfitting",
        "watch",
        f"Validation has risen since step {valid.idxmin():.0f}, from {best:.3g} to {now:.3g}",
        "The training loss still falls: the model learns its utterances by heart.",
        f"stop at steps={valid.idxmin():.0f}; augment=True; more speech, more voices; hidden_dropout=0.1",
        quote(log, [valid.idxmin(), *valid.index[-2:]], "valid_loss", "loss"),
        (int(valid.idxmin()), log.last_step),
    )


def clipped(log: Log) -> Finding | str | None:
    norm, limit = log.series("grad_norm"), log.facts.get("clip")
    share = log.series("clipped") / 100  # fairseq says it itself
    if not len(share) and limit:
        share = (norm > limit).astype(float)
    share = share[share.index > START]
    if len(share) < 5:
        return None
    often = share.mean()
    if often < 0.9:
        return f"gradients clipped in {often:.0%} of the lines"
    return Finding(
        "clipped",
        "watch",
        f"The gradient is clipped in {often:.0%} of the lines",
        "Clipping is for the odd batch; if it cuts every one, it hides how large the gradients are, and batches no "
        "longer weigh as they should.",
        f"raise {setting(log, 'clip')}" + (f" to {3 * norm.median():.2g}" if len(norm) else ""),
        quote(log, ends(share), "grad_norm", "clipped"),
        (int(share.index[0]), log.last_step),
    )


def left_out(log: Log) -> Finding | str | None:
    said = [event for event in log.events if event.get("event") == "left out"]
    names = dict.fromkeys(str(event.get("what", "")) for event in said)
    if len(names) < 10:  # a few bad files are in every corpus
        return f"{len(names)} utterances left out" if log.events or "groups" in log.facts else None
    return Finding(
        "left_out",
        "watch",
        f"{len(names)} utterances were left out",
        "They could not be read, or their labels do not fit their frames.",
        "mend the files named below; least_seconds and most_seconds say what is too short or too long",
        tuple(f"step {event['step']:.0f}: {event.get('what', '')}" for event in said[:4]),
        (int(said[0]["step"]), log.last_step),
    )


def temperature(log: Log) -> Finding | str | None:
    heat = log.series("temperature")
    if len(heat) < 3:
        return None
    if heat.iloc[-1] <= 0.9 * heat.iloc[0] or heat.iloc[0] <= 1 or not (log.finished and judged(log, heat, PLATEAU)):
        return f"Gumbel temperature from {heat.iloc[0]:.3g} to {heat.iloc[-1]:.3g}"
    return Finding(
        "temperature",
        "watch",
        f"The Gumbel temperature ended where it began, at {heat.iloc[-1]:.3g}",
        "The codes' gradient stays that of a soft mixture while the forward chooses one: a schedule made for far more "
        "steps than this run had.",
        f"temperature=(2.0, 0.5, {0.25 ** (1 / (0.7 * log.last_step)):.5f}): the floor after 70 % of these steps",
        quote(log, ends(heat), "temperature"),
        (int(heat.index[0]), log.last_step),
    )


# In the order of what to mend first; a finding names those that come of it.
CONDITIONS = {
    nan: {"learning_rate"},
    learning_rate: {"equal_negatives", "collapse", "diversity", "guessing", "ctc_blank", "too_short", "clipped"},
    equal_negatives: {"collapse"},
    collapse: {"guessing"},
    diversity: {"guessing"},
    guessing: set(),
    ctc_blank: set(),
    overfitting: set(),
    clipped: set(),
    left_out: set(),
    temperature: set(),
}
