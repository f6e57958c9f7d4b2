"""The command as a runner sees it: files, exit codes, progress, stop and resume."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from berth_backtest import cli, sweep, warm
from berth_backtest.checkpoint import Checkpoint
from berth_backtest.errors import StoppedError
from berth_backtest.report import Progress, Stop
from berth_backtest.run import run

from tests.support import FREE, ROOT, Ran, closes_csv, day, program, run_spec, spec_of, write_csv

CLOSES = [10 + (i * 7919 % 13) for i in range(60)]
FILES = {
    "result.json",
    "points.parquet",
    "metrics.parquet",
    "trades.parquet",
    "equity.parquet",
    "tearsheet.html",
}


def write_spec(tmp_path: Path, **parts: Any) -> Path:
    path = closes_csv(tmp_path / "p.csv", CLOSES)
    spec = spec_of(path, fast={"range": [1, 20, 1]}, slow={"range": [2, 30, 1]}, **parts)
    where = tmp_path / "spec.json"
    where.write_text(json.dumps(spec))
    return where


def test_a_run_writes_its_files_and_tells_its_progress(tmp_path: Path) -> None:
    spec = write_spec(tmp_path, output={"tearsheet": True, "look_ahead_check": True})
    reading, writing = os.pipe()
    # The runner opens descriptor 3 for the program; here the shell does.
    command = f'exec "{sys.executable}" -m berth_backtest spec.json out 3>&{writing}'
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        pass_fds=[writing],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    os.close(writing)
    with os.fdopen(reading) as stream:
        lines = [json.loads(line) for line in stream]
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "berth_backtest 0.1.0: reading spec.json"
    assert [line["phase"] for line in lines] == ["load", "compile", "run", "write", "done"]
    assert all(set(line) == {"progress", "phase", "step", "steps", "metrics"} for line in lines)
    assert lines[-1]["progress"] == 1.0
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert spec.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ('{"a": 1, "a": 2}', "the field 'a' is there twice"),
        ("{}", "data: is required"),
        (" " * (cli.MAX_SPEC_BYTES + 1), "larger than 16 MiB"),
    ],
)
def test_a_wrong_spec_ends_with_2_and_error_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "spec.json").write_text(text)
    assert cli.main([str(tmp_path / "spec.json"), str(tmp_path / "out")]) == 2
    error = json.loads((tmp_path / "out" / "error.json").read_text())
    assert error["code"] == "invalid_params"
    assert message in error["message"]
    assert message in capsys.readouterr().err
    assert error["errors"][0]["message"] in error["message"]


def test_usage_and_a_missing_spec(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    assert cli.main([]) == 2
    assert cli.main([str(tmp_path / "none.json"), str(tmp_path / "out")]) == 2
    assert "none.json cannot be read: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (MemoryError(), "out_of_memory", 1),
        (OSError(28, "No space left on device"), "disk_full", 1),
        (RuntimeError("odd"), "runner_crashed", 1),
        (OSError(5, "Input/output error"), "runner_crashed", 1),
    ],
)
def test_our_own_failures_have_their_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, exit_code: int
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr("berth_backtest.run.run", broken)
    spec = write_spec(tmp_path)
    assert cli.main([str(spec), str(tmp_path / "out")]) == exit_code
    assert json.loads((tmp_path / "out" / "error.json").read_text())["code"] == code


def test_an_out_dir_that_cannot_be_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main([str(tmp_path / "none.json"), str(tmp_path / "file" / "out")]) == 2
    assert "error.json cannot be written" in capsys.readouterr().err


def test_planted_look_ahead_ends_with_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from berth_backtest.kernel.tables import sma_tables as honest

    def leaking(closes: Any, skip: int, windows: Any, out: Any) -> None:
        honest(closes, skip, windows, out)
        out[:, :-1] = out[:, 1:]  # each average as it will be at the next bar

    monkeypatch.setattr("berth_backtest.simulate.sma_tables", leaking)
    spec = write_spec(tmp_path, output={"look_ahead_check": True})
    assert cli.main([str(spec), str(tmp_path / "out")]) == 4
    error = json.loads((tmp_path / "out" / "error.json").read_text())
    assert error["code"] == "look_ahead"
    assert "changes when the prices after" in error["message"]
    assert not (tmp_path / "out" / "result.json").exists()


def test_the_look_ahead_check_passes_and_is_counted(tmp_path: Path) -> None:
    spec = json.loads(write_spec(tmp_path, output={"look_ahead_check": True}).read_text())
    look = run_spec(tmp_path / "out", spec).result["look_ahead"]
    assert look["ok"] is True
    assert look["first_difference"] is None
    assert look["checked"] >= 10


def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes chunks of 64 sets, so that a small grid has several."""
    monkeypatch.setattr(sweep, "CHUNK_UPDATES", 1)


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
    assert manifest["chunks"] == looks
    done: list[int] = []
    honest = sweep.run_chunk

    def counted(*parts: Any) -> Any:
        done.append(len(parts[2]))
        return honest(*parts)

    monkeypatch.setattr(sweep, "run_chunk", counted)
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
    assert json.loads((kept / "manifest.json").read_text())["chunks"] == 7
    other = run_spec(tmp_path / "b", {**spec, "risk_free": 0.5})
    assert other.metrics["sharpe"] != first.metrics["sharpe"]
    for part in kept.glob("*.npz"):
        part.write_bytes(b"broken")
    monkeypatch.setenv("BERTH_CHECKPOINT_EVERY_S", "never")
    assert without_times(run_spec(tmp_path / "c", spec).result) == without_times(first.result)


def test_a_checkpoint_is_written_when_it_is_time(tmp_path: Path) -> None:
    now = [0.0]
    checkpoint = Checkpoint(tmp_path / "kept", "x", 60.0, lambda: now[0])
    import numpy as np

    checkpoint.add({"a": np.zeros(1)})
    assert not (tmp_path / "kept").exists()
    now[0] = 60.0
    checkpoint.add({"a": np.ones(1)})
    again = Checkpoint(tmp_path / "kept", "x", 60.0, lambda: now[0])
    assert [part["a"].tolist() for part in again.load()] == [[0.0, 1.0]]
    assert again.chunks == 2
    assert Checkpoint(tmp_path / "kept", "y", 60.0, lambda: now[0]).load() == []


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
    child.communicate(timeout=120)
    assert child.returncode == 75
    manifest = json.loads((tmp_path / "kept" / "manifest.json").read_text())
    assert 1 <= manifest["chunks"] < 7


# Chunks of 64 sets that wait for the signal: the parent sends it after the first line.
SLOW = """
import sys, threading
from berth_backtest import sweep
from berth_backtest.cli import main
from berth_backtest.report import Stop
came = threading.Event()
note = Stop.note
def noted(self, *parts):
    note(self, *parts)
    came.set()
Stop.note = noted
sweep.CHUNK_UPDATES = 1
honest = sweep.run_chunk
def slow(*parts):
    print("chunk", flush=True)
    came.wait(60)
    return honest(*parts)
sweep.run_chunk = slow
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
    monkeypatch.setattr("berth_backtest.output.best.RECORD_BYTES", 1)
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


def test_top_k_0_writes_no_curves_and_removes_old_ones(tmp_path: Path) -> None:
    spec = json.loads(write_spec(tmp_path, output={"tearsheet": True}).read_text())
    run_spec(tmp_path / "out", spec)
    spec["output"] |= {"top_k": 0, "tearsheet": False}
    run_spec(tmp_path / "out", spec)
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"result.json", "points.parquet", "metrics.parquet"}


def test_progress_keeps_its_pace_and_survives_a_reader_that_left() -> None:
    reading, writing = os.pipe()
    progress = Progress(writing)
    for i in range(100):
        progress.tell(i / 100, f"phase {i}")
    os.close(reading)
    assert len(progress.told_at) == 5
    progress.told_at.clear()
    progress.tell(1.0, "done")
    assert progress.fd is None
    os.close(writing)


def test_the_program_by_hand_on_a_spec_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text("{}")
    done = program("spec.json", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: data: is required")


def test_free_of_costs_is_still_a_run(tmp_path: Path) -> None:
    spec = json.loads(write_spec(tmp_path, execution=FREE, data={}).read_text())
    assert run_spec(tmp_path / "out", spec).metrics["fees"] == 0


def test_warming_compiles_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert warm.main() == 0
    assert capsys.readouterr().out.startswith("kernel ready after ")


def test_compiled_code_is_kept_by_the_sources_and_elsewhere_if_it_must(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from berth_backtest.kernel.jit import cache_folder

    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    first = Path(cache_folder())
    assert first.parent == tmp_path / "cache"
    assert str(first) == cache_folder()
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    other = Path(cache_folder())
    assert other.is_dir()
    assert tmp_path not in other.parents
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Path(cache_folder()).parent == tmp_path / "home" / ".cache" / "berth" / "numba"
