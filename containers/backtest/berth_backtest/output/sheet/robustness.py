"""The tear sheet's answer to: what if luck, costs or the parameters had been a little otherwise?"""

from typing import Any

from berth_backtest.output.page import section
from berth_backtest.output.sheet.table import DASH, figure, share, table, td, th

Json = dict[str, Any]

COST_METRICS = {
    "Total return": ("total_return", share),
    "Sharpe": ("sharpe", figure),
    "Max drawdown": ("max_drawdown", share),
}


def robustness_part(found: Json | None, objective: str) -> str:
    """Returns the intervals, the costs and the neighbours of the best set."""
    if found is None:
        return ""
    body = interval_table(found["bootstrap"]) + cost_table(found["costs"], objective)
    body += neighbour_table(found["neighbours"], objective)
    return section("How sure it is", f'<div class="beside">{body}</div>', name="sure")


def interval_table(bootstrap: Json | None) -> str:
    if bootstrap is None:
        return '<p class="note">Too few bars for intervals.</p>'
    title = (
        f"{bootstrap['level']:.0%} intervals by {bootstrap['replicates']:,} stationary bootstraps of the "
        f"returns, blocks of {bootstrap['block_length']:.1f} bars on average"
    )
    rows = [
        th(label) + "".join(td(form(bootstrap[name][key])) for key in ("value", "low", "high"))
        for label, name, form in (("Sharpe", "sharpe", figure), ("Max drawdown", "max_drawdown", share))
    ]
    return table(("", "Value", "From", "To"), rows, title, told=True)


def cost_table(costs: list[Json], objective: str) -> str:
    own = () if objective == "sharpe" else (objective,)  # it has a column already
    rows = [
        th(f"{row['factor']:g} x")
        + "".join(td(shown(row["objective"])) for _ in own)
        + "".join(td(form(row["metrics"][name])) for name, form in COST_METRICS.values())
        for row in costs
    ]
    return table(("All costs", *own, *COST_METRICS), rows, "The same set at other costs", told=True)


def neighbour_table(neighbours: Json | None, objective: str) -> str:
    if neighbours is None:
        return ""
    rows = [
        th(row["parameter"]) + td(f"{row['value']:g}") + td(shown(row["objective"]))
        for row in neighbours["points"]
    ]
    title = f"Sets one step away; their median {objective} is {shown(neighbours['median'])}"
    return table(("Parameter", "Value", objective), rows, title, told=True)


def shown(value: float | None) -> str:
    return DASH if value is None else f"{value:.4g}"
