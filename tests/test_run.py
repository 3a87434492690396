"""A run's folder: lines that are whole, checkpoints that are whole, settings that stay."""

import os
import resource
import signal

import pytest

from unispeech_lab.run import Run, part_of, whole_folder, write_whole


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path / "deep" / "run", {"steps": 10, "betas": (0.9, 0.98)})
    for step in (1, 2, 3):
        made.log(step=step, loss=1.0 / step)
    made.log(step=2, valid_loss=0.7)
    made.log(step=3, event="left out", what="é: too short")
    return made


def test_the_table_has_a_row_a_step(run):
    assert list(run.table.index) == [1, 2, 3]
    assert run.table.loc[2].to_dict() == {"loss": 0.5, "valid_loss": 0.7}
    assert run.events == [{"step": 3, "event": "left out", "what": "é: too short"}]
    assert run.step == 3 and not run.finished and "step 3 of 10" in repr(run)


def test_a_run_that_has_said_nothing_has_an_empty_table(tmp_path):
    run = Run(tmp_path, {"steps": 1})
    assert run.table.empty and run.events == [] and run.step == 0 and run.checkpoints() == []
    assert "step 0 of 1" in repr(run)


def test_it_is_gone_on_with_by_the_same_settings_only(run):
    Run(run.folder, {"steps": 10, "betas": [0.9, 0.98], "a setting of a later version": 1})
    with pytest.raises(ValueError, match=r"betas \[0.9, 0.98\], now \[0.9, 0.9\]; steps 10, now 9: give them again"):
        Run(run.folder, {"steps": 9, "betas": (0.9, 0.9)})
    assert run.settings["steps"] == 10


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="expected settings.json in .*: give the folder of a run"):
        Run(tmp_path).settings  # noqa: B018


def test_a_line_that_was_cut_short_is_left_out_and_forgotten(run):
    with run.metrics.open("a") as file:
        file.write('{"step": 4, "loss": 0.2')
    assert run.step == 3
    run.rewind(2)
    assert [row["step"] for row in run.lines()] == [1, 2, 2]
    run.log(step=3, loss=9.0)
    assert run.table.loc[3, "loss"] == 9.0


def test_lines_that_are_none_are_left_out(run):
    with run.metrics.open("ab") as file:
        file.write(b'{"step": "4"}\n{"step": null}\n{"step": NaN}\n\xff\xfe\x00\n' + b"[" * 100_000 + b"\n7\n")
    assert run.step == 3 and len(run.lines()) == 5
    run.rewind(3)
    assert len(run.metrics.read_text().splitlines()) == 5


def test_an_event_may_hold_what_unicode_takes_for_the_end_of_a_line(run):
    run.log(step=3, event="left out", what="a\u2028b\x85c")
    assert run.events[-1]["what"] == "a\u2028b\x85c"


@pytest.mark.parametrize("written", ["[]", "7", '{"steps": 1', "[" * 100_000, "\udcff"])
def test_settings_that_are_none_are_refused(run, written):
    (run.folder / "settings.json").write_bytes(written.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=r"expected a JSON object of settings in .*settings.json.*: give another"):
        Run(run.folder, {"steps": 10})


def test_what_is_no_checkpoint_is_none(run):
    for name in ("00000002", "00000002 copy", "00000002.part", "2b"):
        (run.folder / "checkpoints" / name).mkdir(parents=True)
    (run.folder / "checkpoints" / "00000003").write_text("a file")
    assert [path.name for path in run.checkpoints()] == ["00000002"]


def test_numbers_that_are_none_are_kept(run):
    run.log(step=4, loss=float("nan"), grad_norm=float("inf"))
    assert run.step == 4 and run.table.loc[4, "grad_norm"] == float("inf")


def test_keep_deletes_the_old_and_the_unfinished(run):
    for name in ("00000002", "00000004", "00000010", "00000012.part"):
        (run.folder / "checkpoints" / name).mkdir(parents=True)
    run.keep(2)
    assert [path.name for path in run.checkpoints()] == ["00000004", "00000010"]
    assert len(list((run.folder / "checkpoints").iterdir())) == 2


def test_a_file_is_the_old_one_or_the_new_one(tmp_path, monkeypatch):
    file = tmp_path / "a.json"
    write_whole(file, "old")

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_whole(file, "new and longer")
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_a_folder_takes_its_name_when_all_in_it_is_on_the_disk(tmp_path, monkeypatch):
    folder, synced = tmp_path / "00000010", []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda number: (synced.append(os.readlink(f"/proc/self/fd/{number}")), real(number))
    )
    with whole_folder(folder) as part:
        (part / "deep").mkdir()
        (part / "deep" / "a.txt").write_text("whole")
        assert not folder.exists() and part == part_of(folder)
    assert (folder / "deep" / "a.txt").read_text() == "whole" and not part.exists()
    assert [os.path.basename(path) for path in synced] == ["deep", "a.txt", "00000010.part", tmp_path.name]
    with whole_folder(folder) as part:  # one that is there already is replaced
        (part / "b.txt").write_text("new")
    assert [file.name for file in folder.iterdir()] == ["b.txt"]


def test_of_a_folder_that_failed_nothing_is_left(tmp_path):
    folder = tmp_path / "00000010"
    with pytest.raises(RuntimeError), whole_folder(folder) as part:
        (part / "a.txt").write_text("half")
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_line_without_room_leaves_nothing(run):
    size = run.metrics.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, hard))  # room for half of it
    try:
        with pytest.raises(OSError, match="expected room for a line, found none: the disk is full"):
            run.log(step=4, loss=1.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    assert run.metrics.stat().st_size == size
    run.log(step=4, loss=1.0)
    assert run.step == 4


def test_two_cannot_train_in_one_folder(run):
    with run.alone():
        with pytest.raises(ValueError, match="expected a run that nobody is at, found one that is being trained: wait"):
            Run(run.folder, {"steps": 10}).alone().__enter__()
        assert Run(run.folder).table.loc[1, "loss"] == 1.0  # but look at it
    with run.alone():
        pass
