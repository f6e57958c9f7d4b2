"""Backtests that a stranger can check: a spec and prices in, metrics, trades and a tear sheet out.

Run by hand: python -m berth_backtest SPEC.json OUT_DIR
"""

VERSION = "0.1.0"
