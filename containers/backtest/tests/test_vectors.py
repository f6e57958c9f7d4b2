"""The accounting of held bars works on eight of them at once."""

import os

import numpy as np
import pytest
from berth_backtest.kernel import account, layout

pytestmark = pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="of compiled code")


def test_a_block_of_bars_is_vector_instructions() -> None:
    import numba

    @numba.njit(error_model="numpy")  # type: ignore[untyped-decorator]
    def one(sums, mark, phase, left):  # type: ignore[no-untyped-def]
        return account.block(sums, mark, phase, 1, left, 5.0, 2.0, 30.0, 0.001)

    rng = np.random.default_rng(1)
    mark = rng.uniform(10.0, 20.0, 20)
    phase = np.maximum.accumulate(mark)
    for left in (8, 3):
        sums = np.ones(layout.SUMS)
        new = one(sums, mark, phase, left)
        e, last = 5.0 + 2.0 * mark[1 : 1 + left], 5.0 + 2.0 * mark[:left]
        r = e / last - 1.0
        top = np.maximum(30.0, 5.0 + 2.0 * phase[1 : 1 + left])
        assert new == sum(1 << j for j in range(left) if e[j] >= top[j])
        assert (sums[layout.A_R : layout.A_R + left] == 1.0 + r).all()
        assert (sums[layout.A_R2 : layout.A_R2 + left] == 1.0 + r * r).all()
        d = np.minimum(r - 0.001, 0.0)
        assert (sums[layout.A_D2 : layout.A_D2 + left] == 1.0 + d * d).all()
        deeper = e < top
        assert (sums[layout.A_LOW : layout.A_LOW + left] == np.where(deeper, e, 1.0)).all()
        assert (sums[layout.A_LOW_PEAK : layout.A_LOW_PEAK + left] == np.where(deeper, top, 1.0)).all()
        for field in (layout.A_R, layout.A_LOW):
            assert (sums[field + left : field + layout.WIDTH] == 1.0).all()
    assert "divpd" in next(iter(one.inspect_asm().values()))
