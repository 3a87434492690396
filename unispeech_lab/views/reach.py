"""Reach: every unit of the front end that hears one sample, layer by layer."""

import numpy as np

from unispeech_lab.alignment import Span
from unispeech_lab.frames import Frames
from unispeech_lab.views.features import convolved, field, hop
from unispeech_lab.views.panel import Axis, Heatmap, Lines, Moment, Panel, Points, Spans, Table, clock, nowhere
from unispeech_lab.views.reading import clock_of

watches = ("feature_extractor.conv_layers.*",)

COLUMNS = 1000
DIM = 1.6  # times the loudest: what hears the sample must shine over it
SWING = 6.0  # rows of cells that the waveform swings up, and down
THICK, THIN = 4, 1  # rows of cells a lane is high, and what lies between two
NOBODY, DEAF, HEARS = 0, 1, 2
LEGEND = ("no frame", "a frame that does not hear it", "a frame that hears it")
COLUMNS_OF_TABLE = (
    *(("layer", ""), ("kernel", ""), ("stride", ""), ("a frame every", "ms"), ("hears", "ms"), ("frames", "")),
    *(("channels", ""), ("hear it", ""), ("which", ""), ("units", "")),
)


def knobs(trace, utterance) -> dict[str, Moment]:
    wave = np.asarray(utterance.waveform)
    return {"moment": Moment("the sample", len(wave) / utterance.rate, int(np.abs(wave).argmax()) / utterance.rate)}


def panels(trace, utterance, moment: float) -> list[Panel]:
    """Where the sample at ``moment`` is heard: over the whole utterance, close by, and counted.

    A frame hears a sample if one of its taps does, or one of the frames beneath that its taps reach. The statistics
    over time of a front end with ``feat_extract_norm="group"`` hear everything: they are left out here.
    """
    wave, said = np.asarray(utterance.waveform), convolved(trace, utterance)
    sample = min(int(moment * utterance.rate + 1e-6), len(wave) - 1)
    clocks = {conv: clock_of(trace).up_to(conv + 1) for conv in said}
    heard = {conv: frames.hearing(sample, len(wave)) for conv, frames in clocks.items()}
    return [
        everywhere(said, clocks, heard, len(wave), sample),
        close(wave, clocks, heard, sample),
        counted(said, clocks, heard),
    ]


def everywhere(said: dict, clocks: dict, heard: dict, samples: int, sample: int) -> Panel:
    """How much each layer answers over time, and what the frames that hear the sample hear besides it."""
    rate = next(iter(clocks.values())).rate
    moments = (np.arange(COLUMNS) + 0.5) * samples / rate / COLUMNS
    cells = [
        apart(moved(said[conv])[clocks[conv].nearest(moments).clip(0, len(said[conv]) - 1)][None]) for conv in said
    ]
    rows = tuple(f"conv {conv}" for conv in said for _ in range(THICK + THIN))
    extent = {"x": (0.0, samples / rate), "y": (0.0, float(len(said)))}
    marks = [Heatmap(np.concatenate(cells), **extent, low=0.0, high=DIM, quantity="activity", rows=rows, map="cividis")]
    for height, conv in enumerate(said):
        spans = union(clocks[conv], heard[conv])
        marks.append(Spans(f"conv {conv} hears it", spans, (height, height + 0.8), np.ones(len(spans))))
    units = sum(len(heard[conv]) * said[conv].shape[1] for conv in said)
    last = max(said)
    words = (
        f"Sample {sample:,}, at {sample / rate:.4f} s, is heard by {sum(map(len, heard.values()))} frames, {units:,} "
        f"units in all; {tell(heard[last])} of conv {last} {'hear' if len(heard[last]) > 1 else 'hears'} it"
    )
    if heard[last]:
        start, stop = clocks[last].samples(heard[last][0])[0], clocks[last].samples(heard[last][-1])[1]
        words += f", together with {stop - start - 1:,} others"
    ticks = tuple((height + 0.4, f"conv {conv}") for height, conv in enumerate(said))
    axis, time = Axis("layer", "", 0.0, float(len(said)), ticks), clock(samples / rate)
    return Panel("reach", "Who hears this sample", marks, time, axis, f"{words}.", weight=2.0, paints="moment")


def close(wave: np.ndarray, clocks: dict, heard: dict, sample: int) -> Panel:
    """All frames around the sample, each as wide as what it hears; those that overlap lie in lanes of their own."""
    first, last, widest = min(clocks), max(clocks), max(frames.receptive_field for frames in clocks.values())
    near, cells, kinds, rows, names = np.arange(sample - widest, sample + widest + 1), [], [], [], []
    for conv, frames in clocks.items():
        shades, kind = lanes(frames, heard[conv], near, len(wave))
        cells.append(apart(shades, 2 * THIN))
        kinds.append(np.nan_to_num(apart(kind.astype(float), 2 * THIN), nan=NOBODY))
        names.append((len(rows) + len(cells[-1]) / 2, f"conv {conv}"))
        rows += [f"conv {conv}"] * len(cells[-1])
    ms = 1000 * (near - sample) / clocks[last].rate
    sides = (ms[0] * (1 + 0.5 / widest), ms[-1] * (1 + 0.5 / widest)), (0.0, float(len(rows)))
    told = {"quantity": "hears it", "rows": tuple(rows), "kinds": np.concatenate(kinds), "legend": LEGEND}
    told["columns"] = tuple(f"{at:+.2f} ms" for at in ms)
    boxes = Heatmap(np.concatenate(cells), *sides, low=0.0, high=1.0, map="cividis", **told)
    there = (near >= 0) & (near < len(wave))
    high = max(float(np.abs(wave[near[there]]).max()), 1e-6)
    swing = SWING * (wave[near[there]] / high - 1.1)  # beneath the boxes, so that one ruler serves both
    line = Lines(ms[there], swing[None], ("waveform, not to scale",))
    dot = Points(np.zeros(1), swing[near[there] == sample], (f"the sample, level {wave[sample]:.3f}",))
    words = (
        f"A box is what one frame hears: {field(clocks[first]):.4g} ms in conv {first}, "
        f"{field(clocks[last]):.4g} in {last}; the bright ones hear the sample: {tell(heard[last])} of conv {last}."
    )
    steps = [(float(at), f"{at:+g}" if at else "0") for at in (-20, -10, -5, -2, 0, 2, 5, 10, 20) if abs(at) < ms[-1]]
    time = Axis("from the sample", "ms", *sides[0], tuple(steps))
    layer = Axis("layer", "", -2.2 * SWING, float(len(rows)), ((-1.1 * SWING, "waveform"), *names))
    return Panel("close", "Close by", (boxes, line, dot), time, layer, words, 3.0)


def lanes(frames: Frames, hears: range, near: np.ndarray, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """Which frames hear each sample ``near`` (n,): shades and kinds (lane, n), as many lanes as frames overlap."""
    count, deep = frames.count(samples), -(-frames.receptive_field // frames.hop)
    shades, kinds = np.full((deep, len(near)), np.nan), np.full((deep, len(near)), NOBODY)
    first = max((int(near[0]) - frames.receptive_field) // frames.hop, 0)
    for frame in range(first, min(int(near[-1]) // frames.hop + 1, count)):
        start, stop = np.clip(np.array(frames.samples(frame)) - near[0], 0, len(near))
        lane, turn = frame % deep, frame // deep % 2
        shades[lane, start:stop] = 1.0 if frame in hears else (0.2, 0.35)[turn]  # so that neighbours can be told apart
        kinds[lane, start:stop] = HEARS if frame in hears else DEAF
    return shades, kinds


def counted(said: dict, clocks: dict, heard: dict) -> Panel:
    """The same in numbers, a row a layer; a click plays all that the frames of a row hear."""
    rows, times = [], []
    for conv, frames in clocks.items():
        which, channels = heard[conv], said[conv].shape[1]
        name = "–".join(f"{k:,}" for k in dict.fromkeys((which[0], which[-1]))) if which else "none"
        times.append((union(frames, which)[0].start, union(frames, which)[-1].end) if which else (0.0, 0.0))
        shape = (float(frames.kernel[-1]), float(frames.stride[-1]), hop(frames), field(frames))
        counts = (float(len(said[conv])), float(channels), float(len(which)), name, float(len(which) * channels))
        rows.append((f"conv {conv}", *shape, *counts))
    units = sum(row[-1] for row in rows)
    words = f"{units:,.0f} of {sum(said[conv].size for conv in said):,} units of the front end hear it."
    table = Table(COLUMNS_OF_TABLE, tuple(rows), by=0, falling=False, times=np.array(times))
    return Panel("listeners", "Layer by layer", (table,), *nowhere(), words, weight=2.6)


def apart(values: np.ndarray, below: int = 0) -> np.ndarray:
    """Rows (r, n) made thick, with a line of nothing over each, and ``below`` more of them under all."""
    thick = np.repeat(values[:, None], THICK, axis=1)
    thin = np.full((len(values), THIN, values.shape[1]), np.nan)
    lines = np.concatenate([thick, thin], axis=1).reshape(-1, values.shape[1])
    return np.concatenate([np.full((below, values.shape[1]), np.nan), lines])


def moved(values: np.ndarray) -> np.ndarray:
    """How far each frame (t,) lies from the mean frame (t, c), as a share of the farthest."""
    there = np.isfinite(values).all(1)
    far = np.linalg.norm(values - values[there].mean(0), axis=1) if there.any() else np.full(len(values), np.nan)
    return far / max(float(np.max(far, where=there, initial=0)), 1e-9)


def union(frames: Frames, which: range) -> tuple[Span, ...]:
    """The stretch that frames hear together, or none."""
    if not which:
        return ()
    label = f"{len(which)} frame{'s' if len(which) > 1 else ''}"
    return (Span(label, frames.samples(which[0])[0] / frames.rate, frames.samples(which[-1])[1] / frames.rate),)


def tell(which: range) -> str:
    if len(which) <= 1:
        return f"frame {which[0]:,}" if which else "no frame"
    return f"frames {which[0]:,} to {which[-1]:,}"
