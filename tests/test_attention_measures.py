"""Attention's measures on patterns whose answer is known; several versions of a layer in one forward."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from models import every_layout, ours

from unispeech_lab.analysis import attention
from unispeech_lab.trace import edit, record
from unispeech_lab.trace.widen import widen

COUNT = 24
IDENTITY = np.eye(COUNT)
EVEN = np.full((COUNT, COUNT), 1 / COUNT)
VERTICAL = np.tile(np.eye(COUNT)[7], (COUNT, 1))
BLOCKS = np.kron(np.eye(4), np.full((6, 6), 1 / 6))  # four phones of six frames
PHONE = np.arange(COUNT) // 6
SAME = PHONE[:, None] == PHONE


def back(frames: int) -> np.ndarray:
    """Every frame looks so many frames back, the first ones at the first."""
    return np.eye(COUNT)[np.maximum(np.arange(COUNT) - frames, 0)]


def random(count: int = COUNT, seed: int = 0, heads: int = 1) -> np.ndarray:
    made = np.random.default_rng(seed).random((heads, count, count)) ** 4 + 1e-6
    return made / made.sum(-1, keepdims=True)


class TestShape:
    @pytest.mark.parametrize(
        "pattern, distance, offset, diagonality, verticality, globalness",
        [
            (IDENTITY, 0, 0, 1, 0, 0),
            (EVEN, (COUNT**2 - 1) / (3 * COUNT), 0, 0, 0, 1),
            (VERTICAL, np.abs(np.arange(COUNT) - 7).mean(), (7 - np.arange(COUNT)).mean(), None, 1, 0),
            (back(3), (21 * 3 + 2 + 1) / 24, -(21 * 3 + 2 + 1) / 24, None, None, 0),
            (BLOCKS, 35 / 18, 0, None, 0, np.log(6) / np.log(24)),
        ],
        ids=["identity", "even", "vertical", "three back", "blocks"],
    )
    def test_known_patterns(self, pattern, distance, offset, diagonality, verticality, globalness):
        known = {
            attention.distance: distance,
            attention.offset: offset,
            attention.diagonality: diagonality,
            attention.verticality: verticality,
            attention.globalness: globalness,
        }
        for measure, expected in known.items():
            if expected is not None:
                assert measure(pattern) == pytest.approx(expected, abs=1e-6), measure.__name__

    def test_many_heads_at_once_are_each_by_itself(self):
        heads = random(heads=3)
        for measure in (attention.distance, attention.diagonality, attention.verticality, attention.globalness):
            assert np.allclose(measure(heads), [measure(head) for head in heads], rtol=1e-6)

    def test_yang_liu_and_lee(self):
        """Their formulas, written as they are, and how ours follow from them."""
        (pattern,) = random()
        their_globalness = np.mean([-(row * np.log(row)).sum() for row in pattern])
        their_verticality = (pattern.mean(0) * np.log(pattern.mean(0))).sum()
        their_diagonality = -sum(abs(q - k) * pattern[q, k] for q in range(COUNT) for k in range(COUNT)) / COUNT**2
        assert attention.globalness(pattern) == pytest.approx(their_globalness / np.log(COUNT))
        assert attention.verticality(pattern) == pytest.approx(1 + their_verticality / np.log(COUNT))
        even = (COUNT**2 - 1) / (3 * COUNT**2)
        assert attention.diagonality(pattern) == pytest.approx(1 + their_diagonality / even)

    def test_one_frame_has_nowhere_else_to_look(self):
        one = np.ones((1, 1))
        measures = (attention.distance, attention.diagonality, attention.verticality, attention.globalness)
        assert [float(measure(one)) for measure in measures] == [0, 1, 0, 0]


class TestAffinity:
    def test_a_head_that_knows_its_phone(self):
        found, near = attention.affinity(BLOCKS, SAME)
        assert found == pytest.approx(1) and 0.5 < near < 0.9

    def test_nearness_is_not_knowledge(self):
        """The same gaze from everywhere lies on its phone without knowing phones."""
        for gaze in (IDENTITY, EVEN):
            found, near = attention.affinity(gaze, SAME)
            assert found == pytest.approx(near)
        assert attention.affinity(EVEN, SAME)[0] == pytest.approx(0.25)

    def test_the_same_in_one_sum_and_over_the_blind_gaze(self):
        (pattern,) = random()
        blind = attention.blind(pattern)
        asks = PHONE >= 2  # a pause before, where nobody is asked
        pairs = SAME & asks[:, None]
        assert attention.affinity(pattern, pairs)[1] == pytest.approx((blind * pairs).sum(1)[asks].mean())
        assert np.allclose(blind.sum(1), 1)

    def test_a_blind_gaze_is_its_own_blind_gaze(self):
        for gaze in (IDENTITY, EVEN):
            assert np.allclose(attention.blind(gaze), gaze)

    def test_only_frames_with_a_pair_are_asked(self):
        pairs = SAME & (PHONE == 2)[:, None]
        found, _ = attention.affinity(np.where((PHONE == 2)[:, None], BLOCKS, back(6)), pairs)
        assert found == pytest.approx(1)

    def test_without_pairs_nobody_can_say(self):
        assert np.isnan(attention.affinity(random(heads=2), np.zeros((COUNT, COUNT), bool))).all()

    @given(st.integers(1, 12))
    def test_equal_offsets_stand_under_each_other(self, count):
        pattern = np.arange(count**2, dtype=float).reshape(count, count) + 1
        skewed = attention.skewed(np.stack([pattern, -pattern]))
        assert np.array_equal(skewed[1], -skewed[0])
        for q in range(count):
            for k in range(count):
                assert skewed[0, q, k - q + count - 1] == pattern[q, k]
        assert np.count_nonzero(skewed[0]) == count**2


class TestPool:
    def test_rows_of_phones_sum_to_one(self):
        (pattern,) = random()
        groups = np.array([0, 0, 0, 1, 1, 2, 0, 3, *[1] * 16])  # of any size, some of them in two pieces
        assert np.allclose(attention.pool(pattern, groups).sum(1), 1)

    def test_to_a_phone_weights_add_up_and_from_it_they_are_averaged(self):
        pattern = np.array([[0.5, 0.5, 0.0], [0.1, 0.2, 0.7], [1.0, 0.0, 0.0]])
        assert np.allclose(attention.pool(pattern, np.array([0, 0, 1])), [[0.65, 0.35], [1.0, 0.0]])

    def test_blocks_become_the_diagonal(self):
        assert np.allclose(attention.pool(BLOCKS, PHONE), np.eye(4))

    def test_small_pictures_keep_the_mean(self):
        assert np.allclose(attention.shrink(BLOCKS, 4), np.eye(4) / 6)
        assert np.allclose(attention.shrink(random(heads=2), 7).shape, (2, 7, 7))
        assert np.array_equal(attention.shrink(BLOCKS, 40), BLOCKS)
        uneven = attention.shrink(EVEN, 5)
        assert uneven.shape == (5, 5) and np.allclose(uneven, 1 / COUNT)


class TestRollout:
    def test_of_identity_is_identity(self):
        assert np.allclose(attention.rollout(np.stack([IDENTITY] * 5)), IDENTITY)

    def test_is_the_product_with_half_a_residual(self):
        first, second = random(heads=2)
        expected = (0.5 * IDENTITY + 0.5 * second) @ (0.5 * IDENTITY + 0.5 * first)
        assert np.allclose(attention.rollout(np.stack([first, second])), expected)
        assert np.allclose(expected.sum(1), 1)

    def test_without_residuals_one_frame_back_a_layer_adds_up(self):
        assert np.allclose(attention.rollout(np.stack([back(1)] * 3), residual=0.0), back(3))


class TestOwed:
    def test_a_state_made_of_one_group_owes_to_it_alone(self):
        before = np.array([[1.0, 0, 0], [0, 1.0, 0]])
        after = np.stack([before, before])
        after[1, 0] = [0, 0, 1.0]  # without group 1, the first state is another
        owed = attention.owed(before, after)
        assert np.allclose(owed, [[0, 1], [0, 0]])
        assert np.allclose(attention.shares(3 * owed), [[0, 1], [0, 0]])

    def test_length_alone_is_nothing_and_the_opposite_is_two(self):
        before = np.array([[1.0, 2.0]])
        assert np.allclose(attention.owed(before, np.stack([3 * before, -before])), [[0, 2]])


class TestWiden:
    """Several versions of a layer at once say what each says alone."""

    @every_layout
    @pytest.mark.parametrize("kind", ["UniSpeechForPreTraining", "UniSpeechForCTC"])
    def test_each_version_is_the_edit_alone(self, kind, layout):
        model = ours(kind, layout)
        inputs = model.prepare([np.random.default_rng(0).standard_normal(6000).astype(np.float32)])
        head = "lm_head" if kind == "UniSpeechForCTC" else "ctc_proj"

        def silence(which):
            def change(pattern):
                pattern = pattern.clone()
                for version, silent in enumerate(which):
                    pattern[version, silent] = 0
                return pattern

            return {"layers.1.attention.pattern": change}

        wide = widen(model, "encoder.layers.1", 3)
        with torch.no_grad(), record(model, head) as together, edit(model, silence([0, 2, 3])), wide:
            model(**inputs)
        for version, silent in enumerate([0, 2, 3]):
            with torch.no_grad(), record(model, head) as alone, edit(model, silence([silent])):
                model(**inputs)
            assert torch.allclose(together[head][version], alone[head][0], atol=2e-5)
        assert not torch.allclose(together[head][0], together[head][1], atol=1e-3)

    def test_leaves_nothing_behind(self):
        model = ours("UniSpeechForCTC")
        inputs = model.prepare([np.zeros(800, np.float32)])
        with pytest.raises(ZeroDivisionError), widen(model, "encoder.layers.1", 3):
            raise ZeroDivisionError
        with torch.no_grad():
            assert len(model(**inputs).logits) == 1
        assert not any(module._forward_pre_hooks for module in model.modules())

    def test_one_layer_is_widened(self):
        model = ours("UniSpeechForCTC")
        several = "expected one layer to widen, found .*layers.0, .*layers.1"
        with pytest.raises(ValueError, match=several), widen(model, "encoder.layers.*", 2):
            pass
        with pytest.raises(KeyError, match="nearest"), widen(model, "layers.9", 2):
            pass
