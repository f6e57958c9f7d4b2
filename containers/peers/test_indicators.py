"""TA-Lib on real bars: every indicator that it has, and from which bar on."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import talib
from berth_backtest import indicators as ind

from peers.support import BARS, prices

N = 14


def of(frame: Any, *names: str) -> list[Any]:
    return [frame[name].to_numpy(dtype=float) for name in names]


HLC = ("high", "low", "close")
# Of a bar's columns: ours, theirs.
CASES: dict[str, tuple[tuple[str, ...], Callable[..., Any], Callable[..., Any]]] = {
    "sma": (("close",), lambda c: ind.sma(c, N), lambda c: talib.SMA(c, N)),
    "ema": (("close",), lambda c: ind.ema(c, N), lambda c: talib.EMA(c, N)),
    "wma": (("close",), lambda c: ind.wma(c, N), lambda c: talib.WMA(c, N)),
    "dema": (("close",), lambda c: ind.dema(c, N), lambda c: talib.DEMA(c, N)),
    "tema": (("close",), lambda c: ind.tema(c, N), lambda c: talib.TEMA(c, N)),
    "trima": (("close",), lambda c: ind.trima(c, N), lambda c: talib.TRIMA(c, N)),
    "trix": (("close",), lambda c: ind.trix(c, N), lambda c: talib.TRIX(c, N)),
    "kama": (("close",), lambda c: ind.kama(c, N), lambda c: talib.KAMA(c, N)),
    "rsi": (("close",), lambda c: ind.rsi(c, N), lambda c: talib.RSI(c, N)),
    "macd": (("close",), lambda c: ind.macd(c, 12, 26), lambda c: talib.MACD(c, 12, 26, 9)[0]),
    "macd_signal": (("close",), lambda c: ind.macd_signal(c, 12, 26, 9), lambda c: talib.MACD(c)[1]),
    "macd_hist": (("close",), lambda c: ind.macd_hist(c, 12, 26, 9), lambda c: talib.MACD(c)[2]),
    "mom": (("close",), lambda c: ind.mom(c, N), lambda c: talib.MOM(c, N)),
    "roc": (("close",), lambda c: ind.roc(c, N), lambda c: talib.ROC(c, N)),
    "stddev": (("close",), lambda c: ind.stddev(c, N), lambda c: talib.STDDEV(c, N, 1)),
    "bollinger_upper": (("close",), lambda c: ind.bollinger_upper(c, N, 2), lambda c: talib.BBANDS(c, N)[0]),
    "bollinger_middle": (("close",), lambda c: ind.bollinger_middle(c, N), lambda c: talib.BBANDS(c, N)[1]),
    "bollinger_lower": (("close",), lambda c: ind.bollinger_lower(c, N, 2), lambda c: talib.BBANDS(c, N)[2]),
    "linreg_slope": (("close",), lambda c: ind.linreg_slope(c, N), lambda c: talib.LINEARREG_SLOPE(c, N)),
    "highest": (("high",), lambda h: ind.highest(h, N), lambda h: talib.MAX(h, N)),
    "lowest": (("low",), lambda low: ind.lowest(low, N), lambda low: talib.MIN(low, N)),
    "atr": (HLC, lambda *x: ind.atr(*x, N), lambda *x: talib.ATR(*x, N)),
    "natr": (HLC, lambda *x: ind.natr(*x, N), lambda *x: talib.NATR(*x, N)),
    "plus_di": (HLC, lambda *x: ind.plus_di(*x, N), lambda *x: talib.PLUS_DI(*x, N)),
    "minus_di": (HLC, lambda *x: ind.minus_di(*x, N), lambda *x: talib.MINUS_DI(*x, N)),
    "adx": (HLC, lambda *x: ind.adx(*x, N), lambda *x: talib.ADX(*x, N)),
    "cci": (HLC, lambda *x: ind.cci(*x, N), lambda *x: talib.CCI(*x, N)),
    "willr": (HLC, lambda *x: ind.willr(*x, N), lambda *x: talib.WILLR(*x, N)),
    "stoch_k": (HLC, lambda *x: ind.stoch_k(*x, N, 3), lambda *x: talib.STOCH(*x, N, 3, 0, 3, 0)[0]),
    "stoch_d": (HLC, lambda *x: ind.stoch_d(*x, N, 3, 3), lambda *x: talib.STOCH(*x, N, 3, 0, 3, 0)[1]),
    "aroon_up": (("high", "low"), lambda h, _: ind.aroon_up(h, N), lambda *x: talib.AROON(*x, N)[1]),
    "aroon_down": (("high", "low"), lambda _, low: ind.aroon_down(low, N), lambda *x: talib.AROON(*x, N)[0]),
    "obv": (("close", "volume"), ind.obv, talib.OBV),
    "ad": ((*HLC, "volume"), ind.ad, talib.AD),
    "mfi": ((*HLC, "volume"), lambda *x: ind.mfi(*x, N), lambda *x: talib.MFI(*x, N)),
}
# Bars later than ours: it gives the MACD from where its signal begins, and %K from where %D does.
LATER = {"macd": 8, "stoch_k": 2}
OTHERS = {"kdj_k", "kdj_d", "kdj_j", "vwap", "volume_ratio", "zscore"}  # which TA-Lib has not


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize(("sample", "symbol"), BARS)
def test_an_indicator_is_that_of_ta_lib(sample: str, symbol: str, name: str) -> None:
    columns, mine, theirs = CASES[name]
    values = of(prices(sample, symbol), *columns)
    found, expected = mine(*values), theirs(*values)
    both = ~np.isnan(found) & ~np.isnan(expected)
    assert np.isnan(expected).sum() - np.isnan(found).sum() == LATER.get(name, 0)
    assert both.sum() == (~np.isnan(expected)).sum() > 4_900
    scale = np.nanmax(np.abs(expected))
    np.testing.assert_allclose(found[both], expected[both], rtol=1e-9, atol=1e-9 * scale)


def test_no_indicator_is_left_out() -> None:
    assert set(CASES) | OTHERS == set(ind.__all__)
