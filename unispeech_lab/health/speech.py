"""Speech: blanks everywhere, learning by heart, utterances left out: what ails labels or corpus.

Each function returns a ``Finding``, a sentence on what was well, or None where the log does not tell.
"""

import math

import numpy as np

from .judging import BLANK, PLATEAU, START, Finding, ends, late, quote, setting
from .log import Log


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
    if wrong and wrong[0].index[-1] not in ends(late(column)):
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


def left_out(log: Log) -> Finding | str | None:
    said = [event for event in log.events if event.get("event") == "left out"]
    named = [event for event in said if type(event.get("count")) is not int]
    more = sum(event["count"] for event in said if event not in named)  # those that the log does not name
    number = len({str(event.get("what", "")) for event in named}) + more
    if number < 10:  # a few bad files are in every corpus
        return f"{number} utterances left out" if log.events or "groups" in log.facts else None
    return Finding(
        "left_out",
        "watch",
        f"{number} utterances were left out",
        "They could not be read, or their labels do not fit their frames.",
        "mend the files named below; least_seconds and most_seconds say what is too short or too long",
        tuple(f"step {event['step']:.0f}: {event.get('what', '')}" for event in said[:4]),
        (int(said[0]["step"]), log.last_step),
    )
