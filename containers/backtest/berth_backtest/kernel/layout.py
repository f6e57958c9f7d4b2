"""Where the kernel keeps what.

A cell holds one position: a parameter set's in one symbol. A purse holds the cash: each cell has its
own (`per_symbol`), or all cells of a set share one (`shared`). Both are columns of float64 tables.
"""

SPANS = 8  # levels of the tables of extremes: of up to 2 ** 7 bars
WIDTH = 8  # bars accounted together: one vector of float64 on AVX-512, two on AVX2

# How a strategy's states follow from table rows: two rows compared, a row against levels, a close against
# channels. HOLDS takes no row; with TARGETS and STEPS there are no states.
COMPARES, LEVELS, CHANNELS, HOLDS, TARGETS, STEPS = range(6)

# Rows of `purses`: the results of a run first, in the order of a row of `raw`.
(
    SUM_R,  # sum of returns
    SUM_R2,  # sum of squared returns
    SUM_D2,  # sum of squared negative excess returns
    SUM_E,  # sum of equity
    LOW,  # equity at the deepest drawdown ...
    LOW_PEAK,  # ... and the peak before it
    MAX_BELOW,  # longest run of bars below the peak
    HELD,  # bars that end with a position
    FEES,
    TRADED,  # sum of |units x price| of all fills
    TRADES,  # closed trades
    WINS,
    GAINS,
    LOSSES,
    EQUITY,  # after the last accounted bar
    OPEN_TRADES,
    TIES,  # unit floors and comparisons that a rounding could turn
    RUINED,  # 1 after equity fell to 0
    NO_BAR_ORDERS,  # orders that could not fill, by reason
    SUSPENDED_ORDERS,
    CASH_ORDERS,
    END_ORDERS,
    LIMIT_ORDERS,
    T1_ORDERS,
    DELISTED,  # positions closed for their symbol's delisting
) = range(25)
RAW = 25  # fields of a row of `raw`
CASH, TIED, PEAK, BELOW, SINCE, OPEN = range(25, 31)
# TIED: cash that open shorts tie up; SINCE: the first bar not accounted yet; OPEN: positions held.
PURSE = 31

REJECTED = {
    "no_bar": NO_BAR_ORDERS,
    "suspended": SUSPENDED_ORDERS,
    "cash": CASH_ORDERS,
    "end_of_data": END_ORDERS,
    "limit": LIMIT_ORDERS,
    "t_plus_1": T1_ORDERS,
}

# Rows of `sums`: WIDTH partial sums each, so that bars are added side by side in a fixed order.
A_R, A_R2, A_D2, A_LOW, A_LOW_PEAK = (i * WIDTH for i in range(5))
SUMS = 5 * WIDTH

# Columns of `growth`: the same sums of the prices' own returns up to a bar, each with what a float of it
# leaves out: the difference of two bars is then as exact as a sum between them, whatever came before.
G_R, G_R_REST, G_R2, G_R2_REST, G_D2, G_D2_REST = range(6)
GROWTH = 6

# Rows of `cells`.
(
    UNITS,  # held, short negative
    ENTRY_BAR,
    ADDED_BAR,  # the last bar that enlarged the position
    ENTRY_UNITS,  # of all entries of the trade ...
    ENTRY_VALUE,  # ... and their value at the fill prices
    ENTRY_PRICE,  # ... and their mean: the quotient of the two would be off by a rounding
    REFERENCE,  # mean of the prices that stops are measured from
    EXIT_UNITS,
    EXIT_VALUE,
    EXIT_PRICE,
    MOST,  # largest absolute position
    TRADE_FEES,
    CARRY,  # borrow paid less dividends received
    HIGH,  # since the entry
    LOWEST,
    NEW_DATE,  # the date (as a number) of the last purchase ...
    NEW_UNITS,  # ... and the units bought on it
    STOP_LOSS,  # fractions of the open position, 0 = off
    TAKE_PROFIT,
    TRAILING,
    SET_STOP_LOSS,  # those that an order takes unless it names its own
    SET_TAKE_PROFIT,
    SET_TRAILING,
    ORDER,  # NONE, GO_LONG, GO_SHORT, GO_FLAT, TO_TARGET or TO_UNITS
    WANT,  # the fraction or the units
    ORDER_STOP_LOSS,
    ORDER_TAKE_PROFIT,
    ORDER_TRAILING,
    ORDER_REASON,  # of the exit that the order makes
    COUNTED,  # 1 once the order is counted as not filled
    DECIDED,  # the close that decided it
    HIT,  # the last bar on which a stop hit, -1 = none
    SIGN,  # a built-in strategy's state: 1, 0, -1; NaN = undefined
) = range(33)
CELL = 33

# Orders.
NONE, GO_LONG, GO_SHORT, GO_FLAT, TO_TARGET, TO_UNITS = 0.0, 1.0, 2.0, 3.0, 4.0, 5.0
ORDERS = ("none", "long", "short", "close", "target", "units")

# `rules`: what an execution asks for, the same for all cells.
(
    SLIPPAGE,
    BORROW,  # per bar
    SIZING,
    SIZE,
    START_CASH,
    RISK_FREE,  # per bar
    FILL,
    STOP_FROM,
    STOP_SLIPPAGE,
    CLOSE_AT_END,
    RETRY,
    LEVEL,  # 1: a state is an entry, not only its beginning
    HAS_OPEN,
    HAS_RANGE,
    LONG,
    SHORT,
    WATCH,  # 1 if a stop may be set, or the strategy reads the high or low since the entry
    T_PLUS_1,
    GIVEN,  # 1: orders of a shared purse in the order of the symbols
) = range(19)
RULES = 19

# Columns of `rates`, a row a bar (or one for all).
FEE, FEE_MIN, TRANSFER, STAMP = range(4)

FILLS = {"next_open": 0.0, "next_close": 1.0, "close": 2.0}
NEXT_OPEN, NEXT_CLOSE, CLOSE = 0.0, 1.0, 2.0
SIZINGS = {"all_in": 0.0, "fraction": 1.0, "units": 2.0, "cash": 3.0}
ALL_IN, FRACTION, SIZE_UNITS, SIZE_CASH = 0.0, 1.0, 2.0, 3.0
REFERENCES = {"fill": 0.0, "entry_close": 1.0, "decision_close": 2.0}
FROM_FILL, FROM_ENTRY_CLOSE, FROM_DECISION_CLOSE = 0.0, 1.0, 2.0

# Columns of a recorded trade.
(
    T_CELL,
    T_ENTRY_BAR,
    T_EXIT_BAR,
    T_ENTRY,
    T_EXIT,
    T_UNITS,
    T_FEES,
    T_PNL,
    T_REASON,
    T_VALUE,  # sum of the entry values
) = range(10)
TRADE = 10
REASONS = ("signal", "stop_loss", "take_profit", "trailing_stop", "end", "delisted", "ruined")
# Floats like all the kernel's constants: of a whole number Numba compiles each value on its own.
SIGNAL, STOPPED, PROFITED, TRAILED, END, DELISTING, RUIN = 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0

# Columns of a recorded event.
L_BAR, L_CELL, L_WHAT, L_KIND, L_UNITS, L_PRICE, L_COST, L_CASH = range(8)
EVENT = 8
DECIDES, FILLS_AT, REJECTS = 0.0, 1.0, 2.0

TIE = 1e-12  # relative: closer than this counts as equal
