"""Codebook: collapse, equal negatives, too much diversity, guessing: what ails the contrastive half.

Each function takes a log and returns a ``Finding``, a sentence on what it saw that was well, or None where the log does
not tell.
"""

import math

from .judging import CHANCE, PLATEAU, START, Finding, chance, ends, judged, late, quote, setting, size
from .log import Log


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
        "any negative is left, and a question without wrong answers costs nothing: collapse is rewarded, an accuracy "
        "of 1 means nothing.",
        f"equal_negatives='kept' in the objective; raise {setting(log, 'diversity_loss_weight')} to 0.3; "
        f"num_codevectors_per_group=64 or more (now {codewords // groups}); lower {setting(log, 'learning_rate')}",
        quote(
            log, [loss.index[0], begins, *ends(late(loss))], "contrastive", "equal_negatives", "perplexity", "accuracy"
        ),
        (int(begins), log.last_step),
    )


def collapse(log: Log) -> Finding | str | None:
    used = log.series("perplexity") if len(log.series("perplexity")) else log.series("code_perplexity")
    supervised = len(log.series("ctc")) and not len(log.series("contrastive"))  # nothing asks for codes there
    if supervised or not judged(log, used):
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
        f"{raised}; mask_time_length=3 if the model is small; lower {setting(log, 'learning_rate')}; begin again: a "
        "collapsed codebook hardly ever comes back",
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
    if weight is not None:
        heavy = weight > chance(log) and guess >= 0.8
    else:
        heavy = judged(log, loss, 2 * PLATEAU) and guess >= CHANCE
    if full < 0.95 or not heavy:
        said = "" if weight is None else f", weight {weight:.3g}"
        return f"diversity: {full:.0%} of the codebook in use{said}"
    told = "" if weight is None else f" (weight {weight:.3g})"
    return Finding(
        "diversity",
        "ill",
        f"The diversity term has won{told}: {full:.1%} of the codebook in use, predictions at {guess:.0%} of guessing",
        "Codes are spread as evenly as can be, and so nearly noise that no context predicts: the contrastive loss "
        f"stays near ln(1 + negatives) = {chance(log):.3g}.",
        f"lower {setting(log, 'diversity_loss_weight')} to 0.3 or 0.1",
        quote(log, [used.index[0], *ends(late(used))], "perplexity", "diversity", "contrastive", "accuracy"),
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
