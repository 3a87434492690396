"""Steps: NaN, a learning rate too high, clipping, the Gumbel temperature: what ails the optimisation.

Each function returns a ``Finding``, a sentence on what was well, or None where the log does not tell.
"""

import numpy as np

from .judging import PLATEAU, START, Finding, ends, judged, late, quote, setting
from .log import Log


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
