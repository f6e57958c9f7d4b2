"""Backtests that a stranger can check: a spec and prices in, metrics, trades and a tear sheet out.

Run by hand: python -m berth_backtest SPEC.json OUT_DIR
In a notebook: berth_backtest.run(spec, frame).points
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from berth_backtest.notebook import Result

VERSION = "0.1.0"


def run(spec: dict[str, Any], data: Any = None, threads: int | None = None) -> "Result":
    """Runs a spec; `data` is a data frame or Arrow table in long form, in place of `spec["data"]`'s files.

    Raises ProgramError for what the program tells with an exit code.
    """
    from berth_backtest.notebook import run_here  # heavy imports are late

    return run_here(spec, data, threads)
