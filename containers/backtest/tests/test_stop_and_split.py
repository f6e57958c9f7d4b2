"""Stopped and started again, or split in any way, a run ends the same."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from berth_backtest import chunks, sweep
from berth_backtest.checkpoint import Checkpoint
from berth_backtest.errors import StoppedError
from berth_backtest.job import run_job as run
from berth_backtest.kept import Every
from berth_backtest.report import Progress, Stop

from tests.support import ROOT, RUN_BOUND_S, Ran, day, run_spec, spec_of, write_csv, write_spec

FILES = {
    "result.json",
    "points.parquet",
    "metrics.parquet",
    "trades.parquet",
    "equity.parquet",
    "tearsheet.html",
    "points.json",
}


def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes chunks of 64 sets, so that a small grid has several."""
    monkeypatch.setattr(chunks, "CHUNK_UPDATES", 1)


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value for key, value in result.items() if key not in ("timing", "bar_updates_per_s", "engine")
    }


def same_files(first: Ran, second: Ran) -> None:
    for name in FILES - {"result.json"}:
        assert (first.out / name).read_bytes() == (second.out / name).read_bytes(), name
    assert without_times(first.result) == without_times(second.result)


class StopAfter(Stop):
    """Asks to stop at the n-th look."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self.looks = looks

    def __getattribute__(self, name: str) -> Any:
        if name == "asked":
            looks = object.__getattribute__(self, "__dict__")
            looks["looks"] = looks.get("looks", 0) - 1
            return looks["looks"] < 0
        return object.__getattribute__(self, name)


@pytest.mark.parametrize("looks", [0, 1, 3, 5])
def test_a_stopped_run_goes_on_where_it_was_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    small_chunks(monkeypatch)
    spec = json.loads(write_spec(tmp_path, output={"tearsheet": True}).read_text())
    whole = run_spec(tmp_path / "whole", spec)
    monkeypatch.setenv("BERTH_CHECKPOINT_DIR", str(tmp_path / "kept"))
    out = tmp_path / "out"
    with pytest.raises(StoppedError):
        run(spec, out, Progress(None), StopAfter(looks), 1)
    if looks:  # the best so far is readable
        early = json.loads((out / "result.json").read_text())
        assert early["points"] == 64 * looks
        assert early["warnings"][0]["code"] == "stopped_early"
    else:
        assert not (out / "result.json").exists()
    manifest = json.loads((tmp_path / "kept" / "manifest.json").read_text())
    assert manifest["state"]["tried"] == 64 * looks
    done: list[int] = []
    honest = chunks.run_chunk

    def counted(*parts: Any) -> Any:
        done.append(len(parts[2]))
        return honest(*parts)

    monkeypatch.setattr(chunks, "run_chunk", counted)
    same_files(run_spec(out, spec), whole)
    assert len(done) == 7 - looks


def test_a_checkpoint_of_another_run_or_a_damaged_one_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_chunks(monkeypatch)
    kept = tmp_path / "kept"
    monkeypatch.setenv("BERTH_CHECKPOINT_DIR", str(kept))
    monkeypatch.setenv("BERTH_CHECKPOINT_EVERY_S", "0")
    spec = json.loads(write_spec(tmp_path).read_text())
    first = run_spec(tmp_path / "a", spec)
    assert json.loads((kept / "manifest.json").read_text())["state"]["tried"] == first.result["points"]
    other = run_spec(tmp_path / "b", {**spec, "risk_free": 0.5})
    assert other.metrics["sharpe"] != first.metrics["sharpe"]
    for part in kept.glob("*.npz"):
        part.write_bytes(b"broken")
    monkeypatch.setenv("BERTH_CHECKPOINT_EVERY_S", "never")
    assert without_times(run_spec(tmp_path / "c", spec).result) == without_times(first.result)


def test_a_checkpoint_is_written_when_it_is_time(tmp_path: Path) -> None:
    now = [0.0]
    checkpoint = Checkpoint(tmp_path / "kept", "x", 60.0, lambda: now[0])
    checkpoint.add({"a": np.zeros(1)})
    assert not checkpoint.is_due()
    now[0] = 60.0
    checkpoint.add({"a": np.ones(1)})
    assert checkpoint.is_due()
    checkpoint.save({"tried": 2}, {"heat": np.zeros(2)})
    checkpoint.save({"tried": 2}, {"heat": np.ones(2)})
    again = Checkpoint(tmp_path / "kept", "x", 60.0, lambda: now[0])
    found = again.load()
    assert found is not None
    assert found[0] == {"tried": 2}
    assert found[1]["heat"].tolist() == [1.0, 1.0]
    assert [part["a"].tolist() for part in found[2]] == [[0.0, 1.0]]
    assert len(list((tmp_path / "kept").glob("state-*.npz"))) == 1
    assert Checkpoint(tmp_path / "kept", "y", 60.0, lambda: now[0]).load() is None


def test_sigterm_ends_with_75_and_the_next_start_goes_on(tmp_path: Path) -> None:
    spec = write_spec(tmp_path)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "BERTH_CHECKPOINT_DIR": str(tmp_path / "kept")}
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(spec), str(tmp_path / "out")],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if "chunk" in line:
            child.send_signal(signal.SIGTERM)
            break
    child.communicate(timeout=RUN_BOUND_S)
    assert child.returncode == 75
    manifest = json.loads((tmp_path / "kept" / "manifest.json").read_text())
    assert 64 <= manifest["state"]["tried"] < 400


# Chunks of 64 sets that wait for the signal: the parent sends it after the first line.
SLOW = """
import sys, threading
from berth_backtest import chunks, sweep
from berth_backtest.cli import main
from berth_backtest.report import Stop
came = threading.Event()
note = Stop.note
def noted(self, *parts):
    note(self, *parts)
    came.set()
Stop.note = noted
chunks.CHUNK_UPDATES = 1
honest = chunks.run_chunk
def slow(*parts):
    print("chunk", flush=True)
    came.wait(600)
    return honest(*parts)
chunks.run_chunk = slow
sys.exit(main(sys.argv[1:]))
"""


def test_threads_symbol_blocks_and_splits_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        [day(i), s, 5 + (i * (k + 3) * 7919 % 17)]
        for k, s in enumerate(("AA", "BB", "CC"))
        for i in range(50)
    ]
    path = write_csv(tmp_path / "p.csv", "date,symbol,close", rows)
    spec = spec_of(path, fast={"range": [1, 9, 1]}, slow={"range": [2, 30, 1]}, output={"tearsheet": True})
    whole = run_spec(tmp_path / "a", spec, threads=1)
    same_files(run_spec(tmp_path / "b", spec, threads=3), whole)
    monkeypatch.setattr("berth_backtest.simulate.TABLE_BYTES", 1)
    monkeypatch.setattr("berth_backtest.simulate.ITEM_UPDATES", 1)
    monkeypatch.setattr("berth_backtest.simulate.MOVE_BYTES", 1)
    monkeypatch.setattr("berth_backtest.output.tables.ROWS_AT_ONCE", 7)
    small_chunks(monkeypatch)
    split = run_spec(tmp_path / "c", spec, threads=2)
    assert without_times(split.result) == without_times(whole.result)
    assert split.rows("metrics") == whole.rows("metrics")
    assert split.rows("equity") == whole.rows("equity")
    backwards = run_spec(tmp_path / "d", {**spec, "data": {**spec["data"], "symbols": ["CC", "BB", "AA"]}})
    key = "point", "symbol"
    rows_of = {tuple(row[k] for k in key): row for row in backwards.rows("metrics")}
    assert all(rows_of[tuple(row[k] for k in key)] == row for row in whole.rows("metrics"))


def test_metrics_beyond_the_bound_are_those_of_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = json.loads(write_spec(tmp_path, output={"top_k": 3}).read_text())
    whole = run_spec(tmp_path / "a", spec)
    monkeypatch.setattr(sweep, "KEPT_ROWS", 100)
    few = run_spec(tmp_path / "b", spec)
    assert len(few.rows("metrics")) == 3
    all_rows = {row["point"]: row for row in whole.rows("metrics")}
    assert all(all_rows[row["point"]] == row for row in few.rows("metrics"))
    everything = {**spec, "output": {**spec["output"], "metrics": "all"}}
    assert len(run_spec(tmp_path / "c", everything).rows("metrics")) == len(all_rows)
    monkeypatch.setattr(sweep, "MOST_ROWS", 100)
    with pytest.raises(Exception, match=r"output\.metrics: all would be"):
        run_spec(tmp_path / "d", everything)


def test_a_checkpoint_does_not_wait_when_many_rows_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("berth_backtest.checkpoint.MOST_WAITING", 1_000)
    kept = Checkpoint(tmp_path / "kept", "x", 60.0, lambda: 0.0)
    kept.add({"a": np.zeros(100)})
    assert not kept.is_due()
    kept.add({"a": np.zeros(25)})
    assert kept.is_due()
    kept.save({}, {})
    assert not kept.is_due()
    found = Checkpoint(tmp_path / "kept", "x", 60.0, lambda: 0.0).load()
    assert found is not None
    assert [len(part["a"]) for part in found[2]] == [125]


def test_all_rows_are_kept_once_and_no_more_than_there_are() -> None:
    kept = Every(10_000_000)  # room alone takes no memory
    kept.add({"points": np.arange(3), "means": np.ones((3, 2))})
    kept.add({"points": np.arange(3, 5), "means": np.zeros((2, 2))})
    rows = kept.arrays()
    assert rows["points"].tolist() == [0, 1, 2, 3, 4]
    assert rows["means"].shape == (5, 2)
    assert np.shares_memory(rows["means"], kept.columns["means"])
    few = Every(4)
    few.add({"points": np.arange(3)})
    with pytest.raises(ValueError, match="5 rows are more than the 4"):
        few.add({"points": np.arange(2)})
