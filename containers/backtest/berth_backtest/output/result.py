"""result.json: what a run found, in strict JSON."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berth_backtest import VERSION
from berth_backtest.benchmark import compared
from berth_backtest.checkpoint import write_atomically
from berth_backtest.china import early_warnings, shown_profile
from berth_backtest.data.dates import DAY_US, shown_date
from berth_backtest.honest.overfitting import Overfitting, overfitting_of, overfitting_warnings
from berth_backtest.honest.robustness import robustness_warnings
from berth_backtest.look_ahead import LookAhead
from berth_backtest.metrics import named, number
from berth_backtest.output.best import Best
from berth_backtest.plan import Plan, china_given
from berth_backtest.sweep import Sweep
from berth_backtest.user.strategy import path_of

SPANS_SHOWN = 10  # of the points that failed shards leave out
FEW_TRADES = 30  # closed trades below which an average says next to nothing


@dataclass(frozen=True)
class Found:
    """What a run has found; `at` is the best set's place in the sweep."""

    sweep: Sweep
    best: Best
    at: int
    look_ahead: LookAhead
    robustness: dict[str, Any] | None


def make_result(plan: Plan, found: Found, threads: int, timing: dict[str, float]) -> dict[str, object]:
    """Returns the content of result.json."""
    sweep, best, at, look_ahead = found.sweep, found.best, found.at, found.look_ahead
    updates = plan.panel.bars * len(plan.panel.symbols) * sweep.tried
    overfitting = overfitting_of(plan, sweep, best.equity)
    return {
        "engine": engine_of(plan, threads),
        "effective_spec": plan.effective,
        "seed": plan.spec.search.seed,
        "data": shown_data(plan),
        "best": {
            "point": int(sweep.points[at]),
            "parameters": plan.grid.parameters(int(sweep.points[at])),
            "objective": number(sweep.objective[at]),
            "metrics": named(sweep.means[at]),
        },
        "benchmark": benchmark_of(plan, best),
        "points": sweep.tried,
        "skipped": sweep.skipped,
        "bar_updates": updates,
        "timing": {name: round(seconds, 6) for name, seconds in timing.items()},
        "bar_updates_per_s": updates / timing["run_s"] if timing["run_s"] > 0 else None,
        "rejected_orders": best.rejected,
        "profile": profile_of(plan),
        "look_ahead": vars(look_ahead),
        "overfitting": vars(overfitting),
        "robustness": found.robustness,
        "ties": sweep.counts["ties"],
        "warnings": warnings_of(plan, found, overfitting),
    }


def benchmark_of(plan: Plan, best: Best) -> dict[str, float | str | None] | None:
    if plan.benchmark is None:
        return None
    cash = plan.spec.execution.cash * len(plan.accounts)
    return compared(plan.benchmark, best.equity, cash, plan.periods, plan.spec.risk_free)


def warnings_of(plan: Plan, run: Found, overfitting: Overfitting) -> list[dict[str, str]]:
    """Returns what a reader must know before the numbers, the gravest first."""
    sweep, best, at, look_ahead = run.sweep, run.best, run.at, run.look_ahead
    found = []
    if not sweep.finished:
        text = f"the run was stopped after {sweep.tried} sets: this is the best so far"
        found.append(("stopped_early", text))
    if sweep.missing:
        spans = ", ".join(f"{first} to {end - 1}" for first, end in sweep.missing[:SPANS_SHOWN])
        text = f"{len(sweep.missing)} shards failed for good: the points {spans} are missing"
        found.append(("shards_missing", text + (" (and more)" if len(sweep.missing) > SPANS_SHOWN else "")))
    if look_ahead.ok is None:
        signals = plan.spec.strategy.from_file
        text = "what is wanted comes from a file, which cannot be checked for look-ahead"
        found.append(("look_ahead_unchecked", text if signals else "the look-ahead check was turned off"))
    if plan.fill == "close":
        text = "orders fill at the very close that decides them, which cannot be traded"
        found.append(("same_close_fill", text))
    if sweep.counts["ruined"]:
        found.append(("ruined", f"equity fell to 0 in {sweep.counts['ruined']} runs of a set and symbol"))
    if sweep.counts["delisted"]:
        text = f"{sweep.counts['delisted']} positions were closed at the last close of a delisted symbol"
        found.append(("delisted", text))
    if math.isnan(sweep.objective[at]):
        name = plan.spec.search.objective
        found.append(("no_objective", f"no set has a value of {name}: the first one is shown"))
    closed = len(best.trade_returns)
    if closed < FEW_TRADES:
        found.append(("few_trades", f"the best set has {closed} closed trades: too few to judge it"))
    found += overfitting_warnings(overfitting)
    found += robustness_warnings(run.robustness)
    if best.rejected:
        listed = ", ".join(f"{name} {count}" for name, count in best.rejected.items())
        found.append(("rejected_orders", f"orders of the best set that did not fill: {listed}"))
    if plan.panel.china is not None:
        found += early_warnings(plan.panel.dates // DAY_US, china_given(plan.spec))
        text = "the rules of cn_a are those commonly published, not compared with the exchanges' own texts"
        found.append(("profile_not_checked", text))
    found += plan.warnings
    found += plan.panel.warnings
    return [{"code": code, "message": message} for code, message in found]


def engine_of(plan: Plan, threads: int) -> dict[str, object]:
    path, reason = path_of(plan.spec.strategy.definition.source)
    return {
        "version": VERSION,
        "device": "cpu",
        "dtype": "float64",
        "threads": threads,
        "path": path,
        "fallback_reason": reason,
    }


def profile_of(plan: Plan) -> dict[str, object] | None:
    """Returns the rules of the profile that the run used."""
    if plan.panel.china is None:
        return None
    return shown_profile(china_given(plan.spec), plan.panel.china.from_columns)


def shown_data(plan: Plan) -> dict[str, object]:
    panel = plan.panel
    return {
        "sha256": panel.sha256,
        "symbols": list(panel.symbols),
        "bars": panel.bars,
        "start": shown_date(int(panel.dates[0]), panel.dated),
        "end": shown_date(int(panel.dates[-1]), panel.dated),
    }


def write_json(path: Path, value: object, indent: int | None = 2) -> None:
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, indent=indent) + "\n"
    write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))
