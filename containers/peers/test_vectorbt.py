"""vectorbt on real prices: equity, returns, trades and metrics, and how conventions were aligned."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import vectorbt as vbt
from vectorbt.generic.enums import DrawdownStatus
from vectorbt.portfolio.enums import OppositeEntryMode, StopEntryPrice, StopExitPrice

from peers.support import BARS, CASH, CLOSES, NEAR, YEAR, Ours, crosses, later, ours, prices, signals

NAMES = ("sma_cross", "rsi", "bollinger", "donchian")
COSTS = {"fee_bps": 10, "slippage_bps": 5}
THEIR_COSTS = {"fees": 10 / 10_000, "slippage": 5 / 10_000}
# Our entries are of what is decided at this close; theirs of the bar on which they fill.
CLOSE = {"fill": "close", "fractional": True}


def theirs(frame: pd.DataFrame, entries: Any, exits: Any, **more: Any) -> Any:
    bars = {name: frame[name] for name in ("open", "high", "low") if name in frame}
    return vbt.Portfolio.from_signals(
        frame["close"], entries, exits, init_cash=CASH, freq="1D", **{**bars, **more}
    )


def check(mine: Ours, pf: Any) -> None:
    """Compares what both have; what they count otherwise is aligned here, as the comments say."""
    np.testing.assert_allclose(mine.equity, pf.value(), rtol=NEAR)
    closed = pf.trades.closed
    records = closed.records
    for name, theirs_name in (("entry_date", "entry_idx"), ("exit_date", "exit_idx")):
        found = pd.DatetimeIndex(mine.trades[name])
        assert list(found) == list(mine.equity.index[records[theirs_name]])
    short = np.where(records["direction"] == 1, -1.0, 1.0)
    for name, values in {
        "entry_price": records["entry_price"],
        "exit_price": records["exit_price"],
        "units": records["size"] * short,
        "fees": records["entry_fees"] + records["exit_fees"],
        "pnl": records["pnl"],
        "return": records["return"],
    }.items():
        np.testing.assert_allclose(mine.trades[name], values, rtol=NEAR, atol=1e-9 * CASH, err_msg=name)
    # Their year has 365 days unless it is told.
    figures = pf.returns().vbt.returns(freq="1D", year_freq=f"{YEAR}D")
    expected = {
        "total_return": pf.total_return(),
        "annual_return": figures.annualized(),
        "annual_volatility": figures.annualized_volatility(),
        "sharpe": figures.sharpe_ratio(),
        "sortino": figures.sortino_ratio(),
        "max_drawdown": figures.max_drawdown(),
        "calmar": figures.calmar_ratio(),
        "trades": len(records),
        "win_rate": closed.win_rate(),
        "profit_factor": closed.profit_factor(),
        "fees": pf.orders.fees.sum(),
        "final_equity": pf.final_value(),
        "exposure": pf.position_coverage(),
        "max_drawdown_bars": longest(pf),
    }
    for name, value in expected.items():
        assert mine.metrics[name] == pytest.approx(value, rel=NEAR, abs=1e-12), name


def longest(pf: Any) -> int:
    """Their drawdown lasts from its peak to the bar that is there again; ours has the bars below it."""
    found = pf.drawdowns.records
    below = found["end_idx"] - found["peak_idx"] - (found["status"] == DrawdownStatus.Recovered)
    return int(below.max()) if len(found) else 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("sample", "symbol"), [*CLOSES, *BARS])
def test_close_fills_of_fractions_with_fees_and_slippage(sample: str, symbol: str, name: str) -> None:
    frame = prices(sample, symbol)
    entries, exits, parameters = signals(name, frame)
    mine = ours(sample, symbol, name, parameters, {**CLOSE, **COSTS})
    assert len(mine.trades) > 20
    check(mine, theirs(frame, entries, exits, **THEIR_COSTS))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("sample", "symbol"), BARS)
def test_fills_at_the_next_open_are_their_signals_a_bar_later_at_the_open(
    sample: str, symbol: str, name: str
) -> None:
    frame = prices(sample, symbol)
    entries, exits, parameters = signals(name, frame)
    mine = ours(sample, symbol, name, parameters, {"fill": "next_open", "fractional": True, **COSTS})
    check(mine, theirs(frame, later(entries), later(exits), price=frame["open"], **THEIR_COSTS))


def test_fills_at_the_next_close_are_their_signals_a_bar_later() -> None:
    frame = prices(*CLOSES[0])
    entries, exits, parameters = signals("sma_cross", frame)
    mine = ours(*CLOSES[0], "sma_cross", parameters, {"fill": "next_close", "fractional": True, **COSTS})
    check(mine, theirs(frame, later(entries), later(exits), **THEIR_COSTS))


@pytest.mark.parametrize(("sample", "symbol"), CLOSES)
def test_whole_units_are_their_granularity_of_one(sample: str, symbol: str) -> None:
    frame = prices(sample, symbol)
    entries, exits, parameters = signals("sma_cross", frame)
    mine = ours(sample, symbol, "sma_cross", parameters, {"fill": "close", **COSTS})
    assert (mine.trades["units"] % 1 == 0).all()
    check(mine, theirs(frame, entries, exits, size_granularity=1, **THEIR_COSTS))


def test_a_least_fee_without_a_share_is_their_fixed_fee() -> None:
    frame = prices(*CLOSES[1])
    entries, exits, parameters = signals("sma_cross", frame)
    mine = ours(*CLOSES[1], "sma_cross", parameters, {**CLOSE, "fee_min": 5})
    check(mine, theirs(frame, entries, exits, fixed_fees=5))


@pytest.mark.parametrize(("sample", "symbol"), [*CLOSES, *BARS])
def test_shorts_and_reversals(sample: str, symbol: str) -> None:
    frame = prices(sample, symbol)
    entries, exits, shorts, covers = crosses(frame["close"].to_numpy(), 20, 60)
    execution = {**CLOSE, **COSTS, "direction": "both"}
    mine = ours(sample, symbol, "sma_cross", {"fast": 20, "slow": 60}, execution)
    assert (mine.trades["units"] < 0).sum() > 20
    pf = theirs(
        frame,
        entries,
        exits & ~shorts,
        short_entries=shorts,
        short_exits=covers & ~entries,
        upon_opposite_entry=OppositeEntryMode.Reverse,
        **THEIR_COSTS,
    )
    check(mine, pf)


def test_shorts_alone_take_what_a_purchase_of_their_size_would() -> None:
    frame = prices(*CLOSES[2])
    _, _, shorts, covers = crosses(frame["close"].to_numpy(), 20, 60)
    execution = {**CLOSE, **COSTS, "direction": "short"}
    mine = ours(*CLOSES[2], "sma_cross", {"fast": 20, "slow": 60}, execution)
    check(mine, theirs(frame, shorts, covers, direction="shortonly", **THEIR_COSTS))


STOPS = {
    # Their stops are measured from the entry bar's close and pay no slippage, unless they are told.
    "as theirs are": (
        {"stop_reference": "entry_close", "stop_slippage": False},
        {},
    ),
    "as ours are": (
        {"stop_reference": "fill"},
        {"stop_entry_price": StopEntryPrice.FillPrice, "stop_exit_price": StopExitPrice.StopMarket},
    ),
}


@pytest.mark.parametrize("kind", ["stop_loss", "trailing_stop"])
@pytest.mark.parametrize("way", STOPS)
@pytest.mark.parametrize(("sample", "symbol"), [*CLOSES, *BARS])
def test_stops_of_close_fills(sample: str, symbol: str, way: str, kind: str) -> None:
    frame = prices(sample, symbol)
    entries, exits, parameters = signals("sma_cross", frame)
    execution, options = STOPS[way]
    mine = ours(sample, symbol, "sma_cross", parameters, {**CLOSE, **COSTS, **execution, kind: 0.05})
    assert (mine.trades["exit_reason"] == kind).sum() > 10
    trail = kind == "trailing_stop"
    check(mine, theirs(frame, entries, exits, sl_stop=0.05, sl_trail=trail, **options, **THEIR_COSTS))


@pytest.mark.parametrize(("sample", "symbol"), [*CLOSES, *BARS])
def test_take_profits_and_stops_together(sample: str, symbol: str) -> None:
    """Ours pay slippage on stops alone, theirs on both or neither: without slippage."""
    frame = prices(sample, symbol)
    entries, exits, parameters = signals("sma_cross", frame)
    execution = {**CLOSE, "fee_bps": 10, "stop_loss": 0.04, "take_profit": 0.06}
    mine = ours(sample, symbol, "sma_cross", parameters, execution)
    assert (mine.trades["exit_reason"] == "take_profit").sum() > 10
    options = {"stop_entry_price": StopEntryPrice.FillPrice, "stop_exit_price": StopExitPrice.StopMarket}
    check(mine, theirs(frame, entries, exits, sl_stop=0.04, tp_stop=0.06, fees=0.001, **options))


def test_their_year_has_365_days_unless_it_is_told() -> None:
    frame = prices(*CLOSES[0])
    entries, exits, parameters = signals("sma_cross", frame)
    mine = ours(*CLOSES[0], "sma_cross", parameters, CLOSE, periods_per_year=365)
    pf = theirs(frame, entries, exits)
    assert mine.metrics["sharpe"] == pytest.approx(pf.sharpe_ratio(), rel=NEAR)


@pytest.mark.parametrize(("sample", "symbol"), [*CLOSES, *BARS])
def test_a_stop_drops_what_is_due_at_the_close_of_its_bar(sample: str, symbol: str) -> None:
    """Of a strategy that always wants to be long."""
    frame = prices(sample, symbol)
    execution = {**CLOSE, "stop_loss": 0.03}
    mine = ours(sample, symbol, "buy_and_hold", {}, execution, strategy={"entry": "level"})
    always = np.ones(len(frame), dtype=bool)
    check(mine, theirs(frame, always, ~always, sl_stop=0.03, stop_entry_price=StopEntryPrice.FillPrice))


def test_their_stop_drops_an_exit_of_its_open_too() -> None:
    """Where both fall on one bar ours leaves at the open, theirs at the stop."""
    frame = prices(*BARS[1])
    entries, exits, _, _ = crosses(frame["close"].to_numpy(), 3, 8)
    execution = {"fill": "next_open", "sizing": {"units": 1}, "stop_loss": 0.02}
    mine = ours(*BARS[1], "sma_cross", {"fast": 3, "slow": 8}, execution).trades
    options = {"sl_stop": 0.02, "stop_entry_price": StopEntryPrice.FillPrice, "size": 1}
    records = theirs(
        frame, later(entries), later(exits), price=frame["open"], **options
    ).trades.closed.records
    theirs_exit = dict(zip(frame.index[records["entry_idx"]], records["exit_price"], strict=True))
    # Those that a stop of the fill bar ended are another test's.
    kept = mine[mine["bars"] > 0]
    found = kept["entry_date"].map(lambda day: theirs_exit[pd.Timestamp(day)])
    other = ~np.isclose(kept["exit_price"], found, rtol=NEAR)
    opens = kept["exit_date"].map(lambda day: frame["open"][pd.Timestamp(day)])
    assert 0 < other.sum() < len(kept) / 10
    assert set(kept["exit_reason"][other]) == {"signal"}
    np.testing.assert_allclose(kept["exit_price"][other], opens[other], rtol=NEAR)
    np.testing.assert_allclose(found[other], kept["entry_price"][other] * 0.98, rtol=NEAR)


def test_their_stops_begin_on_the_bar_after_a_fill_at_the_open() -> None:
    frame = prices(*BARS[0])
    entries, exits, parameters = signals("sma_cross", frame)
    execution = {"fill": "next_open", "fractional": True, "stop_loss": 0.005}
    mine = ours(*BARS[0], "sma_cross", parameters, execution)
    options = {"sl_stop": 0.005, "stop_entry_price": StopEntryPrice.FillPrice}
    records = theirs(
        frame, later(entries), later(exits), price=frame["open"], **options
    ).trades.closed.records
    at_once = mine.trades["bars"] == 0
    assert at_once.sum() > 5
    np.testing.assert_allclose(mine.trades["entry_price"], records["entry_price"], rtol=NEAR)
    assert (records["exit_idx"] > records["entry_idx"]).all()


def test_a_zero_denominator_is_infinite_or_no_number() -> None:
    frame = prices(*CLOSES[0])
    never = np.zeros(len(frame), dtype=bool)
    pf = theirs(frame, never, never)
    assert [pf.sharpe_ratio(), pf.sortino_ratio()] == [np.inf, np.inf]
    assert np.isnan([pf.calmar_ratio(), pf.trades.win_rate()]).all()
    mine = ours(*CLOSES[0], "rsi", {"lower": 0.1, "exit": 50}, CLOSE)
    assert len(mine.trades) == 0
    assert np.isnan([mine.metrics[name] for name in ("sharpe", "sortino", "calmar", "win_rate")]).all()
