"""Every indicator against its definition, written out here bar by bar; peers are in another suite."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from berth_backtest import indicators as ind

N = 70
rng = np.random.default_rng(7)
CLOSE = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, N)))
HIGH = CLOSE + rng.uniform(0, 1, N)
LOW = CLOSE - rng.uniform(0, 1, N)
VOLUME = np.floor(rng.uniform(100, 900, N))
CLOSE[20:24] = CLOSE[20]  # bars that stand still
Line = list[float]


def near(found: Any, expected: Line) -> None:
    want = [math.nan if x is None else x for x in expected]
    assert list(found) == pytest.approx(want, rel=1e-10, abs=1e-10, nan_ok=True)


def windows(x: Any, n: int, value: Any) -> Line:
    return [value(list(x[t - n + 1 : t + 1])) if t >= n - 1 else math.nan for t in range(len(x))]


def average(x: Line) -> float:
    return math.fsum(x) / len(x)


def deviation(x: Line) -> float:
    return math.sqrt(average([(y - average(x)) ** 2 for y in x]))


def ema(x: Any, n: int, skip: int = 0) -> Line:
    """The exponential average of what is defined; `skip` more bars before the seed."""
    start = next(t for t, y in enumerate(x) if not math.isnan(y)) + skip
    out = [math.nan] * len(x)
    out[start + n - 1] = average(list(x[start : start + n]))
    for t in range(start + n, len(x)):
        out[t] = (2 * x[t] + (n - 1) * out[t - 1]) / (n + 1)
    return out


def wilder(x: Line, n: int, first: int) -> Line:
    """Wilder's average of the values from `first` on, seeded by the mean of n of them."""
    out = [math.nan] * len(x)
    out[first + n - 1] = average(x[first : first + n])
    for t in range(first + n, len(x)):
        out[t] = (out[t - 1] * (n - 1) + x[t]) / n
    return out


def ranges() -> Line:
    bars = zip(HIGH[1:], LOW[1:], CLOSE, strict=False)
    return [math.nan, *[max(h, c) - min(low, c) for h, low, c in bars]]


def test_averages() -> None:
    near(ind.sma(CLOSE, 9), windows(CLOSE, 9, average))
    near(ind.ema(CLOSE, 9), ema(CLOSE, 9))
    near(ind.wma(CLOSE, 5), windows(CLOSE, 5, lambda x: sum(i * y for i, y in enumerate(x, 1)) / 15))
    once, twice = ema(CLOSE, 6), ema(ema(CLOSE, 6), 6)
    thrice = ema(twice, 6)
    near(ind.dema(CLOSE, 6), [2 * a - b for a, b in zip(once, twice, strict=True)])
    near(ind.tema(CLOSE, 6), [3 * a - 3 * b + c for a, b, c in zip(once, twice, thrice, strict=True)])
    near(ind.trix(CLOSE, 6), [math.nan, *[100 * (b / a - 1) for a, b in pairwise(thrice)]])
    near(ind.trima(CLOSE, 5), windows(CLOSE, 5, lambda x: (x[0] + 2 * x[1] + 3 * x[2] + 2 * x[3] + x[4]) / 9))
    near(ind.trima(CLOSE, 4), windows(CLOSE, 4, lambda x: (x[0] + 2 * x[1] + 2 * x[2] + x[3]) / 6))
    value, expected = CLOSE[4], [math.nan] * 5
    for t in range(5, N):
        path = sum(abs(CLOSE[j] - CLOSE[j - 1]) for j in range(t - 4, t + 1))
        share = abs(CLOSE[t] - CLOSE[t - 5]) / path if path else 1.0
        value += (share * (2 / 3 - 2 / 31) + 2 / 31) ** 2 * (CLOSE[t] - value)
        expected.append(value)
    near(ind.kama(CLOSE, 5), expected)


def test_momentum() -> None:
    change = [math.nan, *np.diff(CLOSE)]
    up = wilder([max(x, 0.0) for x in change], 8, 1)
    down = wilder([max(-x, 0.0) for x in change], 8, 1)
    near(ind.rsi(CLOSE, 8), [100 * a / (a + b) for a, b in zip(up, down, strict=True)])
    line = [a - b for a, b in zip(ema(CLOSE, 5, 4), ema(CLOSE, 9), strict=True)]
    near(ind.macd(CLOSE, 5, 9), line)
    near(ind.macd_signal(CLOSE, 5, 9, 4), ema(line, 4))
    near(ind.macd_hist(CLOSE, 5, 9, 4), [a - b for a, b in zip(line, ema(line, 4), strict=True)])
    near(ind.mom(CLOSE, 3), [math.nan] * 3 + [CLOSE[t] - CLOSE[t - 3] for t in range(3, N)])
    near(ind.roc(CLOSE, 3), [math.nan] * 3 + [100 * (CLOSE[t] / CLOSE[t - 3] - 1) for t in range(3, N)])
    scores = windows(CLOSE, 4, lambda x: (x[-1] - average(x)) / (deviation(x) or math.inf))
    near(ind.zscore(CLOSE, 4), scores)


def test_spread() -> None:
    near(ind.stddev(CLOSE, 7), windows(CLOSE, 7, deviation))
    near(ind.bollinger_middle(CLOSE, 7), windows(CLOSE, 7, average))
    near(ind.bollinger_upper(CLOSE, 7, 2.0), windows(CLOSE, 7, lambda x: average(x) + 2 * deviation(x)))
    near(ind.bollinger_lower(CLOSE, 7, 1.5), windows(CLOSE, 7, lambda x: average(x) - 1.5 * deviation(x)))
    near(ind.linreg_slope(CLOSE, 6), windows(CLOSE, 6, lambda x: np.polyfit(range(6), x, 1)[0]))


def test_ranges() -> None:
    near(ind.highest(HIGH, 5), windows(HIGH, 5, max))
    near(ind.lowest(LOW, 5), windows(LOW, 5, min))
    spans = wilder(ranges(), 6, 1)
    near(ind.atr(HIGH, LOW, CLOSE, 6), spans)
    near(ind.natr(HIGH, LOW, CLOSE, 6), [100 * a / c for a, c in zip(spans, CLOSE, strict=True)])
    top, bottom = windows(HIGH, 5, max), windows(LOW, 5, min)
    place = [100 * (c - b) / (a - b) for a, b, c in zip(top, bottom, CLOSE, strict=True)]
    near(ind.willr(HIGH, LOW, CLOSE, 5), [x - 100 for x in place])
    slow = windows(place, 3, average)
    near(ind.stoch_k(HIGH, LOW, CLOSE, 5, 3), slow)
    near(ind.stoch_d(HIGH, LOW, CLOSE, 5, 3, 4), windows(slow, 4, average))
    k, d, ks, ds = 50.0, 50.0, [math.nan] * 4, [math.nan] * 4
    for x in place[4:]:
        k = 2 / 3 * k + x / 3
        d = 2 / 3 * d + k / 3
        ks, ds = [*ks, k], [*ds, d]
    near(ind.kdj_k(HIGH, LOW, CLOSE, 5), ks)
    near(ind.kdj_d(HIGH, LOW, CLOSE, 5), ds)
    near(ind.kdj_j(HIGH, LOW, CLOSE, 5), [3 * a - 2 * b for a, b in zip(ks, ds, strict=True)])
    typical = (HIGH + LOW + CLOSE) / 3
    near(
        ind.cci(HIGH, LOW, CLOSE, 6),
        windows(
            typical, 6, lambda x: (x[-1] - average(x)) / 0.015 / average([abs(y - average(x)) for y in x])
        ),
    )
    near(ind.aroon_up(HIGH, 5), windows(HIGH, 6, lambda x: 20 * (5 - x[::-1].index(max(x)))))
    near(ind.aroon_down(LOW, 5), windows(LOW, 6, lambda x: 20 * (5 - x[::-1].index(min(x)))))


def test_directions() -> None:
    n = 5
    rise, fall = np.diff(HIGH), -np.diff(LOW)
    plus = [math.nan, *[a if a > b and a > 0 else 0.0 for a, b in zip(rise, fall, strict=True)]]
    minus = [math.nan, *[b if b > a and b > 0 else 0.0 for a, b in zip(rise, fall, strict=True)]]
    span = ranges()
    sums = [sum(x[1:n]) for x in (plus, minus, span)]
    ups, downs, index = [math.nan] * n, [math.nan] * n, [math.nan] * n
    for t in range(n, N):
        sums = [s - s / n + x[t] for s, x in zip(sums, (plus, minus, span), strict=True)]
        ups.append(100 * sums[0] / sums[2])
        downs.append(100 * sums[1] / sums[2])
        index.append(100 * abs(ups[t] - downs[t]) / (ups[t] + downs[t]))
    near(ind.plus_di(HIGH, LOW, CLOSE, n), ups)
    near(ind.minus_di(HIGH, LOW, CLOSE, n), downs)
    near(ind.adx(HIGH, LOW, CLOSE, n), wilder(index, n, n))


def test_volume() -> None:
    total, obv, line, ad = 0.0, [], 0.0, []
    flow = [0.0]
    typical = (HIGH + LOW + CLOSE) / 3
    for t in range(N):
        total += VOLUME[t] * (1 if t == 0 else np.sign(CLOSE[t] - CLOSE[t - 1]))
        line += (2 * CLOSE[t] - HIGH[t] - LOW[t]) / (HIGH[t] - LOW[t]) * VOLUME[t]
        obv, ad = [*obv, total], [*ad, line]
        if t:
            flow.append(typical[t] * VOLUME[t] * np.sign(typical[t] - typical[t - 1]))
    near(ind.obv(CLOSE, VOLUME), obv)
    near(ind.ad(HIGH, LOW, CLOSE, VOLUME), ad)
    gains = windows(flow, 6, lambda x: 100 * sum(y for y in x if y > 0) / sum(map(abs, x)))
    near(ind.mfi(HIGH, LOW, CLOSE, VOLUME, 6), [math.nan] * 6 + gains[6:])
    money = windows(typical * VOLUME, 4, sum)
    near(
        ind.vwap(HIGH, LOW, CLOSE, VOLUME, 4),
        [a / b for a, b in zip(money, windows(VOLUME, 4, sum), strict=True)],
    )
    before = [math.nan] * 4 + [VOLUME[t] / average(list(VOLUME[t - 4 : t])) for t in range(4, N)]
    near(ind.volume_ratio(VOLUME, 4), before)


def test_what_cannot_be_defined_is_nan_or_neutral() -> None:
    one = np.ones(3)
    for line in (
        ind.sma(one, 5),
        ind.ema(one, 5),
        ind.rsi(one, 5),
        ind.kama(one, 5),
        ind.atr(one, one, one, 5),
    ):
        assert np.isnan(line).all()
    still = np.ones(6)
    assert ind.rsi(still, 3)[-1] == 0
    assert ind.zscore(still, 3)[-1] == 0
    assert ind.kdj_k(still, still, still, 3)[-1] == 50
    assert ind.sma(np.full(3, math.nan), 2).tolist() == pytest.approx([math.nan] * 3, nan_ok=True)
