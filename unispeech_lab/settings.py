"""Settings: what decides a training run, beside the model, the corpus and the variant.

    learning rate   warmup * steps of a straight rise, then  linear | tri-stage | constant
    temperature     max(start * decay ** step, floor)                                   of the Gumbel softmax

Schedules of arXiv 2006.11477 and 2101.07597 as released (fairseq, microsoft/UniSpeech), scaled to a run's steps.
"""

import math
from dataclasses import dataclass, fields

SCHEDULES = ("linear", "tri-stage", "constant")
PRECISIONS = ("no", "bf16", "fp16")
COUNTS = {"steps": 1, "micro_batches": 1, "log_every": 1, "validate_every": 1, "save_every": 1, "keep": 1, "workers": 0}
FROM_NOUGHT = ("learning_rate", "eps", "weight_decay", "feature_gradient", "least_seconds")
ABOVE_NOUGHT = ("batch_seconds", "most_seconds", "clip")


@dataclass(frozen=True)
class Settings:
    """What decides a run, beside the model, the corpus and the variant. Defaults: the small model on two cores.

    ``micro_batches`` of ``batch_seconds`` make a step, over all processes together: their number has to be a multiple
    of the processes'. ``warmup`` is a share of the steps; ``"linear"`` falls to 0 from there, ``"tri-stage"`` holds
    for as long as 40 % of the steps, then falls exponentially to 0.05 of the peak. ``temperature`` is the Gumbel
    temperature at the start, its floor, and what an update multiplies it by. ``feature_gradient`` scales what reaches
    the convolutions; 0 leaves them as they are. ``clip`` is the largest norm of a gradient. ``compile``: the
    encoder's layers, by torch.compile. ``keep``: so many checkpoints; the older ones go. ``workers``: processes that
    read ahead; 0: a thread does, by one batch.

    Raises:
        ValueError: a schedule or precision that does not exist; a number below the least that makes sense.
    """

    steps: int = 2000
    seed: int = 0
    batch_seconds: float = 27.0
    micro_batches: int = 1
    learning_rate: float = 1e-3
    warmup: float = 0.1
    schedule: str = "linear"
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    weight_decay: float = 0.01
    clip: float = 25.0
    temperature: tuple[float, float, float] = (2.0, 0.5, 0.999)
    feature_gradient: float = 1.0
    least_seconds: float = 0.4
    most_seconds: float = 20.0
    augment: bool = True
    mixed_precision: str = "no"
    compile: bool = False
    log_every: int = 10
    validate_every: int = 250
    save_every: int = 250
    keep: int = 2
    workers: int = 0

    def __post_init__(self):
        for name, choices in (("schedule", SCHEDULES), ("mixed_precision", PRECISIONS)):
            if getattr(self, name) not in choices:
                raise ValueError(f"expected {name} out of {', '.join(choices)}, found {getattr(self, name)!r}")
        for name, least in COUNTS.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"expected {name} as a whole number from {least} on, found {value!r}")
        for name in (*FROM_NOUGHT, *ABOVE_NOUGHT):
            value, above = getattr(self, name), name in ABOVE_NOUGHT
            if not isinstance(value, int | float) or not (value > 0 if above else 0 <= value < math.inf):
                raise ValueError(f"expected {name} as a number {'above' if above else 'from'} 0, found {value!r}")
        for name in ("betas", "temperature"):
            given, wanted = tuple(getattr(self, name)), len(getattr(type(self), name))
            if len(given) != wanted:
                raise ValueError(f"expected {name} to be {wanted} numbers, found {given}")
            object.__setattr__(self, name, given)
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"expected betas from 0 to below 1, found {self.betas}")
        start, floor, decay = self.temperature
        if not (start > 0 and floor > 0 and 0 < decay <= 1):
            raise ValueError(
                "expected temperature as a start and a floor above 0, and a factor of a step, above 0, at most 1, "
                f"found {self.temperature}: (2.0, 0.5, 0.999), for instance"
            )
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"expected warmup as a share of the steps, from 0 to 1, found {self.warmup}")

    @classmethod
    def names(cls) -> list[str]:
        """What can be set."""
        return [field.name for field in fields(cls)]

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        start, hold = self.warmup * self.steps, (self.warmup + 0.4) * self.steps
        if step < start:
            return self.learning_rate * (step + 1) / (start + 1)
        if self.schedule == "linear":
            return self.learning_rate * (self.steps - step) / max(self.steps - start, 1)
        if self.schedule == "tri-stage" and step > hold:
            return self.learning_rate * 0.05 ** ((step - hold) / max(self.steps - hold, 1))
        return self.learning_rate

    def heat(self, step: int) -> float:
        """The Gumbel temperature of a step, counted from 0."""
        start, floor, decay = self.temperature
        return max(start * decay**step, floor)


@dataclass(frozen=True)
class FineTuneSettings(Settings):
    """What decides a fine-tuning run, beside the model and the corpus: as in pretraining, with other defaults.

    ``head_only``: share of the steps in which the head alone learns; 1: the rest never does. ``feature_gradient`` is 0:
    the convolutions stay as they are. ``lora``: rank of low-rank updates (arXiv 2106.09685) beside the encoder's
    matrices, which then stay as they are; 0: none. ``language``: train this language's adapters and head alone, and
    keep them in a file of their own (see ``doors.languages``).

    Raises:
        ValueError: as ``Settings``; a share that is none, a negative rank, LoRA together with a language.
    """

    steps: int = 600
    batch_seconds: float = 20.0
    learning_rate: float = 5e-4
    schedule: str = "tri-stage"
    eps: float = 1e-8
    weight_decay: float = 0.0
    feature_gradient: float = 0.0
    least_seconds: float = 0.1
    head_only: float = 0.1
    lora: int = 0
    language: str | None = None
    validate_every: int = 100

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.head_only <= 1:
            raise ValueError(f"expected head_only as a share of the steps, from 0 to 1, found {self.head_only}")
        if self.lora < 0:
            raise ValueError(f"expected lora as a rank of at least 0, found {self.lora}")
        if self.lora and self.language:
            raise ValueError(f"expected lora or language, found both ({self.lora}, {self.language!r}): leave one out")
