"""Tables of the tear sheet, and figures as people read them."""

import math
from collections.abc import Sequence
from html import escape

DASH = "\N{EN DASH}"


def share(value: float | None, digits: int = 2) -> str:
    """Returns a fraction in percent."""
    return DASH if value is None or math.isnan(value) else f"{value * 100:,.{digits}f} %"


def amount(value: float | None) -> str:
    """Returns money: whole from a thousand on."""
    if value is None or math.isnan(value):
        return DASH
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:,.2f}"


def figure(value: float | None, digits: int = 2) -> str:
    return DASH if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def td(text: str, value: float | None = None, kind: str = "") -> str:
    """Returns a cell; `value` is what its column is sorted by."""
    known = value is not None and math.isfinite(value)
    data = f' data-value="{value:.10g}"' if known else ""
    sign = f' class="{kind}"' if kind else ""
    return f"<td{sign}{data}>{text}</td>"


def bar(value: float, most: float, text: str) -> str:
    """Returns a cell with a bar from the middle, to the right for gains and to the left for losses."""
    wide = 0.0 if most == 0.0 else abs(value) / most * 50
    side = "gain" if value >= 0 else "loss"
    inside = f'<span class="bar {side}" style="--w:{wide:.1f}%"></span>{escape(text)}'
    return f'<td class="bars" data-value="{value:.10g}">{inside}</td>'


def table(
    head: Sequence[str], rows: Sequence[str], caption: str, sortable: bool = False, told: bool = False
) -> str:
    """Returns a table in a box that scrolls where it is narrow; rows are the cells of each, its head first.

    The caption is seen where `told`; else a heading says it, and it is for those who hear the page.
    """
    # A head without a text is none to those who hear the page.
    top = "".join(f'<th scope="col">{escape(name)}</th>' if name else "<td></td>" for name in head)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    kind = ' class="sortable"' if sortable else ""
    unseen = "" if told else ' class="unseen"'
    inner = f"<caption{unseen}>{escape(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return f'<div class="wide" tabindex="0"><table{kind}>{inner}</table></div>'


def th(text: str) -> str:
    return f'<th scope="row">{escape(text)}</th>'
