"""Indicator tables against exact arithmetic."""

from fractions import Fraction

import numpy as np
from berth_backtest.kernel.tables import sma_tables


def test_averages_are_exact_to_the_last_digits_however_large_earlier_prices_were() -> None:
    closes = np.array([1e9 + i / 7 for i in range(50)] + [0.1 + i % 7 / 1000 for i in range(200)])
    windows = np.array([1, 2, 7, 30, 200, 400])
    skip = 20
    out = np.empty((len(windows), len(closes) - skip))
    span, place = np.array([[0, len(closes)]]), np.array([0])
    sma_tables(closes, span, np.array([skip]), windows, out.reshape(-1), place)
    for w, window in enumerate(windows):
        for i in range(skip, len(closes)):
            if i < window - 1:
                assert np.isnan(out[w, i - skip])
            else:
                exact = sum(map(Fraction, closes[i + 1 - window : i + 1]), Fraction(0)) / int(window)
                assert abs(float(Fraction(out[w, i - skip]) / exact - 1)) < 1e-15
