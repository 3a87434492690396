"""JSON: tiers of spans with their scores, for programs.

{"seconds": 1.5, "tiers": {"phones": [{"label": "k", "start": 0.1, "end": 0.2, "score": 0.9}]}}
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from os import PathLike
from pathlib import Path

from unispeech_lab.alignment.span import Span


def write_json(file: str | PathLike, tiers: Mapping[str, Iterable[Span]], seconds: float) -> None:
    """Write every tier (UTF-8); times are kept as they are, a score that was not measured is null."""
    whole = {"seconds": seconds, "tiers": {name: [asdict(span) for span in spans] for name, spans in tiers.items()}}
    Path(file).write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def read_json(file: str | PathLike) -> dict[str, tuple[Span, ...]]:
    """The tiers that ``write_json`` wrote. Raises ValueError, naming the file, for anything else."""
    try:
        tiers = json.loads(Path(file).read_text(encoding="utf-8"))["tiers"]
        return {
            name: tuple(
                Span(
                    str(span["label"]),
                    float(span["start"]),
                    float(span["end"]),
                    None if span.get("score") is None else float(span["score"]),
                )
                for span in spans
            )
            for name, spans in tiers.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: expected tiers of spans as write_json writes them, found: {error!r}") from error
