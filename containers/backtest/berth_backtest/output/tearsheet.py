"""tearsheet.html: one page that opens from disk and asks nothing of the network."""

import re
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest.checkpoint import write_atomically
from berth_backtest.metrics import COUNTS, NAMES
from berth_backtest.output.best import Best
from berth_backtest.output.page import asset, page, section
from berth_backtest.output.sheet.attribution import symbol_table
from berth_backtest.output.sheet.curves import Curves, curves_of, data_of, draw
from berth_backtest.output.sheet.facts import drops_of, month_returns, years_of
from berth_backtest.output.sheet.months import month_table, year_table
from berth_backtest.output.sheet.parameters import parameter_part
from berth_backtest.output.sheet.robustness import robustness_part
from berth_backtest.output.sheet.table import DASH, share, table, td, th
from berth_backtest.output.sheet.trades import histogram, reason_table, side_table
from berth_backtest.output.sheet.trust import trust_part
from berth_backtest.plan import Plan
from berth_backtest.sweep import Sweep

Json = dict[str, Any]

MAX_SYMBOL_ROWS = 200  # of the table by symbol; metrics.parquet has all
DROPS = 5
PERCENT = (
    "total_return",
    "annual_return",
    "annual_volatility",
    "max_drawdown",
    "win_rate",
    "exposure",
)
LABELS = {name: name.replace("_", " ").capitalize() for name in NAMES}
TILES = ("total_return", "annual_return", "sharpe", "max_drawdown", "trades", "win_rate")


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


def render(plan: Plan, sweep: Sweep, best: Best, order: NDArray[np.int64], result: Json) -> str:
    title = f"{plan.spec.strategy.name}, {', '.join(plan.panel.symbols[:5])}"
    title += f" and {len(plan.panel.symbols) - 5} more" if len(plan.panel.symbols) > 5 else ""
    objective = plan.spec.search.objective
    curves = curves_of(plan, best, starts_of(result["validation"]))
    parts = [
        trust_part(result, best),
        tiles(result, len(plan.accounts)),
        time_part(plan, best, curves),
        return_part(plan, best, result["benchmark"]),
        trade_part(plan, best),
        fold_part(result["validation"], objective),
        robustness_part(result["robustness"], objective),
        parameter_part(plan, sweep, order),
        metric_part(plan, best, result),
        run_part(result),
        data_of(curves),
    ]
    head = f"<header><h1>{escape(title)}</h1>{summary(result)}{contents(parts)}</header>"
    return page(title, [head, *parts], asset("sheet/sheet.css"), asset("sheet/sheet.js"))


def contents(parts: list[str]) -> str:
    """Returns links to the sections that are there."""
    found = [hit for part in parts for hit in re.findall(r'<section[^>]* id="(\w+)"><h2>(.*?)</h2>', part)]
    links = "".join(f'<a href="#{name}">{text}</a>' for name, text in found)
    return f'<nav aria-label="Contents">{links}</nav>'


def summary(result: Json) -> str:
    data, best = result["data"], result["best"]
    chosen = ", ".join(f"{name} {value:g}" for name, value in best["parameters"].items()) or "No parameters"
    rank = f"the best of {result['points']} sets" if result["points"] > 1 else "the only set"
    return (
        f"<p>{escape(chosen)} ({rank} by {escape(str(result['effective_spec']['search']['objective']))}), "
        f"{escape(data['start'])} to {escape(data['end'])}, {data['bars']} bars.</p>"
    )


def tiles(result: Json, accounts: int) -> str:
    metrics = result["best"]["metrics"]
    cells = "".join(
        f'<div class="tile"><span>{LABELS[name]}</span><b>{shown(name, metrics[name])}</b></div>'
        for name in TILES
    )
    cells += f'<div class="tile"><span>Sets tried</span><b>{result["overfitting"]["trials"]:,}</b></div>'
    note = f'<p class="note">Means over {accounts} symbols.</p>' if accounts > 1 else ""
    return f'<div class="tiles">{cells}</div>{note}'


def starts_of(found: Json | None) -> list[int]:
    """Returns the bars of the chained tests at which a fold begins, but the first."""
    lengths = [row["test"]["bars"] for row in found["folds"]] if found else []
    return np.cumsum(lengths)[:-1].tolist() if lengths else []


def time_part(plan: Plan, best: Best, curves: Curves) -> str:
    """Returns the curves over time, which are zoomed as one."""
    cash = plan.spec.execution.cash * len(plan.accounts)
    first, last = curves.dates[0][:10], curves.dates[-1][:10]
    from_to = f"from {first} to {last}"
    note = equity_note(plan, curves)
    end = float(best.equity[-1])
    equity = draw(curves, "equity", f"Equity {from_to}: {cash:,.0f} became {end:,.0f}")
    deepest = min((drop.depth for drop in drops_of(best.equity, cash, 1)), default=0.0)
    drawdown = draw(curves, "drawdown", f"Drawdown {from_to}, at worst {deepest:.1%}", "flat", "Drawdown")
    found = section("Equity", equity + drawdown, note, "equity")
    title = f"Sharpe ratio of {curves.window} bars"
    rolling = "" if curves.window > plan.panel.bars else draw(curves, "sharpe", f"{title}, {from_to}", "low")
    exposure = draw(curves, "exposure", f"Value of positions in the equity {from_to}", "low")
    two = section(title, rolling) + section("Exposure, as a share of the equity", exposure)
    return f'{found}<div class="two">{two}</div>'


def equity_note(plan: Plan, curves: Curves) -> str:
    symbols = len(plan.accounts)
    cash = plan.spec.execution.cash
    parts = [f"Sum of {symbols} symbols, each with its own cash of {cash:,.0f}."] if symbols > 1 else []
    if plan.benchmark is not None:
        parts.append(f"The grey line is {plan.benchmark.name}, from the first date's close on.")
    if curves.marks:
        parts.append("Upright lines: the next test begins, with the set that its train chose.")
    if curves.left_out:
        parts.append(
            f"{len(curves.dates):,} dates are drawn, with every high and low; equity.parquet has all."
        )
    return " ".join(parts)


def return_part(plan: Plan, best: Best, compared: Json | None) -> str:
    cash = plan.spec.execution.cash * len(plan.accounts)
    months = month_returns(plan.panel.dates, best.equity, cash)
    benchmark = plan.benchmark
    other = None if benchmark is None else benchmark.returns
    years = years_of(plan.panel.dates, best.equity, cash, best.trades, other)
    by_year = year_table(years, None if benchmark is None else benchmark.name)
    two = benchmark_part(compared) + section("Largest drawdowns", drop_table(plan, best, cash))
    found = section("Monthly returns", month_table(months, years), name="months")
    return f'<div class="two">{two}</div>{found}{section("By year", by_year, name="years")}'


def drop_table(plan: Plan, best: Best, cash: float) -> str:
    drops = drops_of(best.equity, cash, DROPS)
    if not drops:
        return '<p class="note">The equity was never below its peak.</p>'
    dates = plan.panel.dates.astype("datetime64[us]").astype("datetime64[D]").astype(str)
    rows = [
        th("the start" if drop.peak < 0 else str(dates[drop.peak]))
        + td(str(dates[drop.lowest]))
        + td("not yet" if drop.end is None else str(dates[drop.end]))
        + td(share(drop.depth), drop.depth)
        + td(f"{drop.bars:,}", drop.bars)
        for drop in drops
    ]
    return table(("Peak", "Lowest", "Made good", "Depth", "Bars below"), rows, "The deepest first")


def trade_part(plan: Plan, best: Best) -> str:
    if len(best.trades) == 0:
        return section("Trades", histogram(best.trade_returns), name="trades")
    bars = section("Trades", histogram(best.trade_returns) + reason_table(best.trades), name="trades")
    sides = section("Long and short", side_table(best.trades))
    by_symbol = section("By symbol", symbol_table(plan.panel.symbols, best.trades), name="symbols")
    return f'<div class="two">{bars}{sides}</div>{by_symbol}'


def fold_part(found: Json | None, objective: str) -> str:
    """Returns what each train chose and what came of it; nothing without validation."""
    if found is None:
        return ""
    rows = [
        th(span(row["train"]))
        + td(span(row["test"]))
        + td(escape(", ".join(f"{k} {v:g}" for k, v in row["parameters"].items())) or DASH)
        + td(shown(objective, row["objective"]), row["objective"])
        + td(shown(objective, row["test_objective"]), row["test_objective"])
        + td(shown("total_return", row["test_metrics"]["total_return"]), row["test_metrics"]["total_return"])
        for row in found["folds"]
    ]
    head = ("Train", "Test", "Chosen", f"{objective}, train", f"{objective}, test", "Return, test")
    note = f"What is above is of the tests, one after the other: {span(found['oos'])}."
    return section("Folds", table(head, rows, "Each train chose, its test judges"), note, "folds")


def span(dates: Json) -> str:
    return f"{dates['start']} to {dates['end']}"


def benchmark_part(found: Json | None) -> str:
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
    texts = {
        label: share(found[name]) if name in percent else shown(name, found[name])
        for name, label in labels.items()
    }
    return section(f"Beside {found['name']}", facts(texts))


def facts(texts: dict[str, str]) -> str:
    cells = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in texts.items())
    return f'<dl class="facts">{cells}</dl>'


def shown(name: str, value: float | None) -> str:
    """Returns a metric as people read it; a dash for null."""
    if value is None or np.isnan(value):
        return DASH
    if name in PERCENT:
        return f"{value * 100:.2f} %"
    if name in COUNTS:
        return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.3f}"


def metric_part(plan: Plan, best: Best, result: Json) -> str:
    """Returns all metrics: one symbol as a list, several as a table by symbol."""
    symbols = plan.accounts[:MAX_SYMBOL_ROWS]
    if len(plan.accounts) == 1:
        metrics = result["best"]["metrics"]
        texts = {LABELS[x]: shown(x, metrics[x]) for x in NAMES}
        return section("Metrics", facts(texts), name="metrics")
    rows = [
        th(symbol)
        + "".join(td(shown(name, best.metrics[s, i]), best.metrics[s, i]) for i, name in enumerate(NAMES))
        for s, symbol in enumerate(symbols)
    ]
    hidden = len(plan.accounts) - len(symbols)
    note = f"{hidden} more symbols are in metrics.parquet." if hidden else ""
    head = ("Symbol", *[LABELS[name] for name in NAMES])
    content = table(head, rows, "Each symbol with its own cash", sortable=True)
    return section("Metrics by symbol", content, note, "metrics")


def run_part(result: Json) -> str:
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
    body = "".join(f'<tr><th scope="row">{escape(k)}</th><td>{escape(v)}</td></tr>' for k, v in rows.items())
    return section("How it was computed", f'<table class="text">{body}</table>', name="run")
