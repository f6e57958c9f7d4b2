"""What must hold for any market: found counterexamples are shrunk by hypothesis."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import FREE, Ran, closes_csv, run_spec, spec_of

# Derandomised: the same examples on every machine. A run takes some 20 ms.
examples = settings(max_examples=25, deadline=None, derandomize=True)
markets = st.lists(st.integers(1, 40), min_size=2, max_size=40)


def ran(closes: list[float], **execution: object) -> Ran:
    folder = Path(tempfile.mkdtemp())
    path = closes_csv(folder / "p.csv", closes)
    return run_spec(folder / "out", spec_of(path, execution={**FREE, **execution}))


@examples
@given(markets, st.sampled_from(["long", "short", "both"]))
def test_scaling_prices_and_cash_scales_equity(closes: list[float], direction: str) -> None:
    one = ran(closes, direction=direction, cash=1000)
    # A power of two: nothing is rounded differently.
    four = ran([4 * close for close in closes], direction=direction, cash=4000)
    assert four.equity() == [4 * equity for equity in one.equity()]


@examples
@given(markets, st.integers(1, 100))
def test_costs_never_help(closes: list[float], bps: int) -> None:
    free = ran(closes)
    for cost in ({"fee_bps": bps}, {"slippage_bps": bps}, {"stamp_duty_bps": bps}, {"fee_min": bps}):
        assert ran(closes, **cost).equity()[-1] <= free.equity()[-1] * (1 + 1e-12)


@examples
@given(markets, st.integers(0, 200), st.integers(0, 30))
def test_nothing_is_bought_without_cash(closes: list[float], bps: int, least: int) -> None:
    run = ran(closes, cash=500, fee_bps=bps, fee_min=least, fractional=False)
    for row, close in zip(run.rows("equity"), closes, strict=True):
        if row["position"] > 0:
            assert row["equity"] - row["position"] * close >= -1e-9


@examples
@given(markets, st.sampled_from(["long", "short", "both"]), st.integers(0, 100))
def test_equity_is_the_cash_and_the_pnl_of_all_trades(closes: list[float], direction: str, bps: int) -> None:
    run = ran(closes, direction=direction, fee_bps=bps, borrow_bps_per_year=bps, cash=1000)
    if "ruined" not in run.codes():
        gained = sum(trade["pnl"] for trade in run.trades())
        assert abs(run.equity()[-1] - 1000 - gained) <= 1e-8 * max(1000, abs(gained))
