"""empyrical on the returns of real runs: each metric that it has."""

import empyrical
import numpy as np
import pandas as pd
import pytest

from peers.support import CASH, CLOSES, NEAR, YEAR, Ours, ours

COSTS = {"fill": "close", "fee_bps": 10, "slippage_bps": 5}


def run(symbol: str, **more: float) -> tuple[Ours, pd.Series]:
    """Returns a run, and its returns by their definition: n dates give n returns, the first of the cash."""
    found = ours("sp500-20", symbol, "sma_cross", {"fast": 20, "slow": 60}, COSTS, **more)
    before = np.concatenate([[CASH], found.equity[:-1]])
    return found, found.equity / before - 1.0


@pytest.mark.parametrize("symbol", [symbol for _, symbol in CLOSES])
def test_metrics_are_those_of_empyrical(symbol: str) -> None:
    mine, returns = run(symbol)
    for name, value in {
        "total_return": empyrical.cum_returns_final(returns),
        "annual_return": empyrical.annual_return(returns, annualization=YEAR),
        "annual_volatility": empyrical.annual_volatility(returns, annualization=YEAR),
        "sharpe": empyrical.sharpe_ratio(returns, annualization=YEAR),
        "sortino": empyrical.sortino_ratio(returns, annualization=YEAR),
        "max_drawdown": empyrical.max_drawdown(returns),
        "calmar": empyrical.calmar_ratio(returns, annualization=YEAR),
    }.items():
        assert mine.metrics[name] == pytest.approx(value, rel=NEAR), name


def test_its_risk_free_rate_is_of_a_bar() -> None:
    mine, returns = run("KO", risk_free=0.03)
    bar = 0.03 / YEAR
    assert mine.metrics["sharpe"] == pytest.approx(empyrical.sharpe_ratio(returns, bar), rel=NEAR)
    assert mine.metrics["sortino"] == pytest.approx(empyrical.sortino_ratio(returns, bar), rel=NEAR)
