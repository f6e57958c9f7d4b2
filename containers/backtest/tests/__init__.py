"""Tests of the backtest program."""
