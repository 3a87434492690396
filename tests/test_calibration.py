"""Calibration: a score that is wrong about itself becomes a chance, held out; what it cannot know stays as it is."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from unispeech_lab import Corpus, boundaries, checkpoints, cli, ctc
from unispeech_lab.alignment import Alignment, Calibration, Span, align
from unispeech_lab.alignment.calibration import LEAST, held_out
from unispeech_lab.posteriors import log_posteriors

TINY = Path(__file__).parent.parent / "data" / "models" / "tiny"
NO_PATH = ctc.Path(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), 0.0)


def made(number, seed=0, remarks=(), method="raw"):
    """Alignments of 10 phones, whose scores are far too modest: a phone of score s is right with chance s ** 0.2."""
    rng, found = np.random.default_rng(seed), []
    for k in range(number):
        truth = [Span(chr(97 + (k + i) % 26), i * 0.2, i * 0.2 + 0.1) for i in range(10)]
        scores = rng.uniform(0.001, 0.999, 10)
        right = rng.random(10) < scores**0.2
        phones = tuple(
            Span(p.label, p.start + (0 if good else 0.05), p.end + (0 if good else 0.05), float(score))
            for p, good, score in zip(truth, right, scores, strict=True)
        )
        words = (Span("one", phones[0].start, phones[3].end, 0.5), Span("two", phones[4].start, phones[9].end, 0.5))
        found.append((Alignment(phones, words, np.arange(10.0), 1.0, 2.0, remarks, NO_PATH, method), truth))
    return found


def test_a_modest_score_becomes_a_chance():
    table = held_out(made(300))
    before, after = (boundaries.expected_calibration_error(table[name], table["right"]) for name in ("before", "after"))
    assert len(table) == 3000 and before > 0.25 and after < 0.04, (before, after)


def test_how_long_a_phone_came_out_counts():
    """Phones of 20 ms are always wrong, others always right, whatever their scores."""
    found = []
    for _, truth in made(40):
        short = np.arange(10) % 2 == 0
        phones = [
            Span(t.label, t.start, t.start + 0.02 if s else t.end, 0.5) for t, s in zip(truth, short, strict=True)
        ]
        found.append((Alignment(tuple(phones), (), np.zeros(10), 1.0, 2.0, (), NO_PATH, "raw"), truth))
    calibrated = Calibration.fit(found)(found[0][0])
    assert all(p.score < 0.1 if k % 2 == 0 else p.score > 0.9 for k, p in enumerate(calibrated.phones))


def test_nothing_but_scores_changes():
    calibration = Calibration.fit(made(50))
    ((alignment, _),) = made(1, seed=1)
    surer = calibration(alignment)
    assert [(p.label, p.start, p.end) for p in surer.phones] == [(p.label, p.start, p.end) for p in alignment.phones]
    assert surer.margins is alignment.margins and surer.heard == alignment.heard
    means = [np.mean([p.score for p in surer.phones[part]]) for part in (slice(0, 4), slice(4, 10))]
    assert [word.score for word in surer.words] == pytest.approx(means)
    assert all(a.score != b.score for a, b in zip(surer.phones, alignment.phones, strict=True))


@pytest.mark.parametrize("how", [{"remarks": ("low confidence",)}, {"method": "spectral"}])
def test_a_doubted_text_and_another_method_stay_as_they_are(how):
    calibration = Calibration.fit(made(50))
    ((alignment, _),) = made(1, **how)
    assert calibration(alignment) is alignment


def test_a_star_has_no_chance():
    ((alignment, truth),) = made(1)
    phones = (Span("*", 0.0, 0.1), *alignment.phones[1:])
    starred = Calibration.fit(made(50))(Alignment(phones, (), np.zeros(10), 1.0, 2.0, (), NO_PATH, "raw"))
    assert starred.phones[0].score is None and all(p.score is not None for p in starred.phones[1:])


@pytest.mark.parametrize("found", [[], made(LEAST // 10 - 1), made(50, remarks=("low confidence",))])
def test_too_little_is_refused(found):
    with pytest.raises(ValueError, match=f"expected {LEAST} phones or more with true borders, .* give more speech"):
        Calibration.fit(found)


def test_it_comes_back_from_its_file(tmp_path):
    calibration = Calibration.fit(made(50))
    calibration.save(tmp_path)
    assert Calibration.load(tmp_path) == calibration
    for broken in ("{", "[]", json.dumps({"near": 0.02, "bends": [1], "weights": {"raw": [1]}})):
        (tmp_path / "calibration.json").write_text(broken)
        with pytest.raises(ValueError, match=r"calibration\.json: expected what Calibration\.save writes, found"):
            Calibration.load(tmp_path)


def test_the_model_that_comes_along_knows_its_chances():
    """Every sixth bundled utterance, which it was fitted on: what ships belongs to this model and these methods."""
    model = checkpoints.load()
    known, before, after, right = set(model.vocabulary.phones), [], [], []
    for said in [u for u in Corpus.bundled() if u.phones and {p.label for p in u.phones} <= known][::6]:
        phones, heard = [p.label for p in said.phones], log_posteriors(model, said)
        place = {"frames": model.frames, "seconds": said.seconds, "waveform": said.waveform}
        alignment = align(heard, [phones], model.vocabulary, method="spectral", **place)
        off = boundaries.errors(alignment.phones, said.phones)[["onset", "offset"]].abs().max(axis=1, skipna=False)
        known_too = off.notna().to_numpy()
        right += (off <= 0.02 + 1e-9)[known_too].tolist()
        for scores, tier in ((before, alignment.phones), (after, model.calibration(alignment).phones)):
            scores += np.array([p.score for p in tier])[known_too].tolist()
    error = [boundaries.expected_calibration_error(scores, right) for scores in (before, after)]
    assert len(right) > 200 and error[0] > 0.15 and error[1] < 0.6 * error[0], error
    assert checkpoints.untrained().calibration is None


def test_the_command_writes_it_where_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("unispeech_lab.commands.calibrate.alignments", lambda model, corpus, screen: made(60))
    run = CliRunner().invoke(cli.app, ["calibrate", "tiny", "bundled", "-o", str(tmp_path)], env={"COLUMNS": "4000"})
    assert run.exit_code == 0, run.output
    assert re.search(r"raw: 600 phones, .* within 20 ms; score and truth 0\.\d+ apart, calibrated 0\.0\d+", run.output)
    assert Calibration.load(tmp_path) == Calibration.fit(made(60))
    run = CliRunner().invoke(
        cli.app, ["calibrate", "tiny", "bundled", "-o", str(tmp_path / "none")], env={"COLUMNS": "4000"}
    )
    assert run.exit_code == 2 and "give --output" in run.output
