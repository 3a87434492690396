"""Heads: a pretrained body under a new head, which knows what it is to be taught."""

from os import PathLike

import torch

from . import checkpoints
from .corpus import Corpus
from .model import UniSpeechForCTC, UniSpeechForSequenceClassification, UniSpeechPreTrainedModel
from .preparation import prior
from .seeds import seed_of
from .targets import SEQUENCES, Classes, names_of, read, refuse_strange
from .vocabulary import Vocabulary


def recipe(width: int) -> dict:
    """Settings of the config by the authors' third stage, the span of channels in proportion to the model's width."""
    drops = ("hidden", "attention", "activation", "feat_proj", "final")
    hides = {"mask_time_prob": 0.75, "mask_time_length": 10, "mask_time_min_masks": 2, "mask_rule": "authors"}
    hides |= {"mask_feature_prob": 0.25, "mask_feature_length": max(width // 16, 1)}
    loss = {"ctc_loss_reduction": "sum", "ctc_zero_infinity": True}
    return {**dict.fromkeys([f"{name}_dropout" for name in drops], 0.1), "layerdrop": 0.1, **hides, **loss}


def begin(
    start: str | PathLike | UniSpeechPreTrainedModel,
    corpus: Corpus,
    teach: str = "phones",
    *,
    also: Corpus | None = None,
    vocabulary: Vocabulary | None = None,
    seed: int = 0,
    **config,
) -> UniSpeechForCTC | UniSpeechForSequenceClassification:
    """A model to fine-tune: the body of another, a new head for what the corpus says.

    A head of phones or characters begins with how often each is said (see ``preparation.at_prior``).

    Args:
        start: a name or folder for ``load``, or a model; its weights are copied.
        teach: ``"phones"``, ``"characters"`` of the texts, or a column of the corpus with a class for each utterance.
        also: held-out speech, whose names shall be known too.
        vocabulary: other classes than those of the corpus. The start's own: its CTC head is kept as well.
        seed: of the new weights.
        config: settings that differ from the recipe: ``mask_time_prob=0.3``, ``use_weighted_layer_sum=True``,
            ``adapter_attn_dim=16``, ...

    Raises:
        ValueError: nothing to learn, a name that the vocabulary lacks, a setting that no config has.
    """
    start = start if isinstance(start, UniSpeechPreTrainedModel) else checkpoints.load(start)
    words = vocabulary or names_of(teach, corpus, *filter(None, [also]))
    refuse_strange(corpus, teach, words)
    made = start.config
    changes = {**recipe(made.hidden_size), **config}
    if strange := sorted(set(changes) - set(made.to_dict())):
        raise ValueError(f"expected settings of UniSpeechConfig, found {', '.join(strange)}")
    made = type(made).from_dict({**made.to_dict(), **changes, "teach": teach})
    made._attn_implementation = start.config._attn_implementation
    if teach in SEQUENCES:
        kind, made.vocab_size, made.pad_token_id = UniSpeechForCTC, len(words), words.blank
    else:
        kind, made.id2label, made.label2id = UniSpeechForSequenceClassification, dict(enumerate(words)), words.classes
    with torch.random.fork_rng():
        torch.manual_seed(seed_of(seed, "head"))
        model = kind(made)
    body = getattr(start, start.base_model_prefix, start)
    missing, strange = model.unispeech.load_state_dict(body.state_dict(), strict=False)
    other = [n for n in (*missing, *strange) if "adapter_layer" not in n and n != "masked_spec_embed"]
    if other:
        raise ValueError(f"expected a body of the start's shape, found others in {', '.join(other)}: change no sizes")
    if teach in SEQUENCES:
        model.vocabulary = words
        head = getattr(start, "ctc_proj", getattr(start, "lm_head", None))
        if head is not None and vocabulary is not None and vocabulary == start.vocabulary:
            model.lm_head.load_state_dict(head.state_dict())
        else:
            with torch.no_grad():
                model.lm_head.bias.copy_(prior(read(corpus, teach), words))
    return model.to(start.dtype).eval()


def names(model) -> Vocabulary | Classes:
    """What a fine-tuned model can say.

    Raises:
        ValueError: nobody wrote down what its classes are called.
    """
    if isinstance(model, UniSpeechForSequenceClassification):
        return Classes(name for _, name in sorted(model.config.id2label.items()))
    if model.vocabulary is None:
        raise ValueError("expected a model that knows what its classes are called: make it with finetune.begin")
    return model.vocabulary


def taught(model) -> str:
    """What a model was begun to learn: see ``begin``."""
    found = getattr(model.config, "teach", None)
    if found is None:
        raise ValueError("expected a model made with finetune.begin, found one that does not say what it is taught")
    return found
