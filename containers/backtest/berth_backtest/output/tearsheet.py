"""tearsheet.html: one page that opens from disk and asks nothing of the network."""

from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.checkpoint import write_atomically
from berth_backtest.metrics import COUNTS, NAMES
from berth_backtest.output.best import Best
from berth_backtest.output.charts import drawdown_chart, equity_chart, histogram, monthly_heat_map
from berth_backtest.output.page import page, section, warning_part
from berth_backtest.output.parameters import parameter_part
from berth_backtest.output.robustness import robustness_part
from berth_backtest.plan import Plan
from berth_backtest.sweep import Sweep

MAX_SYMBOL_ROWS = 200  # of the table by symbol; metrics.parquet has all
PERCENT = (
    "total_return",
    "annual_return",
    "annual_volatility",
    "max_drawdown",
    "win_rate",
    "exposure",
)
LABELS = {name: name.replace("_", " ").capitalize() for name in NAMES}


def write_tearsheet(
    path: Path,
    plan: Plan,
    sweep: Sweep,
    best: Best,
    order: NDArray[np.int64],
    result: dict[str, Any],
) -> None:
    """Writes the page; the same run gives the same bytes."""
    page = render(plan, sweep, best, order, result)
    write_atomically(path, lambda part: part.write_text(page, encoding="utf-8"))


def render(plan: Plan, sweep: Sweep, best: Best, order: NDArray[np.int64], result: dict[str, Any]) -> str:
    title = f"{plan.spec.strategy.name}, {', '.join(plan.panel.symbols[:5])}"
    title += f" and {len(plan.panel.symbols) - 5} more" if len(plan.panel.symbols) > 5 else ""
    cash = plan.spec.execution.cash * len(plan.accounts)
    parts = [
        f"<h1>{escape(title)}</h1>",
        summary(result),
        warning_part(result["warnings"]),
        tiles(result),
        section("Equity", equity_chart(plan, best.equity, cash), equity_note(plan)),
        benchmark_part(result["benchmark"]),
        section("Drawdown", drawdown_chart(plan, best.equity, cash)),
        section("Monthly returns", monthly_heat_map(plan, best.equity, cash)),
        section("Returns of closed trades", histogram(best.trade_returns)),
        fold_part(result["validation"], plan.spec.search.objective),
        robustness_part(result["robustness"], plan.spec.search.objective),
        parameter_part(plan, sweep, order),
        metric_part(plan, best, result),
        run_part(result),
    ]
    return page(title, parts)


def summary(result: dict[str, Any]) -> str:
    data, best = result["data"], result["best"]
    chosen = ", ".join(f"{name} {value:g}" for name, value in best["parameters"].items()) or "No parameters"
    rank = f"the best of {result['points']} sets" if result["points"] > 1 else "the only set"
    return (
        f"<p>{escape(chosen)} ({rank} by {escape(str(result['effective_spec']['search']['objective']))}), "
        f"{escape(data['start'])} to {escape(data['end'])}, {data['bars']} bars.</p>"
    )


def fold_part(found: dict[str, Any] | None, objective: str) -> str:
    """Returns what each train chose and what came of it; nothing without validation."""
    if found is None:
        return ""
    titles = ("Train", "Test", "Chosen", f"{objective}, train", f"{objective}, test", "Return, test")
    head = "".join(f"<th>{escape(text)}</th>" for text in titles)
    rows = "".join(
        f"<tr><th>{span(row['train'])}</th><td>{span(row['test'])}</td>"
        f"<td>{escape(', '.join(f'{k} {v:g}' for k, v in row['parameters'].items()))}</td>"
        f"<td>{shown(objective, row['objective'])}</td><td>{shown(objective, row['test_objective'])}</td>"
        f"<td>{shown('total_return', row['test_metrics']['total_return'])}</td></tr>"
        for row in found["folds"]
    )
    table = f'<div class="wide"><table><thead><tr>{head}</tr></thead>{rows}</table></div>'
    note = f"What is above is of the tests, one after the other: {span(found['oos'])}."
    return section("Folds", table, note)


def span(dates: dict[str, Any]) -> str:
    return f"{escape(str(dates['start']))} to {escape(str(dates['end']))}"


def tiles(result: dict[str, Any]) -> str:
    metrics = result["best"]["metrics"]
    names = ("total_return", "annual_return", "sharpe", "max_drawdown", "trades", "win_rate")
    cells = "".join(
        f'<div class="tile"><span>{LABELS[name]}</span><b>{shown(name, metrics[name])}</b></div>'
        for name in names
    )
    tried = result["overfitting"]
    for label, value in {
        "Sets tried": str(tried["trials"]),
        "Deflated Sharpe ratio": probability(tried["deflated_sharpe"]),
        "Probability of overfitting": probability(tried["pbo"]),
    }.items():
        cells += f'<div class="tile"><span>{label}</span><b>{value}</b></div>'
    return f'<div class="tiles">{cells}</div>'


def probability(value: float | None) -> str:
    return "\N{EN DASH}" if value is None else f"{value:.3f}"


def equity_note(plan: Plan) -> str:
    symbols = len(plan.accounts)
    cash = plan.spec.execution.cash
    note = f"Sum of {symbols} symbols, each with its own cash of {cash:,.0f}." if symbols > 1 else ""
    if plan.benchmark is None:
        return note
    return f"{note} The thin line is {plan.benchmark.name}, from the first date's close on.".strip()


def benchmark_part(found: dict[str, Any] | None) -> str:
    """Returns the best set beside the benchmark."""
    if found is None:
        return ""
    labels = {
        "total_return": "Its total return",
        "annual_return": "Its annual return",
        "excess_return": "Annual return above it",
        "beta": "Beta",
        "alpha": "Alpha, a year",
        "tracking_error": "Tracking error",
        "information_ratio": "Information ratio",
    }
    percent = ("total_return", "annual_return", "excess_return", "alpha", "tracking_error")
    rows = "".join(
        f"<tr><th>{label}</th><td>{shown('total_return' if name in percent else name, found[name])}</td></tr>"
        for name, label in labels.items()
    )
    return section(f"Beside {found['name']}", f"<table>{rows}</table>")


def shown(name: str, value: float | None) -> str:
    """Returns a metric as people read it; a dash for null."""
    if value is None or np.isnan(value):
        return "\N{EN DASH}"
    if name in PERCENT:
        return f"{value * 100:.2f} %"
    if name in COUNTS:
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.3f}"


def metric_part(plan: Plan, best: Best, result: dict[str, Any]) -> str:
    """Returns all metrics: one symbol as a list, several as a table by symbol."""
    symbols = plan.accounts[:MAX_SYMBOL_ROWS]
    if len(plan.accounts) == 1:
        metrics = result["best"]["metrics"]
        rows = "".join(
            f"<tr><th>{LABELS[name]}</th><td>{shown(name, metrics[name])}</td></tr>" for name in NAMES
        )
        return section("Metrics", f"<table>{rows}</table>")
    head = "".join(f"<th>{LABELS[name]}</th>" for name in NAMES)
    rows = "".join(
        f"<tr><th>{escape(symbol)}</th>"
        + "".join(f"<td>{shown(name, best.metrics[s, i])}</td>" for i, name in enumerate(NAMES))
        + "</tr>"
        for s, symbol in enumerate(symbols)
    )
    hidden = len(plan.accounts) - len(symbols)
    note = f"{hidden} more symbols are in metrics.parquet." if hidden else ""
    table = f'<div class="wide"><table><thead><tr><th>Symbol</th>{head}</tr></thead>{rows}</table></div>'
    return section("Metrics by symbol", table, note)


def run_part(result: dict[str, Any]) -> str:
    """Returns how it was computed. No times: the page of a repeated run is the same."""
    engine, look = result["engine"], result["look_ahead"]
    verdict = {True: "passed", False: "failed", None: "not made"}[look["ok"]]
    execution = ", ".join(
        f"{name} {value}"
        for name, value in result["effective_spec"]["execution"].items()
        if value is not None
    )
    rows = {
        "Look-ahead check": f"{verdict} ({look['checked']} comparisons). It cannot see leaks in the data.",
        "Execution": execution,
        "Engine": f"berth_backtest {engine['version']}, {engine['device']}, {engine['dtype']}",
        "Data": f"sha256 {result['data']['sha256']}",
        "Orders not filled": ", ".join(f"{k} {v}" for k, v in result["rejected_orders"].items()) or "none",
        "Ties within a rounding": str(result["ties"]),
    }
    body = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows.items())
    return section("How it was computed", f'<table class="text">{body}</table>')
