"""Writes small tables and price files, runs specs on them, and reads the results as plain Python."""

import json
import os
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as papq
from berth_backtest.report import Progress, Stop
from berth_training.job import run_job

ROOT = Path(__file__).resolve().parents[1]
FIRST_DAY = date(2020, 1, 1)
RUN_BOUND_S = 600  # against a hang, of one subprocess: a shared machine may stand still for a minute

Json = dict[str, Any]


def day(i: int) -> date:
    return FIRST_DAY + timedelta(days=i)


def columns_of(dates: int = 120, symbols: int = 6, features: int = 3, seed: int = 0) -> Json:
    """Returns random features `f0...` and noise `e`, dates after one another."""
    rng = np.random.default_rng(seed)
    n = dates * symbols
    found: Json = {
        "date": [day(i) for i in range(dates) for _ in range(symbols)],
        "symbol": [f"S{s}" for _ in range(dates) for s in range(symbols)],
    }
    for i in range(features):
        found[f"f{i}"] = rng.normal(size=n)
    found["e"] = rng.normal(size=n)
    return found


def write_table(path: Path, columns: Json) -> Path:
    papq.write_table(pa.table(columns), path)
    return path


def planted(tmp_path: Path, kind: str = "regression", **shape: int) -> Path:
    """Writes a table whose target is f0 - f1 / 2 and noise; f2 and more mean nothing."""
    columns = columns_of(**shape)
    signal = columns["f0"] - 0.5 * columns["f1"] + 0.5 * columns.pop("e")
    columns["y"] = signal if kind == "regression" else (signal > 0).astype(np.int64)
    return write_table(tmp_path / "table.parquet", columns)


def spec_of(path: Path, model: str | Json | None = "ridge", kind: str = "regression", **parts: Any) -> Json:
    """Returns a spec on one table, without pages and importance that a test did not ask for."""
    table: Json = {
        "url": str(path),
        "target": "y",
        "time": "date",
        "group": "symbol",
        "horizon": 1,
        "kind": kind,
    }
    spec: Json = {
        "table": {**table, **parts.pop("table", {})},
        "model": {"name": model, "params": parts.pop("params", {})} if isinstance(model, str) else model,
        "validation": {"method": "walk_forward", "folds": 3, **parts.pop("validation", {})},
        "output": {"plots": False, "importance": False, **parts.pop("output", {})},
    }
    return {name: value for name, value in {**spec, **parts}.items() if value is not None}


class Ran:
    """A finished run's files."""

    def __init__(self, out: Path, result: Json) -> None:
        self.out = out
        self.result = result

    def rows(self, name: str) -> list[Json]:
        rows: list[Json] = papq.read_table(self.out / f"{name}.parquet").to_pylist()
        return rows

    def columns(self, name: str) -> Json:
        table = papq.read_table(self.out / f"{name}.parquet")
        return {column: table.column(column).to_numpy() for column in table.column_names}

    @property
    def test(self) -> Json:
        found: Json = self.result["metrics"]["test"]["overall"]
        return found

    def codes(self) -> list[str]:
        return [warning["code"] for warning in self.result["warnings"]]


def run_spec(out: Path, spec: Json, threads: int = 1, stop: Stop | None = None) -> Ran:
    """Runs a spec within this process."""
    result = run_job(json.loads(json.dumps(spec)), out, Progress(None), stop or Stop(), threads)
    assert json.loads((out / "result.json").read_text()) == result
    return Ran(out, result)


def without_times(result: Json) -> Json:
    return {name: value for name, value in result.items() if name != "timing"}


def program(*arguments: object, env: dict[str, str] | None = None, **options: Any) -> Any:
    """Runs the program as a command."""
    return subprocess.run(
        [sys.executable, "-m", "berth_training", *map(str, arguments)],
        env={**os.environ, "BERTH_THREADS": "1", **(env or {})},
        capture_output=True,
        text=True,
        timeout=RUN_BOUND_S,
        check=False,
        **options,
    )
