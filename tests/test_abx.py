"""ABX: the numbers of fastabx, of a count by hand over all triples, and what is known beforehand."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from unispeech_lab.analysis import abx as module
from unispeech_lab.analysis.abx import abx, cells, collapse, distances, errors, warped

MODES = list(product(("within", "across"), ("any", "same")))
# What fastabx 0.9.0 says (Score(Task(...), "angular").collapse(levels), nothing subsampled) of ``made(seed, ...)``.
FASTABX = {
    (0, 80, 1.0): (0.09768633, 0.07822917, 0.11715837, 0.13066534),
    (1, 150, 2.0): (0.42339295, 0.43568130, 0.41219976, 0.39717072),
    (2, 40, 0.5): (0.00369084, 0.0, 0.12787551, 0.15775463),
}


def made(seed: int, sounds: int, noise: float, phones: int = 4, voices: int = 3):
    """Frames around a centre for each phone, tilted for each voice, between neighbours; a table of the sounds."""
    draw = np.random.default_rng(seed)
    centres, tilt = draw.normal(size=(phones, 6)), draw.normal(size=(voices, 6))
    rows, frames, at = [], [], 0
    for _ in range(sounds):
        phone, voice, before, after = (draw.integers(n) for n in (phones, voices, 2, 2))
        length = int(draw.integers(1, 7))
        frames.append((centres[phone] + 0.5 * tilt[voice] + noise * draw.normal(size=(length, 6))).astype(np.float32))
        rows.append((f"p{phone}", f"v{voice}", f"b{before}", f"a{after}", at, at + length))
        at += length
    return np.concatenate(frames), pd.DataFrame(rows, columns=["label", "speaker", "before", "after", "first", "last"])


def whole(values, items, speaker, context) -> float:
    """The error with nothing subsampled."""
    every = cells(items, speaker, context, largest=None, voices=None, most=None)
    return collapse(every.assign(error=errors(values, items, every)), context).error


@pytest.mark.parametrize("given", FASTABX, ids=str)
def test_the_numbers_are_those_of_fastabx(given):
    values, items = made(*given)
    for (speaker, context), theirs in zip(MODES, FASTABX[given], strict=True):
        assert whole(values, items, speaker, context) == pytest.approx(theirs, abs=1e-5), (speaker, context)


@pytest.mark.parametrize(("speaker", "context"), MODES)
def test_fastabx_itself_says_the_same(speaker, context):
    fastabx = pytest.importorskip("fastabx", reason="fastabx needs Python 3.12; its numbers are written down above")
    import polars
    import torch
    from fastabx.dataset import InMemoryAccessor

    values, items = made(5, 60, 1.0)
    bounds = {k: (int(first), int(last)) for k, (first, last) in enumerate(zip(items["first"], items["last"]))}  # noqa: B905
    labels = polars.DataFrame({name: items[name].tolist() for name in ("label", "speaker", "before", "after")})
    accessor = InMemoryAccessor(bounds, torch.from_numpy(values.copy()), torch.device("cpu"))
    by = ["before", "after"] * (context == "same") + ["speaker"] * (speaker == "within")
    dataset = fastabx.Dataset(labels=labels, accessor=accessor)
    task = fastabx.Task(dataset, on="label", by=by or None, across=["speaker"] if speaker == "across" else None)
    levels = [("after", "before")] * (context == "same") + ["speaker"]
    theirs = fastabx.Score(task, "angular", progress=False).collapse(levels=levels)
    assert whole(values, items, speaker, context) == pytest.approx(theirs, abs=1e-5)


def by_hand(values, items, speaker, context) -> float:
    """Every triple, one after the other, as the definition says it."""
    rows = list(items.itertuples())

    def far(x, y) -> float:
        one, other = ([frame / np.linalg.norm(frame) for frame in values[s.first : s.last]] for s in (x, y))
        cost = [[np.arccos(np.clip(a @ b, -1, 1)) / np.pi for b in other] for a in one]

        def path(i, j):  # its sum, its length
            if i == j == 0:
                return cost[0][0], 1
            ways = [path(i - 1, j - 1)] if i and j else []
            ways += [path(i - 1, j)] if i else []
            ways += [path(i, j - 1)] if j else []
            total, length = min(ways, key=lambda way: way[0])
            return total + cost[i][j], length + 1

        total, length = path(len(one) - 1, len(other) - 1)
        return total / length

    known = {(x.Index, y.Index): far(x, y) for x in rows for y in rows}
    scores: dict = {}
    for x, a, b in product(rows, rows, rows):
        if a.label != x.label or b.label == x.label or a.Index == x.Index or a.speaker != b.speaker:
            continue
        if (x.speaker == a.speaker) != (speaker == "within"):
            continue
        around = {(s.before, s.after) for s in (x, a, b)}
        if context == "same" and len(around) > 1:
            continue
        near, other = known[x.Index, a.Index], known[x.Index, b.Index]
        cell = (a.label, b.label), a.speaker, x.speaker, around.pop() if context == "same" else ()
        scores.setdefault(cell, []).append((near > other) + 0.5 * (near == other))
    table = pd.DataFrame([(*cell, np.mean(found)) for cell, found in scores.items()], columns=[*"psxc", "error"])
    if context == "same":
        table = table.groupby(["p", "s"])["error"].mean().reset_index()
    return float(table.groupby("p")["error"].mean().mean())


@pytest.mark.parametrize(("speaker", "context"), MODES)
def test_the_numbers_are_those_of_the_definition(speaker, context):
    values, items = made(3, 28, 1.0, phones=3, voices=2)
    assert whole(values, items, speaker, context) == pytest.approx(by_hand(values, items, speaker, context), abs=1e-5)


def test_a_layer_that_is_the_phones_makes_no_error_and_noise_is_at_chance():
    _, items = made(4, 300, 1.0)
    phones = np.eye(4)[[int(label[1:]) for label in items["label"]]]
    frames = np.repeat(phones, items["last"] - items["first"], axis=0)
    noise = np.random.default_rng(0).normal(size=(len(frames), 5))
    for speaker, context in MODES:
        assert abx(frames, items, speaker, context).error == 0
        found = abx(noise, items, speaker, context)
        assert found.error == pytest.approx(0.5, abs=0.04)
        assert found.low < 0.5 < found.high
        assert abx(np.ones_like(frames), items, speaker, context).error == 0.5  # all alike: every triple is a tie


def test_a_layer_that_is_the_voice_is_perfect_at_nothing_and_wrong_across():
    """X of another voice: what tells voices alone apart puts A and B, of one voice, equally far."""
    _, items = made(4, 200, 1.0)
    voice = np.eye(3)[[int(label[1:]) for label in items["speaker"]]]
    assert abx(np.repeat(voice, items["last"] - items["first"], axis=0), items, "across").error == 0.5


def test_time_may_be_stretched():
    one = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    slow = one[[0, 0, 0, 1, 2, 2]]
    values = np.concatenate([one, slow, one[::-1]])
    first, last = np.array([0, 3, 9]), np.array([3, 9, 12])
    same, turned = distances(values, first, last, np.array([0, 0]), np.array([1, 2]))
    assert same == pytest.approx(0, abs=1e-3) and turned > 0.1


def test_the_cheapest_path_is_divided_by_its_length():
    costs = np.array([[[0.0, 0.9, 1], [1, 1, 0], [1, 1, 0.5]]])
    assert warped(costs)[0] == pytest.approx((0 + 0.9 + 0 + 0.5) / 4)
    assert warped(np.array([[[0.25]]]))[0] == 0.25


def test_what_is_drawn_depends_on_the_seed_alone_and_keeps_to_its_limits():
    values, items = made(6, 400, 1.0)
    one, same, other = (cells(items, "across", "any", seed, 3, 1, 20) for seed in (0, 0, 1))
    assert one["pair"].tolist() == same["pair"].tolist() and len(one) == 20
    assert all((a == b).all() for a, b in zip(one["x"], same["x"], strict=True))
    assert one["pair"].tolist() != other["pair"].tolist()
    assert max(len(side) for name in "abx" for side in one[name]) == 3
    whole_ = cells(items, "across", "any", largest=None, voices=None, most=None)
    assert len(whole_) == 4 * 3 * 3 * 2  # ordered pairs of phones, voices, other voices
    assert len(cells(items, "across", "any", voices=1)) == 4 * 3 * 3


def test_a_part_of_the_cells_says_about_the_same_as_all():
    values, items = made(7, 500, 1.5)
    every = cells(items, "across", largest=None, voices=None, most=None)
    some = cells(items, "across", largest=8, voices=1)
    found = [collapse(c.assign(error=errors(values, items, c))).error for c in (every, some)]
    assert found[1] == pytest.approx(found[0], abs=0.03)


def test_distances_in_small_portions_are_the_same(monkeypatch):
    values, items = made(8, 60, 1.0)
    at_once = whole(values, items, "within", "any")
    monkeypatch.setattr(module, "PAIRS", 5)
    monkeypatch.setattr(module, "NUMBERS", 50)
    assert whole(values, items, "within", "any") == at_once


def test_phones_of_two_languages_are_not_compared():
    values, items = made(9, 120, 1.0)
    languages = np.where(np.arange(120) % 2, "it", "en")
    found = cells(items.assign(language=languages), "within", largest=None)
    assert {pair[0] for pair in found["pair"]} == {"en", "it"}
    for _, row in found.iterrows():
        assert len({languages[k] for k in (*row["a"], *row["b"])}) == 1


@pytest.mark.parametrize(("voices", "resampled"), [(6, "voices"), (3, "phone pairs")])
def test_the_interval_says_what_was_resampled(voices, resampled):
    values, items = made(10, 400, 2.0, voices=voices)
    found = abx(values, items, "within")
    assert found.resampled == resampled
    assert found.low < found.error < found.high


def test_what_cannot_be_measured_is_said():
    values, items = made(0, 80, 1.0)
    with pytest.raises(ValueError, match="found 'beside'"):
        abx(values, items, "beside")
    with pytest.raises(ValueError, match="no before"):
        abx(values, items.drop(columns="before"), context="same")
    with pytest.raises(ValueError, match="take more speech"):
        abx(values, items[items["speaker"] == "v0"], "across")
    with pytest.raises(ValueError, match="an empty one"):
        abx(values, items.assign(last=items["first"]))
