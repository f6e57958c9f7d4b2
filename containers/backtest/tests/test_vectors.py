"""The accounting of held bars, and the search for changes, work on eight bars at once."""

import os
import re

import numpy as np
import pytest
from berth_backtest.kernel import account, layout, words

COMPILED = "NUMBA_DISABLE_JIT" not in os.environ
compiled = pytest.mark.skipif(not COMPILED, reason="of compiled code")


@compiled
def test_held_bars_are_vector_instructions_and_what_they_are_in_python() -> None:
    import numba

    @numba.njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def held(sums, mark, blocks, first, end, peaks):  # type: ignore[no-untyped-def]
        account.add_returns(sums, mark, first, end, 5.0, 2.0, 0.001)
        account.climb_bars(sums, mark, blocks, first, end, 5.0, 2.0, 30.0, peaks)

    rng = np.random.default_rng(1)
    mark = rng.uniform(10.0, 20.0, 48)
    blocks = np.maximum.accumulate(mark.reshape(-1, layout.WIDTH), axis=1).reshape(-1)
    for first in (1, 7, 8):
        for bars in (1, 7, 8, 19, 32):
            sums, peaks = np.ones(layout.SUMS), np.zeros(6, dtype=np.uint8)
            want, want_peaks = sums.copy(), peaks.copy()
            held(sums, mark, blocks, first, first + bars, peaks)
            in_python(want, mark, first, first + bars, want_peaks)
            assert (sums == want).all()
            assert (peaks == want_peaks).all()
    assert "divpd" in next(iter(held.inspect_asm().values()))


def in_python(sums: account.Floats, mark: account.Floats, first: int, end: int, peaks: account.Bytes) -> None:
    """The conventions' sums, bar by bar in turn over the partial sums."""
    peak = 30.0
    for i, t in enumerate(range(first, end)):
        j, k = i % layout.WIDTH, t % layout.WIDTH
        e, last = 5.0 + 2.0 * mark[t], 5.0 + 2.0 * mark[t - 1]
        r = e / last - 1.0
        d = min(r - 0.001, 0.0)
        peak = max(peak, e)
        for row, x in ((layout.A_R, r), (layout.A_R2, r * r), (layout.A_D2, d * d)):
            sums[row + j] += x
        if e * sums[layout.A_LOW_PEAK + k] < sums[layout.A_LOW + k] * peak:
            sums[layout.A_LOW + k], sums[layout.A_LOW_PEAK + k] = e, peak
        if e >= peak:
            peaks[t // layout.WIDTH - first // layout.WIDTH] |= 1 << k


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
            words.lower(x.astype(np.float32), y.astype(np.float32), at),
            words.within(x.astype(np.float32), y.astype(np.float32), np.float32(0.5), at),
            words.within(x.astype(np.float32), (y + 100.0).astype(np.float32), np.float32(1.0), at),
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
    x[:] = np.nan
    assert not found(x, y, x + 1.0, 3.0, 0)[7]  # what is not defined is not near
    assert re.search(r"cmp\w*pd", next(iter(found.inspect_asm().values())))
