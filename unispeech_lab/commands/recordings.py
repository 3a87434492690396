"""Recordings: sound files through one piece of work, in parallel, going on where a stopped run left off."""

from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import Progress

from unispeech_lab.audio import SUFFIXES


@dataclass(frozen=True)
class Job:
    """One recording: where its sound is, where its tiers go (None: nowhere), and what is known of what it says."""

    sound: Path
    output: Path | None
    model: str
    words: tuple[str, ...] = ()
    phones: tuple[tuple[str, ...], ...] = ()
    settings: tuple = ()  # of the work, beyond the recording
    refused: str = ""  # why it cannot be done


def find(paths: Iterable[Path]) -> list[tuple[Path, Path]]:
    """Every sound file among the paths and in the folders among them, each with the folder it was found from.

    Raises ValueError for a path that is not there, and for folders without sound.
    """
    found = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
            if not inside:
                raise ValueError(
                    f"{path}: expected sound files ({' '.join(sorted(SUFFIXES))}) in the folder, found none"
                )
            found += [(file, path) for file in inside]
        elif path.is_file():
            found.append((path, path.parent))
        else:
            raise ValueError(f"{path}: expected a sound file or a folder of them, found nothing there")
    return found


def places(found: list[tuple[Path, Path]], output: Path | None, suffix: str) -> list[Path]:
    """Where each recording's tiers go: beside it, to the file that was named, or to the same place under a folder."""
    suffix = f".{suffix.lstrip('.')}"
    if output is None:
        return [sound.with_suffix(suffix) for sound, _ in found]
    if len(found) == 1 and output.suffix and not output.is_dir():
        return [output]
    files = [(output / sound.relative_to(root)).with_suffix(suffix) for sound, root in found]
    if len(set(files)) < len(files):
        raise ValueError(f"expected recordings of different names, found {len(files) - len(set(files))} that share one")
    return files


def run(
    jobs: list[Job],
    work: Callable[[Job, Callable[[float], None] | None], str],
    workers: int,
    screen: Console,
    again: bool,
) -> None:
    """Do the work of every job whose output is not there yet, say what it says, and end with 1 if any was left out.

    ``work`` returns a line to print. The ValueErrors of a single recording are the command's own; of many, each is a
    recording that is left out.
    """
    todo = [job for job in jobs if again or job.output is None or not job.output.exists()]
    if len(todo) < len(jobs):
        screen.print(f"{len(jobs) - len(todo)} of {len(jobs)} were there already (--again does them anew)")
    left_out = 0
    try:
        with Progress(console=screen, transient=True) as bar:
            task = bar.add_task("listening", total=max(len(todo), 1))
            for job, answer in _answers(todo, work, workers, lambda done: bar.update(task, completed=done)):
                if isinstance(answer, Exception):
                    if len(jobs) == 1:
                        raise typer.BadParameter(str(answer)) from answer
                    left_out += 1
                    answer = f"left out {job.sound}: {answer}"
                screen.print(answer, markup=False, highlight=False)
    except KeyboardInterrupt:
        screen.print("Stopped. The same command goes on from here.")
        raise typer.Exit(130) from None
    if left_out:
        screen.print(f"{left_out} of {len(jobs)} were left out")
        raise typer.Exit(1)


def _answers(jobs: list[Job], work, workers: int, progress: Callable[[float], None]):
    """Each job with the line its work returned, or the ValueError it raised, as they come."""
    if workers == 1 or len(jobs) < 2:
        for done, job in enumerate(jobs):
            try:
                yield job, _done(work, job, lambda share, done=done: progress(done + share))
            except ValueError as error:
                yield job, error
        return
    with ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn"), _one_thread) as pool:
        try:
            asked = {pool.submit(_done, work, job, None): job for job in jobs}
            for done, future in enumerate(as_completed(asked), 1):
                error = future.exception()
                if error is not None and not isinstance(error, ValueError):
                    raise error
                progress(done)
                yield asked[future], error or future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _done(work, job: Job, progress: Callable[[float], None] | None) -> str:
    if job.refused:
        raise ValueError(job.refused)
    return work(job, progress)


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)  # a process a core


@cache
def ears(name: str):
    """A model and its vocabulary, once a process. Raises CheckpointError, or ValueError without its vocab.json."""
    from unispeech_lab import checkpoints
    from unispeech_lab.vocabulary import Vocabulary

    model = checkpoints.load(name)
    place = model.config.name_or_path
    try:
        if not place:
            raise FileNotFoundError("it was made from a seed")
        if not Path(place).is_dir():
            from huggingface_hub import hf_hub_download

            place = hf_hub_download(place, "vocab.json")
        return model, Vocabulary.load(Path(place))
    except OSError as error:
        raise ValueError(
            f"expected vocab.json beside the model {name!r}, which says what its classes are, found none: {error}"
        ) from error
