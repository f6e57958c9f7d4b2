"""The tear sheet's answer to: what if luck, costs or the parameters had been a little otherwise?"""

from html import escape
from typing import Any

Json = dict[str, Any]

COST_METRICS = ("total_return", "sharpe", "max_drawdown")
DASH = "\N{EN DASH}"


def robustness_part(found: Json | None, objective: str) -> str:
    """Returns the intervals, the costs and the neighbours of the best set."""
    if found is None:
        return ""
    body = interval_table(found["bootstrap"]) + cost_table(found["costs"], objective)
    body += neighbour_table(found["neighbours"], objective)
    return f"<section><h2>How sure it is</h2>{body}</section>"


def interval_table(bootstrap: Json | None) -> str:
    if bootstrap is None:
        return '<p class="note">Too few bars for intervals.</p>'
    note = (
        f"{bootstrap['level']:.0%} intervals by {bootstrap['replicates']:,} stationary bootstraps of the "
        f"returns, blocks of {bootstrap['block_length']:.1f} bars on average."
    )
    rows = [
        [label, *[shown(bootstrap[name][key]) for key in ("value", "low", "high")]]
        for name, label in (("sharpe", "Sharpe"), ("max_drawdown", "Max drawdown"))
    ]
    return f'<p class="note">{note}</p>' + table(["", "value", "from", "to"], rows)


def cost_table(costs: list[Json], objective: str) -> str:
    rows = [
        [
            f"{row['factor']:g} x",
            shown(row["objective"]),
            *[shown(row["metrics"][name]) for name in COST_METRICS],
        ]
        for row in costs
    ]
    head = ["all costs", objective, *COST_METRICS]
    return '<p class="note">The same set at other costs.</p>' + table(head, rows)


def neighbour_table(neighbours: Json | None, objective: str) -> str:
    if neighbours is None:
        return ""
    rows = [[row["parameter"], f"{row['value']:g}", shown(row["objective"])] for row in neighbours["points"]]
    note = f"Sets one step away; their median {objective} is {shown(neighbours['median'])}."
    return f'<p class="note">{escape(note)}</p>' + table(["parameter", "value", objective], rows)


def table(head: list[str], rows: list[list[str]]) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead>{body}</table></div>'


def shown(value: float | None) -> str:
    return DASH if value is None else f"{value:.4g}"
