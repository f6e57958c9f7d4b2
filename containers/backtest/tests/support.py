"""Writes small price files, runs specs on them, and reads the results as plain Python."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as papq
from berth_backtest.job import run_job as run
from berth_backtest.report import Progress, Stop

ROOT = Path(__file__).resolve().parents[1]
FIRST_DAY = date(2020, 1, 1)
FREE = {"fee_bps": 0, "slippage_bps": 0, "fractional": True}  # no costs, no lots: round numbers
RUN_BOUND_S = 600  # against a hang, of one subprocess: a shared machine may stand still for a minute

Json = dict[str, Any]


def day(i: int) -> str:
    return (FIRST_DAY + timedelta(days=i)).isoformat()


def write_csv(path: Path, columns: str, rows: Sequence[Sequence[object]]) -> Path:
    """Writes rows under a header; None is an empty cell."""
    lines = [columns, *[",".join("" if x is None else str(x) for x in row) for row in rows]]
    path.write_text("\n".join(lines) + "\n")
    return path


def closes_csv(path: Path, closes: Sequence[float | None]) -> Path:
    return write_csv(path, "date,close", [(day(i), close) for i, close in enumerate(closes)])


def bars_csv(path: Path, bars: Sequence[Sequence[float]]) -> Path:
    """Writes one symbol's open, high, low, close."""
    return write_csv(path, "date,open,high,low,close", [(day(i), *bar) for i, bar in enumerate(bars)])


def spec_of(path: Path, fast: Any = 1, slow: Any = 2, **parts: Any) -> Json:
    """Returns a spec on one file, without the checks and pages that a test did not ask for."""
    spec: Json = {
        "data": {"files": [{"url": str(path)}], "adjustment": "total", **parts.pop("data", {})},
        "strategy": {"name": "sma_cross", **parts.pop("strategy", {})},
        "parameters": {"fast": fast, "slow": slow, **parts.pop("parameters", {})},
        "execution": parts.pop("execution", {}),
        "output": {
            "tearsheet": False,
            "look_ahead_check": False,
            "robustness": False,
            **parts.pop("output", {}),
        },
    }
    return {**spec, **parts}


CLOSES = [10 + (i * 7919 % 13) for i in range(60)]


def write_spec(tmp_path: Path, **parts: Any) -> Path:
    """Writes a spec of 400 sets, and its prices."""
    path = closes_csv(tmp_path / "p.csv", CLOSES)
    spec = spec_of(path, fast={"range": [1, 20, 1]}, slow={"range": [2, 30, 1]}, **parts)
    where = tmp_path / "spec.json"
    where.write_text(json.dumps(spec))
    return where


class Ran:
    """A finished run's files."""

    def __init__(self, out: Path, result: Json) -> None:
        self.out = out
        self.result = result

    def rows(self, name: str) -> list[Json]:
        rows: list[Json] = papq.read_table(self.out / f"{name}.parquet").to_pylist()
        return rows

    @property
    def metrics(self) -> Json:
        metrics: Json = self.result["best"]["metrics"]
        return metrics

    def equity(self, rank: int = 1) -> list[float]:
        return [row["equity"] for row in self.rows("equity") if row["rank"] == rank]

    def trades(self, rank: int = 1) -> list[Json]:
        return [row for row in self.rows("trades") if row["rank"] == rank]

    def codes(self) -> list[str]:
        return [warning["code"] for warning in self.result["warnings"]]


def run_spec(out: Path, spec: Json, threads: int = 1) -> Ran:
    """Runs a spec within this process."""
    result = run(json.loads(json.dumps(spec)), out, Progress(None), Stop(), threads)
    assert json.loads((out / "result.json").read_text()) == result
    return Ran(out, result)


def program(
    *arguments: object, env: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Runs the program as a command."""
    return subprocess.run(
        [sys.executable, "-m", "berth_backtest", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        text=True,
        timeout=RUN_BOUND_S,
        check=False,
        **options,
    )
