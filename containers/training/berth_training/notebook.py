"""A run from Python: a data frame in, tables and a model out."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from berth_backtest.errors import invalid
from berth_backtest.notebook import Ran, run_into, with_frame, write_frame

from berth_training.job import run_job
from berth_training.models.load import Loaded, load_model

TABLES = ("predictions", "importance", "trials")


@dataclass(frozen=True)
class Result(Ran):
    """A training's, with the model as it is read back from its files."""

    model: Loaded

    @property
    def metrics(self) -> dict[str, Any]:
        found: dict[str, Any] = self.result["metrics"]
        return found

    @property
    def report(self) -> str | None:
        return self.page

    @property
    def predictions(self) -> Any:
        return self.frame("predictions")

    @property
    def importance(self) -> Any:
        return self.frame("importance")

    @property
    def trials(self) -> Any:
        return self.frame("trials")


def run_here(spec: dict[str, Any], data: Any, threads: int | None) -> Result:
    """Runs a spec in this process, its files in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="berth-training-") as folder:
        root = Path(folder)
        if data is not None:
            spec = with_data(spec, data, root / "data.parquet")
        ran = run_into(root / "out", run_job, spec, threads, TABLES, "report.html")
        return Result(**vars(ran), model=load_model(root / "out" / "model"))


def with_data(spec: dict[str, Any], data: Any, path: Path) -> dict[str, Any]:
    """Returns the spec with the frame as its prices, or as its table where it has one."""
    if not isinstance(spec.get("table"), dict):
        return {**spec, "data": with_frame(spec.get("data"), data, path)}
    if "url" in spec["table"]:
        raise invalid("table.url", "give either it or a data frame")
    write_frame(data, path, "table")
    return {**spec, "table": {**spec["table"], "url": str(path)}}
