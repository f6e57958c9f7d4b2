"""The command as a runner sees it: files, exit codes, progress, stop and resume."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from berth_training import cli

from tests.support import RUN_BOUND_S, Json, planted, program, spec_of

FILES = {"result.json", "predictions.parquet", "importance.parquet", "report.html", "model"}


def write_spec(tmp_path: Path, **parts: object) -> Json:
    spec = spec_of(planted(tmp_path), **{"output": {"plots": True, "importance": True}, **parts})
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    return spec


def test_a_run_writes_its_files_and_tells_its_progress(tmp_path: Path) -> None:
    write_spec(tmp_path)
    reading, writing = os.pipe()
    command = f'exec "{sys.executable}" -m berth_training spec.json out 3>&{writing}'
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=tmp_path,
        env={**os.environ, "BERTH_THREADS": "1"},
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
    assert done.stdout.splitlines()[0] == "berth_training 0.1.0: reading spec.json"
    phases = [line["phase"] for line in lines]
    assert phases[0] == "load"
    assert phases[-2:] == ["write", "done"]
    assert set(phases) <= {"load", "fold", "fit", "write", "done"}
    assert lines[-1]["progress"] == 1.0
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert {path.name for path in (tmp_path / "out/model").iterdir()} == {"model.json", "model.skops"}


def test_a_stopped_program_exits_with_75_and_goes_on(tmp_path: Path) -> None:
    search = {"trials": 2_000, "space": {"alpha": {"log_uniform": [0.01, 100]}}}
    write_spec(tmp_path, search=search)
    env = {**os.environ, "BERTH_THREADS": "1", "BERTH_CHECKPOINT_DIR": str(tmp_path / "kept")}
    with subprocess.Popen(
        [sys.executable, "-m", "berth_training", "spec.json", "out"],
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("3 splits"):
                break
        child.send_signal(signal.SIGTERM)
        rest = child.stdout.read()
    assert child.returncode == 75
    assert "start again with the same checkpoint" in rest
    assert json.loads((tmp_path / "kept/manifest.json").read_text())["units"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ('{"a": 1, "a": 2}', "the field 'a' is there twice"),
        ("{}", "data: is required, or a table"),
        ('{"seed": 1e999}', "must be a finite number"),
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
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out" / "result.json").exists()


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    assert cli.main([]) == 2
    assert "usage: python -m berth_training" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (MemoryError(), "out_of_memory", 1),
        (OSError(28, "No space left on device"), "disk_full", 1),
        (RuntimeError("odd"), "runner_crashed", 1),
        (ModuleNotFoundError("x", name="sklearn"), "runner_crashed", 1),
    ],
)
def test_our_own_failures_have_their_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, exit_code: int
) -> None:
    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr("berth_training.job.run_job", broken)
    write_spec(tmp_path)
    assert cli.main([str(tmp_path / "spec.json"), str(tmp_path / "out")]) == exit_code
    told = json.loads((tmp_path / "out" / "error.json").read_text())
    assert told["code"] == code
    if code == "out_of_memory":
        assert told["hint"] == "give the job more memory, fewer rows or fewer features"


def test_data_larger_than_the_memory_is_refused_with_the_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_spec(tmp_path)
    monkeypatch.setenv("BERTH_MEMORY_GIB", "0.1")
    assert cli.main([str(tmp_path / "spec.json"), str(tmp_path / "out")]) == 1
    told = json.loads((tmp_path / "out" / "error.json").read_text())
    assert told["code"] == "out_of_memory"
    assert told["message"].startswith("720 rows of 3 features need about 0.35 GiB")
    assert "the job has 0.10 GiB" in told["message"]


def test_the_program_on_a_spec_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text("{}")
    done = program("spec.json", "out", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: data: is required, or a table")
