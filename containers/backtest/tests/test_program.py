"""The command as a runner sees it: files, exit codes, progress, stop and resume."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as papq
import pytest
from berth_backtest import cli, warm
from berth_backtest.report import Progress

from tests.support import FREE, ROOT, RUN_BOUND_S, program, run_spec, write_spec

FILES = {
    "result.json",
    "points.parquet",
    "metrics.parquet",
    "trades.parquet",
    "equity.parquet",
    "tearsheet.html",
    "points.json",
}


def test_a_run_of_parquet_imports_neither_pandas_nor_the_functions_of_arrow(tmp_path: Path) -> None:
    path = write_spec(tmp_path)
    spec = json.loads(path.read_text())
    prices = pacsv.read_csv(spec["data"]["files"][0]["url"])
    papq.write_table(prices, tmp_path / "p.parquet")
    spec["data"]["files"][0]["url"] = str(tmp_path / "p.parquet")
    path.write_text(json.dumps(spec))
    code = "import sys; from berth_backtest.cli import main; code = main(sys.argv[1:]); "
    code += "print({'pandas', 'pyarrow.compute'} & set(sys.modules)); sys.exit(code)"
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "out")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=RUN_BOUND_S)
    assert ran.stdout.splitlines()[-1] == "set()"


def test_garbage_is_collected_once_all_is_imported(tmp_path: Path) -> None:
    code = "import atexit, gc, runpy; "
    code += "atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count() > 0)); "
    code += "runpy.run_module('berth_backtest', run_name='__main__')"
    command = [sys.executable, "-c", code, str(write_spec(tmp_path)), str(tmp_path / "out")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=RUN_BOUND_S)
    assert ran.stdout.splitlines()[-1] == "True True"


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
        timeout=RUN_BOUND_S,
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
    for name in ("metrics", "trades", "equity"):  # texts for any reader, however we held them
        assert pa.types.is_string(papq.read_schema(tmp_path / "out" / f"{name}.parquet").field("symbol").type)
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
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "result.json").write_text("{}")  # of an earlier run
    assert cli.main([str(tmp_path / "spec.json"), str(tmp_path / "out")]) == 2
    error = json.loads((tmp_path / "out" / "error.json").read_text())
    assert error["code"] == "invalid_params"
    assert message in error["message"]
    assert message in capsys.readouterr().err
    assert error["errors"][0]["message"] in error["message"]
    assert not (tmp_path / "out" / "result.json").exists()


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

    monkeypatch.setattr("berth_backtest.job.run_job", broken)
    spec = write_spec(tmp_path)
    assert cli.main([str(spec), str(tmp_path / "out")]) == exit_code
    assert json.loads((tmp_path / "out" / "error.json").read_text())["code"] == code


def test_an_out_dir_that_cannot_be_made_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert cli.main([str(tmp_path / "none.json"), str(tmp_path / "file" / "out")]) == 2
    assert "error.json cannot be written" in capsys.readouterr().err


def test_planted_look_ahead_ends_with_4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from berth_backtest.kernel.tables import sma_tables as honest

    def leaking(closes: Any, spans: Any, skips: Any, windows: Any, tables: Any, places: Any) -> None:
        honest(closes, spans, skips, windows, tables, places)
        for (first, end), skip, place in zip(spans, skips, places, strict=True):
            shape = (len(windows), int(end - first - skip))
            out = tables[place : place + shape[0] * shape[1]].reshape(shape)
            out[:, :-1] = out[:, 1:]  # each average as it will be at the next bar

    monkeypatch.setattr("berth_backtest.strategies.series.sma_tables", leaking)
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


def test_top_k_0_writes_no_curves_and_removes_old_ones(tmp_path: Path) -> None:
    spec = json.loads(write_spec(tmp_path, output={"tearsheet": True}).read_text())
    run_spec(tmp_path / "out", spec)
    spec["output"] |= {"top_k": 0, "tearsheet": False}
    run_spec(tmp_path / "out", spec)
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"result.json", "points.parquet", "metrics.parquet", "points.json"}


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
    # An image's is read-only: what is in it is taken along.
    (first / "kept.nbi").write_text("compiled")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    with monkeypatch.context() as patched:
        patched.setattr(os, "access", lambda *_: False)
        copied = Path(cache_folder())
    assert copied != first
    assert (copied / "kept.nbi").read_text() == "compiled"
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert Path(cache_folder()).parent == tmp_path / "home" / ".cache" / "berth" / "numba"
