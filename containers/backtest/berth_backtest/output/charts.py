"""Charts as inline SVG: what those of the programs' pages have in common."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 960, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 10, 24
MAX_POINTS = 1_200  # of a line: each pixel's lowest and highest value, so that no dip is lost


def svg(height: float, body: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img">{body}</svg>'


def bounds(values: Floats, low: float | None, high: float | None) -> tuple[float, float]:
    least = float(values.min()) if low is None else low
    most = float(values.max()) if high is None else high
    return (least, most) if most > least else (least - 0.5, most + 0.5)


def thin(values: Floats, most: int = MAX_POINTS) -> NDArray[np.int64]:
    """Returns the places of the first, the last, and each stretch's lowest and highest value."""
    if len(values) <= most:
        return np.arange(len(values))
    edges = np.linspace(0, len(values), most // 2 + 1).astype(np.int64)
    kept = {0, len(values) - 1}
    for first, last in pairwise(edges):
        part = values[first:last]
        kept |= {int(first + part.argmin()), int(first + part.argmax())}
    return np.array(sorted(kept), dtype=np.int64)
