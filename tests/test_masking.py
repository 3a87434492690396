"""Masks: the spans that training hides, against transformers' sampler, the authors' rule and themselves."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models import assert_near, config, ours, speech
from transformers.models.unispeech.modeling_unispeech import _compute_mask_indices

import unispeech_lab
from unispeech_lab.nn.masking import span_mask


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def runs(row):
    """Lengths of the stretches of True."""
    edges = torch.diff(row.int(), prepend=torch.tensor([0]), append=torch.tensor([0])).nonzero()[:, 0]
    return (edges[1::2] - edges[::2]).tolist()


def inside(mask, lengths):
    return not (mask & (torch.arange(mask.shape[1]) >= torch.tensor(lengths)[:, None])).any()


# Hugging Face's rule


@pytest.mark.parametrize(
    "lengths, frames, prob, span, least",
    [
        ((60, 60), 60, 0.5, 10, 2),
        ((60, 41, 23), 60, 0.65, 10, 2),
        ((30, 30), 30, 0.05, 10, 0),  # mostly no span at all
        ((30, 12, 11, 10, 9, 1), 30, 0.3, 10, 2),  # rows with room for 3, 2, 1 spans and for none
        ((12, 12), 12, 1.0, 5, 9),  # more spans asked for than fit
        ((7,), 7, 0.5, 7, 1),  # a span as long as the utterance
        ((40,), 40, 0.9, 1, 0),  # single frames
    ],
)
def test_same_distribution_as_theirs(lengths, frames, prob, span, least):
    draws = 1500
    valid = torch.arange(frames) < torch.tensor(lengths)[:, None]
    generator = seeded()
    found = torch.stack(
        [span_mask(torch.tensor(lengths), frames, prob, span, least, generator=generator) for _ in range(draws)]
    )
    np.random.seed(0)
    shape = (len(lengths), frames)
    expected = torch.stack(
        [torch.from_numpy(_compute_mask_indices(shape, prob, span, valid.long(), least)) for _ in range(draws)]
    )
    expected &= valid  # in a row without room theirs hides one frame of padding
    assert inside(found.any(0), lengths)
    error = 4.5 * (0.25 * 2 / draws) ** 0.5
    assert (found.float().mean(0) - expected.float().mean(0)).abs().max() < error  # frame by frame
    for row in range(len(lengths)):
        counts, their_counts = (
            mask[:, row].sum(1).bincount(minlength=frames + 1) / draws for mask in (found, expected)
        )
        assert (counts.cumsum(0) - their_counts.cumsum(0)).abs().max() < error  # how many frames (Kolmogorov-Smirnov)
        both, their_both = ((mask[:, row, 0] & mask[:, row, -1]).float().mean() for mask in (found, expected))
        assert abs(both - their_both) < error
    totals, their_totals = (mask.sum((1, 2)).float().std() for mask in (found, expected))
    assert_near(totals, their_totals, 0.12)  # one rounding a batch: rows go up together


@pytest.mark.parametrize("prob, share", [(0.05, 0.048), (0.075, 0.073), (0.5, 0.402), (0.65, 0.492)])
def test_masked_share_at_499_frames(prob, share):
    mask = [span_mask(torch.full((50,), 499), 499, prob, 10, 2, generator=seeded(i)) for i in range(20)]
    assert torch.stack(mask).float().mean().item() == pytest.approx(share, abs=0.006)


def test_one_rounding_a_batch_and_one_an_utterance():
    """2.5 spans of single frames expected: Hugging Face's rows all get 2 or all 3, the authors' get their own."""
    lengths = torch.full((64,), 25)
    batches = [span_mask(lengths, 25, 0.1, 1, generator=seeded(i)).sum(1).unique().tolist() for i in range(20)]
    assert sorted({tuple(batch) for batch in batches}) == [(2,), (3,)]
    authors = [span_mask(lengths, 25, 0.1, 1, rule="authors", generator=seeded(i)).sum(1) for i in range(20)]
    assert all((counts == 2).all() for counts in authors)  # the smallest count out of 64 roundings, for every row


# The authors' rule


def test_the_authors_equal_counts():
    lengths = torch.tensor([499, 400, 300, 200])
    masks = torch.stack([span_mask(lengths, 499, 0.5, 10, 2, rule="authors", generator=seeded(i)) for i in range(300)])
    counts = masks.sum(2)
    assert (counts == counts[:, :1]).all()
    assert counts.float().mean().item() == pytest.approx(80, abs=1.5)
    assert not masks[:, range(4), lengths - 1].any() and masks[:, 0, 497].any()  # never the last frame
    assert 1 in runs(masks[0, 0])  # fragments shorter than a span are left over


@pytest.mark.parametrize("prob, share", [(0.5, 0.404), (0.65, 0.490)])
def test_the_authors_share_of_one_long_utterance(prob, share):
    masks = [span_mask(torch.tensor([499]), 499, prob, 10, rule="authors", generator=seeded(i)) for i in range(600)]
    assert torch.stack(masks).float().mean().item() == pytest.approx(share, abs=0.008)


def authors_by_hand(lengths, prob, span, rng):
    """Reference 10.2, step by step."""
    rows = []
    for length in lengths:
        spans = max(2, int(prob * length / span + rng.random()))
        width = span if length - span > spans else length - spans - 1
        starts = rng.choice(length - width, spans, replace=False)
        rows.append({s + i for s in starts for i in range(width) if s + i < length})
    fewest = min(len(row) for row in rows)
    return [rng.choice(sorted(row), fewest, replace=False) for row in rows]


@pytest.mark.parametrize("lengths", [(60, 41, 23), (14, 12), (60, 11), (7, 5)])
def test_the_authors_rule_step_by_step(lengths):
    draws, frames, rng = 1500, max(lengths), np.random.default_rng(0)
    expected = torch.zeros(draws, len(lengths), frames)
    for draw in expected:
        for row, hidden in zip(draw, authors_by_hand(lengths, 0.5, 10, rng), strict=True):
            row[hidden] = 1
    generator = seeded()
    given = torch.tensor(lengths)
    found = torch.stack([span_mask(given, frames, 0.5, 10, rule="authors", generator=generator) for _ in range(draws)])
    error = 4.5 * (0.25 * 2 / draws) ** 0.5
    assert (found.float().mean(0) - expected.mean(0)).abs().max() < error
    counts, their_counts = (mask.sum(2)[:, 0].float() for mask in (found, expected))
    assert abs(counts.mean() - their_counts.mean()) < 0.6 and abs(counts.std() - their_counts.std()) < 0.6
    assert (found.sum(2) == found.sum(2)[:, :1]).all() and found.any()


# Both


masks = st.fixed_dictionaries(
    {
        "lengths": st.lists(st.integers(0, 50), min_size=1, max_size=5),
        "pad": st.integers(0, 5),
        "prob": st.floats(0, 1),
        "span": st.integers(1, 12),
        "least": st.integers(0, 4),
        "rule": st.sampled_from(["huggingface", "authors"]),
        "seed": st.integers(0, 1000),
    }
)


@settings(max_examples=300, deadline=None)
@given(masks)
def test_spans_stay_in_their_utterance_and_are_whole(case):
    lengths, span, rule = case["lengths"], case["span"], case["rule"]
    frames = max(max(lengths) + case["pad"], span)
    draw = [
        span_mask(
            torch.tensor(lengths), frames, case["prob"], span, case["least"], rule=rule, generator=seeded(case["seed"])
        )
        for _ in range(2)
    ]
    mask = draw[0]
    assert torch.equal(*draw) and mask.dtype == torch.bool and mask.shape == (len(lengths), frames)
    assert inside(mask, lengths)
    counts = mask.sum(1)
    if rule == "authors":
        assert (counts == counts[0]).all()
        assert not any(length and mask[i, length - 1] for i, length in enumerate(lengths))
        return
    for row, length in zip(mask, lengths, strict=True):
        assert all(run >= span for run in runs(row))
        room = max(length - span + 1, 0)
        most = min(max(int(case["prob"] * length / span + 1), case["least"]), frames // span, room)
        fewest = min(max(int(case["prob"] * length / span - 1e-6), case["least"]), frames // span, room)
        assert row.sum() <= most * span and row.sum() >= (span + fewest - 1 if fewest else 0)


def test_draws_come_from_the_generator_alone():
    lengths = torch.tensor([49, 30])
    for rule in ("huggingface", "authors"):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first = span_mask(lengths, 49, 0.5, 5, rule=rule, generator=seeded(3))
        assert torch.equal(torch.get_rng_state(), before)
        other = span_mask(lengths, 49, 0.5, 5, rule=rule, generator=seeded(4))
        assert torch.equal(first, span_mask(lengths, 49, 0.5, 5, rule=rule, generator=seeded(3)))
        assert not torch.equal(first, other)


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"rule": "mine"}, "masking rule out of huggingface, authors, found 'mine'"),
        ({"span": 0}, "span of at least 1"),
        ({"prob": 1.1}, "probability in .0, 1., found 5 and 1.1"),
        ({"span": 50}, "span of 50 in 49 frames: set mask_time_length to 49 or less"),
    ],
)
def test_refused(changes, says):
    given = {"prob": 0.5, "span": 5, "rule": "huggingface", **changes}
    with pytest.raises(ValueError, match=says):
        span_mask(torch.tensor([49]), 49, given["prob"], given["span"], rule=given["rule"])


# In the models


def masked_frames(model, inputs, **options):
    """The frames the model hid, read off the mask tap."""
    seen = []
    with model.mask.register_forward_hook(lambda _, __, value: seen.append(value)), torch.no_grad():
        model(**inputs, **options)
    return seen[0] if seen else None


def test_training_hides_frames_and_eval_does_not():
    model = ours(mask_time_prob=0.3)
    assert masked_frames(model, speech()) is None
    hidden = masked_frames(model.train(), speech(), generator=seeded())
    assert hidden.any() and inside(hidden, model.frames.count(torch.tensor([4000, 3000])).tolist())
    model.config.apply_spec_augment = False
    assert masked_frames(model, speech()) is None


def test_the_config_names_the_rule():
    settings = {"mask_time_prob": 0.9, "mask_time_length": 2}
    lengths = (8000, 3000)
    equal = masked_frames(ours(mask_rule="authors", **settings).train(), speech(lengths), generator=seeded())
    assert equal.sum(1).unique().numel() == 1
    ragged = masked_frames(ours(**settings).train(), speech(lengths), generator=seeded())
    assert ragged.sum(1)[0] > ragged.sum(1)[1]


def test_given_masks_hide_whatever_the_config_says():
    """Theirs ignores them where apply_spec_augment is False (reference section 4.8)."""
    hidden = torch.zeros(2, 12, dtype=torch.bool)
    hidden[:, 2:5] = True
    plain, never = ours(), ours(apply_spec_augment=False)
    with torch.no_grad():
        expected = plain(**speech(), mask_time_indices=hidden).last_hidden_state
        assert_near(never(**speech(), mask_time_indices=hidden).last_hidden_state, expected, 0)
        assert_near(never(**speech(), mask_time_indices=hidden.long()).last_hidden_state, expected, 0)
        assert (never(**speech()).last_hidden_state - expected).abs().max() > 0.01


def test_given_masks_without_a_mask_vector_are_refused():
    model = unispeech_lab.UniSpeechModel(config(mask_time_prob=0.0, mask_feature_prob=0.0))
    assert "masked_spec_embed" not in model.state_dict()
    with pytest.raises(ValueError, match="no masked_spec_embed to put there; make it with mask_time_prob > 0"):
        model(**speech(), mask_time_indices=torch.ones(2, 12, dtype=torch.bool))


def test_given_masks_of_another_shape_are_refused():
    with pytest.raises(
        ValueError, match=r"mask_time_indices of shape \(2, 12\) \(utterances, frames\), found \(2, 11\)"
    ):
        ours()(**speech(), mask_time_indices=torch.ones(2, 11, dtype=torch.bool))


def test_training_on_less_than_a_span_says_what_to_set():
    with pytest.raises(ValueError, match="set mask_time_length to 2 or less"):
        ours(mask_time_prob=0.5).train()(torch.randn(1, 720))


def test_channels_are_zeroed_in_training():
    model = ours(mask_time_prob=0.0, mask_feature_prob=0.5, mask_feature_length=4)
    states = torch.ones(2, 7, 32)
    hidden = model.train().spec_augment(states, None, generator=seeded()) == 0
    assert hidden.any() and (hidden == hidden[:, :1]).all() and not torch.equal(hidden[0], hidden[1])
    assert all(run >= 4 for run in runs(hidden[0, 0]))
    assert torch.equal(model.eval().spec_augment(states, None), states) and states.all()


def test_the_generator_reaches_every_draw():
    """Two training steps under one generator seed are equal, whatever the default generator holds."""
    model = ours("UniSpeechForPreTraining", mask_time_prob=0.5, mask_feature_prob=0.3, layerdrop=0.5, **NO_DROPOUT)
    model.train()
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(model(**speech(), generator=seeded(5)))
    for name in ("projected_states", "projected_quantized_states", "mask_time_indices", "replaced", "codes"):
        assert torch.equal(found[0][name], found[1][name]), name
    other = model(**speech(), generator=seeded(6))
    assert not torch.equal(found[0].projected_states, other.projected_states)


NO_DROPOUT = {"hidden_dropout": 0, "attention_dropout": 0, "activation_dropout": 0, "final_dropout": 0}
