"""result.json: what a run found, in strict JSON."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from berth_backtest import VERSION
from berth_backtest.benchmark import compared
from berth_backtest.checkpoint import write_atomically
from berth_backtest.china import early_warnings, shown_profile
from berth_backtest.data.dates import DAY_US, shown_date
from berth_backtest.device import Device
from berth_backtest.honest.overfitting import Overfitting, overfitting_of, overfitting_warnings
from berth_backtest.honest.robustness import robustness_warnings
from berth_backtest.look_ahead import LookAhead
from berth_backtest.metrics import MINIMISED, named, number
from berth_backtest.output.best import Best
from berth_backtest.plan import Plan, china_given
from berth_backtest.score import mean_of, objectives
from berth_backtest.sweep import Sweep
from berth_backtest.user.strategy import path_of
from berth_backtest.walk.walk import Walk

Floats = NDArray[np.float64]

SPANS_SHOWN = 10  # of the points that failed shards leave out
KEPT = 0.5  # of the objective in the trains, out of sample: less says that it was found, not there
FEW_TRADES = 30  # closed trades below which an average says next to nothing


@dataclass(frozen=True)
class Found:
    """What a run has found; `at` is the best set's place in the sweep."""

    sweep: Sweep
    best: Best
    at: int
    look_ahead: LookAhead
    robustness: dict[str, Any] | None
    trained: "Trained | None" = None


@dataclass(frozen=True)
class Trained:
    """A validated search: its folds, and the last choice's equity in its train, over all accounts."""

    walk: Walk
    equity: Floats


def make_result(plan: Plan, found: Found, threads: int, timing: dict[str, float]) -> dict[str, object]:
    """Returns the content of result.json."""
    sweep, best, at, look_ahead = found.sweep, found.best, found.at, found.look_ahead
    trained = found.trained
    updates = plan.panel.bars * len(plan.panel.symbols) * sweep.tried
    overfitting = overfitting_of(plan, sweep, best.equity)
    means = sweep.means[at]
    if trained is not None:
        updates = trained.walk.updates
        overfitting = overfitting_of(trained.walk.plan, sweep, trained.equity)
        means = mean_of(best.metrics[np.newaxis])[0]
    return {
        "engine": engine_of(plan, threads, sweep.device),
        "effective_spec": plan.effective,
        "seed": plan.spec.search.seed,
        "data": shown_data(plan),
        "best": {
            "point": int(sweep.points[at]),
            "parameters": plan.grid.parameters(int(sweep.points[at])),
            "objective": number(sweep.objective[at]),
            "metrics": named(means),
        },
        "validation": None if trained is None else validation_of(plan, trained.walk),
        "benchmark": benchmark_of(plan, found),
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


def benchmark_of(plan: Plan, found: Found) -> dict[str, float | str | None] | None:
    shown = plan if found.trained is None else found.trained.walk.chain.plan
    if shown.benchmark is None:
        return None
    best = found.best
    cash = plan.spec.execution.cash * len(plan.accounts)
    return compared(shown.benchmark, best.equity, cash, plan.periods, plan.spec.risk_free)


def validation_of(plan: Plan, walk: Walk) -> dict[str, object]:
    """Returns every fold's choice with the figures that chose it and those of its test."""
    rows = []
    for fold, one, test in zip(walk.folds, walk.choices, walk.chain.folds, strict=True):
        means = mean_of(test[np.newaxis])[0]
        rows.append(
            {
                "fold": fold.number,
                "train": dates_of(plan, fold.train),
                "test": dates_of(plan, fold.test),
                "point": one.point,
                "parameters": plan.grid.parameters(one.point),
                "points": one.tried,
                "objective": number(one.objective),
                "test_objective": number(objectives(test[np.newaxis], plan.spec.search)[0]),
                "train_metrics": named(one.means),
                "test_metrics": named(means),
            }
        )
    whole = walk.chain.best.metrics[np.newaxis]
    return {
        "method": "walk_forward",
        "oos": dates_of(plan, (walk.folds[0].test[0], walk.folds[-1].test[1])),
        "oos_objective": number(objectives(whole, plan.spec.search)[0]),
        "folds": rows,
    }


def dates_of(plan: Plan, span: tuple[int, int]) -> dict[str, object]:
    first, last = (shown_date(int(plan.panel.dates[at]), plan.panel.dated) for at in (span[0], span[1] - 1))
    return {"start": first, "end": last, "bars": span[1] - span[0]}


def validation_warnings(plan: Plan, walk: Walk) -> list[tuple[str, str]]:
    """Returns that the choices did not keep what they promised."""
    name = plan.spec.search.objective
    promised = [one.objective for one in walk.choices if not math.isnan(one.objective)]
    kept = float(objectives(walk.chain.best.metrics[np.newaxis], plan.spec.search)[0])
    if name in MINIMISED or not promised or math.isnan(kept):
        return []
    mean = sum(promised) / len(promised)
    if mean <= 0.0 or kept >= KEPT * mean:
        return []
    text = f"{name} is {kept:.3g} out of sample, where the trains that chose had {mean:.3g} on average"
    return [("worse_out_of_sample", text)]


def warnings_of(plan: Plan, run: Found, overfitting: Overfitting) -> list[dict[str, str]]:
    """Returns what a reader must know before the numbers, the gravest first."""
    sweep, best, at, look_ahead = run.sweep, run.best, run.at, run.look_ahead
    found = []
    if sweep.device.reason is not None:
        found.append(("device", f"{sweep.device.wished} was asked for: {sweep.device.reason}"))
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
    found += [] if run.trained is None else validation_warnings(plan, run.trained.walk)
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


def engine_of(plan: Plan, threads: int, device: Device) -> dict[str, object]:
    """Returns where the points ran, and why not on the GPU that was asked for, or not in lanes."""
    path, reason = path_of(plan.spec.strategy.definition.source)
    if device.used != "cpu":
        path, reason = "threads", None
    return {
        "version": VERSION,
        "device": device.used,
        "device_wished": device.wished,
        "dtype": "float64",
        "threads": threads,
        "path": path,
        "fallback_reason": device.reason or reason,
        "spot_check": None if device.check is None else vars(device.check),
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
        "storage": "memory" if panel.folder is None else "disk",
    }


def write_json(path: Path, value: object) -> None:
    """Writes a value, an object with a line for each field: json indents in Python, which takes longer."""

    def shown(part: object) -> str:
        return json.dumps(part, allow_nan=False, ensure_ascii=False)

    text = shown(value)
    if isinstance(value, dict):
        text = "{\n" + ",\n".join(f"  {shown(name)}: {shown(part)}" for name, part in value.items()) + "\n}"
    write_atomically(path, lambda part: part.write_text(text + "\n", encoding="utf-8"))
