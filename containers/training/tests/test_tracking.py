"""Runs are written to an MLflow server: the real one, with its database, on a port of its own."""

import json
import os
import subprocess
import sys
import types
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from berth_backtest.errors import ProgramError

from tests.support import Json, planted, program, run_spec, spec_of

# What `mlflow server` runs, without its choice of a port: the kernel gives a free one.
SERVER = """
import sys
from werkzeug.serving import make_server
from mlflow.server import app
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a tracking server."""
    for name in ("mlflow", "flask"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed in this Python environment")
    store = {
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{tmp_path}/mlflow.db",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": str(tmp_path / "artifacts"),
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    log = (tmp_path / "server.log").open("w")
    with (
        log,
        subprocess.Popen(
            [sys.executable, "-c", SERVER],
            env={**os.environ, **store},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port, (tmp_path / "server.log").read_text()
        yield f"http://127.0.0.1:{port}"
        process.kill()


def asked(address: str, body: Json | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


def test_a_run_is_on_the_server_with_its_parameters_metrics_and_files(tmp_path: Path, server: str) -> None:
    spec = spec_of(
        planted(tmp_path),
        search={"method": "grid", "space": {"alpha": {"values": [0.1, 1.0]}}},
        tracking={"experiment": "desk", "run_name": "first"},
    )
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    done = program("spec.json", "out", cwd=tmp_path, env={"BERTH_MLFLOW_URI": server})
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stdout
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    api = f"{server}/api/2.0/mlflow"
    experiment = asked(f"{api}/experiments/get-by-name?experiment_name=desk")["experiment"]["experiment_id"]
    [run] = asked(f"{api}/runs/search", {"experiment_ids": [experiment]})["runs"]
    assert (run["info"]["run_name"], run["info"]["status"]) == ("first", "FINISHED")
    metrics = {each["key"]: each["value"] for each in run["data"]["metrics"]}
    test, selection = result["metrics"]["test"]["overall"], result["metrics"]["selection"]
    numbers = {name: value for name, value in selection.items() if type(value) in (int, float)}
    assert metrics == {
        **{f"test.{name}": pytest.approx(value) for name, value in test.items()},
        **{f"selection.{name}": pytest.approx(value) for name, value in numbers.items()},
    }
    parameters = {each["key"]: each["value"] for each in run["data"]["params"]}
    assert parameters == {
        "model": "ridge",
        "model.alpha": str(result["best"]["params"]["alpha"]),
        "validation": "walk_forward",
        "seed": "1",
        "data_sha256": result["data"]["sha256"],
    }
    run_id = run["info"]["run_id"]
    files = {each["path"] for each in asked(f"{api}/artifacts/list?run_id={run_id}")["files"]}
    assert files == {"model", "predictions.parquet", "result.json", "trials.parquet"}
    kept = f"{server}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run_id}/artifacts/result.json"
    assert asked(kept) == result


class FakeMlflow(types.ModuleType):
    """The calls that the program makes, recorded."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self.calls.append((name, *arguments, *named.values()))
            return self

        return call

    def __enter__(self) -> "FakeMlflow":
        return self

    def __exit__(self, *_: object) -> None:
        return None


def test_a_server_that_fails_is_told_and_the_result_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(FakeMlflow):
        def log_metrics(self, *_: Any) -> None:
            raise ConnectionError("http://user:secret@host refused")

    monkeypatch.setitem(sys.modules, "mlflow", Broken())
    monkeypatch.setenv("BERTH_MLFLOW_URI", "http://127.0.0.1:9")
    ensemble = {"method": "voting", "members": [{"name": "ridge"}, {"name": "lasso"}]}
    run_spec(tmp_path / "out", spec_of(planted(tmp_path), None, ensemble=ensemble))
    told = capsys.readouterr().out
    assert "the run was not written to MLflow: ConnectionError" in told
    assert "secret" not in told


def test_tracking_that_cannot_work_is_told_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = planted(tmp_path)
    with pytest.raises(ProgramError, match="tracking: needs a server: set BERTH_MLFLOW_URI"):
        run_spec(tmp_path / "out", spec_of(path, tracking={"experiment": "x"}))
    monkeypatch.setenv("BERTH_MLFLOW_URI", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ProgramError, match="mlflow is not installed here") as error:
        run_spec(tmp_path / "out", spec_of(path))
    assert "mlflow-skinny" in (error.value.hint or "")
