"""What the best set is compared with: its symbols held, one symbol, or a file of prices."""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from berth_backtest.data.check import BAR, check_file
from berth_backtest.data.dates import shown_date
from berth_backtest.data.load import load_panel, merge
from berth_backtest.data.panel import Panel, build_panel
from berth_backtest.data.read import open_source, read_table
from berth_backtest.errors import ProgramError, invalid
from berth_backtest.metrics import number
from berth_backtest.spec.types import BenchmarkSpec, DataSpec

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Benchmark:
    """Its returns on the run's dates; that of the first date is 0, for it is bought at that date's close."""

    name: str
    returns: Floats


def load_benchmark(spec: BenchmarkSpec | None, data: DataSpec, panel: Panel) -> Benchmark | None:
    """Returns the benchmark on the dates of the panel; raises where it has no price on one of them."""
    if spec is None:
        return None
    if spec.file is not None:
        other = panel_of_file(spec, data, panel)
        return Benchmark(other.symbols[0], returns_on(other, panel, "benchmark"))
    if spec.symbol is not None and spec.symbol in panel.symbols:
        at = panel.symbols.index(spec.symbol)
        return Benchmark(spec.symbol, returns_on(panel, panel, "benchmark.symbol", at))
    if spec.symbol is not None:
        try:
            other = load_panel(
                replace(data, symbols=(spec.symbol,)), folder=panel.folder and panel.folder / "benchmark"
            )
        except ProgramError as error:
            message = error.problems[0].message if error.problems else error.message
            raise invalid("benchmark.symbol", message) from None
        return Benchmark(spec.symbol, returns_on(other, panel, "benchmark.symbol"))
    return Benchmark("equal_weight", equal_weight(panel))


def panel_of_file(spec: BenchmarkSpec, data: DataSpec, panel: Panel) -> Panel:
    assert spec.file is not None
    source, _ = open_source(spec.file.path, "benchmark", spec.file.sha256)
    try:
        rows = check_file(source, read_table(source), data.timezone, "total")
    except pa.ArrowException as error:
        raise source.wrong(None, None, f"cannot be read: {str(error)[:300]}") from None
    if len(rows.symbols) != 1:
        raise source.wrong(None, "symbol", f"must be one series, the file has {len(rows.symbols)} symbols")
    if rows.dated != panel.dated:
        raise source.wrong(0, "date", "is a time in one file and a date in another")
    first, last = int(panel.dates[0]), int(panel.dates[-1])
    merged = merge([rows], (rows.symbols[0],), china=False)
    found = build_panel(merged, (rows.symbols[0],), rows.dated, first, last, str, [])
    if found is None:
        raise source.wrong(None, None, "has no row for the run's dates")
    return found


def returns_on(other: Panel, panel: Panel, path: str, s: int = 0) -> Floats:
    """Returns the returns of a symbol of another panel on this panel's dates."""
    at = np.minimum(np.searchsorted(other.dates, panel.dates), other.bars - 1)
    there = (other.dates[at] == panel.dates) & (other.state[s, at] == BAR)
    if not there.all():
        missing = shown_date(int(panel.dates[int(np.argmin(there))]), panel.dated)
        raise invalid(path, f"{other.symbols[s]} has no price on {missing}, a date of the run")
    return changes(closes_of(other, s)[at])


def equal_weight(panel: Panel) -> Floats:
    """Returns those of the same cash in each symbol, bought at its first close of the run and held."""
    total = np.zeros(panel.bars)
    for s in range(len(panel.symbols)):
        closes = closes_of(panel, s)
        priced = np.flatnonzero(np.isfinite(closes))
        if len(priced) == 0:
            total += 1.0
            continue
        first = int(priced[0])
        # Of a date before the first close it is that one: until then the cash is whole.
        last = np.maximum.accumulate(np.where(np.isfinite(closes), np.arange(panel.bars), first))
        total += closes[last] / closes[first]
    return changes(total)


def closes_of(panel: Panel, s: int) -> Floats:
    """Returns a symbol's closes by bar as if it had never split or paid; NaN where it has no bar."""
    part = slice(panel.own_start[s], panel.own_start[s + 1])
    rows, closes = panel.own_row[part], panel.own["close"][part]
    found = np.full(panel.bars, np.nan)
    inside = rows >= 1
    found[rows[inside] - 1] = closes[inside]
    return found


def changes(values: Floats) -> Floats:
    return np.concatenate([[0.0], values[1:] / values[:-1] - 1.0])


def compared(
    benchmark: Benchmark, equity: Floats, cash: float, periods: float, risk_free: float
) -> dict[str, float | str | None]:
    """Returns what result.json says of the best set's whole equity beside it (docs/conventions.md §4)."""
    b, n, free = benchmark.returns, len(equity), risk_free / periods
    before = np.concatenate([[cash], equity[:-1]])
    r = np.where(before > 0.0, equity / np.where(before > 0.0, before, 1.0) - 1.0, 0.0)
    active = r - b
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = float(((b - b.mean()) ** 2).sum())
        beta = float(((r - r.mean()) * (b - b.mean())).sum() / np.float64(variance))
        error = float(active.std(ddof=1) * np.sqrt(periods)) if n > 1 else np.nan
        alpha = ((r - free).mean() - beta * (b - free).mean()) * periods
        growth, own = float(np.prod(1.0 + b)), max(float(equity[-1]), 0.0) / cash
        annual = growth ** (periods / n) - 1.0
        ratio = float(active.mean() * periods / np.float64(error))
    return {
        "name": benchmark.name,
        "total_return": number(growth - 1.0),
        "annual_return": number(annual),
        "beta": number(beta),
        "alpha": number(float(alpha)),
        "tracking_error": number(error),
        "information_ratio": number(ratio),
        "excess_return": number(own ** (periods / n) - 1.0 - annual),
    }
