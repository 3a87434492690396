"""Cases: what is compared with Hugging Face's UniSpeech, same weights, same input, one function each."""

import copy
from functools import partial

import torch
import transformers
from aligners import aligners
from explorer import explorer
from measure import operations, pair, peak_bytes, size, speed
from torch import nn
from training import masks, training_step
from transformers.models.unispeech import modeling_unispeech as theirs

from unispeech_lab import UniSpeechConfig, UniSpeechForCTC, UniSpeechModel, record
from unispeech_lab.nn.frontend import FeatureEncoder
from unispeech_lab.nn.quantizer import GumbelVectorQuantizer
from unispeech_lab.nn.tap import Tap

LARGE_NORMS = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}
RATE = 16_000


def configs(**changes):
    return UniSpeechConfig(**LARGE_NORMS, **changes), transformers.UniSpeechConfig(**LARGE_NORMS, **changes)


def twins(our_class, their_class, **changes):
    """The same weights in both, in eval mode."""
    ours_config, their_config = configs(**changes)
    ours, others = our_class(ours_config), their_class(their_config)
    others.load_state_dict(ours.state_dict())
    return ours.eval(), others.eval()


def front_end(runs: int) -> list[dict]:
    """10 s through seven convolutions of 512 channels, layer norm."""
    ours, others = twins(FeatureEncoder, theirs.UniSpeechFeatureEncoder)
    x = torch.randn(1, 10 * RATE)
    grad = torch.randn_like(ours(x))

    def forward(module):
        with torch.no_grad():
            return module(x)

    def both(module, transposed=False):
        out = module(x)
        (out.transpose(1, 2) if transposed else out).backward(grad)

    rows = []
    for name, a, b, target in (
        ("front end, forward", partial(forward, ours), partial(forward, others), 1.5),
        ("front end, forward and backward", partial(both, ours), partial(both, others, True), 2.0),
    ):
        rows.append(speed(name, pair(a, b, runs), target, operations(b)))
    return rows


def encoder(runs: int) -> list[dict]:
    """499 frames through 12 layers of width 768, nobody watching."""
    ours, others = twins(UniSpeechModel, transformers.UniSpeechModel)
    states = torch.randn(1, 499, 768)
    with torch.no_grad():
        a, b = partial(ours.encoder, states), lambda: others.encoder(states.clone())
        return [speed("encoder, forward", pair(a, b, runs), None, operations(b))]


def quantizer(runs: int) -> list[dict]:
    """10 s through 2 groups of 320 codewords, 768 wide, in training."""
    times = pair(quantize("ours"), quantize("theirs"), runs)
    ours, others = peak_bytes(partial(quantize, "ours")), peak_bytes(partial(quantize, "theirs"))
    return [
        speed("quantizer, forward and backward", times, 5.0),
        size("quantizer, forward and backward", ours, others, 1 / 10),
    ]


def quantize(whose: str):
    torch.manual_seed(0)
    kind = GumbelVectorQuantizer if whose == "ours" else theirs.UniSpeechGumbelVectorQuantizer
    config = configs(codevector_dim=768)[whose == "theirs"]
    module = kind(config)
    nn.init.uniform_(module.codevectors)
    z = torch.randn(1, 499, 512, requires_grad=True)
    grad = torch.randn(1, 499, 768)
    module.train()
    return lambda: module(z)[0].backward(grad)


def ragged(runs: int) -> list[dict]:
    """CTC scores of 16 utterances of 2 to 15 s in one padded batch."""
    ours, others = twins(UniSpeechForCTC, transformers.UniSpeechForCTC)
    lengths = (torch.linspace(2, 15, 16) * RATE).long()
    mask = (torch.arange(lengths.max()) < lengths[:, None]).long()
    x = torch.randn(mask.shape) * mask
    with torch.no_grad():
        a, b = partial(ours, x, mask), lambda: others(x.clone(), attention_mask=mask)
        speech = ours._get_feature_vector_attention_mask(ours.frames.count(x.shape[1]), mask)
        torch.testing.assert_close(a().logits[speech], b().logits[speech], rtol=1e-4, atol=1e-4)
        return [speed("CTC scores, 16 utterances of 2 to 15 s", pair(a, b, max(runs // 3, 2)), 1.4, operations(b))]


def watching(runs: int) -> list[dict]:
    """All states and patterns of a 10 s utterance, one head of it, and nothing."""
    x = torch.randn(1, 10 * RATE)
    times = pair(everything("ours"), everything("theirs"), runs)
    theirs_bytes = peak_bytes(partial(everything, "theirs"))
    own, head = peak_bytes(partial(everything, "ours")), kept_by_one_head()
    watched, bare = unwatched_and_bare()
    with torch.no_grad():
        quiet = pair(partial(bare, x), partial(watched, x), runs)
    return [
        speed("recording every state and pattern", times, 1.2),
        size("recording every state and pattern, peak of the process", own, theirs_bytes, None),
        size("one head's pattern, bytes kept against every state and pattern", head, kept_by_theirs(), 1 / 10),
        {
            "what": "an unwatched model against one without taps, forward",
            "ours": f"{min(quiet.theirs):.3f} s",
            "theirs": f"{min(quiet.ours):.3f} s (no taps)",
            "ratio": f"{quiet.ratio:.3f} ({quiet.spread[0]:.2f} to {quiet.spread[1]:.2f})",
            "target": "1.00",
            "operations": None,
            "seconds": None,
        },
    ]


def everything(whose: str):
    torch.manual_seed(0)
    x = torch.randn(1, 10 * RATE)
    ours_config, their_config = configs()
    if whose == "theirs":
        their_config._attn_implementation = "eager"  # the only way there to have the patterns
        model = transformers.UniSpeechModel(their_config).eval()

        def work():
            with torch.no_grad():
                return model(x, output_attentions=True, output_hidden_states=True)
    else:
        model = UniSpeechModel(ours_config).eval()

        def work():
            with torch.no_grad(), record(model, "layers.*", "attention.pattern", "pos_conv_embed") as trace:
                model(x)
            return trace

    return work


def kept_by_theirs() -> int:
    out = everything("theirs")()
    return sum(t.numel() * t.element_size() for t in (*out.hidden_states, *out.attentions))


def kept_by_one_head() -> int:
    model = UniSpeechModel(configs()[0]).eval()
    head = {"layers.3.attention.pattern": lambda pattern: pattern[:, 3]}
    with torch.no_grad(), record(model, "layers.3.attention.pattern", keep=head) as trace:
        model(torch.randn(1, 10 * RATE))
    return trace.nbytes


class Bare:
    """What stands where a tap stood: a call that returns its argument, no module."""

    watched = False

    def __call__(self, value):
        return value


def unwatched_and_bare():
    watched = UniSpeechModel(configs()[0]).eval()
    bare = copy.deepcopy(watched)
    for module in list(bare.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, Tap):
                delattr(module, name)
                setattr(module, name, Bare())
    return watched, bare


def tiny(runs: int) -> list[dict]:
    """The laptop's model, whole: 3 s, forward; and forward with backward."""
    changes = UniSpeechConfig.tiny().to_diff_dict()
    own = UniSpeechConfig.tiny()
    other = transformers.UniSpeechConfig(
        **{k: v for k, v in changes.items() if hasattr(transformers.UniSpeechConfig, k)}
    )
    ours, others = UniSpeechModel(own).eval(), transformers.UniSpeechModel(other).eval()
    others.load_state_dict(ours.state_dict())
    x = torch.randn(4, 3 * RATE)
    with torch.no_grad():
        forward = pair(partial(ours, x), lambda: others(x.clone()), runs)

    def step(model):
        model(x).last_hidden_state.square().mean().backward()

    return [
        speed("tiny model, 4 utterances of 3 s, forward", forward, None),
        speed(
            "tiny model, 4 utterances of 3 s, forward and backward",
            pair(partial(step, ours), partial(step, others), runs),
            None,
        ),
    ]


CASES = (front_end, encoder, quantizer, ragged, watching, tiny, masks, training_step, aligners, explorer)
