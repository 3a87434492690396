"""Picture: a log's curves as small multiples, with the stretch marked in which something is wrong."""

import numpy as np

from .log import Log

SHOWN = ("loss", "contrastive", "perplexity", "accuracy", "ctc", "blank", "grad_norm", "valid_loss")
WIDTH, HEIGHT, MARGIN = 180, 64, 22  # pixels of a curve; above it, its name and range


def curves(log: Log) -> dict:
    """The series to draw: those of four points or more."""
    found = {name: log.series(name) for name in SHOWN}
    return {name: series for name, series in found.items() if len(series) >= 4}


def alt(log: Log, findings) -> str:
    """In words: where each curve begins and ends, and what is marked."""
    drawn = curves(log)
    if not drawn:
        return f"No curves: {len(log)} lines only."
    words = [f"{name} from {series.iloc[0]:.3g} to {series.iloc[-1]:.3g}" for name, series in drawn.items()]
    marked = [f"{f.name} from step {f.steps[0]} to {f.steps[1]}" for f in findings]
    return f"Curves over {log.last_step} steps: {'; '.join(words)}. Marked: {', '.join(marked) or 'nothing'}."


def svg(log: Log, findings) -> str:
    """The curves, four a row; "" where there are none. Marked stretches are hatched, so that no colour is needed."""
    drawn = curves(log)
    if not drawn:
        return ""
    begin = min(series.index[0] for series in drawn.values())
    end = max(max(series.index[-1] for series in drawn.values()), begin + 1)
    x = lambda step: (min(max(step, begin), end) - begin) / (end - begin) * (WIDTH - 10) + 5  # noqa: E731
    cells = []
    for place, (name, series) in enumerate(drawn.items()):
        left, top = place % 4 * WIDTH, place // 4 * (HEIGHT + MARGIN)
        low, high = float(series.min()), float(series.max())
        heights = (series.to_numpy() - low) / max(high - low, 1e-12) * (HEIGHT - 10)
        points = " ".join(
            f"{x(step):.1f},{HEIGHT + MARGIN - 5 - height:.1f}"
            for step, height in zip(series.index, np.nan_to_num(heights), strict=True)
        )
        marks = "".join(
            f'<rect x="{x(f.steps[0]):.1f}" y="{MARGIN}" width="{max(x(f.steps[1]) - x(f.steps[0]), 1):.1f}" '
            f'height="{HEIGHT}" fill="url(#h)"/>'
            for f in findings[:1]
        )
        cells.append(
            f'<g transform="translate({left},{top})">{marks}<text x="5" y="15">{name} {low:.3g} to {high:.3g}</text>'
            f'<polyline points="{points}" fill="none" stroke="#31688e" stroke-width="1.5"/></g>'
        )
    rows = -(-len(drawn) // 4)
    size = f'viewBox="0 0 {4 * WIDTH} {rows * (HEIGHT + MARGIN)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} width="{4 * WIDTH}" height="{rows * (HEIGHT + MARGIN)}">'
        '<defs><pattern id="h" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="6" height="6" fill="#fdd"/><line y2="6" stroke="#d99" stroke-width="2"/></pattern></defs>'
        '<rect width="100%" height="100%" fill="#fff"/>'
        f'<g font-family="sans-serif" font-size="11" fill="#222">{"".join(cells)}</g></svg>'
    )
