"""MLflow, when it is configured: the run's parameters, metrics and files on a server of the operator's."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from berth_backtest.errors import Problem, ProgramError, invalid
from berth_backtest.report import log

from berth_training.spec.types import Spec

URI = "BERTH_MLFLOW_URI"
EXPERIMENT = "berth"
MAX_PARAM = 500  # characters that MLflow keeps of a parameter

# Set before the library is imported, unless the operator has: it reports its use to its makers, looks for a
# git program, and tries a server that is away for minutes.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}

Write = Callable[[dict[str, Any], Path], None]


def open_tracking(spec: Spec) -> Write:
    """Returns what writes a finished run; raises at once where that could not work."""
    uri = os.environ.get(URI)
    if not uri:
        if spec.tracking:
            text = f"needs a server: set {URI} where the program runs, or leave tracking out"
            raise invalid("tracking", text)
        return lambda _result, _out: None
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow
    except ModuleNotFoundError:
        text = f"{URI} is set but mlflow is not installed here"
        hint = f"install mlflow-skinny beside the training packages, or unset {URI}"
        raise ProgramError("runner_crashed", text, [Problem("tracking", text)], hint) from None
    return lambda result, out: write_run(mlflow, uri, spec, result, out)


def write_run(mlflow: Any, uri: str, spec: Spec, result: dict[str, Any], out: Path) -> None:
    """Writes one run. The result is on disk already: a server that fails then is told, not fatal."""
    try:
        mlflow.set_tracking_uri(uri)
        mlflow.set_experiment(spec.tracking.get("experiment", EXPERIMENT))
        with mlflow.start_run(run_name=spec.tracking.get("run_name")):
            mlflow.log_params({name: str(value)[:MAX_PARAM] for name, value in params_of(result).items()})
            mlflow.log_metrics(metrics_of(result))
            mlflow.log_artifacts(str(out))
    except Exception as error:  # noqa: BLE001 (the network's, the server's and the library's alike)
        log(f"warning: the run was not written to MLflow: {type(error).__name__}")


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def params_of(result: dict[str, Any]) -> dict[str, object]:
    spec = result["effective_spec"]
    model = spec["model"] or {"name": spec["ensemble"]["method"], "params": {}}
    return {
        "model": model["name"],
        **{f"model.{name}": value for name, value in {**model["params"], **result["best"]["params"]}.items()},
        "validation": spec["validation"]["method"],
        "seed": result["seed"],
        "data_sha256": result["data"]["sha256"],
    }


def metrics_of(result: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in ("selection", "test"):
        values = result["metrics"][part] or {}
        values = values.get("overall", values)
        found |= {f"{part}.{k}": float(v) for k, v in values.items() if is_number(v)}
    return found
