"""Explore: the whole workbench for one model, every view in its tab."""

from collections.abc import Iterable, Mapping, Sequence

from unispeech_lab import views as folder
from unispeech_lab.corpus import Corpus, Utterance
from unispeech_lab.survey import Survey
from unispeech_lab.views.asking import has, prepare
from unispeech_lab.views.explorer import Explorer

TABS = {
    "sound": ("waveform", "truth"),
    "convolutions": ("wave", "features", "convolutions", "truth"),
    "follow": ("wave", "reach", "truth"),
    "filters": ("filters", "stimuli"),
    "attention": ("heads", "waveform", "attention", "truth"),
    "heads": ("measures", "attention", "truth", "pooled"),
    "flow": ("rollout", "wave", "truth"),
    "differences": ("wave", "attention_difference", "attention_edited", "truth"),
    "ablation": ("wave", "ablation"),
    "codes": ("wave", "codes", "entropy", "truth"),
    "codebook": ("usage", "codes_by_phone", "piano"),
    "CTC": ("wave", "posteriors", "collapse", "trellis", "truth"),
    "alignment": ("wave", "alignment", "borders", "spikes"),
    "replace": ("wave", "replace", "truth"),
    "masks": ("wave", "composer", "truth"),
    "loss": ("wave", "masks", "contrast", "terms", "truth"),
    "layers": ("wave", "movement", "truth"),
    "patching": ("wave", "patching", "truth"),
    "map": ("wave", "embedding", "probes", "truth"),
    "two models": ("wave", "attention_of_two", "codebooks", "truth"),
}


def explore(
    model,
    utterance: Utterance | None = None,
    *,
    other=None,
    corpus: Iterable[Utterance] | Survey | None = None,
    tabs: Mapping[str, Sequence[str]] | Sequence[str] = TABS,
    note: str | None = None,
    **given,
) -> Explorer:
    """Open everything there is to see of a model: ``explore(load("tiny"))``.

    utterance   what to look at; the first bundled one if None. Another: ``explorer.listen(None, utterance)``
    other       a model to compare with; without it the tabs that compare are left out
    corpus      what the views over many utterances hear, when one of them is first opened; the bundled one if None; or
                a Survey of what they watch
    tabs        tab -> views, or some names out of ``TABS``; views that this model has no names for are left out,
                and with them tabs that lose all
    given       knobs and what views take besides, as for ``Explorer``
    """
    if utterance is None:
        utterance = Corpus.bundled()[0]
    if not isinstance(tabs, Mapping):
        if unknown := [tab for tab in tabs if tab not in TABS]:
            raise KeyError(f"expected tabs out of {', '.join(TABS)}, found {', '.join(unknown)}")
        tabs = {tab: TABS[tab] for tab in tabs}
    shown = {tab: offered(model, views, other) for tab, views in tabs.items()}
    shown = {tab: views for tab, views in shown.items() if set(views) - {"wave", "truth"}}
    if not shown:
        raise ValueError(f"expected a model that one of the views can watch, found {type(model).__name__}")
    if note is None:
        note = getattr(getattr(model, "config", None), "provenance", "") or ""

    def survey(*names: str) -> Survey:
        over = Corpus.bundled() if corpus is None else corpus
        return Survey.of(model, over, *names, hear=lambda model, heard: model(**prepare(model, heard)), progress=True)

    known = corpus if isinstance(corpus, Survey) else survey
    return Explorer(None, utterance, shown, note, model=model, other=other, survey=known, **given)


def offered(model, views: Sequence[str], other=None) -> tuple[str, ...]:
    """Of these views, those that can be shown: the model has what they watch, and there is another if they compare."""
    there = [name for name in views if name in folder.names()]
    return tuple(name for name in there if can(model, folder.load(name), other))


def can(model, view, other=None) -> bool:
    watched = all(any(has(model, name) for name in choices.split("|")) for choices in view.watches)
    return watched and (other is not None or not getattr(view, "compares", False))
