"""Indicators by TA-Lib's conventions, as functions of arrays; NaN where not defined yet.

They are what strategies use as `ind.NAME(...)`, and work in a notebook too:
    from berth_backtest import indicators
    indicators.rsi(closes, 14)
"""

from berth_backtest.indicators.averages import dema, ema, kama, sma, tema, trima, trix, wma
from berth_backtest.indicators.momentum import macd, macd_hist, macd_signal, mom, roc, rsi, zscore
from berth_backtest.indicators.ranges import (
    adx,
    aroon_down,
    aroon_up,
    atr,
    cci,
    highest,
    kdj_d,
    kdj_j,
    kdj_k,
    lowest,
    minus_di,
    natr,
    plus_di,
    stoch_d,
    stoch_k,
    willr,
)
from berth_backtest.indicators.spread import (
    bollinger_lower,
    bollinger_middle,
    bollinger_upper,
    linreg_slope,
    stddev,
)
from berth_backtest.indicators.volume import ad, mfi, obv, volume_ratio, vwap

__all__ = [
    "ad",
    "adx",
    "aroon_down",
    "aroon_up",
    "atr",
    "bollinger_lower",
    "bollinger_middle",
    "bollinger_upper",
    "cci",
    "dema",
    "ema",
    "highest",
    "kama",
    "kdj_d",
    "kdj_j",
    "kdj_k",
    "linreg_slope",
    "lowest",
    "macd",
    "macd_hist",
    "macd_signal",
    "mfi",
    "minus_di",
    "mom",
    "natr",
    "obv",
    "plus_di",
    "roc",
    "rsi",
    "sma",
    "stddev",
    "stoch_d",
    "stoch_k",
    "tema",
    "trima",
    "trix",
    "volume_ratio",
    "vwap",
    "willr",
    "wma",
    "zscore",
]
