"""The replace switch, on heads whose answers are known: what the states say, what the codes say, any mixture."""

import numpy as np
import pytest
from models import ours
from pictures import CLASSES, NAMES, PlainTrace, anatomy, utterance

from unispeech_lab import views
from unispeech_lab.analysis.anatomy import step_of
from unispeech_lab.ctc import greedy
from unispeech_lab.error_rates import phone_error_rate

VIEW = views.load("replace")
COUNT = 49  # frames of a second
RIGHT = [1 + k // 10 for k in range(COUNT)]  # ð ə k æ t, each where it is


def heads(states, codes) -> PlainTrace:
    """An anatomy whose heads say these classes, surely."""
    made = anatomy(COUNT)
    for name, said in (("states", states), ("codewords", codes)):
        made[f"heads.{name}"] = 9 * np.eye(CLASSES, dtype=np.float32)[list(said)][None]
    made.labels, made.blank = NAMES, 0
    return made


def tiers(seen, replace, **given):
    panels = {panel.name: panel for panel in VIEW.panels(seen, utterance(**given), replace=replace)}
    return {mark.tier: [span.label for span in mark.spans] for mark in panels["replace"].marks}, panels


class TestReadings:
    def test_where_codes_say_what_states_say_r_changes_nothing(self):
        seen = heads(RIGHT, RIGHT)
        for replace in (0.0, 0.4, 1.0):
            _, panels = tiers(seen, replace)
            assert panels["replace"].words.count("5 of 5 phones (0% errors)") == 3
            before, after = (panels[name].marks[0].values for name in ("before", "after"))
            assert np.array_equal(before, after)
            assert np.array_equal(panels["replaced"].marks[0].y, np.zeros((2, 21)))

    def test_r_goes_from_the_states_to_the_codes(self):
        """The states are right, the codes say ð a u everywhere: 1 of 5 phones, and every other one missed or wrong."""
        codes = np.repeat([1, 6, 7], [10, 20, 19])
        alone, _ = tiers(heads(RIGHT, codes), 0.0)
        assert alone["states alone"] == alone["at r = 0"] == ["ð", "ə", "k", "æ", "t"] and alone["replaced"] == []
        whole, panels = tiers(heads(RIGHT, codes), 1.0)
        assert whole["codes alone"] == whole["at r = 1"] == ["ð", "a", "u"]
        assert "The codes alone spell 1 of 5 phones (80% errors), the states alone 5 of 5" in panels["replace"].words
        assert "49 of 49 frames are replaced" in panels["replace"].words

    def test_blank_aside_the_codes_may_know_more_than_they_spell(self):
        """Blank wins every frame; next to it comes the right phone in the frames of ð and ə, and nowhere else."""
        seen = heads(RIGHT, [0] * COUNT)
        known = np.where(np.arange(COUNT) < 20, RIGHT, 11)
        seen["heads.codewords"][0, np.arange(COUNT), known] = 5
        read, panels = tiers(seen, 1.0)
        assert read["codes alone"] == []
        assert "the codes name the phone of 41% of the frames it lasts, the states of 100%" in panels["replace"].words

    def test_the_mixture_is_that_of_the_objective(self):
        seen = anatomy(COUNT)
        _, panels = tiers(seen, 0.35)
        logits = step_of(seen, 0.35).ctc_logits[0].numpy()
        shown = panels["after"].marks[0]
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        assert np.allclose(shown.values, p[:, [int(row) for row in shown.rows]].T, atol=1e-6)

    def test_the_pointer_says_whose_a_frame_is(self):
        seen = heads(RIGHT, [0] * COUNT)
        _, panels = tiers(seen, 0.5)
        shown = panels["after"].marks[0]
        words = np.array(shown.legend)[shown.kinds[0]]
        assert (words == np.where(seen["draws"][0] < 0.5, "of the codeword", "of the state")).all()
        assert set(panels["before"].marks[0].kinds.ravel()) == {0}

    def test_without_phones_it_counts(self):
        read, panels = tiers(heads(RIGHT, [0] * COUNT), 0.0, phones=())
        assert "The codes alone spell 0 phones, the states alone 5 phones" in panels["replace"].words
        assert panels["replaced"].marks[0].names == ("frames that say something else",) and read["truth"] == []


class TestCurve:
    def test_has_a_point_for_every_r(self):
        """Each is the error rate of the mixture, read greedily; at r = 1 the blank is all that is left."""
        seen = heads(RIGHT, [0] * COUNT)
        curve = tiers(seen, 0.3)[1]["replaced"]
        errors, moved = curve.marks[0].y
        said = [span.label for span in utterance().phones]
        for k, r in enumerate(VIEW.SHARES):
            read = greedy(step_of(seen, r).ctc_logits[0].numpy(), 0)
            assert errors[k] == pytest.approx(phone_error_rate([said], [[NAMES[v] for v in read]]))
            assert moved[k] == pytest.approx((seen["draws"] < r).mean())
        assert (errors[0], errors[-1]) == (0, 1) and "From r = 0 to 1 phone errors go from 0% to 100%" in curve.words

    def test_the_upright_line_is_at_r(self):
        curve = tiers(heads(RIGHT, RIGHT), 0.3)[1]["replaced"]
        assert curve.marks[1].x.tolist() == [0.3, 0.3] and curve.y.stop == curve.marks[1].y[0, 1]


def test_hears_a_model_with_nothing_hidden():
    model = ours("UniSpeechForPreTraining")
    seen = VIEW.hear(model, utterance())
    assert not seen["step.predicted"].any() and VIEW.panels(seen, utterance(), replace=0.5)
    output = model(**model.prepare([utterance()]))
    assert np.allclose(seen["heads.states"], output.ctc_logits.detach().numpy(), atol=1e-5)
