"""A plot that fits any width: lines in a stretched SVG, its numbers as text of the page around it.

Text inside a stretched SVG would shrink on a phone and not wrap on paper.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from berth_backtest.output.charts import thin

Floats = NDArray[np.float64]
Form = Callable[[float], str]

WIDE, TALL = 1000, 300  # of the coordinates
TICKS = 5  # at most, and one more
MARGIN = 0.04  # of the range, above and below what is drawn


@dataclass(frozen=True)
class Span:
    """The values at the bottom and the top."""

    low: float
    high: float

    def y(self, values: Floats) -> Floats:
        return (self.high - values) / (self.high - self.low) * TALL

    def top(self, value: float) -> str:
        """Returns how far a value is from the top, for a style."""
        return f"{(self.high - value) / (self.high - self.low) * 100:.2f}%"


def span_of(values: Sequence[Floats], floor: float | None = None, ceiling: float | None = None) -> Span:
    """Returns the range of what is finite, with a margin on the sides that are not given."""
    known = np.concatenate([x[np.isfinite(x)] for x in values] or [np.empty(0)])
    ends = [x for x in (floor, ceiling) if x is not None]
    least = min([float(known.min()), *ends] if len(known) else [*ends, 0.0])
    most = max([float(known.max()), *ends] if len(known) else [*ends, 0.0])
    wide = (most - least) or max(abs(most), 1.0)
    low = least if floor is not None and least == floor else least - wide * MARGIN
    high = most if ceiling is not None and most == ceiling else most + wide * MARGIN
    return Span(low, high)


def ticks(span: Span) -> list[float]:
    """Returns round values in a range: steps of 1, 2, 2.5 or 5 times a power of ten."""
    rough = (span.high - span.low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(x * power for x in (1.0, 2.0, 2.5, 5.0, 10.0) if x * power >= rough * (1.0 - 1e-9))
    first, last = math.ceil(span.low / step - 1e-9), math.floor(span.high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def scale(span: Span, form: Form) -> tuple[str, str]:
    """Returns the grid's path, and its values as text."""
    found = ticks(span)
    lines = "".join(f"M0 {y:.1f}H{WIDE}" for y in span.y(np.array(found)))
    texts = "".join(f'<span style="top:{span.top(x)}">{escape(form(x))}</span>' for x in found)
    return f'<path class="grid" d="{lines}"/>', f'<div class="ys" aria-hidden="true">{texts}</div>'


def line(values: Floats, span: Span, kind: str) -> str:
    """Returns a path through the values, thinned where pixels end; it breaks where there is none."""
    return f'<path class="{kind}" d="{path_of(values, span)}"/>'


def area(values: Floats, span: Span, kind: str) -> str:
    """Returns what lies between the values and 0."""
    zero = float(span.y(np.array([0.0]))[0])
    path = path_of(np.nan_to_num(values), span)
    return f'<path class="{kind}" d="{path}V{zero:.1f}H0Z"/>' if path else ""


def path_of(values: Floats, span: Span) -> str:
    kept = thin(np.nan_to_num(values))
    x = WIDE * kept / max(len(values) - 1, 1)
    y = span.y(values[kept])
    parts, pen = [], "M"
    for a, b in zip(x, y, strict=True):
        if math.isnan(b):
            pen = "M"
            continue
        parts.append(f"{pen}{a:.1f} {b:.1f}")
        pen = "L"
    return "".join(parts)


def below(labels: Sequence[str]) -> str:
    """Returns texts under a plot, spread evenly; the narrower it is the fewer of them stay."""
    last = max(len(labels) - 1, 1)
    spans = []
    for i, label in enumerate(labels):
        end = "first" if i == 0 else "last" if i == last else ""
        kind = end or ("fine" if i % 2 else "mid" if i % 4 else "half")
        spans.append(f'<span class="{kind}" style="left:{i / last * 100:.2f}%">{escape(label)}</span>')
    return f'<div class="xs" aria-hidden="true">{"".join(spans)}</div>'


def plot(body: str, ys: str, xs: str, about: str, size: str = "") -> str:
    """Returns the plot; `about` is for those who do not see it."""
    svg = (
        f'<svg viewBox="0 0 {WIDE} {TALL}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(about)}">{body}</svg>'
    )
    return f'<div class="plot{" " * bool(size)}{size}">{ys}<div class="field">{svg}</div>{xs}</div>'


def percent(value: float) -> str:
    """Returns a share as a tick says it."""
    text = f"{value * 100:.1f}".removesuffix(".0")
    return f"{'0' if text == '-0' else text} %"


def short(value: float) -> str:
    """Returns an amount as a tick says it."""
    for size, sign in ((1e9, "bn"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if sign == 'k' else size):,.4g}{sign}"
    return f"{value:,.6g}"
