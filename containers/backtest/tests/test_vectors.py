"""The accounting of held bars, and the search for changes, work on eight bars at once."""

import os
import re

import numpy as np
import pytest
from berth_backtest.kernel import account, layout, words

COMPILED = "NUMBA_DISABLE_JIT" not in os.environ
compiled = pytest.mark.skipif(not COMPILED, reason="of compiled code")


@compiled
def test_held_bars_are_vector_instructions() -> None:
    import numba

    @numba.njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def held(sums, mark, phase, end, peaks):  # type: ignore[no-untyped-def]
        return account.hold_bars(sums, mark, phase, 1, end, 5.0, 2.0, 30.0, 0.001, peaks)

    @numba.njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def without_returns(sums, mark, phase, end, peaks):  # type: ignore[no-untyped-def]
        return account.climb_bars(sums, mark, phase, 1, end, 5.0, 2.0, 30.0, 0.001, peaks)

    rng = np.random.default_rng(1)
    mark = rng.uniform(10.0, 20.0, 40)
    blocks = [np.maximum.accumulate(mark[t : t + layout.WIDTH]) for t in range(1, 33, layout.WIDTH)]
    phase = np.concatenate([[0.0], *blocks, np.zeros(8)])
    for bars in (1, 8, 19, 32):
        sums, peaks = np.ones(layout.SUMS), np.zeros(5, dtype=np.uint8)
        plain_sums, plain_peaks = sums.copy(), peaks.copy()
        peak = held(sums, mark, phase, 1 + bars, peaks)
        assert peak == max(30.0, (5.0 + 2.0 * mark[1 : 1 + bars]).max())
        r = (5.0 + 2.0 * mark[1 : 1 + bars]) / (5.0 + 2.0 * mark[:bars]) - 1.0
        first = r[: layout.WIDTH]
        if bars <= layout.WIDTH:
            assert (sums[layout.A_R : layout.A_R + len(first)] == 1.0 + first).all()
        want = in_python(plain_sums, mark, phase, 1 + bars, plain_peaks)
        assert peak == want
        assert (sums == plain_sums).all()
        assert (peaks == plain_peaks).all()
        climbed, seen = np.ones(layout.SUMS), np.zeros(5, dtype=np.uint8)
        assert without_returns(climbed, mark, phase, 1 + bars, seen) == peak
        assert (climbed[: layout.A_LOW] == 1.0).all()
        assert (climbed[layout.A_LOW :] == sums[layout.A_LOW :]).all()
        assert (seen == peaks).all()
    assert "divpd" in next(iter(held.inspect_asm().values()))


def in_python(
    sums: account.Floats, mark: account.Floats, phase: account.Floats, end: int, peaks: account.Bytes
) -> float:
    """The conventions' sums, bar by bar in turn over the partial sums."""
    peak = 30.0
    for i, t in enumerate(range(1, end)):
        j = i % layout.WIDTH
        e, last = 5.0 + 2.0 * mark[t], 5.0 + 2.0 * mark[t - 1]
        r = e / last - 1.0
        d = min(r - 0.001, 0.0)
        top = max(peak, 5.0 + 2.0 * phase[t])
        for row, x in ((layout.A_R, r), (layout.A_R2, r * r), (layout.A_D2, d * d)):
            sums[row + j] += x
        if e * sums[layout.A_LOW_PEAK + j] < sums[layout.A_LOW + j] * top:
            sums[layout.A_LOW + j], sums[layout.A_LOW_PEAK + j] = e, top
        if e >= top:
            peaks[i // layout.WIDTH] |= 1 << j
        if j == layout.WIDTH - 1 or t == end - 1:
            peak = max(peak, top)
    return peak


@compiled
def test_words_are_vector_instructions_and_what_they_are_in_python() -> None:
    import numba

    @numba.njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def found(x, y, unit, level, at):  # type: ignore[no-untyped-def]
        return (
            words.above(x, y, unit, 1e-12, at),
            words.near(x, y, unit, 1e-12, at),
            words.over(x, y, at),
            words.under(x, y, at),
            words.at_least(x, level, at),
            words.count_bits(words.over(x, level, at)),
            words.lower(x, y, at),
            words.within(x, y, 0.5, at),
            words.within(x, y + 100.0, 1.0, at),
        )

    rng = np.random.default_rng(2)
    x, y = rng.integers(0, 6, 200).astype(float), rng.integers(0, 6, 200).astype(float)
    for at in (0, 7, 136):
        up, tie, over, under, least, count, lower, within, apart = found(x, y, x + 1.0, 3.0, at)
        a, b = x[at : at + words.WORD], y[at : at + words.WORD]
        assert int(up) == int(words.word_of(a > b))
        assert int(over) == int(words.word_of(a > b))
        assert int(under) == int(words.word_of(a < b))
        assert int(least) == int(words.word_of(a >= 3.0))
        assert tie == bool((a == b).any())
        assert count == (a > 3.0).sum()
        assert int(lower) == int(words.word_of(a < b))
        assert within == tie
        assert not apart
    x[40] = np.nan
    assert found(x, y, x + 1.0, 3.0, 0)[8]  # what is not defined may be anything
    assert re.search(r"cmp\w*pd", next(iter(found.inspect_asm().values())))
