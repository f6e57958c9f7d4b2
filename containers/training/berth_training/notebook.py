"""A run from Python: a data frame in, tables and a model out."""

import contextlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as papq
from berth_backtest.cli import thread_count
from berth_backtest.errors import invalid
from berth_backtest.notebook import table_of, with_frame
from berth_backtest.report import Progress, Stop

from berth_training.job import run_job
from berth_training.models.load import Loaded, load_model

TABLES = ("predictions", "importance", "trials")


@dataclass(frozen=True)
class Result:
    """What a run wrote: `result` is result.json, `tables` the Parquet files as Arrow tables."""

    result: dict[str, Any]
    tables: dict[str, Any]
    model: Loaded
    report: str | None  # the page, for display
    log: str

    @property
    def metrics(self) -> dict[str, Any]:
        found: dict[str, Any] = self.result["metrics"]
        return found

    def frame(self, name: str) -> Any:
        """Returns a table as a pandas data frame."""
        try:
            return self.tables[name].to_pandas()
        except ModuleNotFoundError as error:
            text = f"pandas is not installed: install it, or take the Arrow table .tables[{name!r}]"
            raise ModuleNotFoundError(text) from error

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
        root, log = Path(folder), io.StringIO()
        if data is not None:
            spec = with_data(spec, data, root / "data.parquet")
        with contextlib.redirect_stdout(log):
            found = run_job(spec, root / "out", Progress(None), Stop(), threads or thread_count())
        tables = {name: table_of(root / "out" / f"{name}.parquet") for name in TABLES}
        page = root / "out" / "report.html"
        return Result(
            found,
            {name: table for name, table in tables.items() if table is not None},
            load_model(root / "out" / "model"),
            page.read_text(encoding="utf-8") if page.exists() else None,
            log.getvalue(),
        )


def with_data(spec: dict[str, Any], data: Any, path: Path) -> dict[str, Any]:
    """Returns the spec with the frame as its prices, or as its table where it has one."""
    if not isinstance(spec.get("table"), dict):
        return {**spec, "data": with_frame(spec.get("data"), data, path)}
    if "url" in spec["table"]:
        raise invalid("table.url", "give either it or a data frame")
    try:
        table = data if isinstance(data, pa.Table) else pa.table(data)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise invalid("table", f"is no data frame: {str(error)[:300]}") from None
    papq.write_table(table, path)
    return {**spec, "table": {**spec["table"], "url": str(path)}}
