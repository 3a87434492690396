"""The audit of negatives, on phones and draws whose counts are known."""

import numpy as np
import pytest
import torch
from models import ours
from pictures import utterance

from unispeech_lab.alignment import Span
from unispeech_lab.analysis.anatomy import dissect
from unispeech_lab.analysis.negatives import PAUSE, Audit, audit, chance, count, phones, spoken

SPANS = (Span("a", 0.1, 0.3), Span("b", 0.3, 0.4), Span("a", 0.5, 0.6))
SECONDS = np.arange(7) / 10 + 0.05  # pause a a b pause a pause


def test_a_moment_has_the_phone_that_is_spoken():
    assert spoken(SPANS, SECONDS).tolist() == [-1, 0, 0, 1, -1, 2, -1]
    assert phones(SPANS, SECONDS).tolist() == [PAUSE, "a", "a", "b", PAUSE, "a", PAUSE]
    assert phones((), SECONDS).tolist() == [PAUSE] * 7
    assert phones(SPANS, np.array([0.3])).tolist() == ["b"]  # a border belongs to what begins there


def test_chance_is_the_share_of_the_other_frames():
    assert chance(phones(SPANS, SECONDS)) == pytest.approx(np.array([2, 2, 2, 0, 2, 2, 2]) / 6)
    assert chance(np.array(["a"])).tolist() == [0.0]


def counted(**changes) -> Audit:
    """Frame 1 (a) told from 2 (a, the same stretch), 5 (a, another), 3 (b), 3; frame 3 (b) from 0, 1."""
    predicted = np.isin(np.arange(7), [1, 3])
    negatives = np.full((7, 4), -1)
    negatives[1], negatives[3, :2] = [2, 5, 3, 3], [0, 1]
    equal = np.zeros((7, 4), bool)
    equal[1, [0, 2]] = True
    cosines = np.full((7, 4), 9.0)
    cosines[1], cosines[3, :2] = [0.8, 0.6, 0.4, 0.2], [0.1, 0.3]
    given = {"predicted": predicted, "negatives": negatives, "equal": equal, "cosines": cosines}
    return count(SPANS, SECONDS, **given | changes)


def test_counts_what_is_false():
    a = counted().table.loc["a"]
    assert (a["frames"], a["false"], a["near"]) == (1, 2 / 4, 1 / 2)
    assert a["chance"] == pytest.approx(2 / 6)
    assert (a["caught"], a["lost"], a["left"]) == (1 / 2, 1 / 2, 1 / 2)
    assert (a["cosine_false"], a["cosine_true"]) == pytest.approx((0.6, 0.2))
    b = counted().table.loc["b"]
    assert (b["false"], b["chance"], b["left"]) == (0, 0, 0) and np.isnan(b["caught"]) and np.isnan(b["cosine_false"])


def test_frames_that_are_not_predicted_do_not_count():
    none = counted(predicted=np.arange(7) == 3)
    assert none.table.index.tolist() == ["b"]


def test_audits_add_up():
    whole = sum([counted(), counted()], Audit())
    assert whole.table.loc["a", "frames"] == 2 and whole.table.loc["a", "false"] == 2 / 4
    assert whole.whole["false"] == pytest.approx(2 / 6) and whole.whole["frames"] == 4
    assert whole.whole["chance"] == pytest.approx(4 / 3 / 6)


def test_a_pause_is_a_stretch_as_a_phone_is():
    predicted, negatives = np.arange(7) == 4, np.full((7, 2), -1)
    negatives[4] = [0, 6]
    given = {"predicted": predicted, "negatives": negatives, "equal": negatives > 9, "cosines": np.zeros((7, 2))}
    assert counted(**given).table.loc[PAUSE, ["false", "near"]].tolist() == [1.0, 0.0]
    together = count(SPANS[:2], SECONDS, **given | {"negatives": np.where(negatives < 0, -1, [5, 0])})
    assert together.table.loc[PAUSE, "near"] == 0.5


def test_shows_itself_in_shares():
    assert "50.0%" in counted()._repr_html_() and "0.60" in counted()._repr_html_()
    assert "<table" in Audit()._repr_html_() and "most frequent" not in Audit()._repr_html_()
    assert repr(counted()) == "Audit(2 frames; of their negatives 33.3% are false, by chance 22.2%)"


def test_nothing_yet_is_an_empty_table():
    assert Audit().table.empty and np.isnan(Audit().whole["false"])


def test_of_many_draws_chance_is_what_is_found():
    model = ours("UniSpeechForPreTraining", mask_time_prob=0.5)
    generator = torch.Generator().manual_seed(0)
    audits = [audit(dissect(model, utterance(), generator=generator), utterance()) for _ in range(12)]
    whole = sum(audits, Audit()).whole
    assert whole["false"] == pytest.approx(whole["chance"], rel=0.05) and 0.15 < whole["chance"] < 0.25


def test_without_the_truth_there_is_no_audit():
    model = ours("UniSpeechForPreTraining")
    with pytest.raises(ValueError, match="phones have times, found none: an audit needs the truth"):
        audit(dissect(model, utterance(phones=())), utterance(phones=()))
