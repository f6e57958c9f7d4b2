"""Where the kernel keeps what: one flat float64 array, LANES parameter sets side by side.

A field is an offset, so state[UNITS + lane] is a lane's units. One array with fixed distances lets
the compiler see that fields do not overlap, which it needs to work on several lanes at once.
"""

LANES = 64

# Results of a lane, in the order of a row of `raw`.
SUM_R = 0 * LANES  # sum of returns
SUM_R2 = 1 * LANES  # sum of squared returns
SUM_D2 = 2 * LANES  # sum of squared negative excess returns
SUM_E = 3 * LANES  # sum of equity
LOW = 4 * LANES  # equity at the deepest drawdown ...
LOW_PEAK = 5 * LANES  # ... and the peak before it
MAX_BELOW = 6 * LANES  # longest run of bars below the peak
HELD = 7 * LANES  # bars that end with a position
FEES = 8 * LANES
TRADED = 9 * LANES  # sum of |units x price| of all fills
TRADES = 10 * LANES  # closed trades
WINS = 11 * LANES
GAINS = 12 * LANES
LOSSES = 13 * LANES
EQUITY = 14 * LANES  # after the last bar so far
UNITS = 15 * LANES  # held, short negative
TIES = 16 * LANES  # unit floors that a rounding could turn; of a tile's first lane, comparisons too
RUINED = 17 * LANES  # 1 after equity fell to 0
NO_BAR_ORDERS = 18 * LANES  # orders that could not fill, by reason
SUSPENDED_ORDERS = 19 * LANES
CASH_ORDERS = 20 * LANES
END_ORDERS = 21 * LANES
DELISTED = 22 * LANES  # 1 after a position was closed for its symbol's delisting
RAW = 23  # fields of a row of `raw`

CASH = 23 * LANES
PEAK = 24 * LANES
BELOW = 25 * LANES  # bars below the peak so far
SIGN = 26 * LANES  # the strategy's state at the last bar: 1, 0, -1; NaN = undefined
ORDER = 27 * LANES  # NONE, GO_LONG, GO_SHORT or GO_FLAT
MAY_LONG = 28 * LANES  # 1 or 0
MAY_SHORT = 29 * LANES
ENTRY = 30 * LANES  # price of the entry, with slippage
ENTRY_BAR = 31 * LANES
TRADE_FEES = 32 * LANES
TRADE_BORROW = 33 * LANES
STOP_LOSS = 34 * LANES  # fractions, 0 = off
TAKE_PROFIT = 35 * LANES
TRAILING = 36 * LANES
REFERENCE = 37 * LANES  # price that stops are measured from
EXTREME = 38 * LANES  # highest high of a long since its fill, lowest low of a short
HIT = 39 * LANES  # 1 if a stop hit on this bar
FIELDS = 40

# Orders.
NONE, GO_LONG, GO_SHORT, GO_FLAT = 0.0, 1.0, 2.0, 3.0

# `rules`: what an execution asks for, the same for all lanes.
FEE = 0
FEE_MIN = 1
TRANSFER = 2
STAMP = 3
SLIPPAGE = 4
BORROW = 5  # per bar
LOT = 6  # 0 = fractional
SIZING = 7
SIZE = 8
START_CASH = 9
RISK_FREE = 10  # per bar
FILL = 11
STOP_FROM = 12
STOP_SLIPPAGE = 13
CLOSE_AT_END = 14
RETRY = 15
LEVEL = 16  # 1: a state is an entry, not only its beginning
HAS_OPEN = 17
HAS_RANGE = 18
LONG = 19
SHORT = 20
STOPS = 21  # 1 if a lane has a stop
RULES = 22

FILLS = {"next_open": 0.0, "next_close": 1.0, "close": 2.0}
NEXT_OPEN, NEXT_CLOSE, CLOSE = 0.0, 1.0, 2.0
SIZINGS = {"all_in": 0.0, "fraction": 1.0, "units": 2.0, "cash": 3.0}
ALL_IN, FRACTION, SIZE_UNITS, SIZE_CASH = 0.0, 1.0, 2.0, 3.0
REFERENCES = {"fill": 0.0, "entry_close": 1.0, "decision_close": 2.0}
FROM_FILL, FROM_ENTRY_CLOSE, FROM_DECISION_CLOSE = 0.0, 1.0, 2.0

# Columns of a recorded trade.
T_LANE, T_ENTRY_BAR, T_EXIT_BAR, T_ENTRY, T_EXIT, T_UNITS, T_FEES, T_PNL, T_REASON = range(9)
TRADE = 9
REASONS = ("signal", "stop_loss", "take_profit", "trailing_stop", "end", "delisted", "ruined")
# Floats like all the kernel's constants: of a whole number Numba compiles each value on its own.
SIGNAL, STOPPED, PROFITED, TRAILED, END, DELISTING, RUIN = 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0

TIE = 1e-12  # relative: closer than this counts as equal
