"""What built-in strategies want at a bar's close, for all lanes at once."""

import numpy as np
from numpy.typing import NDArray

from berth_backtest.kernel.jit import compiled
from berth_backtest.kernel.layout import (
    FAST,
    GO_FLAT,
    GO_LONG,
    GO_SHORT,
    LEVEL,
    MAY_LONG,
    MAY_SHORT,
    NONE,
    ORDER,
    SIGN,
    SLOW,
    TIE,
    TIES,
    UNITS,
)

Floats = NDArray[np.float64]
Index = NDArray[np.int64]


@compiled
def gather(state: Floats, table: Floats, fast: Index, slow: Index, width: int) -> None:
    """Copies each lane's two averages of one bar out of the table's row."""
    for lane in range(width):
        state[FAST + lane] = table[fast[lane]]
        state[SLOW + lane] = table[slow[lane]]


@compiled
def cross_signs(state: Floats, width: int) -> None:
    """Sets the state of each lane's averages: what was before the first bar of the run."""
    for lane in range(width):
        state[SIGN + lane] = sign_of(state[FAST + lane], state[SLOW + lane])


@compiled
def sign_of(fast: float, slow: float) -> float:
    """Returns 1 above, -1 below, 0 equal within a rounding, NaN where one is undefined."""
    gap = fast - slow
    near = TIE * slow
    # 0 x (fast + slow) is 0, or NaN where an average is undefined.
    return (1.0 if gap > near else 0.0) - (1.0 if gap < -near else 0.0) + 0.0 * (fast + slow)


@compiled
def sma_cross(state: Floats, width: int, rules: Floats) -> int:
    """Decides at a bar's close; returns how many lanes have an order."""
    level = rules[LEVEL]
    orders = 0
    for lane in range(width):
        before = state[SIGN + lane]
        now = sign_of(state[FAST + lane], state[SLOW + lane])
        units = state[UNITS + lane]
        # Comparisons with NaN are false: an undefined state is no state that a cross could leave.
        rises = (
            (now > 0.5) & ((before < 0.5) | (level > 0.5)) & (units <= 0.0) & (state[MAY_LONG + lane] > 0.5)
        )
        falls = (
            (now < -0.5)
            & ((before > -0.5) | (level > 0.5))
            & (units >= 0.0)
            & (state[MAY_SHORT + lane] > 0.5)
        )
        leaves = ((units > 0.0) & (now < 0.5)) | ((units < 0.0) & (now > -0.5))
        order = GO_LONG if rises else (GO_SHORT if falls else (GO_FLAT if leaves else NONE))
        state[ORDER + lane] = order
        state[SIGN + lane] = now
        state[TIES + lane] += 1.0 if now == 0.0 else 0.0
        orders += 1 if order != NONE else 0
    return orders
