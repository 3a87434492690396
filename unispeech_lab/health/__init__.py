"""Health: a training log in, a card out that says in words what is wrong, why, what to type.

    from unispeech_lab import health
    health.examine("runs/mine")                    # a run of ours, a Trainer's folder, a fairseq log, a table
    health.gallery()["collapse"]                   # (Run, Card) of a run made sick on purpose

The conditions, one function each, with where their thresholds come from: ``health.conditions``.
"""

from unispeech_lab.paths import data_dir
from unispeech_lab.run import Run

from .card import Card
from .conditions import CONDITIONS
from .judging import Finding
from .log import Log, read
from .steps import first_nan

__all__ = ["Card", "Finding", "Log", "examine", "gallery", "read"]


def examine(source, **facts) -> Card:
    """What a run suffers from.

    Args:
        source: a ``Run``, its folder; a folder or file of Hugging Face's (``trainer_state.json``, the output of
            ``run_wav2vec2_pretraining_no_trainer.py``) or of fairseq's; a ``pandas.DataFrame`` or a list of rows with
            our names (``step``, ``loss``, ``perplexity``, ...).
        facts: what the log does not say: ``groups``, ``num_codewords``, ``num_negatives``, ``steps``, ``clip``,
            ``learning_rate``, ``diversity_loss_weight``.

    Raises:
        FileNotFoundError: there is no log.
        ValueError: nothing in it is a line of a log.
    """
    log = read(source, **facts)
    broken = first_nan(log)
    # Where no loss is a number any more, the other columns are numbers about nothing.
    sound = log if broken is None else Log([row for row in log.rows if row["step"] < broken], log.events, log.facts)
    findings, looked = {}, {}
    for condition in CONDITIONS:
        said = condition(log if condition.__name__ == "nan" else sound)
        if isinstance(said, Finding):
            findings[condition.__name__] = said
        elif said:
            looked[condition.__name__] = said
    return Card(log, consequences(findings), looked)


def consequences(found: dict[str, Finding]) -> tuple[Finding, ...]:
    """The findings, those that come of another named in it instead of beside it; the ill before the rest."""
    from dataclasses import replace

    kept = dict(found)
    for condition, entailed in CONDITIONS.items():
        if condition.__name__ in kept:
            also = [name for name, finding in kept.items() if finding.name in entailed]
            names = tuple(kept.pop(name).name for name in also)
            kept[condition.__name__] = replace(kept[condition.__name__], also=names)
    return tuple(sorted(kept.values(), key=lambda finding: finding.severity != "ill"))


def gallery() -> dict[str, tuple[Run, Card]]:
    """A healthy run, then the same made sick in several ways, each with its card: name -> (run, card).

    Their ``run.settings["gallery"]["why"]`` says what was done to them.
    """
    folders = sorted(path.parent for path in (data_dir() / "runs").glob("*/metrics.jsonl"))
    folders.sort(key=lambda folder: folder.name != "healthy")
    return {folder.name: (Run(folder), examine(folder)) for folder in folders}
