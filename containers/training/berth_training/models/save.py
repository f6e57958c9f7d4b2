"""Writes the model of record: files without code, and model.json that says what they are."""

import platform
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

from berth_backtest.checkpoint import write_atomically
from berth_backtest.output.result import write_json

from berth_training import VERSION
from berth_training.models.catalogue import CATALOGUE
from berth_training.models.ensemble import Combined
from berth_training.models.fit import Fitted
from berth_training.models.safe import dump_estimator

FORMAT = 1
LIBRARIES = ("numpy", "scipy", "scikit-learn", "xgboost-cpu", "xgboost", "skops", "optuna")


def save_model(folder: Path, fitted: Any, about: dict[str, Any]) -> None:
    """Writes `folder`; model.json is the last file, so that a folder with it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    if isinstance(fitted, Combined):
        members = [save_one(folder, member, f"member-{i}") for i, member in enumerate(fitted.members)]
        content: dict[str, Any] = {
            "ensemble": {
                "method": fitted.method,
                "weights": list(fitted.weights),
                "intercept": fitted.intercept,
                "log_likelihood": list(fitted.scores),
            },
            "members": members,
        }
    else:
        content = {"ensemble": None, "members": [save_one(folder, fitted, "model")]}
    write_json(folder / "model.json", {"format": FORMAT, **about, **content, "versions": versions()})


def save_one(folder: Path, fitted: Fitted, stem: str) -> dict[str, Any]:
    suffix = Path(CATALOGUE[fitted.model.name].file).suffix
    if suffix == ".ubj":
        data = bytes(fitted.estimator.get_booster().save_raw("ubj"))
    else:
        data = dump_estimator(fitted.estimator)
    write_atomically(folder / f"{stem}{suffix}", lambda path: path.write_bytes(data))
    return {
        "file": f"{stem}{suffix}",
        "sha256": sha256(data).hexdigest(),
        "name": fitted.model.name,
        "params": fitted.params,
        "preprocess": fitted.steps.as_json(),
        "calibration": fitted.calibration,
        "rows": fitted.rows,
        "rounds": fitted.rounds,
    }


def versions() -> dict[str, str]:
    """Returns the versions that the model was made with."""
    found = {"python": platform.python_version(), "berth_training": VERSION}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except ModuleNotFoundError:
            continue
    return found
