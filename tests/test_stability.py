"""Stability: the same codebook under other numbers is the same, dice are not."""

import numpy as np
import pytest
from sklearn import metrics

from unispeech_lab.analysis import stability

FRAMES, CODES = 3000, 12
UTTERANCES = np.arange(FRAMES) // 60


def codes(seed, groups=1):
    """Codes (f, g) in runs of a few frames, the low numbers more often."""
    draw = np.random.default_rng(seed)
    found = [
        np.repeat((CODES * draw.random(FRAMES) ** 2).astype(int), draw.integers(1, 5, FRAMES)) for _ in range(groups)
    ]
    return np.stack([each[:FRAMES] for each in found], 1)


def measured(*sides, **how):
    rows = stability.compare(*sides, UTTERANCES, **{"draws": 60, **how})
    return rows.set_index(["codes", "measure"])


def test_a_permutation_of_the_codes_is_the_same_codebook():
    ours = codes(0)
    renamed = np.random.default_rng(1).permutation(CODES)[ours]
    rows = measured(ours, renamed)
    for measure in stability.MEASURES:
        assert rows.loc[("joint", measure), ["value", "low", "high"]].tolist() == pytest.approx([1, 1, 1], abs=1e-6)
    assert rows["n"].eq(FRAMES).all()
    assert rows.loc["joint"].loc[["matched", "nmi"], "chance"].between(0.001, 0.3).all()


def test_independent_codes_score_what_chance_does():
    rows = measured(codes(0), codes(7)).loc["joint"]
    assert rows["value"].to_numpy() == pytest.approx(rows["chance"].to_numpy(), abs=0.02)
    assert abs(rows.loc["rand", "value"]) < 0.02 and abs(rows.loc["ami", "value"]) < 0.02
    assert (rows.loc[["rand", "ami"], "low"] < 0.01).all()


def test_half_of_the_frames_in_common_lies_between():
    ours, theirs = codes(0), codes(7)
    half = np.where(UTTERANCES[:, None] % 2 == 0, ours, theirs)
    rows = measured(ours, half).loc["joint"]
    assert rows.loc["matched", "value"] == pytest.approx(
        0.5 + (ours == theirs)[UTTERANCES % 2 == 1].mean() / 2, abs=0.02
    )
    assert (rows["value"] > rows["chance"] + 0.1).all()
    assert (rows["low"] < rows["value"]).all() and (rows["value"] < rows["high"]).all()
    assert (rows["high"] - rows["low"] > 0.1).all()  # utterances differ, and it shows


def test_numbers_are_those_of_scikit_learn():
    ours, theirs = codes(2)[:, 0], codes(3)[:, 0]
    theirs = np.where(np.random.default_rng(0).random(FRAMES) < 0.4, ours, theirs)
    rows = measured(ours, theirs, draws=2).loc["joint", "value"]
    assert rows["rand"] == pytest.approx(metrics.adjusted_rand_score(ours, theirs))
    assert rows["nmi"] == pytest.approx(metrics.normalized_mutual_info_score(ours, theirs))
    assert rows["ami"] == pytest.approx(metrics.adjusted_mutual_info_score(ours, theirs))


def test_groups_find_their_fellows():
    ours = codes(4, groups=2)
    swapped = np.stack([(ours[:, 1] + 3) % CODES, CODES - 1 - ours[:, 0]], 1)
    rows = measured(ours, swapped, draws=2)
    assert set(rows.index.get_level_values("codes")) == {"joint", "0 and 1", "1 and 0"}
    assert rows.drop("matched", level="measure")["value"].to_numpy() == pytest.approx(1, abs=1e-6)
    assert rows.loc[("0 and 1", "matched"), "value"] == 1
    apart = measured(ours[:, :1], ours[:, 1:], draws=2)
    assert apart.loc[("joint", "ami"), "value"] < 0.02


def test_partners_are_not_found_where_they_are_counted():
    """Were they, codes that occur once each would all agree."""
    rows = stability.compare(np.arange(40), np.arange(40)[::-1], np.arange(40) // 2, draws=2).set_index("measure")
    assert rows.loc["matched", "value"] == 0


def test_all_pairs():
    ours = codes(0)
    rows = stability.compare_all({"a": ours, "b": CODES - 1 - ours, "c": codes(9)}, UTTERANCES, draws=2)
    assert [*rows[["one", "other"]].drop_duplicates().itertuples(index=False, name=None)] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    rand = rows[rows["measure"] == "rand"].set_index(["one", "other"])["value"]
    assert rand["a", "b"] == pytest.approx(1) and abs(rand["a", "c"]) < 0.02
    assert stability.compare_all({"a": ours}, UTTERANCES).empty


def test_other_frames_are_refused():
    with pytest.raises(ValueError, match="found 5 and 4 of 5 frames: survey one corpus"):
        stability.compare(np.zeros(5, int), np.zeros(4, int), np.zeros(5))
